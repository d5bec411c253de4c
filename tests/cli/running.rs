//! Fleets that run: nodes as agents on loopback, processes and vehicles on them.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, Run};

/// A pool with two processes that take no time to start.
pub const FLEET: &str = r#"
provider "local" {}

variable "size" {
  type    = number
  default = 2
}

variable "key" {
  type      = string
  sensitive = true
}

variable "word" { default = "one" }

pool "field" {
  node {
    max_simulators = 2
    port_range "web" {
      protocol = "tcp"
      from     = 21100
      to       = 21110
    }
  }
  autoscale {
    min = 1
    max = 2
  }
}

simulator "exec" "job" {
  count     = var.size
  placement = pool.field
  command   = ["sleep", "1000"]
  env       = { KEY = var.key, WORD = var.word }
  port "web" { range = "web" }
}

output "ports" { value = [for job in simulator.exec.job : job.ports.web] }
"#;

/// A fleet that is destroyed at the end, also when a check fails.
pub struct Running(Lab);

impl Running {
    pub fn new(fleet: &str) -> Self {
        Running(Lab::new(fleet))
    }
}

impl std::ops::Deref for Running {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let run = self.0.run("destroy --auto-approve --lock-timeout 60s");
        if !std::thread::panicking() {
            assert_eq!(run.code, Some(0), "{run}");
            let left = self.0.path().join(".simfleet/state.d");
            assert!(!left.exists(), "files of nodes are left: {run}");
        }
    }
}

pub fn pid_of(run: &Run, index: usize) -> Pid {
    let pid = run.json()[index]["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw)
        .unwrap_or_else(|| panic!("no process id: {run}"))
}

/// Waits until something holds; the state of processes is told by the system some time after it changed.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn from_nothing_to_running_and_back() {
    let lab = Running::new(FLEET);
    insta::assert_snapshot!("plan", lab.run("plan").exits(0));
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!("status", lab.run("status").exits(0));
    insta::assert_snapshot!("nodes", lab.run("nodes").exits(0));
    insta::assert_snapshot!("top", lab.run("top").exits(0));
    let top = lab.run("top --once --json").exits(0).json();
    assert!(top["nodes"][0]["cpu"].is_number() && top["at"].is_string(), "{top}");
    insta::assert_snapshot!("simulators", lab.run("simulators -o json").exits(0));
    lab.run("state check").exits(0);
    lab.write("pulled.json", &lab.run("state pull").exits(0).stdout);
    lab.run("state push pulled.json").exits(0);
    insta::assert_snapshot!("unchanged", lab.run("plan --detailed-exitcode").exits(0));
    insta::assert_snapshot!("more", lab.run("plan --var size=3").exits(0));
    insta::assert_snapshot!("fewer", lab.run("plan --var size=1").exits(0));
    lab.run("plan --var size=1 --fail-on interrupt").exits(5);
    insta::assert_snapshot!("replaced", lab.run("plan --var word=two").exits(0));
    insta::assert_snapshot!("destroyed", lab.run("plan --destroy").exits(0));
}

#[test]
fn a_process_that_died_is_drift_and_is_mended() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    let pid = pid_of(&lab.run("simulators -o json").exits(0), 0);
    kill_process(pid, Signal::KILL).expect("the process is there");
    eventually("drift", || lab.run("plan --detailed-exitcode").code == Some(2));
    insta::assert_snapshot!("drift", lab.run("plan").exits(0));
    insta::assert_snapshot!("drift_status", lab.run("simulators").exits(0));
    insta::assert_snapshot!("mended", lab.run("apply --auto-approve").exits(0));
    lab.run("plan --detailed-exitcode").exits(0);
}

/// A secret among the arguments of a command is one element of a list; the plan is made again from what is recorded.
/// What was asked for and is not there is no success, whether or not anything else was to do.
#[test]
fn a_simulator_without_a_place_is_a_failure() {
    let fleet = r#"
provider "local" {}

node "small" { max_simulators = 1 }

simulator "exec" "job" {
  count     = 2
  placement = node.small
  command   = ["sleep", "1000"]
}
"#;
    let lab = Running::new(fleet);
    lab.run("plan").exits(0);
    insta::assert_snapshot!("without_a_place", lab.run("apply --auto-approve").exits(1));
    insta::assert_snapshot!("still_without_a_place", lab.run("apply --auto-approve").exits(1));
    lab.run("plan --detailed-exitcode").exits(0);
    let last = lab.run("apply --auto-approve --json").exits(1);
    let last: serde_json::Value =
        serde_json::from_str(last.stdout.lines().last().unwrap_or_default()).expect("each line is JSON");
    assert_eq!(last["unplaced"][0]["address"], "simulator.exec.job[1]");
}

/// What runs goes on, nothing is made beside it, and with the state back all is as it was.
#[test]
fn a_state_that_is_deleted_while_agents_run_is_asked_for() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    let state = lab.path().join(".simfleet/state.db");
    let before = pid_of(&lab.run("simulators -o json").exits(0), 0);
    let kept = std::fs::read(&state).expect("a state");
    std::fs::remove_file(&state).expect("it is there");
    for line in ["plan", "apply --auto-approve", "destroy --auto-approve"] {
        let run = lab.run(line);
        assert!(run.stderr.contains("error: The state is missing"), "{run}");
    }
    std::fs::write(&state, kept).expect("writable");
    assert_eq!(pid_of(&lab.run("simulators -o json").exits(0), 0), before);
    lab.run("plan --detailed-exitcode").exits(0);
}

/// A node that does not answer is neither gone nor changed.
#[test]
fn what_cannot_be_reached_is_told_and_is_no_change() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    let agent = pid_of(&lab.run("nodes -o json").exits(0), 0);
    kill_process(agent, Signal::STOP).expect("the agent runs");
    let run = lab.run("plan --detailed-exitcode");
    kill_process(agent, Signal::CONT).expect("the agent is there");
    let run = run.exits(0);
    assert!(run.stderr.contains("warning: Not all could be looked at"), "{run}");
    assert!(
        run.stdout.contains("No changes. 3 resources cannot be reached."),
        "{run}"
    );
    let run = lab.run("plan --detailed-exitcode").exits(0);
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn a_folder_that_was_moved_is_found_where_it_is() {
    struct Moved(Lab);
    impl Drop for Moved {
        fn drop(&mut self) {
            for folder in ["one", "two"] {
                if self.0.path().join(folder).exists() {
                    let run = self.0.run(&format!("destroy {folder} --auto-approve"));
                    assert!(std::thread::panicking() || run.code == Some(0), "{run}");
                }
            }
        }
    }
    let lab = Moved(Lab::empty());
    std::fs::create_dir(lab.0.path().join("one")).expect("a folder can be made");
    lab.0.write("one/fleet.hcl", FLEET);
    lab.0.run("apply one --auto-approve").exits(0);
    std::fs::rename(lab.0.path().join("one"), lab.0.path().join("two")).expect("it can be moved");
    let run = lab.0.run("plan two --detailed-exitcode").exits(0);
    assert!(!run.stdout.contains("cannot be reached"), "{run}");
    lab.0.run("apply two --auto-approve").exits(0);
    let run = lab.0.run("plan two --detailed-exitcode").exits(0);
    assert_eq!(run.stdout, "No changes. The fleet is as declared.\n", "{run}");
    let pid = pid_of(&lab.0.run("simulators two -o json").exits(0), 0);
    lab.0.run("destroy two --auto-approve").exits(0);
    eventually("the process has ended", || {
        rustix::process::test_kill_process(pid).is_err()
    });
}

/// What a provider finds wrong names the attribute once.
#[test]
fn what_a_provider_refuses() {
    let lab = Lab::new(
        r#"
provider "local" {}

node "a" {}

simulator "exec" "job" {
  placement = node.a
  command   = ["sleep", "1000"]
  env       = { SIMFLEET_X = "1" }
  ready { tcp = "gsc" }
}
"#,
    );
    insta::assert_snapshot!("refused_by_the_provider", lab.run("plan").exits(1));
}

#[test]
fn a_failure_skips_what_needs_it_and_says_how_to_go_on() {
    let fleet = r#"
provider "local" {}

node "a" {}

simulator "exec" "broken" {
  placement = node.a
  command   = ["false"]
  ready {
    pattern = "never"
    timeout = "5s"
  }
}

value "after" { input = simulator.exec.broken.name }
value "beside" { input = 1 }
"#;
    let lab = Running::new(fleet);
    insta::assert_snapshot!("failed", lab.run("apply --auto-approve").exits(1));
    let run = lab.run("apply --auto-approve --json").exits(1);
    let last: serde_json::Value =
        serde_json::from_str(run.stdout.lines().last().unwrap_or_default()).expect("each line is JSON");
    assert_eq!(last["failed"][0]["address"], "simulator.exec.broken", "{run}");
    assert_eq!(last["skipped"][0]["address"], "value.after", "{run}");
    assert_eq!(last["continue"], "simfleet apply --auto-approve --json", "{run}");
}

/// Where the files of nodes are says where the nodes are: they are made anew in another folder, and none is lost.
#[test]
fn nodes_whose_folder_is_another_are_made_anew_there() {
    let text = |folder: &str| {
        format!(
            "provider \"local\" {{ data_dir = \"{folder}\" }}\nnode \"a\" {{}}\nsimulator \"exec\" \"s\" {{\n  placement = node.a\n  command = [\"sleep\", \"1000\"]\n}}\n"
        )
    };
    let lab = Running::new(&text("one"));
    lab.run("apply --auto-approve").exits(0);
    // A relative path starts at the fleet, not where the command is run.
    std::fs::create_dir(lab.path().join("elsewhere")).expect("a folder");
    let mut command = lab.command("plan --detailed-exitcode ../fleet.hcl --state ../.simfleet/state.db");
    let status = command.current_dir(lab.path().join("elsewhere")).status();
    assert_eq!(status.expect("it runs").code(), Some(0));

    let before = pid_of(&lab.run("nodes -o json").exits(0), 0);
    lab.write("fleet.hcl", &text("two"));
    insta::assert_snapshot!("another_folder", lab.run("plan").exits(0));
    lab.run("apply --auto-approve").exits(0);
    eventually("the old agent ends", || {
        rustix::process::test_kill_process(before).is_err()
    });
    assert_eq!(
        lab.run("status --json").exits(0).json()["nodes"][0]["status"],
        "running"
    );
    lab.run("plan --detailed-exitcode").exits(0);
}

#[test]
fn what_runs_on_a_node_that_is_replaced_first_ends_there_before_it_begins_anew() {
    let lab = Running::new(
        r#"
provider "local" {}

node "a" {
  lifecycle { create_before_destroy = true }
}

simulator "exec" "job" {
  placement   = node.a
  working_dir = abspath(path.root)
  command     = ["sh", "-c", "trap 'echo end >> told; exit 0' TERM; echo begin >> told; while :; do sleep 0.1; done"]
}
"#,
    );
    let told = || std::fs::read_to_string(lab.path().join("told")).unwrap_or_default();
    lab.run("apply --auto-approve").exits(0);
    eventually("it begins", || told() == "begin\n");
    lab.run("apply --auto-approve --replace node.a").exits(0);
    eventually("it begins anew", || told() == "begin\nend\nbegin\n");
}
