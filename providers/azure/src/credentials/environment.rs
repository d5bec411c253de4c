//! A service principal that the environment names, with a secret or a certificate.

use super::{Bearer, Credentials, Miss, Scope, ask_tenant, certificate, token_url};

pub(super) async fn ask(credentials: &Credentials, scope: &Scope) -> Result<Bearer, Miss> {
    let client = credentials.needed("AZURE_CLIENT_ID")?;
    if let Some(secret) = credentials.variable("AZURE_CLIENT_SECRET") {
        return ask_tenant(credentials, scope, &client, &[("client_secret", &secret)]).await;
    }
    let Some(path) = credentials.variable("AZURE_CLIENT_CERTIFICATE_PATH") else {
        return Err(Miss::Absent(
            "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set".to_owned(),
        ));
    };
    let pem = tokio::fs::read(&path).await;
    let pem = pem.map_err(|error| Miss::Refused(format!("{path} cannot be read: {error}")))?;
    let audience = token_url(scope, &credentials.tenant()?);
    let assertion =
        certificate::assertion(&pem, &client, &audience).map_err(|error| Miss::Refused(format!("{path} {error}")))?;
    let proof = [
        ("client_assertion_type", super::workload::ASSERTION),
        ("client_assertion", assertion.as_str()),
    ];
    ask_tenant(credentials, scope, &client, &proof).await
}
