//! The provider against a real nginx: one of each test's own, at ports of this machine.

mod conformance;
mod failing;
mod killed;
mod life;
#[path = "../../../../tests/support/nginx.rs"]
mod nginx;
mod remote;
mod rig;
