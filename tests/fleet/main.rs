//! Whole fleets over the fake cloud, from text to objects and back to nothing.
#![cfg(feature = "fake")]

mod growth;
mod lost;
mod moments;
mod places;
mod stale;
#[path = "../support/mod.rs"]
mod support;
mod values;

use simfleet::plan::Mode;

use crate::support::bench::{Bench, changes};

/// Vehicles in a pool that grows with them.
const QUADS: &str = r#"
provider "fake" {}
variable "vehicles" {
  type    = number
  default = 3
}
pool "field" {
  node {
    max_simulators = 4
    port_range "mavlink" {
      from = 14560
      to   = 14570
    }
  }
  autoscale {
    min = 2
    max = 4
    check "free_slots" {
      strategy "buffer" { min_ready = 1 }
    }
  }
}
simulator "vehicle" "quad" {
  count     = var.vehicles
  placement = pool.field
  instance  = count.index
  port "gcs" { range = "mavlink" }
}
output "vehicles" {
  value = { for v in simulator.vehicle.quad : v.name => "udp://${v.node.address}:${v.ports.gcs}" }
}
"#;

/// Applies each text in turn: all of it is done, and the plan after it is empty.
async fn apply_in_turn(texts: &[&str]) -> Bench {
    let bench = Bench::new(texts[0]);
    for text in texts {
        bench.write(text);
        let outcome = bench.apply(Mode::Apply, &[]).await;
        assert!(outcome.is_complete(), "{outcome:?}\n{text}");
        let plan = bench.plan(Mode::Apply, &[]).await;
        assert!(plan.is_empty(), "{:?}\n{text}", changes(&plan));
    }
    bench
}
