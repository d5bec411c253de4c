//! What is changed in a file. Pure: the file as it is goes in, the file as it is to be comes out.

use simfleet_provider_api::ProviderError;

use crate::file::{File, Owner, Server, Upstream};

/// A change of a file. Each can be made again: what is so already stays.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Edit {
    /// Make the file.
    Make { owner: Owner, upstream: Upstream },
    /// Have it say something else, and nothing that somebody added.
    Change { owner: Owner, upstream: Upstream },
    /// Remove it.
    Remove { owner: Owner },
    /// Have a server take part.
    Enter(Server),
    /// Have it take part otherwise.
    Alter(Server),
    /// Have it take part no more.
    Leave { token: String },
}

impl Edit {
    /// Whether it takes something out only: what does not run has forgotten it already.
    pub(crate) fn removes(&self) -> bool {
        matches!(self, Edit::Remove { .. } | Edit::Leave { .. })
    }

    /// Returns the file with the change; `None` is no file.
    ///
    /// # Errors
    /// `Rejected` where the file is somebody else's, or is not there; `Conflict` where it says nothing that could be kept.
    pub(crate) fn apply(&self, file: Option<File>, lineage: &str) -> Result<Option<File>, ProviderError> {
        match (self, file) {
            (Edit::Make { owner, upstream }, None) => Ok(Some(File {
                owner: Some(owner.clone()),
                upstream: upstream.clone(),
                servers: Vec::new(),
                by_hand: None,
            })),
            (Edit::Make { owner, .. }, Some(file)) if file.owner.as_ref() == Some(owner) => Ok(Some(file)),
            (Edit::Make { .. }, Some(file)) => Err(rejected(match &file.owner {
                Some(other) if other.lineage == lineage => "it is the file of another upstream of this fleet",
                Some(_) => "it is the file of another fleet",
                None => "it is there already, and simfleet did not write it",
            })),
            (Edit::Change { owner, upstream }, Some(file)) if is_of(&file, owner) => Ok(Some(File {
                owner: Some(owner.clone()),
                upstream: upstream.clone(),
                servers: file.servers,
                by_hand: None,
            })),
            (Edit::Change { .. }, _) => Err(conflict("it is gone, or another has its place")),
            (Edit::Remove { owner }, Some(file)) if file.owner.as_ref() == Some(owner) => Ok(None),
            (Edit::Remove { .. }, file) => Ok(file),
            (Edit::Enter(server), Some(mut file)) if is_of_fleet(&file, lineage) => {
                if file.server(&server.token).is_none() {
                    file.servers.push(server.clone());
                    file.servers.sort_by(|a, b| a.place().cmp(&b.place()));
                }
                Ok(Some(file))
            }
            (Edit::Enter(_), Some(_)) => Err(rejected("it is not the file of this fleet any more")),
            (Edit::Enter(_), None) => Err(rejected("it is not there")),
            (Edit::Alter(server), Some(mut file)) => {
                let there = file.servers.iter_mut().find(|it| it.token == server.token);
                let there = there.ok_or_else(|| conflict("the server is not in it any more"))?;
                *there = server.clone();
                Ok(Some(file))
            }
            (Edit::Alter(_), None) => Err(conflict("it is not there any more")),
            (Edit::Leave { token }, Some(mut file)) => {
                file.servers.retain(|server| server.token != *token);
                Ok(Some(file))
            }
            (Edit::Leave { .. }, None) => Ok(None),
        }
    }
}

/// Whether a file is that of an upstream, or was until somebody wrote all of it anew.
pub(crate) fn is_of(file: &File, owner: &Owner) -> bool {
    file.owner.as_ref().is_none_or(|it| it == owner)
}

fn is_of_fleet(file: &File, lineage: &str) -> bool {
    file.owner.as_ref().is_some_and(|owner| owner.lineage == lineage)
}

fn rejected(message: &str) -> ProviderError {
    ProviderError::Rejected {
        message: message.to_owned(),
        attribute: None,
    }
}

fn conflict(message: &str) -> ProviderError {
    ProviderError::Conflict {
        message: message.to_owned(),
    }
}
