//! The scaling decision: directed cases, properties, and the reference that it agrees with.

mod against_reference;
mod bench;
mod calendar;
mod cases;
mod chaos;
mod ill;
mod properties;
mod random;
