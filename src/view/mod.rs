//! All printing: what people and programs read of plans, progress, state and values. Nothing else prints.
//!
//! - [`document`]: lines with tones, made by every view for people; [`Theme`] says whether they are coloured
//! - [`plan`], [`progress`], [`outcome`]: a plan, an apply while it runs, its end
//! - [`state`], [`outputs`], [`status`]: what is recorded, and what runs
//! - [`control`], [`log`]: what was done with simulators by hand, and what they write
//! - [`history`], [`locks`]: what happened, and who is at work
//! - [`graph`], [`reference`], [`why`], [`patch`]: what needs what, the words of the language, what leads to a change, how
//!   two texts differ
//! - [`rehearsal`]: what pools make of a load trace; [`watching`]: what a watch tells; [`pools`]: how it sizes pools; [`tokens`]: who may ask it
//! - [`values`]: values as HCL and as JSON; [`difference`]: how two of them differ
//!
//! A view for people has its counterpart for programs: a function or module named `json`. A sensitive value is shown by
//! neither.

pub mod alerts;
pub mod control;
pub mod diagnostics;
pub mod difference;
pub mod document;
pub mod events;
pub mod failure;
#[cfg(test)]
mod fixture;
mod fold;
pub mod graph;
pub mod history;
pub mod locks;
pub mod log;
pub mod outcome;
pub mod outputs;
pub mod patch;
pub mod plan;
pub mod pools;
pub mod progress;
pub mod reference;
pub mod rehearsal;
pub mod state;
pub mod status;
mod table;
pub mod tokens;
pub mod top;
pub mod values;
pub mod watching;
pub mod why;

pub use document::Theme;

/// The version of the JSON documents: raised when a key changes its meaning or goes away.
pub const FORMAT_VERSION: &str = "1.0";
