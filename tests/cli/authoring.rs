//! init, validate, console.

use crate::lab::Lab;

#[test]
fn init_writes_a_fleet_that_is_valid() {
    let lab = Lab::empty();
    insta::assert_snapshot!("init", lab.run("init").exits(0));
    lab.run("validate").exits(0);
    let written = lab.read("fleet.hcl");
    insta::assert_snapshot!("init_again", lab.run("init").exits(1));
    insta::assert_snapshot!("init_over_a_file", lab.run("init fleet.hcl").exits(1));
    assert_eq!(lab.read("fleet.hcl"), written);
}

#[test]
fn init_of_another_example_elsewhere() {
    let lab = Lab::empty();
    lab.run("init lab --example tonypi").exits(0);
    assert!(lab.read("lab/fleet.hcl").contains("robot \"tonypi-01\""));
    lab.run("init lab/other.hcl").exits(0);
    assert!(lab.read("lab/other.hcl").contains("simulator \"vehicle\""));
}

const WRONG: &str = r#"
variable "size" { default = 2 }

value "a" {
  input = var.sise
  inputs = 1
}

output "b" {
  value = value.c.id
}
"#;

#[test]
fn validate_tells_every_mistake() {
    let lab = Lab::new("value \"a\" { input = 1 }\n");
    insta::assert_snapshot!("valid", lab.run("validate").exits(0));
    insta::assert_snapshot!("valid_json", lab.run("validate --json").exits(0));
    let lab = Lab::new(WRONG);
    insta::assert_snapshot!("wrong", lab.run("validate").exits(1));
    insta::assert_snapshot!("wrong_json", lab.run("validate --json").exits(1));
    let lab = Lab::new("value \"a\" {\n  input = [1, 2\n}\n");
    insta::assert_snapshot!("syntax", lab.run("validate").exits(1));
    insta::assert_snapshot!("no_fleet", Lab::empty().run("validate").exits(1));
    insta::assert_snapshot!("no_file", Lab::empty().run("validate nowhere.hcl").exits(1));
}

#[test]
fn console_evaluates_one_expression_a_line() {
    let lab = Lab::new(
        "variable \"size\" {\n  type = number\n  default = 2\n}\nlocals { names = [for i in range(var.size) : \"n${i}\"] }\n",
    );
    let input = "1 + 2\nlocal.names\n\nupper(\"a\")\nvar.sise\n{ a = 1, b = null }\n1 +\nvar.size * 10\nexit\n1\n";
    insta::assert_snapshot!("console", lab.run_with("console", input).exits(0));
    let run = lab.run_with("console --var size=5", "var.size").exits(0);
    assert_eq!(run.stdout, "5\n", "{run}");
}
