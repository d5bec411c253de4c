//! What a simulator wrote, as it was written; and what it writes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::stream::{self, Stream};

use crate::layout::rotated;
use crate::supervisor::Supervisor;
use crate::times::Known;

/// How soon a log is looked at again at whose end somebody waits.
const LOOK_AFTER: Duration = Duration::from_millis(200);
/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// Which simulator's log, and what of it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub name: String,
    pub id: Option<String>,
    /// Only the last lines, so many.
    pub tail: Option<usize>,
    /// Only what was written during the last so long.
    pub since: Option<Duration>,
    /// Also what is written until the simulator ends.
    pub follow: bool,
}

/// Returns a log in pieces.
///
/// # Errors
/// It cannot be opened.
pub(super) async fn stream(
    supervisor: Arc<Supervisor>,
    path: PathBuf,
    wanted: Wanted,
) -> io::Result<impl Stream<Item = io::Result<Vec<u8>>>> {
    let tail = wanted.tail;
    let since = wanted.since.and_then(|age| SystemTime::now().checked_sub(age));
    let opened = tokio::task::spawn_blocking(move || LogReader::open(&path, tail, since));
    let log = opened.await.map_err(io::Error::other)??;
    let user = match wanted.follow {
        // The only error is that it is gone by now.
        true => supervisor.user(&wanted.name, wanted.id.as_deref()).await.ok(),
        false => None,
    };
    Ok(stream::try_unfold(
        (log, wanted, user),
        move |(mut log, wanted, user)| {
            let supervisor = supervisor.clone();
            async move {
                loop {
                    // Asked before the look at the log: what it wrote last is there once it has ended.
                    let goes_on = wanted.follow && supervisor.is_alive(&wanted.name, wanted.id.as_deref()).await;
                    let read = tokio::task::spawn_blocking(move || {
                        let piece = log.read();
                        (log, piece)
                    });
                    let piece;
                    (log, piece) = read.await.map_err(io::Error::other)?;
                    match piece? {
                        piece if !piece.is_empty() => return Ok(Some((piece, (log, wanted, user)))),
                        _ if goes_on => tokio::time::sleep(LOOK_AFTER).await,
                        _ => return Ok(None),
                    }
                }
            }
        },
    ))
}

/// Reads a log over the files that it is kept in, the oldest first, also while they are rotated.
#[derive(Debug)]
struct LogReader {
    path: PathBuf,
    /// The one that is read, and those that follow it.
    files: VecDeque<File>,
}

impl LogReader {
    /// Opens a log at its beginning, at the last lines, or where it was written at a time; where both are given, at the later.
    fn open(path: &Path, tail: Option<usize>, since: Option<SystemTime>) -> io::Result<Self> {
        let mut files: VecDeque<File> = all(path)?.into();
        let mut start = Place::default();
        if let Some(lines) = tail {
            start = last_lines(&mut files, lines)?;
        }
        if let Some(since) = since {
            let times = Known::of(path, files.len());
            start = start.max(written_since(&mut files, &times, since)?);
        }
        files.drain(..start.file);
        for file in &mut files {
            file.seek(SeekFrom::Start(std::mem::take(&mut start.at)))?;
        }
        Ok(LogReader {
            path: path.to_owned(),
            files,
        })
    }

    /// Returns what comes next; nothing where nothing more is written yet.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; PIECE];
        loop {
            let Some(file) = self.files.front_mut() else {
                self.files = all(&self.path)?.into();
                if self.files.is_empty() {
                    return Ok(Vec::new());
                }
                continue;
            };
            if file.stream_position()? > file.metadata()?.len() {
                // One of which nothing older is kept was cut.
                file.seek(SeekFrom::Start(0))?;
            }
            let length = file.read(&mut piece)?;
            if length > 0 {
                piece.truncate(length);
                return Ok(piece);
            }
            if self.files.len() == 1 && !self.find_newer()? {
                return Ok(Vec::new());
            }
            // What was written between that read and the rotation.
            if let Some(mut file) = self.files.pop_front() {
                let length = file.read(&mut piece)?;
                if length > 0 {
                    self.files.push_front(file);
                    piece.truncate(length);
                    return Ok(piece);
                }
            }
        }
    }

    /// Opens the files that were begun after the last one that is known. Returns whether there are any.
    fn find_newer(&mut self) -> io::Result<bool> {
        let Some(known) = self.files.back().map(File::metadata).transpose()? else {
            return Ok(false);
        };
        if fs::metadata(&self.path).is_ok_and(|now| now.ino() == known.ino()) {
            return Ok(false);
        }
        let mut newer = Vec::new();
        for file in all(&self.path)? {
            match file.metadata()?.ino() == known.ino() {
                true => newer.clear(),
                false => newer.push(file),
            }
        }
        let found = !newer.is_empty();
        self.files.extend(newer);
        Ok(found)
    }
}

/// Returns the files of a log, the oldest first.
fn all(path: &Path) -> io::Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for number in 0.. {
        let file = match File::open(rotated(path, number)) {
            Ok(file) => file,
            // The newest is missing for a moment while it is rotated.
            Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let of = file.metadata()?.ino();
        let is_known = |file: &File| file.metadata().is_ok_and(|known| known.ino() == of);
        // One that was rotated meanwhile is found under its old name and its new one.
        if !files.iter().any(is_known) {
            files.push(file);
        }
    }
    files.reverse();
    Ok(files)
}

/// Where in the files of a log something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Place {
    file: usize,
    at: u64,
}

/// Returns where the last lines begin.
fn last_lines(files: &mut VecDeque<File>, lines: usize) -> io::Result<Place> {
    let mut left = lines;
    for file in (0..files.len()).rev() {
        let is_newest = file + 1 == files.len();
        if let Some(at) = start_of(&mut files[file], &mut left, is_newest)? {
            return Ok(Place { file, at });
        }
    }
    Ok(Place::default())
}

/// Returns where the line begins that was written first at a time or later.
fn written_since(files: &mut VecDeque<File>, times: &Known, since: SystemTime) -> io::Result<Place> {
    let mut start = None;
    for file in (0..files.len()).rev() {
        let Some(at) = times.place(&files[file], since)? else {
            break;
        };
        start = Some(Place { file, at });
        if at > 0 {
            break;
        }
    }
    let Some(Place { file, at }) = start else {
        let Some(newest) = files.len().checked_sub(1) else {
            return Ok(Place::default());
        };
        let at = files[newest].metadata()?.len();
        return Ok(Place { file: newest, at });
    };
    let at = begin_of_line(&mut files[file], at)?;
    Ok(Place { file, at })
}

/// Returns where the line begins that goes on at a place; the place itself where the line is longer than [`PIECE`].
fn begin_of_line(file: &mut File, place: u64) -> io::Result<u64> {
    let start = place.saturating_sub(PIECE as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut before = Vec::new();
    file.by_ref().take(place - start).read_to_end(&mut before)?;
    match before.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Ok(start + at as u64 + 1),
        None if start == 0 => Ok(0),
        None => Ok(place),
    }
}

/// Returns where the last lines of a file begin; `None`, and how many are still to be found, where it has fewer.
fn start_of(file: &mut File, left: &mut usize, is_newest: bool) -> io::Result<Option<u64>> {
    let size = file.metadata()?.len();
    if *left == 0 {
        return Ok(Some(size));
    }
    let mut end = size;
    let mut piece = vec![0; PIECE];
    while end > 0 {
        let start = end.saturating_sub(PIECE as u64);
        let length = usize::try_from(end - start).unwrap_or(PIECE);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut piece[..length])?;
        for at in (0..length).rev() {
            let place = start + at as u64 + 1;
            // The newline that ends the last line begins none.
            if piece[at] == b'\n' && !(is_newest && place == size) {
                if *left == 1 {
                    return Ok(Some(place));
                }
                *left -= 1;
            }
        }
        end = start;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::times::Times;

    fn rest(log: &mut LogReader) -> String {
        let mut text = Vec::new();
        loop {
            match log.read().expect("it can be read") {
                piece if piece.is_empty() => return String::from_utf8(text).expect("UTF-8"),
                piece => text.extend(piece),
            }
        }
    }

    #[test]
    fn last_lines_over_rotated_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        for (name, text) in [("log.2", "a\nb\n"), ("log.1", "c\nd\n"), ("log", "e\nf")] {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        for (tail, expected) in [
            (None, "a\nb\nc\nd\ne\nf"),
            (Some(0), ""),
            (Some(1), "f"),
            (Some(2), "e\nf"),
            (Some(3), "d\ne\nf"),
            (Some(5), "b\nc\nd\ne\nf"),
            (Some(6), "a\nb\nc\nd\ne\nf"),
            (Some(60), "a\nb\nc\nd\ne\nf"),
        ] {
            let mut log = LogReader::open(&path, tail, None).expect("it opens");
            assert_eq!(rest(&mut log), expected, "{tail:?}");
        }
        fs::write(&path, "e\nf\n").expect("a file");
        let mut log = LogReader::open(&path, Some(2), None).expect("it opens");
        assert_eq!(rest(&mut log), "e\nf\n");
    }

    #[test]
    fn what_was_written_since_a_time_over_rotated_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        // Of the oldest file nothing is known but when it was changed last.
        let oldest = folder.path().join("log.2");
        fs::write(&oldest, "a\nb\n").expect("a file");
        let file = fs::OpenOptions::new().append(true).open(&oldest).expect("it is there");
        file.set_modified(at(50)).expect("it can be set");
        for (name, text, notes) in [
            ("log.1", "c\nd\n", [(100, 0), (200, 2)]),
            ("log", "e\nff\n", [(300, 0), (400, 3)]),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            let file = File::open(&path).expect("it is there");
            for (seconds, place) in notes {
                Times::of(&path, &file).note(place, at(seconds));
            }
        }
        for (since, tail, expected) in [
            (10, None, "a\nb\nc\nd\ne\nff\n"),
            (60, None, "c\nd\ne\nff\n"),
            (150, None, "d\ne\nff\n"),
            (150, Some(2), "e\nff\n"),
            (250, Some(3), "e\nff\n"),
            (350, None, "ff\n"),
            (500, None, ""),
            (500, Some(3), ""),
        ] {
            let mut log = LogReader::open(&path, tail, Some(at(since))).expect("it opens");
            assert_eq!(rest(&mut log), expected, "since {since}, {tail:?}");
        }
        let mut log = LogReader::open(&path, None, Some(at(500))).expect("it opens");
        assert_eq!(rest(&mut log), "");
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, b"g\n"))
            .expect("appended");
        assert_eq!(rest(&mut log), "g\n", "what comes is followed");
    }

    #[test]
    fn what_is_written_while_it_is_rotated_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let at = |name: &str| folder.path().join(name);
        let mut log = LogReader::open(&path, None, None).expect("there may be none yet");
        assert_eq!(rest(&mut log), "");
        fs::write(&path, "one\n").expect("a file");
        assert_eq!(rest(&mut log), "one\n");
        // Two rotations between two looks.
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, b"two\n"))
            .expect("appended");
        fs::rename(&path, at("log.1")).expect("rotated");
        fs::write(&path, "three\n").expect("a file");
        fs::rename(at("log.1"), at("log.2")).expect("rotated");
        fs::rename(&path, at("log.1")).expect("rotated");
        fs::write(&path, "four\n").expect("a file");
        assert_eq!(rest(&mut log), "two\nthree\nfour\n");
        // Cut, where nothing older is kept.
        fs::write(&path, "5\n").expect("a file");
        assert_eq!(rest(&mut log), "5\n");
    }
}
