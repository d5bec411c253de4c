//! What watches told, as it is kept: a line of JSON each, beside the state.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::rotating::{RotatingSettings, numbered};

/// How large the file gets before a new one is begun, and how many old ones are kept.
const MAX_SIZE: u64 = 8 << 20;
const KEEP: u64 = 1;

/// Returns how much is kept in a file.
pub fn settings(path: PathBuf) -> RotatingSettings {
    RotatingSettings {
        path,
        max_size: MAX_SIZE,
        keep: KEEP,
    }
}

/// Lines of JSON in a file and its older ones, and those that come.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    /// What is read: the newest file, once the older ones were.
    reading: Option<BufReader<File>>,
    /// A line whose end is not there yet.
    begun: String,
    /// How many lines could not be understood.
    pub damaged: usize,
}

impl Lines {
    /// Begins with the oldest of so many old files.
    ///
    /// # Errors
    /// One is there and cannot be read.
    pub fn open(path: &Path, keep: u64) -> io::Result<(Self, Vec<Json>)> {
        let mut lines = Lines {
            path: path.to_owned(),
            reading: None,
            begun: String::new(),
            damaged: 0,
        };
        let mut found = Vec::new();
        for number in (1..=keep).rev() {
            lines.reading = reader(&numbered(path, number))?;
            lines.rest(&mut found)?;
            lines.begun.clear();
        }
        lines.reading = reader(path)?;
        lines.rest(&mut found)?;
        Ok((lines, found))
    }

    /// Returns what was added since.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn more(&mut self) -> io::Result<Vec<Json>> {
        let mut found = Vec::new();
        self.rest(&mut found)?;
        // Another file stands in its place: what was written before that was is read by now.
        if self.is_moved()? {
            self.rest(&mut found)?;
            self.reading = reader(&self.path)?;
            self.rest(&mut found)?;
        }
        Ok(found)
    }

    fn is_moved(&self) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.ino(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match &self.reading {
            Some(reading) => Ok(reading.get_ref().metadata()?.ino() != now),
            None => Ok(true),
        }
    }

    fn rest(&mut self, found: &mut Vec<Json>) -> io::Result<()> {
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        loop {
            let mut line = Vec::new();
            if reading.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.begun.push_str(&String::from_utf8_lossy(&line));
            if !self.begun.ends_with('\n') {
                return Ok(());
            }
            match serde_json::from_str(&std::mem::take(&mut self.begun)) {
                Ok(line) => found.push(line),
                Err(_) => self.damaged += 1,
            }
        }
    }
}

/// Opens a file, where it is there.
fn reader(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a line is of an instant or later; one without an instant is of none.
pub fn is_since(line: &Json, since: Timestamp) -> bool {
    let at = line["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    at.is_some_and(|at| at >= since)
}

#[cfg(test)]
mod tests {
    use super::super::rotating::Rotating;
    use super::*;

    #[test]
    fn who_follows_reads_each_line_once_also_over_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut writing = Rotating::new(RotatingSettings {
            path: path.clone(),
            max_size: 40,
            keep: 1,
        });
        let (mut lines, found) = Lines::open(&path, 1).unwrap();
        assert_eq!(found, Vec::<Json>::new());
        let mut read = Vec::new();
        for number in 0..20 {
            writing.append(format!("{number}\n").as_bytes()).unwrap();
            if number % 3 == 0 {
                read.extend(lines.more().unwrap());
            }
        }
        read.extend(lines.more().unwrap());
        assert_eq!(read, (0..20).map(Json::from).collect::<Vec<_>>());
        // A line is read once its end is there; one that is none is counted.
        writing.append(b"broken\n1").unwrap();
        assert_eq!((lines.more().unwrap(), lines.damaged), (Vec::new(), 1));
        writing.append(b"00\n").unwrap();
        assert_eq!(lines.more().unwrap(), [Json::from(100)]);
        let (_, all) = Lines::open(&path, 1).unwrap();
        assert!(all.last() == Some(&Json::from(100)) && all.len() > 1, "{all:?}");
    }
}
