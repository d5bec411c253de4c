//! `simfleet fmt`: the one form of a fleet file, that of `terraform fmt`. Only blanks change, and the quotes of labels;
//! line breaks and comments stay.
//!
//! - [`scan`]: text to tokens; [`space`]: blanks between two tokens; [`line`]: indentation and alignment
//!
//! The form depends on the tokens alone, so that to format twice is to format once.

mod line;
pub(crate) mod scan;
mod space;
#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use self::line::{Line, lay_out, lines};
use self::scan::{Kind, Token, scan};
use crate::config::syntax;
use crate::diagnostic::{Diagnostic, SourceFile};

/// Returns the text of a file in its one form.
///
/// # Errors
/// The first syntax error: what cannot be parsed is not touched.
pub fn format(file: &Arc<SourceFile>) -> Result<String, Diagnostic> {
    syntax::parse(file)?;
    let mut lines = lines(scan(&file.text));
    lines.iter_mut().for_each(quote_labels);
    lay_out(&mut lines);
    let mut text = String::with_capacity(file.text.len());
    for line in &lines {
        for token in line.head.iter().chain(&line.value).chain(&line.comment) {
            text.extend(std::iter::repeat_n(' ', token.blanks));
            text.push_str(token.text);
        }
    }
    Ok(text)
}

/// Puts quotes around the bare labels of a block.
fn quote_labels(line: &mut Line<'_>) {
    let Some(brace) = line.head.iter().position(|token| token.kind == Kind::OpenBrace) else {
        return;
    };
    let is_label =
        |token: &Token<'_>| matches!(token.kind, Kind::Name | Kind::OpenQuote | Kind::Text | Kind::CloseQuote);
    if line.head[0].kind != Kind::Name || !line.head[..brace].iter().all(is_label) {
        return;
    }
    let mut quoted = Vec::with_capacity(line.head.len());
    let quote = |kind| Token {
        kind,
        text: "\"",
        blanks: 0,
    };
    for (at, token) in line.head.drain(..).enumerate() {
        if at > 0 && at < brace && token.kind == Kind::Name {
            let text = Token {
                kind: Kind::Text,
                ..token
            };
            quoted.extend([quote(Kind::OpenQuote), text, quote(Kind::CloseQuote)]);
        } else {
            quoted.push(token);
        }
    }
    line.head = quoted;
}

/// Writes a file in the place of another: whole or not at all, with the permissions and the owner of the old one. A link
/// stays one.
///
/// # Errors
/// Why it cannot be written; the old file is as it was. One that is read-only is refused.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    if old.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Only root can give a file away; for all others the new owner is whoever formats.
            let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // There may be nothing to remove.
        let _ = fs::remove_file(&beside);
    }
    written
}
