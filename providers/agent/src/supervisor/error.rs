//! Why a request about a simulator was refused.

use std::io;

use simfleet_provider_api::Path;

use super::record::Ending;

/// Why a request about a simulator was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SupervisorError {
    /// The request makes no sense.
    #[error("{message}")]
    Invalid { message: String, attribute: Option<Path> },
    /// There is no such simulator.
    #[error("there is no simulator `{0}`")]
    NotFound(String),
    /// Another has the name, or it has changed.
    #[error("{0}")]
    Conflict(String),
    /// A machine is to run a program that is not here.
    #[error("the program {0} is not here")]
    NoProgram(String),
    /// There are as many as the node takes.
    #[error("the node has the {0} simulators that it takes")]
    Full(u64),
    /// What was made with this token has been deleted.
    #[error("what was made with this token has been deleted")]
    Deleted,
    /// The create failed for good.
    #[error("{0}")]
    Failed(String),
    /// The agent ends.
    #[error("the agent shuts down")]
    Closing,
    /// It could not be kept.
    #[error("cannot keep the record of a simulator: {0}")]
    Io(#[from] io::Error),
}

impl From<&Ending> for SupervisorError {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Deleted => SupervisorError::Deleted,
            Ending::Failed(message) => SupervisorError::Failed(message.clone()),
        }
    }
}
