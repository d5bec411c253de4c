//! `behavior`: how fast a pool grows and shrinks.

use std::time::Duration;

use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// How fast a pool grows and shrinks.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// How it grows.
    pub scale_up: Direction,
    /// How it shrinks.
    pub scale_down: Direction,
}

/// How a pool changes in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// How long what was wanted before still counts.
    pub stabilization_window: Duration,
    /// How long after a change there is none.
    pub cooldown: Duration,
    /// Which of the policies holds.
    pub select: Select,
    /// How much it may change in some time.
    pub policies: Vec<Policy>,
}

words! {
    /// Which of several policies holds.
    Select {
        /// The one that allows most.
        Max = "max",
        /// The one that allows least.
        Min = "min",
    }
}

words! {
    /// How a change is measured.
    PolicyType {
        /// In percent of the size.
        Percent = "percent",
        /// In members.
        Count = "count",
    }
}

/// How much a pool may change in some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// How it is measured.
    pub kind: PolicyType,
    /// By how much.
    pub value: f64,
    /// In what time.
    pub period: Duration,
}

pub(super) fn schema() -> BlockSchema {
    let direction = |name, doc, window: &str, cooldown: &str| {
        BlockSchema::new(name, doc)
            .attributes([
                AttributeSchema::duration("stabilization_window", "how long what was wanted before still counts")
                    .default(window),
                AttributeSchema::duration("cooldown", "how long after a change there is none").default(cooldown),
                AttributeSchema::one_of("select", Select::WORDS, "which of the policies holds").default("max"),
            ])
            .any(
                BlockSchema::new("policy", "How much the size may change in some time.").attributes([
                    AttributeSchema::one_of("type", PolicyType::WORDS, "how it is measured").required(),
                    AttributeSchema::number("value", 0.0, 1e6, "by how much").required(),
                    AttributeSchema::duration("period", "in what time").required(),
                ]),
            )
    };
    BlockSchema::new("behavior", "How fast the pool grows and shrinks.")
        .optional(direction("scale_up", "How it grows.", "30s", "0s"))
        .optional(direction("scale_down", "How it shrinks.", "10m", "60s"))
}

impl Default for Behavior {
    fn default() -> Self {
        Behavior {
            scale_up: Direction {
                stabilization_window: Duration::from_secs(30),
                cooldown: Duration::ZERO,
                select: Select::Max,
                policies: default_up(),
            },
            scale_down: Direction {
                stabilization_window: Duration::from_secs(600),
                cooldown: Duration::from_secs(60),
                select: Select::Max,
                policies: default_down(),
            },
        }
    }
}

fn default_up() -> Vec<Policy> {
    let period = Duration::from_secs(15);
    let policy = |kind, value| Policy { kind, value, period };
    vec![policy(PolicyType::Percent, 100.0), policy(PolicyType::Count, 4.0)]
}

fn default_down() -> Vec<Policy> {
    vec![Policy {
        kind: PolicyType::Percent,
        value: 50.0,
        period: Duration::from_secs(60),
    }]
}

impl Behavior {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let up = reader.block("scale_up", |block| Direction::decode(block, default_up()));
        let down = reader.block("scale_down", |block| Direction::decode(block, default_down()));
        let default = Behavior::default();
        let behavior = || {
            Some(Behavior {
                scale_up: up?.unwrap_or(default.scale_up),
                scale_down: down?.unwrap_or(default.scale_down),
            })
        };
        let behavior = behavior();
        reader.finish(behavior)
    }
}

impl Direction {
    fn decode(record: &Record, default: Vec<Policy>) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (window, cooldown) = (reader.take("stabilization_window"), reader.take("cooldown"));
        let (select, policies) = (reader.take("select"), reader.blocks("policy", Policy::decode));
        let direction = || {
            Some(Direction {
                stabilization_window: window?,
                cooldown: cooldown?,
                select: select?,
                policies: policies.filter(|policies| !policies.is_empty()).unwrap_or(default),
            })
        };
        let direction = direction();
        reader.finish(direction)
    }
}

impl Policy {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (kind, value) = (reader.take("type"), reader.take("value"));
        let period = reader.take::<Duration>("period");
        if period.is_some_and(|period| period.is_zero()) {
            let detail = "`period` is 0, so the policy would allow any change at any time.";
            reader.error(Diagnostic::error("E28 rate policy with period 0", detail), "period");
        }
        let policy = || {
            Some(Policy {
                kind: kind?,
                value: value?,
                period: period?,
            })
        };
        let policy = policy();
        reader.finish(policy)
    }
}
