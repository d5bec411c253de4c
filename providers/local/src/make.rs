//! Makes a node: claims its name and token, takes over what an earlier one left, starts its agent. Why none of this waits
//! for another process, and why a call that is late makes nothing, is told in [`crate::provider`].

use std::io;

use simfleet_provider_agent::layout::{Claim, DataFolder};
use simfleet_provider_agent::node::NodeRecord;
use simfleet_provider_agent::protocol::NodeSettings;
use simfleet_provider_agent::{durable, random_hex, write_token};
use simfleet_provider_api::{Object, ProviderError};

use crate::address;
use crate::folder::{Claimed, Gone};
use crate::provider::{LocalProvider, ambiguous, object};
use crate::remove::{end_simulators, kill_agent};
use crate::settings::Wanted;
use crate::start::{StartError, address_file, living_agent, start};

/// What became of a create, as an error of one that is sent again.
pub(crate) fn refusal(name: &str, gone: Gone) -> ProviderError {
    match gone {
        Gone::Failed(message) => ProviderError::Rejected {
            message,
            attribute: None,
        },
        Gone::Deleted => ProviderError::Conflict {
            message: format!("node `{name}` was made by this very create and has been deleted since"),
        },
        Gone::Superseded => ProviderError::Conflict {
            message: format!("node `{name}` was made by this very create and has been taken over since"),
        },
    }
}

impl LocalProvider {
    /// Returns the claim of a token, made or taken over where that is to be done.
    async fn claim(&self, token: &str, wanted: &Wanted) -> Result<Claimed, ProviderError> {
        let name = &wanted.name;
        let io = |error: io::Error| ambiguous(&error);
        if let Some(node) = self.folder.claimed(name, token).map_err(io)? {
            // A takeover may have been cut off before its last step.
            let claim: Option<Claim> = durable::read_json(&node.data.claim()).map_err(io)?;
            if claim.is_none_or(|claim| claim.generation != token) {
                self.prepare_again(&node, &wanted.settings).map_err(io)?;
            }
            return Ok(node);
        }
        let mut others = Vec::new();
        for other in self.folder.named(name).map_err(io)? {
            let lives = living_agent(&other.data).map_err(io)?.is_some();
            let deleted = self.folder.gone(&other.token).map_err(io)? == Some(Gone::Deleted);
            match (deleted, lives) {
                (true, true) => {
                    return Err(ProviderError::Conflict {
                        message: format!("another node `{name}` is being deleted"),
                    });
                }
                // Its delete was cut off, or its create came too late and could not clean up.
                (true, false) => self.undo(&other).await.map_err(io)?,
                (false, true) => {
                    return Err(ProviderError::Conflict {
                        message: format!("another node `{name}` runs already"),
                    });
                }
                (false, false) => others.push(other),
            }
        }
        if let Some(other) = others.into_iter().next() {
            return self.take_over(&other, token, wanted).await;
        }
        self.folder
            .claim(name, token, |data| {
                write_token(&data.token(), &random_hex())?;
                let address = address::choose(&self.lineage, name)?;
                durable::write_json(&address_file(data), &address)?;
                self.prepare(data, token, &random_hex(), &wanted.settings)
            })
            .map_err(io)
    }

    /// Takes over the files of a node whose agent has ended, and with them its simulators.
    async fn take_over(&self, other: &Claimed, token: &str, wanted: &Wanted) -> Result<Claimed, ProviderError> {
        let io = |error: io::Error| ambiguous(&error);
        self.folder.bury(&other.token, &Gone::Superseded).map_err(io)?;
        // One that came up at this very moment does not know yet: its simulators stay, it does not.
        if let Some(agent) = living_agent(&other.data).map_err(io)? {
            kill_agent(&agent.identity).await.map_err(io)?;
        }
        let taken = self.folder.take_over(other, token).map_err(io)?;
        let node = taken.ok_or_else(|| ProviderError::Conflict {
            message: format!("another run has taken over node `{}`", other.name),
        })?;
        self.prepare_again(&node, &wanted.settings).map_err(io)?;
        Ok(node)
    }

    fn prepare_again(&self, node: &Claimed, settings: &NodeSettings) -> io::Result<()> {
        let claim: Option<Claim> = durable::read_json(&node.data.claim())?;
        // The same node: its simulators carry it in their environment.
        let id = claim.map_or_else(random_hex, |claim| claim.node);
        self.prepare(&node.data, &node.token, &id, settings)
    }

    fn prepare(&self, data: &DataFolder, token: &str, id: &str, settings: &NodeSettings) -> io::Result<()> {
        durable::write_json(&data.node(), &NodeRecord::new(settings.clone()))?;
        let claim = Claim {
            node: id.to_owned(),
            generation: token.to_owned(),
            revoked_by: Some(self.folder.tombstone(token)),
        };
        durable::write_json(&data.claim(), &claim)
    }

    /// Removes what a create has made that failed for good, or that came too late.
    async fn undo(&self, node: &Claimed) -> io::Result<()> {
        if let Some(agent) = living_agent(&node.data)? {
            kill_agent(&agent.identity).await?;
        }
        end_simulators(&node.data).await?;
        self.folder.remove(node)
    }

    /// Makes a node, and nothing where its token has been buried: before, or while this was at work.
    pub(crate) async fn make(&self, token: &str, wanted: &Wanted) -> Result<Object, ProviderError> {
        let io = |error: io::Error| ambiguous(&error);
        if !self.folder.is_current().map_err(io)? {
            return Err(ProviderError::Denied {
                message: "the folder of the fleet's nodes was removed while this run was at work; run it again"
                    .to_owned(),
            });
        }
        if let Some(gone) = self.folder.gone(token).map_err(io)? {
            return Err(refusal(&wanted.name, gone));
        }
        let made = self.claim_and_start(token, wanted).await;
        let Err(error) = made else {
            return made;
        };
        match self.folder.gone(token).map_err(io)? {
            None => Err(error),
            Some(gone) => {
                // What was taken over is in use; the rest is only what this call has made.
                if gone != Gone::Superseded {
                    if let Some(node) = self.folder.claimed(&wanted.name, token).map_err(io)? {
                        self.undo(&node).await.map_err(io)?;
                    }
                    self.folder.discard(&wanted.name, token).map_err(io)?;
                }
                Err(refusal(&wanted.name, gone))
            }
        }
    }

    async fn claim_and_start(&self, token: &str, wanted: &Wanted) -> Result<Object, ProviderError> {
        let io = |error: io::Error| ambiguous(&error);
        let node = self.claim(token, wanted).await?;
        let choose = || address::choose(&self.lineage, &node.name);
        match start(&self.program, &node.data, &self.folder.tombstone(token), choose).await {
            Ok(up) => Ok(object(&node, &up)),
            // What became of it is in the tombstone.
            Err(StartError::Gone) => Err(refusal(&node.name, Gone::Deleted)),
            Err(StartError::Ended(message)) => {
                let message = format!("node `{}` did not start: {message}", node.name);
                let gone = Gone::Failed(message);
                self.folder.bury(token, &gone).map_err(io)?;
                Err(refusal(&node.name, gone))
            }
            Err(StartError::Silent(message)) => Err(ProviderError::Ambiguous {
                message: format!("node `{}` was started and does not answer: {message}", node.name),
            }),
            Err(StartError::Io(error)) => Err(io(error)),
        }
    }
}
