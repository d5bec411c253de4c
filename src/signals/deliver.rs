//! One receiver: what waits to be sent to it, in order, and how each event is sent, again and again where that can help.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::Rng;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use simfleet_provider_api::Address;
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use super::format::body;
use super::sign::{DELIVERY, EVENT, SIGNATURE, signature};
use super::webhooks::News;
use super::{Sender, Signal};
use crate::config::blocks::Webhook;

/// How many events wait for one receiver at most. Then the oldest is dropped: what is new matters more.
const WAITING: usize = 1_000;

/// For how long a receiver can ask to be left alone.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long is waited between attempts once the watch ends: there are seconds only.
const HURRIED: Duration = Duration::from_millis(200);

/// What is counted of a receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that it took.
    pub delivered: u64,
    /// Events that were given up: it refused them, or all attempts failed.
    pub failed: u64,
    /// Events that were not sent, as too many waited.
    pub dropped: u64,
    /// Attempts after the first.
    pub retried: u64,
    /// Events that wait.
    pub waiting: usize,
}

/// What waits for one receiver.
#[derive(Debug)]
pub(super) struct Queue {
    address: Address,
    from: Arc<Sender>,
    news: mpsc::UnboundedSender<(Address, News)>,
    inner: Mutex<Inner>,
    /// Something waits, or it is closed.
    changed: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug)]
struct Inner {
    settings: Arc<Webhook>,
    waiting: VecDeque<Delivery>,
    is_at_work: bool,
    counts: Counts,
    /// How many events in a row were not taken up to the last one, and whether events were dropped since one was.
    failing: u64,
    is_dropping: bool,
}

#[derive(Debug)]
struct Delivery {
    id: Uuid,
    signal: Arc<Signal>,
}

/// Why an attempt failed.
#[derive(Debug)]
struct Refused {
    why: String,
    /// Where another attempt can help: after how long at the soonest.
    again: Option<Duration>,
}

impl Queue {
    pub(super) fn new(
        address: Address,
        settings: Arc<Webhook>,
        from: Arc<Sender>,
        news: mpsc::UnboundedSender<(Address, News)>,
    ) -> Self {
        Queue {
            address,
            from,
            news,
            inner: Mutex::new(Inner {
                settings,
                waiting: VecDeque::new(),
                is_at_work: false,
                counts: Counts::default(),
                failing: 0,
                is_dropping: false,
            }),
            changed: Notify::new(),
            closing: watch::channel(false).0,
        }
    }

    /// Takes over other settings, from the next event on.
    pub(super) fn set(&self, settings: Arc<Webhook>) {
        self.inner().settings = settings;
    }

    /// Whether it is sent an event.
    pub(super) fn wants(&self, signal: &Signal) -> bool {
        signal.notify.contains(&self.address) || self.inner().settings.wants(signal.event)
    }

    /// Adds an event; drops the oldest one that waits where there are too many.
    pub(super) fn add(&self, signal: Arc<Signal>) {
        let mut inner = self.inner();
        let id = Uuid::new_v4();
        inner.waiting.push_back(Delivery { id, signal });
        if inner.waiting.len() > WAITING {
            inner.waiting.pop_front();
            inner.counts.dropped += 1;
            if !std::mem::replace(&mut inner.is_dropping, true) {
                self.tell(News::Dropping);
            }
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Has it end once nothing waits any more.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
        self.changed.notify_one();
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.inner();
        Counts {
            waiting: inner.waiting.len() + usize::from(inner.is_at_work),
            ..inner.counts
        }
    }

    /// Sends what waits, one after the other, until it is closed and nothing does.
    pub(super) async fn run(self: Arc<Self>, client: Client) {
        while let Some((delivery, settings)) = self.next().await {
            let sent = self.deliver(&client, &delivery, &settings).await;
            self.ended(sent);
        }
    }

    async fn next(&self) -> Option<(Delivery, Arc<Webhook>)> {
        loop {
            {
                let mut inner = self.inner();
                if let Some(delivery) = inner.waiting.pop_front() {
                    inner.is_at_work = true;
                    return Some((delivery, Arc::clone(&inner.settings)));
                }
            }
            if *self.closing.borrow() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn ended(&self, sent: Result<(), String>) {
        let mut inner = self.inner();
        inner.is_at_work = false;
        match sent {
            Ok(()) => {
                inner.counts.delivered += 1;
                inner.is_dropping = false;
                let missed = std::mem::take(&mut inner.failing);
                if missed > 0 {
                    tracing::warn!(webhook = %self.address, missed, "events are delivered again");
                    self.tell(News::Delivers { missed });
                }
            }
            Err(why) => {
                inner.counts.failed += 1;
                inner.failing += 1;
                // One that fails for hours is told once, and how much it missed when it is back.
                if inner.failing > 1 {
                    tracing::debug!(webhook = %self.address, why, missed = inner.failing, "an event was not delivered");
                    return;
                }
                tracing::warn!(webhook = %self.address, why, "an event was not delivered");
                self.tell(News::Failed(why));
            }
        }
    }

    async fn deliver(&self, client: &Client, delivery: &Delivery, settings: &Webhook) -> Result<(), String> {
        let id = delivery.id.to_string();
        let body = body(&id, &delivery.signal, settings, &self.from).to_string();
        let mut attempt = 1;
        loop {
            let refused = match send(client, settings, &id, &delivery.signal, &body).await {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let Some(soonest) = refused.again.filter(|_| attempt < settings.retry.max_attempts) else {
                return Err(match attempt {
                    1 => refused.why,
                    _ => format!("{} (attempt {attempt})", refused.why),
                });
            };
            let pause = settings.retry.pause(attempt, rand::rng().random()).max(soonest);
            tracing::info!(webhook = %self.address, why = refused.why, attempt, ?pause, "an event is sent again");
            self.rest(pause).await;
            attempt += 1;
            self.inner().counts.retried += 1;
        }
    }

    /// Waits between two attempts, for a moment only once the watch ends.
    async fn rest(&self, pause: Duration) {
        let mut closing = self.closing.subscribe();
        let is_hurried = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            closed = closing.wait_for(|is_closing| *is_closing) => closed.is_ok(),
        };
        if is_hurried {
            tokio::time::sleep(pause.min(HURRIED)).await;
        }
    }

    fn tell(&self, news: News) {
        // The loop may have ended.
        let _ = self.news.send((self.address.clone(), news));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends an event once.
async fn send(client: &Client, to: &Webhook, id: &str, signal: &Signal, body: &str) -> Result<(), Refused> {
    let mut request = client
        .post(to.url.expose())
        .header(CONTENT_TYPE, "application/json")
        .header(EVENT, signal.event.as_str())
        .header(DELIVERY, id)
        .timeout(to.timeout);
    if let Some(secret) = &to.secret {
        // The time of this attempt: what is sent again late must not look old.
        let now = Timestamp::now().as_second();
        request = request.header(SIGNATURE, signature(secret.expose(), now, body.as_bytes()));
    }
    let answer = request.body(body.to_owned()).send().await.map_err(|error| Refused {
        // A URL that cannot be one is none the next time either.
        again: (!error.is_builder()).then_some(Duration::ZERO),
        // Who knows the URL can often send to it, so that it stands in no message.
        why: crate::watch::sources::cause(&error.without_url()),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked
        .and_then(|text| retry_after(text, Timestamp::now()))
        .unwrap_or_default();
    let can_help = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let why = match status.is_redirection() {
        true => format!("the answer is {status}: redirects are not followed"),
        false => format!("the answer is {status}"),
    };
    Err(Refused {
        why,
        again: can_help.then_some(asked.min(LONGEST)),
    })
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    at.duration_since(now).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_when_it_takes_more() {
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Mon, 01 Jun 2026 12:01:00 GMT", Some(60)),
            ("Mon, 01 Jun 2026 11:59:00 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(text, now).map(|after| after.as_secs()), expected, "{text}");
        }
    }
}
