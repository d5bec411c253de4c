//! Where simulators run, at which ports, and when they move.

use simfleet::plan::Mode;

use crate::support::bench::{Bench, changes};
use crate::{QUADS, apply_in_turn};

#[tokio::test]
async fn simulators_without_a_place_are_told_and_the_rest_is_made() {
    let bench = Bench::new(QUADS);
    let fleet = bench.open(Mode::Apply, &[("vehicles", "18")]).expect("sound");
    let planned = fleet.plan().await.expect("it can be planned");
    let unplaced: Vec<String> = planned
        .plan
        .unplaced
        .iter()
        .map(|unplaced| unplaced.address.to_string())
        .collect();
    assert_eq!(unplaced, ["simulator.vehicle.quad[16]", "simulator.vehicle.quad[17]"]);
    assert_eq!(planned.plan.unplaced[0].reason, "every place is taken on 4 of 4 hosts");
    assert_eq!(planned.plan.summary().create, 4 + 16);
    // What reads them waits, and is no change for ever.
    let outcome = bench.apply(Mode::Apply, &[("vehicles", "18")]).await;
    assert!(
        !outcome.is_complete() && outcome.failed.is_empty() && outcome.skipped.is_empty(),
        "{outcome:?}"
    );
    let again = bench.plan(Mode::Apply, &[("vehicles", "18")]).await;
    assert!(again.is_empty(), "{:?}", again.outputs);
}

#[tokio::test]
async fn a_node_that_is_made_anew_takes_its_simulators_along() {
    let fleet = |image: &str| {
        format!(
            r#"
provider "fake" {{}}
node "a" {{ image = "{image}" }}
simulator "exec" "job" {{
  placement = node.a
  command   = ["true"]
}}
value "address" {{ input = node.a.address }}
"#
        )
    };
    let bench = Bench::new(&fleet("one"));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&fleet("two"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        ["replace node.a", "replace simulator.exec.job", "update value.address"]
    );
    assert_eq!(plan.changes[0].replace_because[0].to_string(), "image");
    assert_eq!(plan.interrupts.len(), 1);
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let order: Vec<String> = outcome
        .done
        .iter()
        .map(|(at, verb)| format!("{} {at}", verb.as_str()))
        .collect();
    let place = |step: &str| {
        order
            .iter()
            .position(|done| done == step)
            .unwrap_or_else(|| panic!("{step}: {order:?}"))
    };
    assert!(place("delete simulator.exec.job") < place("delete node.a"), "{order:?}");
    assert!(place("create node.a") < place("create simulator.exec.job"), "{order:?}");
    assert!(place("create node.a") < place("update value.address"), "{order:?}");
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
}

#[tokio::test]
async fn a_pool_that_may_have_fewer_members_moves_its_simulators() {
    let bench = Bench::new(QUADS);
    let vars = [("vehicles", "9")];
    assert!(bench.apply(Mode::Apply, &vars).await.is_complete());
    bench.write(
        &QUADS
            .replace("max = 4", "max = 3")
            .replace("min = 2", "min = 1")
            .replace("max_simulators = 4", "max_simulators = 5"),
    );
    assert!(bench.apply(Mode::Apply, &vars).await.is_complete());
    bench.write(
        &QUADS
            .replace("max = 4", "max = 2")
            .replace("min = 2", "min = 1")
            .replace("max_simulators = 4", "max_simulators = 5"),
    );
    let plan = bench.plan(Mode::Apply, &vars).await;
    assert!(
        changes(&plan).contains(&"delete pool.field/m3".to_owned()),
        "{:?}",
        changes(&plan)
    );
    let outcome = bench.apply(Mode::Apply, &vars).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &vars).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let state = bench
        .open(Mode::Apply, &vars)
        .expect("sound")
        .snapshot()
        .await
        .expect("a state")
        .state;
    assert_eq!(
        state.reservations.values().map(|ports| ports.len()).sum::<usize>(),
        9,
        "one port each"
    );
}

#[tokio::test]
async fn a_range_of_ports_can_be_shifted() {
    let text = |from: u16, count: u64| {
        format!(
            r#"
provider "fake" {{}}
node "a" {{
  port_range "mavlink" {{
    from = {from}
    to   = 110
  }}
}}
simulator "exec" "s" {{
  count     = {count}
  placement = node.a
  command   = ["run"]
  port "gcs" {{ range = "mavlink" }}
}}
"#
        )
    };
    let bench = apply_in_turn(&[&text(100, 2), &text(101, 2), &text(100, 3)]).await;
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    let state = fleet.snapshot().await.expect("a state").state;
    let ports: Vec<String> = state
        .reservations
        .values()
        .flatten()
        .map(|(port, by)| format!("{port} {}", by.address))
        .collect();
    let expected = [
        "100/udp simulator.exec.s[2]",
        "101/udp simulator.exec.s[1]",
        "102/udp simulator.exec.s[0]",
    ];
    assert_eq!(ports, expected, "who has a port keeps it, and no port is left behind");
}

#[tokio::test]
async fn a_pool_without_members_is_kept() {
    let text = QUADS
        .replace("min = 2", "min = 0")
        .replace("default = 3", "default = 0");
    let bench = apply_in_turn(&[&text, &text.replace("default = 0", "default = 1"), &text]).await;
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    assert_eq!(fleet.snapshot().await.expect("a state").state.pools.len(), 1);
}

#[tokio::test]
async fn a_simulator_waits_for_all_members_of_its_pool_that_it_reads() {
    let text = QUADS.replace(
        "placement = pool.field",
        "placement = pool.field\n  env = { PEERS = join(\",\", [for member in pool.field.members : member.address]) }",
    );
    let plan = Bench::new(&text).plan(Mode::Apply, &[]).await;
    let quad = plan
        .changes
        .iter()
        .find(|change| change.hosted_on.is_some())
        .expect("it is declared");
    assert!(
        quad.depends_on.contains(&"pool.field".parse().expect("an address")),
        "{quad:?}"
    );
    apply_in_turn(&[&text]).await;
}
