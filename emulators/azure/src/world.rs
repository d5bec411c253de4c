//! The emulated cloud: what there is, and what is under way. Time is given to it; it opens no sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::draw::Draw;
use crate::fault::Faults;
use crate::kind::Kind;
use crate::message::{ArmError, Request, Result};
use crate::operation::{Effect, Family, Operation};
use crate::options::{Options, Pace};
use crate::references::References;
use crate::resource::{Power, Resource, State};

/// A resource group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id, with the letters as they were when it was created.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its region.
    pub location: String,
    /// Its tags.
    pub tags: Value,
    /// Who manages it.
    pub managed_by: Option<String>,
    /// Whether it is being deleted.
    pub state: State,
}

/// The emulated cloud.
#[derive(Debug)]
pub struct World {
    pub(crate) options: Options,
    pub(crate) pace: Pace,
    pub(crate) now: Timestamp,
    pub(crate) draw: Draw,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) resources: BTreeMap<String, Resource>,
    /// What is gone and still listed, each until when.
    pub(crate) ghosts: Vec<(Timestamp, Resource)>,
    pub(crate) references: References,
    pub(crate) operations: BTreeMap<String, Operation>,
    /// What is not over: when it will be, in the order of its beginning.
    under_way: BTreeSet<(Timestamp, u64, String)>,
    begun: u64,
    pub(crate) faults: Faults,
    pub(crate) quotas: crate::quota::Quotas,
    pub(crate) metrics: crate::insights::Metrics,
    pub(crate) tokens: BTreeMap<String, Timestamp>,
    pub(crate) buckets: crate::throttle::Buckets,
    pub(crate) registered: BTreeSet<String>,
    /// The number of the next instance of each uniform set.
    pub(crate) next_instance: BTreeMap<String, u64>,
    /// What happened to machines, for who stands for them: in order, taken by them.
    pub(crate) machines: Vec<MachineEvent>,
}

/// What happened to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineEvent {
    /// It runs now.
    Started {
        /// The key of its id.
        key: String,
        /// Its name.
        name: String,
        /// What was given to its first boot, in base 64.
        custom_data: Option<String>,
        /// What it can ask for, in base 64.
        user_data: Option<String>,
        /// Who may log in to it, and where it is.
        login: MachineLogin,
    },
    /// It does not run any more.
    Stopped {
        /// The key of its id.
        key: String,
    },
}

/// Who may log in to a machine, and where it is; empty where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineLogin {
    /// The user that it was made with.
    pub user: String,
    /// The public keys of that user, one a line.
    pub keys: String,
    /// Its address in its subnet.
    pub private_ip: String,
    /// Its public address.
    pub public_ip: String,
}

impl World {
    /// Makes an empty cloud.
    pub fn new(options: Options, now: Timestamp) -> Self {
        World {
            pace: options.pace,
            now,
            draw: Draw::new(options.seed),
            groups: BTreeMap::new(),
            resources: BTreeMap::new(),
            ghosts: Vec::new(),
            references: References::default(),
            operations: BTreeMap::new(),
            under_way: BTreeSet::new(),
            begun: 0,
            faults: Faults::default(),
            quotas: crate::quota::Quotas::new(options.cores),
            metrics: crate::insights::Metrics::default(),
            tokens: BTreeMap::new(),
            buckets: crate::throttle::Buckets::default(),
            registered: BTreeSet::from(["microsoft.compute".to_owned(), "microsoft.network".to_owned()]),
            next_instance: BTreeMap::new(),
            machines: Vec::new(),
            options,
        }
    }

    /// Returns the instant some milliseconds from now.
    pub(crate) fn after(&self, milliseconds: u64) -> Timestamp {
        let span = SignedDuration::try_from(Duration::from_millis(milliseconds)).unwrap_or(SignedDuration::MAX);
        self.now.checked_add(span).unwrap_or(Timestamp::MAX)
    }

    /// Begins an operation and returns it.
    pub(crate) fn begin(&mut self, family: Family, at: &Place, target: &str, ms: u64, effect: Effect) -> Operation {
        let fault = self.faults.take_operation();
        let ms = ms + fault.slower_ms;
        let mut due = self.after(ms);
        let mut fails = fault.fails;
        if fault.never_boots && matches!(effect, Effect::Settle | Effect::Power(Power::Running)) {
            due = self.after(self.pace.boot_timeout_ms);
            let name = target.rsplit('/').next().unwrap_or(target);
            fails = Some(ArmError::new(
                409,
                "OSProvisioningTimedOut",
                format!(
                    "OS Provisioning for VM '{name}' did not finish in the allotted time. The VM may still finish provisioning \
                     successfully. Please check provisioning state later. Also, make sure the image has been properly \
                     prepared (generalized)."
                ),
            ));
        }
        let operation = Operation {
            id: self.draw.guid(),
            family,
            location: at.location.clone(),
            subscription: at.subscription.clone(),
            target: target.to_owned(),
            started: self.now,
            due,
            effect,
            fails,
            outcome: None,
        };
        self.begun += 1;
        self.under_way.insert((due, self.begun, operation.id.clone()));
        self.operations.insert(operation.id.clone(), operation.clone());
        operation
    }

    /// Lets time go on to an instant: what is due by then happens, in its order.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some((due, _, _)) = self.under_way.first()
            && *due <= now
            && let Some((due, _, id)) = self.under_way.pop_first()
        {
            self.now = due.max(self.now);
            self.end(&id, None);
        }
        self.now = now.max(self.now);
        self.ghosts.retain(|(until, _)| *until > now);
    }

    /// Ends the operations on a target that are still under way, because a later one takes its place.
    pub(crate) fn preempt(&mut self, target: &str) {
        let of = |id: &String| {
            self.operations
                .get(id)
                .is_some_and(|operation| operation.target == target)
        };
        let under_way = self.under_way.iter().map(|(_, _, id)| id);
        let ids: Vec<String> = under_way.filter(|id| of(id)).cloned().collect();
        for id in ids {
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.due = self.now;
                operation.outcome = Some(Err(ArmError::new(
                    409,
                    "OperationPreempted",
                    "Operation execution has been preempted by a more recent operation.",
                )));
            }
            self.under_way.retain(|(_, _, other)| *other != id);
        }
    }

    /// Ends an operation: it does what it is for, or fails.
    fn end(&mut self, id: &str, error: Option<ArmError>) {
        let Some(operation) = self.operations.get_mut(id) else {
            return;
        };
        let error = error.or(operation.fails.take());
        operation.outcome = Some(error.clone().map_or(Ok(()), Err));
        let Operation { target, effect, .. } = operation.clone();
        if let Some(error) = error {
            if let Some(resource) = self.resources.get_mut(&target) {
                resource.state = State::Failed;
                resource.failure = Some((error.code, error.message));
                resource.version += 1;
            }
            if let Some(group) = self.groups.get_mut(&target) {
                group.state = State::Succeeded;
            }
            // Its disks were made all the same.
            for key in self.owned_by(&target) {
                if let Some(owned) = self
                    .resources
                    .get_mut(&key)
                    .filter(|owned| owned.state == State::Creating)
                {
                    owned.state = State::Succeeded;
                }
            }
            for key in self.involved(&target) {
                if let Some(resource) = self.resources.get_mut(&key)
                    && resource.state.is_under_way()
                {
                    resource.state = State::Failed;
                }
            }
            return;
        }
        match effect {
            Effect::Settle => self.settled(&target),
            Effect::Delete => self.remove(&target),
            Effect::Power(power) => self.powered(&target, power),
            Effect::DeleteInstances(keys) => {
                keys.iter().for_each(|key| self.remove(key));
                self.settled(&target);
            }
            Effect::DeleteGroup => {
                let keys = self.involved(&target);
                keys.iter().for_each(|key| self.remove(key));
                self.groups.remove(&target);
            }
        }
    }

    /// Returns the keys of what an operation on a group or a scale set is about beside its target.
    fn involved(&self, target: &str) -> Vec<String> {
        if !self.groups.contains_key(target) {
            return self.members_of(target);
        }
        let inside = format!("{target}/");
        let keys = self.resources.range(inside.clone()..).map(|(key, _)| key.clone());
        keys.take_while(|key| key.starts_with(&inside)).collect()
    }

    fn settled(&mut self, key: &str) {
        let Some(resource) = self.resources.get_mut(key) else {
            return;
        };
        let was = resource.state;
        resource.state = State::Succeeded;
        resource.failure = None;
        let kind = resource.kind;
        let booted = was == State::Creating || resource.power == Power::Starting;
        if matches!(kind, Kind::Machine | Kind::Instance) && booted {
            self.powered(key, Power::Running);
        }
        if kind == Kind::ScaleSet {
            for member in self.members_of(key) {
                if self
                    .resources
                    .get(&member)
                    .is_some_and(|member| member.state.is_under_way())
                {
                    self.settled(&member);
                }
            }
        }
        for owned in self.owned_by(key) {
            if let Some(owned) = self.resources.get_mut(&owned)
                && owned.state == State::Creating
            {
                owned.state = State::Succeeded;
            }
        }
    }

    fn powered(&mut self, key: &str, power: Power) {
        let Some(resource) = self.resources.get_mut(key) else {
            return;
        };
        resource.state = State::Succeeded;
        resource.power = power;
        let login = self.login_of(key);
        let Some(resource) = self.resources.get(key) else {
            return;
        };
        let event = if power == Power::Running {
            MachineEvent::Started {
                login,
                key: key.to_owned(),
                name: resource.name.clone(),
                custom_data: resource.custom_data.clone(),
                user_data: resource.user_data.clone(),
            }
        } else {
            MachineEvent::Stopped { key: key.to_owned() }
        };
        self.machines.push(event);
    }

    /// Removes an object at once, and with it what is deleted with it.
    pub(crate) fn remove(&mut self, key: &str) {
        let Some(resource) = self.resources.remove(key) else {
            return;
        };
        self.references.remove(key);
        self.next_instance.remove(key);
        if matches!(resource.kind, Kind::Machine | Kind::Instance) {
            self.machines.push(MachineEvent::Stopped { key: key.to_owned() });
        }
        let also: Vec<String> = match resource.kind {
            Kind::Machine | Kind::Interface | Kind::Instance => crate::compute::cascade::deleted_with(&resource),
            Kind::ScaleSet => self.members_of(key),
            _ => Vec::new(),
        };
        if self.pace.list_lag_ms > 0 {
            self.ghosts.push((self.after(self.pace.list_lag_ms), resource));
        }
        also.iter().for_each(|key| self.remove(&key.to_lowercase()));
    }

    /// Keeps an object, new or changed.
    pub(crate) fn keep(&mut self, mut resource: Resource) {
        resource.facts = resource.facts();
        let key = resource.key();
        self.references.put(&key, &resource.body);
        self.resources.insert(key, resource);
    }

    /// Returns the keys of the instances of a uniform set, and of the machines of a flexible one.
    pub(crate) fn members_of(&self, set: &str) -> Vec<String> {
        let inside = format!("{set}/virtualmachines/");
        let instances = (self.resources.range(inside.clone()..)).take_while(|(key, _)| key.starts_with(&inside));
        let mut keys: Vec<String> = instances.map(|(key, _)| key.clone()).collect();
        let machines = self.references.to(set).filter(|key| {
            let machine = self.resources.get(*key);
            machine.is_some_and(|machine| {
                let of = machine.text("/properties/virtualMachineScaleSet/id");
                machine.kind == Kind::Machine && of.is_some_and(|of| of.eq_ignore_ascii_case(set))
            })
        });
        keys.extend(machines.cloned());
        keys
    }

    /// Returns the keys of the disks and interfaces that were made together with a machine.
    fn owned_by(&self, key: &str) -> Vec<String> {
        let Some(resource) = self.resources.get(key) else {
            return Vec::new();
        };
        if resource.kind != Kind::Machine {
            return Vec::new();
        }
        crate::references::found(key, &resource.body)
            .iter()
            .map(|id| id.to_lowercase())
            .collect()
    }

    /// Returns the operation on a target that is under way.
    pub(crate) fn under_way_on(&self, target: &str) -> Option<&Operation> {
        let mut under_way = self.under_way.iter().filter_map(|(_, _, id)| self.operations.get(id));
        under_way.find(|operation| operation.target == target)
    }

    /// Finds a group.
    pub(crate) fn group(&self, subscription: &str, name: &str) -> Result<&Group> {
        let key = format!("/subscriptions/{subscription}/resourcegroups/{name}").to_lowercase();
        self.groups.get(&key).ok_or_else(|| {
            ArmError::new(
                404,
                "ResourceGroupNotFound",
                format!("Resource group '{name}' could not be found."),
            )
        })
    }
}

/// Where in the cloud something is: a resource group, or an object inside of it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The subscription.
    pub subscription: String,
    /// The name of the group, as it was created.
    pub group: String,
    /// The region.
    pub location: String,
}

/// What a request asks a kind to do with an object.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    /// The request.
    pub request: &'a Request,
    /// Where.
    pub place: Place,
    /// The kind.
    pub kind: Kind,
    /// The name, as it is in the path.
    pub name: String,
    /// The id with the letters that it has, or will have.
    pub id: String,
}

impl Asked<'_> {
    /// Returns the key of the object.
    pub fn key(&self) -> String {
        self.id.to_lowercase()
    }
}

/// The body of an object, its defaults filled in, and what is never shown of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// Beside id, name, type and region.
    pub body: Map<String, Value>,
    /// What was given to the first boot.
    pub custom_data: Option<String>,
    /// What a machine can ask for.
    pub user_data: Option<String>,
    /// Objects that are made together with it.
    pub together: Vec<Resource>,
}
