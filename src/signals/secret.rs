//! Texts that are never shown.

use std::fmt;
use std::sync::Arc;

use simfleet_provider_api::Value;

use crate::config::decode::{FromValue, Needs};

/// A text that may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Returns the text, for who needs it to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive)")
    }
}

impl FromValue for Secret {
    // It is not shown, so that it can be sensitive.
    const NEEDS: Needs = Needs::Itself;

    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(Secret::from)
    }
}
