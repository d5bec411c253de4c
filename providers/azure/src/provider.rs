//! The provider, before and after it is configured.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Limits, Meter, Object, ObjectId, Observed, Path, Price,
    Problem, Provider, ProviderError, ProviderType, Rate, Schema, Step, Token,
};

use crate::arm::Arm;
use crate::cloud::Cloud;
use crate::credentials::Variables;
use crate::kinds;
use crate::resource::Site;
use crate::{flow, prices, schema};

/// The provider before it is configured.
#[derive(Clone)]
pub struct AzureType {
    variables: Variables,
}

impl fmt::Debug for AzureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureType").finish_non_exhaustive()
    }
}

impl Default for AzureType {
    fn default() -> Self {
        Self::new()
    }
}

impl AzureType {
    /// Returns the provider type that finds its credentials in the environment of this process.
    pub fn new() -> Self {
        AzureType {
            variables: Arc::new(|name: &str| std::env::var(name).ok()),
        }
    }

    /// Returns the provider type that finds its credentials in these variables and in no others.
    pub fn with_variables(variables: BTreeMap<String, String>) -> Self {
        AzureType {
            variables: Arc::new(move |name: &str| variables.get(name).cloned()),
        }
    }
}

#[async_trait]
impl ProviderType for AzureType {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn schemas(&self) -> &[Schema] {
        kinds::schemas()
    }

    /// Resource Manager refills writes and deletes at ten a second, each up to 200, and reads at 25, up to 250; see
    /// <https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling>. Most calls of a
    /// run are reads: a change is a write, a look before it and several after it.
    fn limits(&self) -> Limits {
        Limits {
            parallelism: Some(32),
            rate: Some(Rate {
                per_second: 20.0,
                burst: 150,
            }),
        }
    }

    fn check(&self, kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        kinds::check(kind, desired)
    }

    fn price(&self, settings: &Attributes, kind: &Kind, attributes: &Attributes) -> Option<Price> {
        prices::price(settings, kind, attributes)
    }

    /// Reads the settings; nothing is sent before the first call.
    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let needed = |name: &'static str| {
            settings
                .str(name)
                .map(str::to_owned)
                .ok_or_else(|| ProviderError::Rejected {
                    message: format!("the setting `{name}` is missing"),
                    attribute: Some(Path::attribute(name)),
                })
        };
        let region = settings.str("region");
        if let Some(region) = region.filter(|region| !kinds::is_region(region)) {
            return Err(ProviderError::Rejected {
                message: format!("`region` is {region:?}, which is no region in its short form, such as \"eastus\""),
                attribute: Some(Path::attribute("region")),
            });
        }
        let cloud = Cloud::new(settings.str("endpoint"), settings.str("authority"))?;
        let (lag, pause) = (cloud.lag(), cloud.pause());
        let tenant = settings.str("tenant_id").map(str::to_owned);
        Ok(Arc::new(AzureProvider {
            site: Site {
                arm: Arm::new(cloud, tenant, self.variables.clone())?,
                subscription: needed("subscription_id")?,
                group: needed("resource_group")?,
                region: region.map(str::to_owned),
                lineage: context.lineage.clone(),
                pause,
            },
            lag,
        }))
    }
}

/// The provider, for one resource group.
///
/// Azure forgets the token of what is deleted: a create that arrives after its object was deleted makes it anew. What keeps
/// that from happening is the lease of the run that sends it.
#[derive(Debug)]
pub(crate) struct AzureProvider {
    pub(crate) site: Site,
    lag: Duration,
}

#[async_trait]
impl Provider for AzureProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        match flow::read(&self.site, kinds::resource(kind)?, id).await {
            // What nobody answers proves nothing.
            Err(ProviderError::NotSent { message, .. }) => Ok(Observed::Unreachable { reason: message }),
            other => other,
        }
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        if *kind == kinds::INSTANCE {
            return kinds::listed_instances(&self.site).await.map(Some);
        }
        let resource = kinds::resource(kind)?;
        match resource.is_made() && !resource.is_part() {
            true => flow::list(&self.site, resource).await.map(Some),
            false => Ok(None),
        }
    }

    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        flow::find(&self.site, kinds::resource(kind)?, token, planned).await
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        flow::create(&self.site, kinds::resource(kind)?, token, planned).await
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        flow::update(&self.site, kinds::resource(kind)?, prior, planned, token).await
    }

    async fn delete(&self, kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        flow::delete(&self.site, kinds::resource(kind)?, object).await
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        flow::poll(&self.site, kinds::resource(kind)?, handle).await
    }

    fn lag(&self) -> Duration {
        self.lag
    }

    fn meter(&self) -> Option<&dyn Meter> {
        Some(self)
    }
}
