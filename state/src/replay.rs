//! From events to a state. Pure.

use std::sync::Arc;

use simfleet_provider_api::{Address, Token};

use crate::event::{Entry, Event, Stamp};
use crate::port::Port;
use crate::state::{Allocation, Hold, Pool, Reservation, State};
use crate::transition::{Place, resource};

/// Why an event cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A group of events is missing, or comes twice.
    #[error("serial {found} follows serial {last}")]
    Gap {
        /// The serial before.
        last: u64,
        /// The serial that came.
        found: u64,
    },
    /// The address has an open intent already.
    #[error("`{event}` of {address}: its {verb} is still open")]
    Open {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
        /// The word for the open intent.
        verb: &'static str,
    },
    /// The address has no open intent with that token.
    #[error("`{event}` of {address}: there is no open intent {token}")]
    NoIntent {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
        /// The token of the event.
        token: Token,
    },
    /// The operation cannot end like that: a create that leaves nothing, an update or create that succeeds with nothing.
    #[error("`{event}` of {address}: a {verb} cannot end so")]
    Outcome {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
        /// The word for the open intent.
        verb: &'static str,
    },
    /// The address has an object already.
    #[error("`{event}` of {address}: it has an object already")]
    Occupied {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
    },
    /// The address has no such object.
    #[error("`{event}` of {address}: it has no such object")]
    Missing {
        /// The resource.
        address: Address,
        /// The name of the event.
        event: &'static str,
    },
    /// The port belongs to another resource, or to the same one by another name.
    #[error("port {port} of {host} is taken by {by}")]
    Taken {
        /// The node.
        host: Address,
        /// The port.
        port: Port,
        /// The resource that has it.
        by: Address,
    },
    /// The resource does not have the port that it releases.
    #[error("{address} does not have port {port} of {host}")]
    NotReserved {
        /// The resource.
        address: Address,
        /// The node.
        host: Address,
        /// The port.
        port: Port,
    },
    /// An operation is in flight that a pushed state would lose sight of.
    #[error("the {verb} of {address} is still open")]
    InFlight {
        /// The resource.
        address: Address,
        /// The word for the open intent.
        verb: &'static str,
    },
    /// The resource is somebody else's.
    #[error("{address} is allocated to {by}")]
    Allocated {
        /// The resource.
        address: Address,
        /// Who has it.
        by: Arc<str>,
    },
    /// A pool's member number was to be used again.
    #[error("{address} gave its members numbers up to {given}, which cannot become {to}")]
    Renumbered {
        /// The pool.
        address: Address,
        /// The highest number so far.
        given: u64,
        /// The one in the event.
        to: u64,
    },
}

/// Makes the state that events lead to.
///
/// # Errors
/// Where an event cannot follow those before it, or a group is missing.
pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<State, ReplayError> {
    let mut state = State::default();
    for entry in entries {
        if entry.stamp.serial != state.serial + 1 {
            return Err(ReplayError::Gap {
                last: state.serial,
                found: entry.stamp.serial,
            });
        }
        state.apply(entry)?;
    }
    Ok(state)
}

impl State {
    /// Adds a group of events. Groups of others, at addresses that are locked by them, may be missing in between, so that
    /// a run can keep up its own view.
    ///
    /// # Errors
    /// Where an event cannot follow those before it. The state is half changed then, and is to be thrown away.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ReplayError> {
        if entry.stamp.serial <= self.serial {
            return Err(ReplayError::Gap {
                last: self.serial,
                found: entry.stamp.serial,
            });
        }
        self.serial = entry.stamp.serial;
        entry.events.iter().try_for_each(|event| self.add(&entry.stamp, event))
    }

    fn add(&mut self, stamp: &Stamp, event: &Event) -> Result<(), ReplayError> {
        let at = |address| Place {
            address,
            event: event.name(),
        };
        match event {
            Event::Began { .. } => {}
            Event::Intended { config, configuration } => {
                self.intended.clone_from(config);
                if configuration.is_some() {
                    self.configuration.clone_from(configuration);
                }
            }
            Event::Outputs { values } => self.outputs = values.clone(),
            Event::Pushed { state } => self.push(stamp, state)?,
            Event::Started {
                address,
                token,
                operation,
            } => self.start(at(address), stamp, token, operation)?,
            Event::Accepted { address, token, handle } => {
                let intent = self.intent(at(address), token)?;
                intent.handle = Some(handle.clone());
                intent.serial = stamp.serial;
            }
            Event::Succeeded {
                address,
                token,
                outcome,
            } => self.succeed(at(address), stamp, token, outcome)?,
            Event::Failed {
                address,
                token,
                remains,
                ..
            } => self.fail(at(address), stamp, token, remains)?,
            Event::Abandoned { address, token, .. } => {
                self.intent(at(address), token)?;
                self.intents.remove(address);
            }
            Event::Adopted {
                address,
                declared,
                object,
            } => {
                self.no_intent(at(address))?;
                self.no_resource(at(address))?;
                self.resources
                    .insert(address.clone(), resource(declared.clone(), object.clone(), stamp));
            }
            Event::Redeclared { address, declared } => {
                self.no_intent(at(address))?;
                let resource = self.resource(at(address), None)?;
                resource.declared = declared.clone();
                resource.serial = stamp.serial;
            }
            Event::Observed {
                address,
                deposed,
                outcome,
            } => {
                self.no_intent(at(address))?;
                self.settle(at(address), stamp, deposed.as_ref(), outcome)?;
            }
            Event::Deposed { address, key } => self.depose(at(address), stamp, key)?,
            Event::Restored { address, key } => {
                self.no_intent(at(address))?;
                self.no_resource(at(address))?;
                let mut restored = self.take(at(address), Some(key))?;
                restored.serial = stamp.serial;
                self.resources.insert(address.clone(), restored);
            }
            Event::Tainted { address, reason } => {
                let resource = self.resource(at(address), None)?;
                resource.tainted = Some(reason.clone());
                resource.serial = stamp.serial;
            }
            Event::Untainted { address } => {
                let resource = self.resource(at(address), None)?;
                resource.tainted = None;
                resource.serial = stamp.serial;
            }
            Event::Cordoned { address } => {
                let resource = self.resource(at(address), None)?;
                resource.cordoned = Some(stamp.at);
                resource.serial = stamp.serial;
            }
            Event::Uncordoned { address } => {
                let resource = self.resource(at(address), None)?;
                resource.cordoned = None;
                resource.serial = stamp.serial;
            }
            Event::Removed { address, deposed, .. } => {
                self.no_intent(at(address))?;
                // A pool has no object of its own: its size and numbers are what is recorded of it.
                let is_pool = deposed.is_none() && !self.resources.contains_key(address);
                if !(is_pool && self.pools.remove(address).is_some()) {
                    self.take(at(address), deposed.as_ref())?;
                }
            }
            Event::Reserved {
                address,
                name,
                host,
                port,
            } => {
                let reservation = Reservation {
                    address: address.clone(),
                    name: name.clone(),
                };
                self.reserve(host, *port, reservation)?;
            }
            Event::Released { address, host, port } => self.release(address, host, *port)?,
            Event::Held {
                address,
                state,
                by,
                until,
            } => {
                let hold = Hold {
                    state: *state,
                    by: by.clone(),
                    since: stamp.at,
                    until: *until,
                    serial: stamp.serial,
                };
                self.holds.insert(address.clone(), hold);
            }
            Event::Unheld { address } => {
                self.holds.remove(address).ok_or_else(|| at(address).missing())?;
            }
            Event::Allocated { address, by, until } => {
                let allocation = Allocation {
                    by: by.clone(),
                    since: stamp.at,
                    until: *until,
                    serial: stamp.serial,
                };
                self.allocate(address, allocation)?;
            }
            Event::Deallocated { address, since } => {
                self.allocations
                    .retain(|at, allocation| at != address || allocation.since != *since);
            }
            Event::Scaled {
                address,
                size,
                numbered,
                reason,
            } => {
                let pool = Pool {
                    size: *size,
                    numbered: *numbered,
                    since: stamp.at,
                    reason: reason.clone(),
                    serial: stamp.serial,
                };
                self.scale(address, pool)?;
            }
            Event::Moved { from, to } => self.relocate(stamp, from, to)?,
        }
        Ok(())
    }
}
