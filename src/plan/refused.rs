//! Blocks of the language that a plan does not act on yet. To ignore them would plan something else than is written.

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Reports each block that would be ignored.
pub(super) fn check(config: &Config) -> Result<(), Diagnostics> {
    let imports = config.imports.iter().map(|import| ("import", &import.span));
    let mut diagnostics = Diagnostics::new();
    for (name, span) in imports {
        let detail = format!("`{name}` is a block of the language, but this version does not act on it.");
        diagnostics.push(
            Diagnostic::error("Not available yet", detail)
                .at(span.clone())
                .hint("take it out"),
        );
    }
    diagnostics.or(()).map(drop)
}
