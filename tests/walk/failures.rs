//! Calls that fail, are lost or take long.

use simfleet::apply::Progress;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, When};
use simfleet_state::StateStore;

use crate::bench::{Bench, node, rule};

#[tokio::test(start_paused = true)]
async fn what_is_not_begun_of_a_replacement_says_what_is_in_its_way() {
    let bench = Bench::new(Faults::default());
    bench.apply(&[node("a", &[], "small", "x")]).await;
    let refused = Fault::Rejected {
        message: "it is in use".into(),
        attribute: None,
    };
    bench.cloud.set_faults(Faults {
        rules: vec![rule(refused, Call::Delete, None, When::Always)],
        ..Faults::default()
    });
    let changed = [node("a", &[], "small", "y"), node("b", &["a"], "small", "x")];
    let (outcome, _) = bench.apply(&changed).await;
    let told = outcome.skipped.iter();
    let told: Vec<String> = told.map(|(address, _, why)| format!("{address}: {why}")).collect();
    assert_eq!(
        told,
        [
            "node.a: the old one has to go first",
            "node.b: it needs node.a, which failed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_needs_it_and_nothing_else() {
    let refused = Fault::Rejected {
        message: "the quota is used up".into(),
        attribute: None,
    };
    let rules = vec![rule(refused, Call::Create, Some("a"), When::Always)];
    let bench = Bench::new(Faults {
        rules,
        ..Faults::default()
    });
    let fleet = [
        node("a", &[], "small", "x"),
        node("b", &["a"], "small", "x"),
        node("c", &["b"], "small", "x"),
        node("d", &[], "small", "x"),
    ];
    let (outcome, _) = bench.apply(&fleet).await;
    assert_eq!(outcome.failed.len(), 1);
    assert!(
        outcome.failed[0].2.contains("the quota is used up"),
        "{:?}",
        outcome.failed
    );
    let skipped: Vec<String> = outcome
        .skipped
        .iter()
        .map(|(address, ..)| address.to_string())
        .collect();
    assert_eq!(skipped, ["node.b", "node.c"]);
    assert_eq!(bench.objects(), ["d"]);
    let state = bench.store.load().await.expect("a store in memory").state;
    assert!(
        state.intents.is_empty(),
        "a proven failure leaves nothing open: {:?}",
        state.intents
    );

    bench.cloud.set_faults(Faults::default());
    let (outcome, _) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(bench.objects(), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn lost_calls_and_throttling_make_nothing_twice() {
    for (case, fault) in [
        ("lost reply", Fault::LostReply),
        ("lost request", Fault::LostRequest),
        ("throttled", Fault::Throttled { retry_after_ms: 50 }),
        ("server error", Fault::ServerError),
    ] {
        for call in [Call::Create, Call::Update, Call::Delete] {
            let rules = vec![rule(fault.clone(), call, None, When::Nth(vec![1, 2, 4]))];
            let bench = Bench::new(Faults {
                rules,
                ..Faults::default()
            });
            let fleet = |size| ["a", "b", "c"].map(|name| node(name, &[], size, "x"));
            for step in [&fleet("small")[..], &fleet("large")[..]] {
                let (outcome, _) = bench.apply(step).await;
                assert!(outcome.is_complete(), "{case} of {call:?}: {outcome:?}");
                assert_eq!(bench.objects(), ["a", "b", "c"], "{case} of {call:?}");
                assert!(bench.plan(step).await.0.is_empty(), "{case} of {call:?}");
            }
            let (outcome, _) = bench.apply(&[]).await;
            assert!(outcome.is_complete(), "{case} of {call:?}: {outcome:?}");
            assert_eq!(bench.objects(), Vec::<String>::new(), "{case} of {call:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_operation_is_followed_to_its_end() {
    let rules = vec![rule(
        Fault::LongRunning { polls: 3, ms: 0 },
        Call::Create,
        None,
        When::Always,
    )];
    let bench = Bench::new(Faults {
        rules,
        ..Faults::default()
    });
    let (outcome, progress) = bench.apply(&[node("a", &[], "small", "x")]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(progress.iter().any(|told| matches!(told, Progress::Accepted { .. })));
    assert_eq!(bench.objects(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_fails_late_leaves_nothing_and_says_why() {
    let late = Fault::FailsLate {
        polls: 2,
        ms: 0,
        message: "no capacity in zone 1".into(),
    };
    let bench = Bench::new(Faults {
        rules: vec![rule(late, Call::Create, None, When::Always)],
        ..Faults::default()
    });
    let (outcome, _) = bench.apply(&[node("a", &[], "small", "x")]).await;
    assert!(outcome.failed[0].2.contains("no capacity in zone 1"), "{outcome:?}");
    assert!(outcome.open.is_empty(), "{outcome:?}");
    assert_eq!(bench.objects(), Vec::<String>::new());
}
