//! `.dockerignore`: which files of a context do not count.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::ContextError;

/// The patterns of a context; the last one that matches decides.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    patterns: Vec<Pattern>,
    /// What counts whatever the patterns say.
    needed: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Pattern {
    /// It says what counts all the same.
    is_exception: bool,
    /// The names of a path that it matches, one after the other.
    names: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    /// `**`: any number of names.
    Any,
    /// One name.
    One(Vec<Piece>),
}

#[derive(Debug)]
enum Piece {
    Byte(u8),
    /// `?`
    AnyByte,
    /// `*`
    AnyBytes,
    /// `[a-z]`, `[^a-z]`
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Ignored {
    /// Reads the file of the patterns; without one, everything counts.
    pub(crate) fn read(file: &Path, needed: &[&Path]) -> Result<Self, ContextError> {
        let text = match fs::read(file) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ignored::default()),
            Err(error) => return Err(crate::unreadable(file)(error)),
        };
        let text = text.trim_start_matches('\u{feff}');
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut patterns = Vec::new();
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            let pattern = Pattern::parse(line).ok_or_else(|| ContextError::Pattern {
                file: file.to_owned(),
                pattern: line.to_owned(),
            })?;
            if !pattern.names.is_empty() {
                patterns.push(pattern);
            }
        }
        let needed = needed.iter().map(|path| clean(path).as_os_str().as_bytes().to_vec());
        let needed = needed.collect();
        Ok(Ignored { patterns, needed })
    }

    /// Whether a path does not count.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        if self.needed.iter().any(|needed| *needed == bytes) {
            return false;
        }
        let names: Vec<&[u8]> = path.iter().map(OsStrExt::as_bytes).collect();
        let deciding = self.patterns.iter().rev().find(|pattern| pattern.matches(&names));
        deciding.is_some_and(|pattern| !pattern.is_exception)
    }

    /// Whether something in a folder may count although the folder does not.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_exception)
            || self.needed.iter().any(|needed| needed.contains(&b'/'))
    }
}

fn clean(path: &Path) -> std::path::PathBuf {
    path.components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect()
}

impl Pattern {
    /// Reads a line; `None` where it is no pattern.
    fn parse(line: &str) -> Option<Self> {
        let (is_exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let mut names = Vec::new();
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            match name {
                ".." => drop(names.pop()),
                "**" => names.push(Name::Any),
                name => names.push(Name::One(pieces(name)?)),
            }
        }
        Some(Pattern { is_exception, names })
    }

    /// Whether it matches a path, or a folder that it is in.
    fn matches(&self, path: &[&[u8]]) -> bool {
        (1..=path.len()).any(|length| is_path(&self.names, &path[..length]))
    }
}

fn is_path(names: &[Name], path: &[&[u8]]) -> bool {
    match (names, path) {
        ([], []) => true,
        ([], _) => false,
        ([Name::Any, rest @ ..], path) => (0..=path.len()).any(|skipped| is_path(rest, &path[skipped..])),
        ([Name::One(_), ..], []) => false,
        ([Name::One(pieces), rest @ ..], [first, path @ ..]) => is_name(pieces, first) && is_path(rest, path),
    }
}

fn is_name(pieces: &[Piece], name: &[u8]) -> bool {
    // Goes back to the last `*` only: what an earlier one took needs no second look.
    let (mut piece, mut at) = (0, 0);
    let mut star = None;
    loop {
        match (pieces.get(piece), name.get(at)) {
            (None, None) => return true,
            (Some(Piece::AnyBytes), _) => {
                star = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            (Some(expected), Some(byte)) if expected.is(*byte) => {
                (piece, at) = (piece + 1, at + 1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((after, from)) if from < name.len() => {
                (piece, at) = (after, from + 1);
                star = Some((after, from + 1));
            }
            _ => return false,
        }
    }
}

impl Piece {
    fn is(&self, byte: u8) -> bool {
        match self {
            Piece::Byte(expected) => *expected == byte,
            Piece::AnyByte => true,
            Piece::AnyBytes => false,
            Piece::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *negated
            }
        }
    }
}

fn pieces(name: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut bytes = name.bytes().peekable();
    while let Some(byte) = bytes.next() {
        pieces.push(match byte {
            // Beside other characters, two of them are as one.
            b'*' => Piece::AnyBytes,
            b'?' => Piece::AnyByte,
            b'\\' => Piece::Byte(bytes.next()?),
            b'[' => {
                let negated = bytes.next_if_eq(&b'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    let from = match bytes.next()? {
                        b']' if !ranges.is_empty() => break,
                        b'\\' => bytes.next()?,
                        byte => byte,
                    };
                    let to = match bytes.next_if_eq(&b'-') {
                        Some(_) => bytes.next()?,
                        None => from,
                    };
                    ranges.push((from, to));
                }
                Piece::Class { negated, ranges }
            }
            byte => Piece::Byte(byte),
        });
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docker build` tells them apart.
    #[test]
    fn what_is_ignored() {
        for (patterns, ignored, counted) in [
            ("*.md", &["a.md"][..], &["b/a.md", "a.mdx"][..]),
            ("**/*.md", &["a.md", "b/c/a.md"], &["a.txt"]),
            ("build", &["build", "build/a/b"], &["a/build", "builds"]),
            ("/build/", &["build", "build/a"], &["a/build"]),
            ("*/temp*", &["a/temporary.txt", "a/temp"], &["temp", "a/b/temp"]),
            ("a?c", &["abc"], &["ac", "abbc"]),
            ("[a-c]x", &["ax", "cx"], &["dx"]),
            ("[^a]x", &["bx"], &["ax"]),
            ("*\n!keep", &["a", "b/c"], &["keep", "keep/d"]),
            ("!keep\n*", &["keep"], &[]),
            ("docs\n!docs/README.md", &["docs", "docs/a"], &["docs/README.md"]),
            ("a/**/z", &["a/z", "a/b/c/z"], &["b/z"]),
            ("**", &["a", "a/b"], &["Dockerfile"]),
            ("# a\n\n  b  \n.\n", &["b"], &["a", "# a"]),
            ("\\*", &["*"], &["a"]),
            ("*.*o", &["a.o", "a.b.o"], &["ao"]),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join(".dockerignore");
            fs::write(&file, patterns).expect("a file");
            let read = Ignored::read(&file, &[Path::new("./Dockerfile")]).expect("patterns");
            for path in ignored {
                assert!(read.contains(Path::new(path)), "{patterns:?} ignores {path}");
            }
            for path in counted {
                assert!(!read.contains(Path::new(path)), "{patterns:?} does not ignore {path}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".dockerignore");
        for wrong in ["[a", "a\\", "[a-", "[]"] {
            fs::write(&file, wrong).expect("a file");
            let error = Ignored::read(&file, &[]).expect_err(wrong);
            assert!(matches!(error, ContextError::Pattern { .. }), "{wrong}: {error}");
        }
    }
}
