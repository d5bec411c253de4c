//! Whose resources are: objects that become those of a fleet, and locks of runs that nobody can wait for.

use serde_json::Value as Json;

use crate::running::{Running, eventually};

#[test]
fn what_is_there_becomes_the_object_of_a_resource() {
    let lab = Running::new("provider \"local\" {}\nnode \"n\" {}\nvalue \"of\" { input = node.n.address }\n");
    lab.run("apply --auto-approve").exits(0);
    let before: Json = lab.run("status -o json").exits(0).json()["nodes"][0]["pid"].clone();
    let shown = lab.run("state show node.n").exits(0).stdout;
    let id = shown
        .split_once("id ")
        .and_then(|(_, rest)| rest.split('"').nth(1))
        .expect("an id")
        .to_owned();
    insta::assert_snapshot!("import_of_another", lab.run(&format!("import node.n {id}")).exits(1));
    insta::assert_snapshot!("forgotten", lab.run("state rm node.n").exits(0));
    insta::assert_snapshot!("import_of_no_object", lab.run("import node.n node.other").exits(1));
    insta::assert_snapshot!("imported", lab.run(&format!("import node.n {id}")).exits(0));
    lab.run("plan --detailed-exitcode").exits(0);
    let after = lab.run("status -o json").exits(0).json()["nodes"][0]["pid"].clone();
    assert_eq!(after, before, "it went on as it was");
}

#[test]
fn locks_can_be_taken_from_a_run_and_it_ends_without_doing_more() {
    let fleet = r#"
provider "local" {}
simulator "exec" "job" {
  placement   = "local"
  working_dir = abspath(path.root)
  stop_grace  = "60s"
  command     = ["sh", "-c", "trap 'while [ ! -e go ]; do sleep 0.1; done; exit 0' TERM; while :; do sleep 0.1; done"]
}
value "after" { input = simulator.exec.job.id }
"#;
    let lab = Running::new(fleet);
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!("unlock_of_nothing", lab.run("unlock").exits(0));
    // It waits for its simulator, that does not stop before it may.
    let other = lab
        .command("apply --auto-approve --replace simulator.exec.job")
        .spawn()
        .expect("it runs");
    eventually("it is at work", || lab.run("unlock").stdout.contains("--replace"));
    insta::assert_snapshot!("unlock_is_asked_for", lab.run("unlock").exits(64));
    insta::assert_snapshot!(
        "unlock_of_what_is_free",
        lab.run("unlock value.none --auto-approve").exits(1)
    );
    lab.run("apply --auto-approve --replace simulator.exec.job").exits(3);
    insta::assert_snapshot!("unlocked", lab.run("unlock simulator.exec.job --auto-approve").exits(0));
    std::fs::write(lab.path().join("go"), "").expect("it can be written");
    let ended = other.wait_with_output().expect("it ends");
    let told = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert_eq!(ended.status.code(), Some(1), "{told:?}");
    assert!(told[1].contains("create skipped: the run was stopped"), "{told:?}");
    assert!(told[0].contains("were taken over by another"), "{told:?}");
    // What it began is found and finished by the next.
    lab.run("apply --auto-approve").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
    assert_eq!(lab.run("simulators -o json").exits(0).json()[0]["status"], "running");
}
