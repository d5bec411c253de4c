//! How large pools are, as the verbs tell it.

use serde_json::json;

use crate::running::Running;

/// A pool whose bounds a schedule sets all the time.
const FLEET: &str = r#"
provider "local" {}

pool "web" {
  node {
    cpus   = 1
    memory = "1GiB"
  }
  autoscale {
    min = 1
    max = 5
    schedule "always" {
      timezone = "UTC"
      cron     = "* * * * *"
      end      = "23:59"
      min      = 2
    }
  }
}
"#;

#[test]
fn the_schedule_that_sets_bounds_is_named() {
    let lab = Running::new(FLEET);
    let plan = lab.run("plan").exits(0).stdout;
    assert!(
        plan.contains("+ pool.web: 2 members (min = 2, by schedule \"always\")"),
        "{plan}"
    );
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!("why_of_a_pool", lab.run("why pool.web").exits(0));
    let why = lab.run("why pool.web --json").exits(0).json();
    let pool = json!({
        "address": "pool.web", "members": 2, "min": 2, "max": 5, "schedules": ["always"],
        "because": "min = 2, by schedule \"always\"",
    });
    assert_eq!(why["pool"], pool);
    assert_eq!(lab.run("status -o json").exits(0).json()["pools"], json!([pool]));
    let status = lab.run("status").exits(0).stdout;
    let row = "pool.web  2        2 to 5, by schedule \"always\"  min = 2, by schedule \"always\"";
    assert!(status.contains(row), "{status}");
}
