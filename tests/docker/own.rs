//! An engine of a test's own, that it may stop, hang and lock as it likes. It is in a network of its own, as two engines
//! in one would take each other's bridge away.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::engine::{IMAGE, host};
use crate::support::{Ended, Fleet};

/// The engine. It needs a user who may make networks: root.
pub struct OwnEngine {
    namespace: String,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    served: Option<Child>,
}

static ENGINES: AtomicU32 = AtomicU32::new(0);

/// Runs a program to its end, which must be good.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl OwnEngine {
    /// Starts one that is told so beside where it is; it has the image of the tests.
    pub fn start(arguments: &[&str]) -> Self {
        let number = ENGINES.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("sf{}-{number}", std::process::id());
        run("ip", &["netns", "add", &namespace]);
        let mut engine = OwnEngine {
            namespace,
            folder: tempfile::tempdir().expect("a folder"),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            served: None,
        };
        run("ip", &["-n", &engine.namespace, "link", "set", "lo", "up"]);
        engine.serve();
        let copy = format!("docker -H {} save {IMAGE} | docker -H {} load", host(), engine.host());
        run("sh", &["-c", &copy]);
        engine
    }

    /// Starts the engine, and waits until it answers.
    pub fn serve(&mut self) {
        let at = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
        let log = std::fs::File::options().create(true).append(true).open(at("log"));
        let log = log.expect("a file");
        let _ = std::fs::remove_file(at("pid"));
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/var/run/netns/{}", self.namespace));
        command.args(["dockerd", "-H", &self.host(), "--data-root", &at("data")]);
        command.args(["--exec-root", &at("exec"), "--pidfile", &at("pid")]);
        command.args(&self.arguments).stdout(Stdio::null()).stderr(log);
        self.served = Some(command.spawn().expect("dockerd runs"));
        let deadline = Instant::now() + Duration::from_secs(120);
        let version = || Command::new("docker").args(["-H", &self.host(), "version"]).output();
        while !version().is_ok_and(|output| output.status.success()) {
            let log = std::fs::read_to_string(at("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the engine does not answer: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where it is.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Ends it, and its containers with it, as a restart of its service does.
    pub fn stop(&mut self) {
        if let Some(mut served) = self.served.take() {
            run("kill", &["-TERM", &served.id().to_string()]);
            let _ = served.wait();
        }
    }

    /// Has it take connections and not answer, or go on.
    pub fn hang(&self, is_hung: bool) {
        let served = self.served.as_ref().expect("it runs");
        let signal = if is_hung { "-STOP" } else { "-CONT" };
        run("kill", &[signal, &served.id().to_string()]);
    }

    /// Runs the docker client; returns what it says.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        run("docker", &[&["-H", &self.host()], arguments].concat())
    }

    /// Runs simfleet in the network of the engine.
    pub fn simfleet(&self, fleet: &Fleet, arguments: &[&str]) -> Ended {
        let inner = fleet.command(arguments);
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/var/run/netns/{}", self.namespace));
        command
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(fleet.path());
        command.stdin(Stdio::null()).output().expect("simfleet runs").into()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if let Some(served) = self.served.as_mut() {
            let id = served.id().to_string();
            // One that is asked to end ends its containers.
            for signal in ["-CONT", "-TERM"] {
                let _ = Command::new("kill").args([signal, &id]).output();
            }
            let _ = served.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}
