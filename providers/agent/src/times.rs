//! When a log was written: beside each file `LOG` of a log a file `LOG.times`, with the times of some of its places.
//!
//! It begins with the number of the file that it tells of (its inode), so that one that was left by a crash while a log was
//! rotated tells of nothing else. Then it has pairs: a time, in milliseconds since 1970, and the place in the file that was
//! written to then. All numbers are of 8 bytes, the lowest first.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::layout::rotated;

/// How far apart the times are that are kept: what is asked for by time begins up to so much earlier.
const APART: Duration = Duration::from_secs(5);
/// Where the pairs begin, in bytes, and how long one is.
const HEADER: usize = 8;
const PAIR: usize = 16;

/// Returns the name of the file that tells the times of another.
fn beside(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".times");
    PathBuf::from(name)
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Writes down when a file is written. It does without what it cannot write: a log is worth more than its times.
#[derive(Debug)]
pub(crate) struct Times {
    file: Option<File>,
    last: Option<u64>,
}

impl Times {
    /// Goes on with the times of a file of a log.
    pub(crate) fn of(path: &Path, log: &File) -> Self {
        let file = open(&beside(path), log).ok();
        Times { file, last: None }
    }

    /// Notes that it is written now, at this place.
    pub(crate) fn note(&mut self, place: u64, now: SystemTime) {
        let Some(file) = &mut self.file else { return };
        let now = milliseconds(now);
        let apart = u64::try_from(APART.as_millis()).unwrap_or(u64::MAX);
        // A clock that was set back begins anew.
        let is_soon = |last: u64| now >= last && now - last < apart;
        if self.last.is_some_and(is_soon) {
            return;
        }
        let pair = [now.to_le_bytes(), place.to_le_bytes()].concat();
        match file.write_all(&pair) {
            Ok(()) => self.last = Some(now),
            // What is half there would shift what follows.
            Err(_) => self.file = None,
        }
    }

    /// Notes that the file was cut, and is written from its beginning.
    pub(crate) fn restart(&mut self) {
        self.last = None;
        if let Some(file) = &self.file
            && file.set_len(HEADER as u64).is_err()
        {
            self.file = None;
        }
    }

    /// Gives the times of a file the name that goes with the file's new one. There may be none, and those that keep their
    /// name tell of no other file.
    pub(crate) fn rename(from: &Path, to: &Path) {
        let _ = fs::rename(beside(from), beside(to));
    }
}

fn open(path: &Path, log: &File) -> io::Result<File> {
    let number = log.metadata()?.ino().to_le_bytes();
    let known = fs::read(path).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    match known.strip_prefix(&number) {
        // A pair that was cut off by a crash.
        Some(pairs) => file.set_len((HEADER + pairs.len() / PAIR * PAIR) as u64)?,
        None => {
            file.set_len(0)?;
            file.write_all(&number)?;
        }
    }
    Ok(file)
}

/// The times of the files of a log, by their inodes.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<u64, Vec<(u64, u64)>>);

impl Known {
    /// Reads the times of a log that is kept in so many files at most.
    pub(crate) fn of(path: &Path, files: usize) -> Self {
        let mut known = HashMap::new();
        // One more, as it may be rotated meanwhile.
        for number in 0..=files as u64 {
            let Ok(bytes) = fs::read(beside(&rotated(path, number))) else {
                continue;
            };
            let Some((inode, pairs)) = bytes.split_first_chunk::<HEADER>() else {
                continue;
            };
            let (numbers, _) = pairs.as_chunks::<8>();
            let (numbers, _) = numbers.as_chunks::<2>();
            let pairs = numbers
                .iter()
                .map(|[time, place]| (u64::from_le_bytes(*time), u64::from_le_bytes(*place)));
            known.insert(u64::from_le_bytes(*inode), pairs.collect());
        }
        Known(known)
    }

    /// Returns where in a file that begins which was written at a time or later, or up to [`APART`] before; `None` where all of
    /// it was written before. Where nothing is known of a file, the time of its last change tells.
    pub(crate) fn place(&self, file: &File, since: SystemTime) -> io::Result<Option<u64>> {
        let about = file.metadata()?;
        let times = self.0.get(&about.ino()).filter(|times| !times.is_empty());
        let Some(times) = times else {
            return Ok((about.modified()? >= since).then_some(0));
        };
        let since = milliseconds(since.checked_sub(APART).unwrap_or(UNIX_EPOCH));
        let late = times.iter().rev().take_while(|(time, _)| *time > since);
        Ok(late.last().map(|(_, place)| *place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_place_is_found_by_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let file = File::create(&path).expect("a file");
        let mut times = Times::of(&path, &file);
        for (seconds, place) in [(100, 0), (103, 10), (106, 20), (200, 30)] {
            times.note(place, at(seconds));
        }
        // It goes on after a crash in the middle of a pair.
        let beside = beside(&path);
        let half = [fs::read(&beside).expect("it is there"), vec![7; 5]].concat();
        fs::write(&beside, half).expect("a file");
        Times::of(&path, &file).note(40, at(300));
        let known = Known::of(&path, 1);
        for (since, expected) in [
            (0, Some(0)),
            (104, Some(0)),
            (105, Some(20)),
            (110, Some(20)),
            (111, Some(30)),
            (204, Some(30)),
            (205, Some(40)),
            (304, Some(40)),
            (305, None),
        ] {
            let place = known.place(&file, at(since)).expect("it can be asked");
            assert_eq!(place, expected, "since {since}");
        }
    }

    #[test]
    fn the_times_of_another_file_are_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let first = File::create(&path).expect("a file");
        Times::of(&path, &first).note(7, at(100));
        fs::rename(&path, folder.path().join("log.1")).expect("rotated");
        // A crash before the times were renamed.
        let second = File::create(&path).expect("a file");
        let known = Known::of(&path, 2);
        assert_eq!(known.place(&first, at(100)).expect("asked"), Some(7));
        assert_eq!(
            known.place(&second, at(100)).expect("asked"),
            Some(0),
            "it was changed later"
        );
        Times::of(&path, &second).note(3, at(500));
        let known = Known::of(&path, 2);
        assert_eq!(known.place(&second, at(500)).expect("asked"), Some(3));
    }
}
