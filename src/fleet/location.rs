//! Where the state of a fleet is.

use std::path::{Path, PathBuf};

use simfleet_state::SqliteStore;

use crate::config::Config;
use crate::config::blocks::Backend;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Returns where the state of a fleet is: where the `backend` block says, else `.simfleet/state.db` beside a folder's
/// files, `.simfleet/NAME.db` beside a single file `NAME.hcl`.
pub(super) fn state_path(path: &Path, config: &Config) -> Result<PathBuf, Diagnostics> {
    if let Some(Backend::Sqlite { path: Some(path) }) = &config.settings.backend {
        return Ok(config.folder.join(path));
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

/// Returns the store; in test builds with the length of leases that the environment asks for.
pub(super) fn store(location: PathBuf) -> SqliteStore {
    let store = SqliteStore::new(location);
    #[cfg(feature = "fake")]
    if let Some(lease) = crate::fault::lease() {
        return store.with_lease(lease);
    }
    store
}
