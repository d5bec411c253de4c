//! `value`: a value that is kept in the state.

use simfleet_provider_api::{Type, Value};

use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::Diagnostics;

/// A value that is kept in the state, for triggers.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredValue {
    /// What is kept. Can be unknown.
    pub input: Option<Value>,
    /// A change of it makes the value anew. Can be unknown.
    pub triggers_replace: Option<Value>,
}

pub(super) fn schema() -> BlockSchema {
    let any = |name, doc| AttributeSchema::new(name, AttributeType::Value(Type::Any), doc);
    BlockSchema::new("value", "A value that is kept in the state, for triggers.")
        .labels(&["name"])
        .attributes([
            any("input", "what is kept"),
            any("triggers_replace", "a change of it makes the value anew"),
        ])
        .resource(&[
            ("output", "what is kept"),
            ("id", "its identity, new when it is made anew"),
        ])
}

impl StoredValue {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (input, triggers_replace) = (reader.maybe("input"), reader.maybe("triggers_replace"));
        let value = || {
            Some(StoredValue {
                input: input?,
                triggers_replace: triggers_replace?,
            })
        };
        let value = value();
        reader.finish(value)
    }
}
