//! A watch at work, and what it tells.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

use crate::support::{Ended, Fleet};

/// For how long something that must come is waited for, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(120);

/// A watch at work.
pub struct Watcher {
    /// `None` once it has ended.
    child: Option<Child>,
    events: Receiver<Json>,
    /// What it told so far.
    pub told: Vec<Json>,
}

impl Watcher {
    /// Starts one.
    pub fn start(fleet: &Fleet, more: &[&str]) -> Self {
        Self::start_in(fleet, more, &[])
    }

    /// Starts one with variables of the environment.
    pub fn start_in(fleet: &Fleet, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["watch", "--json"], more].concat();
        let mut child = fleet.start(&arguments, environment);
        let out = child.stdout.take().expect("it is piped");
        let (send, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("an event a line");
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        Watcher {
            child: Some(child),
            events,
            told: Vec::new(),
        }
    }

    /// Waits until it tells something; returns that.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&Json) -> bool) -> Json {
        let until = Instant::now() + LIMIT;
        loop {
            match self
                .events
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(event) => {
                    self.told.push(event.clone());
                    if is_it(&event) {
                        return event;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("it never tells {what}: {}", self.all()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before it told {what}: {}", self.all()),
            }
        }
    }

    /// Waits for an event of a type.
    #[track_caller]
    pub fn wait_for_type(&mut self, kind: &str) -> Json {
        self.wait_for(kind, |event| event["type"] == kind)
    }

    /// Waits until a pool has been decided to have so many members.
    #[track_caller]
    pub fn wait_for_size(&mut self, pool: &str, size: i64) -> Json {
        self.wait_for(&format!("{size} members of {pool}"), |event| {
            event["type"] == "decided" && event["pool"] == pool && event["decision"]["desired"] == size
        })
    }

    /// Returns what it told, a line each.
    pub fn all(&self) -> String {
        self.told.iter().map(|event| format!("{event}\n")).collect()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = Pid::from_raw(child.id() as i32).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("it was started");
    }

    /// Asks it to end, and waits until it did.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        while let Ok(event) = self.events.recv_timeout(LIMIT) {
            self.told.push(event);
        }
        let out = self.all();
        let child = self.child.take().expect("it runs");
        let mut ended: Ended = child.wait_with_output().expect("it was started").into();
        ended.out = out;
        ended
    }
}

/// Nothing of a failed test goes on.
impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
