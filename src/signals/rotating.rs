//! A file of lines of limited size, with a limited number of older ones: `FILE`, `FILE.1`, `FILE.2` …, newest first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where lines are written to, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatingSettings {
    /// The file.
    pub path: PathBuf,
    /// The size in bytes at which a new one is begun.
    pub max_size: u64,
    /// How many old ones are kept.
    pub keep: u64,
}

/// A file that is written to.
#[derive(Debug)]
pub struct Rotating {
    settings: RotatingSettings,
    /// `None` before the first line, and after a failure: it is opened again.
    open: Option<(File, u64)>,
}

impl Rotating {
    /// Makes no file yet.
    pub fn new(settings: RotatingSettings) -> Self {
        Rotating { settings, open: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Appends what ends with a line; begins a new file before, where this one would get too large. The next call tries again.
    ///
    /// # Errors
    /// The file cannot be made, written or renamed.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let (file, size) = match self.open.take() {
            Some(open) => open,
            None => open(&self.settings.path)?,
        };
        let length = lines.len() as u64;
        let (mut file, size) = match size > 0 && size.saturating_add(length) > self.settings.max_size {
            false => (file, size),
            true => {
                drop(file);
                rotate(&self.settings)?;
                open(&self.settings.path)?
            }
        };
        file.write_all(lines)?;
        self.open = Some((file, size + length));
        Ok(())
    }
}

/// Opens the file for its owner only, and makes it and its folder where they are not there.
fn open(path: &Path) -> io::Result<(File, u64)> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn rotate(settings: &RotatingSettings) -> io::Result<()> {
    if settings.keep == 0 {
        return fs::remove_file(&settings.path);
    }
    for number in (0..settings.keep).rev() {
        match fs::rename(numbered(&settings.path, number), numbered(&settings.path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the path of an older file; of the newest for 0.
pub fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_gets_too_large_and_no_more_are_kept_than_wanted() {
        let folder = tempfile::tempdir().unwrap();
        for (keep, expected) in [
            (0, vec!["5\n"]),
            (1, vec!["5\n", "3\n4\n"]),
            (2, vec!["5\n", "3\n4\n", "1\n2\n"]),
        ] {
            let path = folder.path().join(format!("{keep}/log"));
            let mut log = Rotating::new(RotatingSettings {
                path: path.clone(),
                max_size: 4,
                keep,
            });
            for line in ["1\n", "2\n", "3\n", "4\n", "5\n"] {
                log.append(line.as_bytes()).unwrap();
            }
            let read = |number| fs::read_to_string(numbered(&path, number));
            let kept: Vec<String> = (0..5).map_while(|number| read(number).ok()).collect();
            assert_eq!(kept, expected, "{keep}");
        }
    }

    #[test]
    fn what_could_not_be_written_once_can_be_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs");
        fs::write(&path, "no folder").unwrap();
        let mut log = Rotating::new(RotatingSettings {
            path: path.join("log"),
            max_size: 100,
            keep: 1,
        });
        assert!(log.append(b"lost\n").is_err());
        fs::remove_file(&path).unwrap();
        log.append(b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(path.join("log")).unwrap(), "kept\n");
    }
}
