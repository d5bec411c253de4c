//! Why a run cannot go on.

use std::path::PathBuf;
use std::sync::Arc;

use simfleet_provider_api::Address;
use simfleet_state::StateError;

use crate::audit::AuditError;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::PlanFileError;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The configuration is wrong, or cannot be planned.
    #[error("the configuration has errors")]
    Diagnostics(Diagnostics),
    /// The state cannot be read or written, or is locked.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no state, and things that belong to one.
    #[error(
        "`{}` is not there, and nodes or files of its fleet are: `{}` belongs to the state with lineage {of}; with a new \
         state everything would be made a second time", state.display(), folder.display()
    )]
    Lost {
        /// Where it should be.
        state: PathBuf,
        /// What belongs to it.
        folder: PathBuf,
        /// Its lineage.
        of: Arc<str>,
    },
    /// There is a state, and things that belong to another.
    #[error(
        "`{}` has lineage {lineage}, and `{}` belongs to the state with lineage {of}, so that its nodes would be made a \
         second time", state.display(), folder.display()
    )]
    Replaced {
        /// Where the state is.
        state: PathBuf,
        /// What belongs to the other.
        folder: PathBuf,
        /// The lineage of the other.
        of: Arc<str>,
        /// The lineage of the state.
        lineage: Arc<str>,
    },
    /// It was asked to stop while it waited for another run.
    #[error("stopped while waiting; nothing was done: {0}")]
    Interrupted(String),
    /// What the plan was made from has changed.
    #[error("the plan is stale: {address} has changed since it was made")]
    Stale {
        /// The first resource that changed.
        address: Address,
    },
    /// A saved plan cannot be used.
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
    /// What is done by hand cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was done could not be recorded.
    #[error("the run ended early: {0}")]
    Ended(String),
}

impl From<Diagnostic> for FleetError {
    fn from(diagnostic: Diagnostic) -> Self {
        FleetError::Diagnostics(diagnostic.into())
    }
}

impl From<Diagnostics> for FleetError {
    fn from(diagnostics: Diagnostics) -> Self {
        FleetError::Diagnostics(diagnostics)
    }
}
