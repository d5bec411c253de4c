//! A request as the emulated cloud sees it, and its answer: no sockets here.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

/// A request to Azure Resource Manager, or to one of the endpoints beside it.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, PUT, …
    pub method: Method,
    /// The path as it was sent.
    pub path: String,
    /// The path at its slashes, decoded.
    pub steps: Vec<String>,
    /// The query, its names in lower case.
    pub query: BTreeMap<String, String>,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What was sent, null for nothing.
    pub body: Value,
    /// What was sent, where it is no JSON: a form.
    pub form: BTreeMap<String, String>,
    /// `scheme://host:port` as the client sees it: URLs in answers begin with it.
    pub base: String,
}

impl Request {
    /// Returns a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the step of the path at `index` in lower case, empty where there is none.
    pub fn step(&self, index: usize) -> String {
        self.steps
            .get(index)
            .map(|step| step.to_lowercase())
            .unwrap_or_default()
    }

    /// Returns the version of the interface that was asked for.
    pub fn api_version(&self) -> &str {
        self.query.get("api-version").map_or("", String::as_str)
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if there is one.
    pub body: Option<Value>,
}

impl Answer {
    /// Answers with a body.
    pub fn json(status: u16, body: Value) -> Self {
        Answer {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    /// Answers without a body.
    pub fn empty(status: u16) -> Self {
        Answer {
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What ARM refuses, in its envelope: `{"error": {"code", "message", "target", "details", "innererror"}}`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ArmError {
    /// The status of HTTP.
    pub status: u16,
    /// The code of ARM, such as `ResourceNotFound`.
    pub code: String,
    /// What a person reads.
    pub message: String,
    /// What it is about.
    pub target: Option<String>,
    /// More errors, which say it in detail.
    pub details: Vec<(String, String)>,
    /// What lies behind it.
    pub inner: Option<String>,
    /// After how many seconds it may be tried again.
    pub retry_after: Option<u64>,
}

impl ArmError {
    /// Refuses with a status, a code of ARM and a message.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        ArmError {
            status,
            code: code.to_owned(),
            message: message.into(),
            target: None,
            details: Vec::new(),
            inner: None,
            retry_after: None,
        }
    }

    /// 400: the request is wrong.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        ArmError::new(400, code, message)
    }

    /// 400 `InvalidParameter`, which names its target.
    pub fn parameter(target: &str, message: impl Into<String>) -> Self {
        ArmError {
            target: Some(target.to_owned()),
            ..ArmError::new(400, "InvalidParameter", message)
        }
    }

    /// Returns what stands under `error`.
    pub fn envelope(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), json!(self.code));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(target) = &self.target {
            error.insert("target".to_owned(), json!(target));
        }
        if !self.details.is_empty() {
            let details: Vec<Value> = (self.details.iter())
                .map(|(code, message)| json!({"code": code, "message": message}))
                .collect();
            error.insert("details".to_owned(), Value::Array(details));
        }
        if let Some(inner) = &self.inner {
            let inner = json!({"exceptiontype": self.code, "errordetail": inner});
            error.insert("innererror".to_owned(), inner);
        }
        Value::Object(error)
    }
}

impl From<ArmError> for Answer {
    fn from(error: ArmError) -> Self {
        let mut answer = Answer::json(error.status, json!({"error": error.envelope()}));
        if let Some(seconds) = error.retry_after {
            answer = answer.with("retry-after", seconds.to_string());
        }
        answer.with("x-ms-failure-cause", "gateway")
    }
}

/// What every handler gives.
pub type Result<T, E = ArmError> = std::result::Result<T, E>;
