//! `placement`: where a simulator runs.

use simfleet_provider_api::{Address, Value};

use crate::config::decode::{FromValue, Needs};
use crate::config::schema::{AttributeSchema, AttributeType};

/// Where a simulator runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// On an implied node of this machine: `"local"`.
    Local,
    /// On this node, or on a member of this pool.
    On(Address),
}

pub(super) fn attribute() -> AttributeSchema {
    let ty = AttributeType::Reference(&["node", "pool"], &["local"]);
    AttributeSchema::new("placement", ty, "the node or pool that it runs on, or \"local\"").required()
}

impl FromValue for Placement {
    // The value of a pool holds much that is not known; which pool it is, is.
    const NEEDS: Needs = Needs::Itself;

    fn from_value(value: &Value) -> Option<Self> {
        match value.origin() {
            Some(address) => Some(Placement::On(address.clone())),
            None => (value.as_str() == Some("local")).then_some(Placement::Local),
        }
    }
}
