//! Simulators on machines in Azure: the fleet of the examples, with machines that are stood in for by this one.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cloud::Cloud;
use crate::real::Real;
use crate::support::Fleet;
use crate::watcher::Watcher;

/// Returns the fleet of the examples, at a cloud.
fn example(cloud: &Cloud) -> String {
    let example = include_str!("../../examples/px4_azure.hcl");
    let region = "region          = \"eastus\"\n";
    assert!(example.contains(region));
    example.replacen(region, &format!("{region}  endpoint        = \"{}\"\n", cloud.url()), 1)
}

/// Waits for something, each turn of which takes its time.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "never so: {what}");
    }
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn the_fleet_of_px4_lives_and_goes() {
    let real = Real::with_engines();
    let cloud = &real.cloud;
    let text = example(cloud);
    let fleet = Fleet::new(&text);
    let said = cloud.ok(&fleet, &["validate"]).out;
    assert!(
        said.contains("The fleet is valid.") && !said.contains("not available"),
        "{said}"
    );
    assert_eq!(cloud.planned(&fleet).len(), 15);
    cloud.applied(&fleet);
    let status = cloud.ok(&fleet, &["status"]).out;
    assert!(status.contains("2 of 2 nodes and 4 of 4 simulators run."), "{status}");
    real.all_fly(&fleet, 4);

    // What is edited: one member more, sources for a rule, and a vehicle.
    let edited = text
        .replacen("default = 2", "default = 3", 1)
        .replacen("default = []", "default = [\"192.0.2.0/24\"]", 1)
        .replacen("count        = 4", "count        = 5", 1);
    fleet.write(&edited);
    assert_eq!(
        cloud.planned(&fleet),
        [
            "update network.sim/rules",
            "create pool.agents/m3",
            "create pool.agents/m3/ip",
            "create pool.agents/m3/nic",
            "create simulator.px4.iris[4]",
        ]
    );
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    // A machine that somebody deletes is made anew, with what was on it.
    let machine = cloud
        .ids("agents-m1-")
        .into_iter()
        .find(|id| id.contains("virtualMachines"));
    cloud.az("DELETE", &machine.expect("a machine"), "2024-07-01", &json!({}));
    let planned = cloud.planned(&fleet);
    assert!(planned.contains(&"create pool.agents/m1".to_owned()), "{planned:?}");
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    // The time of the vehicles is over: an apply stops them, and a watch those that were started by hand.
    fleet.write(&edited.replacen("max_lifetime = \"8h\"", "max_lifetime = \"1s\"", 1));
    cloud.applied(&fleet);
    let none_runs = || cloud.ok(&fleet, &["status"]).out.contains("0 of 5 simulators run.");
    assert!(none_runs());
    fleet.write(&edited.replacen("max_lifetime = \"8h\"", "max_lifetime = \"10s\"", 1));
    cloud.ok(&fleet, &["apply", "--auto-approve"]);
    cloud.ok(&fleet, &["simulator start", "simulator.px4.iris"]);
    let environment: Vec<(&str, &str)> = cloud.environment.iter().map(|(name, text)| (*name, &**text)).collect();
    let mut watcher = Watcher::start_in(&fleet, &[], &environment);
    until("a watch has stopped them", || {
        watcher.wait_for_type("ran");
        none_runs()
    });
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);

    // They run again with more of it.
    fleet.write(&edited);
    cloud.applied(&fleet);
    real.all_fly(&fleet, 5);

    let ended = cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new(), "{}", ended.out);
}
