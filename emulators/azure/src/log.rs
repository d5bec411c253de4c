//! What was asked, for tests to read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::Request;

/// A request, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts them from one.
    pub number: u64,
    /// When it came, in the time of the emulator.
    pub at: Timestamp,
    /// GET, PUT, …
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The version of the interface, empty for none.
    pub api_version: String,
    /// The rest of the query.
    pub query: Vec<(String, String)>,
    /// Who asked, as the client calls itself.
    pub user_agent: String,
    /// The condition that it came with.
    pub if_match: Option<String>,
    /// The condition that it came with.
    pub if_none_match: Option<String>,
    /// What was sent. The forms of the token endpoint are not kept: secrets are in them.
    pub body: Value,
    /// The status of the answer; 0 where the request was lost.
    pub status: u16,
    /// Whether the client got the answer.
    pub answered: bool,
}

/// How many requests are kept at the most; the oldest go.
const KEPT: usize = 200_000;

/// All requests.
#[derive(Debug, Default)]
pub struct Log {
    entries: std::collections::VecDeque<Entry>,
    count: u64,
}

impl Log {
    /// Adds a request.
    pub fn add(&mut self, at: Timestamp, request: &Request, status: u16, answered: bool) {
        self.count += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let query = request.query.iter().filter(|(name, _)| *name != "api-version");
        self.entries.push_back(Entry {
            number: self.count,
            at,
            method: request.method.to_string(),
            path: request.path.clone(),
            api_version: request.api_version().to_owned(),
            query: query.map(|(name, value)| (name.clone(), value.clone())).collect(),
            user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
            if_match: request.header("if-match").map(str::to_owned),
            if_none_match: request.header("if-none-match").map(str::to_owned),
            body: request.body.clone(),
            status,
            answered,
        });
    }

    /// Returns all requests that are kept, in their order.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
