//! What is declared of a pool's size, in the units of the decision.

use serde::{Deserialize, Serialize};

use super::number;

/// What is declared of a pool's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// The fewest members.
    pub min: i64,
    /// The most members.
    pub max: i64,
    /// What is looked at. The pool grows where any of them asks for it, and shrinks where all agree.
    pub checks: Vec<Check>,
    /// How far a value may be from its target before anything is done: a fraction of the present size.
    pub tolerance: f64,
    /// How long after it is ready a member's values count, in seconds.
    pub warmup: f64,
    /// Growth is to the smallest size that was asked for within so many seconds.
    #[serde(rename = "stab_up")]
    pub stabilization_up: f64,
    /// Shrinking is to the largest size that was asked for within so many seconds.
    #[serde(rename = "stab_down")]
    pub stabilization_down: f64,
    /// How long after growth there is no more of it, in seconds.
    #[serde(rename = "cd_up")]
    pub cooldown_up: f64,
    /// How long after any change the pool does not shrink, in seconds.
    #[serde(rename = "cd_down")]
    pub cooldown_down: f64,
    /// A need of more than so many times the present size is a burst: growth is not stabilized then.
    pub burst: f64,
    /// From this value on, a bounded value is saturated: it no longer says how much is needed.
    #[serde(rename = "sat_at")]
    pub saturated_at: f64,
    /// How many times the present size a saturated pool grows to.
    #[serde(rename = "sat_factor")]
    pub saturated_factor: f64,
    /// How much of the past the headroom is computed from, in seconds.
    pub signal_window: f64,
    /// How often a decision is made, in seconds.
    pub interval: f64,
    /// How fast the pool may grow.
    #[serde(rename = "up")]
    pub policies_up: Vec<Policy>,
    /// Which of these holds.
    pub up_select: Select,
    /// How fast the pool may shrink.
    #[serde(rename = "down")]
    pub policies_down: Vec<Policy>,
    /// Which of these holds.
    pub down_select: Select,
    /// Other bounds at some times, in the order in which they are declared.
    pub schedules: Vec<Window>,
    /// What the pool may cost an hour; infinite where that is not limited.
    #[serde(with = "number")]
    pub budget_hourly: f64,
    /// What a member costs an hour; 0 where that is not known.
    pub price: f64,
    /// How many members the provider gives at most.
    pub quota: i64,
    /// How long a member lives at least, in seconds, unless it is still pending.
    pub min_lifetime: f64,
    /// With more than so many percent of the members unhealthy, the size stays as it is.
    #[serde(rename = "breaker_pct")]
    pub breaker_percent: f64,
    /// So many unhealthy members never count as too many.
    pub breaker_min: i64,
    /// How many members more than the cap may be alive, so that unhealthy ones can be replaced.
    pub surge: i64,
    /// How many percent of the members may go within the disruption window; one always may.
    #[serde(rename = "disruption_pct")]
    pub disruption_percent: f64,
    /// How long a member that went counts, in seconds.
    pub disruption_window: f64,
    /// After how long a member that is still pending is given up, in seconds; infinite where it never is.
    #[serde(with = "number")]
    pub provision_timeout: f64,
    /// For how long a member must have been unhealthy to be replaced, in seconds; infinite where it never is.
    #[serde(with = "number")]
    pub replace_after: f64,
    /// Whether a forecast counts.
    pub predictive: Predictive,
    /// Whether nothing is done; reasons are told all the same.
    pub paused: bool,
}

impl Default for Spec {
    /// The defaults of `autoscale`, with one to ten members.
    fn default() -> Self {
        let policy = |kind, value, period| Policy { kind, value, period };
        Spec {
            min: 1,
            max: 10,
            checks: Vec::new(),
            tolerance: 0.1,
            warmup: 0.0,
            stabilization_up: 30.0,
            stabilization_down: 600.0,
            cooldown_up: 0.0,
            cooldown_down: 60.0,
            burst: 1.25,
            saturated_at: 0.95,
            saturated_factor: 1.5,
            signal_window: 900.0,
            interval: 15.0,
            policies_up: vec![
                policy(PolicyKind::Percent, 100.0, 15.0),
                policy(PolicyKind::Count, 4.0, 15.0),
            ],
            up_select: Select::Max,
            policies_down: vec![policy(PolicyKind::Percent, 50.0, 60.0)],
            down_select: Select::Max,
            schedules: Vec::new(),
            budget_hourly: f64::INFINITY,
            price: 0.0,
            quota: 1_000_000_000,
            min_lifetime: 0.0,
            breaker_percent: 45.0,
            breaker_min: 3,
            surge: 1,
            disruption_percent: 100.0,
            disruption_window: 600.0,
            provision_timeout: f64::INFINITY,
            replace_after: f64::INFINITY,
            predictive: Predictive::Off,
            paused: false,
        }
    }
}

impl Spec {
    /// Returns how many members more than the cap may be alive: who pays by the hour pays for what is unhealthy, too.
    pub(super) fn surge_of(&self) -> i64 {
        if self.price > 0.0 { 0 } else { self.surge }
    }
}

/// How much the size may change in some time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How it is measured.
    #[serde(rename = "type")]
    pub kind: PolicyKind,
    /// By how much.
    pub value: f64,
    /// In how many seconds.
    pub period: f64,
}

/// How a change of the size is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// In percent of the size at the beginning of the period; one member at least.
    Percent,
    /// In members.
    Count,
}

/// Which of several policies holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// The one that allows most.
    Max,
    /// The one that allows least.
    Min,
    /// None: the size does not change in this direction.
    Disabled,
}

/// Whether a forecast counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictive {
    /// It does not.
    Off,
    /// It is told, and does not count.
    Advise,
    /// It can raise the size, never lower it.
    Scale,
}

/// One thing that is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What is made of its values.
    pub strategy: Strategy,
    /// For `target`: the value of a member that is wanted. For `queue`: how much of the backlog a member takes.
    pub target: f64,
    /// For `target`: whether 1 is the most that a value can be, so that it hides what is needed beyond.
    pub bounded: bool,
    /// For `threshold`: above it the pool grows.
    pub upper: f64,
    /// For `threshold`: below it the pool shrinks.
    pub lower: f64,
    /// For `threshold`: by how many members.
    pub step: i64,
    /// For `threshold`: for how long the values must have been beyond it, at every decision, in seconds.
    #[serde(rename = "for")]
    pub held: f64,
    /// For `buffer`: so many slots are free at least.
    pub min_ready: i64,
    /// For `buffer`: so many percent of the slots are free at least.
    pub percent: f64,
    /// For `queue`: up to this backlog nothing is needed.
    pub activation: f64,
    /// For `buffer`: how many simulators a member holds.
    pub slots: i64,
    /// What holds when there is no value.
    pub on_missing: OnMissing,
    /// For [`OnMissing::Fallback`]: so many members at least.
    pub fallback: i64,
    /// After so many rounds without a value, `on_missing` holds.
    pub failure_threshold: u64,
    /// How old a value may be, in seconds.
    pub max_age: f64,
    /// For `target`: how much of the recent rises is added to what is needed; 0 adds none.
    pub headroom_k: f64,
    /// For `target`: how much is added at most, as a fraction of what is needed.
    pub headroom_max: f64,
}

impl Default for Check {
    fn default() -> Self {
        Check {
            name: String::new(),
            strategy: Strategy::Target,
            target: 0.75,
            bounded: true,
            upper: 0.75,
            lower: 0.3,
            step: 1,
            held: 0.0,
            min_ready: 0,
            percent: 0.0,
            activation: 0.0,
            slots: 1,
            on_missing: OnMissing::Hold,
            fallback: 0,
            failure_threshold: 3,
            max_age: 90.0,
            headroom_k: 1.0,
            headroom_max: 0.5,
        }
    }
}

/// What is made of the values of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// So many members that the mean is the target.
    Target,
    /// A step up above one value, a step down below another.
    Threshold,
    /// So many members as a backlog needs.
    Queue,
    /// So many members that some slots are free.
    Buffer,
    /// So many members as somebody else says.
    Webhook,
}

/// What holds when a check has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// The present size, which keeps the pool from shrinking.
    Hold,
    /// A given size, or the present one where that is larger.
    Fallback,
    /// The most members.
    FailOpen,
    /// The other checks.
    Ignore,
}

/// Other bounds for some time: a schedule, resolved to instants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The schedule's name.
    pub name: String,
    /// The first instant.
    pub start: f64,
    /// The first instant that is no longer in it.
    pub end: f64,
    /// The fewest members meanwhile.
    #[serde(default)]
    pub min: Option<i64>,
    /// The most members meanwhile.
    #[serde(default)]
    pub max: Option<i64>,
    /// Just so many members meanwhile.
    #[serde(default)]
    pub desired: Option<i64>,
    /// Which of several that are active holds: the largest; of equal ones, the last.
    #[serde(default)]
    pub priority: i64,
}

impl Window {
    /// Returns whether an instant is in it.
    pub fn is_active(&self, at: f64) -> bool {
        self.start <= at && at < self.end
    }
}
