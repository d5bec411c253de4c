//! Who asks: bearer tokens for Azure Resource Manager, from where they are usually had.
//!
//! The sources are tried in the order of Azure's own libraries. One that is not set up is passed over; one that is and is
//! refused ends the search, so that no other identity acts in the place of the one that was meant.

mod certificate;
mod cli;
mod environment;
mod managed;
mod workload;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::sync::Mutex;

/// Reads a variable of the environment.
pub(crate) type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How long before its end a token is renewed, at most.
const MARGIN: Duration = Duration::from_secs(300);

/// A bearer token.
#[derive(Clone)]
pub(crate) struct Bearer {
    pub(crate) secret: Arc<str>,
    renew_at: SystemTime,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("renew_at", &self.renew_at)
            .finish_non_exhaustive()
    }
}

impl Bearer {
    /// A token that holds for so long from now. It is renewed five minutes before its end, or in the middle of a shorter life.
    fn lasting(secret: &str, seconds: u64) -> Self {
        let life = Duration::from_secs(seconds);
        let life = life.saturating_sub(MARGIN).max(life / 2);
        let now = SystemTime::now();
        Bearer {
            secret: secret.into(),
            renew_at: now.checked_add(life).unwrap_or(now),
        }
    }
}

/// What a token is for, and where identities are proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Where tokens are given out: `https://login.microsoftonline.com`, without a slash at its end.
    pub(crate) authority: String,
    /// What the token is for: `https://management.azure.com/`.
    pub(crate) audience: String,
}

impl Scope {
    /// Returns the scope in the words of the second version of the protocol.
    fn default_scope(&self) -> String {
        format!("{}/.default", self.audience.trim_end_matches('/'))
    }
}

/// Why a source gave no token.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It is not set up here.
    Absent(String),
    /// It is set up, and was refused.
    Refused(String),
    /// It is set up, and was not reached.
    Unreachable(String),
}

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct NoToken {
    /// Each source that was tried, and why it gave none.
    pub(crate) message: String,
    /// Whether to ask again can help.
    pub(crate) is_transient: bool,
}

/// Where tokens come from, and the one that holds.
pub(crate) struct Credentials {
    variables: Variables,
    tenant: Option<String>,
    http: reqwest::Client,
    /// For addresses of the machine itself, which no proxy leads to.
    near: reqwest::Client,
    kept: Mutex<Option<Bearer>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn new(
        variables: Variables,
        tenant: Option<String>,
        http: reqwest::Client,
        near: reqwest::Client,
    ) -> Self {
        Credentials {
            variables,
            tenant,
            http,
            near,
            kept: Mutex::new(None),
        }
    }

    /// Returns a token that holds: the one at hand, or a new one. Callers at the same time wait for one another, so that one
    /// token is asked for once.
    pub(crate) async fn token(&self, scope: &Scope) -> Result<Bearer, NoToken> {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some(bearer) if SystemTime::now() < bearer.renew_at => Ok(bearer.clone()),
            _ => {
                let bearer = self.fetch(scope).await?;
                *kept = Some(bearer.clone());
                Ok(bearer)
            }
        }
    }

    /// Forgets a token that was refused.
    pub(crate) async fn forget(&self, refused: &Bearer) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|bearer| bearer.secret == refused.secret) {
            *kept = None;
        }
    }

    async fn fetch(&self, scope: &Scope) -> Result<Bearer, NoToken> {
        let mut tried = Vec::new();
        let mut is_transient = false;
        for source in SOURCES {
            let miss = match source.ask(self, scope).await {
                Ok(bearer) => return Ok(bearer),
                Err(miss) => miss,
            };
            let (reason, ends) = match miss {
                Miss::Absent(reason) => (reason, false),
                Miss::Refused(reason) => (reason, source.ends_the_search()),
                Miss::Unreachable(reason) => {
                    is_transient |= source.ends_the_search();
                    (reason, source.ends_the_search())
                }
            };
            tried.push(format!("{source}: {reason}"));
            if ends {
                break;
            }
        }
        Err(NoToken {
            message: format!("no credentials for Azure; tried {}", tried.join("; ")),
            is_transient,
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    fn needed(&self, name: &str) -> Result<String, Miss> {
        self.variable(name)
            .ok_or_else(|| Miss::Absent(format!("{name} is not set")))
    }

    /// Returns the tenant that is set in the `provider` block, or else in the environment.
    fn tenant(&self) -> Result<String, Miss> {
        match &self.tenant {
            Some(tenant) => Ok(tenant.clone()),
            None => self
                .variable("AZURE_TENANT_ID")
                .ok_or_else(|| Miss::Absent("neither `tenant_id` nor AZURE_TENANT_ID is set".to_owned())),
        }
    }
}

/// The sources, in the order in which they are tried.
const SOURCES: [Source; 4] = [Source::Environment, Source::Workload, Source::Managed, Source::Cli];

#[derive(Debug, Clone, Copy)]
enum Source {
    Environment,
    Workload,
    Managed,
    Cli,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Environment => "the environment",
            Source::Workload => "workload identity",
            Source::Managed => "managed identity",
            Source::Cli => "the Azure CLI",
        })
    }
}

impl Source {
    async fn ask(self, credentials: &Credentials, scope: &Scope) -> Result<Bearer, Miss> {
        match self {
            Source::Environment => environment::ask(credentials, scope).await,
            Source::Workload => workload::ask(credentials, scope).await,
            Source::Managed => managed::ask(credentials, scope).await,
            Source::Cli => cli::ask(credentials, scope).await,
        }
    }

    /// Whether it was set up on purpose, for this program.
    fn ends_the_search(self) -> bool {
        matches!(self, Source::Environment | Source::Workload)
    }
}

/// Asks a tenant's token endpoint, as a client that proves itself by the fields of `proof`.
async fn ask_tenant(
    credentials: &Credentials,
    scope: &Scope,
    client: &str,
    proof: &[(&str, &str)],
) -> Result<Bearer, Miss> {
    let url = token_url(scope, &credentials.tenant()?);
    let default_scope = scope.default_scope();
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", &default_scope),
    ];
    form.extend_from_slice(proof);
    answer(credentials.http.post(&url).form(&form), &url).await
}

/// Returns where a tenant gives out tokens.
fn token_url(scope: &Scope, tenant: &str) -> String {
    format!("{}/{tenant}/oauth2/v2.0/token", scope.authority)
}

/// What the endpoints of identities answer. Some write numbers as strings.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    #[serde(default)]
    expires_on: Option<serde_json::Value>,
}

impl Given {
    fn bearer(self) -> Bearer {
        let number = |value: &Option<serde_json::Value>| match value.as_ref()? {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let left = number(&self.expires_on).map(|end: u64| end.saturating_sub(now));
        // An hour is what Azure gives where nothing else is said.
        Bearer::lasting(&self.access_token, number(&self.expires_in).or(left).unwrap_or(3600))
    }
}

#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Sends a request for a token and reads the answer.
async fn answer(request: reqwest::RequestBuilder, url: &str) -> Result<Bearer, Miss> {
    let unreachable = |error: reqwest::Error| Miss::Unreachable(format!("{url} does not answer: {}", cause(&error)));
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        // Without the text of a parser, which can show what it read.
        let given = serde_json::from_slice::<Given>(&body);
        return given
            .map(Given::bearer)
            .map_err(|_| Miss::Refused(format!("{url} answered {status} without a token")));
    }
    let said = serde_json::from_slice::<Refused>(&body).unwrap_or_default();
    // The description goes on with trace and correlation ids, each on a line.
    let description = said.error_description.lines().next().unwrap_or_default();
    let message = format!("{url} answered {status}: {} {description}", said.error);
    let message = message.trim_end_matches([' ', ':']).to_owned();
    Err(match status.is_server_error() || status.as_u16() == 429 {
        true => Miss::Unreachable(message),
        false => Miss::Refused(message),
    })
}

/// Returns the innermost cause of a failure, without the address, which the message has already.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
