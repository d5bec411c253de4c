//! What depends on when a fleet is planned and applied: `timestamp()`, `plantimestamp()`, `uuid()`.

use std::sync::Arc;

use jiff::Timestamp;
use simfleet::apply;
use simfleet::fleet::Fleet;
use simfleet::plan::{Action, Mode, Pattern, Plan, Selection};
use simfleet::providers::Registry;
use simfleet_provider_api::Value;
use simfleet_state::{Host, Liveness, MemoryStore, Process, StateStore, System};
use tokio::sync::{mpsc, watch};

use crate::support::bench::{Bench, changes};

/// This machine at a time, in seconds since 1970.
#[derive(Debug)]
struct At(i64);

impl Host for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0).expect("a time")
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        u128::from(self.0.unsigned_abs()).to_be_bytes()
    }
}

struct Moments {
    bench: Bench,
    store: MemoryStore,
}

impl Moments {
    fn new(text: &str) -> Self {
        Moments {
            bench: Bench::new(text),
            store: MemoryStore::new(Arc::new(System)),
        }
    }

    /// Opens the fleet for a plan that is made at one time and carried out at another.
    fn open(&self, planned: i64, applied: i64) -> Fleet {
        let mut options = self.bench.options(Mode::Apply, &[]);
        options.at = At(planned).now();
        let walk = apply::Options {
            host: Arc::new(At(applied)),
            ..apply::Options::default()
        };
        let store = Arc::new(self.store.clone());
        let fleet = Fleet::open(options).expect("the fleet is sound");
        fleet.over(store, Registry::built_in(), walk)
    }

    async fn run(&self, fleet: &Fleet) -> Plan {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        assert!(outcome.is_complete(), "{outcome:?}");
        plan
    }

    /// Returns the recorded input of a value.
    async fn input(&self, name: &str) -> Value {
        let state = self.store.load().await.expect("a state").state;
        let found = state.resources.iter().find(|(address, _)| address.to_string() == name);
        let (_, resource) = found.expect("it is recorded");
        resource.object.attributes.get("input").cloned().expect("an input")
    }

    async fn output(&self, name: &str) -> Value {
        let state = self.store.load().await.expect("a state").state;
        state.outputs.get(name).cloned().expect("an output")
    }
}

const TIMES: &str = r#"
locals {
  planned = plantimestamp()
  now     = timestamp()
}
value "now" { input = timestamp() }
value "planned" { input = local.planned }
value "ignored" {
  input = [timestamp(), plantimestamp()]
  lifecycle { ignore_changes = [input] }
}
value "reader" { input = [value.now.output, value.planned.input, value.ignored.input, local.now] }
output "times" { value = [timestamp(), plantimestamp(), value.now.input, value.reader.input[3]] }
"#;

#[tokio::test]
async fn the_time_of_the_plan_is_known_in_it_and_that_of_the_apply_only_then() {
    let fleet = Moments::new(TIMES);
    let (planned, applied) = ("2001-09-09T01:46:40Z", "2001-09-09T01:47:40Z");
    let plan = fleet.run(&fleet.open(1_000_000_000, 1_000_000_060)).await;
    let after = |name: &str| {
        let change = plan.changes.iter().find(|change| change.address.to_string() == name);
        let after = change.and_then(|change| change.after.as_ref());
        after.and_then(|after| after.get("input")).cloned().expect("an input")
    };
    assert!(after("value.now").is_unknown());
    assert_eq!(after("value.planned").as_str(), Some(planned));
    assert_eq!(fleet.input("value.now").await.as_str(), Some(applied));
    assert_eq!(fleet.input("value.planned").await.as_str(), Some(planned));
    let texts = |value: Value| -> Vec<String> {
        let items = value.as_slice().expect("a list").iter();
        items.map(|item| item.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(texts(fleet.input("value.ignored").await), [applied, planned]);
    let reader = fleet.input("value.reader").await;
    let reader = reader.as_slice().expect("a list");
    assert_eq!(reader[0].as_str(), Some(applied));
    assert_eq!(reader[1].as_str(), Some(planned));
    assert_eq!(texts(reader[2].clone()), [applied, planned]);
    assert_eq!(texts(fleet.output("times").await), [applied, planned, applied, applied]);

    // Each plan is of another time, but for what ignores that.
    let (planned, applied) = ("2033-05-18T03:33:20Z", "2033-05-18T03:34:20Z");
    let plan = fleet.run(&fleet.open(2_000_000_000, 2_000_000_060)).await;
    let updated = plan.changes.iter().filter(|change| change.action == Action::Update);
    let updated: Vec<String> = updated.map(|change| change.address.to_string()).collect();
    assert_eq!(updated, ["value.now", "value.planned", "value.reader"]);
    assert_eq!(fleet.input("value.now").await.as_str(), Some(applied));
    assert_eq!(fleet.input("value.planned").await.as_str(), Some(planned));
    let before = ["2001-09-09T01:47:40Z", "2001-09-09T01:46:40Z"];
    assert_eq!(texts(fleet.input("value.ignored").await), before);
    let reader = fleet.input("value.reader").await;
    assert_eq!(texts(reader.as_slice().expect("a list")[2].clone()), before);
    assert_eq!(texts(fleet.output("times").await), [applied, planned, applied, applied]);
}

const UUIDS: &str = r#"
locals { shared = uuid() }
value "one" { input = { own = uuid(), shared = local.shared, two = [for i in range(2) : uuid()] } }
value "each" {
  for_each = toset(["x", "y"])
  input    = uuid()
}
value "reader" {
  input = [value.one.input.own, value.one.output.own, value.each["x"].input, local.shared]
}
output "all" {
  value = concat([value.one.input.own, local.shared], value.one.output.two, [for v in value.each : v.input], [uuid()])
}
"#;

#[tokio::test]
async fn a_uuid_is_made_once_in_an_apply_and_read_alike_by_all() {
    let fleet = Moments::new(UUIDS);
    fleet.run(&fleet.open(1, 2)).await;
    let one = fleet.input("value.one").await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let field = |name: &str| text(one.get(name).expect("a field"));
    let (x, y) = (
        fleet.input("value.each[\"x\"]").await,
        fleet.input("value.each[\"y\"]").await,
    );
    let reader = fleet.input("value.reader").await;
    let read: Vec<String> = reader.as_slice().expect("a list").iter().map(text).collect();
    assert_eq!(read, [field("own"), field("own"), text(&x), field("shared")]);
    let all = fleet.output("all").await;
    let all: Vec<String> = all.as_slice().expect("a list").iter().map(text).collect();
    assert_eq!(all[..2], [field("own"), field("shared")]);
    assert_eq!(all[4..6], [text(&x), text(&y)]);
    let mut distinct = all.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 7, "{all:?}");
    for text in &all {
        let uuid: uuid::Uuid = text.parse().expect("a UUID");
        assert_eq!(uuid.get_version_num(), 4, "{text}");
    }
    // The next apply makes others.
    fleet.run(&fleet.open(3, 4)).await;
    let again = fleet.output("all").await;
    let again: Vec<String> = again.as_slice().expect("a list").iter().map(text).collect();
    assert!(all.iter().all(|before| !again.contains(before)), "{all:?} {again:?}");
}

#[tokio::test]
async fn what_is_left_out_of_an_apply_is_read_as_it_was_made() {
    let fleet = Moments::new(
        "value \"a\" { input = uuid() }\nvalue \"b\" { input = uuid() }\noutput \"a\" { value = value.a.input }\n",
    );
    fleet.run(&fleet.open(1, 2)).await;
    let (a, b) = (fleet.input("value.a").await, fleet.input("value.b").await);
    let only_b = Selection {
        targets: vec!["value.b".parse::<Pattern>().expect("a pattern")],
        ..Selection::default()
    };
    fleet.run(&fleet.open(3, 4).select(only_b)).await;
    assert_eq!(fleet.input("value.a").await, a);
    assert_ne!(fleet.input("value.b").await, b);
    assert_eq!(fleet.output("a").await, a);
}

#[tokio::test]
async fn what_is_enforced_stays_as_it_was_applied() {
    let fleet = Moments::new(TIMES);
    fleet.run(&fleet.open(1_000_000_000, 1_000_000_060)).await;
    let enforced = fleet.open(2_000_000_000, 2_000_000_060).keeping_moments();
    let plan = enforced.plan().await.expect("it can be planned").plan;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
    // What is changed for another reason keeps its time too, and what is new gets one.
    let more = "value \"new\" { input = timestamp() }\n";
    let replaced = "value \"now\" {\n  input = timestamp()\n  triggers_replace = 1\n}";
    let text = TIMES.replace("value \"now\" { input = timestamp() }", replaced);
    fleet.bench.write(&format!("{text}{more}"));
    let enforced = fleet.open(2_000_000_000, 2_000_000_060).keeping_moments();
    let plan = fleet.run(&enforced).await;
    let replaced = plan.changes.iter().filter(|change| change.action == Action::Replace);
    let replaced: Vec<String> = replaced.map(|change| change.address.to_string()).collect();
    assert_eq!(replaced, ["value.now"]);
    assert_eq!(fleet.input("value.now").await.as_str(), Some("2001-09-09T01:47:40Z"));
    assert_eq!(fleet.input("value.new").await.as_str(), Some("2033-05-18T03:34:20Z"));
    let plan = enforced.plan().await.expect("it can be planned").plan;
    assert!(plan.is_empty(), "{:?}", changes(&plan));
}
