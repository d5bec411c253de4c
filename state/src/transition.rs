//! What each event does to a state, and what has to be there before. Pure.

use std::collections::btree_map::Entry as Slot;

use simfleet_provider_api::{Address, Object, ObjectId, Token};

use crate::declaration::{Declaration, DeposedKey, Operation, Outcome, Remains};
use crate::event::Stamp;
use crate::port::Port;
use crate::replay::ReplayError;
use crate::state::{Allocation, Intent, Pool, Reservation, Resource, State};

/// Returns the number of a pool's member, `m7`; `None` for anything else.
pub(crate) fn number_of(member: &Address) -> Option<u64> {
    member.child_name()?.strip_prefix('m')?.parse().ok()
}

impl State {
    pub(crate) fn start(
        &mut self,
        at: Place<'_>,
        stamp: &Stamp,
        token: &Token,
        operation: &Operation,
    ) -> Result<(), ReplayError> {
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
        if let Operation::Create { .. } = operation {
            self.use_number(at.address, stamp);
        }
        Ok(())
    }

    /// Counts the number of a pool's member as used.
    fn use_number(&mut self, member: &Address, stamp: &Stamp) {
        if let Some(number) = number_of(member)
            && let Some(pool) = self.pools.get_mut(&member.parent())
            && pool.numbered < number
        {
            pool.numbered = number;
            // A plan that was made before would give it again.
            pool.serial = stamp.serial;
        }
    }

    pub(crate) fn succeed(
        &mut self,
        at: Place<'_>,
        stamp: &Stamp,
        token: &Token,
        outcome: &Outcome,
    ) -> Result<(), ReplayError> {
        self.note_timing(at, stamp, token)?;
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

    /// Takes in how long an operation took, unless it waited for another run to finish it.
    fn note_timing(&mut self, at: Place<'_>, stamp: &Stamp, token: &Token) -> Result<(), ReplayError> {
        let intent = self.intent(at, token)?;
        let (verb, began, holder) = (intent.operation.verb(), intent.started, intent.holder.clone());
        if holder == stamp.holder
            && let Some(declared) = self.declared_of(at.address)
        {
            let (provider, kind) = (declared.provider.name.clone(), declared.kind.clone());
            self.timings.note((&provider, &kind, verb), began, stamp.at);
        }
        Ok(())
    }

    pub(crate) fn fail(
        &mut self,
        at: Place<'_>,
        stamp: &Stamp,
        token: &Token,
        remains: &Remains,
    ) -> Result<(), ReplayError> {
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
    pub(crate) fn settle(
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

    pub(crate) fn depose(&mut self, at: Place<'_>, stamp: &Stamp, key: &DeposedKey) -> Result<(), ReplayError> {
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

    pub(crate) fn reserve(&mut self, host: &Address, port: Port, reservation: Reservation) -> Result<(), ReplayError> {
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

    pub(crate) fn release(&mut self, address: &Address, host: &Address, port: Port) -> Result<(), ReplayError> {
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

    pub(crate) fn allocate(&mut self, address: &Address, mut allocation: Allocation) -> Result<(), ReplayError> {
        if let Some(before) = self.allocations.get(address) {
            if before.by != allocation.by && before.lasts(allocation.since) {
                return Err(ReplayError::Allocated {
                    address: address.clone(),
                    by: before.by.clone(),
                });
            }
            if before.by == allocation.by && before.lasts(allocation.since) {
                allocation.since = before.since;
            }
        }
        self.allocations.insert(address.clone(), allocation);
        Ok(())
    }

    pub(crate) fn scale(&mut self, address: &Address, pool: Pool) -> Result<(), ReplayError> {
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

    pub(crate) fn relocate(&mut self, stamp: &Stamp, from: &Address, to: &Address) -> Result<(), ReplayError> {
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
        let found =
            self.resources.contains_key(from) || self.deposed.contains_key(from) || self.pools.contains_key(from);
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
        if let Some(allocation) = self.allocations.remove(from) {
            self.allocations.insert(to.clone(), allocation);
        }
        if let Some(taken) = self.reservations.remove(from) {
            self.reservations.insert(to.clone(), taken);
        }
        // A block of which only the instances are recorded can be named by what depends on all of them.
        match self.rename(from, to) || found {
            true => Ok(()),
            false => Err(source.missing()),
        }
    }

    /// Has everything be as a state says that somebody pushed.
    pub(crate) fn push(&mut self, stamp: &Stamp, pushed: &State) -> Result<(), ReplayError> {
        // What is in flight would be lost sight of, and what a pushed state says is in flight is known to nobody.
        if let Some((address, intent)) = self.intents.iter().chain(&pushed.intents).next() {
            return Err(ReplayError::InFlight {
                address: address.clone(),
                verb: intent.operation.verb(),
            });
        }
        let before = std::mem::replace(self, pushed.clone());
        self.serial = stamp.serial;
        self.stamp_changes(&before, stamp.serial);
        Ok(())
    }

    /// Says of all that differs from before that it changed at this serial, so that a plan made of it is stale.
    fn stamp_changes(&mut self, before: &State, serial: u64) {
        for (address, resource) in &mut self.resources {
            let same = before.resources.get(address).is_some_and(|was| was == resource);
            resource.serial = if same { resource.serial } else { serial };
        }
        for (address, objects) in &mut self.deposed {
            for (key, resource) in objects {
                let same = before.object_of(address, Some(key)).is_some_and(|was| was == resource);
                resource.serial = if same { resource.serial } else { serial };
            }
        }
        for (address, hold) in &mut self.holds {
            let same = before.holds.get(address).is_some_and(|was| was == hold);
            hold.serial = if same { hold.serial } else { serial };
        }
        for (address, allocation) in &mut self.allocations {
            let same = before.allocations.get(address).is_some_and(|was| was == allocation);
            allocation.serial = if same { allocation.serial } else { serial };
        }
        for (address, pool) in &mut self.pools {
            // Numbers of members are not used twice.
            pool.numbered = pool
                .numbered
                .max(before.pools.get(address).map_or(0, |was| was.numbered));
            let same = before.pools.get(address).is_some_and(|was| was == pool);
            pool.serial = if same { pool.serial } else { serial };
        }
    }

    /// Has everything that names an address name another. Returns whether something did.
    pub(crate) fn rename(&mut self, from: &Address, to: &Address) -> bool {
        let mut found = false;
        let mut rename = |address: &mut Address| {
            if address == from {
                *address = to.clone();
                found = true;
            }
        };
        for reservation in self.reservations.values_mut().flat_map(|taken| taken.values_mut()) {
            rename(&mut reservation.address);
        }
        let deposed = self.deposed.values_mut().flat_map(|objects| objects.values_mut());
        let recorded = self
            .resources
            .values_mut()
            .chain(deposed)
            .map(|resource| &mut resource.declared);
        let in_flight = self
            .intents
            .values_mut()
            .filter_map(|intent| intent.operation.declared_mut());
        for declared in recorded.chain(in_flight) {
            declared.depends_on.iter_mut().for_each(&mut rename);
            declared.hosted_on.iter_mut().for_each(&mut rename);
        }
        found
    }

    pub(crate) fn intent(&mut self, at: Place<'_>, token: &Token) -> Result<&mut Intent, ReplayError> {
        self.intents
            .get_mut(at.address)
            .filter(|intent| intent.token == *token)
            .ok_or_else(|| ReplayError::NoIntent {
                address: at.address.clone(),
                event: at.event,
                token: token.clone(),
            })
    }

    pub(crate) fn no_intent(&self, at: Place<'_>) -> Result<(), ReplayError> {
        match self.intents.get(at.address) {
            None => Ok(()),
            Some(intent) => Err(ReplayError::Open {
                address: at.address.clone(),
                event: at.event,
                verb: intent.operation.verb(),
            }),
        }
    }

    pub(crate) fn no_resource(&self, at: Place<'_>) -> Result<(), ReplayError> {
        match self.resources.contains_key(at.address) {
            true => Err(at.occupied()),
            false => Ok(()),
        }
    }

    pub(crate) fn has(&self, at: Place<'_>, deposed: Option<&DeposedKey>, id: &ObjectId) -> Result<(), ReplayError> {
        match self.object_of(at.address, deposed) {
            Some(resource) if resource.object.id == *id => Ok(()),
            _ => Err(at.missing()),
        }
    }

    pub(crate) fn resource(
        &mut self,
        at: Place<'_>,
        deposed: Option<&DeposedKey>,
    ) -> Result<&mut Resource, ReplayError> {
        let resource = match deposed {
            None => self.resources.get_mut(at.address),
            Some(key) => self
                .deposed
                .get_mut(at.address)
                .and_then(|objects| objects.get_mut(key)),
        };
        resource.ok_or_else(|| at.missing())
    }

    pub(crate) fn take(&mut self, at: Place<'_>, deposed: Option<&DeposedKey>) -> Result<Resource, ReplayError> {
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

pub(crate) fn resource(declared: Declaration, object: Object, stamp: &Stamp) -> Resource {
    Resource {
        declared,
        object,
        tainted: None,
        cordoned: None,
        created: stamp.at,
        serial: stamp.serial,
    }
}

/// What an error is about.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) address: &'a Address,
    pub(crate) event: &'static str,
}

impl Place<'_> {
    pub(crate) fn occupied(self) -> ReplayError {
        ReplayError::Occupied {
            address: self.address.clone(),
            event: self.event,
        }
    }

    pub(crate) fn missing(self) -> ReplayError {
        ReplayError::Missing {
            address: self.address.clone(),
            event: self.event,
        }
    }

    pub(crate) fn outcome(self, operation: &Operation) -> ReplayError {
        ReplayError::Outcome {
            address: self.address.clone(),
            event: self.event,
            verb: operation.verb(),
        }
    }
}
