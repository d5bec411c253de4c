//! The fake provider against the conformance suite, and the fake cloud as a process of its own.

mod cloud_process;
mod conformance;
mod process;
mod sabotage;
