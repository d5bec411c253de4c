//! One fleet: its configuration, its state, its providers, and the runs over them. What the command line calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Context, Observed};
use simfleet_state::{
    ConfigDigest, Event, Holder, Journal, LockSet, Snapshot, SqliteStore, StateError, StateStore, System,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use sha2::{Digest, Sha256};

use crate::apply::{self, Outcome, Progress, Stuck};
use crate::builtin;
use crate::config::blocks::Backend;
use crate::config::{self, Config, Inputs};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Action, Mode, Origin, Plan, PlanFile, PlanFileError, Planned, Planner, same, typed};
use crate::providers::{Providers, Registry};
use crate::refresh::{Observations, recorded, refresh};

/// What a run is asked to do, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The fleet: a file or a folder.
    pub path: PathBuf,
    /// Where the state is; without one, where the `backend` block or the rule says.
    pub state: Option<PathBuf>,
    /// The variables and the environment.
    pub inputs: Inputs,
    /// Whether recorded objects are looked at before a plan is made.
    pub refresh: Refresh,
    /// What the plan is for.
    pub mode: Mode,
    /// Resources that are made anew, whatever they look like.
    pub replace: BTreeSet<Address>,
    /// How many provider calls run at once.
    pub parallelism: usize,
    /// For how long to wait for addresses that another run holds.
    pub lock_timeout: Duration,
    /// The command, as the user would type it: others see it when they wait for this run.
    pub command: String,
    /// The `simfleet` program itself, which providers start as an agent.
    pub program: PathBuf,
}

/// Whether recorded objects are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// They are.
    Look,
    /// They are taken to be as recorded.
    Trust,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The configuration is wrong, or cannot be planned.
    #[error("the configuration has errors")]
    Diagnostics(Diagnostics),
    /// The state cannot be read or written, or is locked.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the plan was made from has changed.
    #[error("the plan is stale: {address} has changed since it was made")]
    Stale {
        /// The first resource that changed.
        address: Address,
    },
    /// What an earlier run began cannot be finished.
    #[error("an earlier run's {} of {} could not be finished: {}", .0.verb.as_str(), .0.address, .0.reason)]
    Stuck(Stuck),
    /// A saved plan cannot be used.
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
    /// What was done could not be recorded.
    #[error("the run ended early: {0}")]
    Ended(String),
}

impl From<Diagnostics> for FleetError {
    fn from(diagnostics: Diagnostics) -> Self {
        FleetError::Diagnostics(diagnostics)
    }
}

/// A fleet whose configuration is read, and sound as far as that can be told without its state.
#[derive(Debug)]
pub struct Fleet {
    options: Options,
    config: Config,
    warnings: Diagnostics,
    store: Arc<dyn StateStore>,
    folder: PathBuf,
    registry: Registry,
    walk: apply::Options,
}

impl Fleet {
    /// Reads a fleet.
    ///
    /// # Errors
    /// Everything that is wrong with its files and variables.
    pub fn open(options: Options) -> Result<Self, FleetError> {
        let (config, warnings) = config::load(&options.path, &with_providers(&options.inputs))?;
        Self::with_config(options, config, warnings)
    }

    /// Makes a fleet of a configuration that was read before.
    ///
    /// # Errors
    /// A state that cannot be told from another.
    pub fn with_config(options: Options, config: Config, warnings: Diagnostics) -> Result<Self, FleetError> {
        let location = match &options.state {
            Some(path) => path.clone(),
            None => state_path(&options.path, &config)?,
        };
        // Where agents keep their files must not depend on where the next command is run.
        let location = std::path::absolute(&location).unwrap_or(location);
        let folder = location.with_extension("d");
        let store = Arc::new(store(location));
        Ok(Fleet {
            options,
            config,
            warnings,
            store,
            folder,
            registry: Registry::built_in(),
            walk: apply::Options::default(),
        })
    }

    /// Has it use another store, other providers and another patience.
    pub fn over(self, store: Arc<dyn StateStore>, registry: Registry, walk: apply::Options) -> Self {
        Fleet {
            store,
            registry,
            walk,
            ..self
        }
    }

    /// What is suspicious about its configuration.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the run was asked to do.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The providers of this build.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads its state.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, FleetError> {
        Ok(self.store.load().await?)
    }

    /// Looks at the recorded objects, or takes them to be as recorded where that was asked for.
    pub async fn observe(&self, snapshot: &Snapshot) -> Observations {
        match self.options.refresh {
            Refresh::Look => refresh(&snapshot.state, &self.providers(snapshot), self.options.parallelism).await,
            Refresh::Trust => recorded(&snapshot.state),
        }
    }

    /// Makes a plan. Changes nothing.
    ///
    /// # Errors
    /// What of the configuration cannot be planned, or why the state cannot be read.
    pub async fn plan(&self) -> Result<Planned<'_>, FleetError> {
        let snapshot = self.snapshot().await?;
        let observations = self.observe(&snapshot).await;
        self.plan_from(snapshot, observations)
    }

    /// Makes a plan of a state and observations that were taken before.
    ///
    /// # Errors
    /// What of the configuration cannot be planned.
    pub fn plan_from(&self, snapshot: Snapshot, observations: Observations) -> Result<Planned<'_>, FleetError> {
        let planner = Planner {
            config: &self.config,
            registry: &self.registry,
            mode: self.options.mode,
            replace: &self.options.replace,
        };
        let observations = self.typed(&snapshot, observations);
        Ok(planner.plan(snapshot, observations)?)
    }

    /// Returns observations in the types of the schemas: a saved plan keeps the values and not their types, and must be
    /// the same when it is made again.
    fn typed(&self, snapshot: &Snapshot, mut observations: Observations) -> Observations {
        for (address, seen) in &mut observations {
            let declared = snapshot.state.resources.get(address).map(|resource| &resource.declared);
            let schema = declared.and_then(|declared| self.registry.schema(&declared.provider.name, &declared.kind));
            if let (Observed::Present(object), Some(schema)) = (seen, schema) {
                object.attributes = typed(schema, &object.attributes);
            }
        }
        observations
    }

    /// Saves a plan.
    ///
    /// # Errors
    /// Why the file cannot be written.
    pub fn save_plan(&self, planned: &Planned<'_>, file: &Path) -> Result<(), FleetError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let origin = Origin {
            path: absolute(&self.options.path),
            state: self.options.state.as_deref().map(absolute),
            mode: self.options.mode,
            replace: self.options.replace.clone(),
            sources: self.config.sources(),
        };
        let observations = as_recorded(&planned.snapshot, planned.observations.clone());
        Ok(PlanFile::of(&planned.plan, &observations, origin).write(file)?)
    }

    /// Opens the fleet that a saved plan is for, as it was when the plan was made. What of the options the plan says
    /// itself is taken from it.
    ///
    /// # Errors
    /// The plan cannot be read, or a sensitive variable of it was not given again.
    pub fn of_plan(file: &PlanFile, options: Options) -> Result<Self, FleetError> {
        let mut options = options;
        options.path.clone_from(&file.path);
        options.state = file.state.clone().or(options.state);
        options.mode = file.mode;
        options.replace.clone_from(&file.replace);
        let inputs = with_providers(&options.inputs);
        let given = match file.needs_secrets() {
            true => config::load(&options.path, &inputs)?.0.sources().variables,
            false => BTreeMap::new(),
        };
        let (config, warnings) = config::load_sources(&file.sources(&given)?, &inputs)?;
        Self::with_config(options, config, warnings)
    }

    /// Makes a saved plan again.
    ///
    /// # Errors
    /// What it was made from has changed.
    pub async fn replan(&self, file: &PlanFile) -> Result<Planned<'_>, FleetError> {
        let planned = self.plan_from(self.snapshot().await?, file.observations())?;
        file.check(&planned.plan)?;
        Ok(planned)
    }

    /// Waits for runs that are at work, and finishes what runs that died began. Does nothing where nothing is open.
    ///
    /// # Errors
    /// Another run does not end in time, the state cannot be read or written, or a change cannot be finished.
    pub async fn recover(&self, progress: &mpsc::UnboundedSender<Progress>) -> Result<(), FleetError> {
        let busy = busy(&self.snapshot().await?);
        if busy.is_empty() {
            return Ok(());
        }
        let mut journal = self.lock(&LockSet::exclusive(busy.iter().cloned()), progress).await?;
        let snapshot = self.snapshot().await?;
        let open: Vec<Address> = snapshot
            .state
            .intents
            .keys()
            .filter(|address| busy.contains(*address))
            .cloned()
            .collect();
        let providers = self.providers(&snapshot);
        let patience = self.walk().patience;
        let resumed = apply::resume(snapshot.state, &open, &providers, &mut *journal, &patience, progress).await;
        let (_, stuck) = resumed.map_err(FleetError::Ended)?;
        journal.close().await?;
        match stuck.into_iter().next() {
            None => Ok(()),
            Some(stuck) => Err(FleetError::Stuck(stuck)),
        }
    }

    /// Records what a plan found out, where it has nothing to do: objects that differ in what nobody declares.
    ///
    /// # Errors
    /// The addresses are held by another run, or the state cannot be written.
    pub async fn settle(
        &self,
        planned: &Planned<'_>,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<(), FleetError> {
        let state = &planned.snapshot.state;
        let facts = apply::prepare(&planned.plan, state, &planned.observations, &self.registry);
        if facts.is_empty() {
            return Ok(());
        }
        let mut journal = self.lock(&locks_of(&planned.plan, &facts), progress).await?;
        journal.append(&facts).await?;
        Ok(journal.close().await?)
    }

    /// Carries out a plan.
    ///
    /// # Errors
    /// Where nothing was done: the addresses are held by another run, or what the plan was made from has changed.
    pub async fn apply(
        &self,
        planned: Planned<'_>,
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Outcome, FleetError> {
        let Planned {
            plan,
            snapshot: before,
            observations,
            mut session,
            ..
        } = planned;
        let intended = Event::Intended {
            config: digest(&self.config),
            command: self.options.command.as_str().into(),
        };
        let mut facts = vec![intended];
        facts.extend(apply::prepare(&plan, &before.state, &observations, &self.registry));
        let locks = locks_of(&plan, &facts);
        let mut journal = self.lock(&locks, progress).await?;
        let snapshot = self.snapshot().await?;
        let moved = |address: &&Address| snapshot.state.fingerprint(address) != before.state.fingerprint(address);
        if let Some(address) = locks.exclusive.iter().chain(&locks.shared).find(moved) {
            let address = address.clone();
            journal.close().await?;
            return Err(FleetError::Stale { address });
        }
        let mut state = snapshot.state.clone();
        apply::record(&mut state, &mut *journal, facts)
            .await
            .map_err(FleetError::Ended)?;
        let providers = self.providers(&Snapshot {
            lineage: Some(journal.lineage().clone()),
            ..snapshot
        });
        let options = self.walk();
        let tools = apply::Tools {
            providers: &providers,
            options: &options,
            progress,
            stop,
        };
        let outcome = apply::apply(&plan, state, &mut *journal, &mut session, tools).await;
        // What the providers keep beside the state is gone with their last object; a folder with something in it stays.
        let _ = std::fs::remove_dir(&self.folder);
        // Locks of a run that was taken over are not ours to release.
        match journal.close().await {
            Ok(()) | Err(StateError::Fenced { .. }) => Ok(outcome),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes locks, waiting for them as long as the user allows.
    async fn lock(
        &self,
        locks: &LockSet,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Box<dyn Journal>, FleetError> {
        let holder = Holder::this_process(self.options.command.as_str(), &System);
        let deadline = Instant::now() + self.options.lock_timeout;
        let mut told = None;
        loop {
            match self.store.open(&holder, locks).await {
                Ok(opened) => return Ok(journal(opened)),
                Err(StateError::Locked(locked)) if Instant::now() < deadline => {
                    let message = locked.to_string();
                    if told.as_ref() != Some(&message) {
                        let _ = progress.send(Progress::Waiting {
                            message: message.clone(),
                        });
                        told = Some(message);
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns the providers, for the lineage of a state. A state that is not there yet has none, and nothing to look at.
    pub fn providers(&self, snapshot: &Snapshot) -> Providers {
        let context = Context {
            lineage: snapshot.lineage.clone().unwrap_or_default(),
            folder: self.folder.clone(),
            program: self.options.program.clone(),
        };
        Providers::new(self.registry.clone(), context)
    }

    fn walk(&self) -> apply::Options {
        apply::Options {
            parallelism: self.options.parallelism,
            ..self.walk.clone()
        }
    }
}

/// Returns observations with recorded values in the place of those that are the same. Of a secret the digest is recorded,
/// and two digests of one secret cannot be told to be the same.
fn as_recorded(snapshot: &Snapshot, mut observations: Observations) -> Observations {
    for (address, seen) in &mut observations {
        let (Observed::Present(object), Some(resource)) = (seen, snapshot.state.resources.get(address)) else {
            continue;
        };
        for (name, recorded) in resource.object.attributes.iter() {
            if same(object.attributes.get(name), Some(recorded)) {
                object.attributes.set(name.clone(), recorded.clone());
            }
        }
    }
    observations
}

/// Returns inputs with the providers of this build, whose blocks a fleet may hold.
pub fn with_providers(inputs: &Inputs) -> Inputs {
    let registry = Registry::built_in();
    let declarable = registry
        .names()
        .filter(|name| *name != builtin::NAME && *name != "agent");
    let settings = |name| {
        registry
            .get(name)
            .map(|provider| provider.settings().to_vec())
            .unwrap_or_default()
    };
    let providers = declarable.map(|name| (name.to_owned(), settings(name))).collect();
    Inputs {
        providers,
        ..inputs.clone()
    }
}

/// Returns the SHA-256 of a configuration's texts and variables. Secrets are left out: a digest of one without salt could
/// be guessed.
fn digest(config: &Config) -> ConfigDigest {
    let sources = config.sources();
    let mut hasher = Sha256::new();
    for (path, text) in &sources.files {
        hasher.update(format!("{}\0{}\0{text}\0", path.display(), text.len()));
    }
    for (name, value) in &sources.variables {
        hasher.update(format!("{name}={value:?}\0"));
    }
    ConfigDigest(hex::encode(hasher.finalize()).into())
}

/// Returns the addresses that a run of the whole fleet has to wait for or to finish first: those with open intents, and
/// those that a live run is about to change.
fn busy(snapshot: &Snapshot) -> BTreeSet<Address> {
    let live = snapshot.leases.iter().filter(|lease| !lease.is_over(&System));
    let locked = live.flat_map(|lease| lease.locks.exclusive.iter());
    snapshot.state.intents.keys().chain(locked).cloned().collect()
}

/// Returns what a run changes or records, and what must stay as it is meanwhile.
fn locks_of(plan: &Plan, facts: &[Event]) -> LockSet {
    let changes = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    let recorded = facts.iter().flat_map(Event::addresses);
    let exclusive: BTreeSet<Address> = changes
        .clone()
        .map(|change| &change.address)
        .chain(recorded)
        .cloned()
        .collect();
    let needed = changes.flat_map(|change| change.depends_on.iter().chain(&change.hosted_on));
    let shared = needed
        .filter(|address| !exclusive.contains(*address))
        .cloned()
        .collect::<BTreeSet<_>>();
    LockSet::exclusive(exclusive).and_shared(shared)
}

/// Returns where the state of a fleet is: where the `backend` block says, else `.simfleet/state.db` beside a folder's
/// files, `.simfleet/NAME.db` beside a single file `NAME.hcl`.
fn state_path(path: &Path, config: &Config) -> Result<PathBuf, Diagnostics> {
    if let Some(Backend::Sqlite { path: Some(path) }) = &config.settings.backend {
        return Ok(config.folder.join(path));
    }
    let states = config.folder.join(".simfleet");
    if !path.is_dir() {
        return Ok(states.join(path.file_stem().unwrap_or_default()).with_extension("db"));
    }
    let own = states.join("state.db");
    for file in &config.files {
        let single = states
            .join(file.path.file_stem().unwrap_or_default())
            .with_extension("db");
        if single != own && single.exists() && !own.exists() {
            let (file, single) = (file.path.display(), single.display());
            let detail = format!(
                "The folder was given, and its file `{file}` has a state of its own, `{single}`: as one fleet with the \
                 others it would be made a second time."
            );
            return Err(Diagnostic::error("Two states for one file", detail)
                .hint(format!("give the file `{file}`, or destroy it first"))
                .into());
        }
    }
    Ok(own)
}

/// Returns the store; in test builds with the length of leases that the environment asks for.
fn store(location: PathBuf) -> SqliteStore {
    let store = SqliteStore::new(location);
    #[cfg(feature = "fake")]
    if let Some(lease) = crate::fault::lease() {
        return store.with_lease(lease);
    }
    store
}

/// Returns the journal; in test builds with the crash that the environment asks for.
fn journal(journal: Box<dyn Journal>) -> Box<dyn Journal> {
    #[cfg(feature = "fake")]
    if let Some(crash) = crate::fault::crash() {
        return Box::new(crate::fault::CrashingJournal::new(journal, crash));
    }
    journal
}
