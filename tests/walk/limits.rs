//! How fast calls may come, and how long a run takes.

use std::collections::BTreeMap;
use std::time::Duration;

use simfleet::apply::{self, Estimate, Progress};
use simfleet::lower::Desired;
use simfleet_provider_api::{Attributes, Value};
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Cause;
use simfleet_provider_fake::faults::{Fault, Faults, Pattern, When};
use simfleet_provider_fake::gateway::{Hold, Moment};

use crate::bench::{Bench, node, options, rule};

/// Nodes of a provider with limits, and when the cloud was asked to make each, in milliseconds.
fn limited(names: &[String], limits: serde_json::Value) -> Vec<Desired> {
    let settings: Attributes = serde_json::from_value::<BTreeMap<String, serde_json::Value>>(limits)
        .expect("an object")
        .iter()
        .map(|(name, value)| (name.as_str(), value_of(value)))
        .collect();
    let of = |name: &String| {
        let mut desired = node(name, &[], "small", "x");
        desired.provider.settings = settings.clone();
        desired
    };
    names.iter().map(of).collect()
}

fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Object(fields) => {
            Value::object(fields.iter().map(|(name, json)| (name.as_str(), value_of(json))))
        }
        number => Value::from(number.as_u64().expect("a whole number")),
    }
}

fn asked_to_create(bench: &Bench) -> Vec<(u64, String)> {
    let log = bench.cloud.log().into_iter();
    let create = log.filter_map(|entry| match entry.cause {
        Cause::Called {
            call: Call::Create,
            name,
            ..
        } => Some((entry.at_ms, name.expect("it has a name"))),
        _ => None,
    });
    create.collect()
}

#[tokio::test(start_paused = true)]
async fn calls_come_no_faster_than_the_rate_of_their_endpoint() {
    let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    let bench = Bench::new(Faults::default());
    let limits = serde_json::json!({ "rate_limit": { "per_second": 2, "burst": 3 } });
    let (outcome, _) = bench.apply(&limited(&names, limits)).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let asked = asked_to_create(&bench);
    let times: Vec<u64> = asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 0, 0, 500, 1000, 1500, 2000, 2500]);
    let in_order: Vec<&String> = asked.iter().map(|(_, name)| name).collect();
    assert_eq!(in_order, names.iter().collect::<Vec<_>>(), "each is served in its turn");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_allowed_are_unanswered_at_once() {
    let names = ["a", "b", "c"].map(str::to_owned);
    let bench = Bench::new(Faults::default());
    let hold = bench.cloud.hold(Hold {
        to: Pattern::default(),
        nth: 1,
        at: Moment::Before,
    });
    let fleet = limited(&names, serde_json::json!({ "parallelism": 1 }));
    let (outcome, ()) = tokio::join!(async { bench.apply(&fleet).await.0 }, async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(asked_to_create(&bench).len(), 0, "the first is not answered yet");
        bench.cloud.release(hold);
    });
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(bench.objects(), names);
}

/// One call that was too much has all the others wait too: each of them would be one more.
#[tokio::test(start_paused = true)]
async fn a_far_side_that_asks_for_a_pause_is_left_alone_by_all() {
    let throttled = Fault::Throttled { retry_after_ms: 5_000 };
    let bench = Bench::new(Faults {
        rules: vec![rule(throttled, Call::Create, None, When::Nth(vec![3]))],
        ..Faults::default()
    });
    let names: Vec<String> = (0..7).map(|number| format!("n{number}")).collect();
    let limits = serde_json::json!({ "parallelism": 1 });
    let (outcome, progress) = bench.apply(&limited(&names, limits)).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let asked = asked_to_create(&bench);
    assert_eq!(asked.iter().filter(|(at, _)| *at == 0).count(), 3);
    assert!(asked[3..].iter().all(|(at, _)| *at >= 5_000), "{asked:?}");
    let last = asked.last().expect("there are some");
    assert_eq!(last.1, "n2", "who was refused comes after those that waited meanwhile");
    let retries = progress.iter().filter(|told| matches!(told, Progress::Retrying { .. }));
    assert_eq!(retries.count(), 1);
}

/// What was recorded of earlier operations says how long a plan takes: as long as it then does.
#[tokio::test(start_paused = true)]
async fn a_plan_takes_as_long_as_earlier_ones_say() {
    let long = Fault::LongRunning { polls: 0, ms: 10_000 };
    let bench = Bench::new(Faults {
        rules: vec![rule(long, Call::Create, None, When::Always)],
        ..Faults::default()
    });
    let of = |names: &[&str]| {
        names
            .iter()
            .map(|name| node(name, &[], "small", "x"))
            .collect::<Vec<_>>()
    };
    let estimate = async |desired: &[Desired]| {
        let (plan, state, _) = bench.plan(desired).await;
        apply::estimate(&plan, &state.timings, options().parallelism)
    };
    assert_eq!(estimate(&of(&["a"])).await, None, "nothing is known yet");
    bench.apply(&of(&["a"])).await;
    assert_eq!(estimate(&of(&["a"])).await, None, "nothing is to be done");

    // Four at a time: the fifth comes after one of them; and what needs it after that.
    let mut fleet = of(&["a", "b", "c", "d", "e", "f"]);
    fleet.push(node("g", &["f"], "small", "x"));
    let Some(Estimate::About(expected)) = estimate(&fleet).await else {
        panic!("all of it was done before");
    };
    assert_eq!(expected.as_secs(), 30);
    let began = tokio::time::Instant::now();
    let (outcome, progress) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let took = began.elapsed();
    assert!(
        took.abs_diff(expected) < Duration::from_secs(1),
        "{took:?} and not {expected:?}"
    );
    let told = progress.iter().filter_map(|told| match told {
        Progress::Started { expected, .. } => Some(expected.expect("it was done before").as_secs()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [10; 6]);

    // Nothing was deleted yet.
    fleet[0].attributes.set("image", "y");
    assert!(matches!(estimate(&fleet).await, Some(Estimate::AtLeast(least)) if least.as_secs() == 10));
}
