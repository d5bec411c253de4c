//! The fake cloud, a store in memory, and the walk between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet::apply::{self, Options, Outcome, Patience, Progress, Resolve, Resolved, Tools};
use simfleet::diagnostic::Diagnostics;
use simfleet::lower::{Desired, Policy};
use simfleet::plan::{Change, HostFate, Mode, Plan, Reason, assess, dismiss, go_on};
use simfleet::providers::{Providers, Registry};
use simfleet::refresh::{Observations, refresh};
use simfleet_provider_api::{Address, Attributes, Context, Kind, ProviderType, Value};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, Pattern, Rule, When};
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{
    Holder, Host, Liveness, LockSet, MemoryStore, Process, ProviderConfig, State, StateStore, System,
};
use tokio::sync::{mpsc, watch};

pub struct Bench {
    pub cloud: Arc<Gateway>,
    pub store: MemoryStore,
    pub providers: Providers,
}

/// This machine, by the clock of the test.
#[derive(Debug)]
pub struct Clock(jiff::Timestamp, tokio::time::Instant);

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
pub struct Known;

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

pub fn config() -> ProviderConfig {
    ProviderConfig {
        name: "fake".into(),
        settings: Attributes::new(),
    }
}

/// A node that needs others; its image decides whether it is made anew.
pub fn node(name: &str, needs: &[&str], size: &str, image: &str) -> Desired {
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
    pub fn new(faults: Faults) -> Self {
        let cloud = Gateway::new(faults);
        let clock = Clock(jiff::Timestamp::now(), tokio::time::Instant::now());
        let store = MemoryStore::new(Arc::new(clock));
        Bench {
            store: store.with_lease(Duration::from_secs(6)),
            providers: speaking_by(FakeType::with_cloud(cloud.clone())),
            cloud,
        }
    }

    /// Has the fake cloud managed through another provider from now on.
    pub fn speak_by(&mut self, fake: impl ProviderType + 'static) {
        self.providers = speaking_by(fake);
    }

    pub async fn plan(&self, desired: &[Desired]) -> (Plan, State, Observations) {
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
            let mut change = assessed.expect("it fits the schema").change;
            if let (Some(intent), Some(begun)) = (state.intents.get(at), state.declared_of(at)) {
                go_on(&mut change, intent, begun, false, schema);
            }
            changes.push(change);
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
            unheld: vec![],
            deallocated: vec![],
            costs: Default::default(),
        };
        (plan, state, seen)
    }

    pub async fn apply(&self, desired: &[Desired]) -> (Outcome, Vec<Progress>) {
        let (_keep, stop) = watch::channel(false);
        self.apply_until(desired, stop).await
    }

    pub async fn apply_until(&self, desired: &[Desired], stop: watch::Receiver<bool>) -> (Outcome, Vec<Progress>) {
        let planned = self.plan(desired).await;
        self.walk(planned, stop).await
    }

    pub async fn walk(
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

    pub async fn resume(&self) -> Vec<apply::Stuck> {
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
            &|_, _| options().patience,
            &sender,
        )
        .await
        .expect("a store in memory");
        journal.close().await.expect("the locks are ours");
        stuck
    }

    /// The names of the objects in the cloud; each stands there once for each object.
    pub fn objects(&self) -> Vec<String> {
        let mut names: Vec<String> = self.cloud.objects().iter().map(name_of).collect();
        names.sort();
        names
    }
}

fn speaking_by(fake: impl ProviderType + 'static) -> Providers {
    let mut registry = Registry::built_in();
    registry.add(Arc::new(fake));
    let context = Context {
        lineage: "test".into(),
        folder: "unused".into(),
        root: "unused".into(),
        program: "unused".into(),
    };
    Providers::new(registry, context)
}

pub fn options() -> Options {
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

pub fn rule(fault: Fault, call: Call, name: Option<&str>, when: When) -> Rule {
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

pub fn finished(progress: &[Progress]) -> Vec<String> {
    progress
        .iter()
        .filter_map(|told| match told {
            Progress::Finished { address, verb, .. } => Some(format!("{} {address}", verb.as_str())),
            _ => None,
        })
        .collect()
}

pub fn name_of(object: &simfleet_provider_fake::calls::Record) -> String {
    object.fields["name"].as_str().expect("a name").to_owned()
}
