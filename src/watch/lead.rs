//! Which of the watches of a fleet leads: that one decides, and changes what is there. The others wait to follow it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::Address;
use simfleet_state::{Holder, HolderId, Host, Journal, Lap, StateError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::fleet::leader;

/// How often the lead is renewed within the time that it lasts, and after how long at the soonest.
const OFTEN: u32 = 3;
const SOONEST: Duration = Duration::from_millis(100);

/// What a watch is to its fleet.
#[derive(Debug, Clone, Default)]
pub enum Standing {
    /// That is not known yet.
    #[default]
    Undecided,
    /// It only looks, whoever leads.
    OnlyLooks,
    /// It leads.
    Leads(Arc<Leader>),
    /// It waits to lead, behind somebody who does, where that is known.
    StandsBy(Option<Arc<Leader>>),
}

/// Who leads.
#[derive(Debug, Clone)]
pub struct Leader {
    /// Who.
    pub holder: Holder,
    /// Where what changes something is passed on to; `None` where it serves nothing over HTTP.
    pub door: Option<Door>,
}

/// Where a leader is reached by those who stand by.
#[derive(Clone)]
pub struct Door {
    /// Its URL: every path begins with it.
    pub url: Arc<str>,
    /// Who has it can read the state: what they say of who asked them is believed.
    pub key: Arc<str>,
}

/// Without the key.
impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a leader leaves in the state for those who stand by.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    holder: HolderId,
    url: Arc<str>,
    key: Arc<str>,
}

impl Standing {
    /// Its word.
    pub fn role(&self) -> &'static str {
        match self {
            Standing::Undecided => "starting",
            Standing::OnlyLooks => "dry-run",
            Standing::Leads(_) => "leader",
            Standing::StandsBy(_) => "standby",
        }
    }

    /// Who leads, as far as is known.
    pub fn leader(&self) -> Option<&Arc<Leader>> {
        match self {
            Standing::Leads(leader) => Some(leader),
            Standing::StandsBy(leader) => leader.as_ref(),
            Standing::Undecided | Standing::OnlyLooks => None,
        }
    }
}

impl Leader {
    /// Describes one who is reached at a URL, or not at all.
    pub(super) fn new(holder: Holder, url: Option<Arc<str>>, host: &dyn Host) -> Self {
        let key = || hex::encode(host.random()).into();
        let door = url.map(|url| Door { url, key: key() });
        Leader { holder, door }
    }

    /// Describes one by what it left in the state.
    pub(super) fn known(holder: Holder, memories: &BTreeMap<Address, Arc<str>>) -> Self {
        let note = memories.get(&leader());
        let note = note.and_then(|text| serde_json::from_str::<Note>(text).ok());
        // What one before it left says nothing.
        let note = note.filter(|note| note.holder == holder.id);
        let door = note.map(|Note { url, key, .. }| Door { url, key });
        Leader { holder, door }
    }

    /// Returns what it leaves in the state.
    pub(super) fn note(&self, at: Timestamp) -> Option<Lap> {
        let Door { url, key } = self.door.clone()?;
        let holder = self.holder.id.clone();
        let note = serde_json::to_string(&Note { holder, url, key });
        Some(Lap {
            pool: leader(),
            at,
            memory: note.unwrap_or_default().into(),
            told: None,
        })
    }
}

/// The lead, which a task of its own renews: no lap is too long for it. Dropped, it is not renewed any more.
#[derive(Debug)]
pub(super) struct Lead {
    journal: Arc<Mutex<Box<dyn Journal>>>,
    keeper: Keeper,
    is_lost: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lead {
    /// Keeps it from now on, and a note beside it.
    pub(super) fn keep(journal: Box<dyn Journal>, note: Option<Lap>) -> Self {
        let every = (journal.lease() / OFTEN).max(SOONEST);
        let journal = Arc::new(Mutex::new(journal));
        let (lose, is_lost) = watch::channel(false);
        let kept = Arc::clone(&journal);
        let keeper = Keeper(tokio::spawn(async move {
            loop {
                // What else is wrong can be over the next time.
                if let Err(StateError::Fenced { .. }) = kept.lock().await.remember(note.as_slice()).await {
                    lose.send_replace(true);
                    return;
                }
                tokio::time::sleep(every).await;
            }
        }));
        Lead {
            journal,
            keeper,
            is_lost,
        }
    }

    /// Keeps what is remembered of the scaling of pools.
    pub(super) async fn remember(&self, laps: &[Lap]) -> Result<(), StateError> {
        self.journal.lock().await.remember(laps).await
    }

    /// Makes sure that it still is the lead, where it was silent for longer than that lasts.
    pub(super) async fn check(&self) -> Result<(), StateError> {
        let mut journal = self.journal.lock().await;
        match journal.lease().is_zero() {
            true => journal.renew().await,
            false => Ok(()),
        }
    }

    /// Waits until somebody else has it.
    pub(super) async fn lost(&mut self) {
        if self.is_lost.wait_for(|is_lost| *is_lost).await.is_err() {
            std::future::pending().await
        }
    }

    /// Gives it up.
    pub(super) async fn close(self) -> Result<(), StateError> {
        let Lead {
            journal, mut keeper, ..
        } = self;
        keeper.0.abort();
        let _ = (&mut keeper.0).await;
        match Arc::try_unwrap(journal) {
            Ok(journal) => journal.into_inner().close().await,
            // Not so: nobody else has it.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use simfleet_state::System;

    use super::*;

    #[test]
    fn a_leader_is_reached_by_its_own_note_only() {
        let holder = || Holder::this_process("simfleet watch", &System);
        let url = "http://127.0.0.1:8080/";
        let first = Leader::new(holder(), Some(url.into()), &System);
        let note = first.note(Timestamp::UNIX_EPOCH).expect("it is reached");
        let memories = BTreeMap::from([(note.pool, note.memory)]);
        let door = Leader::known(first.holder.clone(), &memories)
            .door
            .expect("it is reached");
        let own = first.door.expect("it is reached");
        assert_eq!((&*door.url, &door.key), (url, &own.key));
        assert!(
            own.key.len() == 32 && !format!("{own:?}").contains(&*own.key),
            "{own:?}"
        );
        // One that serves nothing leaves none, and is not taken for the one before it.
        let next = Leader::new(holder(), None, &System);
        assert!(next.note(Timestamp::UNIX_EPOCH).is_none());
        assert!(Leader::known(next.holder, &memories).door.is_none());
    }
}
