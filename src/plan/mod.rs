//! The plan: a pure function of the configuration, the recorded state and what was observed.

mod change;

pub use change::{
    Action, AttributeDrift, Change, Drift, DriftKind, Interrupt, OutputChange, Plan, Reason, Summary, Unfinished,
    Unplaced,
};
