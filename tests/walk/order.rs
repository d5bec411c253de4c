//! What comes before what.

use std::collections::BTreeSet;

use simfleet::lower::Desired;
use simfleet::plan::Action;
use simfleet_provider_api::{Address, Key};
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, When};
use tokio::sync::watch;

use crate::bench::{Bench, finished, name_of, node, rule};

#[tokio::test(start_paused = true)]
async fn what_is_needed_is_made_first_and_deleted_last() {
    let bench = Bench::new(Faults::default());
    let chain = [
        node("c", &["b"], "small", "x"),
        node("b", &["a"], "small", "x"),
        node("a", &[], "small", "x"),
    ];
    let (outcome, progress) = bench.apply(&chain).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(finished(&progress), ["create node.a", "create node.b", "create node.c"]);
    let (plan, ..) = bench.plan(&chain).await;
    assert!(plan.is_empty(), "a plan after an apply is empty: {plan:?}");

    let (outcome, progress) = bench.apply(&[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(finished(&progress), ["delete node.c", "delete node.b", "delete node.a"]);
    assert_eq!(bench.objects(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_replacement_goes_around_what_needs_it() {
    let bench = Bench::new(Faults::default());
    bench
        .apply(&[node("a", &[], "small", "x"), node("b", &["a"], "small", "x")])
        .await;
    let changed = [node("a", &[], "small", "y"), node("b", &["a"], "large", "x")];
    let (plan, ..) = bench.plan(&changed).await;
    let actions: BTreeSet<Action> = plan.changes.iter().map(|change| change.action).collect();
    assert_eq!(actions, BTreeSet::from([Action::Replace, Action::Update]));
    let (outcome, progress) = bench.apply(&changed).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(finished(&progress), ["delete node.a", "create node.a", "update node.b"]);
    assert!(bench.plan(&changed).await.0.is_empty());
}

/// What runs on a node goes before what it needed, also where its node changes after that; only where its node is not there
/// does it go once it is.
#[tokio::test(start_paused = true)]
async fn what_runs_on_a_node_that_changes_need_not_wait_for_it() {
    let before_all = ["delete node.on_b", "delete node.a", "create node.a", "update node.b"];
    let once_it_is_back = ["delete node.a", "create node.a", "create node.b", "delete node.on_b"];
    for (is_gone, expected) in [(false, before_all), (true, once_it_is_back)] {
        let bench = Bench::new(Faults::default());
        let mut on_b = node("on_b", &["a"], "small", "x");
        on_b.hosted_on = Some(Address::new("node", ["b"]));
        let fleet = [node("a", &[], "small", "x"), node("b", &["a"], "small", "x"), on_b];
        assert!(bench.apply(&fleet).await.0.is_complete());
        if is_gone {
            let objects = bench.cloud.objects();
            let b = objects.iter().find(|object| name_of(object) == "b");
            assert!(bench.cloud.destroy(&b.expect("it is there").id));
        }
        let changed = [node("a", &[], "small", "y"), node("b", &["a"], "large", "x")];
        let (outcome, progress) = bench.apply(&changed).await;
        assert!(outcome.is_complete(), "{outcome:?}");
        assert_eq!(finished(&progress), expected);
    }
}

/// One reads all of a block, and from now on only the first instance, which goes before its replacement comes: it cannot be
/// changed before that goes, but it is before the second one does.
#[tokio::test(start_paused = true)]
async fn of_several_that_are_needed_at_once_only_those_that_cannot_wait_do_not() {
    let bench = Bench::new(Faults::default());
    let instance = |name: &str, index: u64, image: &str| {
        let node = node(name, &[], "small", image);
        let address = Address::new("node", ["b"]).with_key(Key::Index(index));
        Desired { address, ..node }
    };
    let reader = node("reader", &["b"], "small", "x");
    let (outcome, _) = bench
        .apply(&[instance("b0", 0, "x"), instance("b1", 1, "x"), reader])
        .await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let first = instance("b0", 0, "y");
    let mut reader = node("reader", &[], "large", "x");
    reader.depends_on = BTreeSet::from([first.address.clone()]);
    let (outcome, progress) = bench.apply(&[first, reader]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(
        finished(&progress),
        [
            "delete node.b[0]",
            "create node.b[0]",
            "update node.reader",
            "delete node.b[1]"
        ]
    );
}

/// What could not be seen while its node was down turns out to need another object: it is made anew in the same run.
#[tokio::test(start_paused = true)]
async fn a_look_can_become_a_replacement() {
    let refused = Fault::Rejected {
        message: "it is in use".into(),
        attribute: None,
    };
    for (case, fault) in [
        ("as it should be", None),
        (
            "a lost reply",
            Some(rule(Fault::LostReply, Call::Delete, None, When::Nth(vec![1]))),
        ),
        ("refused", Some(rule(refused, Call::Delete, None, When::Nth(vec![1])))),
    ] {
        let bench = Bench::new(Faults::default());
        bench.apply(&[node("a", &[], "small", "x")]).await;
        let before = bench.cloud.objects()[0].id.clone();
        let changed = [node("a", &[], "small", "y"), node("b", &["a"], "small", "x")];
        let mut planned = bench.plan(&changed).await;
        assert_eq!(planned.0.changes[0].action, Action::Replace, "{case}");
        planned.0.changes[0].action = Action::Check;
        let is_refused = case == "refused";
        bench.cloud.set_faults(Faults {
            rules: fault.into_iter().collect(),
            ..Faults::default()
        });
        let (_keep, stop) = watch::channel(false);
        let (outcome, progress) = bench.walk(planned, stop).await;
        let after = bench.cloud.objects()[0].id.clone();
        if is_refused {
            assert_eq!(
                (outcome.failed.len(), outcome.skipped.len()),
                (1, 1),
                "{case}: {outcome:?}"
            );
            assert_eq!(before, after, "{case}");
            continue;
        }
        assert!(outcome.is_complete(), "{case}: {outcome:?}");
        assert_eq!(finished(&progress), ["check node.a", "create node.b"], "{case}");
        assert_ne!(before, after, "{case}");
        assert_eq!(bench.objects(), ["a", "b"], "{case}");
        assert!(bench.plan(&changed).await.0.is_empty(), "{case}");
    }
}
