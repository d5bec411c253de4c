//! A fleet over a fake cloud in this process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use simfleet::apply::{self, Outcome, Patience};
use simfleet::config::{Inputs, Setting};
use simfleet::fleet::{Fleet, FleetError, Options, Refresh};
use simfleet::plan::{Action, Mode, Plan, Selection};
use simfleet::providers::Registry;
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{MemoryStore, State, StateStore, System};
use tokio::sync::{mpsc, watch};

/// A fleet in a folder of its own, over a cloud in this process.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Bench { folder };
        bench.write(text);
        bench
    }

    pub fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("fleet.hcl"), text).expect("a file");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn options(&self, mode: Mode, vars: &[(&str, &str)]) -> Options {
        Options {
            path: self.path().join("fleet.hcl"),
            state: None,
            inputs: Inputs {
                settings: vars
                    .iter()
                    .map(|(name, text)| Setting::Text((*name).to_owned(), (*text).to_owned()))
                    .collect(),
                ..Inputs::default()
            },
            refresh: Refresh::Look,
            mode,
            replace: BTreeSet::new(),
            selection: Selection::default(),
            parallelism: 10,
            holds: Default::default(),
            at: jiff::Timestamp::now(),
            lock_timeout: Duration::ZERO,
            command: "test".into(),
            program: "simfleet".into(),
        }
    }

    pub fn open(&self, mode: Mode, vars: &[(&str, &str)]) -> Result<Fleet, FleetError> {
        Fleet::open(self.options(mode, vars))
    }

    pub async fn plan(&self, mode: Mode, vars: &[(&str, &str)]) -> Plan {
        let fleet = self.open(mode, vars).expect("the fleet is sound");
        fleet.plan().await.expect("it can be planned").plan
    }

    pub async fn apply(&self, mode: Mode, vars: &[(&str, &str)]) -> Outcome {
        let fleet = self.open(mode, vars).expect("the fleet is sound");
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        fleet.recover(&progress).await.expect("nothing is stuck");
        let planned = fleet.plan().await.expect("it can be planned");
        fleet
            .apply(planned, &progress, stop)
            .await
            .expect("nobody else has locks")
    }
}

/// A fleet over a store and a cloud that the test can look into and break.
pub struct Lab {
    pub bench: Bench,
    pub store: MemoryStore,
    pub cloud: Arc<Gateway>,
}

impl Lab {
    pub fn new(text: &str) -> Self {
        Lab {
            bench: Bench::new(text),
            store: MemoryStore::new(Arc::new(System)),
            cloud: Gateway::new(Faults::default()),
        }
    }

    pub fn open(&self, mode: Mode) -> Fleet {
        over(self.bench.options(mode, &[]), &self.store, &self.cloud)
    }

    /// Plans and applies.
    pub async fn run(&self, mode: Mode) -> (Plan, Outcome) {
        let (progress, _told) = mpsc::unbounded_channel();
        let (_keep, stop) = watch::channel(false);
        let fleet = self.open(mode);
        let planned = fleet.plan().await.expect("it can be planned");
        let plan = planned.plan.clone();
        let outcome = fleet.apply(planned, &progress, stop).await;
        (plan, outcome.expect("nobody has locks"))
    }

    /// Plans and applies, and asks it to stop after a while.
    pub async fn run_until(&self, mode: Mode, after: Duration) -> Outcome {
        let (progress, _told) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let fleet = self.open(mode);
        let planned = fleet.plan().await.expect("it can be planned");
        let stopping = async {
            tokio::time::sleep(after).await;
            stop.send_replace(true);
        };
        let (outcome, ()) = tokio::join!(fleet.apply(planned, &progress, stopped), stopping);
        outcome.expect("nobody has locks")
    }

    /// Plans and applies, and demands success.
    pub async fn complete(&self, mode: Mode) -> Plan {
        let (plan, outcome) = self.run(mode).await;
        assert!(outcome.is_complete(), "{outcome:?}");
        plan
    }

    pub async fn state(&self) -> State {
        self.store.load().await.expect("a state").state
    }

    /// Has the cloud break calls by these rules, as JSON, from now on.
    pub fn set_rules(&self, rules: &serde_json::Value) {
        let faults = serde_json::json!({ "rules": rules });
        self.cloud.set_faults(serde_json::from_value(faults).expect("faults"));
    }
}

/// `create node.a`, one a changed resource.
pub fn changes(plan: &Plan) -> Vec<String> {
    let changed = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    changed
        .map(|change| format!("{} {}", change.action.as_str(), change.address))
        .collect()
}

/// Opens a fleet over a store and a cloud of the test.
pub fn over(options: Options, store: &MemoryStore, cloud: &Arc<Gateway>) -> Fleet {
    on(Fleet::open(options).expect("sound"), store, cloud)
}

/// Has a fleet be over a store and a cloud of the test.
pub fn on(fleet: Fleet, store: &MemoryStore, cloud: &Arc<Gateway>) -> Fleet {
    // A cloud of the test's own process answers at once: nothing is gained by waiting as long as for a real one.
    let patience = Patience {
        base: Duration::from_millis(2),
        longest: Duration::from_millis(50),
        ..Patience::default()
    };
    let walk = apply::Options {
        patience,
        ..apply::Options::default()
    };
    fleet.over(Arc::new(store.clone()), registry(cloud), walk)
}

/// Returns the providers of this build, and one of a cloud of the test.
pub fn registry(cloud: &Arc<Gateway>) -> Registry {
    let mut registry = Registry::built_in();
    registry.add(Arc::new(FakeType::with_cloud(cloud.clone())));
    registry
}
