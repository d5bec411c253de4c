//! What the cases work with: a provider, called as the engine would call it, and a memory of all that was made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::undo::Intent;
use super::{Harness, Samples};
use crate::{
    Attributes, Found, Kind, Object, ObjectId, Observed, Provider, ProviderError, ProviderType, Schema, Step, Token,
};

/// Why a case failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A call that should have worked failed.
    #[error("cannot {what}: {error}")]
    Call {
        /// What was tried.
        what: String,
        /// What the provider said.
        error: ProviderError,
    },
    /// The provider did something else than it must.
    #[error("{0}")]
    Unmet(String),
}

/// Returns a failure unless the condition holds.
pub(super) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    match holds {
        true => Ok(()),
        false => Err(Failure::Unmet(otherwise())),
    }
}

/// A provider on trial.
///
/// Its calls ask again with the same token after a transient error, and poll what was accepted, until the harness's
/// patience ends.
pub struct Bench {
    pub(super) harness: Arc<dyn Harness>,
    provider_type: Arc<dyn ProviderType>,
    provider: Arc<dyn Provider>,
    lineage: String,
    run: String,
    /// How many names and tokens were given.
    given: AtomicU64,
    pub(super) intents: Vec<Intent>,
}

/// Between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

impl Bench {
    /// Configures a provider for a lineage of its own.
    pub(super) async fn new(harness: Arc<dyn Harness>) -> Result<Self, Failure> {
        let run = harness.run_name().unwrap_or_else(unique_digits);
        let lineage = format!("lineage-{run}");
        let provider_type = harness.provider_type();
        let provider = configured(&*harness, &lineage).await?;
        Ok(Bench {
            harness,
            provider_type,
            provider,
            lineage,
            run,
            given: AtomicU64::new(0),
            intents: Vec::new(),
        })
    }

    /// The harness.
    pub fn harness(&self) -> &Arc<dyn Harness> {
        &self.harness
    }

    /// The configured provider.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The provider type.
    pub fn provider_type(&self) -> &Arc<dyn ProviderType> {
        &self.provider_type
    }

    /// Configures the provider anew, as another run of simfleet would.
    pub async fn configure_again(&self) -> Result<Arc<dyn Provider>, Failure> {
        configured(&*self.harness, &self.lineage).await
    }

    /// Configures the provider for another lineage.
    pub async fn configure_other(&self) -> Result<Arc<dyn Provider>, Failure> {
        configured(&*self.harness, &format!("{}-other", self.lineage)).await
    }

    /// Returns a name that nothing had before: `PREFIX-…`.
    pub fn unique(&self, prefix: &str) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        // Eight digits of the run keep names short where the far side limits them.
        format!("{prefix}-{}-{number}", self.run.get(..8).unwrap_or(&self.run))
    }

    /// Returns a token that was never used.
    pub fn token(&self) -> Token {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        Token(digits(&[self.run.as_bytes(), &number.to_be_bytes()]).into())
    }

    /// Returns samples of a kind.
    pub async fn samples(&mut self, kind: &Kind) -> Result<Samples, Failure> {
        let harness = self.harness.clone();
        harness.samples(kind, self).await
    }

    /// Returns the schema of a kind.
    pub fn schema(&self, kind: &Kind) -> Result<Schema, Failure> {
        let schema = self.provider_type.schema(kind).cloned();
        schema.ok_or_else(|| Failure::Unmet(format!("kind `{kind}` has no schema")))
    }

    /// Makes an object with a token of its own.
    pub async fn create(&mut self, kind: &Kind, planned: &Attributes) -> Result<Object, Failure> {
        let token = self.token();
        self.create_with(kind, &token, planned).await
    }

    /// Makes an object.
    pub async fn create_with(&mut self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Object, Failure> {
        let provider = self.provider.clone();
        self.create_by(&provider, kind, token, planned).await
    }

    /// Makes an object by another provider than the bench's own.
    pub async fn create_by(
        &mut self,
        provider: &Arc<dyn Provider>,
        kind: &Kind,
        token: &Token,
        planned: &Attributes,
    ) -> Result<Object, Failure> {
        self.intend(provider, kind, token, planned);
        let object = self.created(provider, kind, token, planned).await?;
        if let Some(intent) = self.intents.iter_mut().find(|intent| intent.token == *token) {
            intent.object = Some(object.clone());
        }
        Ok(object)
    }

    /// Makes an object that was noted by [`Bench::intend`].
    pub async fn created(
        &self,
        provider: &Arc<dyn Provider>,
        kind: &Kind,
        token: &Token,
        planned: &Attributes,
    ) -> Result<Object, Failure> {
        match self
            .settled(provider, kind, || provider.create(kind, token, planned))
            .await
        {
            Ok(Step::Done(object)) => Ok(object),
            Ok(other) => Err(Failure::Unmet(format!(
                "create of a {kind} ended with {}",
                name_of(&other)
            ))),
            Err(error) => Err(Failure::Call {
                what: format!("create a {kind}"),
                error,
            }),
        }
    }

    /// Has an object made and returns how far that came, without polling.
    pub async fn begin(&mut self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, Failure> {
        let provider = self.provider.clone();
        self.intend(&provider, kind, token, planned);
        let step = self.retried(|| provider.create(kind, token, planned)).await;
        step.map_err(|error| Failure::Call {
            what: format!("create a {kind}"),
            error,
        })
    }

    /// Makes an object and returns what the provider says, refusals too.
    pub async fn try_create(
        &mut self,
        kind: &Kind,
        token: &Token,
        planned: &Attributes,
    ) -> Result<Step, ProviderError> {
        let provider = self.provider.clone();
        self.intend(&provider, kind, token, planned);
        self.settled(&provider, kind, || provider.create(kind, token, planned))
            .await
    }

    /// Changes an object in place and returns what the provider says, refusals too.
    pub async fn try_update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        let provider = &self.provider;
        self.settled(provider, kind, || provider.update(kind, prior, planned, token))
            .await
    }

    /// Changes an object in place.
    pub async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Object, Failure> {
        match self.try_update(kind, prior, planned, token).await {
            Ok(Step::Done(object)) => Ok(object),
            Ok(other) => Err(Failure::Unmet(format!(
                "update of a {kind} ended with {}",
                name_of(&other)
            ))),
            Err(error) => Err(Failure::Call {
                what: format!("update a {kind}"),
                error,
            }),
        }
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: &Kind, object: &Object) -> Result<(), Failure> {
        self.delete_by(&self.provider, kind, object).await
    }

    pub(super) async fn delete_by(
        &self,
        provider: &Arc<dyn Provider>,
        kind: &Kind,
        object: &Object,
    ) -> Result<(), Failure> {
        let token = self.token();
        match self
            .settled(provider, kind, || provider.delete(kind, object, &token))
            .await
        {
            Ok(Step::Gone) => Ok(()),
            Ok(other) => Err(Failure::Unmet(format!(
                "delete of a {kind} ended with {}",
                name_of(&other)
            ))),
            Err(error) => Err(Failure::Call {
                what: format!("delete a {kind}"),
                error,
            }),
        }
    }

    /// Looks at an object.
    pub async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, Failure> {
        let read = self.retried(|| self.provider.read(kind, id)).await;
        read.map_err(|error| Failure::Call {
            what: format!("read a {kind}"),
            error,
        })
    }

    /// Looks at an object that is there.
    pub async fn present(&self, kind: &Kind, id: &ObjectId) -> Result<Object, Failure> {
        match self.read(kind, id).await? {
            Observed::Present(object) => Ok(object),
            Observed::Absent => Err(Failure::Unmet(format!("a {kind} that exists is read as absent"))),
            Observed::Unreachable { reason } => Err(Failure::Unmet(format!(
                "a {kind} that exists is read as unreachable: {reason}"
            ))),
        }
    }

    /// Lists objects; `None` where there is no list.
    pub async fn list_by(&self, provider: &Arc<dyn Provider>, kind: &Kind) -> Result<Option<Vec<Object>>, Failure> {
        let list = self.retried(|| provider.list(kind)).await;
        list.map_err(|error| Failure::Call {
            what: format!("list every {kind}"),
            error,
        })
    }

    /// Lists objects until the list is as it should be, since it may lag. Returns the last one seen, and `None` where
    /// there is no list.
    pub async fn list_until(
        &self,
        kind: &Kind,
        is_right: impl Fn(&[Object]) -> bool + Send + Sync,
    ) -> Result<Option<Vec<Object>>, Failure> {
        let deadline = self.deadline();
        loop {
            match self.list_by(&self.provider, kind).await? {
                Some(objects) if !is_right(&objects) && Instant::now() < deadline => sleep(PAUSE).await,
                list => return Ok(list),
            }
        }
    }

    /// Looks for what a token did, for as long as the provider says that it may lag; returns the first that is not
    /// nothing.
    pub async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, Failure> {
        self.find_by(&self.provider, kind, token, planned).await
    }

    pub(super) async fn find_by(
        &self,
        provider: &Arc<dyn Provider>,
        kind: &Kind,
        token: &Token,
        planned: &Attributes,
    ) -> Result<Found, Failure> {
        let deadline = Instant::now() + provider.lag();
        loop {
            let found = self.retried(|| provider.find(kind, token, planned)).await;
            match found.map_err(|error| Failure::Call {
                what: format!("find a {kind} by its token"),
                error,
            })? {
                Found::Nothing if Instant::now() < deadline => sleep(PAUSE).await,
                found => return Ok(found),
            }
        }
    }

    /// Polls until an operation has ended.
    pub async fn settle(&self, provider: &Arc<dyn Provider>, kind: &Kind, step: Step) -> Result<Step, ProviderError> {
        let deadline = self.deadline();
        let mut step = step;
        while let Step::Running { handle, poll_after } = &step {
            if Instant::now() >= deadline {
                break;
            }
            sleep((*poll_after).max(Duration::from_millis(1))).await;
            step = self.retried(|| provider.poll(kind, handle)).await?;
        }
        Ok(step)
    }

    async fn settled<F>(
        &self,
        provider: &Arc<dyn Provider>,
        kind: &Kind,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<Step, ProviderError>
    where
        F: Future<Output = Result<Step, ProviderError>> + Send,
    {
        let step = self.retried(call).await?;
        self.settle(provider, kind, step).await
    }

    /// Calls until the answer is not a transient error.
    async fn retried<T, F>(&self, call: impl Fn() -> F + Send + Sync) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let deadline = self.deadline();
        loop {
            match call().await {
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    sleep(error.retry_after().unwrap_or(PAUSE)).await;
                }
                answer => return answer,
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.harness.patience()
    }
}

async fn configured(harness: &dyn Harness, lineage: &str) -> Result<Arc<dyn Provider>, Failure> {
    let provider = harness
        .provider_type()
        .configure(&harness.settings(), &harness.context(lineage))
        .await;
    provider.map_err(|error| Failure::Call {
        what: "configure the provider".to_owned(),
        error,
    })
}

/// Returns what a step is, without its object.
pub(super) fn name_of(step: &Step) -> &'static str {
    match step {
        Step::Done(_) => "an object",
        Step::Gone => "nothing there",
        Step::Running { .. } => "an operation that did not end in time",
    }
}

/// Returns 32 hexadecimal digits that no other call returns, in this process or another.
fn unique_digits() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    digits(&[
        &now.to_be_bytes(),
        &std::process::id().to_be_bytes(),
        &call.to_be_bytes(),
    ])
}

fn digits(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}
