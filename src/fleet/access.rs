//! Who may ask a watch of this fleet, and on whose behalf something is done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;
use simfleet_state::{AccessToken, Holder, HolderId, Role, System};

use super::control::told;
use super::{Fleet, FleetError};
use crate::access;
use crate::config::blocks::access::names;
use crate::control;
use crate::diagnostic::Diagnostic;

/// How much of a path that was refused is written down.
const TOLD: usize = 200;

/// Somebody else on whose behalf this program does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: the name of their token.
    pub by: Arc<str>,
    /// From where: their address.
    pub from: Arc<str>,
}

impl Fleet {
    /// Has what is done be done on somebody's behalf, by what they asked for: in locks, the journal and the audit log.
    pub fn called_by(mut self, caller: Caller, command: String) -> Self {
        self.caller = Some(caller);
        self.options.command = command;
        self
    }

    /// Has it wait for others who hold the same addresses.
    pub fn with_lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.options.lock_timeout = lock_timeout;
        self
    }

    /// Who does what is done.
    pub(super) fn holder(&self) -> Holder {
        let mut holder = Holder::this_process(self.options.command.as_str(), &System);
        if let Some(caller) = &self.caller {
            holder.who = Arc::clone(&caller.by);
        }
        holder
    }

    /// Drops the locks of a run by its id, as somebody asked for who is known by a token. Returns whether it had any. That this
    /// was asked for is in the audit log when this returns.
    ///
    /// # Errors
    /// The state or the audit log cannot be written.
    pub async fn unlocked(&self, holder: &str) -> Result<bool, FleetError> {
        let audit = self.audit("unlock".to_owned(), Map::new())?;
        let dropped = self.unlock(&HolderId(holder.into())).await;
        let message = match &dropped {
            Ok(true) => None,
            Ok(false) => Some("it holds nothing".to_owned()),
            Err(error) => Some(told(error)),
        };
        audit.append(holder.to_owned(), message)?;
        dropped
    }

    /// Writes down that somebody asked over HTTP for what their role does not do.
    ///
    /// # Errors
    /// The audit log cannot be written.
    pub fn refused(&self, action: String, path: &str, why: &str) -> Result<(), FleetError> {
        // Whoever may only read must not be able to fill the disk with what they ask for.
        let told: String = path.chars().take(TOLD).collect();
        let audit = self.audit(action, Map::new())?;
        audit.append(told, Some(why.to_owned()))
    }

    /// Returns the folder of programs that were uploaded.
    pub fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    /// Returns the tokens that were made, those that do not hold any more too.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn tokens(&self) -> Result<Vec<AccessToken>, FleetError> {
        self.snapshot().await?;
        Ok(self.store.tokens().await?)
    }

    /// Makes a token, and returns it with what is kept of it. That it was made is in the audit log when this returns.
    ///
    /// # Errors
    /// Nothing was applied yet, so that there is no state; the name is taken; the state or the audit log cannot be written.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        lasts: Option<Duration>,
    ) -> Result<(String, AccessToken), FleetError> {
        let mut parameters = Map::new();
        parameters.insert("role".to_owned(), role.as_str().into());
        if let Some(lasts) = lasts {
            parameters.insert("expires_s".to_owned(), lasts.as_secs_f64().into());
        }
        let audit = self.audit("token.create".to_owned(), parameters)?;
        let made = self.made_token(name, role, lasts).await;
        audit.append(name.to_owned(), made.as_ref().err().map(told))?;
        made
    }

    async fn made_token(
        &self,
        name: &str,
        role: Role,
        lasts: Option<Duration>,
    ) -> Result<(String, AccessToken), FleetError> {
        if self.snapshot().await?.lineage.is_none() {
            let detail = "Tokens are kept in the state, and there is none: nothing was applied yet.";
            let diagnostic = Diagnostic::error("No state yet", detail);
            return Err(diagnostic.hint("`simfleet apply` first").into());
        }
        let taken =
            |detail: String, hint: String| FleetError::from(Diagnostic::error("The name is taken", detail).hint(hint));
        if names(&self.config).iter().any(|known| **known == *name) {
            let detail = format!("The `access` block has a token or a key `{name}`.");
            return Err(taken(detail, "choose another name".to_owned()));
        }
        let created = Timestamp::now();
        let secret = access::generate().map_err(|error| {
            let detail = format!("The system has no random numbers: {error}.");
            Diagnostic::error("No token could be made", detail)
        })?;
        let token = AccessToken {
            name: name.into(),
            role,
            sha256: access::digest(&secret),
            created,
            by: self.holder().who,
            expires: control::until(created, lasts)?,
            revoked: None,
        };
        match self.store.add_token(&token).await? {
            true => Ok((secret, token)),
            false => {
                let detail = format!("There is a token `{name}` already.");
                let hint = format!("`simfleet token revoke {name}` first, or choose another name");
                Err(taken(detail, hint))
            }
        }
    }

    /// Revokes a token. That it was is in the audit log when this returns.
    ///
    /// # Errors
    /// There is none of this name; the state or the audit log cannot be written.
    pub async fn revoke_token(&self, name: &str) -> Result<AccessToken, FleetError> {
        let audit = self.audit("token.revoke".to_owned(), Map::new())?;
        let revoked = self.revoked_token(name).await;
        audit.append(name.to_owned(), revoked.as_ref().err().map(told))?;
        revoked
    }

    async fn revoked_token(&self, name: &str) -> Result<AccessToken, FleetError> {
        self.snapshot().await?;
        if let Some(revoked) = self.store.revoke_token(name, Timestamp::now()).await? {
            return Ok(revoked);
        }
        if names(&self.config).iter().any(|known| **known == *name) {
            let detail = format!("`{name}` is declared by the `access` block.");
            let diagnostic = Diagnostic::error("Not made with `simfleet token create`", detail);
            return Err(diagnostic
                .hint("take it out of the block: a watch at work notices")
                .into());
        }
        let known = self.store.tokens().await?;
        if let Some(AccessToken { revoked: Some(at), .. }) = known.iter().find(|token| *token.name == *name) {
            let detail = format!("The token `{name}` was revoked at {at:.0} already.");
            return Err(Diagnostic::error("Revoked already", detail).into());
        }
        let valid = known.iter().filter(|token| token.revoked.is_none());
        let diagnostic = Diagnostic::error("Unknown token", format!("There is no token `{name}`."));
        Err(diagnostic.nearest(name, valid.map(|token| &*token.name)).into())
    }
}
