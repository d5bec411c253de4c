//! One call to a provider, repeated until its end is known or it is given up.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{
    Attributes, Found, Handle, Kind, Object, ObjectId, Observed, Provider, ProviderError, Step, Token,
};
use simfleet_state::Timeouts;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Verb;
use super::lease::LeaseWatch;
use crate::providers::{Limited, Turn};

/// How often and how long a call is repeated.
#[derive(Clone)]
pub struct Patience {
    /// How often a call is sent at the most.
    pub attempts: u32,
    /// The first pause; each next one is twice as long.
    pub base: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long one step may take, polls included.
    pub timeout: Duration,
    /// Returns a number in 0..1: a pause is that share of its length ("full jitter"), so that many callers spread out.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience")
            .field("attempts", &self.attempts)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            attempts: 8,
            base: Duration::from_millis(200),
            longest: Duration::from_secs(20),
            timeout: Duration::from_secs(20 * 60),
            jitter: Arc::new(rand::random::<f64>),
        }
    }
}

impl Patience {
    /// Returns the patience with the steps of a resource that has time-outs of its own.
    pub fn within(&self, timeouts: &Timeouts, verb: Verb) -> Self {
        let timeout = match verb {
            Verb::Create | Verb::Prove => timeouts.create,
            Verb::Update | Verb::Check => timeouts.update,
            Verb::Delete | Verb::Forget | Verb::Drain => timeouts.delete,
        };
        Patience {
            timeout: timeout.unwrap_or(self.timeout),
            ..self.clone()
        }
    }

    pub(super) fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let ceiling = self.base.saturating_mul(1 << attempt.min(16)).min(self.longest);
        // What the far side asks for is the least: below it every call is refused.
        asked.unwrap_or_default() + ceiling.mul_f64((self.jitter)().clamp(0.0, 1.0))
    }
}

/// What is asked of a provider. The token makes it safe to ask again.
#[derive(Debug, Clone)]
pub enum Request {
    /// Make an object.
    Create {
        /// What is wanted.
        wanted: Attributes,
    },
    /// Change an object.
    Update {
        /// The object as it was.
        prior: Object,
        /// What is wanted.
        wanted: Attributes,
    },
    /// Delete an object.
    Delete {
        /// The object as it was.
        prior: Object,
    },
}

/// Why a call did not come to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct CallError {
    /// What the provider said last.
    pub error: ProviderError,
    /// Whether it is known what the call did.
    pub effect: Effect,
    /// Whether it was given up because its time was over.
    pub is_timeout: bool,
}

/// What a failed call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: that is proven.
    None,
    /// Perhaps something: the intent stays open.
    Unknown,
}

impl From<ProviderError> for CallError {
    fn from(error: ProviderError) -> Self {
        let effect = match &error {
            ProviderError::Ambiguous { .. } | ProviderError::Broken { .. } => Effect::Unknown,
            _ => Effect::None,
        };
        CallError {
            error,
            effect,
            is_timeout: false,
        }
    }
}

/// Told before a call is sent again: the attempt that comes (from 2), the pause, and what failed.
pub type OnRetry<'a> = &'a (dyn Fn(u32, Duration, &ProviderError) + Send + Sync);

/// A provider, the kind of object, and the token of the intent: what all calls of one step share.
#[derive(Debug, Clone)]
pub struct Call {
    /// The configured provider.
    pub provider: Limited,
    /// The kind of object.
    pub kind: Kind,
    /// The token of the intent.
    pub token: Token,
    /// How often and how long.
    pub patience: Patience,
    /// The lease on the address: without it nothing is changed.
    pub lease: LeaseWatch,
    /// Turns true when nothing is to be sent again.
    pub stop: watch::Receiver<bool>,
}

impl Call {
    /// Sends a request until its end is known: done, gone, or accepted. Dropping the future and calling this again with
    /// the same token is safe. Each time it is sent under a lease with time left only: see [`super::lease`].
    ///
    /// # Errors
    /// What the provider said last, and whether anything may have been done.
    pub async fn issue(&self, request: &Request, on_retry: OnRetry<'_>) -> Result<Step, CallError> {
        let mut deadline = Instant::now() + self.patience.timeout;
        // Once a reply was lost, a later refusal proves nothing of the earlier call.
        let mut lost = false;
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request, lost, &mut deadline).await {
                Ok(step) => return Ok(step),
                Err(error) => error,
            };
            lost |= matches!(error, ProviderError::Ambiguous { .. });
            let pause = self.patience.pause(attempt, error.retry_after());
            let (refused, is_late) = (!error.is_transient(), Instant::now() + pause >= deadline);
            if !refused && !is_late && attempt < self.patience.attempts && !*self.stop.borrow() {
                attempt += 1;
                on_retry(attempt, pause, &error);
                if self.rest(pause).await {
                    continue;
                }
            }
            let mut failure = CallError::from(error);
            failure.is_timeout = is_late && !refused;
            if !lost {
                return Err(failure);
            }
            failure.effect = Effect::Unknown;
            return match request {
                Request::Create { wanted } if refused => self.after_refusal(wanted, failure).await,
                _ => Err(failure),
            };
        }
    }

    /// Waits before the next attempt; returns whether there is to be one.
    async fn rest(&self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            Ok(_) = stop.wait_for(|stop| *stop) => false,
        }
    }

    /// Sends the request once. After a lost reply to a create it looks first for what that create made. What it waits for
    /// its turn is not counted: nothing has been sent by then.
    async fn attempt(&self, request: &Request, lost: bool, deadline: &mut Instant) -> Result<Step, ProviderError> {
        if let (true, Request::Create { wanted }) = (lost, request)
            && let Some(step) = self.within(*deadline, self.find(wanted)).await?
        {
            return Ok(step);
        }
        let asked = Instant::now();
        let turn = self.provider.turn().await;
        *deadline += asked.elapsed();
        self.within(*deadline, self.send(request, &turn)).await
    }

    /// Sends the request. It has its turn before the look at the lease, as it may have waited long for it.
    async fn send(&self, request: &Request, turn: &Turn<'_>) -> Result<Step, ProviderError> {
        self.lease.held().await;
        let (provider, kind, token) = (turn.provider(), &self.kind, &self.token);
        turn.heard(match request {
            Request::Create { wanted } => provider.create(kind, token, wanted).await,
            Request::Update { prior, wanted } => provider.update(kind, prior, wanted, token).await,
            Request::Delete { prior } => provider.delete(kind, prior, token).await,
        })
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let ended = tokio::time::timeout_at(deadline, call).await;
        ended.unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// Looks for what an earlier create with this token made, once.
    ///
    /// # Errors
    /// `Rejected` where that create is known to have failed, else what the provider says.
    async fn find(&self, wanted: &Attributes) -> Result<Option<Step>, ProviderError> {
        match self.provider.find(&self.kind, &self.token, wanted).await? {
            Found::Ready(object) => Ok(Some(Step::Done(object))),
            Found::InProgress(handle) => Ok(Some(Step::Running {
                handle,
                poll_after: self.patience.base,
            })),
            Found::Failed { message } => Err(ProviderError::Rejected {
                message,
                attribute: None,
            }),
            Found::Nothing => Ok(None),
        }
    }

    /// Tells what became of a create whose reply was lost, and that was refused when it was sent again.
    async fn after_refusal(&self, wanted: &Attributes, refusal: CallError) -> Result<Step, CallError> {
        match self.find_for_sure(wanted).await {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Err(CallError {
                effect: Effect::None,
                ..refusal
            }),
            Err(error) if error.effect == Effect::None => Err(error),
            Err(_) => Err(refusal),
        }
    }

    /// Looks for what a create made, again and again for as long as the provider's indexes may lag.
    ///
    /// # Errors
    /// `Rejected`, without any effect, where that create is known to have failed. Else what the provider says, and
    /// nothing is known.
    pub async fn find_for_sure(&self, wanted: &Attributes) -> Result<Option<Step>, CallError> {
        let until = Instant::now() + self.provider.lag();
        let mut attempt = 1;
        loop {
            let found = self.find(wanted).await;
            let is_late = Instant::now() >= until;
            match found {
                Ok(Some(step)) => return Ok(Some(step)),
                Ok(None) if is_late => return Ok(None),
                Err(error) if !error.is_transient() || (is_late && attempt >= self.patience.attempts) => {
                    let is_proof = matches!(error, ProviderError::Rejected { .. });
                    let effect = if is_proof { Effect::None } else { Effect::Unknown };
                    return Err(CallError {
                        error,
                        effect,
                        is_timeout: false,
                    });
                }
                Ok(None) | Err(_) => {}
            }
            tokio::time::sleep(self.patience.pause(attempt, None)).await;
            attempt += 1;
        }
    }

    /// Asks after an accepted operation until it has ended.
    ///
    /// # Errors
    /// What the provider said last. A time-out leaves the effect unknown: the operation may still go on.
    pub async fn follow(&self, handle: Handle, poll_after: Duration, on_retry: OnRetry<'_>) -> Result<Step, CallError> {
        let deadline = Instant::now() + self.patience.timeout;
        let (mut handle, mut pause, mut failures) = (handle, poll_after, 0);
        loop {
            let next = Instant::now() + pause.min(self.patience.longest);
            tokio::time::sleep_until(next.min(deadline)).await;
            // At the deadline it is asked once more.
            let answer = self.provider.poll(&self.kind, &handle);
            match self.within(deadline + self.patience.longest, answer).await {
                Ok(Step::Running {
                    handle: next,
                    poll_after,
                }) if Instant::now() < deadline => {
                    (handle, pause, failures) = (next, poll_after, 0);
                }
                Ok(Step::Running { .. }) => {
                    return Err(CallError {
                        error: self.timed_out(),
                        effect: Effect::Unknown,
                        is_timeout: true,
                    });
                }
                Ok(step) => return Ok(step),
                Err(error)
                    if error.is_transient() && failures + 1 < self.patience.attempts && Instant::now() < deadline =>
                {
                    failures += 1;
                    pause = self.patience.pause(failures, error.retry_after());
                    on_retry(failures + 1, pause, &error);
                }
                Err(error) => {
                    let rejected = matches!(error, ProviderError::Rejected { .. });
                    let effect = if rejected { Effect::None } else { Effect::Unknown };
                    return Err(CallError {
                        is_timeout: error.is_transient() && Instant::now() >= deadline,
                        error,
                        effect,
                    });
                }
            }
        }
    }

    /// Looks at an object until it can be told whether it is there, or patience ends; then it is unreachable.
    pub async fn look(&self, id: &ObjectId) -> Result<Observed, ProviderError> {
        let mut attempt = 1;
        loop {
            let seen = self.provider.read(&self.kind, id).await;
            let again = match &seen {
                Ok(Observed::Unreachable { .. }) => true,
                Ok(_) => false,
                Err(error) => error.is_transient(),
            };
            if !again || attempt >= self.patience.attempts {
                return seen;
            }
            tokio::time::sleep(self.patience.pause(attempt, None)).await;
            attempt += 1;
        }
    }

    fn timed_out(&self) -> ProviderError {
        let seconds = self.patience.timeout.as_secs();
        ProviderError::Ambiguous {
            message: format!("it did not end within its time-out of {seconds} s"),
        }
    }
}
