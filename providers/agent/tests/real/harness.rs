//! An agent of a test's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use simfleet_provider_agent::identity::marked_with;
use simfleet_provider_agent::layout::Claim;
use simfleet_provider_agent::protocol::SimulatorView;
use simfleet_provider_agent::shim::COOKIE;
use simfleet_provider_agent::{AgentClient, AgentType, durable};
use simfleet_provider_api::{
    Attributes, Context, Object, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use tempfile::TempDir;

pub use simfleet_provider_agent::schema::PROCESS;

const PROGRAM: &str = env!("CARGO_BIN_EXE_simfleet-agent");

/// An agent in a process of its own. It and all that it started are killed when it is dropped.
pub struct Agent {
    pub folder: TempDir,
    pub address: SocketAddr,
    pub process: Child,
    pub node: String,
}

impl Agent {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let claim = Claim {
            node: simfleet_provider_agent::random_hex(),
            generation: "g1".to_owned(),
            revoked_by: None,
        };
        durable::write_json(&folder.path().join("claim.json"), &claim).expect("writes the claim");
        let address = free_address();
        let process = spawn(&folder, address);
        let agent = Agent {
            folder,
            address,
            process,
            node: claim.node,
        };
        agent.wait_up().await;
        agent
    }

    pub async fn wait_up(&self) {
        let client = self.client();
        until("the agent answers", || async { client.version().await.is_ok() }).await;
    }

    pub fn client(&self) -> AgentClient {
        AgentClient::new(&self.runtime(), self.folder.path().join("token")).expect("is a runtime")
    }

    pub fn runtime(&self) -> String {
        format!("agent+http://{}", self.address)
    }

    pub fn settings(&self) -> Attributes {
        Attributes::from_iter([
            ("runtime", self.runtime().as_str()),
            ("token_file", &self.folder.path().join("token").to_string_lossy()),
        ])
    }

    pub fn context(&self) -> Context {
        Context {
            lineage: "lineage".into(),
            folder: self.folder.path().join("unused"),
            root: self.folder.path().to_owned(),
            program: PROGRAM.into(),
        }
    }

    pub async fn provider(&self) -> Arc<dyn Provider> {
        let provider = AgentType.configure(&self.settings(), &self.context()).await;
        provider.expect("configures")
    }

    /// Kills the agent with SIGKILL, and leaves its simulators.
    pub fn kill(&mut self) {
        self.process.kill().expect("is ours");
        self.process.wait().expect("has ended");
    }

    /// Starts another agent on the same folder and address.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.folder, self.address);
        self.wait_up().await;
    }

    /// The ids of all processes of its simulators, shims too.
    pub fn processes(&self) -> Vec<u32> {
        let found = marked_with(COOKIE, &format!("{}:", self.node));
        found.into_iter().map(|process| process.pid).collect()
    }

    pub fn simulator_folders(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("simulators"))
            .expect("lists")
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    /// The id of the shim of a simulator with a plain name.
    pub fn shim_of(&self, name: &str) -> u32 {
        let path = self.folder.path().join("simulators").join(name).join("shim.json");
        let shim: serde_json::Value = durable::read_json(&path).expect("reads").expect("is there");
        u32::try_from(shim["shim"]["pid"].as_u64().expect("a number")).expect("an id")
    }

    pub async fn view(&self, object: &Object) -> SimulatorView {
        let (name, id) = object.id.0.rsplit_once('@').expect("NAME@TOKEN");
        let view = self.client().simulator(name, id).await.expect("answers");
        view.expect("is there")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // The agent first, or it would start them again.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for _ in 0..50 {
            let left = marked_with(COOKIE, &format!("{}:", self.node));
            if left.is_empty() {
                return;
            }
            for process in left {
                let _ = process.signal(rustix::process::Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn spawn(folder: &TempDir, address: SocketAddr) -> Child {
    Command::new(PROGRAM)
        .arg("agent")
        .arg("--data")
        .arg(folder.path())
        .args(["--listen", &address.to_string()])
        .env_remove(COOKIE)
        .stdin(Stdio::null())
        .spawn()
        .expect("the agent starts")
}

/// Returns a loopback address that no other test uses, by the id of this process and a counter; at a port that no node of this
/// machine listens at.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = [127, 64 + (high & 0x7F), low, NEXT.fetch_add(1, Ordering::SeqCst)];
    SocketAddr::from((host, 8444))
}

/// Waits for something to become true, and fails when it does not.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn token(number: u32) -> Token {
    Token(format!("{number:032x}").into())
}

/// The attributes of a process that runs a shell script.
pub fn shell(name: &str, script: &str) -> Attributes {
    Attributes::from_iter([
        ("name", Value::string(name)),
        ("command", Value::tuple(["sh", "-c", script].map(Value::from))),
        ("restart", Value::string("no")),
        ("stop_grace", Value::from(5u64)),
        ("state", Value::string("running")),
    ])
}

/// Follows an operation to its end.
pub async fn finish(
    provider: &dyn Provider,
    step: Result<Step, ProviderError>,
) -> Result<Option<Object>, ProviderError> {
    let mut step = step?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match step {
            Step::Done(object) => return Ok(Some(object)),
            Step::Gone => return Ok(None),
            Step::Running { handle, .. } => {
                assert!(Instant::now() < deadline, "not done within a minute: {handle:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                step = provider.poll(&PROCESS, &handle).await?;
            }
        }
    }
}

pub async fn create(provider: &dyn Provider, token: &Token, planned: &Attributes) -> Result<Object, ProviderError> {
    let step = provider.create(&PROCESS, token, planned).await;
    Ok(finish(provider, step).await?.expect("a create ends with an object"))
}

pub async fn read(provider: &dyn Provider, object: &Object) -> Observed {
    provider.read(&PROCESS, &object.id).await.expect("reads")
}

/// Reads an object that must be there.
pub async fn present(provider: &dyn Provider, object: &Object) -> Object {
    match read(provider, object).await {
        Observed::Present(object) => object,
        other => panic!("{} is {other:?}", object.id),
    }
}

pub fn pid(object: &Object) -> u32 {
    let pid = object.attributes.get("pid").and_then(Value::as_u64).expect("a pid");
    u32::try_from(pid).expect("an id")
}

pub fn is_alive(pid: u32) -> bool {
    simfleet_provider_agent::identity::ProcessIdentity::of(pid).is_some()
}
