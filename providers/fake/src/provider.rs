//! The provider of the fake cloud: simfleet's words to the cloud's and back.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use simfleet_provider_api::{
    Ability, Attribute, Attributes, Context, Found, Handle, Kind, Limits, Notice, Notices, Object, ObjectId, Observed,
    Path, Problem, Provider, ProviderError, ProviderType, Runtime, Schema, Step, Token, Type,
};

use crate::calls::{Action, Answer, Refusal, Request};
use crate::client::{Authority, Client, ClientError};
use crate::faults::Faults;
use crate::gateway::Gateway;
use crate::kinds;
use crate::translate::{Wanted, object, wanted};

/// The provider `fake` before it is configured.
#[derive(Debug)]
pub struct FakeType {
    settings: Vec<Attribute>,
    cloud: Option<Arc<Gateway>>,
}

impl Default for FakeType {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeType {
    /// Returns the provider type. Without an `endpoint` its providers share one cloud a lineage in this process.
    pub fn new() -> Self {
        FakeType {
            settings: vec![
                Attribute::new(
                    "endpoint",
                    Type::String,
                    "Where the cloud is; without it, it is in this process.",
                )
                .replaces(),
                Attribute::new(
                    "seed",
                    Type::Number,
                    "What decides where faults strike, in this process.",
                )
                .default(0u64),
                Attribute::new(
                    "lag_ms",
                    Type::Number,
                    "For how long find may not see an object, in milliseconds.",
                )
                .default(0u64),
            ],
            cloud: None,
        }
    }

    /// Returns the provider type whose providers without an `endpoint` all use this cloud.
    pub fn with_cloud(cloud: Arc<Gateway>) -> Self {
        FakeType {
            cloud: Some(cloud),
            ..Self::new()
        }
    }
}

/// Returns the cloud of a lineage in this process. The first caller's faults hold.
pub fn cloud_of(lineage: &str, faults: Faults) -> Arc<Gateway> {
    static CLOUDS: LazyLock<Mutex<BTreeMap<String, Arc<Gateway>>>> = LazyLock::new(Mutex::default);
    let mut clouds = CLOUDS.lock().unwrap_or_else(PoisonError::into_inner);
    clouds
        .entry(lineage.to_owned())
        .or_insert_with(|| Gateway::new(faults))
        .clone()
}

#[async_trait]
impl ProviderType for FakeType {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn settings(&self) -> &[Attribute] {
        &self.settings
    }

    fn hosting(&self) -> simfleet_provider_api::Hosting {
        simfleet_provider_api::Hosting::Itself
    }

    fn limits(&self) -> Limits {
        Limits {
            parallelism: Some(32),
            rate: None,
        }
    }

    fn schemas(&self) -> &[Schema] {
        kinds::schemas()
    }

    fn check(&self, kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        kinds::check(kind, desired)
    }

    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let number = |name: &'static str| match settings.get(name) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| rejected(name, "it is not a whole number from 0")),
        };
        let (seed, lag) = (number("seed")?, Duration::from_millis(number("lag_ms")?));
        let client = match (settings.get("endpoint"), &self.cloud) {
            (Some(endpoint), _) => {
                let endpoint = endpoint
                    .as_str()
                    .ok_or_else(|| rejected("endpoint", "it is not a string"))?;
                let authority = Authority::new(endpoint).map_err(|error| rejected("endpoint", &error.to_string()))?;
                Client::Http(authority)
            }
            (None, Some(cloud)) => Client::Inside(cloud.clone()),
            (None, None) => Client::Inside(cloud_of(
                &context.lineage,
                Faults {
                    seed,
                    ..Faults::default()
                },
            )),
        };
        Ok(Arc::new(FakeProvider {
            client,
            lineage: context.lineage.clone(),
            lag,
        }))
    }
}

fn rejected(setting: &'static str, problem: &str) -> ProviderError {
    ProviderError::Rejected {
        message: format!("setting `{setting}` cannot be used: {problem}"),
        attribute: Some(Path::attribute(setting)),
    }
}

/// A configured provider `fake`.
#[derive(Debug)]
struct FakeProvider {
    client: Client,
    lineage: Arc<str>,
    lag: Duration,
}

impl FakeProvider {
    async fn call(&self, kind: &Kind, action: Action) -> Result<Answer, ProviderError> {
        match self.answer(kind, action).await? {
            Ok(answer) => Ok(answer),
            Err(refusal) => Err(error(refusal)),
        }
    }

    async fn answer(&self, kind: &Kind, action: Action) -> Result<Result<Answer, Refusal>, ProviderError> {
        let what = action.call().as_str();
        let request = Request {
            lineage: self.lineage.to_string(),
            kind: kind.as_str().to_owned(),
            action,
        };
        self.client.call(&request).await.map_err(|cause| {
            let message = format!("cannot {what} a {kind}: {cause}");
            match cause {
                ClientError::NoConnection { .. } => ProviderError::NotSent {
                    message,
                    retry_after: None,
                },
                ClientError::NoAnswer { .. } => ProviderError::Ambiguous { message },
                ClientError::Endpoint { .. } | ClientError::Nonsense { .. } => ProviderError::Broken { message },
            }
        })
    }

    fn step(&self, kind: &Kind, answer: Answer) -> Result<Step, ProviderError> {
        match answer {
            Answer::Done(record) => Ok(Step::Done(object(kind, record)?)),
            Answer::Gone => Ok(Step::Gone),
            Answer::Running {
                operation,
                poll_after_ms,
            } => Ok(Step::Running {
                handle: Handle(operation.into()),
                poll_after: Duration::from_millis(poll_after_ms),
            }),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl Provider for FakeProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        match self.answer(kind, Action::Read { id: id.to_string() }).await {
            Ok(Ok(Answer::Object(Some(record)))) => Ok(Observed::Present(object(kind, record)?)),
            Ok(Ok(Answer::Object(None))) => Ok(Observed::Absent),
            Ok(Ok(other)) => Err(unexpected(&other)),
            Ok(Err(Refusal::Unreachable { reason })) => Ok(Observed::Unreachable { reason }),
            Ok(Err(refusal)) => Err(error(refusal)),
            Err(ProviderError::NotSent { message, .. }) => Ok(Observed::Unreachable { reason: message }),
            Err(other) => Err(other),
        }
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        match self.call(kind, Action::List).await? {
            Answer::Objects(records) => records
                .into_iter()
                .map(|record| object(kind, record))
                .collect::<Result<_, _>>()
                .map(Some),
            other => Err(unexpected(&other)),
        }
    }

    async fn find(&self, kind: &Kind, token: &Token, _planned: &Attributes) -> Result<Found, ProviderError> {
        match self
            .call(
                kind,
                Action::Find {
                    token: token.to_string(),
                },
            )
            .await?
        {
            Answer::Ready(record) => Ok(Found::Ready(object(kind, record)?)),
            Answer::InProgress(operation) => Ok(Found::InProgress(Handle(operation.into()))),
            Answer::Failed(message) => Ok(Found::Failed { message }),
            Answer::Nothing => Ok(Found::Nothing),
            other => Err(unexpected(&other)),
        }
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        let Wanted { fields, keep } = wanted(kind, planned)?;
        if let Some(name) = keep.first() {
            return Err(ProviderError::Rejected {
                message: format!("`{name}` must be given again: only a digest of it is kept"),
                attribute: Some(Path::attribute(name.as_str())),
            });
        }
        let answer = self
            .call(
                kind,
                Action::Create {
                    token: token.to_string(),
                    fields,
                },
            )
            .await?;
        self.step(kind, answer)
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        let Wanted { fields, keep } = wanted(kind, planned)?;
        let action = Action::Update {
            id: prior.id.to_string(),
            version: prior.version.as_deref().map(str::to_owned),
            token: token.to_string(),
            fields,
            keep,
        };
        let answer = self.call(kind, action).await?;
        self.step(kind, answer)
    }

    async fn delete(&self, kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        let answer = self
            .call(
                kind,
                Action::Delete {
                    id: object.id.to_string(),
                },
            )
            .await?;
        self.step(kind, answer)
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        let answer = self
            .call(
                kind,
                Action::Poll {
                    operation: handle.0.to_string(),
                },
            )
            .await?;
        self.step(kind, answer)
    }

    fn runtime(&self) -> Option<&dyn Runtime> {
        Some(self)
    }

    fn notices(&self) -> Option<Notices<'_>> {
        let Client::Inside(gateway) = &self.client else {
            return None;
        };
        let told = stream::unfold(Some(gateway.listen()?), |listener| async {
            let mut listener = listener?;
            Some(match listener.next().await {
                Some(id) => (Ok(Notice::Happened(ObjectId(id.into()))), Some(listener)),
                None => {
                    let message = "the fake cloud tells nothing any more".to_owned();
                    (Err(ProviderError::Broken { message }), None)
                }
            })
        });
        Some(stream::once(async { Ok(Notice::Listening) }).chain(told).boxed())
    }

    fn lag(&self) -> Duration {
        match &self.client {
            Client::Inside(gateway) => {
                let Faults {
                    find_lag, latency_ms, ..
                } = gateway.faults();
                self.lag
                    .max(Duration::from_millis(find_lag.ms.saturating_add(latency_ms)))
            }
            Client::Http(_) => self.lag,
        }
    }
}

impl Runtime for FakeProvider {
    fn abilities(&self, kind: &Kind, _object: &Object) -> Vec<Ability> {
        match *kind == kinds::PROCESS {
            true => vec![Ability::Stop, Ability::Pause],
            false => Vec::new(),
        }
    }
}

/// Returns what a refusal means for the caller.
fn error(refusal: Refusal) -> ProviderError {
    match refusal {
        Refusal::Throttled { retry_after_ms } => ProviderError::Throttled {
            message: "the fake cloud has too many calls".to_owned(),
            retry_after: Duration::from_millis(retry_after_ms),
        },
        Refusal::Busy { retry_after_ms } => ProviderError::NotSent {
            message: "another operation on the object goes on".to_owned(),
            retry_after: Some(Duration::from_millis(retry_after_ms)),
        },
        Refusal::Unreachable { reason } => ProviderError::NotSent {
            message: reason,
            retry_after: None,
        },
        Refusal::Internal => ProviderError::Ambiguous {
            message: "the fake cloud had an internal error".to_owned(),
        },
        Refusal::Conflict { message } => ProviderError::Conflict { message },
        Refusal::Denied { message } => ProviderError::Denied { message },
        Refusal::Rejected { message, attribute } => ProviderError::Rejected {
            message,
            attribute: attribute.map(Path::attribute),
        },
        Refusal::Malformed { message } => ProviderError::Broken { message },
    }
}

fn unexpected(answer: &Answer) -> ProviderError {
    // Without what it holds: that can be sensitive.
    let what = match answer {
        Answer::Object(_) => "an object",
        Answer::Objects(_) => "a list",
        Answer::Ready(_) | Answer::InProgress(_) | Answer::Failed(_) | Answer::Nothing => "the result of a find",
        Answer::Done(_) | Answer::Gone | Answer::Running { .. } => "the result of a change",
    };
    ProviderError::Broken {
        message: format!("the fake cloud answered with {what}, which was not asked for"),
    }
}
