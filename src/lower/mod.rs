//! Declarations and state to resources of a provider: what a node, a pool and a simulator expand to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind};
use simfleet_state::ProviderConfig;

use crate::diagnostic::Span;
use crate::plan::Reason;

mod placement;

/// A resource of a provider as the configuration wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// Its address.
    pub address: Address,
    /// Its kind, in the words of its provider.
    pub kind: Kind,
    /// Its provider; the settings can be unknown before apply.
    pub provider: ProviderConfig,
    /// What is wanted; unknown where it reads what only the apply will tell.
    pub attributes: Attributes,
    /// What must be there before it.
    pub depends_on: BTreeSet<Address>,
    /// The node that it runs on.
    pub hosted_on: Option<Address>,
    /// Where it is declared.
    pub span: Option<Span>,
    /// Where its attributes are declared.
    pub spans: BTreeMap<Arc<str>, Span>,
    /// Why it is there, or is as it is, where that is not the declaration of an attribute.
    pub because: Option<Reason>,
}
