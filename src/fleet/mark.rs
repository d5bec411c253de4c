//! The mark of a state: a file beside it that says to which state the nodes and files there belong. Where the state is
//! lost or another lies in its place, it tells; without it, everything would be made a second time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::FleetError;

/// The name of the file, in the folder of what belongs to a state.
const NAME: &str = "lineage";

/// Where the mark of a state is. It is there while anything is recorded.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    state: PathBuf,
    folder: PathBuf,
}

impl Mark {
    /// The mark of the state in a file, in the folder of what belongs to it.
    pub(super) fn new(state: PathBuf, folder: PathBuf) -> Self {
        Mark { state, folder }
    }

    /// Returns the lineage of the state that things here belong to. A file that is not whole says nothing.
    pub(super) fn read(&self) -> Option<Arc<str>> {
        let text = fs::read_to_string(self.folder.join(NAME)).ok()?;
        Uuid::parse_str(text.trim()).ok().map(|_| text.trim().into())
    }

    /// Refuses a state that is not the one of which things are here, or is missing. `there` was read before the state
    /// was, as a state is there before its mark is.
    pub(super) fn check(&self, there: Option<Arc<str>>, lineage: Option<&Arc<str>>) -> Result<(), FleetError> {
        let (state, folder) = (self.state.clone(), self.folder.clone());
        match (there, lineage) {
            (Some(of), None) => Err(FleetError::Lost { state, folder, of }),
            (Some(of), Some(lineage)) if of != *lineage => Err(FleetError::Replaced {
                state,
                folder,
                of,
                lineage: lineage.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Writes the mark, where it is not there.
    pub(super) fn set(&self, lineage: &str) {
        // Without it a loss is not noticed, no more: a medium that cannot be written shows with the next event.
        let _ = self.write(lineage);
    }

    fn write(&self, lineage: &str) -> io::Result<()> {
        if self.folder.join(NAME).exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let draft = self.folder.join(format!(".{NAME}.{}", Uuid::new_v4().simple()));
        let written = fs::write(&draft, format!("{lineage}\n")).and_then(|()| self.put(&draft));
        if written.is_err() {
            fs::remove_file(&draft)?;
        }
        written
    }

    fn put(&self, draft: &Path) -> io::Result<()> {
        fs::rename(draft, self.folder.join(NAME))
    }

    /// Removes the mark, once nothing is recorded any more.
    pub(super) fn remove(&self) {
        // One that stays asks for the state when that is lost, no more.
        let _ = fs::remove_file(self.folder.join(NAME));
    }
}
