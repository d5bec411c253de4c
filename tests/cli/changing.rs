//! plan, apply, destroy.

use crate::lab::{Lab, SECRET};

/// Values only: they are in the state and nowhere else.
pub const FLEET: &str = r#"
variable "size" {
  type    = number
  default = 2
}

variable "key" {
  type      = string
  sensitive = true
}

variable "generation" { default = "first" }

value "base" {
  input            = { size = var.size, text = "one\ntwo\nthree\n" }
  triggers_replace = var.generation
}

value "part" {
  count = var.size
  input = "${value.base.id}/${count.index}"
}

value "secret" { input = { key = var.key, plain = 1 } }

output "size" { value = var.size }
output "parts" { value = value.part[*].output }
output "key" {
  value     = var.key
  sensitive = true
}
"#;

/// A fleet that was applied.
pub fn applied() -> Lab {
    let lab = Lab::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    lab
}

#[test]
fn first_apply() {
    let lab = Lab::new(FLEET);
    insta::assert_snapshot!("first_plan", lab.run("plan").exits(0));
    insta::assert_snapshot!("first_plan_json", lab.run("plan --json").exits(0));
    lab.run("plan --detailed-exitcode").exits(2);
    insta::assert_snapshot!("first_apply", lab.run("apply --auto-approve").exits(0));
    insta::assert_snapshot!("second_plan", lab.run("plan --detailed-exitcode").exits(0));
    insta::assert_snapshot!("second_apply", lab.run("apply --auto-approve").exits(0));
}

#[test]
fn a_plan_is_the_same_each_time() {
    let lab = Lab::new(FLEET);
    for line in ["plan", "plan --json"] {
        assert_eq!(lab.run(line).stdout, lab.run(line).stdout);
    }
}

#[test]
fn changes_of_each_kind() {
    let lab = applied();
    insta::assert_snapshot!("grow", lab.run("plan -var size=3").exits(0));
    insta::assert_snapshot!("shrink", lab.run("plan -var size=1").exits(0));
    insta::assert_snapshot!("other_secret", lab.run("plan -var key=other").exits(0));
    insta::assert_snapshot!("replace", lab.run("plan -var generation=second").exits(0));
    insta::assert_snapshot!("asked", lab.run("plan -replace=value.part[1]").exits(0));
    insta::assert_snapshot!("destroy", lab.run("plan -destroy").exits(0));
    insta::assert_snapshot!("apply_grow", lab.run("apply -auto-approve -var size=3").exits(0));
    lab.run("plan -var size=3 -detailed-exitcode").exits(0);
}

#[test]
fn a_part_of_the_fleet() {
    let lab = Lab::new(FLEET);
    insta::assert_snapshot!("target", lab.run("plan -target=value.part[0]").exits(0));
    insta::assert_snapshot!("exclude", lab.run("plan -exclude=value.part").exits(0));
    insta::assert_snapshot!("target_unknown", lab.run("plan -target=value.bass").exits(1));
    insta::assert_snapshot!("target_garbage", lab.run("plan -target=value").exits(64));
    lab.run("apply --auto-approve --target value.part[0] --target value.secret")
        .exits(0);
    insta::assert_snapshot!("target_done", lab.run("plan --target value.secret").exits(0));
    lab.run("plan --target value.secret --out part.plan").exits(0);
    insta::assert_snapshot!(
        "target_of_a_saved_plan",
        lab.run("apply part.plan --target value.base").exits(64)
    );
    insta::assert_snapshot!(
        "destroy_target",
        lab.run("destroy --auto-approve --target value.base").exits(0)
    );
}

#[test]
fn what_is_asked_to_be_replaced_has_to_be_there() {
    let lab = Lab::new(FLEET);
    insta::assert_snapshot!("replace_of_a_block", lab.run("plan --replace value.part").exits(1));
    insta::assert_snapshot!(
        "replace_of_what_is_not_selected",
        lab.run("plan --target value.secret --replace value.base").exits(1)
    );
}

#[test]
fn what_is_there_is_recorded() {
    let lab = applied();
    insta::assert_snapshot!("refresh_only", lab.run("apply --refresh-only --auto-approve").exits(0));
    insta::assert_snapshot!(
        "refresh_only_and_destroy",
        lab.run("plan --refresh-only --destroy").exits(64)
    );
}

#[test]
fn a_mistake_of_many_instances_is_told_once() {
    let lab = Lab::new(
        r#"
provider "local" {}
node "a" {}
simulator "exec" "job" {
  count     = 3
  placement = node.a.name
  command   = ["sleep", "1000"]
}
"#,
    );
    let run = lab.run("plan").exits(1);
    assert_eq!(run.stderr.matches("error: Value not known yet").count(), 1, "{run}");
}

#[test]
fn what_cannot_be_replaced() {
    let lab = applied();
    for line in [
        "plan -replace=value.part[7]",
        "apply --auto-approve -replace=value.part[7]",
    ] {
        let run = lab.run(line).exits(1);
        assert!(run.stderr.contains("value.part[7], which is to be replaced"), "{run}");
        assert!(run.stderr.contains("did you mean `value.part[0]`?"), "{run}");
    }
    // What is not declared any more is there until it is deleted.
    lab.run("plan -replace=value.part[1] -var size=1").exits(0);
}

#[test]
fn what_fail_on_refuses() {
    let lab = applied();
    for (line, code) in [
        ("plan --fail-on destroy -var size=3", 0),
        ("plan --fail-on destroy -var size=1", 5),
        ("plan --fail-on replace -var size=1", 0),
        ("plan --fail-on destroy,replace -var generation=second", 5),
        ("plan --fail-on interrupt -var size=1", 0),
    ] {
        lab.run(line).exits(code);
    }
}

#[test]
fn apply_as_json() {
    let lab = Lab::new(FLEET);
    let run = lab.run("apply --auto-approve --json").exits(0);
    let events: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(
        (types.first(), types.last()),
        (Some(&"planned"), Some(&"summary")),
        "{run}"
    );
    let summary = &events[events.len() - 1];
    assert_eq!(
        (&summary["create"], &summary["complete"]),
        (&4.into(), &true.into()),
        "{run}"
    );
    assert_eq!(types.iter().filter(|name| **name == "finished").count(), 4, "{run}");
    assert!(!run.stdout.contains(SECRET));
    let nothing = lab.run("apply --auto-approve --json").exits(0);
    let last = nothing.stdout.lines().last().unwrap_or_default();
    assert!(last.contains(r#""type":"summary""#), "{nothing}");
}

#[test]
fn apply_asks_and_needs_somebody_to_ask() {
    let lab = Lab::new(FLEET);
    insta::assert_snapshot!("nobody_to_ask", lab.run_with("apply", "yes\n").exits(64));
    insta::assert_snapshot!("nobody_to_ask_json", lab.run("destroy --json").exits(64));
    assert_eq!(lab.run("state list").exits(0).stdout, "");
}

#[test]
fn destroy() {
    let lab = applied();
    insta::assert_snapshot!("destroyed", lab.run("destroy --auto-approve").exits(0));
    insta::assert_snapshot!("destroyed_again", lab.run("destroy --auto-approve").exits(0));
    assert_eq!(lab.run("state list").exits(0).stdout, "");
}

#[test]
fn what_cannot_be_planned() {
    let lab = Lab::new("variable \"size\" { type = number }\nvalue \"a\" { input = var.size }\n");
    insta::assert_snapshot!("no_value", lab.run("plan").exits(1));
    insta::assert_snapshot!("wrong_value", lab.run("plan --var size=many").exits(1));
    insta::assert_snapshot!("unknown_variable", lab.run("plan --var sise=1").exits(1));
    insta::assert_snapshot!("no_value_json", lab.run("plan --json").exits(1));
    lab.write(
        "fleet.hcl",
        "value \"a\" { input = value.b.id }\nvalue \"b\" { input = value.a.id }\n",
    );
    insta::assert_snapshot!("cycle", lab.run("plan").exits(1));
}

#[test]
fn secrets_are_nowhere() {
    let lab = applied();
    for line in [
        "plan -var key=other",
        "plan --json -var key=other",
        "show",
        "show --json",
        "output",
        "output --json",
    ] {
        let run = lab.run(line).exits(0);
        assert!(!run.stdout.contains(SECRET) && !run.stdout.contains("other\""), "{run}");
        assert!(!run.stderr.contains(SECRET), "{run}");
    }
    let state = std::fs::read(lab.path().join(".simfleet/state.db")).expect("the state is there");
    assert!(!state.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}
