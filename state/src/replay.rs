//! From events to a state. Pure.

use std::collections::btree_map::Entry as Slot;

use simfleet_provider_api::{Address, Object, ObjectId, Token};

use crate::event::{Declaration, DeposedKey, Entry, Event, Operation, Outcome, Port, Remains, Stamp};
use crate::state::{Hold, Intent, Pool, Reservation, Resource, State};

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
            Event::Intended { config, .. } => self.intended = Some(config.clone()),
            Event::Outputs { values } => self.outputs = values.clone(),
            Event::Applied { configuration } => self.applied = Some(configuration.clone()),
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
            Event::Removed { address, deposed, .. } => {
                self.no_intent(at(address))?;
                self.take(at(address), deposed.as_ref())?;
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

    fn start(&mut self, at: Place<'_>, stamp: &Stamp, token: &Token, operation: &Operation) -> Result<(), ReplayError> {
        self.no_intent(at)?;
        match operation {
            Operation::Create { .. } => self.no_resource(at)?,
            Operation::Update { prior, .. } => self.has(at, None, prior)?,
            Operation::Delete { prior, deposed } => self.has(at, deposed.as_ref(), prior)?,
        }
        let intent = Intent {
            token: token.clone(),
            operation: operation.clone(),
            handle: None,
            holder: stamp.holder.clone(),
            epoch: stamp.epoch,
            started: stamp.at,
            serial: stamp.serial,
        };
        self.intents.insert(at.address.clone(), intent);
        Ok(())
    }

    fn succeed(&mut self, at: Place<'_>, stamp: &Stamp, token: &Token, outcome: &Outcome) -> Result<(), ReplayError> {
        let operation = self.intent(at, token)?.operation.clone();
        match (operation, outcome) {
            (Operation::Create { declared }, Outcome::Object(object)) => {
                self.resources
                    .insert(at.address.clone(), resource(declared, object.clone(), stamp));
            }
            (Operation::Update { declared, .. }, Outcome::Object(object)) => {
                let resource = self.resource(at, None)?;
                resource.declared = declared;
                resource.object = object.clone();
                resource.serial = stamp.serial;
            }
            (Operation::Delete { deposed, .. }, Outcome::Gone) => {
                self.take(at, deposed.as_ref())?;
            }
            (operation, _) => return Err(at.outcome(&operation)),
        }
        self.intents.remove(at.address);
        Ok(())
    }

    fn fail(&mut self, at: Place<'_>, stamp: &Stamp, token: &Token, remains: &Remains) -> Result<(), ReplayError> {
        let operation = self.intent(at, token)?.operation.clone();
        match (operation, remains) {
            (_, Remains::AsBefore) => {}
            (Operation::Create { declared }, Remains::Object(object)) => {
                let mut half_made = resource(declared, object.clone(), stamp);
                half_made.tainted = Some("its creation failed".into());
                self.resources.insert(at.address.clone(), half_made);
            }
            (operation @ Operation::Create { .. }, Remains::Gone) => return Err(at.outcome(&operation)),
            (Operation::Update { .. }, Remains::Object(object)) => {
                self.settle(at, stamp, None, &Outcome::Object(object.clone()))?;
            }
            (Operation::Update { .. }, Remains::Gone) => self.settle(at, stamp, None, &Outcome::Gone)?,
            (Operation::Delete { deposed, .. }, Remains::Object(object)) => {
                self.settle(at, stamp, deposed.as_ref(), &Outcome::Object(object.clone()))?;
            }
            (operation @ Operation::Delete { .. }, Remains::Gone) => return Err(at.outcome(&operation)),
        }
        self.intents.remove(at.address);
        Ok(())
    }

    /// Records what there is now of an object that was recorded before.
    fn settle(
        &mut self,
        at: Place<'_>,
        stamp: &Stamp,
        deposed: Option<&DeposedKey>,
        outcome: &Outcome,
    ) -> Result<(), ReplayError> {
        match outcome {
            Outcome::Object(object) => {
                let resource = self.resource(at, deposed)?;
                resource.object = object.clone();
                resource.serial = stamp.serial;
            }
            Outcome::Gone => {
                self.take(at, deposed)?;
            }
        }
        Ok(())
    }

    fn depose(&mut self, at: Place<'_>, stamp: &Stamp, key: &DeposedKey) -> Result<(), ReplayError> {
        self.no_intent(at)?;
        let mut deposed = self.take(at, None)?;
        deposed.serial = stamp.serial;
        match self.deposed.entry(at.address.clone()).or_default().entry(key.clone()) {
            Slot::Occupied(_) => Err(at.occupied()),
            Slot::Vacant(slot) => {
                slot.insert(deposed);
                Ok(())
            }
        }
    }

    fn reserve(&mut self, host: &Address, port: Port, reservation: Reservation) -> Result<(), ReplayError> {
        match self.reservations.entry(host.clone()).or_default().entry(port) {
            // To reserve again what one has is no change, so that a run that is repeated need not ask first.
            Slot::Occupied(slot) if *slot.get() == reservation => Ok(()),
            Slot::Occupied(slot) => Err(ReplayError::Taken {
                host: host.clone(),
                port,
                by: slot.get().address.clone(),
            }),
            Slot::Vacant(slot) => {
                slot.insert(reservation);
                Ok(())
            }
        }
    }

    fn release(&mut self, address: &Address, host: &Address, port: Port) -> Result<(), ReplayError> {
        let taken = self.reservations.get_mut(host);
        match taken.map(|taken| (taken.get(&port).is_some_and(|by| by.address == *address), taken)) {
            Some((true, taken)) => {
                taken.remove(&port);
                if taken.is_empty() {
                    self.reservations.remove(host);
                }
                Ok(())
            }
            _ => Err(ReplayError::NotReserved {
                address: address.clone(),
                host: host.clone(),
                port,
            }),
        }
    }

    fn scale(&mut self, address: &Address, pool: Pool) -> Result<(), ReplayError> {
        let given = self.pools.get(address).map_or(0, |pool| pool.numbered);
        if pool.numbered < given {
            return Err(ReplayError::Renumbered {
                address: address.clone(),
                given,
                to: pool.numbered,
            });
        }
        self.pools.insert(address.clone(), pool);
        Ok(())
    }

    fn relocate(&mut self, stamp: &Stamp, from: &Address, to: &Address) -> Result<(), ReplayError> {
        let (source, target) = (
            Place {
                address: from,
                event: "moved",
            },
            Place {
                address: to,
                event: "moved",
            },
        );
        self.no_intent(source)?;
        self.no_intent(target)?;
        self.no_resource(target)?;
        let taken = self.deposed.contains_key(to) || self.pools.contains_key(to) || self.reservations.contains_key(to);
        if taken {
            return Err(target.occupied());
        }
        if !(self.resources.contains_key(from) || self.deposed.contains_key(from) || self.pools.contains_key(from)) {
            return Err(source.missing());
        }
        if let Some(mut resource) = self.resources.remove(from) {
            resource.serial = stamp.serial;
            self.resources.insert(to.clone(), resource);
        }
        if let Some(deposed) = self.deposed.remove(from) {
            self.deposed.insert(to.clone(), deposed);
        }
        if let Some(pool) = self.pools.remove(from) {
            self.pools.insert(to.clone(), pool);
        }
        if let Some(hold) = self.holds.remove(from) {
            self.holds.insert(to.clone(), hold);
        }
        if let Some(taken) = self.reservations.remove(from) {
            self.reservations.insert(to.clone(), taken);
        }
        self.rename(from, to);
        Ok(())
    }

    /// Has everything that names an address name another.
    fn rename(&mut self, from: &Address, to: &Address) {
        let rename = |address: &mut Address| {
            if address == from {
                *address = to.clone();
            }
        };
        for reservation in self.reservations.values_mut().flat_map(|taken| taken.values_mut()) {
            rename(&mut reservation.address);
        }
        let deposed = self.deposed.values_mut().flat_map(|objects| objects.values_mut());
        for resource in self.resources.values_mut().chain(deposed) {
            resource.declared.depends_on.iter_mut().for_each(rename);
            resource.declared.hosted_on.iter_mut().for_each(rename);
        }
    }

    fn intent(&mut self, at: Place<'_>, token: &Token) -> Result<&mut Intent, ReplayError> {
        self.intents
            .get_mut(at.address)
            .filter(|intent| intent.token == *token)
            .ok_or_else(|| ReplayError::NoIntent {
                address: at.address.clone(),
                event: at.event,
                token: token.clone(),
            })
    }

    fn no_intent(&self, at: Place<'_>) -> Result<(), ReplayError> {
        match self.intents.get(at.address) {
            None => Ok(()),
            Some(intent) => Err(ReplayError::Open {
                address: at.address.clone(),
                event: at.event,
                verb: intent.operation.verb(),
            }),
        }
    }

    fn no_resource(&self, at: Place<'_>) -> Result<(), ReplayError> {
        match self.resources.contains_key(at.address) {
            true => Err(at.occupied()),
            false => Ok(()),
        }
    }

    fn has(&self, at: Place<'_>, deposed: Option<&DeposedKey>, id: &ObjectId) -> Result<(), ReplayError> {
        match self.object_of(at.address, deposed) {
            Some(resource) if resource.object.id == *id => Ok(()),
            _ => Err(at.missing()),
        }
    }

    fn resource(&mut self, at: Place<'_>, deposed: Option<&DeposedKey>) -> Result<&mut Resource, ReplayError> {
        let resource = match deposed {
            None => self.resources.get_mut(at.address),
            Some(key) => self
                .deposed
                .get_mut(at.address)
                .and_then(|objects| objects.get_mut(key)),
        };
        resource.ok_or_else(|| at.missing())
    }

    fn take(&mut self, at: Place<'_>, deposed: Option<&DeposedKey>) -> Result<Resource, ReplayError> {
        let Some(key) = deposed else {
            return self.resources.remove(at.address).ok_or_else(|| at.missing());
        };
        let objects = self.deposed.get_mut(at.address).ok_or_else(|| at.missing())?;
        let taken = objects.remove(key).ok_or_else(|| at.missing());
        if objects.is_empty() {
            self.deposed.remove(at.address);
        }
        taken
    }
}

fn resource(declared: Declaration, object: Object, stamp: &Stamp) -> Resource {
    Resource {
        declared,
        object,
        tainted: None,
        created: stamp.at,
        serial: stamp.serial,
    }
}

/// What an error is about.
#[derive(Clone, Copy)]
struct Place<'a> {
    address: &'a Address,
    event: &'static str,
}

impl Place<'_> {
    fn occupied(self) -> ReplayError {
        ReplayError::Occupied {
            address: self.address.clone(),
            event: self.event,
        }
    }

    fn missing(self) -> ReplayError {
        ReplayError::Missing {
            address: self.address.clone(),
            event: self.event,
        }
    }

    fn outcome(self, operation: &Operation) -> ReplayError {
        ReplayError::Outcome {
            address: self.address.clone(),
            event: self.event,
            verb: operation.verb(),
        }
    }
}
