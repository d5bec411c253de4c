//! A watch at work that listens, and what it answers.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::Fleet;
use crate::watcher::Watcher;

/// For how long something that must come is waited for.
const LIMIT: Duration = Duration::from_secs(120);

/// A watch at work that listens.
pub struct Served {
    pub watcher: Watcher,
    pub address: String,
}

/// An answer: its status, its head and its body.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Got {
    /// Reads an answer to its end.
    pub fn read(mut stream: impl Read) -> Self {
        let mut answer = Vec::new();
        // What is sent after a refusal has the connection be reset, behind the answer.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert!(!answer.is_empty(), "{error}");
        }
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no head: {answer}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Got {
            status: status.expect("a status"),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines();
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Why there is no other answer.
    #[track_caller]
    pub fn error(&self) -> String {
        let json = self.json();
        json["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{}{}", self.head, self.body))
            .to_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}{}", self.head, self.body))
    }
}

impl Served {
    pub fn start(fleet: &Fleet) -> Self {
        Self::with(fleet, &["--listen", "127.0.0.1:0"])
    }

    /// Starts one with flags.
    pub fn with(fleet: &Fleet, flags: &[&str]) -> Self {
        Self::with_in(fleet, flags, &[])
    }

    /// Starts one with flags and variables of the environment.
    pub fn with_in(fleet: &Fleet, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut watcher = Watcher::start_in(fleet, flags, environment);
        let listening = watcher.wait_for_type("listening");
        let address = listening["address"].as_str().expect("an address").to_owned();
        Served { watcher, address }
    }

    /// Asks, with more lines of a head, and returns what it is answered on.
    pub fn asked(&self, method: &str, path: &str, host: &str, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    pub fn ask(&self, method: &str, path: &str, host: &str) -> Got {
        Got::read(self.asked(method, path, host, ""))
    }

    /// Asks as somebody who has a token, or nobody, with a body.
    pub fn call(&self, method: &str, path: &str, token: &str, body: impl AsRef<[u8]>) -> Got {
        self.call_with(method, path, token, "", body)
    }

    /// Asks with more lines of a head, too.
    pub fn call_with(&self, method: &str, path: &str, token: &str, more: &str, body: impl AsRef<[u8]>) -> Got {
        let body = body.as_ref();
        let token = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let length = body.len();
        let mut stream = self.asked(
            method,
            path,
            &self.address,
            &format!("{token}{more}content-length: {length}\r\n"),
        );
        // Where it is refused, it may not be read.
        let _ = stream.write_all(body);
        Got::read(stream)
    }

    pub fn get(&self, path: &str) -> Got {
        self.ask("GET", path, &self.address)
    }

    /// Waits, as somebody who has a token, until an answer is as it must become.
    #[track_caller]
    pub fn wait_as(&self, token: &str, path: &str, is_it: impl Fn(&Got) -> bool) -> Got {
        let until = Instant::now() + LIMIT;
        loop {
            let got = self.call("GET", path, token, "");
            if is_it(&got) {
                return got;
            }
            assert!(Instant::now() < until, "{path} stays: {}\n{}", got.status, got.body);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an answer is as it must become.
    #[track_caller]
    pub fn wait_for(&self, path: &str, is_it: impl Fn(&Got) -> bool) -> Got {
        let until = Instant::now() + LIMIT;
        loop {
            let got = self.get(path);
            if is_it(&got) {
                return got;
            }
            assert!(Instant::now() < until, "{path} stays: {}\n{}", got.status, got.body);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Follows events from after one on, and returns the first few as pairs of id and data.
    pub fn events(&self, after: &str, count: usize) -> Vec<(String, Json)> {
        let more = match after {
            "" => String::new(),
            after => format!("last-event-id: {after}\r\n"),
        };
        let stream = self.asked("GET", "/v1/events", &self.address, &more);
        let (mut id, mut events) = (String::new(), Vec::new());
        for line in BufReader::new(stream).lines() {
            let line = line.expect("a line");
            if let Some(of) = line.strip_prefix("id: ") {
                id = of.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                events.push((id.clone(), serde_json::from_str(data).expect("JSON")));
            }
            if events.len() == count {
                break;
            }
        }
        events
    }
}
