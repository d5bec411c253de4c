//! The calls that look: read, list, find, poll. A read is always up to date; lists and finds can lag.

use crate::calls::{Answer, Refusal, Reply};

use super::operation::{End, Use, Work};
use super::{Cloud, Shadow};

impl Cloud {
    pub(super) fn read(&self, kind: &str, id: &str) -> Answer {
        let item = self.objects.get(id).filter(|item| item.record.kind == kind);
        Answer::Object(item.map(super::Item::shown))
    }

    pub(super) fn list(&mut self, kind: &str, lineage: &str) -> Answer {
        let (now, lag, stale) = (self.now, self.faults.list_lag, self.faults.stale_list);
        let mut records = Vec::new();
        self.shadows
            .retain(|_, shadow| !stale.has_passed(shadow.since, now, shadow.listed));
        for item in self.objects.values_mut() {
            let record = &item.record;
            if record.kind != kind || record.lineage != lineage || self.shadows.contains_key(&record.id) {
                continue;
            }
            if lag.has_passed(item.made_at, now, item.listed) {
                records.push(item.shown());
            }
            item.listed += 1;
        }
        for shadow in self.shadows.values_mut() {
            if shadow.record.kind == kind && shadow.record.lineage == lineage {
                records.push(shadow.record.clone());
                shadow.listed += 1;
            }
        }
        records.sort_by(|a, b| a.id.cmp(&b.id));
        Answer::Objects(records)
    }

    pub(super) fn find(&mut self, token: &str) -> Answer {
        let (now, lag) = (self.now, self.faults.find_lag);
        let Some(used) = self.tokens.get_mut(token) else {
            return Answer::Nothing;
        };
        let is_seen = lag.has_passed(used.since, now, used.asked);
        used.asked += 1;
        if !is_seen {
            return Answer::Nothing;
        }
        let did = used.did.clone();
        self.found(&did)
    }

    fn found(&self, did: &Use) -> Answer {
        let gone = "what the token made has been deleted";
        let present = |id: &String| match self.objects.get(id) {
            Some(item) => Answer::Ready(item.shown()),
            None => Answer::Failed(gone.to_owned()),
        };
        match did {
            Use::Made(id) | Use::Changed(id) => present(id),
            Use::Operation(name) => match self.operations.get(name).and_then(|operation| operation.end.as_ref()) {
                None => Answer::InProgress(name.clone()),
                Some(End::Done(id)) => present(id),
                Some(End::Gone) => Answer::Failed(gone.to_owned()),
                Some(End::Failed(refusal)) => Answer::Failed(reason(refusal)),
            },
        }
    }

    pub(super) fn poll(&mut self, name: &str) -> Reply {
        let Some(operation) = self.operations.get_mut(name) else {
            return Err(Refusal::Malformed {
                message: format!("there is no operation `{name}`"),
            });
        };
        let goes_on = operation.polls_left > 0;
        operation.polls_left = operation.polls_left.saturating_sub(1);
        if goes_on {
            return Ok(self.running(name));
        }
        self.advance(self.now);
        self.outcome(name)
    }

    /// Returns how an operation stands.
    pub(super) fn outcome(&self, name: &str) -> Reply {
        match self.operations.get(name).and_then(|operation| operation.end.as_ref()) {
            None => Ok(self.running(name)),
            Some(End::Done(id)) => match self.objects.get(id) {
                Some(item) => Ok(Answer::Done(item.shown())),
                None => Ok(Answer::Gone),
            },
            Some(End::Gone) => Ok(Answer::Gone),
            Some(End::Failed(refusal)) => Err(refusal.clone()),
        }
    }

    /// Returns that an operation goes on, and when to ask again.
    pub(super) fn running(&self, name: &str) -> Answer {
        /// Between two polls of an operation that waits for polls alone.
        const STEP_MS: u64 = 10;
        let due_at = self.operations.get(name).map_or(0, |operation| operation.due_at);
        Answer::Running {
            operation: name.to_owned(),
            poll_after_ms: due_at.saturating_sub(self.now).max(STEP_MS),
        }
    }

    /// Remembers how an object looks now, for lists that lag.
    pub(super) fn keep_shadow(&mut self, id: &str) {
        if self.faults.stale_list == crate::faults::Lag::default() {
            return;
        }
        if let Some(item) = self.objects.get(id) {
            let shadow = Shadow {
                record: item.shown(),
                since: self.now,
                listed: 0,
            };
            self.shadows.entry(id.to_owned()).or_insert(shadow);
        }
    }

    pub(super) fn name_of_token(&self, token: &str) -> Option<String> {
        match &self.tokens.get(token)?.did {
            Use::Made(id) | Use::Changed(id) => Some(self.objects.get(id)?.name()?.to_owned()),
            Use::Operation(name) => self.name_of_operation(name),
        }
    }

    pub(super) fn name_of_operation(&self, name: &str) -> Option<String> {
        match &self.operations.get(name)?.work {
            Work::Create { fields, .. } => Some(fields.get("name")?.as_str()?.to_owned()),
            Work::Update { id, .. } | Work::Delete { id } => Some(self.objects.get(id)?.name()?.to_owned()),
        }
    }
}

fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Rejected { message, .. } | Refusal::Conflict { message } => message.clone(),
        other => format!("{other:?}"),
    }
}
