//! Workload identity: a token of another issuer, in a file that is renewed there.

use super::{Bearer, Credentials, Miss, Scope, ask_tenant};

/// What kind of proof an assertion is.
pub(super) const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) async fn ask(credentials: &Credentials, scope: &Scope) -> Result<Bearer, Miss> {
    let path = credentials.needed("AZURE_FEDERATED_TOKEN_FILE")?;
    let client = credentials.needed("AZURE_CLIENT_ID")?;
    let assertion = tokio::fs::read_to_string(&path).await;
    let assertion = assertion.map_err(|error| Miss::Refused(format!("{path} cannot be read: {error}")))?;
    let proof = [
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion.trim()),
    ];
    ask_tenant(credentials, scope, &client, &proof).await
}
