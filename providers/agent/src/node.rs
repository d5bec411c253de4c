//! What a node declares: kept by its agent, changed one revision at a time.

use std::io;

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::layout::DataFolder;
use crate::load::{machine_cpus, machine_memory};
use crate::protocol::{NodeChange, NodeSettings};

/// What is kept of a node, in `node.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What it declares.
    pub settings: NodeSettings,
    /// Raised by every change.
    pub revision: u64,
    /// The token of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
}

/// Why a node was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("the node has been changed since it was read")]
    Conflict,
    #[error("`{0}` makes no sense")]
    Invalid(&'static str),
    #[error("cannot keep what the node declares: {0}")]
    Io(#[from] io::Error),
}

impl NodeRecord {
    /// Makes the record of a new node.
    pub fn new(settings: NodeSettings) -> Self {
        NodeRecord {
            settings,
            revision: 1,
            changed_by: None,
        }
    }

    /// Returns the record after a change; that of a change that was made before is as it is.
    pub(crate) fn changed(&self, change: NodeChange) -> Result<Self, NodeError> {
        if self.changed_by.as_ref() == Some(&change.token) {
            return Ok(self.clone());
        }
        if change.revision != self.revision {
            return Err(NodeError::Conflict);
        }
        if change.settings.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0) {
            return Err(NodeError::Invalid("cpus"));
        }
        if change.settings.memory == Some(0) {
            return Err(NodeError::Invalid("memory"));
        }
        Ok(NodeRecord {
            settings: change.settings,
            revision: self.revision + 1,
            changed_by: Some(change.token),
        })
    }

    pub(crate) fn load(data: &DataFolder) -> io::Result<Self> {
        Ok(durable::read_json(&data.node())?.unwrap_or_else(|| NodeRecord::new(NodeSettings::default())))
    }

    /// The cpus that the load is a part of.
    pub(crate) fn cpus(&self) -> f64 {
        self.settings.cpus.unwrap_or_else(machine_cpus)
    }

    /// The memory in bytes that the load is a part of.
    pub(crate) fn memory(&self) -> u64 {
        self.settings.memory.unwrap_or_else(machine_memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(token: &str, revision: u64, cpus: f64) -> NodeChange {
        NodeChange {
            token: token.to_owned(),
            revision,
            settings: NodeSettings {
                cpus: Some(cpus),
                ..NodeSettings::default()
            },
        }
    }

    #[test]
    fn a_change_is_made_once_and_only_on_what_was_read() {
        let first = NodeRecord::new(NodeSettings::default());
        let second = first.changed(change("a", 1, 2.0)).expect("is on the revision");
        assert_eq!((second.revision, second.settings.cpus), (2, Some(2.0)));
        // Sent again after a lost reply.
        assert_eq!(second.changed(change("a", 1, 2.0)).expect("was made"), second);
        // Late, on what is not the case any more.
        assert!(matches!(second.changed(change("b", 1, 3.0)), Err(NodeError::Conflict)));
        assert!(matches!(
            second.changed(change("c", 2, 0.0)),
            Err(NodeError::Invalid("cpus"))
        ));
    }
}
