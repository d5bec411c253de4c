//! What is wrong with a fleet, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use simfleet_provider_api::Address;

/// The text of a file, kept for the source lines of diagnostics.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SourceFile {
    /// The path as the user would type it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// Returns line and column, both from 1, of a byte offset; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// A part of a file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes.
    pub range: Range<usize>,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.file.position(self.range.start);
        write!(f, "{}:{line}:{column}", self.file.path.display())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It stops the run.
    Error,
    /// It does not.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is, without names: the same text every time. A validation rule of the language starts
    /// with its code: `E23 dependency cycle`.
    pub summary: Cow<'static, str>,
    /// What exactly, and why.
    pub detail: String,
    /// The resource that it is about.
    pub address: Option<Address>,
    /// Where.
    pub span: Option<Span>,
    /// Other places that explain it, each with a few words.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(summary: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            address: None,
            span: None,
            related: Vec::new(),
            hint: None,
        }
    }

    /// Makes a warning.
    pub fn warning(summary: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Self::error(summary, detail)
        }
    }

    /// Says where.
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        self.span = span.into();
        self
    }

    /// Says which resource.
    pub fn on(mut self, address: impl Into<Option<Address>>) -> Self {
        self.address = address.into();
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint with the candidate nearest to `given`, if one is near.
    pub fn nearest<'a>(self, given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, candidates) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Adds a hint with the candidate nearest to `given`, or another one where none is near.
    pub fn nearest_or<'a>(
        self,
        given: &str,
        candidates: impl IntoIterator<Item = &'a str>,
        otherwise: impl Into<String>,
    ) -> Self {
        match nearest(given, candidates) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self.hint(otherwise),
        }
    }

    /// Adds another place that explains it.
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// The summary of what cannot go on for a value that is known later: after apply, or once a variable is set.
pub const NOT_KNOWN: &str = "Value not known yet";

/// Returns the candidate that `given` was probably meant to be: the one of which it is the beginning (`value.b` for
/// `value.b[0]`), else one that differs in a few letters, and in less than half of them.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let is_longer = given.len() >= 3 && candidate.starts_with(given);
            (!is_longer, strsim::damerau_levenshtein(given, candidate), candidate)
        })
        .filter(|(is_other, distance, candidate)| {
            let length = given.chars().count().max(candidate.chars().count());
            !is_other || (*distance <= 1 + length / 4 && distance * 2 < length)
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Returns none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. One mistake in a block with `count` is found once for each instance, and told once.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.0.last() != Some(&diagnostic) {
            self.0.push(diagnostic);
        }
    }

    /// Says which resource those are about that do not say it.
    #[must_use]
    pub fn on(mut self, address: &Address) -> Self {
        for diagnostic in &mut self.0 {
            diagnostic.address.get_or_insert_with(|| address.clone());
        }
        self
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.0 {
            self.push(diagnostic);
        }
    }

    /// Takes the value out of a result and keeps its diagnostics otherwise, so that a caller can go on and find more.
    pub fn keep<T>(&mut self, result: Result<T, Diagnostics>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(diagnostics) => {
                self.extend(diagnostics);
                None
            }
        }
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Returns the value, or the diagnostics where one of them is an error; warnings stay with the caller's value.
    pub fn or<T>(self, value: T) -> Result<(T, Diagnostics), Diagnostics> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok((value, self))
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}
