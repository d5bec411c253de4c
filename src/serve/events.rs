//! What a watch told lately, and those who follow it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures::stream::{self, Stream};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use crate::watch::published::Pictures;

/// How many are kept, for those who come back.
const KEPT: usize = 1_000;

/// How often followers hear of laps at most.
const LAPS: Duration = Duration::from_secs(1);

/// What was told lately.
#[derive(Debug)]
pub struct Events {
    /// Tells the events of this watch from those of one before it.
    began: i64,
    kept: Mutex<Kept>,
    follow: broadcast::Sender<Told>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    told: VecDeque<Told>,
}

/// One event, as it is sent.
#[derive(Debug, Clone)]
struct Told {
    number: u64,
    text: Arc<str>,
}

impl Events {
    /// Begins with none.
    pub fn new(began: Timestamp) -> Self {
        Events {
            began: began.as_millisecond(),
            kept: Mutex::default(),
            follow: broadcast::channel(KEPT).0,
        }
    }

    /// Adds one, and tells those who follow.
    pub fn add(&self, event: &Json) {
        let mut kept = self.kept();
        kept.last += 1;
        let told = Told {
            number: kept.last,
            text: event.to_string().into(),
        };
        kept.told.push_back(told.clone());
        if kept.told.len() > KEPT {
            kept.told.pop_front();
        }
        // Under the lock, so that nobody who begins to follow hears it twice. Nobody has to follow.
        let _ = self.follow.send(told);
    }

    /// Returns those after the one with an id, all that are kept where it is not of this watch, and those to come. With
    /// `laps`, also when there was a lap, at most every second.
    pub(super) fn after(
        self: Arc<Self>,
        last: Option<&str>,
        laps: Option<Pictures>,
    ) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let seen = last.and_then(|id| self.number(id)).unwrap_or(0);
        let (events, backlog) = {
            let kept = self.kept();
            let missed = kept.told.iter().filter(|told| told.number > seen).cloned();
            (self.follow.subscribe(), missed.collect())
        };
        let following = Following {
            began: self.began,
            backlog,
            events,
            laps,
            quiet: Instant::now(),
        };
        stream::unfold(following, |mut following| async {
            let event = following.next().await?;
            Some((Ok(event), following))
        })
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (began, number) = id.split_once('-')?;
        (began.parse() == Ok(self.began)).then(|| number.parse().ok())?
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who follows.
struct Following {
    began: i64,
    backlog: VecDeque<Told>,
    events: broadcast::Receiver<Told>,
    laps: Option<Pictures>,
    /// Until when nothing of laps is said.
    quiet: Instant,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        if let Some(told) = self.backlog.pop_front() {
            return Some(self.event(&told));
        }
        tokio::select! {
            told = self.events.recv() => match told {
                Ok(told) => Some(self.event(&told)),
                Err(RecvError::Lagged(missed)) => {
                    Some(Event::default().event("missed").data(json!({ "missed": missed }).to_string()))
                }
                Err(RecvError::Closed) => None,
            },
            lap = lap(self.laps.as_mut(), self.quiet) => {
                self.quiet = Instant::now() + LAPS;
                lap
            }
        }
    }

    fn event(&self, told: &Told) -> Event {
        let id = format!("{}-{}", self.began, told.number);
        Event::default().id(id).data(&*told.text)
    }
}

/// Waits for a lap; for ever where none is wanted. `None` once there are no more.
async fn lap(pictures: Option<&mut Pictures>, quiet: Instant) -> Option<Event> {
    let Some(pictures) = pictures else {
        return std::future::pending().await;
    };
    tokio::time::sleep_until(quiet).await;
    pictures.changed().await.ok()?;
    let at = pictures
        .borrow_and_update()
        .as_ref()
        .map(|published| published.at.to_string());
    Some(Event::default().event("lap").data(json!({ "at": at }).to_string()))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    async fn texts(events: &Arc<Events>, last: Option<&str>, count: usize) -> Vec<String> {
        let stream = Arc::clone(events).after(last, None);
        stream.take(count).map(|event| format!("{event:?}")).collect().await
    }

    #[tokio::test]
    async fn who_comes_back_hears_what_was_missed_and_no_more() {
        let events = Arc::new(Events::new(Timestamp::UNIX_EPOCH));
        for number in 1..=KEPT + 2 {
            events.add(&json!({ "number": number }));
        }
        let missed = texts(&events, Some("0-1000"), 2).await;
        assert!(missed[0].contains("{\\\"number\\\":1001}"), "{missed:?}");
        assert!(missed[1].contains("{\\\"number\\\":1002}"), "{missed:?}");
        // The oldest are gone; an id of an earlier watch, or none that it made, says nothing.
        for last in [None, Some("7-1000"), Some("x"), Some("")] {
            let all = texts(&events, last, KEPT).await;
            assert!(all[0].contains("{\\\"number\\\":3}"), "{last:?}: {}", all[0]);
        }
    }
}
