//! What is decided, and why.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is decided, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// How many members there will be once the actions are done.
    pub desired: i64,
    /// How many the checks and the forecast ask for, before any bound.
    pub raw: i64,
    /// How many count now: healthy ones that are not on their way out.
    pub current: i64,
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// What made the size other than was asked for.
    pub limited_by: Vec<Limit>,
    /// What was asked for, and by what.
    pub reasons: Vec<Reason>,
    /// When to decide again.
    pub next_eval: f64,
}

/// One thing to be done, and the member that it is done to. A member that is to be made has no id yet: it is `new-0` and on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action(pub Step, pub String);

/// What is done to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It was on its way out, and stays.
    Undrain,
    /// It waited, and starts.
    Resume,
    /// It is made.
    Create,
    /// It finishes what it has, and goes.
    Drain,
    /// It is not ready yet, and goes.
    Cancel,
}

/// What made the size other than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Less was asked for a short while ago.
    StabilizationUp,
    /// More was asked for a while ago.
    StabilizationDown,
    /// At the smaller size, a check would ask for growth.
    FlapGuard,
    /// It grew a short while ago.
    CooldownUp,
    /// It changed a short while ago.
    CooldownDown,
    /// Too many members are unhealthy.
    Breaker,
    /// It is declared never to grow.
    UpDisabled,
    /// It is declared never to shrink.
    DownDisabled,
    /// It may not grow faster.
    RateUp,
    /// It may not shrink faster.
    RateDown,
    /// Members are still on their way.
    Pending,
    /// The fewest members.
    Min,
    /// The most members, or as many as may be alive.
    Max,
    /// The pool is paused.
    Paused,
    /// No more members may go for now.
    DisruptionBudget,
    /// Members that are protected, taken, occupied or too young.
    Protected,
    /// Members were given up a short while ago: they never became ready.
    Provisioning,
}

impl Limit {
    /// Returns its name, as decisions, metrics and pages tell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::StabilizationUp => "stabilization_up",
            Limit::StabilizationDown => "stabilization_down",
            Limit::FlapGuard => "flap_guard",
            Limit::CooldownUp => "cooldown_up",
            Limit::CooldownDown => "cooldown_down",
            Limit::Breaker => "breaker",
            Limit::UpDisabled => "up_disabled",
            Limit::DownDisabled => "down_disabled",
            Limit::RateUp => "rate_up",
            Limit::RateDown => "rate_down",
            Limit::Pending => "pending",
            Limit::Min => "min",
            Limit::Max => "max",
            Limit::Paused => "paused",
            Limit::DisruptionBudget => "disruption_budget",
            Limit::Protected => "protected",
            Limit::Provisioning => "provisioning",
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why a size was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A schedule is active.
    Schedule(String),
    /// The fewest members are more than may be.
    CapBelowMin,
    /// A check has no value.
    NoData(String),
    /// A check asks for so many members.
    Vote(String, i64),
    /// A forecast asks for more.
    Predictive,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Schedule(name) => write!(f, "schedule:{name}"),
            Reason::CapBelowMin => f.write_str("cap_below_min"),
            Reason::NoData(check) => write!(f, "no_data:{check}"),
            Reason::Vote(check, size) => write!(f, "{check}={size}"),
            Reason::Predictive => f.write_str("predictive"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
