//! Ctrl-C and SIGTERM. An apply that is asked to stop finishes what is in flight; everything else just ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::exit::{Failure, INTERRUPTED};

/// What a run knows of signals.
#[derive(Debug)]
pub(super) struct Signals {
    graceful: Arc<AtomicBool>,
    stop: watch::Receiver<bool>,
}

impl Signals {
    /// Begins to listen. From now on a signal ends the process with 130, until [`graceful`](Signals::graceful) is
    /// called; after that the first one only asks the run to stop, and the second one ends the process.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub(super) fn listen() -> Result<Self, Failure> {
        let (interrupt, terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
        let graceful = Arc::new(AtomicBool::new(false));
        let (ask, stop) = watch::channel(false);
        tokio::spawn(follow(interrupt, terminate, Arc::clone(&graceful), ask));
        Ok(Signals { graceful, stop })
    }

    /// Returns what turns true when the user wants the run to stop.
    pub(super) fn graceful(&self) -> watch::Receiver<bool> {
        self.graceful.store(true, Ordering::SeqCst);
        self.stop.clone()
    }
}

impl Signals {
    /// Returns what tells of each SIGHUP, which ends the program otherwise.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub(super) fn hangups(&self) -> Result<mpsc::UnboundedReceiver<()>, Failure> {
        let mut hangup = catch(SignalKind::hangup())?;
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move { while hangup.recv().await.is_some() && tell.send(()).is_ok() {} });
        Ok(told)
    }
}

fn catch(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::io(
            "Signals cannot be caught",
            "Listening for Ctrl-C failed".to_owned(),
            &error,
        )
    })
}

async fn follow(mut interrupt: Signal, mut terminate: Signal, graceful: Arc<AtomicBool>, ask: watch::Sender<bool>) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !graceful.load(Ordering::SeqCst) || ask.send_replace(true) {
            // Every intent and every outcome is durable before anything follows from it, so nothing is lost.
            std::process::exit(i32::from(INTERRUPTED));
        }
    }
}
