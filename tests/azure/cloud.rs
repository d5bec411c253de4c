//! An emulated Azure with a resource group, and runs of `simfleet` that may use it.

use serde_json::{Value, json};
use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Control, Emulator, Options, Pace, SUBSCRIPTION, TENANT};
use tokio::runtime::Runtime;

use crate::support::{Ended, Fleet};

/// The variables with which `simfleet` may use the cloud.
pub const CREDENTIALS: [(&str, &str); 3] = [
    ("AZURE_CLIENT_ID", CLIENT),
    ("AZURE_CLIENT_SECRET", CLIENT_SECRET),
    ("AZURE_TENANT_ID", TENANT),
];

/// A public key, and an image that machines are made of.
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAhAhWm6OQ8mEO8tTTJrLfQfMbYQ1pVxFZbkNGA simfleet";
pub const IMAGE: &str = "Canonical:ubuntu-24_04-lts:server:latest";

/// A cloud of a test's own.
pub struct Cloud {
    runtime: Runtime,
    emulator: Emulator,
    /// What runs of `simfleet` find in their environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Cloud {
    /// Starts one with a resource group in it, which does not have anybody wait.
    pub fn start() -> Self {
        Self::with(at_once(Options::default()))
    }

    /// Starts one with a resource group in it.
    pub fn with(options: Options) -> Self {
        let cloud = Self::paced(options);
        cloud.az("PUT", &Self::group(), "2022-09-01", &json!({ "location": "eastus" }));
        cloud
    }

    /// Starts one with nothing in it, which does not have anybody wait.
    pub fn empty(options: Options) -> Self {
        Self::paced(at_once(options))
    }

    fn paced(options: Options) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let emulator = runtime.block_on(Emulator::start(options)).expect("it starts");
        Cloud {
            runtime,
            emulator,
            environment: CREDENTIALS.map(|(name, text)| (name, text.to_owned())).into(),
        }
    }

    /// Returns where it is.
    pub fn url(&self) -> &str {
        &self.emulator.url
    }

    /// Runs something that waits.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Returns the id of the resource group.
    pub fn group() -> String {
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet")
    }

    /// Returns where it listens with TLS.
    pub fn secure_url(&self) -> String {
        self.emulator.tls_url.clone().expect("it was asked to")
    }

    pub fn control(&self) -> Control {
        self.emulator.control()
    }

    /// Returns the names of all objects, sorted, with `#` for the tokens at their ends.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.control().ids().iter().map(|id| shown(id)).collect();
        names.sort();
        names
    }

    /// Returns the ids of the objects whose name begins so.
    pub fn ids(&self, name: &str) -> Vec<String> {
        let mut ids = self.control().ids();
        ids.retain(|id| id.rsplit('/').next().is_some_and(|last| last.starts_with(name)));
        ids
    }

    /// Returns the block of the provider.
    pub fn provider(&self) -> String {
        format!(
            "provider \"azure\" {{\n  subscription_id = \"{SUBSCRIPTION}\"\n  resource_group  = \"fleet\"\n  region          = \"eastus\"\n  \
             endpoint        = \"{}\"\n}}\n",
            self.emulator.url
        )
    }

    /// Sends a call as somebody else.
    pub fn az(&self, method: &str, id: &str, api: &str, body: &Value) -> Value {
        let url = &self.emulator.url;
        self.runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let http = reqwest::Client::builder().no_proxy().build().expect("a client");
            let proof = format!(
                "grant_type=client_credentials&client_id={CLIENT}&client_secret={CLIENT_SECRET}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
            );
            let token = http
                .post(format!("{url}/{TENANT}/oauth2/v2.0/token"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(proof);
            let token: Value = token.send().await.expect("an answer").json().await.expect("JSON");
            let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
            let request = http
                .request(method, format!("{url}{id}?api-version={api}"))
                .bearer_auth(token["access_token"].as_str().expect("a token"))
                .json(body);
            let response = request.send().await.expect("an answer");
            assert!(response.status().is_success(), "{id}: {}", response.status());
            response.json().await.unwrap_or_default()
        })
    }

    /// Runs `simfleet` with the credentials of the cloud.
    pub fn run(&self, fleet: &Fleet, arguments: &[&str]) -> Ended {
        let mut command = fleet.command(arguments);
        command.envs(self.environment.iter().map(|(name, text)| (*name, text)));
        command.output().expect("simfleet runs").into()
    }

    #[track_caller]
    pub fn ok(&self, fleet: &Fleet, arguments: &[&str]) -> Ended {
        let ended = self.run(fleet, arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}\n{}", ended.err, ended.out);
        ended
    }

    /// Returns what a plan would do, one a change.
    #[track_caller]
    pub fn planned(&self, fleet: &Fleet) -> Vec<String> {
        let document: Value = serde_json::from_str(&self.ok(fleet, &["plan", "--json"]).out).expect("JSON");
        let changes = document["changes"].as_array().expect("a list").iter();
        let text = |change: &Value, key: &str| change[key].as_str().expect("a text").to_owned();
        changes
            .filter(|change| change["action"] != "no-op")
            .map(|change| format!("{} {}", text(change, "action"), text(change, "address")))
            .collect()
    }

    /// Applies it, and demands that the next plan is empty.
    #[track_caller]
    pub fn applied(&self, fleet: &Fleet) {
        self.ok(fleet, &["apply", "--auto-approve"]);
        assert_eq!(self.planned(fleet), Vec::<String>::new(), "the plan after the apply");
    }
}

fn shown(id: &str) -> String {
    let steps: Vec<&str> = id.split('/').collect();
    let [.., kind, name] = steps.as_slice() else {
        return id.to_owned();
    };
    // Azure names the disk of a machine after it, with an id of its own.
    let (name, disk) = match name.split_once("_OsDisk_") {
        Some((machine, _)) => (machine, "_OsDisk"),
        None => (*name, ""),
    };
    let name = match name.rsplit_once('-') {
        Some((name, digits)) if digits.len() == 12 => format!("{name}-#"),
        _ => name.to_owned(),
    };
    format!("{kind}/{name}{disk}")
}

/// Operations end as soon as they are asked about, and pages are short.
fn at_once(options: Options) -> Options {
    let pace = Pace {
        retry_after: Some(0),
        ..Pace::default()
    };
    Options {
        pace,
        page: 3,
        ..options
    }
}
