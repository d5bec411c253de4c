//! What an earlier run, or a stopped one, left open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use simfleet::apply::{Progress, Verb};
use simfleet_provider_api::{
    Address, Attribute, Attributes, Context, Provider, ProviderError, ProviderType, Schema, Value,
};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, Lag, When};
use simfleet_state::{Holder, LockSet, StateError, StateStore, System};
use tokio::sync::watch;

use crate::bench::{Bench, node, rule};

#[tokio::test(start_paused = true)]
async fn an_unknown_end_stays_open_and_is_resumed_with_the_same_token() {
    for (case, fault) in [("lost reply", Fault::LostReply), ("lost request", Fault::LostRequest)] {
        let rules = vec![
            rule(fault, Call::Create, None, When::Always),
            rule(Fault::LostRequest, Call::Find, None, When::Always),
        ];
        let bench = Bench::new(Faults {
            rules,
            find_lag: Lag { calls: 2, ms: 0 },
            ..Faults::default()
        });
        let (outcome, _) = bench.apply(&[node("a", &[], "small", "x")]).await;
        assert_eq!(outcome.open, [(Address::new("node", ["a"]), Verb::Create)], "{case}");
        bench.cloud.set_faults(Faults::default());
        assert_eq!(bench.resume().await, [], "{case}");
        assert_eq!(bench.objects(), ["a"], "{case}");
        let (plan, state, _) = bench.plan(&[node("a", &[], "small", "x")]).await;
        assert!(plan.is_empty() && state.intents.is_empty(), "{case}: {plan:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_reply_is_no_proof_that_nothing_was_made() {
    let refused = Fault::Rejected {
        message: "the quota is used up".into(),
        attribute: None,
    };
    let rules = vec![
        rule(Fault::LostReply, Call::Create, None, When::Nth(vec![1])),
        rule(refused, Call::Create, None, When::Nth(vec![2])),
    ];
    let bench = Bench::new(Faults {
        rules,
        find_lag: Lag { calls: 0, ms: 1_000 },
        ..Faults::default()
    });
    let fleet = [node("a", &[], "small", "x")];
    let (outcome, _) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(bench.objects(), ["a"]);
    assert!(bench.plan(&fleet).await.0.is_empty());
}

/// Returns the rules for a call that is lost again and again, so that its intent stays open.
fn lost(fault: Fault, call: Call) -> Faults {
    let rules = vec![
        rule(fault, call, None, When::Always),
        rule(Fault::LostRequest, Call::Find, None, When::Always),
    ];
    Faults {
        rules,
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_do_not_allow_to_look_prove_nothing() {
    let bench = Bench::new(lost(Fault::LostReply, Call::Create));
    let fleet = [node("a", &[], "small", "x")];
    bench.apply(&fleet).await;
    bench.cloud.set_faults(Faults {
        rules: vec![rule(Fault::Denied, Call::Find, None, When::Always)],
        ..Faults::default()
    });
    assert_eq!(bench.resume().await.len(), 1, "it is still not known");
    bench.cloud.set_faults(Faults::default());
    assert_eq!(bench.resume().await, []);
    let (outcome, _) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(bench.objects(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_update_of_what_was_changed_or_deleted_since_is_planned_again() {
    for case in ["changed", "deleted"] {
        let bench = Bench::new(Faults::default());
        bench.apply(&[node("a", &[], "small", "x")]).await;
        bench.cloud.set_faults(lost(Fault::LostRequest, Call::Update));
        let fleet = [node("a", &[], "large", "x")];
        let (outcome, _) = bench.apply(&fleet).await;
        assert_eq!(outcome.open.len(), 1, "{case}: {outcome:?}");
        bench.cloud.set_faults(Faults::default());
        let id = &bench.cloud.objects()[0].id;
        assert!(match case {
            "changed" => bench
                .cloud
                .change(id, &serde_json::from_str("{\"size\":\"medium\"}").expect("JSON")),
            _ => bench.cloud.destroy(id),
        });
        assert_eq!(bench.resume().await, [], "{case}");
        let (outcome, _) = bench.apply(&fleet).await;
        assert!(outcome.is_complete(), "{case}: {outcome:?}");
        assert!(bench.plan(&fleet).await.0.is_empty(), "{case}");
    }
}

/// Its node came back only after what could be finished before the plan was: it is still open when the walk begins.
#[tokio::test(start_paused = true)]
async fn what_is_open_and_was_changed_since_is_finished_in_the_walk() {
    let wanted = [node("a", &[], "small", "x")];
    for fleet in [&wanted[..], &[]] {
        let bench = Bench::new(Faults::default());
        bench.apply(&wanted).await;
        bench.cloud.set_faults(lost(Fault::LostRequest, Call::Delete));
        let (outcome, _) = bench.apply(&[]).await;
        assert_eq!(outcome.open.len(), 1, "{outcome:?}");
        bench.cloud.set_faults(Faults::default());
        let id = &bench.cloud.objects()[0].id;
        let large = serde_json::from_str("{\"size\":\"large\"}").expect("JSON");
        assert!(bench.cloud.change(id, &large));
        let (outcome, _) = bench.apply(fleet).await;
        assert!(outcome.is_complete(), "{outcome:?}");
        assert_eq!(bench.objects().len(), fleet.len());
        assert!(bench.plan(fleet).await.0.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_over_stays_locked_for_as_long_as_it_takes() {
    let long = Fault::LongRunning { polls: 0, ms: 25_000 };
    let bench = Bench::new(Faults {
        rules: vec![
            rule(long, Call::Create, None, When::Always),
            rule(Fault::LostRequest, Call::Poll, None, When::Always),
        ],
        ..Faults::default()
    });
    let (outcome, _) = bench.apply(&[node("a", &[], "small", "x")]).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    let mut faults = bench.cloud.faults();
    faults.rules.pop();
    bench.cloud.set_faults(faults);
    let (stuck, another) = tokio::join!(bench.resume(), async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        let holder = Holder::this_process("another", &System);
        let locks = LockSet::exclusive([Address::new("node", ["a"])]);
        bench.store.open(&holder, &locks).await.map(drop)
    });
    assert!(matches!(another, Err(StateError::Locked(_))), "{another:?}");
    assert_eq!(stuck, []);
    assert_eq!(bench.objects(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_create_of_what_was_deleted_since_is_planned_again() {
    let long = Fault::LongRunning { polls: 0, ms: 10_000 };
    let bench = Bench::new(Faults {
        rules: vec![rule(long, Call::Create, None, When::Always)],
        ..Faults::default()
    });
    let fleet = [node("a", &[], "small", "x")];
    let (stop, stopped) = watch::channel(false);
    let (outcome, _) = tokio::join!(bench.apply_until(&fleet, stopped), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
    })
    .0;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!bench.cloud.destroy("nothing"), "time passes in the cloud with a call");
    assert!(bench.cloud.destroy(&bench.cloud.objects()[0].id));
    assert_eq!(bench.resume().await, []);
    bench.cloud.set_faults(Faults::default());
    let (outcome, _) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(bench.objects(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_perhaps_set_is_not_known() {
    let with_password = |password: &str| {
        let mut node = node("a", &[], "small", "x");
        node.attributes.set("password", Value::from(password).mark(true));
        [node]
    };
    let bench = Bench::new(Faults::default());
    bench.apply(&with_password("one")).await;
    bench.cloud.set_faults(lost(Fault::LostReply, Call::Update));
    let (outcome, _) = bench.apply(&with_password("two")).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    bench.cloud.set_faults(Faults::default());
    assert_eq!(bench.resume().await, []);
    let (_, state, _) = bench.plan(&with_password("two")).await;
    let recorded = &state.resources[&Address::new("node", ["a"])].declared.inputs;
    assert_eq!(
        recorded.get("password"),
        None,
        "neither the old one nor the new one is known to be set"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_begins_nothing_new_and_keeps_the_handle() {
    let rules = vec![rule(
        Fault::LongRunning { polls: 1000, ms: 0 },
        Call::Create,
        Some("a"),
        When::Always,
    )];
    let bench = Bench::new(Faults {
        rules,
        ..Faults::default()
    });
    let fleet = [node("a", &[], "small", "x"), node("b", &["a"], "small", "x")];
    let (stop, stopped) = watch::channel(false);
    let asked = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.send(true).expect("the run listens");
        std::future::pending::<()>().await;
    };
    let (outcome, progress) = tokio::select! {
        done = bench.apply_until(&fleet, stopped) => done,
        () = asked => unreachable!("it waits for ever"),
    };
    assert!(outcome.interrupted);
    assert_eq!(outcome.open, [(Address::new("node", ["a"]), Verb::Create)]);
    assert_eq!(outcome.skipped.len(), 1, "{outcome:?}");
    assert!(
        progress
            .iter()
            .any(|told| matches!(told, Progress::Stopping { in_flight: 1 }))
    );
    let state = bench.store.load().await.expect("a store in memory").state;
    assert!(state.intents[&Address::new("node", ["a"])].handle.is_some());

    bench.cloud.set_faults(Faults::default());
    let (_, state, _) = bench.plan(&fleet).await;
    assert_eq!(state.intents.len(), 1);
}

/// The fake cloud, at a time when what is needed to speak to it is missing.
#[derive(Debug)]
struct WithoutCredentials(FakeType);

#[async_trait]
impl ProviderType for WithoutCredentials {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn settings(&self) -> &[Attribute] {
        self.0.settings()
    }

    fn schemas(&self) -> &[Schema] {
        self.0.schemas()
    }

    async fn configure(&self, _: &Attributes, _: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let message = "the certificate is missing".to_owned();
        Err(ProviderError::Denied { message })
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_cannot_be_configured_proves_nothing() {
    let mut bench = Bench::new(lost(Fault::LostReply, Call::Create));
    let fleet = [node("a", &[], "small", "x")];
    bench.apply(&fleet).await;
    bench.cloud.set_faults(Faults::default());

    let as_they_are = FakeType::with_cloud(bench.cloud.clone());
    bench.speak_by(WithoutCredentials(FakeType::with_cloud(bench.cloud.clone())));
    let stuck = bench.resume().await;
    assert_eq!(stuck.len(), 1, "{stuck:?}");
    assert!(stuck[0].reason.contains("the certificate is missing"), "{stuck:?}");

    bench.speak_by(as_they_are);
    assert_eq!(bench.resume().await, []);
    assert_eq!(bench.objects(), ["a"], "what was made before is found by its token");
    assert!(bench.plan(&fleet).await.0.is_empty());
}
