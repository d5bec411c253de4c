//! The lock file of a fleet's folder: whoever holds it keeps the folder from being removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use simfleet_provider_agent::durable;

/// Returns the path of the lock file.
pub(crate) fn marker(path: &Path) -> PathBuf {
    path.join("fleet.lock")
}

/// What is in the folder besides the lock file.
pub(crate) const FOLDERS: [&str; 3] = ["claims", "gone", "nodes"];

/// Makes the folder and returns its shared lock.
pub(crate) fn hold(path: &Path) -> io::Result<File> {
    for _ in 0..500 {
        durable::create_folder(path)?;
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(marker(path));
        let file = match opened {
            // Removed between the two steps by one who was the last to use it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) if is_at(&file, &marker(path))? => {
                // Under the lock: from now on nobody removes them.
                for folder in FOLDERS {
                    durable::create_folder(&path.join(folder))?;
                }
                return Ok(file);
            }
            Ok(()) | Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        // Somebody removes it at this moment.
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(io::Error::other("the folder is being removed all the time"))
}

/// Whether an open file is still the one at a path.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether nothing is in a folder, or there is none.
pub(crate) fn is_empty(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
