//! simfleet: a declarative reconciler for fleets of simulators and robots.
//!
//! # The map of the code
//!
//! ```text
//!  *.hcl ── config ──► declarations ── lower ──► resources ─┐
//!                                                           ├─ plan ──► Plan ── apply ──► providers
//!  journal ── simfleet_state ──► State ── refresh ─► seen ──┘            │
//!     ▲                                                                  │
//!     └──────────────────── an event before and after each call ─────────┘
//! ```
//!
//! - [`fleet`]: one fleet and the runs over it; the way in for the command line
//! - [`config`]: text to declarations. [`config::blocks`] has a file for each block, [`config::eval`] the expressions
//! - [`lower`]: what a node, pool, network, service or simulator expands to; sizes and prices of pools, places and ports of simulators
//! - [`refresh`]: recorded objects to observed ones
//! - [`plan`]: what would change, why, and what it costs; pure
//! - [`apply`]: the walk along the changes, retries, what a run that died left
//! - [`scale`]: how many members a pool should have; pure. [`rehearse`]: what that makes of a load trace
//! - [`watch`]: the loop that keeps a fleet as it was applied, and sizes its pools; which watch leads, and those that stand by
//! - [`signals`]: what goes out of a watch: events to webhooks, alerts, what is kept of all that was told
//! - [`serve`]: what a watch shows of itself over HTTP, and what can be asked of it there; [`access`]: by whom
//! - [`providers`]: the providers of this build, and those that a run configured; [`builtin`]: the one without a far side
//! - [`status`]: what runs now; [`health`]: whether a node does what it is there for, [`placeholder`]: and how it is reached; [`control`]: what is done with it by hand; [`audit`]: who did that
//! - [`format`]: `fmt`; [`graph`]: what needs what; [`why`]: what leads to a change; [`reference`]: the words of the language
//! - [`view`]: all printing; [`cli`]: the verbs, one a file
//! - [`diagnostic`]: what is wrong, where, and what to do about it
//!
//! Beside this crate: `providers/api` (what a provider is, and the words all others use), `providers/local` (nodes on this
//! machine), `providers/agent` (simulators and machines under QEMU on whatever machine has an agent), `providers/docker` (networks, volumes,
//! images and containers) with `providers/docker/context` (what an image is built of), `providers/azure` (machines and networks in
//! Azure) with `emulators/azure` (an Azure for tests), `providers/nginx` (who is behind a load balancer), `providers/fake` (a cloud
//! with faults, for tests), `state` (the journal), `simulators/vehicle` (the built-in MAVLink vehicle).
//!
//! A newcomer starts with `examples/quickstart.hcl`, then [`plan::Planner`] and [`apply::apply`].

pub mod access;
pub mod apply;
pub mod audit;
pub mod builtin;
pub mod cli;
pub mod config;
pub mod control;
pub mod diagnostic;
#[cfg(feature = "fake")]
pub mod fault;
pub mod fleet;
pub mod format;
pub mod graph;
pub mod health;
pub mod lower;
pub mod placeholder;
pub mod plan;
pub mod providers;
pub mod reference;
pub mod refresh;
pub mod rehearse;
pub mod scale;
pub mod serve;
pub mod signals;
pub mod status;
pub mod view;
pub mod watch;
pub mod why;
