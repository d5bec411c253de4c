//! What is done by hand with a container.

use async_trait::async_trait;
use simfleet_provider_api::runtime::{LogQuery, Logs};
use simfleet_provider_api::{Ability, Act, Kind, Object, ProviderError, Runtime, Token};

use crate::container;
use crate::provider::DockerProvider;
use crate::schema::CONTAINER;

#[async_trait]
impl Runtime for DockerProvider {
    fn abilities(&self, kind: &Kind, _object: &Object) -> Vec<Ability> {
        match *kind == CONTAINER {
            true => vec![Ability::Stop, Ability::Pause, Ability::Reset, Ability::Logs],
            false => Vec::new(),
        }
    }

    /// An engine keeps no tokens: what is sent twice is done twice.
    async fn act(&self, kind: &Kind, object: &Object, act: &Act, _token: &Token) -> Result<(), ProviderError> {
        match act {
            Act::Reset => container::reset(&self.engine, object).await,
            Act::Load { .. } | Act::Snapshot { .. } | Act::Restore { .. } => Err(ProviderError::Broken {
                message: format!("a `{kind}` cannot do this"),
            }),
        }
    }

    async fn logs(&self, _kind: &Kind, object: &Object, query: &LogQuery) -> Result<Logs, ProviderError> {
        Ok(self.engine.logs(&object.id.0, query).await?)
    }
}
