//! The provider against a real engine.
//!
//! `SIMFLEET_TEST_DOCKER` says where it is (`unix:///…`); `scripts/test` starts one, and makes the image that the tests use.

mod conformance;
mod cut_off;
mod drift;
mod foreign;
mod harness;
mod health;
mod metering;
mod refusal;
mod remote;
