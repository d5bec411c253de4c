//! What is written down in the audit log of what is done by hand.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use simfleet_provider_api::Act;

use super::super::mark::Mark;
use super::super::{Fleet, FleetError};
use crate::apply;
use crate::audit::{AuditEntry, AuditLog, AuditResult, AuditSettings, Durability};
use crate::control::{Control, Done};
use crate::plan::Pattern;

impl Fleet {
    /// Where it is written down what is done by hand.
    pub fn audit_settings(&self) -> AuditSettings {
        self.config.audit.clone().unwrap_or_else(|| AuditSettings {
            path: self.folder.with_file_name("audit.jsonl"),
            durability: Durability::Written,
        })
    }

    /// Opens the audit log, before anything is done.
    pub(in crate::fleet) fn audit(&self, action: String, parameters: Map<String, Json>) -> Result<Audit, FleetError> {
        let session = self.options.inputs.environment.get("SSH_CONNECTION");
        let from = session.and_then(|session| session.split_whitespace().next());
        let caller = self.caller.as_ref().map(|caller| Arc::clone(&caller.from));
        Ok(Audit {
            log: AuditLog::open(self.audit_settings())?,
            by: self.who(),
            from: caller.unwrap_or_else(|| from.unwrap_or("local").into()),
            action,
            parameters,
            lineage: self.mark.as_ref().and_then(Mark::read),
        })
    }
}

/// What is written down of one command.
pub(in crate::fleet) struct Audit {
    log: AuditLog,
    by: Arc<str>,
    from: Arc<str>,
    action: String,
    parameters: Map<String, Json>,
    lineage: Option<Arc<str>>,
}

impl Audit {
    /// Writes down what was done with each, or why nothing was.
    pub(super) fn tell(&self, patterns: &[Pattern], done: &Result<Vec<Done>, FleetError>) -> Result<(), FleetError> {
        match done {
            Ok(done) => {
                for done in done {
                    let why = done.result.as_ref().err().map(|why| why.detail.clone());
                    self.append(done.address.to_string(), why)?;
                }
                Ok(())
            }
            Err(error) => self.refuse(patterns, &told(error)),
        }
    }

    /// Writes down that nothing was done.
    pub(super) fn refuse(&self, patterns: &[Pattern], why: &str) -> Result<(), FleetError> {
        patterns
            .iter()
            .try_for_each(|pattern| self.append(pattern.to_string(), Some(why.to_owned())))
    }

    /// Writes down what was done with one thing, or why it was not.
    pub(in crate::fleet) fn append(&self, address: String, message: Option<String>) -> Result<(), FleetError> {
        Ok(self.log.append(&AuditEntry {
            at: Timestamp::now(),
            by: self.by.clone(),
            from: self.from.clone(),
            action: self.action.clone(),
            address,
            parameters: self.parameters.clone(),
            result: match message {
                None => AuditResult::Ok,
                Some(_) => AuditResult::Error,
            },
            message,
            lineage: self.lineage.clone(),
        })?)
    }
}

/// Returns an error in one line.
pub(in crate::fleet) fn told(error: &FleetError) -> String {
    match error {
        FleetError::Diagnostics(diagnostics) => {
            let details: Vec<&str> = diagnostics.0.iter().map(|diagnostic| &*diagnostic.detail).collect();
            details.join(" ")
        }
        error => apply::describe(error),
    }
}

/// Returns how something is to be done.
pub(super) fn parameters(control: &Control) -> Map<String, Json> {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Json| drop(parameters.insert(name.to_owned(), value));
    if let Some(length) = control.length() {
        set("for_s", length.as_secs_f64().into());
    }
    match control {
        Control::Act(Act::Load { program, halt }) => {
            set("program", program.to_string_lossy().into_owned().into());
            set("halt", (*halt).into());
        }
        Control::Act(Act::Snapshot { name } | Act::Restore { name }) => set("name", name.as_str().into()),
        _ => {}
    }
    parameters
}
