//! A plan, for people and for programs.

mod changes;
mod human;
pub mod json;

pub use human::{Detail, Purpose, View};

#[cfg(test)]
mod tests;
