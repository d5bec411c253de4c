//! A plan, for people and for programs.

mod changes;
mod costs;
mod human;
pub mod json;

pub(in crate::view) use changes::look;
pub(in crate::view) use human::members;
pub use human::{Detail, Purpose, View, unseen};

#[cfg(test)]
mod tests;
