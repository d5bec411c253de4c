//! An in-memory Azure Resource Manager that Microsoft's own clients accept, for tests without an account.
//!
//! ```text
//! serve.rs ----> arm.rs ------------> objects.rs, lists.rs, groups.rs --> network/, compute/
//! (sockets)      (tokens, versions,   (put, changed, read, listed,        (what each kind checks
//!  |              throttle, faults)    deleted; operations)                and fills in)
//!  +-> control.rs                      world.rs: what there is, and what is under way
//! ```
//!
//! - [`Emulator`]: one that runs; [`Control`]: how a test rules over it, also over HTTP (see [`control`])
//! - [`Options`]: how it is set up; [`Fault`]: what goes wrong, on demand
//! - [`world`]: the cloud as a state machine that time is given to; it opens no sockets
//!
//! What is emulated, and what is not, is told in its `README.md`.

mod arm;
mod catalogue;
mod check;
mod clock;
mod compute;
pub mod control;
mod draw;
mod emulator;
mod fault;
mod groups;
mod insights;
mod kind;
mod lists;
mod log;
mod login;
mod machines;
mod message;
mod network;
mod objects;
mod operation;
mod options;
mod quota;
mod references;
mod resource;
mod serve;
mod show;
mod throttle;
mod tls;
pub mod world;

pub use arm::Reply;
pub use clock::{Clock, Pass};
pub use emulator::{Control, Emulator};
pub use fault::{Fault, FaultEffect, Faults};
pub use log::Entry;
pub use message::{Answer, ArmError, Request};
pub use options::{CLIENT, CLIENT_SECRET, Options, Order, Pace, SUBSCRIPTION, TENANT, Throttle, Tls};
pub use quota::{Quotas, Restricted};
pub use serve::until_interrupted;
