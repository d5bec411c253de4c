//! Plans that are kept in files, and applied later.

use std::time::Duration;

use serde_json::Value;

use crate::lab::SECRET;
use crate::running::{FLEET, Running};

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
