//! Scale sets with uniform orchestration that exist: a pool takes over their size, and nothing else of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use simfleet_azure_emulator::{Options, Pace};

use crate::cloud::{CREDENTIALS, Cloud, KEY};
use crate::support::crash::{APPLY, DESTROY, sweep};
use crate::support::{Fleet, every};
use crate::watcher::Watcher;

const COMPUTE: &str = "2024-07-01";
const NETWORK: &str = "2024-05-01";

/// Returns the id of the set.
fn set() -> String {
    format!(
        "{}/providers/Microsoft.Compute/virtualMachineScaleSets/Legacy",
        Cloud::group()
    )
}

/// Has somebody make a set of so many instances.
fn make(cloud: &Cloud, capacity: u64) {
    let net = format!("{}/providers/Microsoft.Network/virtualNetworks/old", Cloud::group());
    let space = json!({ "addressPrefixes": ["10.9.0.0/16"] });
    let subnets = json!([{ "name": "all", "properties": { "addressPrefix": "10.9.0.0/20" } }]);
    let body = json!({ "location": "eastus", "properties": { "addressSpace": space, "subnets": subnets } });
    cloud.az("PUT", &net, NETWORK, &body);
    // A network that is still being made refuses who wants to be in it.
    until("the network", || {
        cloud.az("GET", &net, NETWORK, &json!({}))["properties"]["provisioningState"] == "Succeeded"
    });
    let address = json!({ "name": "a", "properties": { "subnet": { "id": format!("{net}/subnets/all") } } });
    let key = json!({ "path": "/home/ann/.ssh/authorized_keys", "keyData": KEY });
    let image = json!({ "publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest" });
    let body = json!({
        "location": "eastus",
        "sku": { "name": "Standard_B2s", "capacity": capacity },
        "tags": { "owner": "ann" },
        "properties": {
            "orchestrationMode": "Uniform",
            "overprovision": false,
            "upgradePolicy": { "mode": "Manual" },
            "virtualMachineProfile": {
                "storageProfile": { "imageReference": image },
                "osProfile": {
                    "computerNamePrefix": "legacy",
                    "adminUsername": "ann",
                    "linuxConfiguration": { "disablePasswordAuthentication": true, "ssh": { "publicKeys": [key] } },
                },
                "networkProfile": { "networkInterfaceConfigurations": [
                    { "name": "nic", "properties": { "primary": true, "ipConfigurations": [address] } },
                ] },
            },
        },
    });
    cloud.az("PUT", &set(), COMPUTE, &body);
    settled(cloud, capacity);
}

/// Returns the numbers of the instances, sorted.
fn instances(cloud: &Cloud) -> Vec<String> {
    let ids = cloud.control().ids();
    let numbers = ids.iter().filter_map(|id| {
        id.to_lowercase()
            .split_once("/legacy/virtualmachines/")
            .map(|it| it.1.to_owned())
    });
    let mut numbers: Vec<String> = numbers.collect();
    numbers.sort();
    numbers
}

/// Waits until there are so many of them, and the set is at rest.
fn settled(cloud: &Cloud, capacity: u64) {
    until("the set at rest", || {
        let seen = cloud.az("GET", &set(), COMPUTE, &json!({}));
        let is_done = seen["properties"]["provisioningState"] == "Succeeded";
        is_done && u64::try_from(instances(cloud).len()).expect("few") == capacity
    });
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}: not within 5 s and more");
}

fn scale_by_hand(cloud: &Cloud, capacity: u64) {
    let body = json!({ "sku": { "name": "Standard_B2s", "capacity": capacity } });
    cloud.az("PATCH", &set(), COMPUTE, &body);
    settled(cloud, capacity);
}

fn protect(cloud: &Cloud, number: &str, protects: bool) {
    let policy = json!({ "protectFromScaleIn": protects });
    let body = json!({ "location": "eastus", "properties": { "protectionPolicy": policy } });
    cloud.az("PUT", &format!("{}/virtualMachines/{number}", set()), COMPUTE, &body);
}

fn text(cloud: &Cloud, autoscale: &str) -> String {
    let (provider, set) = (cloud.provider(), set());
    format!(
        "{provider}pool \"old\" {{\n  provider = azure\n  import   = {{ scale_set_id = \"{set}\" }}\n  autoscale {{\n    {autoscale}\n  }}\n}}\n\
         output \"machines\" {{ value = [for m in pool.old.members : m.id] }}\n"
    )
}

/// Returns what was sent to change the set and its instances by simfleet, since so many calls ago.
fn sent(cloud: &Cloud, from: usize) -> Vec<String> {
    let log = cloud.control().log();
    let of_set = |path: &str| {
        path.to_lowercase()
            .split_once("/virtualmachinescalesets/")
            .map(|it| it.1.to_owned())
    };
    let calls = log.iter().skip(from).filter(|call| call.method != "GET");
    let calls = calls.filter_map(|call| Some(format!("{} {}", call.method, of_set(&call.path)?)));
    let mut sent: Vec<String> = calls.collect();
    sent.sort();
    sent
}

#[test]
fn a_set_is_adopted_with_its_size_and_grows_and_shrinks_by_name() {
    let cloud = Cloud::start();
    make(&cloud, 3);
    let fleet = Fleet::new(&text(&cloud, "min = 1\n    max = 6"));
    insta::assert_snapshot!("adopts", cloud.ok(&fleet, &["plan"]).out);
    cloud.applied(&fleet);
    assert_eq!(
        instances(&cloud),
        ["0", "1", "2"],
        "all stay, though one would be enough"
    );
    assert_eq!(sent(&cloud, 0), ["PUT legacy"], "nothing was changed of it");

    // It grows in one call, whichever numbers the new ones get.
    let before = cloud.control().log().len();
    fleet.write(&text(&cloud, "min = 5\n    max = 6"));
    insta::assert_snapshot!("grows", cloud.ok(&fleet, &["plan"]).out);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["0", "1", "2", "3", "4"]);
    assert_eq!(sent(&cloud, before), ["PATCH legacy"]);

    // Who goes is named, and who is protected stays: the newest would go first.
    protect(&cloud, "4", true);
    let before = cloud.control().log().len();
    fleet.write(&text(&cloud, "min = 1\n    max = 2"));
    cloud.ok(&fleet, &["plan"]);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["0", "4"]);
    let deleted = ["1", "2", "3"].map(|number| format!("DELETE legacy/virtualmachines/{number}"));
    assert_eq!(sent(&cloud, before), deleted);
    let seen = cloud.az("GET", &set(), COMPUTE, &json!({}));
    assert_eq!(
        (&seen["sku"]["capacity"], &seen["tags"]),
        (&json!(2), &json!({ "owner": "ann" }))
    );
    let outputs = cloud.ok(&fleet, &["output", "--json"]).out;
    assert!(
        outputs.contains("virtualmachinescalesets/legacy/virtualmachines/4"),
        "{outputs}"
    );

    // It is not the fleet's to delete.
    insta::assert_snapshot!(
        "leaves",
        cloud
            .ok(&fleet, &["destroy", "--auto-approve"])
            .out
            .replace(cloud.url(), "URL")
    );
    assert_eq!(instances(&cloud), ["0", "4"]);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["0", "4"], "adopted again");
}

#[test]
fn a_size_that_somebody_changed_is_put_right() {
    let cloud = Cloud::start();
    make(&cloud, 2);
    let fleet = Fleet::new(&text(&cloud, "min = 2\n    max = 4"));
    cloud.applied(&fleet);
    let before = cloud.control().log().len();
    scale_by_hand(&cloud, 4);
    insta::assert_snapshot!("too_many", cloud.ok(&fleet, &["plan"]).out);
    // A protected one is removed by nobody.
    protect(&cloud, "3", true);
    let refused = cloud.run(&fleet, &["apply", "--auto-approve"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(
        refused.err.contains("protected from scale-in"),
        "{}\n{}",
        refused.err,
        refused.out
    );
    assert_eq!(instances(&cloud).len(), 4);
    protect(&cloud, "3", false);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["0", "1"], "those that are members stay");
    let named = sent(&cloud, before);
    assert!(named.contains(&"POST legacy/delete".to_owned()), "{named:?}");

    // One that somebody deleted is made anew, and nothing else.
    cloud.az("DELETE", &format!("{}/virtualMachines/0", set()), COMPUTE, &json!({}));
    settled(&cloud, 1);
    assert_eq!(cloud.planned(&fleet), ["create pool.old/m1", "update pool.old/set"]);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["1", "4"]);
    // So many with others: one went, and two came.
    cloud.az("DELETE", &format!("{}/virtualMachines/1", set()), COMPUTE, &json!({}));
    settled(&cloud, 1);
    scale_by_hand(&cloud, 3);
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud).len(), 2, "{:?}", instances(&cloud));

    // A set that is gone is told of, and not made.
    cloud.az("DELETE", &set(), COMPUTE, &json!({}));
    let gone = cloud.run(&fleet, &["apply", "--auto-approve"]);
    assert_eq!(gone.code, Some(1), "{}", gone.out);
    assert!(gone.err.contains("and none is made"), "{}", gone.err);
}

#[test]
fn what_cannot_be_adopted_is_said_with_its_place() {
    let cloud = Cloud::start();
    make(&cloud, 1);
    let flexible = set().replace("Legacy", "Flexible");
    let body = json!({ "location": "eastus", "properties": { "orchestrationMode": "Flexible", "platformFaultDomainCount": 1 } });
    cloud.az("PUT", &flexible, COMPUTE, &body);
    let sound = text(&cloud, "min = 1\n    max = 2");
    let import = format!("{{ scale_set_id = \"{}\" }}", set());
    let no_such = set().replace("Legacy", "other");
    let mut report = String::new();
    for (from, to) in [
        (set(), no_such),
        (set(), flexible),
        (set(), "Legacy".to_owned()),
        (import.clone(), "{ scale_set = \"Legacy\" }".to_owned()),
        (import.clone(), "{}".to_owned()),
        (import.clone(), "{ instance_pool_id = \"ocid1\" }".to_owned()),
        ("provider = azure".to_owned(), "provider = docker".to_owned()),
        (
            "  autoscale {".to_owned(),
            "  zones = [\"1\"]\n  warm { state = \"stopped\" }\n  node { size = \"Standard_B2s\" }\n  autoscale {"
                .to_owned(),
        ),
        (
            "output \"machines\"".to_owned(),
            format!(
                "pool \"again\" {{\n  provider = azure\n  import   = {import}\n  autoscale {{\n    min = 1\n    max = 1\n  }}\n}}\noutput \"machines\""
            ),
        ),
        (
            "output \"machines\"".to_owned(),
            "simulator \"container\" \"a\" {\n  placement = pool.old\n  image = \"busybox:1\"\n}\noutput \"machines\""
                .to_owned(),
        ),
    ] {
        assert!(sound.contains(&from), "{from}");
        let fleet = Fleet::new(&format!("provider \"docker\" {{}}\n{}", sound.replacen(&from, &to, 1)));
        let ended = cloud.run(&fleet, &["plan"]);
        assert_eq!(ended.code, Some(1), "{to}: {}", ended.out);
        report.push_str(&format!("## {to}\n{}\n", ended.err));
    }
    insta::assert_snapshot!("not_adopted", report);

    // Another set for the same pool would have the first one's instances deleted.
    let fleet = Fleet::new(&sound);
    cloud.applied(&fleet);
    fleet.write(&sound.replace("Legacy", "other"));
    let ended = cloud.run(&fleet, &["plan"]);
    assert!(ended.err.contains("Another scale set"), "{}{}", ended.err, ended.out);
}

/// A watch sizes it by what Monitor says of its instances.
#[test]
fn a_watch_sizes_a_set_by_its_instances() {
    let cloud = Cloud::start();
    make(&cloud, 3);
    let autoscale = r#"min                 = 1
    max                 = 4
    evaluation_interval = "1s"
    check "load" {
      source  = "simfleet"
      query   = "cpu_utilization"
      window  = "3s"
      max_age = "10s"
      strategy "target" { target = 60 }
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
    }"#;
    let fleet = Fleet::new(&text(&cloud, autoscale)).with_environment(CREDENTIALS);
    let busy = |percent: f64| {
        for number in instances(&cloud) {
            let id = format!("{}/virtualMachines/{number}", set());
            let percent = if number == "0" { percent - 1.0 } else { percent };
            cloud.control().set_metric(&id, "Percentage CPU", percent);
        }
    };
    busy(50.0);
    fleet.applied();
    // The least loaded would go first, were it not protected.
    protect(&cloud, "0", true);
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    busy(78.0);
    watcher.wait_for_size("pool.old", 4);
    watcher.wait_for_type("scaled");
    assert_eq!(instances(&cloud), ["0", "1", "2", "3"]);
    busy(5.0);
    watcher.wait_for("one instance", |_| instances(&cloud).len() == 1);
    assert_eq!(instances(&cloud), ["0"], "{}", watcher.all());
    watcher.end();
}

/// Wherever a run is killed, the next one ends with as many instances as are wanted, and none of those that were there is lost.
#[cfg(feature = "fake")]
#[test]
fn killed_at_every_write_the_set_has_the_size_that_is_wanted() {
    let clouds: Mutex<BTreeMap<PathBuf, Arc<Cloud>>> = Mutex::default();
    let of = |fleet: &Fleet| clouds.lock().expect("no test panicked with it")[fleet.path()].clone();
    let fleet = || {
        let cloud = Cloud::with(Options {
            pace: Pace {
                compute_ms: 300,
                delete_ms: 200,
                ..Pace::default()
            },
            ..Options::default()
        });
        make(&cloud, 2);
        let fleet = Fleet::new(&text(&cloud, "min = 4\n    max = 4")).with_environment(CREDENTIALS);
        let mut clouds = clouds.lock().expect("no test panicked with it");
        clouds.insert(fleet.path().to_owned(), Arc::new(cloud));
        fleet
    };
    let undisturbed = fleet();
    undisturbed.ok(&APPLY);
    undisturbed.ok(&DESTROY);
    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let there = instances(&of(fleet));
        // What was killed before the set grew is forgotten as it was.
        let is_as_before = !applied && there == ["0", "1"];
        assert!(is_as_before || there == ["0", "1", "2", "3"], "{case}: {there:?}");
    };
    sweep(every(20), &check, &fleet, &|_| ());
}

/// A shrink that is killed is gone on with: nobody goes who was not named.
#[test]
fn a_shrink_that_was_killed_is_ended_by_the_next_run() {
    let cloud = Cloud::with(Options {
        pace: Pace {
            delete_ms: 600,
            ..Pace::default()
        },
        ..Options::default()
    });
    make(&cloud, 4);
    let fleet = Fleet::new(&text(&cloud, "min = 1\n    max = 4"));
    cloud.applied(&fleet);
    fleet.write(&text(&cloud, "min = 1\n    max = 2"));
    let mut run = fleet.command(&["apply", "--auto-approve"]);
    run.envs(cloud.environment.iter().map(|(name, text)| (*name, text)));
    let mut run = run
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    while !sent(&cloud, 0).iter().any(|call| call.starts_with("DELETE")) {
        assert_eq!(
            run.try_wait().expect("it can be asked"),
            None,
            "it ended and deleted nothing"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run.kill().expect("it is killed");
    run.wait().expect("it ended");
    cloud.applied(&fleet);
    assert_eq!(instances(&cloud), ["0", "1"]);
    let again: Value = serde_json::from_str(&cloud.ok(&fleet, &["plan", "--json"]).out).expect("JSON");
    assert_eq!(again["drift"], json!([]), "{again}");
}
