//! Simulators by hand: what is stopped and paused and held so, what is reset, what they write, and the audit log.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::lab::{Lab, SECRET};
use crate::running::{Running, eventually, pid_of};

/// Two processes that tell when they start; a secret is in their environment.
const FLEET: &str = r#"
provider "local" {}
variable "key" { sensitive = true }

node "a" {}

simulator "exec" "job" {
  count     = 2
  placement = node.a
  command   = ["sh", "-c", "echo up; exec sleep 1000"]
  env       = { KEY = var.key }
}

simulator "exec" "later" {
  count     = 0
  placement = node.a
  command   = ["true"]
}

value "v" {}
"#;

fn running() -> Running {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    lab
}

fn simulator(lab: &Lab, index: usize) -> Json {
    lab.run("simulators -o json").exits(0).json()[index].clone()
}

/// The lines of an audit log.
fn audit(lab: &Lab, path: &str) -> Vec<Json> {
    let lines = lab.read(path);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(parse).collect()
}

#[test]
fn what_is_stopped_by_hand_stays_so_until_it_is_started() {
    let lab = running();
    let other = simulator(&lab, 1)["pid"].clone();
    insta::assert_snapshot!("stopped", lab.run("simulator stop simulator.exec.job[0]").exits(0));
    insta::assert_snapshot!("stopped_status", lab.run("status").exits(0));
    insta::assert_snapshot!("stopped_simulators", lab.run("simulators").exits(0));
    insta::assert_snapshot!("stopped_plan", lab.run("plan --detailed-exitcode").exits(0));
    insta::assert_snapshot!("stopped_why", lab.run("why simulator.exec.job[0]").exits(0));
    let plan = lab.run("plan --json").exits(0).json();
    assert_eq!(plan["holds"][0]["state"], "stopped");
    assert_eq!(plan["holds"][0]["ends"], Json::Null);
    lab.run("apply --auto-approve").exits(0);
    // The agent that follows this one leaves it alone too.
    let agent = pid_of(&lab.run("nodes -o json").exits(0), 0);
    kill_process(agent, Signal::KILL).expect("the agent runs");
    lab.run("apply --auto-approve").exits(0);
    let stopped = simulator(&lab, 0);
    assert_eq!((&stopped["status"], &stopped["pid"]), (&json!("stopped"), &Json::Null));
    assert_eq!(stopped["hold"]["state"], "stopped");
    assert_eq!(simulator(&lab, 1)["pid"], other);

    insta::assert_snapshot!("again", lab.run("simulator stop simulator.exec.job[0]").exits(0));
    insta::assert_snapshot!("started", lab.run("simulator start simulator.exec.job").exits(0));
    assert_eq!(simulator(&lab, 0)["status"], "running");
    assert_eq!(simulator(&lab, 0)["hold"], Json::Null);
    assert_eq!(
        lab.run("plan --detailed-exitcode").exits(0).stdout,
        "No changes. The fleet is as declared.\n"
    );
    assert!(!lab.read(".simfleet/audit.jsonl").contains(SECRET));
    lab.run("state check").exits(0);
}

#[test]
fn what_is_paused_by_hand_goes_on_where_it_was() {
    let lab = running();
    let pid = simulator(&lab, 0)["pid"].clone();
    // Which of the two is told of first is not said.
    insta::assert_snapshot!("paused", lab.run("simulator pause simulator.exec.job").exits(0).stdout);
    assert_eq!(simulator(&lab, 0)["status"], "paused");
    assert_eq!(simulator(&lab, 1)["status"], "paused");
    lab.run("plan --detailed-exitcode").exits(0);
    // What is reset while it is paused is paused.
    lab.run("simulator reset simulator.exec.job[1]").exits(0);
    assert_eq!(simulator(&lab, 1)["status"], "paused");
    insta::assert_snapshot!(
        "resumed",
        lab.run("simulator resume simulator.exec.job").exits(0).stdout
    );
    let now = simulator(&lab, 0);
    assert_eq!((&now["status"], &now["pid"]), (&json!("running"), &pid));
    lab.run("plan --detailed-exitcode").exits(0);
}

#[test]
fn a_hold_ends_with_its_time_or_when_it_is_released() {
    let lab = running();
    lab.run("simulator stop simulator.exec.job[0] --for 1s").exits(0);
    lab.run("simulator stop simulator.exec.job[1] --for 2h").exits(0);
    eventually("the first hold ends", || {
        lab.run("plan --detailed-exitcode").code == Some(2)
    });
    insta::assert_snapshot!("over", lab.run("plan").exits(0));
    insta::assert_snapshot!("released", lab.run("plan --release-holds").exits(0));
    // Of a part of the fleet only that part.
    lab.run("apply --auto-approve --release-holds --target simulator.exec.job[0]")
        .exits(0);
    assert_eq!(simulator(&lab, 0)["hold"], Json::Null);
    assert_eq!(simulator(&lab, 1)["hold"]["state"], "stopped");
    lab.run("plan --release-holds --out released.plan").exits(0);
    lab.run("apply released.plan").exits(0);
    assert_eq!(simulator(&lab, 1)["hold"], Json::Null);
    assert_eq!(simulator(&lab, 1)["status"], "running");
    lab.run("plan --detailed-exitcode").exits(0);
}

/// What is made anew while it is held is held as well; what goes for good is held no more.
#[test]
fn a_hold_lasts_through_a_replacement_and_not_through_an_end() {
    let lab = running();
    lab.run("simulator stop simulator.exec.job").exits(0);
    lab.write(
        "fleet.hcl",
        &FLEET
            .replace("echo up", "echo anew")
            .replace("count     = 2", "count     = 1"),
    );
    insta::assert_snapshot!("replaced", lab.run("plan").exits(0));
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(simulator(&lab, 0)["status"], "stopped");
    lab.run("plan --detailed-exitcode").exits(0);
    lab.write("fleet.hcl", FLEET);
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(simulator(&lab, 1)["status"], "running");
}

/// Between the hold and the update, and between the update and its record.
#[test]
fn a_run_that_dies_leaves_the_hold_and_the_next_apply_stops_what_is_held() {
    for crash in ["after:1", "after:2", "before:3"] {
        let lab = running();
        let died = lab
            .command("simulator stop simulator.exec.job[0]")
            .env("SIMFLEET_TEST_CRASH", crash)
            .output()
            .expect("it runs");
        assert_eq!(died.status.code(), None, "{crash}: {died:?}");
        assert_eq!(simulator(&lab, 0)["hold"]["state"], "stopped", "{crash}");
        lab.run("apply --auto-approve").exits(0);
        assert_eq!(simulator(&lab, 0)["status"], "stopped", "{crash}");
        lab.run("plan --detailed-exitcode").exits(0);
        lab.run("state check").exits(0);
        lab.run("simulator start simulator.exec.job[0]").exits(0);
        assert_eq!(simulator(&lab, 0)["status"], "running", "{crash}");
    }
}

#[test]
fn a_reset_starts_it_anew_in_place() {
    let lab = running();
    let before = simulator(&lab, 0);
    insta::assert_snapshot!("reset", lab.run("simulator reset simulator.exec.job[0]").exits(0));
    let after = simulator(&lab, 0);
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!((&after["status"], &after["restarts"]), (&json!("running"), &json!(0)));
    assert_eq!(
        lab.run("simulator logs simulator.exec.job[0]").exits(0).stdout,
        "up\nup\n"
    );
    lab.run("plan --detailed-exitcode").exits(0);
    lab.run("simulator stop simulator.exec.job[0]").exits(0);
    insta::assert_snapshot!(
        "reset_of_what_is_stopped",
        lab.run("simulator reset simulator.exec.job").exits(1)
    );
}

#[test]
fn what_is_refused_is_told_and_written_down() {
    let lab = running();
    lab.write("firmware.elf", "");
    lab.run("simulator stop simulator.exec.job[0]").exits(0);
    let mut report = String::new();
    for line in [
        "simulator stop simulator.exec.jab",
        "simulator stop node.a",
        "simulator stop value.v simulator.exec.job[1]",
        "simulator stop simulator.exec.job[7]",
        "simulator stop simulator.exec.later",
        "simulator pause simulator.exec.job[0]",
        "simulator resume simulator.exec.job[0]",
        "simulator load simulator.exec.job[1] firmware.elf",
        "simulator load simulator.exec.job[1] missing.elf",
        "simulator snapshot simulator.exec.job[1] first",
        "simulator restore simulator.exec.job[1] first",
        "simulator gdb simulator.exec.job[1]",
    ] {
        report.push_str(&format!("{}\n", lab.run(line).exits(1)));
    }
    insta::assert_snapshot!(report);
    assert_eq!(simulator(&lab, 1)["status"], "running");
    let lines = audit(&lab, ".simfleet/audit.jsonl");
    let refused = lines.iter().filter(|line| line["result"] == "error");
    let refused: Vec<_> = refused
        .map(|line| line["address"].as_str().expect("text").to_owned())
        .collect();
    // What names a file that is not there is wrong usage; that a log has no times is found out when it is read.
    assert_eq!(refused.len(), 12, "{refused:?}");
    for line in [
        "simulator",
        "simulator stop",
        "simulator stop 'a b'",
        "simulator stop simulator.exec.job --for soon",
    ] {
        lab.run(line).exits(64);
    }
}

#[test]
fn what_cannot_be_reached_is_left_alone() {
    let lab = running();
    let agent = pid_of(&lab.run("nodes -o json").exits(0), 0);
    kill_process(agent, Signal::STOP).expect("the agent runs");
    let run = lab.run("simulator stop simulator.exec.job[0]");
    kill_process(agent, Signal::CONT).expect("the agent is there");
    let run = run.exits(1);
    assert!(run.stderr.contains("error: Not reachable"), "{run}");
    let now = simulator(&lab, 0);
    assert_eq!((&now["status"], &now["hold"]), (&json!("running"), &Json::Null));
}

#[test]
fn what_a_simulator_writes_is_read_and_followed() {
    let lab = Running::new(
        r#"
provider "local" {}
simulator "exec" "talker" {
  count     = 2
  placement = "local"
  command   = ["sh", "-c", "for i in 1 2 3; do echo line $i; done; while [ ! -e go ]; do sleep 0.05; done; echo went; exec sleep 1000"]
}
"#,
    );
    lab.run("apply --auto-approve").exits(0);
    let all = lab.run("simulator logs simulator.exec.talker[0]").exits(0);
    assert_eq!(all.stdout, "line 1\nline 2\nline 3\n");
    insta::assert_snapshot!(
        "logs",
        lab.run("simulator logs simulator.exec.talker --tail 2").exits(0)
    );
    // Until it ends.
    let mut following = lab
        .command("simulator logs simulator.exec.talker[0] --follow --tail 1")
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(following.stdout.take().expect("it is piped")).lines();
    let mut next = || lines.next().map(|line| line.expect("UTF-8"));
    assert_eq!(next().as_deref(), Some("line 3"));
    lab.run("simulator stop simulator.exec.talker[0]").exits(0);
    assert_eq!(next(), None);
    assert_eq!(following.wait().expect("it ends").code(), Some(0));
    // Until Ctrl-C.
    let mut following = lab
        .command("simulator logs simulator.exec.talker[1] --follow")
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(following.stdout.take().expect("it is piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "line 1");
    let pid = i32::try_from(following.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    kill_process(pid, Signal::INT).expect("it runs");
    assert_eq!(following.wait().expect("it ends").code(), Some(130));
    // Until nobody reads.
    let mut following = lab
        .command("simulator logs simulator.exec.talker[1] --follow")
        .spawn()
        .expect("it runs");
    drop(following.stdout.take());
    assert_eq!(following.wait().expect("it ends").code(), Some(0));
    let mut told = String::new();
    following
        .stderr
        .take()
        .expect("it is piped")
        .read_to_string(&mut told)
        .expect("UTF-8");
    assert_eq!(told, "");
}

#[test]
fn what_a_process_wrote_lately_is_told_apart() {
    let lab = Running::new(
        r#"
provider "local" {}
simulator "exec" "talker" {
  placement = "local"
  command   = ["sh", "-c", "echo early; sleep 12; echo late; exec sleep 1000"]
}
"#,
    );
    lab.run("apply --auto-approve").exits(0);
    let log = |flags: &str| {
        let told = lab.run(&format!("simulator logs simulator.exec.talker {flags}"));
        told.exits(0).stdout
    };
    let until = Instant::now() + Duration::from_secs(60);
    while log("--tail 1") != "late\n" {
        assert!(Instant::now() < until, "{}", log(""));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(log("--since 5s"), "late\n");
    assert_eq!(log("--since 1h"), "early\nlate\n");
    assert_eq!(log("--since 1h --tail 1"), "late\n");
}

#[test]
fn the_audit_log_says_who_did_what() {
    let fleet = format!("{FLEET}\naudit {{\n  path  = \"who.jsonl\"\n  fsync = true\n}}\n");
    let lab = Running::new(&fleet);
    lab.run("simulator stop simulator.exec.job").exits(1);
    lab.run("apply --auto-approve").exits(0);
    let from_afar = lab
        .command("simulator stop simulator.exec.job[0] --for 90m")
        .env("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22")
        .output();
    assert!(from_afar.expect("it runs").status.success());
    lab.run("simulator logs simulator.exec.job[0] --tail 1").exits(0);
    let lines = audit(&lab, "who.jsonl");
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            [
                &line["action"],
                &line["address"],
                &line["result"],
                &line["from"],
                &line["parameters"],
            ]
        })
        .map(|fields| fields.map(ToString::to_string).join(" "))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(
        lines
            .iter()
            .all(|line| line["by"].as_str().is_some_and(|by| by.starts_with("ann@")))
    );
    assert!(
        lines
            .iter()
            .all(|line| line["at"].as_str().is_some_and(|at| at.ends_with('Z')))
    );
    assert_eq!(lines[0]["message"], "simulator.exec.job is declared, and not made yet.");
    let file = lab.path().join("who.jsonl");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What nobody could tell afterwards is not done.
    std::fs::remove_file(&file).expect("it is there");
    std::fs::create_dir(&file).expect("a folder");
    insta::assert_snapshot!("unwritable", lab.run("simulator stop simulator.exec.job[1]").exits(1));
    assert_eq!(simulator(&lab, 1)["status"], "running");
}

#[test]
fn what_a_full_disk_keeps_out_of_the_audit_log_is_told_as_done() {
    let lab = running();
    let log = lab.path().join(".simfleet/audit.jsonl");
    std::os::unix::fs::symlink("/dev/full", log).expect("a link");
    insta::assert_snapshot!("unwritten", lab.run("simulator stop simulator.exec.job[0]").exits(1));
    assert_eq!(simulator(&lab, 0)["status"], "stopped");
    // What was not done is not told as done.
    insta::assert_snapshot!(
        "unwritten_refusal",
        lab.run("simulator pause simulator.exec.job[0]").exits(1)
    );
}

/// A process that nobody uses, beside one that may be idle.
const IDLE: &str = r#"
provider "local" {}
node "a" {}

simulator "exec" "idle" {
  placement    = node.a
  command      = ["sh", "-c", "echo up; exec sleep 1000"]
  idle_timeout = "2s"
}

simulator "exec" "busy" {
  placement    = node.a
  command      = ["sleep", "1000"]
  idle_timeout = "1h30m"
}

value "after" {
  depends_on = [simulator.exec.idle]
  input      = "one"
}
"#;

#[test]
fn one_that_is_idle_is_stopped_and_is_as_declared() {
    let lab = Running::new(IDLE);
    lab.run("apply --auto-approve").exits(0);
    eventually("it is stopped", || simulator(&lab, 1)["status"] == "stopped");
    assert_eq!(simulator(&lab, 1)["reason"], "idle for 2s");
    insta::assert_snapshot!("idle_status", lab.run("status").exits(0));
    insta::assert_snapshot!("idle_plan", lab.run("plan --detailed-exitcode").exits(0));
    insta::assert_snapshot!("idle_why", lab.run("why simulator.exec.idle").exits(0));
    let plan = lab.run("plan --json").exits(0).json();
    assert_eq!(plan["summary"]["update"], 0, "{plan}");
    // What needs it need not wait for it, and the next agent leaves it alone.
    let agent = pid_of(&lab.run("nodes -o json").exits(0), 0);
    kill_process(agent, Signal::KILL).expect("the agent runs");
    lab.write("fleet.hcl", &IDLE.replace("\"one\"", "\"two\""));
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(simulator(&lab, 1)["status"], "stopped");

    let log = || lab.run("simulator logs simulator.exec.idle").exits(0).stdout.clone();
    assert_eq!(log(), "up\n");
    insta::assert_snapshot!("idle_started", lab.run("simulator start simulator.exec.idle").exits(0));
    assert_eq!(log(), "up\nup\n");
    // A changed block starts it, too.
    eventually("it is stopped again", || simulator(&lab, 1)["status"] == "stopped");
    let changed = IDLE.replace("\"2s\"", "\"2h\"");
    lab.write("fleet.hcl", &changed);
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(simulator(&lab, 1)["status"], "running");
    assert_eq!(log(), "up\nup\nup\n");
    // Nothing is interrupted that does not run.
    lab.run("simulator stop simulator.exec.idle").exits(0);
    let anew = lab.run("plan --replace simulator.exec.idle --json").exits(0).json();
    assert_eq!(
        (&anew["summary"]["replace"], &anew["interrupts"]),
        (&json!(1), &json!([]))
    );
}

#[test]
fn what_is_not_stopped_by_itself_says_so() {
    let lab = Lab::new(
        "provider \"local\" {}\nprovider \"docker\" {}\n\
         simulator \"vehicle\" \"v\" {\n  placement    = \"local\"\n  idle_timeout = \"1h\"\n}\n\
         simulator \"container\" \"c\" {\n  placement    = \"local\"\n  image        = \"busybox\"\n  idle_timeout = \"1h\"\n}\n",
    );
    insta::assert_snapshot!("not_stopped_by_itself", lab.run("plan").exits(1));
    lab.write("fleet.hcl", &IDLE.replace("\"2s\"", "\"0s\""));
    insta::assert_snapshot!("idle_for_no_time", lab.run("validate").exits(1));
}
