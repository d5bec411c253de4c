//! An emulator of Azure with a resource group, the provider for it, and a client of somebody else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value as Json, json};
use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Control, Emulator, Options, Pace, SUBSCRIPTION, TENANT};
use simfleet_provider_api::{Attributes, Context};
use simfleet_provider_azure::AzureType;

/// The resource group that all is in.
pub const GROUP: &str = "Fleet";

/// Kept in one place.
pub struct Rig {
    pub emulator: Emulator,
}

impl Rig {
    /// Starts an emulator whose operations are to be polled at once.
    pub async fn start() -> Self {
        let pace = Pace {
            network_ms: 5,
            compute_ms: 10,
            disk_ms: 5,
            delete_ms: 5,
            retry_after: Some(0),
            ..Pace::default()
        };
        Self::with(Options {
            pace,
            page: 2,
            ..Options::default()
        })
        .await
    }

    pub async fn with(options: Options) -> Self {
        let emulator = Emulator::start(options).await.expect("it starts");
        let rig = Rig { emulator };
        let group = json!({ "location": "eastus" });
        rig.az(
            Method::PUT,
            &format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"),
            "2022-09-01",
            Some(group),
        )
        .await;
        rig
    }

    /// Returns the id of the resource group.
    pub fn group_id(&self) -> String {
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}")
    }

    pub fn control(&self) -> Control {
        self.emulator.control()
    }

    /// Returns the provider type, whose service principal is the one of the emulator.
    pub fn provider_type() -> AzureType {
        let variables = [
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", CLIENT_SECRET),
            ("AZURE_TENANT_ID", TENANT),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        AzureType::with_variables(BTreeMap::from(variables))
    }

    pub fn settings(&self) -> Attributes {
        settings(&self.emulator.url)
    }

    pub fn context(lineage: &str) -> Context {
        Context {
            lineage: lineage.into(),
            folder: PathBuf::new(),
            root: PathBuf::new(),
            program: PathBuf::new(),
        }
    }

    /// Sends a call as somebody else.
    pub async fn az(&self, method: Method, id: &str, api: &str, body: Option<Json>) -> Json {
        let mut last = None;
        // In foul weather somebody else asks again, too.
        for _ in 0..50 {
            match self.try_az(method.clone(), id, api, body.clone()).await {
                Ok((200..300 | 404, body)) => return body,
                other => last = Some(other),
            }
        }
        panic!("{method} {id}: {last:?}");
    }

    async fn try_az(&self, method: Method, id: &str, api: &str, body: Option<Json>) -> reqwest::Result<(u16, Json)> {
        let url = &self.emulator.url;
        let http = client();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("client_secret", CLIENT_SECRET),
            ("scope", "https://management.azure.com/.default"),
        ];
        let token = http
            .post(format!("{url}/{TENANT}/oauth2/v2.0/token"))
            .form(&form)
            .send()
            .await
            .expect("an answer");
        let token: Json = token.json().await?;
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let mut request = http
            .request(method, format!("{url}{id}?api-version={api}"))
            .bearer_auth(token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Returns the settings for an endpoint.
pub fn settings(endpoint: &str) -> Attributes {
    Attributes::from_iter([
        ("subscription_id", SUBSCRIPTION),
        ("resource_group", GROUP),
        ("region", "eastus"),
        ("endpoint", endpoint),
    ])
}

/// Returns the version of the API of an id.
pub fn api_of(id: &str) -> &'static str {
    match id {
        id if id.contains("microsoft.compute") => "2024-07-01",
        id if id.contains("microsoft.network") => "2024-05-01",
        _ => "2022-09-01",
    }
}
