//! The walk: changes are carried out along the graph, each one journaled before and after.

mod call;
mod estimate;
mod lease;
mod prepare;
mod progress;
mod resume;
mod steps;
mod walk;

use simfleet_state::{Entry, Event, Journal, State};

pub use call::Patience;
pub use estimate::{Estimate, estimate};
pub(crate) use prepare::declaration;
pub use prepare::prepare;
pub use progress::{Outcome, Progress, Verb};
pub(crate) use resume::under_lease;
pub use resume::{Stuck, resume};
pub use walk::{Options, Resolve, Resolved, Tools, apply};

/// Makes events durable, then lets the state follow them.
///
/// # Errors
/// Why they could not be written, in words for the user.
pub(crate) async fn record(state: &mut State, journal: &mut dyn Journal, events: Vec<Event>) -> Result<(), String> {
    if events.is_empty() {
        return Ok(());
    }
    let stamp = journal.append(&events).await.map_err(|error| describe(&error))?;
    state.apply(&Entry { stamp, events }).map_err(|error| describe(&error))
}

/// Returns an error with its causes, each once.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
