//! The fake cloud itself: a state machine without clock, threads or input. Time is an argument of every call.
//!
//! What it promises, so that a test can find a caller that loses, doubles or forgets objects:
//! - A token makes one object, ever. A create with a used token answers with what that token did; when the object has been
//!   deleted since, it is refused, so that a call that comes late changes nothing.
//! - An update is carried out once a token, and only on the version that the caller saw.
//! - A delete names an object by its id, which is never used again.
//! - Two objects can have the same name: the cloud does not hide a caller's mistake.

mod changes;
mod log;
mod looks;
mod object;
mod operation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::calls::{Action, Call, Fields, Record, Refusal, Reply, Request};
use crate::faults::{Fault, Faults, Pattern, When, roll};

pub use log::{Cause, Effect, Entry, Heard};
use object::Item;
pub use object::OWN_LABEL;
use operation::{Operation, TokenUse};

/// The fake cloud.
#[derive(Debug, Default)]
pub struct Cloud {
    faults: Faults,
    now: u64,
    objects: BTreeMap<String, Item>,
    shadows: BTreeMap<String, Shadow>,
    tokens: BTreeMap<String, TokenUse>,
    operations: BTreeMap<String, Operation>,
    log: Vec<Entry>,
    /// What the current call has done so far.
    effects: Vec<Effect>,
    /// How many calls each rule has matched.
    matched: Vec<u64>,
    /// How often each object was asked for each call.
    asked: BTreeMap<(Call, String, String), u64>,
    /// How many objects of a kind and name were made.
    made: BTreeMap<(String, String), u64>,
}

/// What a list that lags still shows.
#[derive(Debug)]
struct Shadow {
    record: Record,
    since: u64,
    listed: u64,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The caller hears this.
    Replied(Reply),
    /// The connection breaks without an answer.
    Lost,
    /// No answer comes, and the connection stays.
    Hangs,
}

impl Cloud {
    /// Returns an empty cloud with these faults.
    pub fn new(faults: Faults) -> Self {
        let mut cloud = Cloud::default();
        cloud.set_faults(faults);
        cloud
    }

    /// Sets what goes wrong from now on. The counts of `nth` start again.
    pub fn set_faults(&mut self, faults: Faults) {
        self.matched = vec![0; faults.rules.len()];
        self.faults = faults;
    }

    /// Returns what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Returns every object of every lineage, as the cloud keeps it: not in its spelling, without live attributes.
    pub fn objects(&self) -> Vec<Record> {
        self.objects.values().map(|item| item.record.clone()).collect()
    }

    /// Returns the names of the operations that go on.
    pub fn pending(&self) -> Vec<String> {
        let goes_on = |(name, operation): (&String, &Operation)| operation.end.is_none().then(|| name.clone());
        self.operations.iter().filter_map(goes_on).collect()
    }

    /// Returns all that happened, oldest first.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// Carries out a call at `now`, milliseconds since the cloud began. A time before the last one counts as that.
    pub fn call(&mut self, now: u64, request: &Request) -> Delivery {
        self.advance(now);
        let call = request.action.call();
        let name = self.name_of(request);
        let number = self.count(call, &request.kind, name.as_deref());
        let mut struck = self.strike(call, &request.kind, name.as_deref(), number);
        let execution = struck
            .iter()
            .position(Fault::is_about_execution)
            .map(|at| struck.remove(at));
        let way = struck.into_iter().find(|fault| !fault.is_about_execution());

        let delivery = match way {
            None => Delivery::Replied(self.carry_out(request, execution)),
            Some(Fault::LostRequest) => Delivery::Lost,
            Some(Fault::LostReply) => {
                // The answer is lost, and with it what it said.
                drop(self.carry_out(request, execution));
                Delivery::Lost
            }
            Some(Fault::Hang) => {
                drop(self.carry_out(request, execution));
                Delivery::Hangs
            }
            Some(Fault::ServerError) => {
                let about = [
                    "server_error",
                    call.as_str(),
                    &request.kind,
                    name.as_deref().unwrap_or(""),
                ];
                if roll(self.faults.seed, &about, number) < 0.5 {
                    drop(self.carry_out(request, execution));
                }
                Delivery::Replied(Err(Refusal::Internal))
            }
            Some(fault) => Delivery::Replied(Err(refusal(fault, request))),
        };
        self.note(
            Cause::Called {
                call,
                kind: request.kind.clone(),
                lineage: request.lineage.clone(),
                name,
                token: request.action.token().map(str::to_owned),
            },
            match &delivery {
                Delivery::Replied(Ok(_)) => Heard::Answer,
                Delivery::Replied(Err(_)) => Heard::Refusal,
                Delivery::Lost | Delivery::Hangs => Heard::Nothing,
            },
        );
        delivery
    }

    fn carry_out(&mut self, request: &Request, fault: Option<Fault>) -> Reply {
        if crate::kinds::schema(&request.kind).is_none() {
            return Err(Refusal::Malformed {
                message: format!("there is no kind `{}`", request.kind),
            });
        }
        if let Some(Fault::Rejected { message, attribute }) = fault {
            return Err(Refusal::Rejected { message, attribute });
        }
        match &request.action {
            Action::Read { id } => Ok(self.read(&request.kind, id)),
            Action::List => Ok(self.list(&request.kind, &request.lineage)),
            Action::Find { token } => Ok(self.find(token)),
            Action::Create { token, fields } => self.create(request, token, fields, fault),
            Action::Update {
                id,
                version,
                token,
                fields,
                keep,
            } => self.update(request, id, version.as_deref(), token, (fields, keep), fault),
            Action::Delete { id } => self.delete(request, id, fault),
            Action::Poll { operation } => self.poll(operation),
        }
    }

    /// Changes attributes of an object behind the caller's back; `null` removes one. Returns whether there is such an
    /// object.
    pub fn change(&mut self, now: u64, id: &str, fields: &Fields) -> bool {
        self.advance(now);
        self.keep_shadow(id);
        let Some(item) = self.objects.get_mut(id) else {
            return false;
        };
        for (name, value) in fields {
            match value.is_null() {
                true => item.record.fields.remove(name),
                false => item.record.fields.insert(name.clone(), value.clone()),
            };
        }
        item.touch();
        self.effects.push(Effect::Changed(id.to_owned()));
        self.note(Cause::BehindTheBack, Heard::Nothing);
        true
    }

    /// Deletes an object behind the caller's back, and what is on it. Returns whether there was such an object.
    pub fn destroy(&mut self, now: u64, id: &str) -> bool {
        self.advance(now);
        let is_there = self.objects.contains_key(id);
        if is_there {
            self.remove(id);
            self.note(Cause::BehindTheBack, Heard::Nothing);
        }
        is_there
    }

    /// Returns the name of the object that a request is about.
    pub fn name_of(&self, request: &Request) -> Option<String> {
        if let Action::Create { fields, .. } = &request.action {
            return fields.get("name")?.as_str().map(str::to_owned);
        }
        if let Some(id) = request.action.id() {
            return Some(self.objects.get(id).and_then(Item::name).unwrap_or(id).to_owned());
        }
        match &request.action {
            Action::Poll { operation } => self.name_of_operation(operation),
            Action::Find { token } => self.name_of_token(token),
            _ => None,
        }
    }

    /// Returns how long a call that comes now is on its way there and back, in milliseconds.
    pub fn on_its_way(&self, request: &Request, name: Option<&str>) -> [u64; 2] {
        let (call, name) = (request.action.call(), name.unwrap_or(""));
        let key = (call, request.kind.clone(), name.to_owned());
        let number = self.asked.get(&key).copied().unwrap_or_default();
        ["there", "back"].map(|way| {
            self.faults
                .on_its_way_ms(&[way, call.as_str(), &request.kind, name], number)
        })
    }

    /// Counts a call about an object; returns its number, from 1.
    fn count(&mut self, call: Call, kind: &str, name: Option<&str>) -> u64 {
        let key = (call, kind.to_owned(), name.unwrap_or("").to_owned());
        let count = self.asked.entry(key).or_default();
        *count += 1;
        *count
    }

    /// Returns the faults that strike a call, in the order of the rules.
    fn strike(&mut self, call: Call, kind: &str, name: Option<&str>, number: u64) -> Vec<Fault> {
        let seed = self.faults.seed;
        let mut struck = Vec::new();
        for (at, (rule, matched)) in self.faults.rules.iter().zip(&mut self.matched).enumerate() {
            if !Pattern::matches(&rule.to, call, kind, name) {
                continue;
            }
            *matched += 1;
            let strikes = match &rule.when {
                When::Always => true,
                When::Nth(numbers) => numbers.contains(matched),
                When::Rate(rate) => {
                    let rule_number = at.to_string();
                    roll(seed, &[&rule_number, call.as_str(), kind, name.unwrap_or("")], number) < *rate
                }
            };
            if strikes {
                struck.push(rule.fault.clone());
            }
        }
        struck
    }

    fn note(&mut self, cause: Cause, heard: Heard) {
        let effects = std::mem::take(&mut self.effects);
        let number = self.log.len() as u64 + 1;
        self.log.push(Entry {
            number,
            at_ms: self.now,
            cause,
            effects,
            heard,
        });
    }
}

/// Returns how the cloud words a fault that keeps a call from being carried out.
fn refusal(fault: Fault, request: &Request) -> Refusal {
    match fault {
        Fault::Throttled { retry_after_ms } => Refusal::Throttled { retry_after_ms },
        Fault::Unreachable { reason } => Refusal::Unreachable { reason },
        Fault::Denied => Refusal::Denied {
            message: format!(
                "the credentials do not allow to {} a {}",
                request.action.call().as_str(),
                request.kind
            ),
        },
        _ => Refusal::Internal,
    }
}
