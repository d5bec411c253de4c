//! What is declared of a resource, and what is done to it, as it is recorded: enough to finish, look at or delete it without
//! the files.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use simfleet_provider_api::{Address, Attributes, Kind, Object, ObjectId, ProviderName, encoding};

use crate::stored;

/// What the configuration says of a resource: all that is needed to finish, refresh or delete it without the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declaration {
    /// The kind of object.
    pub kind: Kind,
    /// Whose.
    pub provider: ProviderConfig,
    /// The version of the schema that the attributes, wanted and recorded, follow.
    pub schema_version: u32,
    /// The attributes that the configuration wants.
    #[serde(with = "encoding::attributes")]
    pub inputs: Attributes,
    /// The resources that have to be there first, and that are deleted after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Address>,
    /// The node that it runs on: it is gone when that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted_on: Option<Address>,
    /// Whether to delete it is an error; kept here, so that deleting its block does not lift it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prevent_destroy: bool,
    /// Whether its replacement is made first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_before_destroy: bool,
    /// How it is emptied before it goes, where it is a member of a pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// How it is told from outside whether it is healthy, where it is a node with a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Box<HealthCheck>>,
    /// How whoever wants to reach its agent logs in to it, where it is a machine with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<Login>>,
    /// How long operations on it may take; kept here, so that they hold where its block is gone.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
}

/// How long operations may take; without one the provider's own limit holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Making it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Duration>,
    /// Changing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Duration>,
    /// Deleting it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Duration>,
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Timeouts::default()
    }
}

/// How a member of a pool is emptied before it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// How long is waited at most.
    pub timeout: Duration,
    /// What is waited for.
    pub wait_for: WaitFor,
}

/// What a member waits for before it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// Its connections.
    Connections,
    /// Its simulators, those that end by themselves.
    Simulators,
    /// Its lease.
    Lease,
}

/// How it is told from outside whether a node is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is looked at.
    pub look: Look,
    /// From one look to the next.
    pub interval: Duration,
    /// How long one look may take.
    pub timeout: Duration,
    /// How long after the start bad looks do not count.
    pub start_period: Duration,
    /// After how many good looks in a row it is healthy.
    pub healthy_threshold: u64,
    /// After how many bad looks in a row it is not.
    pub unhealthy_threshold: u64,
}

/// What is looked at. In texts `{private_ip}`, `{public_ip}`, `{member}` and `{pool}` stand for those of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// A URL, which must answer with a status below 400.
    Http {
        /// The URL.
        url: String,
    },
    /// A port of the node, which must accept.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A command, run by whoever looks, which must end with 0.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// The agent of the node, which must say that it is well.
    Agent,
    /// A login on the node, which must be let in.
    Ssh {
        /// How.
        login: Login,
    },
    /// The Docker engine of the node, which must answer whoever is logged in.
    Docker {
        /// How.
        login: Login,
    },
    /// What its provider says of the node: that it runs.
    Cloud,
}

/// How a node is logged in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who.
    pub user: String,
    /// Where, with the placeholders of a look.
    pub host: String,
    /// At which port, where that is not the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The file of the key, where it is not one of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The file of the hosts that are known. Without it the first key of a machine is believed, under that machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
}

/// A provider with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderConfig {
    /// The provider.
    pub name: ProviderName,
    /// The attributes of its `provider` block.
    #[serde(with = "encoding::attributes")]
    pub settings: Attributes,
}

/// What to do to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// To make it.
    Create {
        /// How.
        declared: Declaration,
    },
    /// To change it in place.
    Update {
        /// To what.
        declared: Declaration,
        /// The object.
        prior: ObjectId,
    },
    /// To delete it.
    Delete {
        /// The object.
        prior: ObjectId,
        /// Its name, where it is not the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deposed: Option<DeposedKey>,
    },
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// This object.
    Object(#[serde(with = "stored::object")] Object),
    /// Nothing; that is proven.
    Gone,
}

/// What a failed operation left; only what is proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remains {
    /// It had no effect: no object where one was to be made, else the object as it was.
    AsBefore,
    /// This object. One that was to be made is recorded as tainted.
    Object(#[serde(with = "stored::object")] Object),
    /// No object any more.
    Gone,
}

/// Names an object that waits to be deleted after its replacement was made: a few hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeposedKey(pub Arc<str>);

impl fmt::Display for DeposedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Operation {
    /// What the configuration says; `None` for a delete, as the resource has it.
    pub fn declared(&self) -> Option<&Declaration> {
        match self {
            Operation::Create { declared } | Operation::Update { declared, .. } => Some(declared),
            Operation::Delete { .. } => None,
        }
    }

    /// What the configuration says, to change it.
    pub(crate) fn declared_mut(&mut self) -> Option<&mut Declaration> {
        match self {
            Operation::Create { declared } | Operation::Update { declared, .. } => Some(declared),
            Operation::Delete { .. } => None,
        }
    }

    /// A word for it: `create`, `update`, `delete`.
    pub fn verb(&self) -> &'static str {
        match self {
            Operation::Create { .. } => "create",
            Operation::Update { .. } => "update",
            Operation::Delete { .. } => "delete",
        }
    }
}
