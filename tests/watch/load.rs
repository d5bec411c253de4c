//! A source of load: an HTTP server that answers as a test wants.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What it answers with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This body, with status 200.
    Body(String),
    /// This status.
    Status(u16),
    /// Nothing, for ever: the connection stays open.
    Hang,
}

/// A server.
#[derive(Debug, Clone)]
pub struct Load {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Load {
    /// Starts one that answers `{"busy_percent": busy}`.
    pub fn of(busy: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let load = Load {
            address: listener.local_addr().expect("it listens"),
            answer: Arc::new(Mutex::new(Answer::Hang)),
            asked: Arc::default(),
            requests: Arc::default(),
        };
        load.set(busy);
        let serving = load.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        load
    }

    /// Has it answer another load from now on.
    pub fn set(&self, busy: f64) {
        self.say(Answer::Body(format!("{{\"busy_percent\": {busy}}}")));
    }

    /// Has it answer otherwise from now on.
    pub fn say(&self, answer: Answer) {
        *self.answer.lock().expect("no panic holds it") = answer;
    }

    /// Where it is: `http://127.0.0.1:1234/load`.
    pub fn url(&self) -> String {
        format!("http://{}/load", self.address)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The first lines of what it was asked.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic holds it").clone()
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut part = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => return,
                Ok(read) => request.extend_from_slice(&part[..read]),
            }
        }
        let line = String::from_utf8_lossy(&request)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        self.requests.lock().expect("no panic holds it").push(line);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().expect("no panic holds it").clone();
        let (status, body) = match answer {
            Answer::Body(body) => (200, body),
            Answer::Status(status) => (status, "broken".to_owned()),
            Answer::Hang => loop {
                std::thread::park();
            },
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        // Who asked may be gone.
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    }
}
