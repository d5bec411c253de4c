//! The walk over the fake cloud: order, failures, lost replies, long operations, stopping.
#![cfg(feature = "fake")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use simfleet::apply::{self, Estimate, Options, Outcome, Patience, Progress, Resolve, Resolved, Tools, Verb};
use simfleet::diagnostic::Diagnostics;
use simfleet::lower::{Desired, Policy};
use simfleet::plan::{Action, Change, HostFate, Mode, Plan, Reason, assess, dismiss};
use simfleet::providers::{Providers, Registry};
use simfleet::refresh::{Observations, refresh};
use simfleet_provider_api::{Address, Attributes, Context, Kind, Value};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Cause;
use simfleet_provider_fake::faults::{Fault, Faults, Lag, Pattern, Rule, When};
use simfleet_provider_fake::gateway::{Gateway, Hold, Moment};
use simfleet_state::{
    Holder, Host, Liveness, LockSet, MemoryStore, Process, ProviderConfig, State, StateError, StateStore, System,
};
use tokio::sync::{mpsc, watch};

struct Bench {
    cloud: Arc<Gateway>,
    store: MemoryStore,
    providers: Providers,
}

/// This machine, by the clock of the test.
#[derive(Debug)]
struct Clock(jiff::Timestamp, tokio::time::Instant);

impl Host for Clock {
    fn now(&self) -> jiff::Timestamp {
        self.0 + self.1.elapsed()
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        System.random()
    }
}

/// Everything that the walk could ask for is known in these tests.
struct Known;

impl Resolve for Known {
    fn made(&mut self, _: &Change) {}

    fn resolve(&mut self, change: &Change, _: &State) -> Result<Resolved, String> {
        Err(format!("{} should have been known", change.address))
    }

    fn check(&mut self, _: &Change, _: &State) -> Result<(), String> {
        Ok(())
    }

    fn outputs(&mut self, state: &State) -> Result<BTreeMap<Arc<str>, Value>, String> {
        Ok(state.outputs.clone())
    }

    fn warnings(&mut self, _: &State) -> Diagnostics {
        Diagnostics::new()
    }
}

fn config() -> ProviderConfig {
    ProviderConfig {
        name: "fake".into(),
        settings: Attributes::new(),
    }
}

/// A node that needs others; its image decides whether it is made anew.
fn node(name: &str, needs: &[&str], size: &str, image: &str) -> Desired {
    Desired {
        address: Address::new("node", [name]),
        kind: Kind::new("node"),
        provider: config(),
        attributes: Attributes::from_iter([("name", name), ("size", size), ("image", image)]),
        depends_on: needs.iter().map(|name| Address::new("node", [*name])).collect(),
        hosted_on: None,
        span: None,
        spans: BTreeMap::new(),
        because: None,
        policy: Policy::default(),
    }
}

impl Bench {
    fn new(faults: Faults) -> Self {
        let cloud = Gateway::new(faults);
        let mut registry = Registry::built_in();
        registry.add(Arc::new(FakeType::with_cloud(cloud.clone())));
        let context = Context {
            lineage: "test".into(),
            folder: "unused".into(),
            root: "unused".into(),
            program: "unused".into(),
        };
        let clock = Clock(jiff::Timestamp::now(), tokio::time::Instant::now());
        let store = MemoryStore::new(Arc::new(clock));
        Bench {
            cloud,
            store: store.with_lease(Duration::from_secs(6)),
            providers: Providers::new(registry, context),
        }
    }

    async fn plan(&self, desired: &[Desired]) -> (Plan, State, Observations) {
        let state = self.store.load().await.expect("a store in memory").state;
        let seen = refresh(&state, &self.providers, 4).await;
        let schema = self
            .providers
            .registry()
            .schema("fake", &Kind::new("node"))
            .expect("a kind of the fake cloud");
        let mut changes: Vec<Change> = Vec::new();
        for wanted in desired {
            let at = &wanted.address;
            let assessed = assess(wanted, schema, state.resources.get(at), seen.get(at), HostFate::Stays);
            changes.push(assessed.expect("it fits the schema").change);
        }
        for (address, resource) in &state.resources {
            if !desired.iter().any(|wanted| wanted.address == *address) {
                let before = Some(resource.object.attributes.clone());
                changes.push(dismiss(address, &resource.declared, before, false, Reason::NotDeclared));
            }
        }
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        let plan = Plan {
            moves: Vec::new(),
            imports: Default::default(),
            mode: Mode::Apply,
            is_partial: false,
            lineage: "test".into(),
            serial: state.serial,
            changes,
            drift: vec![],
            outputs: BTreeMap::new(),
            interrupts: vec![],
            unfinished: vec![],
            unplaced: vec![],
            pools: vec![],
            ports: vec![],
            rolls: vec![],
        };
        (plan, state, seen)
    }

    async fn apply(&self, desired: &[Desired]) -> (Outcome, Vec<Progress>) {
        let (_keep, stop) = watch::channel(false);
        self.apply_until(desired, stop).await
    }

    async fn apply_until(&self, desired: &[Desired], stop: watch::Receiver<bool>) -> (Outcome, Vec<Progress>) {
        let planned = self.plan(desired).await;
        self.walk(planned, stop).await
    }

    async fn walk(
        &self,
        (plan, before, seen): (Plan, State, Observations),
        stop: watch::Receiver<bool>,
    ) -> (Outcome, Vec<Progress>) {
        let holder = Holder::this_process("test", &System);
        let locks = LockSet::exclusive(plan.changes.iter().map(|change| change.address.clone()));
        let mut journal = self.store.open(&holder, &locks).await.expect("nobody else has locks");
        let facts = apply::prepare(&plan, &before, &seen, self.providers.registry());
        journal.append(&facts).await.expect("the locks are ours");
        let state = self.store.load().await.expect("a store in memory").state;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (providers, options) = (&self.providers, options());
        let tools = Tools {
            providers,
            options: &options,
            progress: &sender,
            stop,
        };
        let outcome = apply::apply(&plan, state, &mut *journal, &mut Known, tools).await;
        journal.close().await.expect("the locks are ours");
        drop(sender);
        let mut progress = Vec::new();
        while let Some(told) = receiver.recv().await {
            progress.push(told);
        }
        (outcome, progress)
    }

    async fn resume(&self) -> Vec<apply::Stuck> {
        let state = self.store.load().await.expect("a store in memory").state;
        let open: Vec<Address> = state.intents.keys().cloned().collect();
        let holder = Holder::this_process("test", &System);
        let mut journal = self
            .store
            .open(&holder, &LockSet::exclusive(open.iter().cloned()))
            .await
            .expect("nobody has locks");
        let (sender, _receiver) = mpsc::unbounded_channel();
        let (_, stuck) = apply::resume(
            state,
            &open,
            &self.providers,
            &mut *journal,
            &options().patience,
            &sender,
        )
        .await
        .expect("a store in memory");
        journal.close().await.expect("the locks are ours");
        stuck
    }

    /// The names of the objects in the cloud; each stands there once for each object.
    fn objects(&self) -> Vec<String> {
        let mut names: Vec<String> = self.cloud.objects().iter().map(name_of).collect();
        names.sort();
        names
    }
}

fn options() -> Options {
    let patience = Patience {
        attempts: 6,
        base: Duration::from_millis(10),
        longest: Duration::from_millis(100),
        timeout: Duration::from_secs(30),
        jitter: Arc::new(|| 1.0),
    };
    Options {
        parallelism: 4,
        patience,
        ..Options::default()
    }
}

fn rule(fault: Fault, call: Call, name: Option<&str>, when: When) -> Rule {
    Rule {
        fault,
        to: Pattern {
            call: Some(call),
            kind: None,
            name: name.map(str::to_owned),
        },
        when,
    }
}

fn finished(progress: &[Progress]) -> Vec<String> {
    progress
        .iter()
        .filter_map(|told| match told {
            Progress::Finished { address, verb, .. } => Some(format!("{} {address}", verb.as_str())),
            _ => None,
        })
        .collect()
}

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

fn name_of(object: &simfleet_provider_fake::calls::Record) -> String {
    object.fields["name"].as_str().expect("a name").to_owned()
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
