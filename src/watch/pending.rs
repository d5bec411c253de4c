//! The files of a fleet, where they are other than what was last applied: told, and applied only where that was asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::config::Config;
use crate::plan::{Action, Plan};

/// What of changed files is applied without asking, beside what only makes and updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// Deletions.
    pub destroy: bool,
    /// Replacements.
    pub replace: bool,
}

/// What is to be said of files that are other than what was last applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// They have mistakes.
    Broken,
    /// They are for somebody to apply.
    Told(Changes),
    /// They would delete or replace what is not to be, and what would have to be allowed.
    Refused(Changes, &'static str),
    /// They are taken over.
    Allowed(Changes),
}

/// How many changes files would make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    create: usize,
    update: usize,
    replace: usize,
    delete: usize,
}

impl Pending {
    /// Says what is to be done with files of which this is the plan.
    pub(super) fn of(plan: &Plan, follow: Option<Allow>) -> Self {
        let mut changes = Changes::default();
        for change in &plan.changes {
            match change.action {
                Action::Create => changes.create += 1,
                Action::Update => changes.update += 1,
                Action::Replace => changes.replace += 1,
                Action::Delete | Action::Forget => changes.delete += 1,
                Action::NoOp | Action::Check => {}
            }
        }
        match follow {
            None => Pending::Told(changes),
            Some(allow) => {
                let lacks = (
                    changes.delete > 0 && !allow.destroy,
                    changes.replace > 0 && !allow.replace,
                );
                match lacks {
                    (false, false) => Pending::Allowed(changes),
                    (true, false) => Pending::Refused(changes, "destroy"),
                    (false, true) => Pending::Refused(changes, "replace"),
                    (true, true) => Pending::Refused(changes, "destroy,replace"),
                }
            }
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [
            (self.create, "create"),
            (self.update, "update"),
            (self.replace, "replace"),
            (self.delete, "delete"),
        ];
        let some = numbers.iter().filter(|(number, _)| *number > 0);
        let some: Vec<String> = some.map(|(number, verb)| format!("{number} to {verb}")).collect();
        match some.is_empty() {
            true => f.write_str("no resource changes"),
            false => f.write_str(&some.join(", ")),
        }
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OTHER: &str = "The files are other than what was last applied";
        match self {
            Pending::Broken => write!(f, "{OTHER}, and have mistakes"),
            Pending::Told(changes) => write!(f, "{OTHER}: {changes}; `simfleet apply` applies them"),
            Pending::Refused(changes, lacking) => {
                write!(f, "{OTHER}: {changes}; that is not applied without `--allow {lacking}`")
            }
            Pending::Allowed(changes) => write!(f, "The files have changed, and are applied: {changes}"),
        }
    }
}

/// What the files of a fleet looked like, by their paths: so that they are read again only when they changed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Files(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Files {
    /// Looks at the files that a configuration was read from, and those that lie beside them: a new one counts too.
    pub(super) fn of(config: &Config) -> Self {
        let read = config.sources().files.into_iter().map(|(path, _)| path);
        let folder = std::fs::read_dir(&config.folder).into_iter().flatten();
        let beside = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let beside = beside.filter(|path| path.extension().is_some_and(|extension| extension == "hcl"));
        let look = |path: PathBuf| {
            let metadata = std::fs::metadata(&path).ok();
            let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            (path, (modified, metadata.map_or(0, |metadata| metadata.len())))
        };
        Files(read.chain(beside).map(look).collect())
    }
}
