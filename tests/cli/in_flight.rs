//! Runs with an operation in flight: interrupted, waited for, and one that takes too long.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::Lab;
use crate::running::{Running, eventually};

/// A process that is never ready, so that its create is in flight until it ends.
const SLOW: &str = r#"
provider "local" {}

node "a" {}

simulator "exec" "slow" {
  placement = node.a
  command   = ["sleep", "1000"]
  ready {
    pattern = "never"
    timeout = "120s"
  }
}

value "after" { input = simulator.exec.slow.name }
"#;

/// A run that is killed at the end, where it is still there: the fleet could not be destroyed otherwise.
struct Started(Child);

impl Started {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().expect("the program ends").code()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fleet with a create in flight, which ends as its process does: else the fleet could be destroyed only after that
/// create has timed out.
struct Slow(Running);

impl Slow {
    fn new() -> Self {
        Slow(Running::new(SLOW))
    }
}

impl std::ops::Deref for Slow {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        for pid in asleep(self) {
            // It can have ended.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Returns the processes `sleep` of a fleet.
fn asleep(lab: &Lab) -> Vec<Pid> {
    let folder = lab.path().canonicalize().expect("it is there");
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let is_one = |process: &std::fs::DirEntry| {
        let runs_in = std::fs::read_link(process.path().join("cwd")).unwrap_or_default();
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        runs_in.starts_with(&folder) && line.starts_with(b"sleep\0")
    };
    let pid = |process: std::fs::DirEntry| Pid::from_raw(process.file_name().to_str()?.parse().ok()?);
    processes.filter(is_one).filter_map(pid).collect()
}

/// Starts an apply and returns it once its create is in flight.
fn start_slow(lab: &Lab) -> Started {
    let child = lab
        .command("apply --auto-approve --json")
        .spawn()
        .expect("the program starts");
    let started = Started(child);
    eventually("the create is in flight", || {
        let open = lab.run("status --json").json()["open"].take();
        open.as_array()
            .is_some_and(|open| open.iter().any(|one| one["address"] == "simulator.exec.slow"))
    });
    eventually("its process runs", || !asleep(lab).is_empty());
    started
}

#[test]
fn ctrl_c_once_leaves_what_is_in_flight_to_the_next_run() {
    let lab = Slow::new();
    let mut child = start_slow(&lab);
    kill_process(child.pid(), Signal::INT).expect("the program runs");
    let began = Instant::now();
    assert_eq!(child.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10), "it waits for the far side");
    insta::assert_snapshot!("unfinished", lab.run("plan").exits(0));
}

#[test]
fn sigterm_and_ctrl_c_together_end_it_at_once() {
    let lab = Slow::new();
    let mut child = start_slow(&lab);
    let pid = child.pid();
    kill_process(pid, Signal::TERM).expect("the program runs");
    // It can have ended already.
    let _ = kill_process(pid, Signal::INT);
    assert_eq!(child.code(), Some(130));
}

#[test]
fn another_run_is_waited_for_and_told() {
    let lab = Slow::new();
    let mut first = start_slow(&lab);
    insta::assert_snapshot!("while_it_runs", lab.run("plan").exits(0));
    insta::assert_snapshot!("locked", lab.run("apply --auto-approve").exits(3));
    let began = Instant::now();
    let run = lab.run("apply --auto-approve --lock-timeout 1s").exits(3);
    assert!(began.elapsed() >= Duration::from_secs(1), "{run}");
    assert!(run.stderr.contains("waiting: "), "{run}");
    let _ = kill_process(first.pid(), Signal::INT);
    assert_eq!(first.code(), Some(130));
}

/// An operation that takes longer than it may has an exit code of its own: it may still come to its end.
#[test]
fn an_operation_that_runs_into_its_time_out() {
    let lab = Running::new(
        r#"
provider "local" {}
node "a" {}
simulator "exec" "slow" {
  placement = node.a
  command   = ["sleep", "1000"]
  ready {
    pattern = "never written"
    timeout = "15s"
  }
  timeouts { create = "1s" }
}
"#,
    );
    let late = lab.run("apply --auto-approve").exits(4);
    assert!(late.stdout.contains("did not end within its time-out of 1 s"), "{late}");
    let events = lab.run("apply --auto-approve --json").exits(4).stdout;
    let summary: serde_json::Value = events
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .expect("JSON");
    assert_eq!(summary["timed_out"], serde_json::json!(["simulator.exec.slow"]));
}
