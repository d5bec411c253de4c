//! What is told while something is done.

use std::io::{self, IsTerminal};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::run::Run;
use crate::apply::Progress;
use crate::view::progress::Reporter;

/// Shows what happens while something is done: as JSON events on standard output, or as lines on standard error.
pub(super) async fn reported<T>(
    run: &Run,
    json: bool,
    work: impl AsyncFnOnce(mpsc::UnboundedSender<Progress>) -> T,
) -> T {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut reporter = match (json, err.is_terminal()) {
        (true, _) => Reporter::json(&mut out),
        (false, true) => Reporter::live(run.terminal.err),
        (false, false) => Reporter::plain(&mut err, run.terminal.err),
    };
    let (send, mut receive) = mpsc::unbounded_channel();
    let show = async {
        while let Some(progress) = receive.recv().await {
            // The work goes on whether or not anybody reads of it.
            let _ = reporter.show(&progress, Timestamp::now());
        }
    };
    let (result, ()) = tokio::join!(work(send), show);
    result
}
