//! Fleets that run: nodes as agents on loopback, processes and vehicles on them.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::lab::{Lab, Run, SECRET};

/// A pool with two processes that take no time to start.
const FLEET: &str = r#"
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
#[test]
fn saved_plans_of_commands_with_secrets() {
    let lab = Running::new(
        r#"
provider "local" {}
variable "key" { sensitive = true }
variable "word" { default = "one" }
node "a" {}
simulator "exec" "job" {
  placement = node.a
  command   = ["sh", "-c", "exec sleep 1000", var.word, var.key]
}
"#,
    );
    lab.run("apply --auto-approve").exits(0);
    for (plan, done) in [("--var word=one", "0 replaced"), ("--var word=two", "1 replaced")] {
        lab.run(&format!("plan --out kept.plan {plan}")).exits(0);
        assert!(!lab.read("kept.plan").contains(SECRET), "the plan holds a secret");
        let run = lab.run("apply kept.plan").exits(0);
        assert!(run.stdout.contains(done), "{run}");
    }
}

/// A plan carries its variables: only secrets are given again, and nothing of the files that are there now is read.
#[test]
fn saved_plans_carry_their_variables() {
    let fleet = r#"
variable "word" { type = string }
variable "key" { sensitive = true }
value "v" { input = "${var.word} ${sha256(var.key)}" }
output "word" { value = split(" ", nonsensitive(value.v.output))[0] }
"#;
    let lab = Running::new(fleet);
    lab.run("plan --out kept.plan --var word=one").exits(0);
    lab.write("fleet.hcl", "what is this");
    insta::assert_snapshot!("another_variable", lab.run("apply kept.plan --var word=two").exits(1));
    lab.run("show kept.plan").exits(0);
    let run = lab.run("apply kept.plan --var word=one").exits(0);
    assert!(run.stdout.contains("word = \"one\""), "{run}");
    lab.write("fleet.hcl", fleet);
}

/// `plantimestamp()` is when the plan was made, however much later it is carried out.
#[test]
fn a_saved_plan_carries_its_time() {
    let lab = Running::new(
        "value \"planned\" { input = plantimestamp() }\nvalue \"now\" { input = timestamp() }\n\
         output \"all\" { value = [value.planned.output, value.now.output, uuid()] }\n",
    );
    lab.run("plan --out kept.plan").exits(0);
    let shown: Value = serde_json::from_str(&lab.run("show kept.plan --json").exits(0).stdout).expect("JSON");
    std::thread::sleep(Duration::from_millis(1100));
    lab.run("apply kept.plan").exits(0);
    let outputs: Value = serde_json::from_str(&lab.run("show --json").exits(0).stdout).expect("JSON");
    let all = outputs["outputs"]["all"]["value"].as_array().expect("a list");
    let planned = shown["changes"].as_array().expect("a list").iter();
    let planned = planned.filter(|change| change["address"] == "value.planned");
    let planned: Vec<&Value> = planned.map(|change| &change["after"]["input"]).collect();
    assert_eq!(planned, [&all[0]], "{shown}");
    let times: Vec<jiff::Timestamp> = all[..2]
        .iter()
        .map(|time| time.as_str().expect("a text").parse().expect("a time"))
        .collect();
    assert!(times[0] < times[1], "{all:?}");
    assert_eq!(all[2].as_str().map(str::len), Some(36), "{all:?}");
}

#[test]
fn a_plan_is_not_kept_over_a_fleet_file_or_a_folder() {
    let lab = Running::new("value \"v\" {}\n");
    insta::assert_snapshot!("out_is_a_fleet_file", lab.run("plan --out fleet.hcl").exits(64));
    assert_eq!(lab.read("fleet.hcl"), "value \"v\" {}\n");
    insta::assert_snapshot!("out_is_a_folder", lab.run("plan --out .").exits(1));
}

#[test]
fn saved_plans() {
    let lab = Running::new(FLEET);
    lab.run("plan --out first.plan").exits(0);
    lab.run("show first.plan").exits(0);
    lab.run("apply first.plan").exits(0);
    insta::assert_snapshot!("stale", lab.run("apply first.plan").exits(1));
    let plan = lab.run("plan --out second.plan --var size=1").exits(0);
    assert_eq!(lab.run("show second.plan").exits(0).stdout, plan.stdout);
    assert_eq!(
        lab.run("show --json second.plan").exits(0).json(),
        lab.run("plan --json --var size=1").exits(0).json()
    );
    for file in ["first.plan", "second.plan"] {
        assert!(!lab.read(file).contains(SECRET), "{file} holds a secret");
    }
    let forgotten = lab
        .command("apply second.plan")
        .env_remove("SIMFLEET_VAR_key")
        .output()
        .expect("it runs");
    assert_eq!(forgotten.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&forgotten.stderr).contains("SIMFLEET_VAR_key"),
        "{forgotten:?}"
    );
    lab.run("apply second.plan --replace node.a").exits(64);
    lab.run("apply second.plan --destroy").exits(64);
    insta::assert_snapshot!("saved", lab.run("apply second.plan").exits(0));
    assert_eq!(
        lab.run("state list").exits(0).stdout,
        "pool.field/m1\nsimulator.exec.job[0]\n"
    );
}

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
