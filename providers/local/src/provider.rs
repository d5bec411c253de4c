//! The provider `local`.

use std::sync::Arc;

use async_trait::async_trait;
use simfleet_provider_api::{Attribute, Attributes, Context, Provider, ProviderError, ProviderType, Schema};

use crate::schema;

/// The provider before it is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalType;

#[async_trait]
impl ProviderType for LocalType {
    fn name(&self) -> &'static str {
        "local"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn hosting(&self) -> simfleet_provider_api::Hosting {
        simfleet_provider_api::Hosting::Agent
    }

    fn schemas(&self) -> &[Schema] {
        schema::schemas()
    }

    async fn configure(&self, _settings: &Attributes, _context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Err(ProviderError::Broken {
            message: "local nodes cannot be made yet".to_owned(),
        })
    }
}
