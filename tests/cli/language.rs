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
fn what_a_plan_does_not_act_on_yet_is_refused_and_not_ignored() {
    let lab = Lab::new("value \"a\" {}\nmoved {\n  from = value.b\n  to   = value.a\n}\n");
    lab.run("validate").exits(0);
    insta::assert_snapshot!("moved_refused", lab.run("plan").exits(1));
}
