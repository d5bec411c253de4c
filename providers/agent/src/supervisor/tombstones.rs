//! What became of creates whose simulator is not there any more, so that one that arrives late makes nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::record::Ending;
use crate::durable;
use crate::layout::file_name;

/// How many are kept: far more than creates can be on their way at one time.
const MOST: usize = 4096;

/// For how long one is kept.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The tombstones of an agent, one file each, so that adding one costs the same however many there are.
#[derive(Debug)]
pub(crate) struct Tombstones {
    folder: PathBuf,
    by_token: BTreeMap<String, Tombstone>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tombstone {
    token: String,
    ending: Ending,
    at: SystemTime,
}

impl Tombstones {
    pub fn load(folder: PathBuf) -> io::Result<Self> {
        durable::create_folder(&folder)?;
        let mut by_token = BTreeMap::new();
        for entry in std::fs::read_dir(&folder)? {
            // One that was cut off by a crash was never relied on.
            if let Ok(Some(tombstone)) = durable::read_json::<Tombstone>(&entry?.path()) {
                by_token.insert(tombstone.token.clone(), tombstone);
            }
        }
        Ok(Tombstones { folder, by_token })
    }

    pub fn get(&self, token: &str) -> Option<&Ending> {
        self.by_token.get(token).map(|tombstone| &tombstone.ending)
    }

    /// Keeps what became of a token, and forgets the oldest where there are too many.
    pub fn add(&mut self, token: &str, ending: Ending, now: SystemTime) -> io::Result<()> {
        let tombstone = Tombstone {
            token: token.to_owned(),
            ending,
            at: now,
        };
        durable::write_json(&self.folder.join(file_name(token)), &tombstone)?;
        self.by_token.insert(token.to_owned(), tombstone);
        if self.by_token.len() > MOST {
            self.prune(now);
        }
        Ok(())
    }

    fn prune(&mut self, now: SystemTime) {
        let mut by_age: Vec<(SystemTime, String)> = self
            .by_token
            .values()
            .map(|tombstone| (tombstone.at, tombstone.token.clone()))
            .collect();
        by_age.sort();
        // A quarter more than has to go, so that not every add sorts.
        let too_many = by_age.len().saturating_sub(MOST - MOST / 4);
        for (index, (at, token)) in by_age.into_iter().enumerate() {
            let too_old = now.duration_since(at).is_ok_and(|age| age > LONGEST);
            if index < too_many || too_old {
                self.by_token.remove(&token);
                // One that stays behind is read again at the next start, and forgotten then.
                let _ = durable::remove_file(&self.folder.join(file_name(&token)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_survive_a_restart_and_the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gone");
        let mut tombstones = Tombstones::load(path.clone()).expect("loads");
        let start = SystemTime::UNIX_EPOCH;
        tombstones
            .add("first", Ending::Failed("no".to_owned()), start)
            .expect("adds");
        let reloaded = Tombstones::load(path.clone()).expect("loads");
        assert_eq!(reloaded.get("first"), Some(&Ending::Failed("no".to_owned())));
        assert_eq!(reloaded.get("other"), None);

        for number in 0..MOST as u64 {
            let token = format!("t{number}");
            // Only in memory: what is tested is which ones go, not the disk.
            let tombstone = Tombstone {
                token: token.clone(),
                ending: Ending::Deleted,
                at: start + Duration::from_secs(1 + number),
            };
            tombstones.by_token.insert(token, tombstone);
        }
        tombstones.prune(start + Duration::from_secs(10));
        assert_eq!(tombstones.by_token.len(), MOST - MOST / 4);
        assert_eq!(tombstones.get("first"), None);
        assert!(tombstones.get(&format!("t{}", MOST - 1)).is_some());
        assert!(Tombstones::load(path).expect("loads").get("first").is_none());
    }
}
