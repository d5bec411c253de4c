//! What far sides tell by themselves: where something happened to one of the objects, they are looked at at once, and are not
//! looked at so often else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Aborted, abortable};
use futures::stream::StreamExt;
use simfleet_provider_api::{Address, Notice, ObjectId, Provider, ProviderError};
use simfleet_state::{ProviderConfig, State};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Watch;
use super::work::Work;
use crate::providers::Providers;
use crate::watch::known::Known;
use crate::watch::looks::config_of;

/// How often far sides are looked at that tell what happens, for what they do not know of.
const RARELY: Duration = Duration::from_secs(600);
/// How soon one that ended to tell is listened to again, at first and at last.
const AGAIN: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);

/// Those that are listened to.
#[derive(Debug)]
pub(super) struct Listeners {
    of: BTreeMap<String, Listener>,
    pub(super) work: Work<Result<(), Aborted>>,
    tell: mpsc::UnboundedSender<(String, Heard)>,
    pub(super) heard: mpsc::UnboundedReceiver<(String, Heard)>,
}

/// One far side.
#[derive(Debug)]
struct Listener {
    handle: AbortHandle,
    /// Whether it tells what happens.
    tells: bool,
    /// Whether it is to be looked at again since the last look began, and whether that is as something happened there.
    is_due: bool,
    has_news: bool,
    /// Whether something happened to what a run is at work on, or to what is not recorded, perhaps not yet.
    waits: bool,
}

/// What is heard of a far side.
#[derive(Debug)]
pub(super) enum Heard {
    /// What it tells.
    Notice(Notice),
    /// It does not tell any more.
    Silence,
}

impl Default for Listeners {
    fn default() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        Listeners {
            of: BTreeMap::new(),
            work: Work::default(),
            tell,
            heard,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Listeners {
    /// How many tell what happens.
    pub(super) fn telling(&self) -> usize {
        self.of.values().filter(|listener| listener.tells).count()
    }

    /// Notes that a look at a far side begins; returns whether something happened there.
    pub(super) fn begin_look(&mut self, side: &str) -> bool {
        let Some(listener) = self.of.get_mut(side) else {
            return false;
        };
        listener.is_due = false;
        std::mem::take(&mut listener.has_news)
    }

    /// Returns when a far side is looked at again after a look, where what happens there is told.
    pub(super) fn after_look(&self, side: &str, known: Option<&Known>) -> Option<Duration> {
        let listener = self.of.get(side)?;
        if listener.is_due {
            return Some(Duration::ZERO);
        }
        if !listener.tells {
            return None;
        }
        let known = known?;
        let objects = known.sides.get(side)?;
        // What is looked at from here, the far side does not know of.
        let is_looked_at = |address| is_looked_into(known.state(), address);
        (!objects.iter().any(is_looked_at)).then_some(RARELY)
    }
}

/// Whether a look at an object is one at its health, too.
fn is_looked_into(state: &State, address: &Address) -> bool {
    let resource = state.resources.get(address);
    let check = resource.and_then(|resource| resource.declared.inputs.get("health_check"));
    check.is_some_and(|check| !check.is_null())
}

impl Watch {
    /// Listens to the far sides that something is on.
    pub(super) fn listen(&mut self, known: &Known) {
        if self.how.once {
            return;
        }
        let listeners = &mut self.listeners;
        listeners.of.retain(|side, _| known.sides.contains_key(side));
        for (side, objects) in &known.sides {
            if listeners.of.contains_key(side) {
                continue;
            }
            let Some(config) = config_of(objects, known.state()) else {
                continue;
            };
            let files = &self.files;
            let providers = self
                .providers
                .get_or_insert_with(|| Arc::new(files.providers(&known.snapshot)));
            let listening = listen(side.clone(), config, Arc::clone(providers), listeners.tell.clone());
            let (listening, handle) = abortable(listening);
            listeners.work.begin(listening);
            let listener = Listener {
                handle,
                tells: false,
                is_due: false,
                has_news: false,
                waits: false,
            };
            listeners.of.insert(side.clone(), listener);
        }
    }

    /// Takes in what was heard; returns whether there is something to do.
    pub(super) fn hear(&mut self, (side, heard): (String, Heard)) -> bool {
        let object = match &heard {
            Heard::Notice(Notice::Happened(id)) => Some(self.object(&side, id).cloned()),
            Heard::Notice(Notice::Listening) | Heard::Silence => None,
        };
        let is_at_work = |address: &Address| self.running.values().any(|run| run.part.contains(address));
        // What a run does there is no news; what happens beside it is seen when it is done. What is not recorded is another
        // fleet's, or is just being made.
        let waits = match &object {
            Some(Some(address)) => is_at_work(address),
            Some(None) => true,
            None => false,
        };
        let Some(listener) = self.listeners.of.get_mut(&side) else {
            return false;
        };
        let told = std::mem::replace(&mut listener.tells, !matches!(heard, Heard::Silence));
        listener.waits |= waits;
        if waits || !told && !listener.tells {
            return false;
        }
        listener.is_due = true;
        listener.has_news |= object.is_some();
        self.look_due.insert(side, (Instant::now(), 0));
        true
    }

    /// Notes that far sides are to be looked at again, where what happens there is told: what is known of them may be wrong,
    /// and what has been told is not told again.
    pub(super) fn doubt(&mut self, known: &Known, is_doubted: impl Fn(&BTreeSet<Address>) -> bool) {
        for (side, objects) in &known.sides {
            // Where nothing is told, it is looked often, and when that begins again at once.
            if let Some(listener) = self.listeners.of.get_mut(side)
                && listener.tells
                && is_doubted(objects)
            {
                listener.waits = true;
            }
        }
    }

    /// Has the far sides looked at where something happened that had to wait: a run has ended, or more is recorded.
    pub(super) fn look_at_what_waits(&mut self) {
        let is_last = self.running.is_empty();
        for (side, listener) in &mut self.listeners.of {
            if listener.waits {
                listener.waits = !is_last;
                (listener.is_due, listener.has_news) = (true, true);
                self.look_due.insert(side.clone(), (Instant::now(), 0));
            }
        }
    }

    /// Returns the object of a far side that has this name there.
    fn object(&self, side: &str, id: &ObjectId) -> Option<&Address> {
        let known = self.known.as_ref()?;
        let resources = &known.state().resources;
        let mut objects = known.sides.get(side)?.iter();
        objects.find(|address| {
            resources
                .get(*address)
                .is_some_and(|resource| resource.object.id == *id)
        })
    }
}

/// Listens to a far side for as long as somebody wants to hear of it, again and again where it ends; not where it never tells
/// anything by itself.
async fn listen(
    side: String,
    config: ProviderConfig,
    providers: Arc<Providers>,
    tell: mpsc::UnboundedSender<(String, Heard)>,
) {
    let mut wait = AGAIN;
    loop {
        let heard = async {
            let provider = providers.configured(&config).await?;
            let Some(mut notices) = provider.notices() else {
                return Ok(());
            };
            while let Some(notice) = notices.next().await.transpose()? {
                wait = AGAIN;
                // Nobody hears it any more once the watch has ended.
                let _ = tell.send((side.clone(), Heard::Notice(notice)));
            }
            Err(ProviderError::Broken {
                message: "it ended without a word".to_owned(),
            })
        };
        let Err(error) = heard.await else { return };
        tracing::debug!(%error, provider = %config.name, "what happens is not told any more");
        let _ = tell.send((side.clone(), Heard::Silence));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LATER);
    }
}
