//! Simulators that somebody has for themselves.

use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::running::{Running, eventually};

const FLEET: &str = r#"
provider "local" {}

node "a" {}

simulator "exec" "job" {
  count     = 2
  placement = node.a
  command   = ["sleep", "1000"]
}
"#;

fn running() -> Running {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    lab
}

impl Running {
    /// Who has each simulator.
    fn owners(&self) -> Vec<Json> {
        let simulators = self.run("simulators -o json").exits(0).json();
        let all = simulators.as_array().expect("a list").iter();
        let name = |by: &Json| by.as_str().and_then(|by| Some(by.split_once('@')?.0.to_owned()));
        all.map(|it| json!(name(&it["allocation"]["by"]))).collect()
    }
}

#[test]
fn what_is_allocated_is_nobody_elses_until_it_is_released() {
    let lab = running();
    insta::assert_snapshot!("taken", lab.run("simulator allocate simulator.exec.job[0]").exits(0));
    insta::assert_snapshot!("taken_status", lab.run("status").exits(0));
    insta::assert_snapshot!(
        "refused",
        lab.run_as("bob", "simulator allocate simulator.exec.job[0]").exits(1)
    );
    // All of them or none.
    lab.run_as("bob", "simulator allocate simulator.exec.job").exits(1);
    assert_eq!(lab.owners(), [json!("ann"), json!(null)]);
    insta::assert_snapshot!(
        "not_his",
        lab.run_as("bob", "simulator release simulator.exec.job[0]").exits(1)
    );
    // It changes nothing of the simulator.
    lab.run("plan --detailed-exitcode").exits(0);
    insta::assert_snapshot!("released", lab.run("simulator release simulator.exec.job").exits(0));
    lab.run_as("bob", "simulator allocate simulator.exec.job[0] --for 2h")
        .exits(0);
    assert_eq!(lab.owners(), [json!("bob"), json!(null)]);
    lab.run("simulator release simulator.exec.job[0] --force").exits(0);
    assert_eq!(lab.owners(), [json!(null), json!(null)]);
    let audit = lab.read(".simfleet/audit.jsonl");
    let lines: Vec<Json> = audit
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told = |line: &Json| format!("{} {} {}", line["action"], line["address"], line["result"]).replace('"', "");
    insta::assert_snapshot!("audit", lines.iter().map(told).collect::<Vec<_>>().join("\n"));
    lab.run("state check").exits(0);
}

#[test]
fn what_is_forgotten_says_whose_it_was() {
    let lab = running();
    lab.run("simulator allocate simulator.exec.job[0] --for 2h").exits(0);
    lab.run("simulator stop simulator.exec.job[1]").exits(0);
    insta::assert_snapshot!("forgotten", lab.run("state rm simulator.exec.job").exits(0));
    lab.run("state check").exits(0);
}

#[test]
fn any_that_is_free_is_given_and_waited_for() {
    let lab = running();
    let first = lab
        .run("simulator allocate simulator.exec.job --any --json")
        .exits(0)
        .json();
    assert_eq!(first[0]["address"], "simulator.exec.job[0]");
    assert_eq!(first[0]["status"], "running");
    assert_eq!(first.as_array().map(Vec::len), Some(1));
    // What was stopped by hand is not what anybody wants.
    lab.run("simulator stop simulator.exec.job[1]").exits(0);
    insta::assert_snapshot!(
        "none",
        lab.run_as("bob", "simulator allocate simulator.exec.job --any")
            .exits(1)
    );
    let waiting = "simulator allocate simulator.exec.job --any --for 1h --wait 60s";
    let mut waiting = lab.command(waiting);
    let waiting = waiting
        .env("USER", "bob")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    lab.run("simulator start simulator.exec.job[1]").exits(0);
    let ended = waiting.wait_with_output().expect("it was started");
    assert!(ended.status.success());
    assert_eq!(lab.owners(), [json!("ann"), json!("bob")]);
}

/// A plan says whose work it stops. What goes is nobody's, and so is what was somebody's until a time that is over.
#[test]
fn a_plan_says_whose_simulators_it_stops() {
    let lab = running();
    lab.run("simulator allocate simulator.exec.job --for 1h").exits(0);
    lab.write("fleet.hcl", &FLEET.replace("count     = 2", "count     = 1"));
    insta::assert_snapshot!("plan", lab.run("plan").exits(0));
    let plan = lab.run("plan --json").exits(0).json();
    assert!(
        plan["interrupts"][0]["allocation"]["by"]
            .as_str()
            .is_some_and(|by| by.starts_with("ann@"))
    );
    lab.run("apply --auto-approve").exits(0);
    let state = lab.run("state pull").exits(0).json();
    let left: Vec<&String> = state["state"]["allocations"]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    assert_eq!(left, ["simulator.exec.job[0]"]);
    lab.run("simulator allocate simulator.exec.job[0] --for 1s").exits(0);
    eventually("its time is over", || lab.owners() == [json!(null)]);
    lab.run_as("bob", "simulator allocate simulator.exec.job[0]").exits(0);
    let over = lab.run("simulator allocate simulator.exec.job[0] --for 0s").exits(1);
    assert!(over.stderr.contains("That is over at once"), "{over}");
    lab.run("destroy --auto-approve").exits(0);
    lab.run("state check").exits(0);
}

#[test]
fn of_many_who_want_one_each_gets_another() {
    let lab = Running::new(&FLEET.replace("count     = 2", "count     = 6"));
    lab.run("apply --auto-approve").exits(0);
    let start = |user: usize| {
        let mut command = lab.command("simulator allocate simulator.exec.job --any --wait 60s --json");
        let command = command.env("USER", format!("user{user}")).stdout(Stdio::piped());
        command.spawn().expect("the program starts")
    };
    let started: Vec<_> = (0..6).map(start).collect();
    let mut given: Vec<String> = started
        .into_iter()
        .map(|child| {
            let ended = child.wait_with_output().expect("it was started");
            assert!(ended.status.success(), "{ended:?}");
            let given: Json = serde_json::from_slice(&ended.stdout).expect("JSON");
            given[0]["address"].as_str().expect("an address").to_owned()
        })
        .collect();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 6, "{given:?}");
}
