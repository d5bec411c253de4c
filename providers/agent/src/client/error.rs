//! Why a call to an agent failed, and what that means to a provider.

use std::path::PathBuf;
use std::time::Duration;

use simfleet_provider_api::ProviderError;

use crate::protocol::{ErrorBody, PROTOCOL, code};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The runtime is not one that this build can speak to.
    #[error(
        "`{runtime}` is no agent: `agent+http://HOST:PORT` with a file that holds its token, or `agent+ssh://USER@HOST`, is expected"
    )]
    Runtime {
        /// What was given.
        runtime: String,
    },
    /// The token cannot be read.
    #[error("cannot read the agent's token from `{}`", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out.
    #[error("{0}")]
    NoAnswer(String),
    /// The agent refused it.
    #[error("the agent refused: {}", body.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// Why.
        body: ErrorBody,
    },
    /// The agent does not speak this protocol.
    #[error(
        "the agent speaks protocol {} and this simfleet speaks {PROTOCOL}: update the older of the two",
        spoken.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    )]
    Protocol {
        /// The versions that it speaks.
        spoken: Vec<u32>,
    },
    /// An answer that is not of the protocol.
    #[error("the answer of the agent makes no sense: {0}")]
    Answer(String),
}

impl ClientError {
    /// Returns the code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Refused { body, .. } => Some(&body.code),
            _ => None,
        }
    }

    /// Whether nothing is known of the agent: no connection, no answer, or one that starts or ends.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, ClientError::NotSent(_) | ClientError::NoAnswer(_)) || self.code() == Some(code::UNAVAILABLE)
    }
}

impl From<ClientError> for ProviderError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Runtime { .. } => ProviderError::Rejected {
                message,
                attribute: None,
            },
            ClientError::Token { source, .. } => ProviderError::Denied {
                message: format!("{message}: {source}"),
            },
            ClientError::NotSent(_) => ProviderError::NotSent {
                message,
                retry_after: None,
            },
            ClientError::NoAnswer(_) => ProviderError::Ambiguous { message },
            ClientError::Protocol { .. } => ProviderError::Denied { message },
            ClientError::Answer(_) => ProviderError::Broken { message },
            ClientError::Refused {
                status,
                retry_after,
                body,
            } => match (status, body.code.as_str()) {
                (401 | 403, _) | (_, code::PROTOCOL) => ProviderError::Denied { message },
                (_, code::FULL) => ProviderError::Rejected {
                    message: body.message,
                    attribute: body.attribute,
                },
                (409 | 412, _) | (_, code::DELETED) => ProviderError::Conflict { message: body.message },
                (429 | 503, _) => match retry_after {
                    Some(retry_after) => ProviderError::Throttled { message, retry_after },
                    None => ProviderError::NotSent { message, retry_after },
                },
                (400..=499, _) => ProviderError::Rejected {
                    message: body.message,
                    attribute: body.attribute,
                },
                _ => ProviderError::Ambiguous { message },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_happens_next() {
        let refused = |status, code: &str| {
            ProviderError::from(ClientError::Refused {
                status,
                retry_after: None,
                body: ErrorBody {
                    code: code.to_owned(),
                    message: "m".to_owned(),
                    attribute: None,
                },
            })
        };
        assert!(matches!(refused(401, code::UNAUTHORIZED), ProviderError::Denied { .. }));
        assert!(matches!(refused(426, code::PROTOCOL), ProviderError::Denied { .. }));
        assert!(matches!(refused(409, code::CONFLICT), ProviderError::Conflict { .. }));
        assert!(matches!(refused(409, code::FULL), ProviderError::Rejected { .. }));
        assert!(matches!(refused(410, code::DELETED), ProviderError::Conflict { .. }));
        assert!(matches!(refused(410, code::FAILED), ProviderError::Rejected { .. }));
        assert!(matches!(refused(422, code::INVALID), ProviderError::Rejected { .. }));
        assert!(matches!(refused(503, code::UNAVAILABLE), ProviderError::NotSent { .. }));
        assert!(matches!(refused(500, code::INTERNAL), ProviderError::Ambiguous { .. }));
    }
}
