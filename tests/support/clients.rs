//! Clients that ask an HTTP server all the time, and count what comes of it.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::nginx::until;

/// What came of requests.
#[derive(Debug, Default, Clone)]
pub struct Count {
    pub answered: BTreeMap<String, u64>,
    pub failed: BTreeMap<String, u64>,
    /// Requests over a connection that nginx had closed while nobody used it: the client asks again, as every client does.
    pub asked_again: u64,
}

impl Count {
    pub fn all(&self) -> u64 {
        self.answered.values().sum()
    }
}

/// Clients that ask all the time, each as fast as it is answered.
pub struct Clients {
    stop: Arc<AtomicBool>,
    count: Arc<Mutex<Count>>,
    clients: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Clients with connections that stay and such without, that read and such that write: what writes is sent once.
    pub fn on(port: u16) -> Self {
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Count>>::default());
        let kinds = [("GET", true), ("POST", true), ("GET", false), ("POST", false)];
        let clients = kinds.into_iter().cycle().take(8).map(|(method, keeps)| {
            let (stop, count) = (stop.clone(), count.clone());
            std::thread::spawn(move || client(port, method, keeps, &stop, &count))
        });
        Clients {
            clients: clients.collect(),
            stop,
            count,
        }
    }

    pub fn so_far(&self) -> Count {
        self.count.lock().expect("no client panicked").clone()
    }

    /// Waits until so many more were answered.
    pub fn more(&self, requests: u64) {
        let before = self.so_far().all();
        until("requests are answered", || self.so_far().all() >= before + requests);
    }

    pub fn end(self) -> Count {
        self.stop.store(true, Ordering::Relaxed);
        self.clients
            .into_iter()
            .for_each(|client| client.join().expect("it ends"));
        Arc::try_unwrap(self.count)
            .expect("all have ended")
            .into_inner()
            .expect("no client panicked")
    }
}

fn client(port: u16, method: &str, keeps: bool, stop: &AtomicBool, count: &Mutex<Count>) {
    let mut connection: Option<BufReader<TcpStream>> = None;
    while !stop.load(Ordering::Relaxed) {
        let is_used = connection.is_some();
        let asked = ask(port, method, keeps, &mut connection);
        let mut count = count.lock().expect("no client panicked");
        match asked {
            Ok(name) => *count.answered.entry(name).or_default() += 1,
            Err(Unanswered::Closed) if is_used => count.asked_again += 1,
            Err(error) => *count.failed.entry(format!("{method}: {error:?}")).or_default() += 1,
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Unanswered {
    /// The connection ended before the first byte.
    Closed,
    Other(#[expect(dead_code, reason = "it is told")] String),
}

fn ask(
    port: u16,
    method: &str,
    keeps: bool,
    connection: &mut Option<BufReader<TcpStream>>,
) -> Result<String, Unanswered> {
    let other = |error: std::io::Error| Unanswered::Other(error.to_string());
    let mut used = match connection.take() {
        Some(used) => used,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port)).map_err(other)?;
            stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(other)?;
            BufReader::new(stream)
        }
    };
    let (body, keeping) = match method {
        "POST" => ("four", "Content-Length: 4\r\n"),
        _ => ("", ""),
    };
    let keeping = format!(
        "{keeping}Connection: {}\r\n",
        if keeps { "keep-alive" } else { "close" }
    );
    let request = format!("{method} / HTTP/1.1\r\nHost: test\r\n{keeping}\r\n{body}");
    // What is sent to a connection that is closed is seen when nothing comes back.
    let _ = used.get_mut().write_all(request.as_bytes());
    match used.fill_buf() {
        Ok(bytes) if !bytes.is_empty() => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(other(error)),
        _ => return Err(Unanswered::Closed),
    }
    let cut_off = || Unanswered::Other("an answer that is cut off".to_owned());
    let head = head(&mut used).ok_or_else(cut_off)?;
    let length = head
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .ok_or_else(cut_off)?;
    let mut body = vec![0; length];
    used.read_exact(&mut body).map_err(other)?;
    let (status, body) = (&head[""], String::from_utf8_lossy(&body).into_owned());
    if !status.starts_with("HTTP/1.1 200") {
        return Err(Unanswered::Other(status.clone()));
    }
    if keeps && head.get("connection").is_none_or(|it| it != "close") {
        *connection = Some(used);
    }
    Ok(body)
}

/// Reads the head of a request or of an answer: the first line under "", the fields in small letters.
pub fn head(input: &mut impl BufRead) -> Option<BTreeMap<String, String>> {
    let mut line = || {
        let mut line = String::new();
        let length = input.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let mut head = BTreeMap::from([(String::new(), line()?)]);
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else {
            return Some(head);
        };
        head.insert(name.to_lowercase(), value.trim().to_lowercase());
    }
}
