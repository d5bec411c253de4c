//! The output of a simulator: written to a file that begins anew when it is full, and watched for a pattern.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use regex::bytes::Regex;

use crate::layout::rotated;
use crate::times::Times;

/// A log file of limited size, with a limited number of older ones: `LOG`, `LOG.1`, `LOG.2` …, newest first.
#[derive(Debug)]
pub(super) struct RotatingLog {
    path: PathBuf,
    file: File,
    times: Times,
    size: u64,
    max_size: u64,
    keep: u64,
}

impl RotatingLog {
    pub fn open(path: &Path, max_size: u64, keep: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(RotatingLog {
            path: path.to_owned(),
            times: Times::of(path, &file),
            file,
            size,
            max_size: max_size.max(1),
            keep,
        })
    }

    /// Writes output. No file gets larger than the limit; a file ends with a whole line where lines are short enough.
    pub fn write(&mut self, mut output: &[u8]) -> io::Result<()> {
        while !output.is_empty() {
            let room = usize::try_from(self.max_size.saturating_sub(self.size)).unwrap_or(usize::MAX);
            if output.len() <= room {
                return self.append(output);
            }
            let whole_lines = output[..room].iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            let part = match whole_lines {
                Some(length) => length,
                None if self.size > 0 => 0,
                None => room,
            };
            self.append(&output[..part])?;
            output = &output[part..];
            self.rotate()?;
        }
        Ok(())
    }

    fn append(&mut self, output: &[u8]) -> io::Result<()> {
        self.times.note(self.size, SystemTime::now());
        self.file.write_all(output)?;
        self.size += output.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            self.file.set_len(0)?;
            self.times.restart();
        } else {
            for number in (1..self.keep).rev() {
                let (younger, older) = (rotated(&self.path, number), rotated(&self.path, number + 1));
                Times::rename(&younger, &older);
                match fs::rename(younger, older) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let older = rotated(&self.path, 1);
            Times::rename(&self.path, &older);
            fs::rename(&self.path, older)?;
            self.file = append_to(&self.path)?;
            self.times = Times::of(&self.path, &self.file);
        }
        self.size = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Looks for the first line that matches.
#[derive(Debug)]
pub(super) struct Watch {
    pattern: Regex,
    line: Vec<u8>,
}

impl Watch {
    /// The longest line that is looked at as a whole, in bytes.
    const LONGEST: usize = 64 << 10;

    pub fn new(pattern: Regex) -> Self {
        Watch {
            pattern,
            line: Vec::new(),
        }
    }

    /// Takes output and returns whether a line of it matches. The last line counts before it has ended: a prompt has no
    /// newline.
    pub fn sees(&mut self, output: &[u8]) -> bool {
        for part in output.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            let text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            if self.pattern.is_match(text) {
                return true;
            }
            if self.line.ends_with(b"\n") || self.line.len() > Self::LONGEST {
                self.line.clear();
            }
        }
        false
    }
}

/// Copies output until it ends. What cannot be written is dropped, so that a full disk does not stop the simulator.
pub(super) fn copy(mut from: impl Read, mut log: RotatingLog, mut watch: Option<(Watch, impl FnOnce())>) {
    let mut buffer = vec![0u8; 16 << 10];
    loop {
        let output = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let _ = log.write(output);
        if let Some((mut lines, seen)) = watch.take() {
            if lines.sees(output) {
                seen();
            } else {
                watch = Some((lines, seen));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .expect("lists")
            .filter(|entry| {
                !entry
                    .as_ref()
                    .is_ok_and(|it| it.path().extension().is_some_and(|it| it == "times"))
            })
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, fs::read_to_string(path).expect("reads"))
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_full_log_begins_anew_at_a_line_and_only_some_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut log = RotatingLog::open(&path, 8, 2).expect("opens");
        for line in ["one\n", "two\n", "three\n", "four\nfive\n", "six\n"] {
            log.write(line.as_bytes()).expect("writes");
        }
        let expected = [("log", "six\n"), ("log.1", "five\n"), ("log.2", "four\n")];
        assert_eq!(
            files(folder.path()),
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn a_log_goes_on_where_it_was_and_splits_what_has_no_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, "abc").expect("writes");
        let mut log = RotatingLog::open(&path, 4, 1).expect("opens");
        log.write(b"defghij").expect("writes");
        let expected = [("log", "hij"), ("log.1", "defg")];
        assert_eq!(
            files(folder.path()),
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
    }

    #[test]
    fn a_log_of_which_nothing_is_kept_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut log = RotatingLog::open(&path, 4, 0).expect("opens");
        log.write(b"one\ntwo\n").expect("writes");
        assert_eq!(files(folder.path()), [("log".to_owned(), "two\n".to_owned())]);
    }

    #[test]
    fn a_pattern_is_seen_across_reads_and_before_the_end_of_a_line() {
        let pattern = Regex::new(r"^ready on \d").expect("a pattern");
        for (name, parts, expected) in [
            ("one read", &["a\nready on 5\n"][..], true),
            ("two reads", &["rea", "dy on 5"], true),
            ("anchored", &["not ready on 5\n"], false),
            ("across lines", &["ready\n", " on 5\n"], false),
        ] {
            let mut watch = Watch::new(pattern.clone());
            let seen = parts.iter().any(|part| watch.sees(part.as_bytes()));
            assert_eq!(seen, expected, "{name}");
        }
    }
}
