//! What a look at the cloud says, and what it does not prove.

use simfleet::plan::{Action, Plan, Reason};
use simfleet_provider_api::Address;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, Lag, When};

use crate::bench::{Bench, name_of, node, rule};

#[tokio::test(start_paused = true)]
async fn what_cannot_be_reached_is_not_recorded_as_changed() {
    let bench = Bench::new(Faults::default());
    bench.apply(&[node("a", &[], "small", "x")]).await;
    let unreachable = Fault::Unreachable {
        reason: "it is down".into(),
    };
    bench.cloud.set_faults(Faults {
        rules: vec![rule(unreachable, Call::Read, None, When::Always)],
        ..Faults::default()
    });
    let (outcome, _) = bench.apply(&[node("a", &[], "large", "x")]).await;
    assert_eq!(outcome.done, []);
    let (_, state, _) = bench.plan(&[]).await;
    let recorded = &state.resources[&Address::new("node", ["a"])].declared.inputs;
    assert_eq!(recorded.str("size"), Some("small"));
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_or_deleted_by_hand_is_put_back() {
    let bench = Bench::new(Faults::default());
    let fleet = [node("a", &[], "small", "x"), node("b", &["a"], "small", "x")];
    bench.apply(&fleet).await;
    let id = |name: &str| {
        let objects = bench.cloud.objects();
        objects
            .iter()
            .find(|object| name_of(object) == name)
            .expect("it is there")
            .id
            .clone()
    };
    assert!(bench.cloud.destroy(&id("a")));
    assert!(
        bench
            .cloud
            .change(&id("b"), &serde_json::from_str("{\"size\":\"large\"}").expect("JSON"))
    );
    let (plan, ..) = bench.plan(&fleet).await;
    let actions: Vec<Action> = plan.changes.iter().map(|change| change.action).collect();
    assert_eq!(actions, [Action::Create, Action::Update]);
    assert_eq!(plan.changes[0].reasons, [Reason::Gone]);
    assert!(matches!(&plan.changes[1].reasons[..], [Reason::Drifted { path }] if path.to_string() == "size"));
    let (outcome, _) = bench.apply(&fleet).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(bench.plan(&fleet).await.0.is_empty());
}

/// What a list shows of what was changed or deleted may be how it was before.
#[tokio::test(start_paused = true)]
async fn a_list_that_lags_is_confirmed() {
    let bench = Bench::new(Faults {
        stale_list: Lag { calls: 100, ms: 0 },
        list_lag: Lag { calls: 100, ms: 0 },
        ..Faults::default()
    });
    let of = |size: &str| ["a", "b", "c", "d"].map(|name| node(name, &[], size, "base"));
    assert!(bench.apply(&of("small")).await.0.is_complete());
    assert!(bench.apply(&of("large")).await.0.is_complete());
    let actions = |plan: &Plan| -> Vec<Action> { plan.changes.iter().map(|change| change.action).collect() };
    let (plan, ..) = bench.plan(&of("large")).await;
    assert_eq!(
        actions(&plan),
        [Action::NoOp; 4],
        "the list shows them as they were, which they are not any more"
    );

    let deleted = bench.cloud.objects().into_iter().find(|object| name_of(object) == "b");
    assert!(bench.cloud.destroy(&deleted.expect("it is there").id));
    let (plan, ..) = bench.plan(&of("large")).await;
    let expected = [Action::NoOp, Action::Create, Action::NoOp, Action::NoOp];
    assert_eq!(actions(&plan), expected, "the list shows the deleted one as it was");
}
