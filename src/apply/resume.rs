//! Finishes what an earlier run began: each open intent is looked up by its token, then adopted, followed to its end,
//! issued again with the same token, or cleared.

use futures::stream::{self, StreamExt};
use simfleet_provider_api::{Address, Attributes, Object, ProviderError, Step as Reply};
use simfleet_state::{Declaration, Event, Intent, Journal, Operation, Outcome as Left, Remains, State};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::call::{Call, CallError, Effect, Patience, Request};
use super::{Progress, Verb, record};
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
struct Open {
    address: Address,
    intent: Intent,
    declared: Declaration,
    /// The object that is changed or deleted.
    prior: Option<Object>,
}

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
    patience: &Patience,
    progress: &mpsc::UnboundedSender<Progress>,
) -> Result<(State, Vec<Stuck>), String> {
    let open: Vec<Open> = addresses
        .iter()
        .filter_map(|address| Open::of(&state, address))
        .collect();
    let taken = stream::iter(open)
        .map(|open| take_up(open, providers, patience))
        .buffered(16)
        .collect::<Vec<_>>()
        .await;
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
    record(&mut state, journal, std::mem::take(&mut events)).await?;

    let ends = stream::iter(following)
        .map(|(open, call, handle, poll_after)| async move {
            let end = call.follow(handle, poll_after, &|_, _, _| {}).await;
            (open, end)
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    for (open, end) in ends {
        settle(&open, end, providers, &mut events, &mut stuck, progress);
    }
    record(&mut state, journal, events).await?;
    Ok((state, stuck))
}

impl Open {
    fn of(state: &State, address: &Address) -> Option<Self> {
        let intent = state.intents.get(address)?.clone();
        let declared = state.declared_of(address)?.clone();
        let deposed = match &intent.operation {
            Operation::Delete { deposed, .. } => deposed.as_ref(),
            _ => None,
        };
        let prior = state
            .object_of(address, deposed)
            .map(|resource| resource.object.clone());
        Some(Open {
            address: address.clone(),
            intent,
            declared,
            prior,
        })
    }

    fn verb(&self) -> Verb {
        match self.intent.operation {
            Operation::Create { .. } => Verb::Create,
            Operation::Update { .. } => Verb::Update,
            Operation::Delete { .. } => Verb::Delete,
        }
    }
}

async fn take_up(
    open: Open,
    providers: &Providers,
    patience: &Patience,
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
                }),
            );
        }
    };
    let (kind, token) = (open.declared.kind.clone(), open.intent.token.clone());
    let call = Call {
        provider,
        kind,
        token,
        patience: patience.clone(),
    };
    let end = finish(&open, &call).await;
    (open, Some(call), end)
}

/// Finds out what became of an intent, or carries it out.
async fn finish(open: &Open, call: &Call) -> Result<Reply, CallError> {
    if let Some(handle) = &open.intent.handle {
        return Ok(Reply::Running {
            handle: handle.clone(),
            poll_after: std::time::Duration::ZERO,
        });
    }
    let wanted = &open.declared.inputs;
    let request = match (open.verb(), open.prior.clone()) {
        (Verb::Create, _) => match find(call, wanted).await? {
            Some(found) => return Ok(found),
            None => Request::Create { wanted: wanted.clone() },
        },
        (Verb::Update, Some(prior)) => Request::Update {
            prior,
            wanted: wanted.clone(),
        },
        (_, Some(prior)) => Request::Delete { prior },
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
    call.issue(&request, &|_, _, _| {})
        .await
        .map_err(|error| match error.effect {
            // This attempt did nothing, but the one before it may have.
            Effect::None if !matches!(error.error, ProviderError::Rejected { .. }) => CallError {
                effect: Effect::Unknown,
                ..error
            },
            _ => error,
        })
}

/// Looks for what a create made, again and again for as long as the provider's indexes may lag.
async fn find(call: &Call, wanted: &Attributes) -> Result<Option<Reply>, CallError> {
    let until = Instant::now() + call.provider.lag();
    let mut attempt = 1;
    loop {
        match call.find(wanted).await {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) if Instant::now() >= until => return Ok(None),
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(error) if attempt >= call.patience.attempts && Instant::now() >= until => {
                return Err(CallError {
                    error,
                    effect: Effect::Unknown,
                });
            }
            Ok(None) | Err(_) => {}
        }
        tokio::time::sleep(call.patience.pause(attempt, None)).await;
        attempt += 1;
    }
}

/// Turns an end into an event, and tells the user.
fn settle(
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
            events.push(Event::Failed {
                address: address.clone(),
                token,
                reason,
                remains: Remains::Gone,
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
        }) => {
            let reason = error.to_string();
            events.push(Event::Failed {
                address: address.clone(),
                token,
                reason: reason.as_str().into(),
                remains: Remains::AsBefore,
            });
            format!("it had no effect: {reason}")
        }
        Err(CallError {
            error,
            effect: Effect::Unknown,
        }) => {
            still_open(error.to_string());
            format!("what became of it is still not known: {error}")
        }
    };
    let _ = progress.send(Progress::Resumed { address, verb, message });
}
