//! What a running `simfleet watch` shows of itself over HTTP: health, metrics, what is recorded, how pools are sized and why,
//! and what happens as it happens; and what is done with simulators there, as the verbs of the command line do it.
//!
//! - `table`: all that can be asked, of which the router and the OpenAPI document are made
//! - `settings`: how it is reached; `listen`: connections and TLS; `peers`: how many of one client; `guard`: who may ask, and what
//!   every answer says; `rates`: how much; `welcome`: who was let in lately; `patience`: for how long a body is waited for
//! - `routes`: what is only read; [`metrics`]: `/metrics`; [`events`]: what was told lately, and those who follow it; `requests`: how
//!   many there were; `page`: the status page
//! - `simulators`, `programs`, `locks`: what is changed; [`operations`]: what became of it; `console`: what simulators write
//! - `passing`: what changes something goes to the watch that leads

mod console;
pub mod events;
mod guard;
mod listen;
mod locks;
mod metrics;
mod operations;
mod page;
mod passing;
mod patience;
mod peers;
mod programs;
mod rates;
mod requests;
mod routes;
mod settings;
mod simulators;
mod table;
mod welcome;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use jiff::Timestamp;
use simfleet_state::{StateError, StateStore};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

pub use events::Events;
pub use listen::Listener;
pub use operations::Operations;
pub use settings::Settings;

use self::guard::{Caller, Refused};
use self::programs::Programs;
use self::rates::Buckets;
use self::requests::Requests;
use self::welcome::Welcome;
use crate::access::Credential;
use crate::config::blocks::{Serve, access};
use crate::diagnostic::Diagnostics;
use crate::fleet::{Fleet, FleetError};
use crate::status::{Asked, Status};
use crate::watch::lead::Standing;
use crate::watch::published::{Pictures, Published};

/// How long agents have to tell the loads of their nodes, and for how long that holds.
const PATIENCE: Duration = Duration::from_secs(2);
const FRESH: Duration = Duration::from_secs(5);
/// How large a body may be, but for programs.
const BODY: usize = 64 << 10;
/// How often it is looked whether those who follow something may still do so.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What is shown, and done.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the loop knows.
    pub pictures: Pictures,
    /// What it told.
    pub events: Arc<Events>,
    /// The fleet, as its files were when they were last read without mistakes.
    pub fleet: watch::Receiver<Fleet>,
    /// Who is known by its block `access`.
    pub declared: watch::Receiver<Vec<Credential>>,
    /// What was asked for.
    pub operations: Arc<Operations>,
    /// Whether this watch leads, and who does.
    pub standing: watch::Receiver<Standing>,
    /// Whether nothing may be changed.
    pub only_looks: bool,
}

#[derive(Debug, Clone)]
struct App {
    shown: Shown,
    settings: Arc<Settings>,
    requests: Arc<Requests>,
    /// How many requests each client has; `None` for as many as it wants.
    rates: Option<Arc<Buckets>>,
    /// How many failed attempts to log in.
    attempts: Arc<Buckets>,
    /// Who was let in lately.
    welcome: Arc<Welcome>,
    operations: Arc<Operations>,
    programs: Arc<Programs>,
    consoles: Arc<Semaphore>,
    only_looks: bool,
    /// What asks the watch that leads.
    to_leader: Arc<Result<reqwest::Client, String>>,
    /// The key of the leader that has shown that it is reached where it says.
    proven: Arc<Mutex<Option<Arc<str>>>>,
    /// Whether somebody was known by a token since it began.
    is_closed: Arc<AtomicBool>,
    /// What agents told last, and when.
    asked: Arc<Mutex<Option<(Instant, Asked)>>>,
}

/// Returns who is known now: by the block of the fleet, and by what was made with `simfleet token create`.
///
/// # Errors
/// What is wrong with the block, or why the state cannot be read.
pub async fn credentials(fleet: &Fleet) -> Result<Vec<Credential>, FleetError> {
    let declared = access::credentials(fleet.config())?;
    let made = fleet.tokens().await?.into_iter().map(Credential::from);
    Ok(declared.into_iter().chain(made).collect())
}

/// Takes over who is known whenever the files of the fleet change, until the watch ends. Tells where the block `access` has
/// mistakes, and where `serve` says something other than what is `used`.
pub async fn follow(
    mut fleet: watch::Receiver<Fleet>,
    declared: watch::Sender<Vec<Credential>>,
    used: Option<Serve>,
    tell: impl Fn(&'static str, Option<Diagnostics>),
) {
    let mut told = used.clone();
    while fleet.changed().await.is_ok() {
        let config = fleet.borrow_and_update().config().clone();
        match access::credentials(&config) {
            Ok(credentials) => drop(declared.send_replace(credentials)),
            Err(why) => tell(
                "The block `access` cannot be read, so that who was known stays known",
                Some(why),
            ),
        }
        match Serve::of(&config) {
            Ok(serve) if !is_same(&serve, &told) => {
                if !is_same(&serve, &used) {
                    tell(
                        "The block `serve` has changed: start the watch again for that to hold",
                        None,
                    );
                }
                told = serve;
            }
            Ok(_) => {}
            Err(why) => tell("The block `serve` cannot be read", Some(why)),
        }
    }
}

/// Whether two say the same, wherever they stand.
fn is_same(one: &Option<Serve>, other: &Option<Serve>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (None, None) => true,
        _ => false,
    }
}

impl Listener {
    /// Answers, for ever.
    pub async fn serve(self, shown: Shown) {
        let settings = Arc::new(self.settings.clone());
        let rates = settings.per_minute.map(|per_minute| Arc::new(Buckets::new(per_minute)));
        let programs = Programs::new(shown.fleet.borrow().programs());
        let app = App {
            rates,
            attempts: Arc::new(Buckets::new(settings.auth_per_minute)),
            welcome: Arc::default(),
            to_leader: Arc::new(passing::client(&settings)),
            proven: Arc::default(),
            settings,
            requests: Arc::default(),
            operations: Arc::clone(&shown.operations),
            programs: Arc::new(programs),
            consoles: Arc::new(Semaphore::new(console::AT_ONCE)),
            only_looks: shown.only_looks,
            is_closed: Arc::default(),
            asked: Arc::default(),
            shown,
        };
        let router = table::router()
            .fallback(routes::no_such_path)
            .method_not_allowed_fallback(routes::no_such_method)
            .layer(DefaultBodyLimit::max(BODY))
            .layer(from_fn_with_state(app.clone(), guard::guard))
            .layer(from_fn_with_state(app.clone(), requests::count))
            .with_state(app);
        self.answer(router).await;
    }
}

impl App {
    /// The fleet, as its files are.
    fn fleet(&self) -> Fleet {
        self.shown.fleet.borrow().clone()
    }

    fn store(&self) -> Arc<dyn StateStore> {
        Arc::clone(self.shown.fleet.borrow().store())
    }

    /// Returns who is known now. What was revoked is not known from then on.
    async fn credentials(&self) -> Result<Vec<Credential>, Refused> {
        let unread = |error: StateError| {
            let why = format!("who may ask cannot be told: {error}");
            Refused(StatusCode::SERVICE_UNAVAILABLE, why)
        };
        let made = self.store().tokens().await.map_err(unread)?;
        let declared = self.shown.declared.borrow().clone();
        Ok(declared
            .into_iter()
            .chain(made.into_iter().map(Credential::from))
            .collect())
    }

    /// What the loop knew at the end of the last lap; `None` before the first.
    fn picture(&self) -> Option<Arc<Published>> {
        self.shown.pictures.borrow().clone()
    }

    /// Whether this watch leads, and who does.
    fn standing(&self) -> Standing {
        self.shown.standing.borrow().clone()
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

impl App {
    /// Waits until somebody may not ask any more what they asked, looking now and then: a token can be revoked while what it
    /// opened is followed.
    async fn until_unknown(self, caller: Caller) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Ok(known) = self.credentials().await else {
                continue;
            };
            let is_known = match &caller.credential {
                Some(credential) => known
                    .iter()
                    .any(|known| known.sha256 == credential.sha256 && known.holds(Timestamp::now()).is_ok()),
                None => known.is_empty(),
            };
            if !is_known {
                return;
            }
        }
    }
}

/// Does something on a thread of its own: what fleets do stays on the thread that it began on.
async fn apart<T: Send + 'static, F: Future<Output = Result<T, Refused>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, Refused> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work())).await;
    done.map_err(|error| {
        let why = format!("it ended early: {error}");
        Refused(StatusCode::INTERNAL_SERVER_ERROR, why)
    })?
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
