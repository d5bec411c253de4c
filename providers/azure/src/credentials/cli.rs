//! The identity that the Azure CLI is logged in with.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::{Bearer, Credentials, Given, Miss, Scope};

const PATIENCE: Duration = Duration::from_secs(60);

/// What `az account get-access-token` prints. Older ones print local time only, in `expiresOn`, which is not read: the token
/// is then renewed when it is refused, or after an hour.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    access_token: String,
    #[serde(rename = "expires_on")]
    expires_on: Option<serde_json::Value>,
}

pub(super) async fn ask(credentials: &Credentials, scope: &Scope) -> Result<Bearer, Miss> {
    let program = program(credentials).ok_or_else(|| Miss::Absent("`az` is not on the PATH".to_owned()))?;
    let mut command = Command::new(program);
    command.args(["account", "get-access-token", "--output", "json", "--resource"]);
    command.arg(&scope.audience);
    if let Ok(tenant) = credentials.tenant() {
        command.args(["--tenant", &tenant]);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| Miss::Refused(format!("`az` did not answer within {} s", PATIENCE.as_secs())))?;
    let output = output.map_err(|error| Miss::Refused(format!("`az` cannot be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().last().unwrap_or_default();
        return Err(Miss::Refused(format!("`az account get-access-token` failed: {said}")));
    }
    let printed: Printed = serde_json::from_slice(&output.stdout)
        .map_err(|_| Miss::Refused("`az account get-access-token` printed no token".to_owned()))?;
    let given = Given {
        access_token: printed.access_token,
        expires_in: None,
        expires_on: printed.expires_on,
    };
    Ok(given.bearer())
}

fn program(credentials: &Credentials) -> Option<PathBuf> {
    let path = credentials.variable("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("az"));
    found.into_iter().find(|program| program.is_file())
}
