//! URLs that answer with JSON, or with a number.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use reqwest::{Client, ClientBuilder, RequestBuilder};
use serde_json::{Value as Json, json};

use super::{Asked, Question, Values, filled, is_per_member};

/// How many members are asked at once.
const AT_ONCE: usize = 16;

/// More than this is no answer to a question for a number, in bytes.
const LONGEST: usize = 4 << 20;

/// Asks URLs.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
}

impl Http {
    /// Gets ready to ask.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub(super) fn new() -> Result<Self, String> {
        client().map(|client| Http { client })
    }

    /// Asks a URL, for each member where it names one. What follows `#` says where in the answer the value is.
    pub(super) async fn ask(&self, query: &str, question: &Question) -> Result<Values, String> {
        let (url, pointer) = query.split_once('#').unwrap_or((query, ""));
        let value = async |member: Option<&Asked>| -> Result<f64, String> {
            let request = self.client.get(filled(url, &question.pool, member)?);
            number(&self.text(request, question.timeout).await?, pointer)
        };
        let mut values = Values::default();
        if !is_per_member(url) {
            values.pool = Some(value(None).await?);
            return Ok(values);
        }
        let ask = async |member: &Asked| (member.number, value(Some(member)).await);
        let answers: Vec<_> = stream::iter(question.members.iter())
            .map(ask)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (number, answer) in answers {
            match answer {
                Ok(value) => _ = values.members.insert(number, value),
                Err(why) => _ = values.missing.insert(number, why),
            }
        }
        Ok(values)
    }

    /// Asks somebody how many members there should be: is sent `{"pool", "members"}`, and answers `{"size": n}` or a number.
    pub(super) async fn size(&self, url: &str, question: &Question) -> Result<Values, String> {
        let members: Vec<String> = question
            .members
            .iter()
            .map(|member| member.address.to_string())
            .collect();
        let asked = json!({ "pool": question.pool.to_string(), "members": members });
        let text = self.text(self.client.post(url).json(&asked), question.timeout).await?;
        let pointer = if text.trim_start().starts_with('{') {
            "$.size"
        } else {
            ""
        };
        Ok(Values {
            pool: Some(number(&text, pointer)?),
            ..Values::default()
        })
    }

    /// Sends a request; returns what it answers with.
    pub(super) async fn get(&self, url: &str, query: &[(&str, &str)], timeout: Duration) -> Result<String, String> {
        self.text(self.client.get(url).query(query), timeout).await
    }

    async fn text(&self, request: RequestBuilder, timeout: Duration) -> Result<String, String> {
        let mut answer = request.timeout(timeout).send().await.map_err(|error| cause(&error))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| cause(&error))? {
            body.extend_from_slice(&part);
            if body.len() > LONGEST {
                return Err(format!("the answer is longer than {LONGEST} bytes"));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        match status.is_success() {
            true => Ok(text),
            false => Err(format!("the answer is {status}: {}", begin(&text))),
        }
    }
}

/// Returns what asks, and what sends events.
///
/// # Errors
/// The system's certificates cannot be read.
pub(crate) fn client() -> Result<Client, String> {
    builder().build().map_err(|error| cause(&error))
}

/// Returns what makes it.
pub(crate) fn builder() -> ClientBuilder {
    // One for the whole program; where somebody set it before, that one holds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().user_agent(concat!("simfleet/", env!("CARGO_PKG_VERSION")));
    // A redirect could lead where nobody meant to ask.
    builder.redirect(reqwest::redirect::Policy::none())
}

/// Returns what failed, down to the cause: the library's own words say only where.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    match error.url() {
        Some(url) => format!("{}: {deepest}", url.origin().ascii_serialization()),
        None => deepest.to_string(),
    }
}

/// Returns the number in an answer: all of it, or what a pointer leads to in its JSON.
fn number(text: &str, pointer: &str) -> Result<f64, String> {
    if pointer.is_empty() {
        let parsed = text.trim().parse::<f64>();
        return parsed.map_err(|_| format!("the answer is no number: {}", begin(text)));
    }
    let json: Json = serde_json::from_str(text).map_err(|_| format!("the answer is no JSON: {}", begin(text)))?;
    let found = pointed(&json, pointer).ok_or_else(|| format!("the answer has no {pointer}: {}", begin(text)))?;
    let value = match found {
        Json::String(text) => text.trim().parse().ok(),
        Json::Bool(is) => Some(f64::from(u8::from(*is))),
        other => other.as_f64(),
    };
    value.ok_or_else(|| format!("{pointer} of the answer is no number: {}", begin(&found.to_string())))
}

/// Returns what a pointer leads to: `$.memory.percent`, `$.cpus[0]`, or as RFC 6901 has it, `/memory/percent`.
fn pointed<'j>(json: &'j Json, pointer: &str) -> Option<&'j Json> {
    if pointer.starts_with('/') {
        return json.pointer(pointer);
    }
    let path = pointer.strip_prefix('$').unwrap_or(pointer);
    let mut found = json;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        found = match step.strip_suffix(']') {
            Some(index) => match index.trim_matches(['"', '\'']) {
                name if name.len() < index.len() => found.get(name)?,
                index => found.get(index.parse::<usize>().ok()?)?,
            },
            None => found.get(step)?,
        };
    }
    Some(found)
}

/// Returns the beginning of a text, for an error.
fn begin(text: &str) -> String {
    const SHOWN: usize = 80;
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_into_json() {
        let text = r#"{"cpu": 12.5, "memory": {"percent": "40"}, "cpus": [1, {"a b": 2}], "busy": true, "none": null}"#;
        for (pointer, expected) in [
            ("$.cpu", Ok(12.5)),
            ("cpu", Ok(12.5)),
            ("/memory/percent", Ok(40.0)),
            ("$.memory.percent", Ok(40.0)),
            ("$.cpus[0]", Ok(1.0)),
            ("$.cpus[1]['a b']", Ok(2.0)),
            ("$.busy", Ok(1.0)),
            ("$.gpu", Err("the answer has no $.gpu")),
            ("$.cpus[7]", Err("the answer has no $.cpus[7]")),
            ("$.none", Err("$.none of the answer is no number: `null`")),
        ] {
            match (number(text, pointer), expected) {
                (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{pointer}"),
                (Err(why), Err(expected)) => assert!(why.starts_with(expected), "{pointer}: {why}"),
                (other, expected) => panic!("{pointer}: {other:?}, not {expected:?}"),
            }
        }
        assert_eq!(number(" 3.5\n", ""), Ok(3.5));
        assert!(number("<html>", "").is_err_and(|why| why == "the answer is no number: `<html>`"));
        assert!(number("<html>", "$.cpu").is_err_and(|why| why == "the answer is no JSON: `<html>`"));
    }
}
