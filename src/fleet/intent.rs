//! What the fleet is to be brought to, as the journal keeps it: so that it can be enforced without its files, and gone
//! back to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use simfleet_provider_api::encoding::digest_matches;
use simfleet_provider_api::{Attributes, Data, Value};
use simfleet_state::{ConfigDigest, Configuration, Entry, Event, State};

use super::{Fleet, FleetError, with_providers};
use crate::config::{self, Config, Sources, Unset};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Mode, same};

/// What a fleet was to be brought to.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// This configuration.
    Configuration(Arc<Configuration>),
    /// Nothing: everything was to be removed.
    Nothing,
}

impl Goal {
    /// Returns the goal of a state; `None` where there never was one.
    pub fn of(state: &State) -> Option<Self> {
        let configuration = state.configuration.clone()?;
        Some(match state.intended {
            Some(_) => Goal::Configuration(configuration),
            None => Goal::Nothing,
        })
    }
}

impl Fleet {
    /// Returns what is recorded of the goal of this run; `None` where the state has it already.
    pub fn intended(&self, state: &State) -> Option<Event> {
        if self.options.mode == Mode::Destroy {
            let is_new = state.intended.is_some();
            return is_new.then_some(Event::Intended {
                config: None,
                configuration: None,
            });
        }
        let wanted = configuration(&self.config);
        let is_kept = state.configuration.as_ref().is_some_and(|kept| is_same(kept, &wanted));
        if is_kept && state.intended.as_ref() == Some(&wanted.digest) {
            return None;
        }
        Some(Event::Intended {
            config: Some(wanted.digest.clone()),
            configuration: (!is_kept).then(|| Arc::new(wanted)),
        })
    }

    /// Finds what the fleet was to be brought to at a serial; without one, what it was to be brought to before the goal
    /// that it has now. Returns it with the serial since which it was.
    ///
    /// # Errors
    /// There was nothing that it was to be brought to then.
    pub async fn earlier_goal(&self, serial: Option<u64>) -> Result<(u64, Goal), FleetError> {
        let last = self.snapshot().await?.state.serial;
        if let Some(asked) = serial.filter(|asked| *asked > last) {
            return Err(unknown_serial(asked, last).into());
        }
        let goals = goals(&self.store.history(1..=last).await?);
        let now = goals.last().map(|(_, goal)| goal);
        let earlier = match serial {
            Some(serial) => goals.iter().rfind(|(since, _)| *since <= serial),
            None => goals.iter().rfind(|(_, goal)| Some(goal) != now),
        };
        earlier.cloned().ok_or_else(|| {
            let (detail, hint) = match serial {
                _ if goals.is_empty() => (
                    "Nothing was ever applied.".to_owned(),
                    "`simfleet apply` applies what the files say",
                ),
                Some(serial) => (format!("Nothing had been applied yet at serial {serial}."), OTHER_WAYS),
                None => ("Only one configuration was ever applied.".to_owned(), OTHER_WAYS),
            };
            Diagnostic::error("Nothing to go back to", detail).hint(hint).into()
        })
    }

    /// Has the fleet be brought to an earlier goal instead of what its files say.
    ///
    /// # Errors
    /// A sensitive variable that has to be given again is missing, or another one; the configuration is not one to this
    /// simfleet.
    pub fn back_to(mut self, goal: &Goal) -> Result<Self, FleetError> {
        let configuration = match goal {
            Goal::Nothing => {
                self.options.mode = Mode::Destroy;
                return Ok(self);
            }
            Goal::Configuration(configuration) => configuration,
        };
        let mut inputs = with_providers(&self.options.inputs);
        inputs.unset = Unset::Error;
        // As they are named when they are read: the current folder is not told.
        let folder = match self.config.folder == Path::new(".") {
            true => PathBuf::new(),
            false => self.config.folder.clone(),
        };
        let sources = Sources {
            folder: self.config.folder.clone(),
            files: configuration
                .sources
                .iter()
                .map(|(path, text)| (folder.join(&**path), text.to_string()))
                .collect(),
            variables: variables(&configuration.variables, &self.config.sources().variables)?,
        };
        let (config, warnings) = config::load_sources(&sources, &inputs)?;
        self.options.mode = Mode::Apply;
        Ok(Fleet {
            config: Arc::new(config),
            warnings,
            ..self
        })
    }
}

const OTHER_WAYS: &str = "`simfleet state history` shows what was applied; `simfleet destroy` removes everything";

/// Returns the goals of a fleet, each with the serial since which it was.
fn goals(history: &[Entry]) -> Vec<(u64, Goal)> {
    let mut state = State::default();
    let mut goals = Vec::new();
    for entry in history {
        let serial = entry.stamp.serial;
        for event in &entry.events {
            match event {
                Event::Intended { config, configuration } => {
                    state.intended.clone_from(config);
                    if configuration.is_some() {
                        state.configuration.clone_from(configuration);
                    }
                }
                Event::Pushed { state: pushed } => {
                    state.intended.clone_from(&pushed.intended);
                    state.configuration.clone_from(&pushed.configuration);
                }
                _ => continue,
            }
            goals.extend(Goal::of(&state).map(|goal| (serial, goal)));
        }
    }
    goals
}

/// Returns the configuration as it is kept. Its digest leaves secrets out: one without salt could be guessed.
fn configuration(config: &Config) -> Configuration {
    let Sources {
        folder,
        files,
        variables,
    } = config.sources();
    let relative = |path: &Path| {
        path.strip_prefix(&folder)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    };
    let sources: BTreeMap<Arc<str>, Arc<str>> = files
        .iter()
        .map(|(path, text)| (relative(path).into(), text.as_str().into()))
        .collect();
    let mut hasher = Sha256::new();
    for (path, text) in &sources {
        hasher.update(format!("{path}\0{}\0{text}\0", text.len()));
    }
    for (name, value) in &variables {
        hasher.update(format!("{name}={value:?}\0"));
    }
    Configuration {
        digest: ConfigDigest(hex::encode(hasher.finalize()).into()),
        sources,
        variables: variables.into_iter().collect(),
    }
}

fn is_same(kept: &Configuration, wanted: &Configuration) -> bool {
    let (before, after) = (kept.variables.to_value(), wanted.variables.to_value());
    kept.digest == wanted.digest && same(Some(&before), Some(&after))
}

/// Returns the variables of a configuration that was kept, with the secrets that the state does not have as they are
/// given again.
fn variables(kept: &Attributes, given: &BTreeMap<Arc<str>, Value>) -> Result<BTreeMap<Arc<str>, Value>, Diagnostics> {
    let mut variables = BTreeMap::new();
    let mut diagnostics = Diagnostics::new();
    for (name, value) in kept.iter() {
        let value = match (value.data(), given.get(name).filter(|given| given.is_known())) {
            (Data::Redacted(digest), Some(given)) if digest_matches(digest, given) => given.clone(),
            (Data::Redacted(_), given) => {
                diagnostics.push(secret(name, given.is_some()));
                continue;
            }
            _ => value.clone(),
        };
        variables.insert(name.clone(), value);
    }
    diagnostics.or(variables).map(|(variables, _)| variables)
}

fn secret(name: &str, is_given: bool) -> Diagnostic {
    let detail = match is_given {
        true => format!("The sensitive variable `{name}` had another value then."),
        false => format!("The sensitive variable `{name}` is needed, and the state has only a digest of it."),
    };
    let hint = "give the value of that time, with --var, --var-file or SIMFLEET_VAR_…; with a key for its secrets the \
                state would have it";
    Diagnostic::error("A secret has to be given again", detail).hint(hint)
}

/// Says that a serial was never reached.
pub(super) fn unknown_serial(asked: u64, last: u64) -> Diagnostic {
    let detail = format!("There is no serial {asked} yet; the last one is {last}.");
    Diagnostic::error("Unknown serial", detail).hint("`simfleet state history` shows the serials")
}
