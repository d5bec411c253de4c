//! The programs of machines: by their content, for as long as one needs them.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::durable;

/// The programs of a node.
#[derive(Debug)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// Opens the folder of programs; it need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Programs(folder)
    }

    /// Returns the file of a program.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.0.join(sha256)
    }

    /// Whether a program is here.
    pub fn has(&self, sha256: &str) -> bool {
        self.path(sha256).is_file()
    }

    /// Keeps a program.
    ///
    /// # Errors
    /// Its content is not what its name says, or it cannot be kept.
    pub fn put(&self, sha256: &str, content: &[u8]) -> io::Result<()> {
        if hex::encode(Sha256::digest(content)) != sha256 {
            let message = format!("the content of the program is not that of the SHA-256 {sha256}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        durable::create_folder(&self.0)?;
        durable::write(&self.path(sha256), content)
    }

    /// Removes what is not needed.
    pub fn keep_only(&self, is_needed: impl Fn(&str) -> bool) -> io::Result<()> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(&is_needed) {
                durable::remove_file(&entry.path())?;
            }
        }
        Ok(())
    }
}
