//! What a running `simfleet watch` shows of itself over HTTP: health, metrics, what is recorded, how pools are sized and why,
//! and what happens as it happens. It only shows: nothing can be changed here, so that it listens on loopback only.
//!
//! - `routes`: the paths; `guard`: who may ask, and what every answer says; [`metrics`]: `/metrics`
//! - [`events`]: what was told lately, and those who follow it; `requests`: how many there were; `page`: the status page

pub mod events;
mod guard;
mod metrics;
mod page;
mod requests;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simfleet_state::StateStore;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use events::Events;

use self::requests::Requests;
use crate::diagnostic::Diagnostic;
use crate::status::{Asked, Status};
use crate::watch::published::{Pictures, Published};

/// How long agents have to tell the loads of their nodes, and for how long that holds.
const PATIENCE: Duration = Duration::from_secs(2);
const FRESH: Duration = Duration::from_secs(5);

/// Listens already, and does not answer yet.
#[derive(Debug)]
pub struct Listener(TcpListener);

/// What is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the loop knows.
    pub pictures: Pictures,
    /// What it told.
    pub events: Arc<Events>,
    /// Where what is kept of laps is.
    pub store: Arc<dyn StateStore>,
}

#[derive(Debug, Clone)]
struct App {
    shown: Shown,
    requests: Arc<Requests>,
    /// What agents told last, and when.
    asked: Arc<Mutex<Option<(Instant, Asked)>>>,
}

impl Listener {
    /// Begins to listen. With port 0 the system chooses one.
    ///
    /// # Errors
    /// The address is not of loopback, or is taken.
    pub async fn bind(address: SocketAddr) -> Result<Self, Diagnostic> {
        if !address.ip().is_loopback() {
            let detail = format!(
                "`--listen {address}` can be reached from other machines, and there are no tokens yet: \
                 anybody could read what is recorded of the fleet."
            );
            return Err(
                Diagnostic::error("Listening beyond this machine is not possible yet", detail).hint(
                    "listen at 127.0.0.1, and reach it from elsewhere through SSH: `ssh -L 8080:127.0.0.1:8080 HOST`",
                ),
            );
        }
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Diagnostic::error("Cannot listen", format!("Listening at {address} failed: {error}."))
                .hint("choose another port, or 0 for one that is free")
        })?;
        Ok(Listener(listener))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> Result<SocketAddr, Diagnostic> {
        let told = self.0.local_addr();
        told.map_err(|error| Diagnostic::error("Cannot listen", format!("No address is known: {error}.")))
    }

    /// Answers, for ever.
    ///
    /// # Errors
    /// None today: what fails with one connection is over with it.
    pub async fn serve(self, shown: Shown) -> std::io::Result<()> {
        let app = App {
            shown,
            requests: Arc::default(),
            asked: Arc::default(),
        };
        axum::serve(self.0, routes::routes(app)).await
    }
}

impl App {
    /// What the loop knew at the end of the last lap; `None` before the first.
    fn picture(&self) -> Option<Arc<Published>> {
        self.shown.pictures.borrow().clone()
    }

    /// What runs, with what agents tell of it.
    async fn status(&self, published: &Arc<Published>) -> Status {
        let mut kept = self.asked.lock().await;
        let asked = match kept.take() {
            Some(asked) if asked.0.elapsed() < FRESH => asked,
            _ => (Instant::now(), ask(Arc::clone(published)).await),
        };
        let state = &published.snapshot.state;
        let status = Status::of(state, &published.looks.of(state), &asked.1);
        *kept = Some(asked);
        status
    }
}

/// Asks the agents of the nodes that were seen.
async fn ask(published: Arc<Published>) -> Asked {
    let runtime = Handle::current();
    // On a thread of its own: these futures stay on the thread that they began on.
    let asked = tokio::task::spawn_blocking(move || {
        let state = &published.snapshot.state;
        let seen = published.looks.of(state);
        runtime.block_on(Asked::of(state, &seen, PATIENCE))
    });
    asked.await.unwrap_or_default()
}
