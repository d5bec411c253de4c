//! The folder that an image is built of: what of it counts, its digest, and the archive that an engine gets.
//!
//! The digest is made of what an image can depend on: paths, modes, contents, and where links lead. Who owns a file and
//! when it was written are not in it, nor in the archive, so that two checkouts of one commit make one image.

mod ignore;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ignore::Ignored;

/// The file of a context that says what does not count.
const IGNORE_FILE: &str = ".dockerignore";

/// The files, folders and links that an image is built of, as they were when the folder was read.
#[derive(Debug, Clone)]
pub struct Context {
    folder: PathBuf,
    /// Sorted by path.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// From the folder on.
    path: PathBuf,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Folder { mode: u32 },
    File { mode: u32, size: u64 },
    Link { target: PathBuf },
}

/// Why an image cannot be built of a folder.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The folder is not there.
    #[error("there is no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    /// The Dockerfile is not there.
    #[error("there is no file `{}` in `{}`", dockerfile.display(), folder.display())]
    NoDockerfile {
        /// The folder.
        folder: PathBuf,
        /// The file, from the folder on.
        dockerfile: PathBuf,
    },
    /// The Dockerfile is not below the folder.
    #[error("`{}` is not within the folder `{}`", dockerfile.display(), folder.display())]
    Outside {
        /// The folder.
        folder: PathBuf,
        /// The file, as it is given.
        dockerfile: PathBuf,
    },
    /// Something in it is neither a file nor a folder nor a link.
    #[error("`{}` is neither a file nor a folder nor a link", .0.display())]
    Special(PathBuf),
    /// A pattern of the file `.dockerignore` is none.
    #[error("`{}`: {pattern:?} is no pattern of file names", file.display())]
    Pattern {
        /// The file.
        file: PathBuf,
        /// The pattern.
        pattern: String,
    },
    /// Something in it cannot be read.
    #[error("`{}` cannot be read: {error}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Context {
    /// Looks at a folder that an image is to be built of by a Dockerfile in it.
    ///
    /// # Errors
    /// One of the two is not there, or something in the folder cannot be sent to an engine.
    pub fn read(folder: &Path, dockerfile: &Path) -> Result<Self, ContextError> {
        if !folder.is_dir() {
            return Err(ContextError::NoFolder(folder.to_owned()));
        }
        if !is_within(dockerfile) {
            return Err(ContextError::Outside {
                folder: folder.to_owned(),
                dockerfile: dockerfile.to_owned(),
            });
        }
        if !folder.join(dockerfile).is_file() {
            return Err(ContextError::NoDockerfile {
                folder: folder.to_owned(),
                dockerfile: dockerfile.to_owned(),
            });
        }
        // The engine needs both; it leaves them out of the image itself where they are ignored.
        let ignored = Ignored::read(&folder.join(IGNORE_FILE), &[dockerfile, Path::new(IGNORE_FILE)])?;
        let mut entries = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(below) = folders.pop() {
            let at = folder.join(&below);
            for found in fs::read_dir(&at).map_err(unreadable(&at))? {
                let found = found.map_err(unreadable(&at))?;
                let path = below.join(found.file_name());
                let is_ignored = ignored.contains(&path);
                let metadata = found.metadata().map_err(unreadable(&found.path()))?;
                let (kind, mode) = (metadata.file_type(), metadata.permissions().mode() & 0o7777);
                if kind.is_dir() && (!is_ignored || ignored.has_exceptions()) {
                    folders.push(path.clone());
                }
                if is_ignored {
                    continue;
                }
                let what = if kind.is_dir() {
                    What::Folder { mode }
                } else if kind.is_file() {
                    let size = metadata.len();
                    What::File { mode, size }
                } else if kind.is_symlink() {
                    let target = fs::read_link(found.path()).map_err(unreadable(&found.path()))?;
                    What::Link { target }
                } else if kind.is_socket() {
                    // As the docker client: who has one open leaves it where it works.
                    continue;
                } else {
                    return Err(ContextError::Special(found.path()));
                };
                entries.push(Entry { path, what });
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let folder = folder.to_owned();
        Ok(Context { folder, entries })
    }

    /// Returns the SHA-256 of what counts, in hexadecimal.
    ///
    /// # Errors
    /// A file cannot be read, or went away meanwhile.
    pub fn digest(&self) -> Result<String, ContextError> {
        let mut digest = Sha256::new();
        let mut add = |kind: u8, mode: u32, path: &Path, content: &[u8]| {
            digest.update([kind]);
            digest.update(mode.to_be_bytes());
            for part in [path.as_os_str().as_bytes(), content] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        };
        for Entry { path, what } in &self.entries {
            match what {
                What::Folder { mode } => add(b'd', *mode, path, &[]),
                What::Link { target } => add(b'l', 0, path, target.as_os_str().as_bytes()),
                What::File { mode, .. } => {
                    let full = self.folder.join(path);
                    add(b'f', *mode, path, &file_digest(&full).map_err(unreadable(&full))?);
                }
            }
        }
        Ok(hex::encode(digest.finalize()))
    }

    /// Writes what counts as an archive.
    ///
    /// # Errors
    /// A file cannot be read or has another length by now, or the archive cannot be written.
    pub fn archive(&self, to: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(to);
        for Entry { path, what } in &self.entries {
            let mut header = tar::Header::new_gnu();
            match what {
                What::Folder { mode } => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    archive.append_data(&mut header, path, io::empty())?;
                }
                What::Link { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    archive.append_link(&mut header, path, target)?;
                }
                What::File { mode, size } => {
                    header.set_mode(*mode);
                    header.set_size(*size);
                    let full = self.folder.join(path);
                    let mut file = Counted(File::open(&full)?.take(*size), 0);
                    archive.append_data(&mut header, path, &mut file)?;
                    if file.1 != *size {
                        let message = format!("`{}` is written to", full.display());
                        return Err(io::Error::other(message));
                    }
                }
            }
        }
        archive.into_inner()?.flush()
    }
}

/// Whether a path stays below the folder that it starts at.
fn is_within(path: &Path) -> bool {
    let mut depth = 0_usize;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ContextError + use<> {
    let path = path.to_owned();
    move |error| ContextError::Unreadable { path, error }
}

/// Digests a file without holding all of it.
fn file_digest(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().to_vec()),
            read => digest.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// A reader, and how much was read of it.
struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1 += read as u64;
        Ok(read)
    }
}
