//! `program`: what a simulated machine runs.
//!
//! It is a file beside the fleet, read when the fleet is: what counts is its content. Nothing is made of it by itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use simfleet_provider_api::Value;

use crate::config::decode::Reader;
use crate::config::eval::Scope;
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What a simulated machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file, relative to the folder of its module.
    pub path: Arc<str>,
    /// The SHA-256 of its content, in hexadecimal.
    pub id: Arc<str>,
}

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("program", "What a simulated machine runs: firmware, a kernel.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::string("path", "the file").required(),
            AttributeSchema::text(
                "sha256",
                &forms::SHA256,
                "what its content must be, where it comes from somewhere else",
            ),
        ])
        .derive(read)
        .resource(&[("id", "the SHA-256 of its content"), ("name", "its name")])
}

/// Adds the digest of the content as `id`.
fn read(record: &mut Record, scope: &dyn Scope, found: &mut Diagnostics) {
    let Some(path) = record.get("path").and_then(Value::as_str) else {
        return;
    };
    let full = scope.folder().join(path);
    let span = record.attribute_span("path").unwrap_or(record.span()).clone();
    match digest(&full) {
        Ok(id) => {
            let wanted = record.get("sha256").and_then(Value::as_str);
            if let Some(wanted) = wanted.filter(|wanted| !wanted.eq_ignore_ascii_case(&id)) {
                let detail = format!("The content of `{path}` has the SHA-256\n  {id}, and `sha256` says\n  {wanted}.");
                let span = record.attribute_span("sha256").cloned();
                let diagnostic = Diagnostic::error("Another program than declared", detail).at(span);
                let hint = "it was changed, or is not what was meant; set `sha256` to what it should be";
                found.push(diagnostic.hint(hint));
            }
            record.add("id", id.into());
        }
        Err(error) => {
            let detail = match error.kind() {
                io::ErrorKind::NotFound => format!("There is no file `{}`.", full.display()),
                _ => format!("`{}` cannot be read: {error}.", full.display()),
            };
            let diagnostic = Diagnostic::error("Missing program", detail).at(span);
            found.push(diagnostic.hint("`path` starts at the folder of the file that it stands in"));
        }
    }
}

/// Digests a file without holding all of it.
fn digest(path: &Path) -> io::Result<String> {
    // Pipes and devices may have no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

impl Program {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (path, id) = (reader.take("path"), reader.take("id"));
        let program = || Some(Program { path: path?, id: id? });
        let program = program();
        reader.finish(program)
    }
}
