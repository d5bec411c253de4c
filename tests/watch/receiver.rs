//! A receiver of events: an HTTP server that answers as a test wants, and keeps what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value as Json;
use sha2::Sha256;

/// For how long something that must come is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// What it was sent once.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// Its head, names in lower case.
    pub head: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

impl Sent {
    /// Returns the body.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns the name of the event.
    pub fn event(&self) -> &str {
        &self.head["x-simfleet-event"]
    }

    /// Returns the id of the delivery.
    pub fn id(&self) -> &str {
        &self.head["x-simfleet-delivery"]
    }

    /// Demands that it is signed with a secret, as a receiver would.
    #[track_caller]
    pub fn is_signed_with(&self, secret: &str) {
        let header = &self.head["x-simfleet-signature"];
        let (time, signature) = header.split_once(",v1=").expect("two parts");
        let time = time.strip_prefix("t=").expect("a time");
        let age = jiff::Timestamp::now().as_second() - time.parse::<i64>().expect("seconds");
        assert!((0..300).contains(&age), "{header}");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(format!("{time}.{}", self.body).as_bytes());
        let signature = hex::decode(signature).expect("hexadecimal");
        mac.verify_slice(&signature).expect("the signature of the body");
    }
}

/// What it answers with, as lines of a head; nothing, for ever, where it is empty.
type Answer = &'static str;

/// It took the event.
pub const TAKEN: Answer = "204 No Content\r\n";

/// A receiver.
#[derive(Debug, Clone)]
pub struct Receiver {
    address: SocketAddr,
    /// What it answers next, and then from there on.
    answers: Arc<Mutex<(VecDeque<Answer>, Answer)>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Receiver {
    /// Starts one that gives some answers first, and another one from there on.
    pub fn of(first: &[Answer], then: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver = Receiver {
            address: listener.local_addr().expect("it listens"),
            answers: Arc::new(Mutex::new((first.iter().copied().collect(), then))),
            sent: Arc::default(),
        };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        receiver
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/hooks/T0KEN", self.address)
    }

    /// Has it answer otherwise from now on.
    pub fn say(&self, answer: Answer) {
        *self.answers.lock().expect("no panic holds it") = (VecDeque::new(), answer);
    }

    /// Returns all that it was sent.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no panic holds it").clone()
    }

    /// Returns the names of the events that it was sent.
    pub fn events(&self) -> Vec<String> {
        self.sent().iter().map(|sent| sent.event().to_owned()).collect()
    }

    /// Waits until it was sent so much that is of a kind; returns that.
    #[track_caller]
    pub fn wait_for(&self, count: usize, is_it: impl Fn(&Sent) -> bool) -> Vec<Sent> {
        let until = Instant::now() + LIMIT;
        loop {
            let found: Vec<Sent> = self.sent().into_iter().filter(|sent| is_it(sent)).collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < until, "it was sent {:?}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it was sent an event of a name; returns that.
    #[track_caller]
    pub fn wait_for_event(&self, name: &str) -> Sent {
        self.wait_for(1, |sent| sent.event() == name).remove(0)
    }

    fn answer(&self, mut stream: TcpStream) {
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        let (head, length) = loop {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(read) => request.extend_from_slice(&part[..read]),
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let head: BTreeMap<String, String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = head["content-length"].parse().expect("a length");
            if body.len() >= length {
                break (head, length);
            }
        };
        let body = request[request.len() - length..].to_vec();
        self.sent.lock().expect("no panic holds it").push(Sent {
            at: Instant::now(),
            head,
            body: String::from_utf8(body).expect("text"),
        });
        let answer = {
            let mut answers = self.answers.lock().expect("no panic holds it");
            let then = answers.1;
            answers.0.pop_front().unwrap_or(then)
        };
        while answer.is_empty() {
            std::thread::park();
        }
        let answer = format!("HTTP/1.1 {answer}content-length: 0\r\nconnection: close\r\n\r\n");
        // Who sent it may be gone.
        let _ = stream.write_all(answer.as_bytes());
    }
}
