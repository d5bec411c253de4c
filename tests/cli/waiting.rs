//! Simulators by hand on which another run is at work: that is waited for, and the wait ends when the user wants it to.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::running::{Running, eventually};

/// A process that ends when it is told to and there is a file `go`.
const FLEET: &str = r#"
provider "local" {}
node "a" {}

simulator "exec" "job" {
  placement   = node.a
  working_dir = abspath(path.root)
  stop_grace  = "60s"
  command     = ["sh", "-c", "trap 'while [ ! -e go ]; do sleep 0.1; done; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
}
"#;

/// A fleet of which a run replaces the simulator until [`go`] is called.
fn busy() -> (Running, Child) {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    let other = lab
        .command("apply --auto-approve --replace simulator.exec.job")
        .spawn()
        .expect("it runs");
    eventually("it is at work", || lab.run("unlock").stdout.contains("--replace"));
    (lab, other)
}

fn go(lab: &Running, mut other: Child) {
    std::fs::write(lab.path().join("go"), "").expect("it can be written");
    assert_eq!(other.wait().expect("it ends").code(), Some(0));
}

/// Starts a command and returns it once it tells that it waits, with what else it tells.
fn waiting(mut command: Command) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command.spawn().expect("it runs");
    let stderr: ChildStderr = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines().map(|line| line.expect("UTF-8"));
    assert!(lines.any(|line| line.contains("waiting: ")));
    (child, lines)
}

fn status(lab: &Running) -> String {
    lab.run("simulators -o json").exits(0).json()[0]["status"]
        .as_str()
        .expect("a status")
        .to_owned()
}

#[test]
fn what_another_run_works_on_is_waited_for() {
    let (lab, other) = busy();
    lab.run("simulator stop simulator.exec.job").exits(3);
    let (mut stop, mut told) = waiting(lab.command("simulator stop simulator.exec.job --lock-timeout 120s"));
    go(&lab, other);
    assert_eq!(told.find(|line| line.contains("error")), None);
    assert_eq!(stop.wait().expect("it ends").code(), Some(0));
    assert_eq!(status(&lab), "stopped");
}

#[test]
fn one_signal_ends_the_wait_for_another_run() {
    let (lab, other) = busy();
    for verb in ["stop", "start", "reset"] {
        let (mut child, mut told) =
            waiting(lab.command(&format!("simulator {verb} simulator.exec.job --lock-timeout 600s")));
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        let error = told.find(|line| line.contains("error")).expect("it says so");
        assert_eq!(error, "error: Stopped", "{verb}");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{verb}");
    }
    let refused = lab.read(".simfleet/audit.jsonl");
    assert!(refused.contains("stopped while waiting; nothing was done"), "{refused}");
    go(&lab, other);
    assert_eq!(status(&lab), "running");
}
