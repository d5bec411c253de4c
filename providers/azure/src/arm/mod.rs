//! Azure Resource Manager: one pipeline for all calls.
//!
//! - `refusal`: what it says when it does not do something, and what that means for the caller
//! - `operation`: what it goes on with after it has answered
//!
//! The pipeline sends a write once. Who calls decides whether to send it again: the engine, with the limits that all calls
//! share. A question that got no answer is asked a few times more, as Microsoft's own clients do: of a list of many pages one
//! page that is lost would be the loss of all.

pub(crate) mod operation;
pub(crate) mod refusal;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};
use serde_json::Value as Json;
use simfleet_provider_api::ProviderError;
use tokio::sync::OnceCell;

use crate::cloud::{Cloud, Discovered};
use crate::credentials::{Credentials, NoToken, cause};
use refusal::Refusal;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// Resource Manager itself gives up on a call after a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// How many items a page of a list can have is decided there; more pages than this are a list without an end.
const MOST_PAGES: usize = 10_000;
/// How often a question is asked that gets no answer.
const ASKED: u32 = 4;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What it is for, in words: `make the vm "a"`.
    pub(crate) what: String,
    pub(crate) method: Method,
    /// A path with its query, or the whole of a URL that an answer gave.
    pub(crate) target: String,
    pub(crate) body: Option<Json>,
    pub(crate) condition: Condition,
}

/// What a write needs to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// There is nothing of that name.
    IsNew,
    /// It has this ETag.
    IsVersion(String),
}

impl Request {
    pub(crate) fn get(what: impl Into<String>, target: impl Into<String>) -> Self {
        Request {
            what: what.into(),
            method: Method::GET,
            target: target.into(),
            body: None,
            condition: Condition::None,
        }
    }
}

/// What came back, where it was no refusal.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `null` where there is none.
    pub(crate) body: Json,
    pub(crate) etag: Option<String>,
    /// Where the operation is followed by its status.
    pub(crate) operation: Option<String>,
    /// Where the operation is followed by its result.
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("cannot {what}: {endpoint} cannot be reached: {cause}")]
    NoConnection {
        what: String,
        endpoint: String,
        cause: String,
    },
    #[error("cannot {what}: no answer from {endpoint}: {cause}")]
    NoAnswer {
        what: String,
        endpoint: String,
        cause: String,
        is_late: bool,
    },
    #[error("cannot {what}: {source}")]
    NoToken { what: String, source: NoToken },
    #[error("cannot {what}: {problem}")]
    Nonsense { what: String, problem: String },
    #[error("cannot {what}: {refusal}")]
    Refused { what: String, refusal: Box<Refusal> },
}

impl CallError {
    /// Returns the refusal, where the far side answered with one.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            CallError::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// Returns the status, where the far side answered with a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Whether a second call may well be answered. One that took all the time it had is not sent again.
    fn is_momentary(&self) -> bool {
        match self {
            CallError::NoAnswer { is_late, .. } => !is_late,
            CallError::Refused { refusal, .. } => refusal.is_momentary(),
            _ => false,
        }
    }
}

impl From<CallError> for ProviderError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::NoAnswer { .. } => ProviderError::Ambiguous { message },
            CallError::NoConnection { .. } => ProviderError::NotSent {
                message,
                retry_after: None,
            },
            CallError::NoToken { source, .. } if source.is_transient => ProviderError::NotSent {
                message,
                retry_after: None,
            },
            CallError::NoToken { .. } => ProviderError::Denied { message },
            CallError::Nonsense { .. } => ProviderError::Broken { message },
            CallError::Refused { refusal, .. } => refusal.meaning(message),
        }
    }
}

/// The pipeline.
#[derive(Debug)]
pub(crate) struct Arm {
    http: reqwest::Client,
    cloud: Cloud,
    discovered: OnceCell<Discovered>,
    credentials: Credentials,
}

impl Arm {
    /// Makes the pipeline; nothing is sent.
    pub(crate) fn new(
        cloud: Cloud,
        tenant: Option<String>,
        variables: crate::credentials::Variables,
    ) -> Result<Self, ProviderError> {
        // The program does it first of all; a test of this crate alone does not.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("simfleet/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_PATIENCE)
                .timeout(PATIENCE)
                .redirect(reqwest::redirect::Policy::none())
        };
        let broken = |error: reqwest::Error| ProviderError::Broken {
            message: format!("cannot make an HTTP client: {}", cause(&error)),
        };
        let http = builder().build().map_err(broken)?;
        let near = builder().no_proxy().build().map_err(broken)?;
        Ok(Arm {
            credentials: Credentials::new(variables, tenant, http.clone(), near),
            http,
            cloud,
            discovered: OnceCell::new(),
        })
    }

    /// Sends a write once, and a question until it is answered or was asked often enough.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, CallError> {
        let mut asked = 1;
        loop {
            let answer = self.send_once(request).await;
            let is_lost = answer.as_ref().is_err_and(CallError::is_momentary);
            if request.method != Method::GET || asked == ASKED || !is_lost {
                return answer;
            }
            tokio::time::sleep(self.cloud.breath() * 2u32.pow(asked)).await;
            asked += 1;
        }
    }

    /// Sends a request once; a second time only where the token was refused and another is to be had.
    async fn send_once(&self, request: &Request) -> Result<Answer, CallError> {
        let url = self.url(request)?;
        let discovered = self
            .discovered
            .get_or_try_init(|| self.cloud.discover(&self.http, &request.what));
        let scope = &discovered.await?.scope;
        let mut is_first = true;
        loop {
            let bearer = self
                .credentials
                .token(scope)
                .await
                .map_err(|source| CallError::NoToken {
                    what: request.what.clone(),
                    source,
                })?;
            match self.send_as(request, url.clone(), &bearer.secret).await {
                Err(error) if error.status() == Some(401) && is_first => {
                    is_first = false;
                    self.credentials.forget(&bearer).await;
                }
                answer => return answer,
            }
        }
    }

    async fn send_as(&self, request: &Request, url: Url, secret: &Arc<str>) -> Result<Answer, CallError> {
        let mut builder = self.http.request(request.method.clone(), url);
        builder = builder.header(AUTHORIZATION, format!("Bearer {secret}"));
        // Found again in Azure's activity log, and what its support asks for.
        builder = builder.header("x-ms-client-request-id", uuid::Uuid::new_v4().to_string());
        builder = match &request.condition {
            Condition::None => builder,
            Condition::IsNew => builder.header(IF_NONE_MATCH, "*"),
            Condition::IsVersion(etag) => builder.header(IF_MATCH, etag),
        };
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let lost = |error: reqwest::Error| self.lost(request, &error);
        let response = builder.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.map_err(lost)?;
        tracing::debug!(method = %request.method, target = %request.target, status = status.as_u16(), "arm");
        if !status.is_success() {
            return Err(CallError::Refused {
                what: request.what.clone(),
                refusal: Box::new(Refusal::read(status.as_u16(), &bytes, retry_after(&headers))),
            });
        }
        let body = match bytes.is_empty() {
            true => Json::Null,
            false => serde_json::from_slice(&bytes).map_err(|error| CallError::Nonsense {
                what: request.what.clone(),
                problem: format!("the answer is no JSON: {error}"),
            })?,
        };
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Ok(Answer {
            status: status.as_u16(),
            body,
            etag: text(ETAG.as_str()),
            operation: text("azure-asyncoperation"),
            location: text(LOCATION.as_str()),
            retry_after: retry_after(&headers),
        })
    }

    /// Returns when to ask again how something stands.
    pub(crate) fn pause(&self, answer: &Answer) -> Duration {
        answer.retry_after.unwrap_or_else(|| self.cloud.pause())
    }

    /// Returns all items of a list, page by page.
    pub(crate) async fn list(&self, what: &str, target: String) -> Result<Vec<Json>, CallError> {
        let nonsense = |problem: &str| CallError::Nonsense {
            what: what.to_owned(),
            problem: problem.to_owned(),
        };
        let mut items = Vec::new();
        let mut next = target;
        for _ in 0..MOST_PAGES {
            let mut page = self.send(&Request::get(what, next)).await?.body;
            match page.get_mut("value").map(Json::take) {
                Some(Json::Array(value)) => items.extend(value),
                _ => return Err(nonsense("a page of the list has no `value`")),
            }
            match page
                .get("nextLink")
                .and_then(Json::as_str)
                .filter(|link| !link.is_empty())
            {
                Some(link) => next = link.to_owned(),
                None => return Ok(items),
            }
        }
        Err(nonsense("the list has no end"))
    }

    /// Returns the URL of a request. A token is sent to the endpoint only, whatever an answer says.
    fn url(&self, request: &Request) -> Result<Url, CallError> {
        let nonsense = |problem: String| CallError::Nonsense {
            what: request.what.clone(),
            problem,
        };
        let endpoint = &self.cloud.endpoint;
        let url = endpoint.join(&request.target);
        let url = url.map_err(|error| nonsense(format!("{:?} is no URL: {error}", request.target)))?;
        match url.origin() == endpoint.origin() {
            true => Ok(url),
            false => Err(nonsense(format!(
                "{endpoint} leads to {}, which is another host",
                url.origin().ascii_serialization()
            ))),
        }
    }

    fn lost(&self, request: &Request, error: &reqwest::Error) -> CallError {
        let (what, endpoint, cause) = (request.what.clone(), self.cloud.endpoint.to_string(), cause(error));
        match error.is_connect() {
            true => CallError::NoConnection { what, endpoint, cause },
            false => CallError::NoAnswer {
                what,
                endpoint,
                cause,
                is_late: error.is_timeout(),
            },
        }
    }
}

/// Returns when to ask again. Azure writes seconds, some of its services milliseconds too.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"].into_iter().find_map(number);
    let seconds = milliseconds
        .map(|ms| ms / 1000.0)
        .or_else(|| number(RETRY_AFTER.as_str()));
    Duration::try_from_secs_f64(seconds?).ok()
}
