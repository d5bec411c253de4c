//! Who was let in lately, and from where: somebody who guesses behind an address locks nobody out who is at work behind the same one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::rates::group;
use crate::access::Credential;

/// For how long somebody is remembered.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// How many are remembered at the most.
const MOST: usize = 10_000;

/// Those who were let in, by the digests of their tokens.
#[derive(Debug, Default)]
pub(super) struct Welcome(Mutex<HashMap<(IpAddr, [u8; 32]), Instant>>);

impl Welcome {
    /// Remembers that somebody was let in.
    pub(super) fn remember(&self, client: IpAddr, credential: &Credential, now: Instant) {
        let mut all = self.all();
        let key = (group(client), credential.sha256);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.retain(|_, last| now.duration_since(*last) < LATELY);
        }
        if all.len() < MOST || all.contains_key(&key) {
            all.insert(key, now);
        }
    }

    /// Whether somebody was let in lately. That is no guess then.
    pub(super) fn knows(&self, client: IpAddr, credential: &Credential, now: Instant) -> bool {
        let last = self.all().get(&(group(client), credential.sha256)).copied();
        last.is_some_and(|last| now.duration_since(last) < LATELY)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(IpAddr, [u8; 32]), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
