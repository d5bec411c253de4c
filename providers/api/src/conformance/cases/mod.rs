//! The cases, by what they are about.

mod boundary;
mod drift;
mod objects;
mod tokens;

pub use boundary::*;
pub use drift::*;
pub use objects::*;
pub use tokens::*;

use super::bench::expect;
use super::compare::without_live;
use super::{Bench, Failure, Outcome, Samples};
use crate::{Kind, Object, Observed, Schema};

/// Returns a failure where what was read is not what was wanted.
fn as_wanted(schema: &Schema, wanted: &crate::Attributes, object: &Object, when: &str) -> Result<(), Failure> {
    let differences = super::differences(schema, wanted, &object.attributes);
    let kind = &schema.kind;
    expect(differences.is_empty(), || {
        format!("a {kind} {when} is not as wanted: {}", differences.join("; "))
    })
}

/// Returns whether two looks saw the same object with the same attributes, those apart that change by themselves.
fn same(schema: &Schema, one: &Object, other: &Object) -> bool {
    one.id == other.id && without_live(schema, &one.attributes) == without_live(schema, &other.attributes)
}
