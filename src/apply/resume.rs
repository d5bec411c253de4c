//! Finishes what an earlier run began: each open intent is looked up by its token, then adopted, followed to its end,
//! issued again with the same token, or cleared.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Address, Attributes, Handle, Object, ProviderError, Step as Reply};
use simfleet_state::{Declaration, Event, Intent, Journal, Operation, Outcome as Left, Remains, State};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::call::{Call, CallError, Effect, Patience, Request};
use super::lease::{LeaseKeeper, LeaseWatch};
use super::{Progress, Verb};
use crate::plan::marked;
use crate::providers::Providers;

/// An intent that could not be brought to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stuck {
    /// The resource.
    pub address: Address,
    /// What was begun.
    pub verb: Verb,
    /// Why its end is not known.
    pub reason: String,
}

/// An open intent with all that is needed to finish it.
#[derive(Debug, Clone)]
pub(super) struct Open {
    address: Address,
    pub(super) intent: Intent,
    pub(super) declared: Declaration,
    /// The object that is changed or deleted, and what was declared of it.
    prior: Option<(Object, Declaration)>,
}

/// How patient to be with what was begun with a resource.
pub type PatienceOf<'p> = dyn Fn(&Address, Verb) -> Patience + Sync + 'p;

/// Finishes the open intents at the given addresses, all of which the journal must hold; returns the state after that
/// and what is still open.
///
/// # Errors
/// Why the journal could not be written.
pub async fn resume(
    mut state: State,
    addresses: &[Address],
    providers: &Providers,
    journal: &mut dyn Journal,
    patience: &PatienceOf<'_>,
    progress: &mpsc::UnboundedSender<Progress>,
) -> Result<(State, Vec<Stuck>), String> {
    let open: Vec<Open> = addresses
        .iter()
        .filter_map(|address| Open::of(&state, address))
        .collect();
    let mut journal = LeaseKeeper::new(journal);
    let lease = journal.watch();
    let taken = stream::iter(open)
        .map(|open| {
            let patience = patience(&open.address, open.verb());
            take_up(open, providers, patience, &lease)
        })
        .buffered(16)
        .collect::<Vec<_>>();
    let taken = renewing(&mut journal, taken).await?;
    let mut stuck = Vec::new();
    let mut following = Vec::new();
    let mut events = Vec::new();
    for (open, call, end) in taken {
        match (end, call) {
            (Ok(Reply::Running { handle, poll_after }), Some(call)) => {
                let (address, token) = (open.address.clone(), open.intent.token.clone());
                events.push(Event::Accepted {
                    address,
                    token,
                    handle: handle.clone(),
                });
                following.push((open, call, handle, poll_after));
            }
            (end, _) => settle(&open, end, providers, &mut events, &mut stuck, progress),
        }
    }
    // A handle is durable before it is asked after.
    journal.record(&mut state, std::mem::take(&mut events)).await?;

    let ends = stream::iter(following)
        .map(|(open, call, handle, poll_after)| async move {
            let end = follow_up(&open, &call, handle, poll_after).await;
            (open, end)
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>();
    let ends = renewing(&mut journal, ends).await?;
    for (open, end) in ends {
        settle(&open, end, providers, &mut events, &mut stuck, progress);
    }
    journal.record(&mut state, events).await?;
    Ok((state, stuck))
}

/// Waits for something that is no walk, and keeps the locks meanwhile.
///
/// # Errors
/// That the locks were taken over, or why that cannot be told.
pub(crate) async fn under_lease<T>(journal: &mut dyn Journal, work: impl Future<Output = T>) -> Result<T, String> {
    renewing(&mut LeaseKeeper::new(journal), work).await
}

/// Waits for something, and keeps the locks meanwhile.
async fn renewing<T>(journal: &mut LeaseKeeper<'_>, work: impl Future<Output = T>) -> Result<T, String> {
    let mut renew = tokio::time::interval(journal.pace());
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = renew.tick() => journal.renew().await?,
        }
    }
}

impl Open {
    pub(super) fn of(state: &State, address: &Address) -> Option<Self> {
        let intent = state.intents.get(address)?.clone();
        let declared = state.declared_of(address)?.clone();
        let deposed = match &intent.operation {
            Operation::Delete { deposed, .. } => deposed.as_ref(),
            _ => None,
        };
        let prior = state
            .object_of(address, deposed)
            .map(|resource| (resource.object.clone(), resource.declared.clone()));
        Some(Open {
            address: address.clone(),
            intent,
            declared,
            prior,
        })
    }

    /// Forgets the secrets that an update may have set or not: the far side does not tell them, so that the next plan has
    /// to set them again.
    fn without_secrets(&self) -> Option<Event> {
        let (Verb::Update, Some((_, before))) = (self.verb(), &self.prior) else {
            return None;
        };
        let is_open = |name: &str| {
            self.declared
                .inputs
                .get(name)
                .is_none_or(|value| !value.has_sensitive())
        };
        let inputs: Attributes = before
            .inputs
            .iter()
            .filter(|(name, value)| !value.has_sensitive() && is_open(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        (inputs != before.inputs).then(|| Event::Redeclared {
            address: self.address.clone(),
            declared: Declaration {
                inputs,
                ..before.clone()
            },
        })
    }

    pub(super) fn verb(&self) -> Verb {
        match self.intent.operation {
            Operation::Create { .. } => Verb::Create,
            Operation::Update { .. } => Verb::Update,
            Operation::Delete { .. } => Verb::Delete,
        }
    }
}

/// Finds out what became of an intent, or carries it out; returns the call with which an accepted operation is followed.
pub(super) async fn take_up(
    open: Open,
    providers: &Providers,
    patience: Patience,
    lease: &LeaseWatch,
) -> (Open, Option<Call>, Result<Reply, CallError>) {
    let provider = match providers.configured(&open.declared.provider).await {
        Ok(provider) => provider,
        // That the provider cannot be asked now says nothing of what the intent did.
        Err(error) => {
            return (
                open,
                None,
                Err(CallError {
                    error,
                    effect: Effect::Unknown,
                    is_timeout: false,
                }),
            );
        }
    };
    let (kind, token) = (open.declared.kind.clone(), open.intent.token.clone());
    let call = Call {
        provider,
        kind,
        token,
        patience,
        lease: lease.clone(),
        // What was begun is brought to its end.
        stop: watch::channel(false).1,
    };
    let end = finish(&open, &call).await;
    (open, Some(call), end)
}

/// Asks after an accepted operation until it has ended.
pub(super) async fn follow_up(
    open: &Open,
    call: &Call,
    handle: Handle,
    poll_after: Duration,
) -> Result<Reply, CallError> {
    match call.follow(handle, poll_after, &|_, _, _| {}).await {
        // The operation cannot be asked after: what it did can.
        Err(error) if error.effect == Effect::Unknown && !error.error.is_transient() => carry_out(open, call).await,
        end => end,
    }
}

/// Finds out what became of an intent, or carries it out.
async fn finish(open: &Open, call: &Call) -> Result<Reply, CallError> {
    if let Some(handle) = &open.intent.handle {
        return Ok(Reply::Running {
            handle: handle.clone(),
            poll_after: Duration::ZERO,
        });
    }
    carry_out(open, call).await
}

/// Finds out what became of an intent whose operation is not known, or carries it out.
async fn carry_out(open: &Open, call: &Call) -> Result<Reply, CallError> {
    let wanted = &open.declared.inputs;
    let request = match (open.verb(), open.prior.clone()) {
        (Verb::Create, _) => match call.find_for_sure(wanted).await? {
            Some(found) => return Ok(found),
            None => Request::Create { wanted: wanted.clone() },
        },
        (Verb::Update, Some((prior, _))) => Request::Update {
            prior,
            wanted: wanted.clone(),
        },
        (_, Some((prior, _))) => Request::Delete { prior },
        (_, None) => return Ok(Reply::Gone),
    };
    if !matches!(request, Request::Delete { .. }) && wanted.iter().any(|(_, value)| value.has_sensitive()) {
        // The state keeps no secrets, so it cannot be issued again from here; the plan makes a new change of it.
        let message = "it was not carried out, and its secrets are with the configuration only".to_owned();
        return Err(ProviderError::Rejected {
            message,
            attribute: None,
        }
        .into());
    }
    call.issue(&request, &|_, _, _| {}).await.map_err(|error| {
        let effect = match (&request, &error.error) {
            // Nothing was found of it, and it is not to be had.
            (Request::Create { .. }, ProviderError::Rejected { .. } | ProviderError::Conflict { .. }) => error.effect,
            (Request::Create { .. }, _) => Effect::Unknown,
            // What is recorded of an object that is there is only what was last seen of it: the next plan looks again.
            _ if error.error.is_transient() => error.effect,
            _ => Effect::None,
        };
        CallError { effect, ..error }
    })
}

/// Turns an end into an event, and tells the user.
pub(super) fn settle(
    open: &Open,
    end: Result<Reply, CallError>,
    providers: &Providers,
    events: &mut Vec<Event>,
    stuck: &mut Vec<Stuck>,
    progress: &mpsc::UnboundedSender<Progress>,
) {
    let (address, token, verb) = (open.address.clone(), open.intent.token.clone(), open.verb());
    let mut still_open = |reason: String| {
        stuck.push(Stuck {
            address: address.clone(),
            verb,
            reason,
        })
    };
    let message = match end {
        Ok(Reply::Done(mut object)) => {
            let Declaration {
                provider, kind, inputs, ..
            } = &open.declared;
            if let Some(schema) = providers.registry().schema(&provider.name, kind) {
                object.attributes = marked(schema, inputs, &object.attributes);
            }
            events.push(Event::Succeeded {
                address: address.clone(),
                token,
                outcome: Left::Object(object),
            });
            "it is done".to_owned()
        }
        Ok(Reply::Gone) if verb == Verb::Delete => {
            events.push(Event::Succeeded {
                address: address.clone(),
                token,
                outcome: Left::Gone,
            });
            "it is gone".to_owned()
        }
        Ok(Reply::Gone) => {
            let reason = "the object is gone".into();
            let remains = match verb {
                Verb::Create => Remains::AsBefore,
                _ => Remains::Gone,
            };
            events.push(Event::Failed {
                address: address.clone(),
                token,
                reason,
                remains,
            });
            "the object is gone".to_owned()
        }
        Ok(Reply::Running { .. }) => {
            let reason = "the provider still works on it";
            still_open(reason.to_owned());
            reason.to_owned()
        }
        Err(CallError {
            error,
            effect: Effect::None,
            ..
        }) => {
            let reason = error.to_string();
            events.push(Event::Failed {
                address: address.clone(),
                token,
                reason: reason.as_str().into(),
                remains: Remains::AsBefore,
            });
            events.extend(open.without_secrets());
            match verb {
                Verb::Create => format!("it had no effect: {reason}"),
                _ => format!("it is left as it is: {reason}"),
            }
        }
        Err(CallError {
            error,
            effect: Effect::Unknown,
            ..
        }) => {
            still_open(error.to_string());
            format!("what became of it is still not known: {error}")
        }
    };
    let _ = progress.send(Progress::Resumed { address, verb, message });
}
