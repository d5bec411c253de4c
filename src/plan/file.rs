//! Saved plans: what a plan was made of, so that it can be made again, byte for byte, when it is applied.
//!
//! A plan is a pure function of its sources, variables, state and observations; so those are saved, with a digest of what
//! was shown. Secrets are not in the file: sensitive variables are given again, and their digests must match.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use simfleet_provider_api::encoding::{self, digest_matches, redact_attributes};
use simfleet_provider_api::{Address, Attributes, Data, Object, ObjectId, Observed, Token, Value};

use super::{Holds, Mode, Plan, Selection, same};
use crate::config::Sources;
use crate::refresh::Observations;

/// The version of the file. Raised with every change that another simfleet could not read.
const FORMAT_VERSION: u32 = 1;
/// What every plan file begins with, so that it is told apart from a fleet file.
const MAGIC: &str = "{\"simfleet_plan\":";

/// A saved plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanFile {
    /// Marks the file, and says its version. First, as it is what the file is recognised by.
    simfleet_plan: u32,
    /// The simfleet that made it: another one may plan differently.
    pub simfleet_version: String,
    /// The path of the fleet, absolute.
    pub path: PathBuf,
    /// Where its state is, where that was given.
    pub state: Option<PathBuf>,
    /// What the plan is for.
    pub mode: Mode,
    /// Resources that are made anew, whatever they look like.
    pub replace: BTreeSet<Address>,
    /// What of the fleet it is about.
    #[serde(default)]
    pub selection: Selection,
    /// What it makes of holds.
    #[serde(default)]
    pub holds: Holds,
    /// When it was made.
    pub at: Timestamp,
    /// The folder of the fleet.
    pub folder: PathBuf,
    /// The fleet's files: paths and texts.
    pub files: Vec<(PathBuf, String)>,
    /// The variables; of sensitive ones the digests.
    #[serde(with = "encoding::attributes")]
    pub variables: Attributes,
    /// The identity of the state; empty where there was none yet.
    pub lineage: String,
    /// The serial of the state.
    pub serial: u64,
    /// What was seen.
    observed: BTreeMap<Address, Seen>,
    /// The SHA-256 of the plan.
    digest: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    Present {
        id: ObjectId,
        #[serde(with = "encoding::attributes")]
        attributes: Attributes,
        token: Option<Token>,
        version: Option<String>,
    },
    Absent,
    Unreachable(String),
}

/// Why a saved plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It cannot be read or written.
    #[error("the plan file `{path}` cannot be {verb}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is damaged.
    #[error("`{path}` is not a whole plan file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// Another simfleet made it.
    #[error("the plan file `{path}` was made by simfleet {made_by}, and this is {this}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that made it.
        made_by: String,
        /// This version.
        this: &'static str,
    },
    /// What it was made from has changed.
    #[error("saved plan is stale: {what} changed since it was made")]
    Stale {
        /// What changed, with its verb: `the state has`.
        what: String,
    },
    /// A sensitive variable is not in the file, and was not given.
    #[error("the plan was made with the sensitive variable `{name}`, which is not saved with it")]
    Secret {
        /// The variable.
        name: String,
    },
    /// A variable is set to another value than the plan was made with.
    #[error("the plan was made with another value of the variable `{name}`")]
    Variable {
        /// The variable.
        name: String,
    },
}

impl PlanFileError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let hint = match self {
            PlanFileError::Io { .. } => "check the path and its permissions",
            PlanFileError::Damaged { .. } | PlanFileError::Version { .. } | PlanFileError::Stale { .. } => {
                "make a new one: simfleet plan --out FILE"
            }
            PlanFileError::Variable { .. } => "leave it out, or make a new plan: simfleet plan --out FILE",
            PlanFileError::Secret { name } => {
                return format!("give it again: --var {name}=…, SIMFLEET_VAR_{name} in the environment, or --var-file");
            }
        };
        hint.to_owned()
    }
}

/// Everything that a plan file is made of, beside the plan.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The path of the fleet, absolute.
    pub path: PathBuf,
    /// Where its state is, where that was given.
    pub state: Option<PathBuf>,
    /// What the plan is for.
    pub mode: Mode,
    /// Resources that are made anew.
    pub replace: BTreeSet<Address>,
    /// What of the fleet it is about.
    pub selection: Selection,
    /// What it makes of holds.
    pub holds: Holds,
    /// When it was made.
    pub at: Timestamp,
    /// What the configuration was loaded from.
    pub sources: Sources,
}

impl PlanFile {
    /// Describes a plan.
    pub fn of(plan: &Plan, observations: &Observations, origin: Origin) -> Self {
        let observed = observations
            .iter()
            .map(|(address, seen)| (address.clone(), Seen::of(seen)))
            .collect();
        let Origin {
            path,
            state,
            mode,
            replace,
            selection,
            holds,
            at,
            sources,
        } = origin;
        let variables: Attributes = sources.variables.into_iter().collect();
        PlanFile {
            simfleet_plan: FORMAT_VERSION,
            simfleet_version: env!("CARGO_PKG_VERSION").to_owned(),
            path,
            state,
            mode,
            replace,
            selection,
            holds,
            at,
            folder: sources.folder,
            files: sources.files,
            variables: redact_attributes(&variables, &mut salted),
            lineage: plan.lineage.to_string(),
            serial: plan.serial,
            observed,
            digest: digest(plan),
        }
    }

    /// Whether a file is a saved plan, by how it begins.
    pub fn is_one(path: &Path) -> bool {
        let mut start = vec![0; MAGIC.len()];
        let read = fs::File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut start));
        read.is_ok() && start == MAGIC.as_bytes()
    }

    /// Writes the file, for its owner only, beside its place first: a plan file is whole or not there.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        let failed = |source| PlanFileError::Io {
            path: path.to_owned(),
            verb: "written",
            source,
        };
        if path.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let text = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(beside);
        let written = (|| {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        if written.is_err() {
            // What failed is told; a rest of it would only be in the way.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(failed)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is not there, damaged, or made by another version.
    pub fn read(path: &Path) -> Result<Self, PlanFileError> {
        let failed = |source| PlanFileError::Io {
            path: path.to_owned(),
            verb: "read",
            source,
        };
        Self::parse(&fs::read_to_string(path).map_err(failed)?, path)
    }

    /// Reads the text of a file; its path is for errors.
    ///
    /// # Errors
    /// It is damaged, or made by another version.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PlanFileError> {
        let damaged = |source| PlanFileError::Damaged {
            path: path.to_owned(),
            source,
        };
        let file: PlanFile = serde_json::from_str(text).map_err(damaged)?;
        let this = env!("CARGO_PKG_VERSION");
        if file.simfleet_plan != FORMAT_VERSION || file.simfleet_version != this {
            return Err(PlanFileError::Version {
                path: path.to_owned(),
                made_by: file.simfleet_version,
                this,
            });
        }
        Ok(file)
    }

    /// What was seen when the plan was made.
    pub fn observations(&self) -> Observations {
        self.observed
            .iter()
            .map(|(address, seen)| (address.clone(), seen.clone().into_observed()))
            .collect()
    }

    /// Checks that a plan that was made again is the one that was saved.
    ///
    /// # Errors
    /// The state or something that the configuration reads has changed.
    pub fn check(&self, plan: &Plan) -> Result<(), PlanFileError> {
        let stale = |what: &str| Err(PlanFileError::Stale { what: what.to_owned() });
        if *self.lineage != *plan.lineage || self.serial != plan.serial {
            return stale("the state has");
        }
        if self.digest != digest(plan) {
            return stale("the environment, the clock or a file that the fleet reads has");
        }
        Ok(())
    }

    /// Returns the texts that the configuration was loaded from, without the variables.
    pub fn texts(&self) -> Sources {
        Sources {
            folder: self.folder.clone(),
            files: self.files.clone(),
            variables: BTreeMap::new(),
        }
    }

    /// Returns what the configuration was loaded from, with the sensitive variables that are given again. `set` are those
    /// that the command line sets.
    ///
    /// # Errors
    /// A sensitive variable that is not given, or a variable that is set to something else than the plan was made with.
    pub fn sources(
        &self,
        given: &BTreeMap<Arc<str>, Value>,
        set: &BTreeSet<Arc<str>>,
    ) -> Result<Sources, PlanFileError> {
        let mut variables = BTreeMap::new();
        for (name, value) in self.variables.iter() {
            let value = match (value.data(), given.get(name).filter(|given| given.is_known())) {
                (Data::Redacted(digest), Some(given)) if digest_matches(digest, given) => given.clone(),
                (Data::Redacted(_), Some(_)) => {
                    return Err(PlanFileError::Stale {
                        what: format!("the sensitive variable `{name}` has"),
                    });
                }
                (Data::Redacted(_), None) => return Err(PlanFileError::Secret { name: name.to_string() }),
                (_, Some(given)) if set.contains(name) && !same(Some(value), Some(given)) => {
                    return Err(PlanFileError::Variable { name: name.to_string() });
                }
                _ => value.clone(),
            };
            variables.insert(name.clone(), value);
        }
        Ok(Sources {
            variables,
            ..self.texts()
        })
    }

    /// Whether a variable is to be given again, as it is sensitive.
    pub fn needs_secrets(&self) -> bool {
        self.variables
            .iter()
            .any(|(_, value)| matches!(value.data(), Data::Redacted(_)))
    }
}

impl Seen {
    fn of(observed: &Observed) -> Self {
        match observed {
            Observed::Present(Object {
                id,
                attributes,
                token,
                version,
            }) => Seen::Present {
                id: id.clone(),
                attributes: redact_attributes(attributes, &mut salted),
                token: token.clone(),
                version: version.as_ref().map(ToString::to_string),
            },
            Observed::Absent => Seen::Absent,
            Observed::Unreachable { reason } => Seen::Unreachable(reason.clone()),
        }
    }

    fn into_observed(self) -> Observed {
        match self {
            Seen::Present {
                id,
                attributes,
                token,
                version,
            } => Observed::Present(Object {
                id,
                attributes,
                token,
                version: version.map(Into::into),
            }),
            Seen::Absent => Observed::Absent,
            Seen::Unreachable(reason) => Observed::Unreachable { reason },
        }
    }
}

fn salted(value: &Value) -> simfleet_provider_api::Digest {
    encoding::digest(value, uuid::Uuid::new_v4().into_bytes())
}

/// Returns the SHA-256 of all that a plan says. Its debug form shows everything but secrets, in a fixed order.
fn digest(plan: &Plan) -> String {
    hex::encode(Sha256::digest(format!("{plan:?}")))
}
