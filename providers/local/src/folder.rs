//! The folder of a fleet's nodes on this machine, and who may remove it.
//!
//! ```text
//! FOLDER/fleet.lock          held (shared) by every configured provider while it lives
//! FOLDER/claims/NAME.TOKEN   one node: its name and its data folder (Entry). The token is in the file's name alone
//! FOLDER/nodes/NAME.TOKEN/   the data folder of an agent, named by the token of its first create
//! FOLDER/gone/TOKEN          what became of a create whose node is not there any more (Gone)
//! ```
//!
//! A configured provider makes the folder; whoever finds it without nodes, and nobody else holding `fleet.lock`, removes
//! it. A process that was stopped in a create still holds the lock: the tombstones that it must see stay until it ends.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use simfleet_provider_agent::durable;
use simfleet_provider_agent::layout::{DataFolder, file_name};

use crate::lock::{FOLDERS, hold, is_at, is_empty, marker};

/// The folder of a fleet's nodes. While this lives, nobody removes it.
#[derive(Debug)]
pub(crate) struct FleetFolder {
    path: PathBuf,
    lineage: Arc<str>,
    /// `None` after this very value has removed the folder.
    lock: Mutex<Option<File>>,
    /// The tombstones that this very value has removed with the folder, newest last.
    remembered: Mutex<VecDeque<(String, Gone)>>,
}

/// How many tombstones are remembered without their folder.
const REMEMBERED: usize = 1024;

/// A node, as the folder has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub lineage: String,
    /// The name of its data folder.
    pub data: String,
}

/// A node and the token that it is claimed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub name: String,
    pub token: String,
    pub data: DataFolder,
    file: PathBuf,
}

/// What became of a create whose node is not there any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Gone {
    /// The node was deleted.
    Deleted,
    /// Its agent ended, and a later create took the node over.
    Superseded,
    /// It failed for good.
    Failed(String),
}

impl FleetFolder {
    /// Makes the folder where it is not there, and keeps it from being removed.
    pub fn open(path: PathBuf, lineage: Arc<str>) -> io::Result<Self> {
        let lock = hold(&path)?;
        Ok(FleetFolder {
            path,
            lineage,
            lock: Mutex::new(Some(lock)),
            remembered: Mutex::default(),
        })
    }

    /// Whether the folder is the one that was opened. Makes it again where this value has removed it itself: then
    /// nobody else was at work, so that no create can arrive late.
    pub fn is_current(&self) -> io::Result<bool> {
        let mut lock = self.lock();
        match &*lock {
            Some(file) => is_at(file, &marker(&self.path)),
            None => {
                *lock = Some(hold(&self.path)?);
                Ok(true)
            }
        }
    }

    /// Removes the folder where it has no nodes and nobody else uses it.
    pub fn release(&self) -> io::Result<()> {
        let mut lock = self.lock();
        let Some(file) = &*lock else {
            return Ok(());
        };
        if !is_at(file, &marker(&self.path))? || !is_empty(&self.path.join("claims"))? {
            return Ok(());
        }
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                // The attempt may have cost the shared lock (flock(2)); who has the other one does not keep it.
                rustix::fs::flock(file, FlockOperation::LockShared)?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // Again, as a node may have been made before the lock was had.
        if !is_empty(&self.path.join("claims"))? {
            rustix::fs::flock(file, FlockOperation::LockShared)?;
            return Ok(());
        }
        self.remember()?;
        for folder in FOLDERS {
            durable::remove_folder(&self.path.join(folder))?;
        }
        durable::remove_file(&marker(&self.path))?;
        // What is not ours stays, and the folder with it.
        let _ = fs::remove_dir(&self.path);
        *lock = None;
        Ok(())
    }

    /// Keeps the tombstones that are about to be removed, for creates of this very process.
    fn remember(&self) -> io::Result<()> {
        let mut remembered = self.remembered();
        for entry in fs::read_dir(self.path.join("gone"))? {
            let path = entry?.path();
            let token = path.file_name().and_then(|name| name.to_str());
            // A file that is being written has not been relied on.
            if let (Some(token), Ok(Some(gone))) = (token, durable::read_json(&path)) {
                remembered.push_back((token.to_owned(), gone));
            }
        }
        let too_many = remembered.len().saturating_sub(REMEMBERED);
        remembered.drain(..too_many);
        Ok(())
    }

    fn remembered(&self) -> MutexGuard<'_, VecDeque<(String, Gone)>> {
        // Every entry is whole, whatever a thread that panicked did.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        // It is replaced as a whole, so it is right whatever a thread that panicked did.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file whose presence revokes what a token made.
    pub fn tombstone(&self, token: &str) -> PathBuf {
        self.path.join("gone").join(file_name(token))
    }

    /// Returns what became of a create; `None` where nothing has ended.
    pub fn gone(&self, token: &str) -> io::Result<Option<Gone>> {
        let file = file_name(token);
        if let Some((_, gone)) = self.remembered().iter().find(|(remembered, _)| *remembered == file) {
            return Ok(Some(gone.clone()));
        }
        durable::read_json(&self.tombstone(token))
    }

    /// Keeps what became of a create. From now on nothing that it made may run.
    pub fn bury(&self, token: &str, gone: &Gone) -> io::Result<()> {
        durable::write_json(&self.tombstone(token), gone)
    }

    /// Returns the node that is claimed by this name and token.
    pub fn claimed(&self, name: &str, token: &str) -> io::Result<Option<Claimed>> {
        self.load(self.claim_file(name, token), token)
    }

    /// Returns all nodes of this fleet, in the order of their names.
    pub fn all(&self) -> io::Result<Vec<Claimed>> {
        self.scan(|_| true)
    }

    /// Returns the nodes with this name: one, or more for a moment while one is on its way out.
    pub fn named(&self, name: &str) -> io::Result<Vec<Claimed>> {
        let stem = format!("{}.", file_name(name));
        let mut found = self.scan(|file| file.starts_with(&stem))?;
        found.retain(|claimed| claimed.name == name);
        Ok(found)
    }

    fn scan(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Claimed>> {
        let entries = match fs::read_dir(self.path.join("claims")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Some(file) = path.file_name().and_then(|file| file.to_str()) else {
                continue;
            };
            // Files that are being made start with a dot and have none of the names that a claim has.
            let Some((_, token)) = file
                .rsplit_once('.')
                .filter(|_| is_wanted(file) && !file.starts_with('.'))
            else {
                continue;
            };
            let token = token.to_owned();
            found.extend(self.load(path, &token)?);
        }
        found.sort_by(|a, b| (&a.name, &a.token).cmp(&(&b.name, &b.token)));
        Ok(found)
    }

    fn load(&self, file: PathBuf, token: &str) -> io::Result<Option<Claimed>> {
        let entry: Option<Entry> = durable::read_json(&file)?;
        Ok(entry
            .filter(|entry| *entry.lineage == *self.lineage)
            .map(|entry| Claimed {
                data: DataFolder::new(self.path.join("nodes").join(&entry.data)),
                name: entry.name,
                token: token.to_owned(),
                file,
            }))
    }

    fn claim_file(&self, name: &str, token: &str) -> PathBuf {
        self.path.join("claims").join(format!("{}.{token}", file_name(name)))
    }

    /// Claims a node that is not there yet. Its data folder is filled by `fill` before anybody can see it. Where a call
    /// with this name and token has been here before, its folder is kept as it is.
    pub fn claim(
        &self,
        name: &str,
        token: &str,
        fill: impl FnOnce(&DataFolder) -> io::Result<()>,
    ) -> io::Result<Claimed> {
        let data = format!("{}.{token}", file_name(name));
        let nodes = self.path.join("nodes");
        // These folders are made with the whole: where they are not, another run has removed it, and nothing is made.
        let new = nodes.join(format!(".{:016x}.new", rand::random::<u64>()));
        fs::create_dir(&new)?;
        let made = fill(&DataFolder::new(&new)).and_then(|()| match fs::rename(&new, nodes.join(&data)) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                durable::remove_folder(&new)
            }
            result => result.and_then(|()| durable::sync_folder(&nodes)),
        });
        if made.is_err() {
            let _ = durable::remove_folder(&new);
        }
        made?;

        let entry = Entry {
            name: name.to_owned(),
            lineage: self.lineage.to_string(),
            data,
        };
        let file = self.claim_file(name, token);
        let new = self
            .path
            .join("claims")
            .join(format!(".{:016x}", rand::random::<u64>()));
        durable::write_new(&new, &serde_json::to_vec(&entry)?)?;
        let linked = match fs::hard_link(&new, &file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        };
        durable::remove_file(&new)?;
        linked?;
        durable::sync_folder(&self.path.join("claims"))?;
        self.claimed(name, token)?
            .ok_or_else(|| io::Error::other("the claim of a node is gone again"))
    }

    /// Takes a node over for another token. Only one who takes over from the present token succeeds, once: the rest
    /// find that the claim is not there.
    pub fn take_over(&self, node: &Claimed, token: &str) -> io::Result<Option<Claimed>> {
        match fs::rename(&node.file, self.claim_file(&node.name, token)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        durable::sync_folder(&self.path.join("claims"))?;
        self.claimed(&node.name, token)
    }

    /// Removes the data folder that a create with this token has filled and could not claim.
    pub fn discard(&self, name: &str, token: &str) -> io::Result<()> {
        durable::remove_folder(&self.data_folder(name, token))
    }

    fn data_folder(&self, name: &str, token: &str) -> PathBuf {
        self.path.join("nodes").join(format!("{}.{token}", file_name(name)))
    }

    /// Removes the files of a node that has no process any more.
    pub fn remove(&self, node: &Claimed) -> io::Result<()> {
        durable::remove_folder(node.data.path())?;
        // The claim last: as long as it is there, somebody finishes this.
        durable::remove_file(&node.file)
    }
}

/// A process that ends leaves no empty folder.
impl Drop for FleetFolder {
    fn drop(&mut self) {
        // Whoever comes next tries again.
        let _ = self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> FleetFolder {
        FleetFolder::open(path.join("local"), "lineage".into()).expect("opens")
    }

    fn filled(data: &DataFolder) -> io::Result<()> {
        fs::write(data.token(), "secret")
    }

    #[test]
    fn a_folder_without_nodes_goes_with_its_last_user() {
        let root = tempfile::tempdir().expect("a folder");
        let (first, second) = (open(root.path()), open(root.path()));
        let node = first.claim("a", "t1", filled).expect("claims");
        drop(first);
        assert!(second.is_current().expect("looks"));
        second.release().expect("is nothing to do");
        assert_eq!(second.all().expect("lists"), std::slice::from_ref(&node));
        second.remove(&node).expect("removes");
        let third = open(root.path());
        second.release().expect("is in use");
        assert!(third.is_current().expect("looks"));
        drop(third);
        assert!(root.path().join("local").exists());
        drop(second);
        assert!(!root.path().join("local").exists());
    }

    #[test]
    fn who_removed_it_himself_makes_it_again_and_who_did_not_does_not() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = open(root.path());
        folder.release().expect("removes");
        assert!(!root.path().join("local").exists());
        assert!(folder.is_current().expect("makes"));
        // By hand, under a run that is at work.
        fs::remove_dir_all(root.path().join("local")).expect("removes");
        assert!(!folder.is_current().expect("looks"));
        folder.claim("a", "t1", filled).expect_err("is gone");
        let other = open(root.path());
        assert!(!folder.is_current().expect("looks"));
        drop(folder);
        assert!(other.is_current().expect("looks"));
    }

    #[test]
    fn a_claim_is_made_once_and_taken_over_once() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = open(root.path());
        let first = folder.claim("a/b", "t1", filled).expect("claims");
        let again = folder.claim("a/b", "t1", |_| Ok(())).expect("was claimed");
        assert_eq!(first, again);
        assert_eq!(fs::read_to_string(first.data.token()).expect("reads"), "secret");
        assert_eq!(folder.named("a/b").expect("lists"), std::slice::from_ref(&first));
        assert_eq!(folder.named("a").expect("lists"), []);

        let second = folder.take_over(&first, "t2").expect("takes over").expect("is there");
        assert_eq!(second.data, first.data);
        assert_eq!(folder.take_over(&first, "t3").expect("is late"), None);
        // Again after a crash.
        assert_eq!(folder.take_over(&first, "t2").expect("was done"), Some(second.clone()));
        assert_eq!(folder.all().expect("lists"), [second]);
    }

    #[test]
    fn nodes_of_another_lineage_are_not_seen() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = open(root.path());
        folder.claim("a", "t1", filled).expect("claims");
        let other = FleetFolder::open(root.path().join("local"), "other".into()).expect("opens");
        assert_eq!(other.all().expect("lists"), []);
        assert_eq!(other.claimed("a", "t1").expect("reads"), None);
    }
}
