//! The engine of the tests.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simfleet_provider_api::{
    Attributes, Context, Kind, Object, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::CONTAINER;

/// An image with a shell and its tools.
pub const IMAGE: &str = "simfleet-test/busybox:1";

/// Returns where the engine is.
pub fn host() -> String {
    std::env::var("SIMFLEET_TEST_DOCKER").expect("SIMFLEET_TEST_DOCKER says where the Docker engine is")
}

/// Returns settings for the engine.
pub fn settings() -> Attributes {
    Attributes::from_iter([("host", host().as_str())])
}

/// Returns a context for a lineage.
pub fn context(lineage: &str) -> Context {
    Context {
        lineage: lineage.into(),
        root: std::env::temp_dir(),
        folder: std::env::temp_dir().join(lineage),
        program: "simfleet".into(),
    }
}

/// Runs the docker client, as somebody else would; returns what it says.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(["-H", &host()])
        .args(arguments)
        .output()
        .expect("the docker client runs");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns an image that is built of a folder that every test has in common.
pub fn image(name: &str) -> Attributes {
    let folder = std::env::temp_dir().join(format!("simfleet-test-context-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = format!("FROM {IMAGE}\nARG WORD=none\nENV WORD=$WORD\n");
    std::fs::write(folder.join("Dockerfile"), file).expect("a file");
    let context = simfleet_build_context::Context::read(&folder, "Dockerfile".as_ref()).expect("a context");
    Attributes::from_iter([
        ("name", Value::from(name)),
        ("context", folder.display().to_string().into()),
        ("context_digest", context.digest().expect("a digest").into()),
    ])
}

/// A fleet of a test: what it made is deleted when it ends.
pub struct Fleet {
    pub provider: Arc<dyn Provider>,
    lineage: String,
    given: AtomicU64,
}

static FLEETS: AtomicU64 = AtomicU64::new(0);

impl Fleet {
    pub async fn new() -> Self {
        let number = FLEETS.fetch_add(1, Ordering::Relaxed);
        let lineage = format!("lineage-{}-{number}", std::process::id());
        let configured = DockerType.configure(&settings(), &context(&lineage)).await;
        Fleet {
            provider: configured.expect("the settings are sound"),
            lineage,
            given: AtomicU64::new(0),
        }
    }

    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// Returns a token that was not used before.
    pub fn token(&self) -> Token {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        Token(
            format!(
                "{:08x}{number:04x}{:020x}",
                std::process::id(),
                FLEETS.load(Ordering::Relaxed)
            )
            .into(),
        )
    }

    /// Makes an object, as a walk would.
    pub async fn create(&self, kind: &Kind, planned: &Attributes) -> Result<Object, ProviderError> {
        self.create_with(kind, &self.token(), planned).await
    }

    pub async fn create_with(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Object, ProviderError> {
        let step = self.provider.create(kind, token, planned).await?;
        self.to_its_end(kind, step).await
    }

    pub async fn update(&self, prior: &Object, planned: &Attributes) -> Result<Object, ProviderError> {
        let step = self.provider.update(&CONTAINER, prior, planned, &self.token()).await?;
        self.to_its_end(&CONTAINER, step).await
    }

    async fn to_its_end(&self, kind: &Kind, mut step: Step) -> Result<Object, ProviderError> {
        loop {
            match step {
                Step::Done(object) => return Ok(object),
                Step::Gone => panic!("it is gone"),
                Step::Running { handle, .. } => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    step = self.provider.poll(kind, &handle).await?;
                }
            }
        }
    }

    /// Looks at a container that is there.
    pub async fn look(&self, object: &Object) -> Object {
        match self.provider.read(&CONTAINER, &object.id).await {
            Ok(Observed::Present(object)) => object,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let of_it = format!("label=simfleet.lineage={}", self.lineage);
        for (list, remove) in [
            (&["ps", "-aq", "--no-trunc"][..], &["rm", "-fv"][..]),
            (&["network", "ls", "-q"], &["network", "rm"]),
            (&["volume", "ls", "-q"], &["volume", "rm"]),
        ] {
            let ids = docker(&[list, &["--filter", &of_it]].concat());
            for id in ids.lines() {
                docker(&[remove, &[id]].concat());
            }
        }
    }
}

/// Returns a container that goes on until it is told to end.
pub fn container(name: &str) -> Attributes {
    let mut attributes = Attributes::from_iter([("name", name), ("image", IMAGE)]);
    attributes.set("command", texts(["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"]));
    attributes.set("stop_grace", Value::from(5u64));
    attributes
}

pub fn texts<const N: usize>(texts: [&str; N]) -> Value {
    Value::list(texts.map(Value::from))
}

pub fn with(attributes: &Attributes, name: &'static str, value: impl Into<Value>) -> Attributes {
    let mut changed = attributes.clone();
    changed.set(name, value.into());
    changed
}

/// Returns the attributes that differ between what is wanted and what is there, by the core's own comparison.
pub fn differences(wanted: &Attributes, object: &Object) -> Vec<String> {
    let schema = DockerType.schema(&CONTAINER).expect("there is one").clone();
    simfleet_provider_api::conformance::differences(&schema, wanted, &object.attributes)
}
