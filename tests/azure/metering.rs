//! Pools of machines, sized by what Azure Monitor says of them.

use serde_json::{Value, json};
use simfleet_azure_emulator::{Fault, FaultEffect};

use crate::cloud::{CREDENTIALS, Cloud};
use crate::machines::Machines;
use crate::support::Fleet;
use crate::watcher::Watcher;

const CPU: &str = "Percentage CPU";
const FREE: &str = "Available Memory Percentage";
const CHECKS: &str = r#"min                 = 3
    max                 = 4
    evaluation_interval = "1s"
    check "load" {
      source  = "simfleet"
      query   = "cpu_utilization"
      window  = "3s"
      max_age = "10s"
      strategy "target" { target = 60 }
    }
    check "memory" {
      strategy "target" { target = 90 }
    }
    behavior {
      scale_up { stabilization_window = "1s" }
      scale_down {
        stabilization_window = "2s"
        cooldown             = "0s"
        policy {
          type   = "count"
          value  = 10
          period = "1s"
        }
      }
    }
"#;

fn fleet(cloud: &Cloud) -> Fleet {
    let text = Machines { nodes: 0, members: 3 }.text(cloud);
    let text = text.replacen("min = 3\n    max = 3\n", CHECKS, 1);
    assert!(text.contains(CHECKS));
    Fleet::new(&text).with_environment(CREDENTIALS)
}

/// Returns the id of the machine of each member.
fn machines(cloud: &Cloud) -> Vec<String> {
    let mut ids = cloud.ids("agents-m");
    ids.retain(|id| id.contains("/virtualMachines/"));
    ids.sort();
    ids
}

/// Says how busy all machines are: the first a little less, so that it goes first if nothing keeps it.
fn busy(cloud: &Cloud, percent: f64) {
    for (place, id) in machines(cloud).iter().enumerate() {
        let percent = if place == 0 { percent - 1.0 } else { percent };
        cloud.control().set_metric(id, CPU, percent);
        cloud.control().set_metric(id, FREE, 80.0);
    }
}

/// Has somebody hold a member by hand, who does not want it to be taken.
fn protect(fleet: &Fleet, member: &str) {
    let mut pulled: Value = serde_json::from_str(&fleet.ok(&["state pull"]).out).expect("JSON");
    let serial = pulled["serial"].as_u64().expect("a number");
    let resource = &pulled["state"]["resources"][member];
    let since = resource["created"].clone();
    assert!(since.is_string(), "{resource}");
    pulled["state"]["holds"][member] = json!({ "state": "powered_off", "by": "ann", "since": since, "serial": serial });
    pulled["serial"] = json!(serial + 1);
    std::fs::write(fleet.path().join("held.json"), pulled.to_string()).expect("a file");
    fleet.ok(&["state push", "held.json"]);
}

#[test]
fn a_set_is_sized_by_what_monitor_says_and_a_protected_machine_stays() {
    let cloud = Cloud::start();
    let fleet = fleet(&cloud);
    fleet.applied();
    let first = machines(&cloud);
    busy(&cloud, 50.0);
    let text = std::fs::read_to_string(fleet.path().join("fleet.hcl")).expect("it is there");
    fleet.write(&text.replacen("min                 = 3", "min                 = 1", 1));
    fleet.applied();
    assert_eq!(machines(&cloud), first, "the size is that of the watch");
    // The least loaded would go first, were it not protected.
    protect(&fleet, "pool.agents/m1");
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");

    busy(&cloud, 78.0);
    let grows = watcher.wait_for_size("pool.agents", 4);
    let why = grows["message"].as_str().unwrap_or_default();
    assert!(why.contains("load="), "{grows}");
    watcher.wait_for_type("scaled");
    assert_eq!(machines(&cloud).len(), 4, "{:#?}", cloud.names());

    busy(&cloud, 5.0);
    watcher.wait_for("one machine", |_| machines(&cloud).len() == 1);
    assert_eq!(
        machines(&cloud),
        first[..1],
        "the protected one is who stays: {}",
        watcher.all()
    );
    let failed: Vec<_> = watcher.told.iter().filter(|it| it["type"] == "source_failed").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    watcher.end();

    // Three machines and more are asked for together; of memory Azure knows nothing that way.
    let asked = |method: &str, status: u16| {
        let log = cloud.control().log();
        let is_it = |path: &str| path.ends_with("/providers/Microsoft.Insights/metrics");
        log.iter()
            .filter(|call| call.method == method && call.status == status && is_it(&call.path))
            .count()
    };
    assert!(asked("POST", 200) > 0, "of the load of all");
    assert!(asked("POST", 400) > 0, "of the memory of all");
    assert!(asked("GET", 200) > 0, "of the memory of each");
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

/// Without the right to read at the subscription each machine is asked for; without any, nothing is scaled.
#[test]
fn who_may_not_ask_for_all_asks_for_each_and_who_may_not_ask_shrinks_nothing() {
    let cloud = Cloud::start();
    let fleet = fleet(&cloud);
    fleet.applied();
    let refused = || FaultEffect::Status {
        status: 403,
        code: Some("AuthorizationFailed".to_owned()),
        message: Some("The client does not have authorization to perform action.".to_owned()),
    };
    busy(&cloud, 78.0);
    cloud.control().fault(Fault::new(refused()).on("POST", "/metrics"));
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    watcher.wait_for_size("pool.agents", 4);
    watcher.wait_for_type("scaled");

    busy(&cloud, 5.0);
    cloud.control().fault(Fault::new(refused()).on("GET", "/metrics"));
    let failed = watcher.wait_for_type("source_failed");
    assert!(failed.to_string().contains("AuthorizationFailed"), "{failed}");
    assert_eq!(machines(&cloud).len(), 4);
    cloud.control().clear_faults();
    let shrinks = watcher.wait_for_size("pool.agents", 3);
    assert_eq!(
        shrinks["decision"]["actions"],
        json!([["drain", "1"]]),
        "the least loaded goes"
    );
    watcher.end();
    fleet.ok(&["destroy", "--auto-approve"]);
}
