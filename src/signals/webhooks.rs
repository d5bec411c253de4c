//! Who is told of events. Each receiver has a queue and a task of its own: one that is slow, dead or refuses everything delays
//! neither the loop nor another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Client;
use simfleet_provider_api::Address;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use super::deliver::Counts;
use super::deliver::Queue;
use super::{Sender, Signal};
use crate::config::blocks::Webhook;

/// How many events are kept until it is known who is told of them.
const EARLY: usize = 100;

/// What is new of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It did not take an event, after it took those before; why.
    Failed(String),
    /// It takes events again.
    Delivers {
        /// How many it did not take until then.
        missed: u64,
    },
    /// Events for it are dropped now.
    Dropping,
}

/// The receivers.
#[derive(Debug)]
pub struct Webhooks {
    client: Option<Client>,
    from: Arc<Sender>,
    receivers: BTreeMap<Address, Receiver>,
    news: mpsc::UnboundedSender<(Address, News)>,
    /// What happened before it was known who is told; `None` since.
    early: Option<Vec<Arc<Signal>>>,
}

#[derive(Debug)]
struct Receiver {
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

impl Webhooks {
    /// Begins without receivers. What is new of them is told to `news`.
    pub fn new(from: Sender, news: mpsc::UnboundedSender<(Address, News)>) -> Self {
        Webhooks {
            client: None,
            from: Arc::new(from),
            receivers: BTreeMap::new(),
            news,
            early: Some(Vec::new()),
        }
    }

    /// Takes over the receivers that are declared. What waits for one that stays is sent as it is declared now; what waits
    /// for one that goes is not sent.
    pub fn set(&mut self, declared: BTreeMap<Address, Webhook>) {
        self.receivers.retain(|address, receiver| {
            let stays = declared.contains_key(address);
            if !stays {
                receiver.task.abort();
            }
            stays
        });
        for (address, webhook) in declared {
            let webhook = Arc::new(webhook);
            match self.receivers.get(&address) {
                Some(receiver) => receiver.queue.set(webhook),
                None => self.begin(address, webhook),
            }
        }
        for signal in self.early.take().into_iter().flatten() {
            self.send(signal);
        }
    }

    fn begin(&mut self, address: Address, webhook: Arc<Webhook>) {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => match crate::watch::sources::client() {
                Ok(client) => self.client.insert(client).clone(),
                Err(why) => {
                    let _ = self.news.send((address, News::Failed(why)));
                    return;
                }
            },
        };
        let (from, news) = (Arc::clone(&self.from), self.news.clone());
        let queue = Arc::new(Queue::new(address.clone(), webhook, from, news));
        let task = tokio::spawn(Arc::clone(&queue).run(client));
        self.receivers.insert(address, Receiver { queue, task });
    }

    /// Has an event be sent to those who want it. Waits for nothing.
    pub fn send(&mut self, signal: Arc<Signal>) {
        if !signal.event.is_sent() {
            return;
        }
        if let Some(early) = &mut self.early {
            early.push(signal);
            early.truncate(EARLY);
            return;
        }
        for receiver in self.receivers.values().filter(|receiver| receiver.queue.wants(&signal)) {
            receiver.queue.add(Arc::clone(&signal));
        }
    }

    /// Returns what is counted of each.
    pub fn counts(&self) -> BTreeMap<Address, Counts> {
        let counts = self.receivers.iter();
        counts
            .map(|(address, receiver)| (address.clone(), receiver.queue.counts()))
            .collect()
    }

    /// Sends what waits, for so long at most. Returns how many events each receiver was not sent.
    pub async fn close(&mut self, patience: Duration) -> Vec<(Address, usize)> {
        let receivers = std::mem::take(&mut self.receivers);
        for receiver in receivers.values() {
            receiver.queue.close();
        }
        let (mut lost, mut tasks) = (Vec::new(), Vec::new());
        for (address, receiver) in receivers {
            tasks.push((address, receiver.queue, receiver.task));
        }
        let _ = tokio::time::timeout(patience, join_all(tasks.iter_mut().map(|(_, _, task)| task))).await;
        for (address, queue, task) in tasks {
            task.abort();
            let waiting = queue.counts().waiting;
            if waiting > 0 {
                lost.push((address, waiting));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::{EventName, Severity};
    use super::*;

    fn signal(number: usize) -> Arc<Signal> {
        Arc::new(Signal {
            event: EventName::PoolDecided,
            at: jiff::Timestamp::UNIX_EPOCH,
            address: None,
            severity: Severity::Info,
            told: serde_json::json!({ "message": number.to_string() }),
            notify: Vec::new(),
        })
    }

    #[tokio::test]
    async fn of_too_many_the_oldest_are_dropped_and_the_rest_is_sent_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (news, mut told) = mpsc::unbounded_channel();
        let mut webhooks = Webhooks::new(Sender::default(), news);
        let address: Address = "webhook.a".parse().unwrap();
        webhooks.set([(address.clone(), Webhook::to(&url))].into());
        // Nobody takes them before all are there: the first is at work at most, and the last thousand wait.
        let count = 1_500;
        (0..count).for_each(|number| webhooks.send(signal(number)));
        assert_eq!(told.recv().await, Some((address.clone(), News::Dropping)));
        let counts = webhooks.counts()[&address];
        let dropped = counts.dropped as usize;
        assert!(dropped == count - counts.waiting && dropped >= 499, "{counts:?}");
        let receiving = tokio::spawn(async move {
            let mut numbers = Vec::new();
            while numbers.last() != Some(&(count - 1)) {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let mut text = String::new();
                while !text.contains("\"message\":\"") || !text.ends_with('}') {
                    let read = stream.read(&mut request).await.unwrap();
                    text.push_str(std::str::from_utf8(&request[..read]).unwrap());
                }
                let (_, number) = text.split_once("\"message\":\"").unwrap();
                numbers.push(number.split('"').next().unwrap().parse::<usize>().unwrap());
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
            numbers
        });
        let numbers = receiving.await.unwrap();
        assert!(numbers.is_sorted() && numbers.len() + dropped == count, "{numbers:?}");
        assert_eq!(webhooks.close(Duration::from_secs(10)).await, []);
    }
}
