//! Which Azure is meant: the public one, a sovereign one, or an endpoint of somebody's own.

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use simfleet_provider_api::{Path, ProviderError};

use crate::arm::CallError;
use crate::credentials::{Scope, cause};

/// The endpoints of Azure's own clouds, their authorities and audiences.
const KNOWN: [(&str, &str, &str); 3] = [
    (
        "management.azure.com",
        "https://login.microsoftonline.com",
        "https://management.azure.com/",
    ),
    (
        "management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.usgovcloudapi.net/",
    ),
    (
        "management.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
        "https://management.chinacloudapi.cn/",
    ),
];

/// For how long a look at another region may not see what was made.
const LAG: Duration = Duration::from_secs(10);
/// When to look again at what goes on in a cloud of Azure's own.
const PAUSE: Duration = Duration::from_secs(5);

/// An endpoint of Resource Manager.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    pub(crate) endpoint: Url,
    authority: Option<String>,
}

/// What is known of an endpoint once it was asked.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) scope: Scope,
}

impl Cloud {
    /// Reads the settings. Without an endpoint it is the public cloud.
    pub(crate) fn new(endpoint: Option<&str>, authority: Option<&str>) -> Result<Self, ProviderError> {
        let endpoint = url("endpoint", endpoint.unwrap_or("https://management.azure.com"))?;
        let authority = authority.map(|text| url("authority", text)).transpose()?;
        Ok(Cloud {
            endpoint,
            authority: authority.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        })
    }

    /// Returns for how long a look may not see what was made: the regions of Azure's own clouds hear of it one after another.
    pub(crate) fn lag(&self) -> Duration {
        match self.known() {
            Some(_) => LAG,
            None => Duration::ZERO,
        }
    }

    /// Returns when to ask again how something stands, where an answer does not say. What is no cloud of Azure's own is near
    /// and small.
    pub(crate) fn pause(&self) -> Duration {
        match self.known() {
            Some(_) => PAUSE,
            None => PAUSE / 50,
        }
    }

    /// Returns how long to wait at first before a question is asked again.
    pub(crate) fn breath(&self) -> Duration {
        self.pause() / 50
    }

    fn known(&self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        let host = self.endpoint.host_str().unwrap_or_default();
        KNOWN.iter().find(|(endpoint, ..)| *endpoint == host)
    }

    /// Returns where tokens are had and what for. An endpoint that is none of Azure's own is asked.
    pub(crate) async fn discover(&self, http: &Client, what: &str) -> Result<Discovered, CallError> {
        let (authority, audience) = match self.known() {
            Some((_, authority, audience)) => ((*authority).to_owned(), (*audience).to_owned()),
            None => self.ask(http, what).await?,
        };
        let authority = self.authority.clone().unwrap_or(authority);
        Ok(Discovered {
            scope: Scope { authority, audience },
        })
    }

    async fn ask(&self, http: &Client, what: &str) -> Result<(String, String), CallError> {
        let target = "metadata/endpoints?api-version=2022-09-01";
        let nonsense = |problem: String| CallError::Nonsense {
            what: what.to_owned(),
            problem,
        };
        let url = self
            .endpoint
            .join(target)
            .map_err(|error| nonsense(error.to_string()))?;
        let lost = |error: reqwest::Error| CallError::NoConnection {
            what: what.to_owned(),
            endpoint: self.endpoint.to_string(),
            cause: cause(&error),
        };
        let response = http.get(url.clone()).send().await.map_err(lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?;
        let listed = serde_json::from_slice::<Listed>(&body)
            .ok()
            .and_then(|listed| listed.find(&self.endpoint));
        listed.ok_or_else(|| nonsense(format!("{url} answered {status} and does not say where tokens are had")))
    }
}

/// What `/metadata/endpoints` answers: one cloud, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Several(Vec<Described>),
    One(Described),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    #[serde(default)]
    resource_manager: String,
    authentication: Authentication,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authentication {
    login_endpoint: String,
    audiences: Vec<String>,
}

impl Listed {
    /// Returns authority and audience of the cloud whose endpoint it is; of the first where none is.
    fn find(self, endpoint: &Url) -> Option<(String, String)> {
        let mut clouds = match self {
            Listed::Several(clouds) => clouds,
            Listed::One(cloud) => vec![cloud],
        };
        let is_it =
            |cloud: &Described| Url::parse(&cloud.resource_manager).is_ok_and(|url| url.origin() == endpoint.origin());
        let position = clouds.iter().position(is_it).unwrap_or_default();
        if position >= clouds.len() {
            return None;
        }
        let cloud = clouds.swap_remove(position).authentication;
        let authority = cloud.login_endpoint.trim_end_matches('/').to_owned();
        Some((authority, cloud.audiences.into_iter().next()?))
    }
}

fn url(setting: &'static str, text: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| ProviderError::Rejected {
        message: format!("`{setting}` is {text:?}, which is no URL such as https://management.azure.com"),
        attribute: Some(Path::attribute(setting)),
    })
}
