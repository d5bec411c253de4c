//! The providers that this program is built with, and those that a run has configured.
//!
//! - [`limited`]: a configured one is asked no more than its endpoint allows; [`bucket`]: at what rate

mod bucket;
mod limited;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::encoding::{Encoded, digest, digest_matches, redact_attributes};
use simfleet_provider_api::{Context, Data, Kind, ProviderError, ProviderType, Schema};
use simfleet_state::ProviderConfig;
use tokio::sync::{Mutex, OnceCell};

use crate::builtin::Builtin;

pub use limited::{Limited, PARALLELISM, RATE_LIMIT, Turn};

/// Every provider that this program is built with, by name.
#[derive(Debug, Clone)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn ProviderType>>);

impl Registry {
    /// Returns the providers of this build.
    pub fn built_in() -> Self {
        let mut registry = Registry(BTreeMap::new());
        registry.add(Arc::new(Builtin));
        registry.add(Arc::new(simfleet_provider_agent::AgentType));
        #[cfg(feature = "azure")]
        registry.add(Arc::new(simfleet_provider_azure::AzureType::new()));
        #[cfg(feature = "local")]
        registry.add(Arc::new(simfleet_provider_local::LocalType));
        #[cfg(feature = "docker")]
        registry.add(Arc::new(simfleet_provider_docker::DockerType));
        #[cfg(feature = "nginx")]
        registry.add(Arc::new(simfleet_provider_nginx::NginxType));
        #[cfg(feature = "fake")]
        registry.add(Arc::new(simfleet_provider_fake::FakeType::default()));
        registry
    }

    /// Adds a provider, or takes the place of the one with its name.
    pub fn add(&mut self, provider: Arc<dyn ProviderType>) {
        self.0.insert(provider.name(), provider);
    }

    /// Returns a provider by name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn ProviderType>> {
        self.0.get(name)
    }

    /// Returns the names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Returns the schema of a kind of a provider.
    pub fn schema(&self, provider: &str, kind: &Kind) -> Option<&Schema> {
        self.get(provider)?.schema(kind)
    }
}

/// A provider that is configured when it is first asked for.
type Configured = Arc<OnceCell<Limited>>;

/// The configured providers of a run: each configuration is made once, when it is first needed.
#[derive(Debug)]
pub struct Providers {
    registry: Registry,
    context: Context,
    /// What the configuration has now.
    declared: Vec<ProviderConfig>,
    configured: Mutex<BTreeMap<String, Configured>>,
}

impl Providers {
    /// Returns none that is configured yet.
    pub fn new(registry: Registry, context: Context) -> Self {
        Providers {
            registry,
            context,
            declared: Vec::new(),
            configured: Mutex::default(),
        }
    }

    /// Takes in the provider blocks of the configuration: of a setting that is secret the state keeps a digest only, and what it
    /// is a digest of is found there.
    #[must_use]
    pub fn with_declared(self, declared: Vec<ProviderConfig>) -> Self {
        Providers { declared, ..self }
    }

    /// Returns a configuration with what only a digest is known of filled in, where the configuration of today has it.
    fn restored<'c>(&self, config: &'c ProviderConfig) -> Cow<'c, ProviderConfig> {
        let mut restored = Cow::Borrowed(config);
        for (name, value) in config.settings.iter() {
            let Data::Redacted(digest) = value.data() else { continue };
            let blocks = self.declared.iter().filter(|block| block.name == config.name);
            let mut known = blocks.filter_map(|block| block.settings.get(name));
            if let Some(known) = known.find(|known| digest_matches(digest, known)) {
                restored.to_mut().settings.set(name.clone(), known.clone());
            }
        }
        restored
    }

    /// The providers of this build.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What the providers share.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Has every provider remove what it keeps beside the state, where nothing of it is in use.
    pub fn tidy(&self) {
        for name in self.registry.names() {
            if let Some(provider) = self.registry.get(name) {
                provider.tidy(&self.context_of(name));
            }
        }
        // A folder with something in it stays.
        let _ = std::fs::remove_dir(&self.context.folder);
    }

    fn context_of(&self, provider: &str) -> Context {
        Context {
            folder: self.context.folder.join(provider),
            ..self.context.clone()
        }
    }

    /// Returns the provider of a configuration, configured. All who ask for the same one share its limits.
    ///
    /// # Errors
    /// `Rejected` where this build lacks the provider or a setting is not known yet, else what its `configure` says. A
    /// failure is not kept: the next call tries again.
    pub async fn configured(&self, config: &ProviderConfig) -> Result<Limited, ProviderError> {
        let config = &*self.restored(config);
        let rejected = |message| ProviderError::Rejected {
            message,
            attribute: None,
        };
        let Some(provider) = self.registry.get(&config.name) else {
            return Err(rejected(format!(
                "this build of simfleet lacks the provider `{}`",
                config.name
            )));
        };
        if let Some(origin) = config.settings.to_value().unknown_origin() {
            return Err(rejected(format!(
                "provider `{}` needs {origin}, which is not known yet",
                config.name
            )));
        }
        let key = settings_key(config);
        let cell = self.configured.lock().await.entry(key).or_default().clone();
        let context = self.context_of(&config.name);
        let configure = async || {
            let limits = limited::limits(&config.settings, provider.limits());
            let configured = provider.configure(&config.settings, &context).await?;
            Ok(Limited::new(configured, limits))
        };
        cell.get_or_try_init(configure).await.cloned()
    }
}

/// Returns a text that two equal configurations share, and no others; secrets are in it as digests.
pub(crate) fn settings_key(config: &ProviderConfig) -> String {
    // One salt for all, so that equal secrets have equal digests; the text does not leave the process.
    let redacted = redact_attributes(&config.settings, &mut |value| digest(value, [0; 16]));
    let document = Encoded::of_attributes(&redacted).map(|encoded| serde_json::json!(encoded));
    format!("{} {}", config.name, document.unwrap_or_default())
}
