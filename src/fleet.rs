//! One fleet: its configuration, its state, its providers, and the runs over them. What the command line calls.
//!
//! - [`runs`]: what earlier runs left, and carrying out a plan, under locks; [`saved`]: plans in files
//! - [`intent`]: what it is to be brought to, and going back; [`history`]: what happened; [`edit`]: the state changed by hand
//! - [`import`]: objects that exist become those of resources; [`control`]: what is done by hand; [`access`]: by whom over
//!   HTTP
//! - [`surroundings`]: what around a run is wrong for its providers
//! - [`watched`]: what the scaler needs of it
//! - [`location`]: where the state is; [`mark`]: whose the things beside it are; [`error`]: why a run cannot go on

mod access;
mod control;
mod edit;
mod error;
mod history;
mod import;
mod intent;
mod location;
mod mark;
mod runs;
mod saved;
mod surroundings;
mod watched;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Context, Observed};
use simfleet_state::{ProviderConfig, Snapshot, State, StateError, StateStore};

use self::location::{state_path, store};
use self::mark::Mark;
use crate::apply::{self, Estimate};
use crate::builtin;
use crate::config::{self, Config, Inputs, Instance, Names, NoResources};
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN};
use crate::health;
use crate::lower::Ruling;
use crate::plan::{Holds, Mode, Moments, Plan, Planned, Planner, PoolSize, Selection, typed};
use crate::providers::{Providers, Registry};
use crate::refresh::{Observations, recorded, refresh};

pub use access::Caller;
pub use control::{Allocate, Reached};
pub use edit::{Age, Forgotten, Held, Moves};
pub use error::FleetError;
pub use history::{Happened, Moment, RunRecord};
pub use intent::Goal;
pub use watched::leader;

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
    /// What of the fleet the run is about.
    pub selection: Selection,
    /// What becomes of what somebody stopped or paused by hand.
    pub holds: Holds,
    /// When the run began.
    pub at: Timestamp,
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

/// A fleet whose configuration is read, and sound as far as that can be told without its state.
#[derive(Debug, Clone)]
pub struct Fleet {
    options: Options,
    config: Arc<Config>,
    warnings: Diagnostics,
    store: Arc<dyn StateStore>,
    folder: PathBuf,
    /// `None` for a store that is no file.
    mark: Option<Mark>,
    registry: Registry,
    walk: apply::Options,
    /// What the scaler has decided and found out.
    ruling: Ruling,
    /// What its plans make of what depends only on when they are made.
    moments: Moments,
    /// On whose behalf it works, where that is somebody else.
    caller: Option<Caller>,
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
        let mark = Some(Mark::new(location.clone(), folder.clone()));
        let store = Arc::new(store(location, &options.inputs.environment)?);
        Ok(Fleet {
            options,
            config: Arc::new(config),
            warnings,
            store,
            folder,
            mark,
            registry: Registry::built_in(),
            walk: apply::Options::default(),
            ruling: Ruling::default(),
            moments: Moments::Renew,
            caller: None,
        })
    }

    /// Has it use another store, other providers and another patience.
    pub fn over(self, store: Arc<dyn StateStore>, registry: Registry, walk: apply::Options) -> Self {
        Fleet {
            store,
            mark: None,
            registry,
            walk,
            ..self
        }
    }

    /// What is suspicious about its configuration.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// What is wrong or suspicious, as far as that can be told without its state: what a plan would tell where nothing is
    /// there yet. Values that its variables or its resources have only later are not waited for.
    pub fn mistakes(&self) -> Diagnostics {
        let mut mistakes = self.warnings.clone();
        let is_set = self.config.variables.values().all(|variable| variable.value.is_known());
        let adopts = self.planner().adoptees(&State::default(), &Observations::default());
        if !is_set || !adopts.is_ok_and(|adoptees| adoptees.is_empty()) {
            return mistakes;
        }
        if let Err(FleetError::Diagnostics(found)) = self.plan_from(Snapshot::default(), Observations::default()) {
            let certain = found.0.into_iter().filter(|mistake| mistake.summary != NOT_KNOWN);
            certain.for_each(|mistake| mistakes.push(mistake));
        }
        mistakes
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
    /// Why it cannot be read; that it is lost.
    pub async fn snapshot(&self) -> Result<Snapshot, FleetError> {
        self.not_lost(async {
            let snapshot = self.store.load().await?;
            Ok((snapshot.lineage.clone(), snapshot))
        })
        .await
    }

    /// Reads something of the state, with its lineage, and makes sure that it is the state of what is here.
    async fn not_lost<T>(
        &self,
        read: impl Future<Output = Result<(Option<Arc<str>>, T), StateError>>,
    ) -> Result<T, FleetError> {
        let there = self.mark.as_ref().and_then(Mark::read);
        let (lineage, found) = read.await?;
        if let Some(mark) = &self.mark {
            mark.check(there, lineage.as_ref())?;
        }
        Ok(found)
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
        let unhealthy = match self.options.refresh {
            Refresh::Look => health::warnings(health::of_all(&snapshot.state, &observations).await),
            Refresh::Trust => Diagnostics::new(),
        };
        let observations = self.with_imports(&snapshot, observations).await?;
        let mut planned = self.plan_from(snapshot, observations)?;
        self.check_providers(&planned).await?;
        if self.options.mode == Mode::Apply {
            planned.warnings.extend(unhealthy);
        }
        Ok(planned)
    }

    /// Returns how long a plan takes to carry out, by what is recorded of earlier runs.
    pub fn estimate(&self, planned: &Planned<'_>) -> Option<Estimate> {
        let timings = &planned.snapshot.state.timings;
        apply::estimate(&planned.plan, timings, self.options.parallelism)
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            config: &self.config,
            registry: &self.registry,
            mode: self.options.mode,
            replace: &self.options.replace,
            selection: &self.options.selection,
            holds: self.options.holds,
            ruling: &self.ruling,
            at: self.options.at,
            moments: self.moments,
        }
    }

    /// Makes a plan of a state and observations that were taken before.
    ///
    /// # Errors
    /// What of the configuration cannot be planned.
    pub fn plan_from(&self, snapshot: Snapshot, observations: Observations) -> Result<Planned<'_>, FleetError> {
        let observations = self.typed(&snapshot, observations);
        let planned = self.planner().plan(snapshot, observations)?;
        self.check_asked(&planned.plan)?;
        Ok(planned)
    }

    /// Returns the sizes that pools are to have, as far as that can be told without a look at what there is.
    ///
    /// # Errors
    /// Why the state cannot be read.
    pub async fn sizes(&self) -> Result<Vec<PoolSize>, FleetError> {
        let snapshot = self.snapshot().await?;
        let seen = recorded(&snapshot.state);
        // What cannot be planned is told by a plan.
        let planned = self.plan_from(snapshot, seen);
        Ok(planned.map(|planned| planned.session.sizes()).unwrap_or_default())
    }

    /// Checks that there is what is to be made anew: a mistyped address must not look like nothing to do.
    fn check_asked(&self, plan: &Plan) -> Result<(), Diagnostics> {
        let changes = plan.changes.iter().map(|change| &change.address);
        let unplaced = plan.unplaced.iter().map(|unplaced| &unplaced.address);
        let there: BTreeSet<&Address> = changes.chain(unplaced).collect();
        let names: Vec<String> = there.iter().map(ToString::to_string).collect();
        let mut diagnostics = Diagnostics::new();
        for asked in &self.options.replace {
            if there.contains(asked) {
                continue;
            }
            if !self.options.selection.is_all() {
                let detail =
                    format!("{asked}, which is to be replaced, is not in the part of the fleet that is selected.");
                let diagnostic = Diagnostic::error("Not selected", detail);
                diagnostics
                    .push(diagnostic.hint(format!("select it too, with --target {asked}, or do not replace it")));
                continue;
            }
            let detail = format!("{asked}, which is to be replaced, is neither declared nor recorded.");
            let diagnostic = Diagnostic::error("Unknown resource", detail);
            diagnostics.push(diagnostic.nearest(&asked.to_string(), names.iter().map(String::as_str)));
        }
        diagnostics.or(()).map(|_| ())
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

    /// Returns the providers, for the lineage of a state. A state that is not there yet has none, and nothing to look at.
    pub fn providers(&self, snapshot: &Snapshot) -> Providers {
        let context = Context {
            lineage: snapshot.lineage.clone().unwrap_or_default(),
            folder: self.folder.clone(),
            root: std::path::absolute(&self.config.root).unwrap_or_else(|_| self.config.root.clone()),
            program: self.options.program.clone(),
        };
        Providers::new(self.registry.clone(), context).with_declared(self.declared_providers())
    }

    /// Returns the provider blocks with what is known of them before anything is made. One that cannot be evaluated is told of by
    /// a plan.
    fn declared_providers(&self) -> Vec<ProviderConfig> {
        let names = Names::new(&self.config, &NoResources);
        let blocks = self.config.providers.iter().filter_map(|block| {
            let record = block.evaluate(&names.scope(Instance::default())).ok()?;
            Some(ProviderConfig {
                name: block.name.clone(),
                settings: record.attributes(),
            })
        });
        blocks.collect()
    }

    fn walk(&self) -> apply::Options {
        apply::Options {
            parallelism: self.options.parallelism,
            store: Some(Arc::clone(&self.store)),
            ..self.walk.clone()
        }
    }
}

/// Returns inputs with the providers of this build, whose blocks a fleet may hold.
pub fn with_providers(inputs: &Inputs) -> Inputs {
    let registry = Registry::built_in();
    // The others are configured by what is declared of a node, or of a load balancer.
    let declarable = registry
        .names()
        .filter(|name| ![builtin::NAME, "agent", "nginx"].contains(name));
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
