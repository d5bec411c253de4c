//! What lies beside ARM: what clouds there are, and who gets tokens.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::message::{Answer, ArmError, Request, Result};
use crate::world::World;

impl World {
    /// Answers what needs no token, nothing where ARM is asked.
    pub(crate) fn before_arm(&mut self, request: &Request) -> Option<Result<Answer>> {
        let steps: Vec<String> = request.steps.iter().map(|step| step.to_lowercase()).collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let get = request.method == Method::GET;
        let post = request.method == Method::POST;
        match steps.as_slice() {
            ["metadata", "endpoints"] if get => Some(Ok(self.endpoints(request))),
            ["metadata", "identity", "oauth2", "token"] => Some(Ok(self.managed_identity(request))),
            ["common" | "organizations", "discovery", "instance"] if get => Some(Ok(discovery(request))),
            [tenant, "v2.0", ".well-known", "openid-configuration"]
            | [tenant, ".well-known", "openid-configuration"]
                if get =>
            {
                Some(Ok(self.openid(request, tenant)))
            }
            [tenant, "oauth2", "v2.0", "token"] | [tenant, "oauth2", "token"] if post => {
                Some(Ok(self.token(request, tenant)))
            }
            _ => None,
        }
    }

    fn endpoints(&self, request: &Request) -> Answer {
        let base = &request.base;
        let audience = format!("{base}/");
        let authentication = json!({
            "loginEndpoint": format!("{base}/"), "audiences": [audience, "https://management.core.windows.net/"],
            "tenant": "common", "identityProvider": "AAD",
        });
        if request.api_version() == "2015-01-01" {
            return Answer::json(
                200,
                json!({
                    "galleryEndpoint": base, "graphEndpoint": base, "portalEndpoint": base, "authentication": authentication,
                }),
            );
        }
        let cloud = json!({
            "name": "Emulated", "portal": base, "authentication": authentication, "media": base, "graphAudience": audience,
            "graph": base, "activeDirectoryDataLake": base, "batch": base, "resourceManager": audience, "sqlManagement": base,
            "gallery": base, "vmImageAliasDoc": format!("{base}/aliases.json"), "logAnalyticsResourceId": base,
            "appInsightsResourceId": base, "appInsightsTelemetryChannelResourceId": base, "microsoftGraphResourceId": audience,
            "ossrdbmsResourceId": base, "attestationResourceId": base, "synapseAnalyticsResourceId": base,
            "suffixes": {
                "acrLoginServer": "azurecr.invalid", "sqlServerHostname": "database.invalid", "keyVaultDns": "vault.invalid",
                "storage": "core.invalid", "storageSyncEndpointSuffix": "afs.invalid", "mhsmDns": "managedhsm.invalid",
                "mysqlServerEndpoint": "mysql.database.invalid", "postgresqlServerEndpoint": "postgres.database.invalid",
                "mariadbServerEndpoint": "mariadb.database.invalid", "synapseAnalytics": "dev.azuresynapse.invalid",
                "attestationEndpoint": "attest.invalid", "azureDataLakeStoreFileSystem": "azuredatalakestore.invalid",
                "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.invalid",
            },
        });
        // One cloud in the new version, a list of them before.
        if request.api_version() >= "2020" {
            Answer::json(200, cloud)
        } else {
            Answer::json(200, json!([cloud]))
        }
    }

    fn openid(&self, request: &Request, tenant: &str) -> Answer {
        if !self.knows_tenant(tenant) {
            return refused(
                400,
                "invalid_tenant",
                90002,
                &format!("Tenant '{tenant}' not found."),
                self,
            );
        }
        let base = &request.base;
        let tenant = &self.options.tenant;
        Answer::json(
            200,
            json!({
                "issuer": format!("{base}/{tenant}/v2.0"),
                "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
                "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
                "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "tenant_region_scope": "NA", "cloud_instance_name": request.base.trim_start_matches("https://"),
            }),
        )
    }

    fn knows_tenant(&self, tenant: &str) -> bool {
        tenant.eq_ignore_ascii_case(&self.options.tenant) || ["common", "organizations"].contains(&tenant)
    }

    fn token(&mut self, request: &Request, tenant: &str) -> Answer {
        let field = |name: &str| request.form.get(name).map_or("", String::as_str);
        if !self.knows_tenant(tenant) {
            return refused(
                400,
                "invalid_request",
                90002,
                &format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."),
                self,
            );
        }
        if field("grant_type") != "client_credentials" {
            let message = format!("The app requested an unsupported grant type '{}'.", field("grant_type"));
            return refused(400, "unsupported_grant_type", 70003, &message, self);
        }
        let id = field("client_id").to_owned();
        let Some(secret) = self.options.clients.get(&id).cloned() else {
            let message = format!("Application with identifier '{id}' was not found in the directory '{tenant}'.");
            return refused(400, "unauthorized_client", 700_016, &message, self);
        };
        let audience = match (field("scope"), field("resource")) {
            ("", "") => {
                return refused(
                    400,
                    "invalid_request",
                    900_144,
                    "The request body must contain the following parameter: 'scope'.",
                    self,
                );
            }
            ("", resource) => resource.to_owned(),
            (scope, _) => scope.trim_end_matches("/.default").to_owned(),
        };
        let assertion = field("client_assertion");
        if !assertion.is_empty() {
            if let Err(why) = self.check_assertion(assertion, &id) {
                return refused(
                    401,
                    "invalid_client",
                    700_027,
                    &format!("Client assertion failed: {why}."),
                    self,
                );
            }
        } else if field("client_secret") != secret {
            let message = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
                 client secret ID, for a secret added to app '{id}'."
            );
            return refused(401, "invalid_client", 7_000_215, &message, self);
        }
        let (token, seconds, _) = self.issue(&id, &audience, request);
        Answer::json(
            200,
            json!({
                "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
            }),
        )
    }

    /// Checks what a certificate signed, or another issuer: its form, whose it is, and its time. The signature is not checked.
    fn check_assertion(&self, assertion: &str, client: &str) -> std::result::Result<(), &'static str> {
        let payload = assertion
            .split('.')
            .nth(1)
            .filter(|_| assertion.split('.').count() == 3);
        let payload = payload.ok_or("it is no JWT")?;
        let payload = URL_SAFE_NO_PAD
            .decode(payload.trim_end_matches('='))
            .map_err(|_| "its payload is not base64url")?;
        let claims: Value = serde_json::from_slice(&payload).map_err(|_| "its payload is no JSON")?;
        let by_itself = claims["iss"] == json!(client);
        if by_itself && claims["sub"] != json!(client) {
            return Err("its subject is not the client");
        }
        if claims["exp"].as_i64().is_some_and(|exp| exp < self.now.as_second()) {
            return Err("it has expired");
        }
        Ok(())
    }

    fn managed_identity(&mut self, request: &Request) -> Answer {
        if request.header("metadata") != Some("true") {
            return Answer::json(
                400,
                json!({"error": "invalid_request", "error_description": "Required metadata header not specified"}),
            );
        }
        let Some(resource) = request.query.get("resource").cloned() else {
            return Answer::json(
                400,
                json!({"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"}),
            );
        };
        let first = self.options.clients.keys().next().cloned();
        let wanted = request.query.get("client_id").cloned().or(first);
        let Some(id) = wanted.filter(|id| self.options.clients.contains_key(id)) else {
            return Answer::json(
                400,
                json!({"error": "invalid_request", "error_description": "Identity not found"}),
            );
        };
        let (token, seconds, expires) = self.issue(&id, &resource, request);
        Answer::json(
            200,
            json!({
                "access_token": token, "client_id": id, "expires_in": seconds.to_string(), "expires_on": expires.to_string(),
                "ext_expires_in": seconds.to_string(), "not_before": self.now.as_second().to_string(), "resource": resource,
                "token_type": "Bearer",
            }),
        )
    }

    /// Makes a token: how it reads, for how many seconds it is good, and until when.
    fn issue(&mut self, client: &str, audience: &str, request: &Request) -> (String, u64, i64) {
        let lifetime = self.options.token_lifetime;
        let expires = self
            .now
            .saturating_add(SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX));
        let expires = expires.unwrap_or(self.now);
        let tenant = &self.options.tenant;
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": "emulated"});
        let claims = json!({
            "aud": audience, "iss": format!("{}/{tenant}/", request.base), "iat": self.now.as_second(),
            "nbf": self.now.as_second(), "exp": expires.as_second(), "appid": client, "appidacr": "1", "idtyp": "app",
            "oid": client, "sub": client, "tid": tenant, "ver": "1.0", "jti": self.draw.guid(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(&header),
            part(&claims),
            URL_SAFE_NO_PAD.encode("emulated")
        );
        self.tokens.insert(token.clone(), expires);
        (token, lifetime.as_secs(), expires.as_second())
    }

    /// Checks the token of a request to ARM.
    pub(crate) fn check_token(&self, request: &Request) -> Result<()> {
        let refused = |code: &str, message: &str| Err(ArmError::new(401, code, message));
        let Some(header) = request.header("authorization") else {
            return refused(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            );
        };
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return refused(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.",
            );
        };
        match self.tokens.get(token.trim()) {
            None => refused("InvalidAuthenticationToken", "The access token is invalid."),
            Some(expires) if *expires <= self.now => refused(
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
            ),
            Some(_) => Ok(()),
        }
    }
}

fn discovery(request: &Request) -> Answer {
    let host = request.base.split("://").nth(1).unwrap_or_default();
    Answer::json(
        200,
        json!({
            "tenant_discovery_endpoint": format!("{}/common/v2.0/.well-known/openid-configuration", request.base),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }),
    )
}

fn refused(status: u16, error: &str, number: u32, message: &str, world: &World) -> Answer {
    Answer::json(
        status,
        json!({
            "error": error, "error_description": format!("AADSTS{number}: {message}"), "error_codes": [number],
            "timestamp": world.now.to_string(), "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        }),
    )
}
