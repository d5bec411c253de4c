//! Nodes and members of pools that run a workload of their own.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value as Json;

use crate::lab::{Lab, Run};
use crate::running::{Running, eventually};

/// A pool of workers that write down when they begin and end, each where and as what.
fn workers(min: usize, word: &str) -> String {
    format!(
        r#"
provider "local" {{}}

pool "web" {{
  node {{
    process "worker" {{
      command     = ["sh", "-c", "trap 'echo end $0 >> told; exit 0' TERM; echo begin $0 $WORD >> told; echo up; while :; do sleep 0.1; done", member.number]
      working_dir = abspath(path.root)
      env         = {{ WORD = "{word}-${{member.name}}" }}
      ready {{ pattern = "^up$" }}
    }}
  }}
  autoscale {{
    min = {min}
    max = 4
  }}
}}
"#
    )
}

fn told(folder: &Path) -> Vec<String> {
    let told = std::fs::read_to_string(folder.join("told")).unwrap_or_default();
    told.lines().map(str::to_owned).collect()
}

/// Returns what was told since then.
fn told_since(folder: &Path, before: usize) -> Vec<String> {
    told(folder).split_off(before)
}

fn nodes(lab: &Lab) -> Json {
    lab.run("nodes -o json").exits(0).json()
}

/// Returns what is said of nodes, without what is measured and the numbers of processes.
fn said(mut nodes: Json) -> String {
    fn without_pid(of: &mut Json) {
        of["pid"] = Json::from(of["pid"].is_u64());
    }
    for node in nodes.as_array_mut().expect("a list") {
        for measured in ["cpu", "memory", "endpoint", "runtime"] {
            node.as_object_mut().expect("an object").remove(measured);
        }
        without_pid(node);
        node["processes"]
            .as_array_mut()
            .expect("a list")
            .iter_mut()
            .for_each(without_pid);
    }
    format!("{nodes:#}")
}

fn pid_of(process: &Json) -> Pid {
    let pid = process["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw)
        .unwrap_or_else(|| panic!("no process id: {process}"))
}

fn is_empty(lab: &Lab) -> bool {
    lab.run("plan --detailed-exitcode").code == Some(0)
}

#[test]
fn members_run_a_process_each_from_the_first_to_the_last() {
    let lab = Running::new(&workers(2, "one"));
    insta::assert_snapshot!("plan", lab.run("plan").exits(0));
    lab.run("apply --auto-approve").exits(0);
    let mut first = told(lab.path());
    first.sort();
    assert_eq!(first, ["begin 1 one-web-m1", "begin 2 one-web-m2"]);
    lab.run("plan --detailed-exitcode").exits(0);
    insta::assert_snapshot!("nodes", said(nodes(&lab)));
    insta::assert_snapshot!("status", lab.run("status").exits(0));
    assert_eq!(
        lab.run("state list").exits(0).stdout,
        "pool.web/m1\npool.web/m1/worker\npool.web/m2\npool.web/m2/worker\n"
    );

    // What a member writes is read as what a simulator writes, and nothing else is done with it by hand.
    assert_eq!(lab.run("simulator logs pool.web/m1").exits(0).stdout, "up\n");
    let both = lab.run("simulator logs pool.web").exits(0).stdout;
    assert_eq!(both.matches(" up\n").count(), 2, "{both}");
    lab.run("simulator stop pool.web/m1").exits(1);

    // It grows: the new member is there once its worker is.
    lab.write("fleet.hcl", &workers(3, "one"));
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(told_since(lab.path(), 2), ["begin 3 one-web-m3"]);

    // Another environment: one worker after the other.
    lab.write("fleet.hcl", &workers(3, "two"));
    insta::assert_snapshot!("rolls", lab.run("plan").exits(0));
    let before = told(lab.path()).len();
    lab.run("apply --auto-approve").exits(0);
    let rolled = told_since(lab.path(), before);
    let expected = (1..=3).flat_map(|member| [format!("end {member}"), format!("begin {member} two-web-m{member}")]);
    assert_eq!(rolled, expected.collect::<Vec<_>>());
    lab.run("plan --detailed-exitcode").exits(0);

    // It shrinks: the worker of the member that goes ends as it was asked to.
    lab.write("fleet.hcl", &workers(1, "two").replace("max = 4", "max = 1"));
    insta::assert_snapshot!("shrinks", lab.run("plan").exits(0));
    let before = told(lab.path()).len();
    lab.run("apply --auto-approve").exits(0);
    let mut ended = told_since(lab.path(), before);
    ended.sort();
    assert_eq!(ended, ["end 2", "end 3"]);
    assert!(is_empty(&lab));
    let last = pid_of(&nodes(&lab)[0]["processes"][0]);
    lab.run("destroy --auto-approve").exits(0);
    eventually("the last worker has ended", || test_kill_process(last).is_err());
}

/// What was killed by hand is seen with its node, and started by the next apply.
#[test]
fn a_process_of_a_member_that_was_killed_is_told_and_healed() {
    let lab = Running::new(&workers(2, "one"));
    lab.run("apply --auto-approve").exits(0);
    let before = nodes(&lab);
    kill_process(pid_of(&before[0]["processes"][0]), Signal::KILL).expect("it runs");
    eventually("it is seen", || !is_empty(&lab));
    insta::assert_snapshot!("unhealthy_nodes", said(nodes(&lab)));
    insta::assert_snapshot!("unhealthy", lab.run("status").exits(0));
    insta::assert_snapshot!("heals", lab.run("plan").exits(0));
    lab.run("apply --auto-approve").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
    let after = nodes(&lab);
    assert_eq!(after[0]["status"], "running");
    assert_ne!(after[0]["processes"][0]["pid"], before[0]["processes"][0]["pid"]);
    assert_eq!(
        after[1]["processes"], before[1]["processes"],
        "the other one was left alone"
    );
    assert_eq!(after[0]["pid"], before[0]["pid"], "as were the agents");
}

/// With its agent dead a member's process runs on, and the next agent takes it over.
#[test]
fn a_process_of_a_node_outlives_its_agent() {
    let lab = Running::new(
        r#"
provider "local" {}
node "a" {
  process "worker" { command = ["sleep", "1000"] }
}
"#,
    );
    lab.run("apply --auto-approve").exits(0);
    let before = nodes(&lab);
    kill_process(pid_of(&before[0]), Signal::KILL).expect("the agent runs");
    eventually("it is seen", || !is_empty(&lab));
    lab.run("apply --auto-approve").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
    let after = nodes(&lab);
    assert_ne!(after[0]["pid"], before[0]["pid"]);
    assert_eq!(after[0]["processes"], before[0]["processes"]);
}

/// A part of a member goes with it in a plan of a part of the fleet, too.
#[test]
fn a_member_that_is_targeted_takes_its_process_along() {
    let lab = Running::new(&workers(2, "one"));
    lab.run("apply --auto-approve --target pool.web/m1").exits(0);
    assert_eq!(
        lab.run("state list").exits(0).stdout,
        "pool.web/m1\npool.web/m1/worker\n"
    );
    lab.run("apply --auto-approve").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
}

/// A roll ends with the first member whose process does not come up.
#[test]
fn a_worker_that_does_not_come_up_ends_the_roll() {
    let lab = Running::new(&workers(3, "one"));
    lab.run("apply --auto-approve").exits(0);
    let broken = workers(3, "two").replace("echo up;", "echo no such port; exit 3;");
    lab.write("fleet.hcl", &broken);
    let run = lab.run("apply --auto-approve").exits(1);
    insta::assert_snapshot!("does_not_come_up", run);
    let status: Vec<Json> = nodes(&lab)
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| node["status"].clone())
        .collect();
    assert_eq!(
        status,
        ["running", "running", "running"],
        "what is not there is in the plan, not in the status"
    );
    lab.write("fleet.hcl", &workers(3, "two"));
    lab.run("apply --auto-approve").exits(0);
    assert!(is_empty(&lab));
}

/// What a node runs itself takes no place of a simulator.
#[test]
fn simulators_have_their_places_beside_a_process_of_their_node() {
    let lab = Running::new(
        r#"
provider "local" {}
node "a" {
  max_simulators = 1
  process "worker" { command = ["sleep", "1000"] }
}
simulator "exec" "job" {
  placement = node.a
  command   = ["sleep", "1000"]
}
"#,
    );
    lab.run("apply --auto-approve").exits(0);
    let node = &nodes(&lab)[0];
    assert_eq!(
        (&node["simulators"], &node["max_simulators"]),
        (&Json::from(1), &Json::from(1))
    );
    assert!(is_empty(&lab));
}

/// Workers that are healthy a while after they begin, as long as there is a file of theirs.
fn checked(word: &str, more: &str) -> String {
    let check = r#"health_check {
      command   = ["test", "-e", "${abspath(path.root)}/{member}.ok"]
      interval  = "5s"
      unhealthy_threshold = 20
    }"#;
    let worker = "begin $0 $WORD >> told; (sleep 0.5; echo healthy $0 >> told; touch web-m$0.ok) &";
    workers(3, word)
        .replace("node {", &format!("node {{\n    {check}"))
        .replace("begin $0 $WORD >> told;", worker)
        .replace("end $0 >> told;", "end $0 >> told; rm -f web-m$0.ok;")
        .replace("autoscale {", &format!("{more}\n  autoscale {{"))
}

/// The next member goes once the one before is healthy, and what needs the pool waits for all of them.
#[test]
fn a_member_counts_once_it_is_healthy() {
    let needs = "\nvalue \"after\" { input = [for m in pool.web.members : m.address] }\n";
    let lab = Running::new(&(checked("one", "") + needs));
    let run = lab.run("apply --auto-approve").exits(0);
    assert_eq!(
        told(lab.path())
            .iter()
            .filter(|line| line.starts_with("healthy"))
            .count(),
        3,
        "{run}"
    );
    let at = |text: &str| run.stderr.find(text).unwrap_or_else(|| panic!("{text}: {run}"));
    assert!(at("value.after: creating") > at("pool.web/m3: healthy"), "{run}");
    lab.run("plan --detailed-exitcode").exits(0);

    lab.write("fleet.hcl", &(checked("two", "") + needs));
    let before = told(lab.path()).len();
    lab.run("apply --auto-approve").exits(0);
    let rolled = told_since(lab.path(), before);
    let of_one = |member| {
        [
            format!("end {member}"),
            format!("begin {member} two-web-m{member}"),
            format!("healthy {member}"),
        ]
    };
    assert_eq!(rolled, (1..=3).flat_map(of_one).collect::<Vec<_>>());

    // What is not healthy is told, and is no change: no call would mend it.
    std::fs::remove_file(lab.path().join("web-m2.ok")).expect("it is there");
    let run = lab.run("plan --detailed-exitcode").exits(0);
    insta::assert_snapshot!("unhealthy_plan", run);
    let nodes = nodes(&lab);
    let status: Vec<&Json> = nodes
        .as_array()
        .expect("a list")
        .iter()
        .map(|node| &node["status"])
        .collect();
    assert_eq!(status, ["running", "unhealthy", "running"]);
    let reason = nodes[1]["reason"].as_str().expect("it is told");
    assert!(
        reason.starts_with("its check says: `test` ended with exit status: 1"),
        "{reason}"
    );
    lab.run("apply --auto-approve --replace pool.web/m2").exits(0);
    assert_eq!(lab.run("plan").exits(0).stderr, "");
}

/// The apply tells what the last look found, and goes no further.
#[test]
fn a_member_that_does_not_become_healthy_ends_the_roll() {
    let lab = Running::new(&checked("one", ""));
    lab.run("apply --auto-approve").exits(0);
    let never = checked("two", "")
        .replace("touch web-m$0.ok", "true")
        .replace("= 20", "= 1");
    lab.write("fleet.hcl", &never);
    let before = told(lab.path()).len();
    let run = lab.run("apply --auto-approve").exits(1);
    let failed = run.stdout.split("Failed:").nth(1).unwrap_or_default();
    insta::assert_snapshot!("does_not_become_healthy", failed);
    let since = told_since(lab.path(), before);
    assert!(!since.contains(&"end 2".to_owned()), "{since:?}");
    lab.write("fleet.hcl", &checked("three", ""));
    lab.run("apply --auto-approve").exits(0);
    assert!(is_empty(&lab));
}

/// Workers that serve a folder over HTTP, looked at over the network.
#[test]
#[ignore = "needs Python; scripts/test installs it"]
fn members_that_serve_http_are_looked_at() {
    let lab = Running::new(
        r#"
provider "local" {}
pool "web" {
  node {
    process "http" {
      command     = ["sh", "-c", "exec python3 -m http.server 8080 --bind $SIMFLEET_ADDRESS"]
      working_dir = abspath(path.root)
      ready { tcp = "8080" }
    }
    health_check { http = "http://{private_ip}:8080/{member}.txt" }
  }
  autoscale {
    min = 2
    max = 2
  }
}
"#,
    );
    lab.write("web-m1.txt", "");
    lab.write("web-m2.txt", "");
    lab.run("apply --auto-approve").exits(0);
    let is_healthy = || nodes(&lab)[0]["status"] == "running";
    assert!(is_empty(&lab) && is_healthy());
    std::fs::remove_file(lab.path().join("web-m1.txt")).expect("it is there");
    let during = nodes(&lab);
    let reason = during[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.ends_with(":8080/web-m1.txt answers 404 Not Found"), "{during}");
    assert_eq!(during[1]["status"], "running", "{during}");
    lab.write("web-m1.txt", "");
    assert!(is_healthy());
}

/// The errors of what cannot run on a node.
#[test]
fn mistakes() {
    let mut report = String::new();
    for fleet in [
        "node \"a\" {\n  runtime = \"ssh://ann@lab\"\n  process \"web\" { command = [\"serve\"] }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  process \"web\" { command = [] }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  process \"web\" {}\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  process \"we b\" { command = [\"serve\"] }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  process \"web\" {\n    command = [\"serve\"]\n    ready { tcp = \"gsc\" }\n  }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  process \"web\" {\n    command = [\"serve\"]\n    restart = \"never\"\n  }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  health_check { type = \"ssh\" }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  health_check { type = \"tcp\" }\n}\n",
        "provider \"local\" {}\nnode \"a\" {\n  health_check {\n    type = \"tcp\"\n    port = \"web\"\n  }\n}\n",
        "provider \"local\" {}\nnode \"a\" {}\nnode \"b\" {\n  health_check { http = \"http://${node.a.address}:80/\" }\n}\n",
        "variable \"key\" { sensitive = true }\nprovider \"local\" {}\nnode \"b\" {\n  health_check { http = \"http://{private_ip}/${var.key}\" }\n}\n",
    ] {
        let run: Run = Lab::new(fleet).run("plan").exits(1);
        report.push_str(&format!("{run}\n"));
    }
    insta::assert_snapshot!(report);
}
