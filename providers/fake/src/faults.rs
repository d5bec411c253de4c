//! What goes wrong, when, by a seed.
//!
//! Whether a rule with a rate strikes depends on the seed, the call, the object's name and how often that was asked
//! before, never on the order of calls about different objects: a run that makes its calls in parallel meets the same
//! faults again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::calls::Call;

/// Everything that goes wrong.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// What decides where a rule with a rate strikes.
    pub seed: u64,
    /// The rules. Of those about the way of a call the first that strikes counts, and of those about the call itself too.
    pub rules: Vec<Rule>,
    /// For how long a list lacks what was made.
    pub list_lag: Lag,
    /// For how long a list shows what was changed or deleted as it was.
    pub stale_list: Lag,
    /// For how long find by token does not see what a token did.
    pub find_lag: Lag,
    /// How long at most a call is on its way, its answer as long again, and the news of it. In milliseconds.
    pub latency_ms: u64,
}

impl Faults {
    /// Returns how long something is on its way, in milliseconds: by the seed, by what it is about and its number.
    pub(crate) fn on_its_way_ms(&self, about: &[&str], number: u64) -> u64 {
        match self.latency_ms {
            0 => 0,
            longest => scatter(self.seed, about, number) % longest.saturating_add(1),
        }
    }
}

/// How late an index is. Both must have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lag {
    /// In calls that would have shown the object.
    pub calls: u64,
    /// In milliseconds.
    pub ms: u64,
}

impl Lag {
    /// Returns whether something that happened at `since` is seen at `now` by a call after `asked` earlier ones.
    pub fn has_passed(self, since: u64, now: u64, asked: u64) -> bool {
        asked >= self.calls && now >= since.saturating_add(self.ms)
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// In which calls.
    #[serde(default)]
    pub to: Pattern,
    /// In how many of them.
    #[serde(default)]
    pub when: When,
}

/// Which calls; what is not given matches every one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pattern {
    /// Which call.
    pub call: Option<Call>,
    /// The kind of object.
    pub kind: Option<String>,
    /// The name of the object.
    pub name: Option<String>,
}

impl Pattern {
    /// Returns whether a call is meant.
    pub fn matches(&self, call: Call, kind: &str, name: Option<&str>) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self.kind.as_deref().is_none_or(|wanted| wanted == kind)
            && self.name.as_deref().is_none_or(|wanted| name == Some(wanted))
    }
}

/// How often.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Every time.
    #[default]
    Always,
    /// The calls with these numbers, counted from 1 among those that the pattern matches.
    Nth(Vec<u64>),
    /// That part of them, 0 to 1.
    Rate(f64),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The call is carried out and its answer is lost.
    LostReply,
    /// The call is lost before it is carried out; the caller cannot tell.
    LostRequest,
    /// The call is carried out and never answered, the connection stays open.
    Hang,
    /// 429: nothing is done.
    Throttled {
        /// When to ask again, in milliseconds.
        retry_after_ms: u64,
    },
    /// 500: it is carried out every second time (by the seed), and the answer does not tell.
    ServerError,
    /// The object, or all of the endpoint, cannot be reached.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// 403.
    Denied,
    /// The call is refused for good.
    Rejected {
        /// Why.
        message: String,
        /// The attribute that is at fault.
        attribute: Option<String>,
    },
    /// The change is accepted, and done after this many polls and milliseconds.
    LongRunning {
        /// Polls that find it running.
        polls: u64,
        /// Milliseconds.
        ms: u64,
    },
    /// The change is accepted like a long-running one, and then fails and leaves nothing.
    FailsLate {
        /// Polls that find it running.
        polls: u64,
        /// Milliseconds.
        ms: u64,
        /// Why.
        message: String,
    },
}

impl Fault {
    /// Returns whether this is about what the call does, not about its way there and back.
    pub fn is_about_execution(&self) -> bool {
        matches!(
            self,
            Fault::Rejected { .. } | Fault::LongRunning { .. } | Fault::FailsLate { .. }
        )
    }
}

/// Returns a number from 0 up to 1 that only depends on the arguments.
pub fn roll(seed: u64, about: &[&str], number: u64) -> f64 {
    // The upper 53 bits: as many as a double holds.
    (scatter(seed, about, number) >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns a number that depends on the arguments alone and looks random.
pub fn scatter(seed: u64, about: &[&str], number: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in about {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(number.to_be_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_depends_on_its_arguments_alone_and_is_spread_evenly() {
        assert_eq!(roll(7, &["create", "a"], 1), roll(7, &["create", "a"], 1));
        assert_ne!(roll(7, &["create", "a"], 1), roll(8, &["create", "a"], 1));
        assert_ne!(roll(7, &["create", "a"], 1), roll(7, &["create", "a"], 2));
        assert_ne!(roll(7, &["ab", "c"], 1), roll(7, &["a", "bc"], 1));
        let low = (0..1000).filter(|n| roll(7, &["x"], *n) < 0.25).count();
        assert!((200..300).contains(&low), "{low} of 1000 below a quarter");
    }

    #[test]
    fn rules_are_read_from_json() {
        let text = r#"{ "seed": 7, "find_lag": { "calls": 2 }, "rules": [
            { "fault": "lost_reply", "to": { "call": "create", "kind": "node" }, "when": { "rate": 0.25 } },
            { "fault": { "throttled": { "retry_after_ms": 50 } }, "when": { "nth": [3] } },
            { "fault": "hang", "to": { "name": "a" } } ] }"#;
        let faults: Faults = serde_json::from_str(text).expect("valid");
        assert_eq!(faults.find_lag, Lag { calls: 2, ms: 0 });
        assert_eq!(faults.rules[0].when, When::Rate(0.25));
        assert_eq!(faults.rules[1].fault, Fault::Throttled { retry_after_ms: 50 });
        assert_eq!(faults.rules[2].when, When::Always);
        let back = serde_json::to_string(&faults).expect("is JSON");
        assert_eq!(serde_json::from_str::<Faults>(&back).expect("reads back"), faults);
        let typo = serde_json::from_str::<Faults>(r#"{ "rulez": [] }"#).expect_err("unknown field");
        assert!(typo.to_string().contains("rulez"), "{typo}");
    }

    #[test]
    fn a_pattern_matches_what_it_names_and_everything_it_does_not() {
        let named = Pattern {
            name: Some("a".into()),
            ..Pattern::default()
        };
        assert!(Pattern::default().matches(Call::Read, "node", None));
        assert!(named.matches(Call::Read, "node", Some("a")));
        assert!(!named.matches(Call::Read, "node", Some("b")));
        assert!(!named.matches(Call::List, "node", None));
    }
}
