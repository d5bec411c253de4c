//! Simulators that are declared not to run, always or now.

use crate::running::Running;

const FLEET: &str = r#"
provider "local" {}
node "a" {}

simulator "exec" "job" {
  placement = node.a
  command   = ["sleep", "1000"]
}

simulator "exec" "off" {
  placement = node.a
  command   = ["sleep", "1000"]
  state     = "stopped"
}

simulator "exec" "leap" {
  placement = node.a
  command   = ["sleep", "1000"]
  schedule "leap_days" {
    timezone = "UTC"
    cron     = "0 0 29 2 *"
    end      = "00:01"
  }
}
"#;

#[test]
fn what_is_started_against_what_is_declared_says_so() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!(
        "started_against_declared",
        lab.run("simulator start simulator.exec.off simulator.exec.job")
            .exits(0)
    );
    insta::assert_snapshot!(
        "started_out_of_schedule",
        lab.run("simulator start simulator.exec.leap").exits(0)
    );
    insta::assert_snapshot!(
        "started_against_declared_plan",
        lab.run("plan --detailed-exitcode").exits(2)
    );
}
