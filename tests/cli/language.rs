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
