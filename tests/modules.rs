//! Fleets of modules over the fake cloud, from text to objects and back to nothing.
#![cfg(feature = "fake")]

mod support;

use std::fs;
use std::sync::Arc;

use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Mode, PlanFile};
use simfleet_provider_api::Address;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{MemoryStore, System};
use support::bench::{Bench, changes, over};

const SITES: &str = r#"
provider "fake" {}
variable "sites" {
  type    = map(number)
  default = { eu = 1, us = 2 }
}
value "key" { input = "k" }
module "site" {
  source   = "./site"
  for_each = var.sites
  name     = each.key
  flights  = each.value
  gateway  = node.gateway.address
}
node "gateway" { labels = { of = value.key.id } }
value "sum" { input = { for name, site in module.site : name => site.endpoints } }
output "us" { value = module.site["us"].endpoints }
output "names" { value = flatten(values(module.site)[*].names) }
"#;

const SITE: &str = r#"
variable "name" { type = string }
variable "gateway" { type = string }
variable "flights" {
  type = number
  validation {
    condition     = var.flights < 5
    error_message = "site ${var.name} has room for four flights, not ${var.flights}"
  }
}
locals { labels = { site = var.name, via = var.gateway } }
pool "field" {
  node {
    max_simulators = 2
    labels         = local.labels
    port_range "mavlink" {
      from = 14560
      to   = 14570
    }
  }
  autoscale {
    min = 1
    max = 2
  }
}
module "wing" {
  source = "../wing"
  count  = var.flights
  field  = pool.field
  number = count.index
}
output "endpoints" { value = { for wing in module.wing : wing.name => wing.endpoint } }
output "names" { value = module.wing[*].name }
"#;

const WING: &str = r#"
variable "field" {}
variable "number" { type = number }
simulator "vehicle" "quad" {
  placement = var.field
  instance  = var.number
  port "gcs" { range = "mavlink" }
}
output "name" { value = simulator.vehicle.quad.name }
output "endpoint" { value = "udp://${simulator.vehicle.quad.node.address}:${simulator.vehicle.quad.ports.gcs}" }
"#;

fn bench() -> Bench {
    let bench = Bench::new(SITES);
    for (folder, text) in [("site", SITE), ("wing", WING)] {
        fs::create_dir_all(bench.path().join(folder)).expect("a folder");
        fs::write(bench.path().join(folder).join("module.hcl"), text).expect("a file");
    }
    bench
}

#[tokio::test]
async fn resources_of_modules_are_made_kept_and_removed_like_others() {
    let bench = bench();
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        [
            "create node.gateway",
            "create value.key",
            "create value.sum",
            "create module.site[\"eu\"].pool.field/m1",
            "create module.site[\"eu\"].module.wing[0].simulator.vehicle.quad",
            "create module.site[\"us\"].pool.field/m1",
            "create module.site[\"us\"].module.wing[0].simulator.vehicle.quad",
            "create module.site[\"us\"].module.wing[1].simulator.vehicle.quad",
        ]
    );
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    let state = fleet.snapshot().await.expect("a state").state;
    let names = simfleet::config::eval::render(&state.outputs["names"]);
    assert_eq!(
        names,
        "[\n  \"site-eu-wing-0-quad\",\n  \"site-us-wing-0-quad\",\n  \"site-us-wing-1-quad\",\n]"
    );
    let ends = state.outputs["us"].as_fields().expect("an object").clone();
    assert_eq!(ends.len(), 2);
    assert!(
        ends.values()
            .all(|end| end.as_str().is_some_and(|end| end.starts_with("udp://"))),
        "{ends:?}"
    );
    // Each stage of what is read is a need of what reads it, within the instance and across.
    let needs = |address: &str| {
        let address: Address = address.parse().expect("an address");
        let needs = state.resources[&address].declared.depends_on.iter();
        needs.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(needs("module.site[\"us\"].pool.field/m1"), ["node.gateway"]);
    assert!(needs("value.sum").contains(&"module.site[\"eu\"].module.wing[0].simulator.vehicle.quad".to_owned()));
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    // One site more, one flight less: only that changes.
    let vars = [("sites", "{ eu = 1, us = 1, jp = 1 }")];
    let plan = bench.plan(Mode::Apply, &vars).await;
    assert_eq!(
        changes(&plan),
        [
            "update value.sum",
            "create module.site[\"jp\"].pool.field/m1",
            "create module.site[\"jp\"].module.wing[0].simulator.vehicle.quad",
            "delete module.site[\"us\"].module.wing[1].simulator.vehicle.quad",
        ]
    );
    assert!(bench.apply(Mode::Apply, &vars).await.is_complete());
    assert!(bench.plan(Mode::Apply, &vars).await.is_empty());
    let outcome = bench.apply(Mode::Destroy, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    assert!(fleet.snapshot().await.expect("a state").state.resources.is_empty());
}

#[tokio::test]
async fn what_drifts_in_a_module_is_seen_and_mended() {
    let bench = bench();
    let (store, cloud) = (MemoryStore::new(Arc::new(System)), Gateway::new(Faults::default()));
    let open = |mode| over(bench.options(mode, &[]), &store, &cloud);
    let (progress, _told) = tokio::sync::mpsc::unbounded_channel();
    let (_keep, stop) = tokio::sync::watch::channel(false);
    let fleet = open(Mode::Apply);
    let planned = fleet.plan().await.expect("it can be planned");
    let outcome = fleet.apply(planned, &progress, stop.clone()).await.expect("no locks");
    assert!(outcome.is_complete(), "{outcome:?}");
    let address: Address = "module.site[\"us\"].pool.field/m1".parse().expect("an address");
    let id = fleet.snapshot().await.expect("a state").state.resources[&address]
        .object
        .id
        .clone();
    let moved = serde_json::from_str("{\"labels\": {\"site\": \"mars\"}}").expect("JSON");
    assert!(cloud.change(&id.0, &moved));
    let planned = fleet.plan().await.expect("it can be planned");
    assert_eq!(changes(&planned.plan), ["update module.site[\"us\"].pool.field/m1"]);
    assert_eq!(planned.plan.drift.len(), 1);
    let outcome = fleet.apply(planned, &progress, stop).await.expect("no locks");
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(fleet.plan().await.expect("it can be planned").plan.is_empty());
}

#[tokio::test]
async fn a_saved_plan_carries_the_files_of_its_modules() {
    let bench = bench();
    let file = bench.path().join("plan.json");
    let fleet = bench.open(Mode::Apply, &[]).expect("sound");
    let planned = fleet.plan().await.expect("it can be planned");
    fleet.save_plan(&planned, &file).expect("it can be saved");
    fs::remove_dir_all(bench.path().join("site")).expect("it was there");
    fs::remove_dir_all(bench.path().join("wing")).expect("it was there");
    let file = PlanFile::read(&file).expect("a plan");
    let fleet = Fleet::of_plan(&file, bench.options(Mode::Apply, &[])).expect("it needs no other files");
    let again = fleet.replan(&file).await.expect("nothing changed");
    assert_eq!(changes(&again.plan), changes(&planned.plan));
}

#[tokio::test]
async fn a_validation_of_a_module_stops_the_plan() {
    let bench = bench();
    let fleet = bench.open(Mode::Apply, &[("sites", "{ eu = 9 }")]);
    let errors = match fleet.expect("instances are not looked at yet").plan().await {
        Err(FleetError::Diagnostics(errors)) => errors,
        other => panic!("nine are too many: {other:?}"),
    };
    let details: Vec<_> = errors.0.iter().map(|error| &*error.detail).collect();
    assert_eq!(details, ["site eu has room for four flights, not 9"]);
}

#[tokio::test]
async fn a_value_that_only_the_apply_can_tell_is_validated_when_it_is_known() {
    let bench = Bench::new(
        "value \"in\" {}\nmodule \"m\" {\n  source = \"./m\"\n  id = value.in.id\n}\noutput \"o\" { value = module.m.o }\n",
    );
    fs::create_dir_all(bench.path().join("m")).expect("a folder");
    let module = "variable \"id\" {\n  validation {\n    condition = length(var.id) < 5\n    error_message = \"too long\"\n  }\n}\n\
                  value \"v\" { input = var.id }\noutput \"o\" { value = value.v.output }\n";
    fs::write(bench.path().join("m/m.hcl"), module).expect("a file");
    assert_eq!(
        changes(&bench.plan(Mode::Apply, &[]).await),
        ["create value.in", "create module.m.value.v"]
    );
    let outcome = bench.apply(Mode::Apply, &[]).await;
    let failed: Vec<_> = outcome
        .failed
        .iter()
        .map(|(address, _, why)| format!("{address}: {why}"))
        .collect();
    assert_eq!(failed, ["module.m.value.v: too long"]);
}
