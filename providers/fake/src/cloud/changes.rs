//! The calls that change: create, update, delete, and how an accepted operation comes to its end.

use serde_json::Value as Json;

use crate::calls::{Answer, Fields, Record, Refusal, Reply, Request};
use crate::faults::{Fault, scatter};

use super::Cloud;
use super::log::{Cause, Effect, Heard};
use super::object::{Item, changed, filled_in, rejected};
use super::operation::{End, Operation, TokenUse, Use, Work};

/// When to ask again about an object that another operation is changing.
const BUSY_MS: u64 = 20;

impl Cloud {
    pub(super) fn create(&mut self, request: &Request, token: &str, fields: &Fields, fault: Option<Fault>) -> Reply {
        if let Some(used) = self.tokens.get(token) {
            return self.create_again(&request.kind, token, &used.did);
        }
        let work = Work::Create {
            kind: request.kind.clone(),
            lineage: request.lineage.clone(),
            token: token.to_owned(),
            fields: fields.clone(),
        };
        self.begin(work, fault)
    }

    /// Answers a create whose token was used: with what that token did, and never with anything new.
    fn create_again(&self, kind: &str, token: &str, did: &Use) -> Reply {
        let id = match did {
            Use::Changed(id) => {
                return Err(Refusal::Conflict {
                    message: format!("token {token} belongs to a change of {id}"),
                });
            }
            Use::Made(id) => id,
            Use::Operation(name) => match self.outcome(name)? {
                Answer::Done(record) => return self.same_kind(kind, record),
                Answer::Gone => name,
                running => return Ok(running),
            },
        };
        match self.objects.get(id) {
            Some(item) => self.same_kind(kind, item.shown()),
            None => Err(rejected(
                format!("what token {token} made has been deleted since"),
                None,
            )),
        }
    }

    fn same_kind(&self, kind: &str, record: Record) -> Reply {
        if record.kind == kind {
            return Ok(Answer::Done(record));
        }
        let message = format!("the token belongs to {}, which is no {kind}", record.id);
        Err(Refusal::Conflict { message })
    }

    pub(super) fn update(
        &mut self,
        request: &Request,
        id: &str,
        version: Option<&str>,
        token: &str,
        (fields, keep): (&Fields, &[String]),
        fault: Option<Fault>,
    ) -> Reply {
        match self.tokens.get(token).map(|used| used.did.clone()) {
            Some(Use::Operation(name)) => return self.outcome(&name),
            Some(Use::Changed(changed)) if changed == id => {
                return match self.objects.get(id) {
                    Some(item) => Ok(Answer::Done(item.shown())),
                    None => Err(Refusal::Conflict {
                        message: format!("{id} has been deleted"),
                    }),
                };
            }
            Some(_) => {
                return Err(Refusal::Conflict {
                    message: format!("token {token} belongs to another object"),
                });
            }
            None => {}
        }
        let item = self.owned(request, id)?;
        let Some(item) = item else {
            return Err(Refusal::Conflict {
                message: format!("{id} has been deleted"),
            });
        };
        if item.busy.is_some() {
            return Err(Refusal::Busy {
                retry_after_ms: BUSY_MS,
            });
        }
        if let Some(expected) = version.filter(|version| *version != item.record.version) {
            let found = &item.record.version;
            let message = format!("{id} has changed: it is at {found}, and the change was planned at {expected}");
            return Err(Refusal::Conflict { message });
        }
        let work = Work::Update {
            id: id.to_owned(),
            token: token.to_owned(),
            fields: fields.clone(),
            keep: keep.to_vec(),
        };
        self.begin(work, fault)
    }

    pub(super) fn delete(&mut self, request: &Request, id: &str, fault: Option<Fault>) -> Reply {
        let Some(item) = self.owned(request, id)? else {
            return Ok(Answer::Gone);
        };
        if let Some(name) = item.busy.clone() {
            let deletes = matches!(self.operations.get(&name).map(|o| &o.work), Some(Work::Delete { .. }));
            return match deletes {
                true => self.outcome(&name),
                false => Err(Refusal::Busy {
                    retry_after_ms: BUSY_MS,
                }),
            };
        }
        self.begin(Work::Delete { id: id.to_owned() }, fault)
    }

    /// Returns the object that a request may change; `None` where there is none.
    fn owned(&self, request: &Request, id: &str) -> Result<Option<&Item>, Refusal> {
        match self.objects.get(id).filter(|item| item.record.kind == request.kind) {
            Some(item) if item.record.lineage != request.lineage => Err(Refusal::Denied {
                message: format!("{id} belongs to another state"),
            }),
            item => Ok(item),
        }
    }

    /// Does the work at once, or accepts it where a fault says so.
    fn begin(&mut self, work: Work, fault: Option<Fault>) -> Reply {
        self.refuse_what_cannot_be(&work)?;
        let (polls, ms, fails) = match fault {
            Some(Fault::LongRunning { polls, ms }) => (polls, ms, None),
            Some(Fault::FailsLate { polls, ms, message }) => (polls, ms, Some(rejected(message, None))),
            _ => {
                let end = self.finish(&work)?;
                return Ok(match end {
                    End::Done(id) => match self.objects.get(&id) {
                        Some(item) => Answer::Done(item.shown()),
                        None => Answer::Gone,
                    },
                    End::Gone => Answer::Gone,
                    End::Failed(refusal) => return Err(refusal),
                });
            }
        };
        let name = format!("op-{}", self.operations.len() + 1);
        match &work {
            Work::Create { token, .. } => self.use_token(token, Use::Operation(name.clone())),
            Work::Update { id, token, .. } => {
                self.use_token(token, Use::Operation(name.clone()));
                self.mark_busy(id, Some(name.clone()));
            }
            Work::Delete { id } => self.mark_busy(id, Some(name.clone())),
        }
        let due_at = self.now.saturating_add(ms);
        let operation = Operation {
            work,
            due_at,
            polls_left: polls,
            fails,
            end: None,
        };
        self.operations.insert(name.clone(), operation);
        self.effects.push(Effect::Accepted(name.clone()));
        Ok(self.running(&name))
    }

    /// Lets time pass: ends the operations that are due.
    pub(super) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        let is_due = |operation: &Operation| {
            operation.end.is_none() && operation.polls_left == 0 && operation.due_at <= self.now
        };
        let due: Vec<String> = self
            .operations
            .iter()
            .filter(|(_, operation)| is_due(operation))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.end(&name);
        }
    }

    fn end(&mut self, name: &str) {
        let Some(operation) = self.operations.get(name) else {
            return;
        };
        let (work, fails) = (operation.work.clone(), operation.fails.clone());
        // A poll can end an operation in the midst of a call, whose own effects stay its own.
        let earlier = std::mem::take(&mut self.effects);
        if let Work::Update { id, .. } | Work::Delete { id } = &work {
            self.mark_busy(id, None);
        }
        let end = match fails {
            Some(refusal) => End::Failed(refusal),
            None => self.finish(&work).unwrap_or_else(End::Failed),
        };
        if let Some(operation) = self.operations.get_mut(name) {
            operation.end = Some(end);
        }
        self.note(
            Cause::Finished {
                operation: name.to_owned(),
            },
            Heard::Nothing,
        );
        self.effects = earlier;
    }

    /// Does the work.
    fn finish(&mut self, work: &Work) -> Result<End, Refusal> {
        self.refuse_what_cannot_be(work)?;
        match work {
            Work::Create {
                kind,
                lineage,
                token,
                fields,
            } => {
                let id = self.new_id(kind, fields);
                let schema = crate::kinds::schema(kind).ok_or_else(|| Refusal::Malformed {
                    message: format!("there is no kind `{kind}`"),
                })?;
                let record = Record {
                    id: id.clone(),
                    kind: kind.clone(),
                    lineage: lineage.clone(),
                    token: token.clone(),
                    version: "v1".to_owned(),
                    fields: filled_in(schema, &id, fields.clone())?,
                };
                self.objects.insert(
                    id.clone(),
                    Item {
                        record,
                        made_at: self.now,
                        listed: 0,
                        busy: None,
                    },
                );
                self.use_token(token, Use::Made(id.clone()));
                self.effects.push(Effect::Made(id.clone()));
                Ok(End::Done(id))
            }
            Work::Update {
                id,
                token,
                fields,
                keep,
            } => {
                let fields = self.after_change(id, fields, keep)?;
                self.keep_shadow(id);
                if let Some(item) = self.objects.get_mut(id) {
                    item.record.fields = fields;
                    item.touch();
                }
                self.use_token(token, Use::Changed(id.clone()));
                self.effects.push(Effect::Changed(id.clone()));
                Ok(End::Done(id.clone()))
            }
            Work::Delete { id } => {
                self.remove(id);
                Ok(End::Gone)
            }
        }
    }

    /// Removes an object and the processes on it.
    pub(super) fn remove(&mut self, id: &str) {
        let hosted = |item: &&Item| item.record.fields.get("host").and_then(Json::as_str) == Some(id);
        let mut ids: Vec<String> = self
            .objects
            .values()
            .filter(hosted)
            .map(|item| item.record.id.clone())
            .collect();
        ids.push(id.to_owned());
        for id in ids {
            self.keep_shadow(&id);
            if self.objects.remove(&id).is_some() {
                self.effects.push(Effect::Deleted(id));
            }
        }
    }

    fn refuse_what_cannot_be(&self, work: &Work) -> Result<(), Refusal> {
        match work {
            Work::Create {
                kind, lineage, fields, ..
            } => {
                if let Some(schema) = crate::kinds::schema(kind) {
                    filled_in(schema, "", fields.clone())?;
                }
                self.refuse_dangling(lineage, fields)
            }
            Work::Update { id, fields, keep, .. } => {
                self.after_change(id, fields, keep)?;
                let lineage = self.objects.get(id).map_or("", |item| &item.record.lineage);
                self.refuse_dangling(lineage, fields)
            }
            Work::Delete { id } => match self
                .objects
                .values()
                .find(|item| networks(item).any(|network| network == id))
            {
                Some(user) => Err(rejected(format!("{id} is in use by {}", user.record.id), None)),
                None => Ok(()),
            },
        }
    }

    fn after_change(&self, id: &str, fields: &Fields, keep: &[String]) -> Result<Fields, Refusal> {
        let gone = || Refusal::Conflict {
            message: format!("{id} has been deleted"),
        };
        let item = self.objects.get(id).ok_or_else(gone)?;
        let schema = crate::kinds::schema(&item.record.kind).ok_or_else(gone)?;
        changed(schema, &item.record, fields.clone(), keep)
    }

    /// Refuses what names an object that is not there.
    fn refuse_dangling(&self, lineage: &str, fields: &Fields) -> Result<(), Refusal> {
        let is_there = |id: &str, kind: &str| {
            self.objects
                .get(id)
                .is_some_and(|item| item.record.kind == kind && item.record.lineage == lineage)
        };
        if let Some(host) = fields
            .get("host")
            .and_then(Json::as_str)
            .filter(|host| !is_there(host, "node"))
        {
            return Err(rejected(format!("there is no node `{host}`"), Some("host")));
        }
        let named = fields
            .get("networks")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        for network in named {
            if !is_there(network, "network") {
                return Err(rejected(format!("there is no network `{network}`"), Some("networks")));
            }
        }
        Ok(())
    }

    fn use_token(&mut self, token: &str, did: Use) {
        let fresh = TokenUse {
            did: did.clone(),
            since: self.now,
            asked: 0,
        };
        self.tokens.entry(token.to_owned()).or_insert(fresh).did = did;
    }

    fn mark_busy(&mut self, id: &str, operation: Option<String>) {
        if let Some(item) = self.objects.get_mut(id) {
            item.busy = operation;
        }
    }

    /// Returns an id that was never used: it depends on kind, name and how many had that name before.
    fn new_id(&mut self, kind: &str, fields: &Fields) -> String {
        let name = fields.get("name").and_then(Json::as_str).unwrap_or("");
        let made = self.made.entry((kind.to_owned(), name.to_owned())).or_default();
        *made += 1;
        let number = scatter(0, &[kind, name], *made);
        format!("{kind}-{:012x}", number >> 16)
    }
}

fn networks(item: &Item) -> impl Iterator<Item = &str> {
    item.record
        .fields
        .get("networks")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}
