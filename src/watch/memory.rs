//! What is remembered of a pool between laps, as it is kept beside the journal: with it, a watch that was stopped decides what
//! it would have decided.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_state::Pool;

use crate::lower::autoscale::seconds;
use crate::scale::{Event, History};

/// What is remembered of a pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What the decision remembers.
    pub history: History,
    /// The size that was recorded when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What is known of each member, by its number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<u64, MemberMemory>,
    /// The newest values of each check, by what they are of, oldest first: those of its window.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<String, BTreeMap<String, Vec<(Timestamp, f64)>>>,
    /// When a lap was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
}

/// What is known of a member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberMemory {
    /// Since when it has been ready: it was healthy for the first time then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Timestamp>,
    /// Since when it has been on its way: it was begun, or is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Timestamp>,
    /// Since when it has been unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<Timestamp>,
    /// Since when nothing runs on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Timestamp>,
}

impl Memory {
    /// Notes how the recorded size changed since this was written: the past that counts is the one of the journal, not what
    /// was decided and perhaps never done.
    pub fn catch_up(&mut self, recorded: Option<&Pool>) {
        let Some(pool) = recorded else { return };
        if let Some(before) = self.size.filter(|before| *before != pool.size) {
            let change = pool.size as i64 - before as i64;
            self.history.events.push(Event(seconds(pool.since), change));
        }
        self.size = Some(pool.size);
    }
}
