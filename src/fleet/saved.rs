//! Plans in files: kept, opened again, and checked.

use std::collections::BTreeMap;
use std::path::Path;

use simfleet_provider_api::Observed;
use simfleet_state::Snapshot;

use super::{Fleet, FleetError, Options, with_providers};
use crate::config;
use crate::plan::{Origin, PlanFile, Planned, same};
use crate::refresh::Observations;

impl Fleet {
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
            selection: self.options.selection.clone(),
            holds: self.options.holds,
            at: self.options.at,
            sources: self.config.sources(),
        };
        let observations = as_recorded(&planned.snapshot, planned.observations.clone());
        Ok(PlanFile::of(&planned.plan, &observations, origin).write(file)?)
    }

    /// Opens the fleet that a saved plan is for, as it was when the plan was made. What of the options the plan says
    /// itself is taken from it.
    ///
    /// # Errors
    /// The plan cannot be read, a sensitive variable of it was not given again, or one is set to another value.
    pub fn of_plan(file: &PlanFile, options: Options) -> Result<Self, FleetError> {
        let mut options = options;
        options.path.clone_from(&file.path);
        options.state = file.state.clone().or(options.state);
        options.mode = file.mode;
        options.replace.clone_from(&file.replace);
        options.selection.clone_from(&file.selection);
        options.holds = file.holds;
        options.at = file.at;
        let inputs = with_providers(&options.inputs);
        let given = match file.needs_secrets() || !inputs.settings.is_empty() {
            true => config::given_again(&file.path, &file.texts(), &inputs)?,
            false => BTreeMap::new(),
        };
        let sources = file.sources(&given, &config::set_by(&inputs.settings)?)?;
        let (config, warnings) = config::load_sources(&sources, &inputs)?;
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
