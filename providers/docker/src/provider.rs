//! The provider, before and after it is configured.

use std::sync::Arc;

use async_trait::async_trait;
use simfleet_provider_api::{Attribute, Attributes, Context, Provider, ProviderError, ProviderType, Schema};

use crate::schema;

/// The provider before it is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerType;

#[async_trait]
impl ProviderType for DockerType {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn schemas(&self) -> &[Schema] {
        schema::schemas()
    }

    async fn configure(&self, _settings: &Attributes, _context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Err(ProviderError::Broken {
            message: "not written yet".to_owned(),
        })
    }
}
