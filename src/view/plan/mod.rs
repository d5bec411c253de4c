//! A plan, for people and for programs.

mod changes;
mod human;
pub mod json;

pub use human::{Detail, Purpose, View};

use std::sync::Arc;

use simfleet_provider_api::Address;

use crate::plan::Plan;

/// Returns the attributes of a resource that are sensitive by their schema.
fn secrets<'a>(plan: &'a Plan, address: &Address) -> &'a [Arc<str>] {
    match plan.changes.binary_search_by(|change| change.address.cmp(address)) {
        Ok(index) => &plan.changes[index].sensitive,
        Err(_) => &[],
    }
}

#[cfg(test)]
mod tests;
