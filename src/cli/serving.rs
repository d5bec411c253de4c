//! The HTTP of a watch: what it needs, put together.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::exit::Failure;
use crate::config::blocks::{Serve, access};
use crate::diagnostic::Diagnostics;
use crate::fleet::Fleet;
use crate::serve::{self, Events, Listener, Operations, Settings, Shown};
use crate::signals::EventName;
use crate::watch::Told;
use crate::watch::lead::Standing;
use crate::watch::published::Published;

/// Who answers, and what the loop hands to them.
pub(super) struct Serving {
    /// Where the loop puts what it knows, and the fleet whenever it has read its files.
    pub(super) pictures: watch::Sender<Option<Arc<Published>>>,
    pub(super) fleet: watch::Sender<Fleet>,
    /// Where it says whether it leads, and where others reach this one if it does.
    pub(super) standing: watch::Sender<Standing>,
    pub(super) advertised: String,
    /// What it told.
    pub(super) events: Arc<Events>,
    operations: Arc<Operations>,
    tasks: Vec<JoinHandle<()>>,
}

/// What is asked for: on which address, where others reach that, and whether nothing may be changed.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) listen: Option<Option<SocketAddr>>,
    pub(super) advertise: Option<String>,
    pub(super) only_looks: bool,
}

impl Serving {
    /// Begins to answer, where that is declared or was asked for. Returns what tells that something was done, too.
    pub(super) async fn begin(
        fleet: &Fleet,
        wanted: Wanted,
        tell: &mpsc::UnboundedSender<Told>,
        stop: watch::Receiver<bool>,
    ) -> Result<Option<(Self, mpsc::UnboundedReceiver<()>)>, Failure> {
        let block = Serve::of(fleet.config())?;
        let Some(settings) = Settings::of(block.clone(), wanted.listen) else {
            return Ok(None);
        };
        let declared = access::credentials(fleet.config())?;
        settings.check(&serve::credentials(fleet).await?, Timestamp::now())?;
        let listener = Listener::bind(settings).await?;
        let (address, url) = (listener.address()?, listener.url()?);
        let advertised = match wanted.advertise {
            Some(url) => url,
            None => listener.advertised()?,
        };
        let (done, changed) = mpsc::unbounded_channel();
        let (standings, standing) = watch::channel(Standing::default());
        let operations = Operations::new(Arc::clone(fleet.store()), standing.clone(), stop, done);
        let operations = Arc::new(operations);
        let events = Arc::new(Events::new(Timestamp::now()));
        let (pictures, shown) = watch::channel(None);
        let (fleets, fleet) = watch::channel(fleet.clone());
        let (known, credentials) = watch::channel(declared);
        let shown = Shown {
            pictures: shown,
            events: Arc::clone(&events),
            fleet: fleet.clone(),
            declared: credentials,
            operations: Arc::clone(&operations),
            standing,
            only_looks: wanted.only_looks,
        };
        let _ = tell.send(Told::Listening { address, url });
        let tell = tell.clone();
        let told = move |message: &str, because: Option<Diagnostics>| {
            let message = message.to_owned();
            let _ = tell.send(Told::Failed {
                event: match because.is_some() {
                    true => EventName::FleetInvalid,
                    false => EventName::FleetPending,
                },
                message,
                because,
                again: None,
            });
        };
        // In tasks of their own, so that it answers also while the loop is busy.
        let tasks = vec![
            tokio::spawn(listener.serve(shown)),
            tokio::spawn(serve::follow(fleet, known, block, told)),
        ];
        let serving = Serving {
            pictures,
            fleet: fleets,
            standing: standings,
            advertised,
            events,
            operations,
            tasks,
        };
        Ok(Some((serving, changed)))
    }

    /// Ends, once what is at work has.
    pub(super) async fn end(self) {
        self.operations.end().await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
