//! What is remembered of a pool between laps, as it is kept beside the journal: with it, a watch that was stopped decides what
//! it would have decided.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_state::Pool;

use crate::lower::autoscale::seconds;
use crate::scale::{Event, History, Past};

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
    /// What was needed in the past, where the pool looks ahead.
    #[serde(default, skip_serializing_if = "is_default")]
    pub past: Past,
    /// How long the newest members took from when they were begun until they were ready, in seconds, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<f64>,
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Of so many members it is known how long they took.
const BOOTS: usize = 20;

impl Memory {
    /// Notes how long a member took to be ready.
    pub fn booted(&mut self, seconds: f64) {
        self.boots.push(seconds.max(0.0));
        let old = self.boots.len().saturating_sub(BOOTS);
        self.boots.drain(..old);
    }

    /// Returns in how many seconds nine of ten members were ready; `None` where that is not known of any.
    pub fn boot(&self) -> Option<f64> {
        let mut boots = self.boots.clone();
        boots.sort_by(f64::total_cmp);
        let last = boots.len().checked_sub(1)?;
        boots.get(last * 9 / 10).copied()
    }

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
