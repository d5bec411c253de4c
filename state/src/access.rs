//! Who may do what over HTTP, and what they asked for: beside the journal, as no plan is made of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

/// How many operations are kept.
pub const KEPT_OPERATIONS: usize = 1_000;

/// What somebody may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Does by hand what can be done with simulators.
    Operator,
    /// Does what others have to trust in, such as dropping locks.
    Admin,
}

impl Role {
    /// The words for them.
    pub const WORDS: &'static [&'static str] = &["viewer", "operator", "admin"];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; roles are viewer, operator and admin")]
pub struct RoleError(pub String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "operator" => Ok(Role::Operator),
            "admin" => Ok(Role::Admin),
            _ => Err(RoleError(text.to_owned())),
        }
    }
}

/// A token by which somebody is known. Only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Whose it is: no two that are not revoked have one name.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// The SHA-256 of the token.
    pub sha256: [u8; 32],
    /// When it was made.
    pub created: Timestamp,
    /// Who made it: `user@host`.
    pub by: Arc<str>,
    /// When it ends; `None` for never.
    pub expires: Option<Timestamp>,
    /// When it was revoked. It is kept, so that the last one that is revoked does not open what it had closed.
    pub revoked: Option<Timestamp>,
}

/// Something that was asked for over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOperation {
    /// Its name.
    pub id: Arc<str>,
    /// When it was asked for.
    pub at: Timestamp,
    /// What, and what became of it, in the caller's form.
    pub told: Arc<str>,
}
