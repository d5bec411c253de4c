//! A configured provider that is asked no more than its endpoint allows: so many calls at once, so many a second, and
//! none while the far side wants a pause. Who waits is served in the order in which it came, so that no resource starves.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::BoxFuture;
use simfleet_provider_api::{
    Attributes, Found, Handle, Kind, Limits, Meter, Metric, Notices, Object, ObjectId, Observed, Provider,
    ProviderError, Rate, Runtime, Step, Token, Value,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::bucket::Bucket;

/// The attribute of a `provider` block that says how many calls it is sent at once.
pub const PARALLELISM: &str = "parallelism";
/// The attribute of a `provider` block that says how many calls it is sent a second.
pub const RATE_LIMIT: &str = "rate_limit";
/// How often a question that changes nothing is asked again where the far side has had too many.
const ASKED: usize = 8;

/// A configured provider and the limits of its endpoint. Its own calls take a turn each; who has something to do between
/// its turn and the call takes a [`Turn`].
#[derive(Debug, Clone)]
pub struct Limited {
    provider: Arc<dyn Provider>,
    endpoint: Arc<Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    began: Instant,
    bucket: Mutex<Bucket>,
    /// One permit for each call that may be unanswered.
    calls: Option<Semaphore>,
}

/// Leave to send one call. It counts as unanswered until this is dropped.
#[derive(Debug)]
pub struct Turn<'l> {
    of: &'l Limited,
    _permit: Option<SemaphorePermit<'l>>,
}

impl Limited {
    pub(super) fn new(provider: Arc<dyn Provider>, limits: Limits) -> Self {
        let endpoint = Endpoint {
            began: Instant::now(),
            bucket: Mutex::new(Bucket::new(limits.rate)),
            calls: limits
                .parallelism
                .map(|calls| Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS))),
        };
        Limited {
            provider,
            endpoint: Arc::new(endpoint),
        }
    }

    /// Waits until a call may be sent.
    pub async fn turn(&self) -> Turn<'_> {
        let permit = match &self.endpoint.calls {
            // Nobody closes it.
            Some(calls) => calls.acquire().await.ok(),
            None => None,
        };
        self.endpoint.wait().await;
        Turn {
            of: self,
            _permit: permit,
        }
    }

    /// Asks something that changes nothing, again where the far side has had too many calls.
    async fn ask<'a, T>(
        &'a self,
        call: impl Fn(&'a dyn Provider) -> BoxFuture<'a, Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError>
    where
        T: Send,
    {
        let mut asked = 1;
        loop {
            let turn = self.turn().await;
            let answer = turn.heard(call(&*self.provider).await);
            match answer {
                Err(ProviderError::Throttled { .. }) if asked < ASKED => asked += 1,
                answer => return answer,
            }
        }
    }
}

impl Turn<'_> {
    /// The provider, to send the one call to.
    pub fn provider(&self) -> &dyn Provider {
        &*self.of.provider
    }

    /// Takes in what the far side answered, and returns it. The whole endpoint is left alone for as long as it asks.
    pub fn heard<T>(&self, answer: Result<T, ProviderError>) -> Result<T, ProviderError> {
        if let Err(ProviderError::Throttled { retry_after, .. }) = &answer {
            let endpoint = &self.of.endpoint;
            let until = endpoint.began.elapsed().saturating_add(*retry_after);
            endpoint.bucket().close(until);
        }
        answer
    }
}

impl Endpoint {
    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self) {
        loop {
            let now = self.began.elapsed();
            let go = self.bucket().take(now);
            if go > now {
                tokio::time::sleep(go - now).await;
            }
            // The far side can have asked for a pause meanwhile.
            if !self.bucket().is_closed(self.began.elapsed()) {
                return;
            }
        }
    }
}

/// Returns the limits that the settings of a provider ask for, else those of its type.
pub(super) fn limits(settings: &Attributes, of_type: Limits) -> Limits {
    let parallelism = settings.get(PARALLELISM).and_then(Value::as_u64);
    let rate = settings.get(RATE_LIMIT).and_then(|rate| {
        let per_second = rate.get("per_second")?.as_number()?.as_f64();
        let burst = rate.get("burst").and_then(Value::as_u64);
        Some(Rate {
            per_second,
            // As much as a second's worth, and never nothing.
            burst: burst.map_or(per_second.ceil().max(1.0) as u32, |burst| {
                burst.min(u64::from(u32::MAX)) as u32
            }),
        })
    });
    Limits {
        parallelism: parallelism
            .map(|calls| usize::try_from(calls).unwrap_or(usize::MAX))
            .or(of_type.parallelism),
        rate: rate.or(of_type.rate),
    }
}

#[async_trait]
impl Provider for Limited {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        self.ask(|provider| provider.read(kind, id)).await
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        self.ask(|provider| provider.list(kind)).await
    }

    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        self.ask(|provider| provider.find(kind, token, planned)).await
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        let turn = self.turn().await;
        turn.heard(self.provider.create(kind, token, planned).await)
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        let turn = self.turn().await;
        turn.heard(self.provider.update(kind, prior, planned, token).await)
    }

    async fn delete(&self, kind: &Kind, object: &Object, token: &Token) -> Result<Step, ProviderError> {
        let turn = self.turn().await;
        turn.heard(self.provider.delete(kind, object, token).await)
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        self.ask(|provider| provider.poll(kind, handle)).await
    }

    fn lag(&self) -> std::time::Duration {
        self.provider.lag()
    }

    /// What a user asks for by hand does not wait for a turn.
    fn runtime(&self) -> Option<&dyn Runtime> {
        self.provider.runtime()
    }

    fn meter(&self) -> Option<&dyn Meter> {
        self.provider.meter().map(|_| self as &dyn Meter)
    }

    /// To listen is one call that never ends: it would keep its turn for ever.
    fn notices(&self) -> Option<Notices<'_>> {
        self.provider.notices()
    }
}

/// However many objects are measured at once, that takes one turn.
#[async_trait]
impl Meter for Limited {
    async fn measure(&self, metric: Metric, kind: &Kind, ids: &[ObjectId]) -> Vec<Result<f64, ProviderError>> {
        let Some(meter) = self.provider.meter() else {
            return Vec::new();
        };
        let turn = self.turn().await;
        let answers = meter.measure(metric, kind, ids).await;
        answers.into_iter().map(|answer| turn.heard(answer)).collect()
    }
}
