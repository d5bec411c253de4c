//! Managed identity: the identity of the Azure machine or service that this runs on.

use std::time::Duration;

use super::{Bearer, Credentials, Miss, Scope, answer};

/// Where a virtual machine asks about itself.
const IMDS: &str = "http://169.254.169.254";
/// Elsewhere nothing answers there: a machine outside of Azure shall not wait for long.
const IMDS_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn ask(credentials: &Credentials, scope: &Scope) -> Result<Bearer, Miss> {
    let client = credentials.variable("AZURE_CLIENT_ID");
    let mut query = vec![("resource", scope.audience.as_str())];
    if let Some(client) = &client {
        query.push(("client_id", client));
    }
    if let Some(url) = credentials.variable("IDENTITY_ENDPOINT") {
        let header = credentials.needed("IDENTITY_HEADER")?;
        query.push(("api-version", "2019-08-01"));
        let request = credentials
            .near
            .get(&url)
            .query(&query)
            .header("X-IDENTITY-HEADER", header);
        return answer(request, &url).await;
    }
    let host = credentials.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let host = host.unwrap_or_else(|| IMDS.to_owned());
    let url = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
    query.push(("api-version", "2018-02-01"));
    let request = credentials.near.get(&url).query(&query).header("Metadata", "true");
    answer(request.timeout(IMDS_PATIENCE), &url).await
}
