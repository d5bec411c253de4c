//! What the language says beside resources: checks, conditions, modules.

use crate::lab::Lab;

const CHECKED: &str = r#"
variable "size" {
  type    = number
  default = 1
}

value "a" { input = var.size }

check "size" {
  assert {
    condition     = var.size < 3
    error_message = "a size of ${var.size} is more than the lab has room for"
  }
  assert {
    condition     = value.a.output != 2
    error_message = "nobody wants two"
  }
}
"#;

#[test]
fn a_check_warns_at_plan_and_after_apply() {
    let lab = Lab::new(CHECKED);
    assert_eq!(lab.run("validate").exits(0).stderr, "");
    assert_eq!(
        lab.run("apply --auto-approve")
            .exits(0)
            .stderr
            .matches("Check failed")
            .count(),
        0
    );
    insta::assert_snapshot!("check_at_plan", lab.run("plan --var size=4").exits(0));
    insta::assert_snapshot!("check_at_apply", lab.run("apply --auto-approve --var size=2").exits(0));
    let settled = lab.run("apply --auto-approve --var size=2").exits(0);
    assert!(settled.stderr.contains("nobody wants two"), "{settled}");
    assert_eq!(
        lab.run("destroy --auto-approve")
            .exits(0)
            .stderr
            .matches("Check failed")
            .count(),
        0
    );
}

#[test]
fn what_moves_is_shown_and_agreed_to() {
    let lab = Lab::new("value \"b\" { input = 1 }\n");
    lab.run("apply --auto-approve").exits(0);
    lab.write(
        "fleet.hcl",
        "value \"a\" { input = 1 }\nmoved {\n  from = value.b\n  to   = value.a\n}\n",
    );
    insta::assert_snapshot!("moved", lab.run("plan --detailed-exitcode").exits(2));
    insta::assert_snapshot!("moved_apply", lab.run("apply --auto-approve").exits(0));
    lab.run("plan --detailed-exitcode").exits(0);
}

/// Copies the example of modules into a lab.
fn sites() -> Lab {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let text = |name: &str| std::fs::read_to_string(examples.join(name)).expect("an example");
    let lab = Lab::new(&text("sites.hcl"));
    std::fs::create_dir_all(lab.path().join("modules/site")).expect("a folder");
    lab.write("modules/site/main.hcl", &text("modules/site/main.hcl"));
    lab
}

#[test]
fn the_example_of_modules_is_planned_as_it_says() {
    let lab = sites();
    lab.run("validate").exits(0);
    insta::assert_snapshot!("modules_plan", lab.run("plan").exits(0));
}

#[test]
fn mistakes_in_a_module_are_told_with_its_file() {
    let lab = sites();
    let module = lab.read("modules/site/main.hcl");
    lab.write(
        "modules/site/main.hcl",
        &module.replace("instance  = count.index", "instanse  = count.idx"),
    );
    insta::assert_snapshot!("modules_wrong", lab.run("validate").exits(1));
    lab.write("modules/site/main.hcl", &module);
    insta::assert_snapshot!(
        "modules_validation",
        lab.run("plan --var 'sites={ west = { vehicles = 9 } }'").exits(1)
    );
    std::fs::remove_dir_all(lab.path().join("modules")).expect("it was there");
    insta::assert_snapshot!("modules_missing", lab.run("plan").exits(1));
}

#[test]
fn conditions_are_told_with_their_message() {
    let fleet = r#"
variable "size" { default = 2 }
value "a" {
  input = var.size
  lifecycle {
    precondition {
      condition     = var.size < 3
      error_message = "Size is ${var.size}, and at most 2 is allowed."
    }
    postcondition {
      condition     = self.output > 0
      error_message = "It is empty."
    }
  }
}
"#;
    let lab = Lab::new(fleet);
    insta::assert_snapshot!("precondition", lab.run("plan --var size=3").exits(1));
    insta::assert_snapshot!("postcondition", lab.run("plan --var size=0").exits(1));
    lab.run("apply --auto-approve").exits(0);
}

#[test]
fn imports_that_cannot_be() {
    let lab = Lab::new("value \"a\" { input = 1 }\nimport {\n  to = value.a\n  id = \"x\"\n}\n");
    insta::assert_snapshot!("import_of_a_value", lab.run("plan").exits(1));
    insta::assert_snapshot!("import_of_nothing", lab.run("import value.b x").exits(1));
    insta::assert_snapshot!("import_of_garbage", lab.run("import x y").exits(64));
}

#[test]
fn the_new_one_first() {
    let fleet = r#"
variable "generation" { default = 1 }
value "a" { triggers_replace = var.generation }
value "b" {
  input            = value.a.id
  triggers_replace = var.generation
  lifecycle { create_before_destroy = true }
}
"#;
    let lab = Lab::new(fleet);
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!(
        "made_first",
        lab.run("apply --auto-approve --parallelism 1 --var generation=2")
            .exits(0)
    );
    lab.run("plan --var generation=2 --detailed-exitcode").exits(0);
    let vehicle = r#"
provider "local" {}
node "n" {
  port_range "mavlink" {
    from = 21000
    to   = 21010
  }
}
simulator "vehicle" "v" {
  placement = node.n
  port "gcs" { range = "mavlink" }
}
value "of" {
  input = simulator.vehicle.v.endpoints
  lifecycle { create_before_destroy = true }
}
"#;
    insta::assert_snapshot!("made_first_with_ports", Lab::new(vehicle).run("plan").exits(1));
}
