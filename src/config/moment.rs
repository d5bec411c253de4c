//! When expressions are evaluated: what `timestamp()`, `plantimestamp()` and `uuid()` return.
//!
//! While a fleet is planned only `plantimestamp()` is known: what is planned of the others would be something else when it
//! is applied. While it is applied all are, and the same each time: what is made of an expression and what others read of
//! it agree, however often it is evaluated.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use simfleet_provider_api::{Data, Value};
use uuid::{Builder, Uuid};

use crate::diagnostic::Span;

/// The functions whose values depend on when they are called, as they are written: the origins of unknown values.
pub(crate) const TIMESTAMP: &str = "timestamp()";
pub(crate) const PLANTIMESTAMP: &str = "plantimestamp()";
pub(crate) const UUID: &str = "uuid()";

/// When expressions are evaluated. By default nothing of it is known, as where a fleet is only checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// When the plan was made.
    pub planned_at: Option<Timestamp>,
    /// When it is carried out.
    pub applied: Option<Applied>,
}

/// When a plan is carried out, and what makes the UUIDs of that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// When it began.
    pub at: Timestamp,
    /// Random bytes.
    pub seed: [u8; 16],
}

impl Applied {
    /// Returns the UUID of a call: one of version 4 to whom the seed is unknown. `nth` tells the calls of one evaluation
    /// apart, and `of` the instances of a block.
    pub(super) fn uuid(&self, at: &Span, nth: u64, of: &str) -> Uuid {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        for part in [&*at.file.path.to_string_lossy(), of] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        for number in [at.range.start as u64, at.range.end as u64, nth] {
            hasher.update(number.to_be_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Whether a value is unknown, and all that is unknown in it only for the moment.
pub(crate) fn is_of_moment(value: &Value) -> bool {
    let mut found = false;
    let mut queue = vec![value];
    while let Some(value) = queue.pop() {
        match value.data() {
            Data::Unknown(unknown) if [TIMESTAMP, PLANTIMESTAMP, UUID].contains(&&*unknown.origin) => found = true,
            Data::Unknown(_) => return false,
            Data::Tuple(items) | Data::List(items) | Data::Set(items) => queue.extend(items.iter()),
            Data::Object(_) | Data::Map(_) => queue.extend(value.as_fields().into_iter().flat_map(|it| it.values())),
            _ => {}
        }
    }
    found
}
