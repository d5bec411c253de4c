//! What is observed of a pool.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::number;

/// What is observed of a pool, at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The instant.
    pub now: f64,
    /// The members, those that go included.
    pub members: Vec<Member>,
    /// The values of each check, by its name.
    pub samples: BTreeMap<String, Samples>,
    /// What will be needed, in the unit of the first `target` check.
    #[serde(default, with = "number::option")]
    pub forecast: Option<f64>,
    /// Whether past forecasts were good enough.
    #[serde(default)]
    pub forecast_ok: bool,
}

/// The values of a check by the member's id; by the empty text where there is one for the whole pool.
pub type Samples = HashMap<String, Sample>;

/// A value, and the instant that it is of. Neither need be finite: what comes from outside can be anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample(#[serde(with = "number")] pub f64, #[serde(with = "number")] pub f64);

/// A member of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id, other than that of any other member.
    pub id: String,
    /// Where it is in its life.
    pub state: MemberState,
    /// Whether it is healthy.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// Since when it has not been healthy, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_since: Option<f64>,
    /// Whether it must not be taken.
    #[serde(default)]
    pub protected: bool,
    /// When it was made.
    #[serde(default)]
    pub created: f64,
    /// When it was ready; minus infinity where that is so long ago that it does not matter.
    #[serde(default = "long_ago", with = "number")]
    pub ready_at: f64,
    /// Since when it has had nothing to do.
    #[serde(default)]
    pub idle_since: f64,
    /// How loaded it is, in any unit that all members of the pool share.
    #[serde(default)]
    pub load: f64,
    /// Whether it is other than declared, so that it is the first to go.
    #[serde(default)]
    pub drifted: bool,
    /// How many of its slots are taken.
    #[serde(default)]
    pub used: i64,
}

fn yes() -> bool {
    true
}

fn long_ago() -> f64 {
    f64::NEG_INFINITY
}

/// Where a member is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It is being made, or boots.
    Pending,
    /// It works, or could.
    Ready,
    /// Somebody has claimed it.
    Allocated,
    /// It is kept for somebody.
    Reserved,
    /// It finishes what it has, and goes.
    Draining,
    /// It waits, and is there sooner than a new one.
    Stopped,
}

impl MemberState {
    /// Whether it does what it is there for.
    pub fn serves(self) -> bool {
        matches!(self, MemberState::Ready | MemberState::Allocated)
    }
}

impl Member {
    /// Has so many of its slots be taken. Where it has one only, it is taken as a whole: the strategy `buffer` counts slots of
    /// members with several, and else who has them.
    pub fn occupy(&mut self, used: i64, slots: Option<u64>) {
        self.used = used;
        if slots == Some(1) && used > 0 && self.state == MemberState::Ready {
            self.state = MemberState::Allocated;
        }
    }

    /// Returns whether it counts as a machine that runs and stays.
    pub(super) fn is_alive(&self) -> bool {
        use MemberState::{Allocated, Pending, Ready, Reserved};
        matches!(self.state, Pending | Ready | Allocated | Reserved)
    }

    /// Returns whether its values count.
    pub(super) fn serves(&self, now: f64, warmup: f64) -> bool {
        self.state.serves() && now - self.ready_at >= warmup
    }

    /// Returns whether somebody has it.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.state, MemberState::Allocated | MemberState::Reserved)
    }
}
