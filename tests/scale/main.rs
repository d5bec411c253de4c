//! The scaling decision: directed cases, properties, and the reference that it agrees with.

mod against_reference;
mod bench;
mod bounds;
mod calendar;
mod chaos;
mod checks;
mod forecast;
mod history;
mod ill;
mod members;
mod pace;
mod properties;
mod random;
mod targets;
mod vectors;
