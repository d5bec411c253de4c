//! Who may do what over HTTP: tokens, their roles, and how one is known by its digest.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use simfleet_state::{AccessToken, Role};
use subtle::ConstantTimeEq;

/// What every token of `simfleet token create` begins with, so that one that lies about is recognised.
pub const PREFIX: &str = "sf_";

/// Somebody who is known by the digest of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// The SHA-256 of the secret.
    pub sha256: [u8; 32],
    /// Where it is from: `token` and `api_key` are blocks of the fleet, `created` is by `simfleet token create`.
    pub source: &'static str,
    /// When it ends; `None` for never.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl From<AccessToken> for Credential {
    fn from(token: AccessToken) -> Self {
        Credential {
            name: token.name,
            role: token.role,
            sha256: token.sha256,
            source: "created",
            expires: token.expires,
            revoked: token.revoked,
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// Nobody has this secret.
    #[error("the token is not known")]
    Unknown,
    /// It was revoked.
    #[error("the token `{name}` was revoked at {at:.0}")]
    Revoked {
        /// Whose it was.
        name: Arc<str>,
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    #[error("the token `{name}` expired at {at:.0}")]
    Expired {
        /// Whose it was.
        name: Arc<str>,
        /// When.
        at: Timestamp,
    },
}

/// Returns the digest that a secret is known by. Tokens are random, so that nothing slow is needed to keep them from being
/// guessed of their digests.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Makes a token of 256 random bits.
///
/// # Errors
/// The system has no randomness.
pub fn generate() -> Result<String, rand::rand_core::OsError> {
    let mut random = [0; 32];
    OsRng.try_fill_bytes(&mut random)?;
    Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
}

/// Returns whose a secret is. It takes as long whoever it is of, and whether it is anybody's.
///
/// # Errors
/// It is nobody's, or not any more.
pub fn known<'a>(
    secret: &str,
    credentials: impl IntoIterator<Item = &'a Credential>,
    now: Timestamp,
) -> Result<&'a Credential, NotKnown> {
    let sha256 = digest(secret);
    let mut found: Option<&Credential> = None;
    for credential in credentials {
        let is_it = bool::from(credential.sha256.ct_eq(&sha256));
        // Of two with one secret the one that still holds.
        if is_it && found.is_none_or(|found| found.holds(now).is_err()) {
            found = Some(credential);
        }
    }
    let found = found.ok_or(NotKnown::Unknown)?;
    found.holds(now)?;
    Ok(found)
}

impl Credential {
    /// Whether it opens anything now.
    ///
    /// # Errors
    /// It was revoked, or its time is over.
    pub fn holds(&self, now: Timestamp) -> Result<(), NotKnown> {
        let name = || Arc::clone(&self.name);
        match (self.revoked, self.expires) {
            (Some(at), _) => Err(NotKnown::Revoked { name: name(), at }),
            (None, Some(at)) if at <= now => Err(NotKnown::Expired { name: name(), at }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_secret_is_known_until_its_time_is_over_or_it_is_revoked() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100);
        let later = now + SignedDuration::from_secs(1);
        let credential = |name: &str, secret: &str, expires, revoked| Credential {
            name: name.into(),
            role: Role::Viewer,
            sha256: digest(secret),
            source: "created",
            expires,
            revoked,
        };
        let all = [
            credential("ann", "a", None, None),
            credential("bob", "b", Some(later), None),
            credential("cid", "c", Some(now), None),
            credential("dan", "d", None, Some(now)),
            // One whose token was made again with the same secret.
            credential("eve", "e", Some(now), None),
            credential("eve2", "e", None, None),
        ];
        let known = |secret: &str| known(secret, &all, now).map(|found| found.name.to_string());
        assert_eq!(known("a"), Ok("ann".to_owned()));
        assert_eq!(known("b"), Ok("bob".to_owned()));
        assert_eq!(
            known("c"),
            Err(NotKnown::Expired {
                name: "cid".into(),
                at: now
            })
        );
        assert_eq!(
            known("d"),
            Err(NotKnown::Revoked {
                name: "dan".into(),
                at: now
            })
        );
        assert_eq!(known("e"), Ok("eve2".to_owned()));
        assert_eq!(known(""), Err(NotKnown::Unknown));
    }

    #[test]
    fn tokens_are_long_and_recognised_and_other_each_time() {
        let (one, other) = (generate().expect("randomness"), generate().expect("randomness"));
        assert!(one.starts_with("sf_") && one.len() == 46, "{one}");
        assert_ne!(one, other);
    }
}
