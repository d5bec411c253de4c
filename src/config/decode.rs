//! Records to typed declarations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Number, Value};

use super::record::{Mode, Record};
use super::schema::{AttributeSchema, Rule};
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN};

/// Takes a record apart and collects all that is wrong with it.
///
/// Each method returns `None` where it cannot tell: it has reported why, or the value is not known and the file is only
/// checked.
#[derive(Debug)]
pub struct Reader<'r> {
    record: &'r Record,
    diagnostics: Diagnostics,
}

/// A type that a value can be read as.
///
/// All but [`Value`] itself demand that the value is known and not sensitive: what is planned with is shown.
pub trait FromValue: Sized {
    /// What must be known of a value before it is read.
    const NEEDS: Needs = Needs::All;

    /// Returns the value; `None` where the schema let through what it must not.
    fn from_value(value: &Value) -> Option<Self>;
}

/// What must be known of a value before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// All of it, and that it is not sensitive.
    All,
    /// What it is, but not what is in it.
    Itself,
    /// Nothing.
    Nothing,
}

impl<'r> Reader<'r> {
    /// Returns a reader of a record.
    pub fn new(record: &'r Record) -> Self {
        Reader {
            record,
            diagnostics: Diagnostics::new(),
        }
    }

    /// The record.
    pub fn record(&self) -> &'r Record {
        self.record
    }

    /// Returns an attribute that is required or has a default.
    pub fn take<T: FromValue>(&mut self, name: &str) -> Option<T> {
        // One that is required and lacks was reported when the block was checked.
        self.maybe(name)?
    }

    /// Returns an attribute that may lack.
    pub fn maybe<T: FromValue>(&mut self, name: &str) -> Option<Option<T>> {
        let Some(value) = self.record.get(name) else {
            return Some(None);
        };
        if T::NEEDS == Needs::All || T::NEEDS == Needs::Itself && value.is_unknown() {
            self.demand_known(name, value)?;
        }
        match T::from_value(value) {
            Some(value) => Some(Some(value)),
            None => {
                let detail = format!("`{name}` cannot be {}.", describe(value));
                self.error(Diagnostic::error("Invalid value", detail), name);
                None
            }
        }
    }

    /// Returns an attribute that is an object, read field by field.
    pub fn object<T>(
        &mut self,
        name: &str,
        schemas: &[AttributeSchema],
        decode: impl FnOnce(&Record) -> Result<T, Diagnostics>,
    ) -> Option<Option<T>> {
        let Some(value) = self.record.get(name) else {
            return Some(None);
        };
        if value.is_unknown() {
            self.demand_known(name, value)?;
        }
        let record = self.record.of_object(name, schemas)?;
        self.diagnostics.keep(decode(&record)).map(Some)
    }

    /// Returns a block that may lack.
    pub fn block<T>(&mut self, name: &str, decode: impl Fn(&Record) -> Result<T, Diagnostics>) -> Option<Option<T>> {
        match self.record.blocks(name).next() {
            Some(block) => self.diagnostics.keep(decode(block)).map(Some),
            None => Some(None),
        }
    }

    /// Returns all blocks of a type.
    pub fn blocks<T>(&mut self, name: &str, decode: impl Fn(&Record) -> Result<T, Diagnostics>) -> Option<Vec<T>> {
        let record = self.record;
        let decoded: Vec<_> = record
            .blocks(name)
            .map(|block| self.diagnostics.keep(decode(block)))
            .collect();
        decoded.into_iter().collect()
    }

    /// Returns all blocks of a type by their label.
    pub fn named<T>(
        &mut self,
        name: &str,
        decode: impl Fn(&Record) -> Result<T, Diagnostics>,
    ) -> Option<BTreeMap<Arc<str>, T>> {
        let pairs = self.blocks(name, |block| decode(block).map(|decoded| (block.label(0), decoded)))?;
        Some(pairs.into_iter().collect())
    }

    /// Reports something about an attribute; the whole block where it is not set.
    pub fn error(&mut self, diagnostic: Diagnostic, name: &str) {
        let span = self.record.attribute_span(name).unwrap_or(self.record.span());
        self.diagnostics.push(diagnostic.at(span.clone()));
    }

    /// Reports what a rule finds.
    pub fn rule(&mut self, rule: Rule) {
        rule(self.record, &mut self.diagnostics);
    }

    /// Reports something that has a place of its own.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Returns the declaration, where nothing was wrong.
    ///
    /// # Errors
    /// All that was reported; none where the file is only checked and something is not known.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        match value {
            Some(value) if !self.diagnostics.has_errors() => Ok(value),
            _ => Err(self.diagnostics),
        }
    }

    fn demand_known(&mut self, name: &str, value: &Value) -> Option<()> {
        if let Some(origin) = value.unknown_origin() {
            if self.record.mode() == Mode::Plan {
                let detail = format!("`{name}` depends on `{origin}`, which is known after apply only.");
                let diagnostic = Diagnostic::error(NOT_KNOWN, detail);
                self.error(diagnostic.hint("it has to be known when the plan is made"), name);
            }
            return None;
        }
        if value.has_sensitive() {
            let detail = format!("`{name}` is sensitive, but plans show it.");
            let diagnostic = Diagnostic::error("Sensitive value", detail);
            self.error(diagnostic.hint("if it is no secret, use nonsensitive(…)"), name);
            return None;
        }
        Some(())
    }
}

impl FromValue for Value {
    const NEEDS: Needs = Needs::Nothing;

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl FromValue for u16 {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_number().map(Number::as_f64)
    }
}

impl FromValue for Number {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_number().cloned()
    }
}

impl FromValue for Arc<str> {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(Arc::from)
    }
}

/// Of a number of seconds, to the nanosecond.
impl FromValue for Duration {
    fn from_value(value: &Value) -> Option<Self> {
        Duration::try_from_secs_f64(value.as_number()?.as_f64()).ok()
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_slice()?.iter().map(T::from_value).collect()
    }
}

impl<T: FromValue> FromValue for BTreeMap<Arc<str>, T> {
    fn from_value(value: &Value) -> Option<Self> {
        let fields = value.as_fields()?.iter();
        fields
            .map(|(name, value)| Some((Arc::clone(name), T::from_value(value)?)))
            .collect()
    }
}

/// Makes an enum out of the words of the language: each variant with its word and a sentence.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// The words of the language for it.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of the language for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }
        }

        impl $crate::config::decode::FromValue for $name {
            fn from_value(value: &simfleet_provider_api::Value) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;
