//! The provider, before and after it is configured.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Meter, Notices, Object, ObjectId, Observed, Problem, Provider,
    ProviderError, ProviderType, Runtime, Schema, Step, Token,
};

use crate::client::Engine;
use crate::endpoint::{Endpoint, Surroundings};
use crate::schema::{CONTAINER, ENGINE, IMAGE, NETWORK, VOLUME};
use crate::{check, container, host, image, network, schema, volume};

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

    fn check(&self, kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        check::check(kind, desired)
    }

    /// Finds out which engine is meant; it is connected to when it is first asked.
    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder
            .or_else(|| Some(std::env::home_dir()?.join(".docker")))
            .unwrap_or_default();
        let surroundings = Surroundings {
            variable: &variable,
            folder,
        };
        let endpoint = Endpoint::of(settings, &surroundings)?;
        let folder = surroundings.folder;
        let runtime = settings.str("host").map_or_else(|| endpoint.to_string(), str::to_owned);
        Ok(Arc::new(DockerProvider {
            engine: Engine::new(endpoint, runtime, folder, context.lineage.clone()),
            root: context.root.clone(),
        }))
    }
}

/// The provider, speaking to one engine.
///
/// The engine has no version of an object that a change could be made conditional on, and forgets the token of what is
/// deleted: a create that arrives after its object was deleted makes it anew. What keeps that from happening is the lease
/// of the run that sends it.
#[derive(Debug)]
pub(crate) struct DockerProvider {
    pub(crate) engine: Engine,
    /// The folder of the fleet: what images are built of is below it, or is given in full.
    root: PathBuf,
}

fn no_kind<T>(kind: &Kind) -> Result<T, ProviderError> {
    Err(ProviderError::Broken {
        message: format!("the provider `docker` has no kind `{kind}`"),
    })
}

/// What nobody answers proves nothing.
fn unreachable(looked: Result<Observed, ProviderError>) -> Result<Observed, ProviderError> {
    match looked {
        Err(error) if error.is_transient() => Ok(Observed::Unreachable {
            reason: error.to_string(),
        }),
        other => other,
    }
}

#[async_trait]
impl Provider for DockerProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        let engine = &self.engine;
        unreachable(match kind {
            kind if *kind == NETWORK => network::read(engine, id).await,
            kind if *kind == VOLUME => volume::read(engine, id).await,
            kind if *kind == IMAGE => image::read(engine, id).await,
            kind if *kind == CONTAINER => container::read(engine, id).await,
            kind if *kind == ENGINE => host::read(engine, id).await,
            kind => no_kind(kind),
        })
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        let engine = &self.engine;
        let objects = match kind {
            kind if *kind == NETWORK => network::list(engine).await,
            kind if *kind == VOLUME => volume::list(engine).await,
            kind if *kind == IMAGE => image::list(engine).await,
            kind if *kind == CONTAINER => container::list(engine).await,
            kind if *kind == ENGINE => host::list(engine).await,
            kind => no_kind(kind),
        };
        objects.map(Some)
    }

    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        let engine = &self.engine;
        match kind {
            kind if *kind == NETWORK => network::find(engine, token).await,
            kind if *kind == VOLUME => volume::find(engine, token).await,
            kind if *kind == IMAGE => image::find(engine, token).await,
            kind if *kind == CONTAINER => container::find(engine, token, planned).await,
            // Nothing is made of it: to adopt it again changes nothing.
            kind if *kind == ENGINE => Ok(Found::Nothing),
            kind => no_kind(kind),
        }
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        let engine = &self.engine;
        match kind {
            kind if *kind == NETWORK => network::create(engine, token, planned).await,
            kind if *kind == VOLUME => volume::create(engine, token, planned).await,
            kind if *kind == IMAGE => image::create(engine, &self.root, token, planned).await,
            kind if *kind == CONTAINER => container::create(engine, token, planned).await,
            kind if *kind == ENGINE => host::create(engine).await,
            kind => no_kind(kind),
        }
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        _token: &Token,
    ) -> Result<Step, ProviderError> {
        match kind {
            kind if *kind == CONTAINER => container::update(&self.engine, prior, planned).await,
            kind if [NETWORK, VOLUME, IMAGE, ENGINE].contains(kind) => match self.read(kind, &prior.id).await? {
                Observed::Present(_) => Err(ProviderError::Broken {
                    message: format!("a `{kind}` of an engine cannot be changed"),
                }),
                Observed::Absent => Err(ProviderError::Conflict {
                    message: format!("the {kind} `{}` is gone", prior.id),
                }),
                Observed::Unreachable { reason } => Err(ProviderError::NotSent {
                    message: reason,
                    retry_after: None,
                }),
            },
            kind => no_kind(kind),
        }
    }

    async fn delete(&self, kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        let engine = &self.engine;
        match kind {
            kind if *kind == NETWORK => network::delete(engine, object).await,
            kind if *kind == VOLUME => volume::delete(engine, object).await,
            kind if *kind == IMAGE => image::delete(engine, object).await,
            kind if *kind == CONTAINER => container::delete(engine, object).await,
            // It goes on, without us.
            kind if *kind == ENGINE => Ok(Step::Gone),
            kind => no_kind(kind),
        }
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        match kind {
            kind if *kind == CONTAINER => container::poll(&self.engine, handle).await,
            kind => no_kind(kind),
        }
    }

    fn runtime(&self) -> Option<&dyn Runtime> {
        Some(self)
    }

    fn meter(&self) -> Option<&dyn Meter> {
        Some(self)
    }

    fn notices(&self) -> Option<Notices<'_>> {
        Some(self.engine.notices().map_err(ProviderError::from).boxed())
    }
}
