//! Where the state of a fleet is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use simfleet_state::{Keys, SqliteStore};

use crate::config::Config;
use crate::config::blocks::Backend;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Returns where the state of a fleet is: where the `backend` block says, else `.simfleet/state.db` beside a folder's
/// files, `.simfleet/NAME.db` beside a single file `NAME.hcl`.
pub(super) fn state_path(path: &Path, config: &Config) -> Result<PathBuf, Diagnostics> {
    match &config.settings.backend {
        Some(Backend::Sqlite { path: Some(path) }) => return Ok(config.folder.join(path)),
        Some(Backend::Postgres) => {
            let detail = "The state is to be in PostgreSQL, which this version does not know yet.";
            let diagnostic = Diagnostic::error("Not available yet", detail).at(config.settings.backend_span.clone());
            return Err(diagnostic.hint("use backend \"sqlite\" {}, or give --state").into());
        }
        Some(Backend::Sqlite { path: None }) | None => {}
    }
    let states = config.folder.join(".simfleet");
    if !path.is_dir() {
        return Ok(states.join(path.file_stem().unwrap_or_default()).with_extension("db"));
    }
    let own = states.join("state.db");
    for file in &config.files {
        let single = states
            .join(file.path.file_stem().unwrap_or_default())
            .with_extension("db");
        if single != own && single.exists() && !own.exists() {
            let (file, single) = (file.path.display(), single.display());
            let detail = format!(
                "The folder was given, and its file `{file}` has a state of its own, `{single}`: as one fleet with the \
                 others it would be made a second time."
            );
            return Err(Diagnostic::error("Two states for one file", detail)
                .hint(format!("give the file `{file}`, or destroy it first"))
                .into());
        }
    }
    Ok(own)
}

/// How long the path of a state can be. SQLite takes paths of 512 bytes, and the names of its journal and of the draft that
/// a new state is made as are longer than that of the state.
const LONGEST: usize = 460;

/// The variable that holds the key, or keys, for the secrets of a state.
const KEY: &str = "SIMFLEET_STATE_KEY";
/// The variable that names a file of them.
const KEY_FILE: &str = "SIMFLEET_STATE_KEY_FILE";

/// Returns the store; in test builds with the length of leases that the environment asks for.
pub(super) fn store(location: PathBuf, environment: &BTreeMap<String, String>) -> Result<SqliteStore, Diagnostics> {
    let absolute = std::path::absolute(&location).unwrap_or_else(|_| location.clone());
    if absolute.to_str().is_none() {
        // What is recorded and sent names paths as text.
        let detail = format!(
            "The state is to be at `{}`, a path that is not UTF-8.",
            absolute.display()
        );
        return Err(Diagnostic::error("Not UTF-8", detail)
            .hint("rename the folder, or keep the state elsewhere: --state FILE")
            .into());
    }
    let length = absolute.as_os_str().len();
    if length > LONGEST {
        let detail = format!(
            "The path of the state has {length} bytes, and SQLite takes {LONGEST} at the most: `{}`.",
            absolute.display()
        );
        return Err(Diagnostic::error("Path too long", detail)
            .hint("keep the state elsewhere: --state FILE, or the backend block")
            .into());
    }
    let mut store = SqliteStore::new(location);
    if let Some(keys) = keys(environment)? {
        store = store.with_keys(keys);
    }
    #[cfg(feature = "fake")]
    if let Some(lease) = crate::fault::lease() {
        store = store.with_lease(lease);
    }
    Ok(store)
}

/// Returns the keys that the environment gives.
fn keys(environment: &BTreeMap<String, String>) -> Result<Option<Keys>, Diagnostics> {
    let given = |name| environment.get(name).filter(|text: &&String| !text.is_empty());
    let (source, text) = match (given(KEY), given(KEY_FILE)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(bad_key(format!("Both {KEY} and {KEY_FILE} are set.")).into()),
        (Some(text), None) => (KEY.to_owned(), text.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| bad_key(format!("`{path}`, which {KEY_FILE} names, cannot be read: {error}.")))?;
            (format!("`{path}`, which {KEY_FILE} names"), text)
        }
    };
    let keys = text.parse().map_err(|error| bad_key(format!("{source}: {error}.")))?;
    Ok(Some(keys))
}

fn bad_key(detail: String) -> Diagnostic {
    let hint = "`age-keygen -o state.key` makes a key; nothing was read or changed";
    Diagnostic::error("The key of the state cannot be used", detail).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_that_sqlite_does_not_take_is_told_as_that() {
        let path = |length: usize| PathBuf::from(format!("/{}", "a".repeat(length - 1)));
        let found = store(path(LONGEST + 1), &BTreeMap::new()).expect_err("it is too long");
        assert_eq!(found.0[0].summary, "Path too long");
        assert!(store(path(LONGEST), &BTreeMap::new()).is_ok());
    }

    #[test]
    fn a_state_is_not_kept_where_its_path_cannot_be_written_down() {
        let folder = Path::new(OsStr::from_bytes(b"/fleet-\xff"));
        let found = store(folder.join("state.db"), &BTreeMap::new()).expect_err("it is not UTF-8");
        assert_eq!(found.0[0].summary, "Not UTF-8");
        assert!(store("/fleet/state.db".into(), &BTreeMap::new()).is_ok());
    }
}
