//! A fleet of a test's own.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use simfleet_provider_agent::identity::{ProcessIdentity, Stat, marked_with};
use simfleet_provider_agent::layout::Claim;
use simfleet_provider_agent::shim::COOKIE;
use simfleet_provider_agent::{AgentType, durable};
use simfleet_provider_api::{
    Attributes, Context, Kind, Object, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_local::LocalType;
use tempfile::TempDir;

pub static PROCESS: Kind = simfleet_provider_agent::schema::PROCESS;
pub static NODE: Kind = simfleet_provider_local::schema::NODE;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_simfleet-local-test");

/// A folder with nodes. Whatever runs in it is killed when it is dropped.
pub struct Fleet {
    pub root: TempDir,
}

impl Fleet {
    pub fn new() -> Self {
        Fleet {
            root: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn folder(&self) -> PathBuf {
        self.root.path().join("local")
    }

    pub fn context(&self) -> Context {
        Context {
            // One of its own, as every state has: nodes of one lineage and name want the same address.
            lineage: self.root.path().to_string_lossy().into(),
            folder: self.folder(),
            root: self.root.path().to_owned(),
            program: PROGRAM.into(),
        }
    }

    pub async fn provider(&self) -> Arc<dyn Provider> {
        let provider = LocalType.configure(&Attributes::new(), &self.context()).await;
        provider.expect("configures")
    }

    /// The provider of the processes on a node.
    pub async fn processes(&self, node: &Object) -> Arc<dyn Provider> {
        let settings =
            ["runtime", "token_file"].map(|name| (name, node.attributes.get(name).expect("a node has it").clone()));
        let settings = Attributes::from_iter(settings);
        AgentType
            .configure(&settings, &self.context())
            .await
            .expect("configures")
    }

    /// The data folders that there are, of nodes that are known or not.
    pub fn data_folders(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder().join("nodes")) else {
            return Vec::new();
        };
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// All agents whose command line names this folder.
    pub fn agents(&self) -> Vec<u32> {
        let folder = self.folder().to_string_lossy().into_owned();
        Stat::all()
            .iter()
            .filter(|stat| stat.is_alive())
            .filter(|stat| {
                let command = std::fs::read(format!("/proc/{}/cmdline", stat.pid)).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).into_owned();
                command.contains("\0agent\0--data\0") && command.contains(&folder)
            })
            .map(|stat| stat.pid)
            .collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let claims: Vec<Claim> = self
            .data_folders()
            .iter()
            .filter_map(|folder| durable::read_json(&folder.join("claim.json")).ok().flatten())
            .collect();
        for pid in self.agents() {
            signal(pid, Signal::KILL);
        }
        for claim in claims {
            for _ in 0..50 {
                let left = marked_with(COOKIE, &format!("{}:", claim.node));
                if left.is_empty() {
                    break;
                }
                for process in left {
                    let _ = process.signal(Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

pub fn token(number: u32) -> Token {
    Token(format!("{number:032x}").into())
}

pub fn node(name: &str) -> Attributes {
    Attributes::from_iter([("name", name)])
}

/// The attributes of a process that runs a shell script.
pub fn shell(name: &str, script: &str) -> Attributes {
    let command = Value::tuple(["sh", "-c", script].map(Value::from));
    Attributes::from_iter([("name", Value::string(name)), ("command", command)])
}

/// Follows an operation to its end.
pub async fn finish(
    provider: &dyn Provider,
    kind: &Kind,
    step: Result<Step, ProviderError>,
) -> Result<Option<Object>, ProviderError> {
    let mut step = step?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match step {
            Step::Done(object) => return Ok(Some(object)),
            Step::Gone => return Ok(None),
            Step::Running { handle, .. } => {
                assert!(Instant::now() < deadline, "not done within 30 s: {handle:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                step = provider.poll(kind, &handle).await?;
            }
        }
    }
}

pub async fn create(
    provider: &dyn Provider,
    kind: &Kind,
    token: &Token,
    planned: &Attributes,
) -> Result<Object, ProviderError> {
    let step = provider.create(kind, token, planned).await;
    Ok(finish(provider, kind, step)
        .await?
        .expect("a create ends with an object"))
}

pub async fn delete(provider: &dyn Provider, kind: &Kind, object: &Object) -> Result<(), ProviderError> {
    let step = provider.delete(kind, object, &token(999)).await;
    assert_eq!(finish(provider, kind, step).await?, None);
    Ok(())
}

pub async fn read(provider: &dyn Provider, kind: &Kind, object: &Object) -> Observed {
    provider.read(kind, &object.id).await.expect("reads")
}

pub fn pid(object: &Object) -> u32 {
    let pid = object.attributes.get("pid").and_then(Value::as_u64).expect("a pid");
    u32::try_from(pid).expect("an id")
}

pub fn address(node: &Object) -> SocketAddr {
    let runtime = node.attributes.str("runtime").expect("a node has one");
    let address = runtime.strip_prefix("agent+http://").expect("is an agent");
    address.parse().expect("is an address")
}

pub fn can_listen(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

pub fn is_alive(pid: u32) -> bool {
    ProcessIdentity::of(pid).is_some()
}

pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("an id")).expect("an id");
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Waits for something to become true, and fails when it does not.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
