//! What is done with simulators by hand, and written down in the audit log.
//!
//! To stop or pause one is a hold, and then an ordinary update of its attribute `state`: what a run that dies leaves of it
//! is done by the next one, as with any other update, and from the hold on every plan wants it so. Nothing else of the
//! simulator changes: what is declared and not applied yet waits for an apply.
//!
//! - [`look`]: the simulators, as they are now; [`hold`]: what changes the state that one is to be in, by way of an
//!   [`update`]; [`act`]: what does not; [`allocate`]: whose they are; [`written`]: what is written down

mod act;
mod allocate;
mod hold;
mod look;
mod update;
mod written;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use simfleet_provider_api::{Ability, Address};
use simfleet_state::{LockSet, State};
use tokio::sync::{mpsc, watch};

pub use self::allocate::Allocate;
pub use self::look::Reached;
use self::written::parameters;
pub(super) use self::written::told;
use super::runs::busy;
use super::{Fleet, FleetError};
use crate::apply::{self, Progress};
use crate::audit::AuditError;
use crate::control::{self, Control, Done, Now, able};
use crate::diagnostic::Diagnostic;
use crate::plan::{Pattern, STATE};
use crate::refresh::recorded;

/// How often what is to be done is worked out at the most, where other runs change what it was worked out from.
const ATTEMPTS: usize = 5;

impl Fleet {
    /// Does something by hand with the simulators that patterns stand for. What is done to each, or why it is not, is in
    /// the audit log when this returns.
    ///
    /// # Errors
    /// Nothing was done: a pattern stands for no simulator, another run holds one, or the audit log or the state cannot be
    /// written. Or the audit log could not take what was done, as on a full disk: the error says what that was.
    pub async fn control(
        &self,
        control: &Control,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let audit = self.audit(format!("simulator.{}", control.verb()), parameters(control))?;
        let done = self.controlled(control, patterns, progress, stop).await;
        match (audit.tell(patterns, &done), &done) {
            (Ok(()), _) => done,
            (Err(FleetError::Audit(error)), Ok(all)) => Err(unwritten(control, all, error)),
            (Err(error), _) => Err(error),
        }
    }

    /// Looks at the simulators that patterns stand for, for something that is only read of them or typed into them; for logs
    /// also at services and at what nodes run themselves. That this was asked for is in the audit log when this returns.
    ///
    /// # Errors
    /// A pattern stands for no simulator; one cannot do it, is gone, or cannot be reached; or the audit log cannot be
    /// written.
    pub async fn reach(
        &self,
        verb: &'static str,
        ability: Ability,
        parameters: Map<String, Json>,
        patterns: &[Pattern],
    ) -> Result<Vec<Reached>, FleetError> {
        let reached = self.reach_any(verb, &[ability], parameters, patterns).await?;
        Ok(reached.into_iter().map(|(one, _)| one).collect())
    }

    /// Looks at them as [`reach`](Self::reach) does, for the first of some abilities that each has; the last where it has
    /// none of them.
    ///
    /// # Errors
    /// As there.
    pub async fn reach_any(
        &self,
        verb: &'static str,
        abilities: &[Ability],
        parameters: Map<String, Json>,
        patterns: &[Pattern],
    ) -> Result<Vec<(Reached, Ability)>, FleetError> {
        let audit = self.audit(format!("simulator.{verb}"), parameters)?;
        let reached = self.reached(verb, abilities, patterns).await;
        match &reached {
            Ok(reached) => {
                let done = reached.iter().map(|(one, _)| done(&one.address, Ok(false), None));
                audit.tell(patterns, &Ok(done.collect()))?;
            }
            Err(error) => audit.refuse(patterns, &told(error))?,
        }
        reached
    }

    async fn reached(
        &self,
        verb: &'static str,
        abilities: &[Ability],
        patterns: &[Pattern],
    ) -> Result<Vec<(Reached, Ability)>, FleetError> {
        let snapshot = self.snapshot().await?;
        let targets = match abilities.contains(&Ability::Logs) {
            true => control::writers(&self.config, &snapshot.state, patterns)?,
            false => control::simulators(&self.config, &snapshot.state, patterns)?,
        };
        let providers = self.providers(&snapshot);
        let mut reached = Vec::new();
        for one in self.look_for(&targets, &snapshot.state, &providers).await {
            let one = one.map_err(|(_, why)| why)?;
            let has = one.abilities();
            let wanted = abilities.iter().find(|ability| has.contains(ability));
            let Some(ability) = wanted.or(abilities.last()).copied() else {
                continue;
            };
            able(&one.address, verb, ability, &has)?;
            reached.push((one, ability));
        }
        Ok(reached)
    }

    async fn controlled(
        &self,
        control: &Control,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let mut attempts = 1;
        loop {
            let snapshot = self.snapshot().await?;
            let targets = control::simulators(&self.config, &snapshot.state, patterns)?;
            let mut busy = busy(&snapshot);
            busy.retain(|address| targets.contains(address));
            if !busy.is_empty() {
                self.finish(&busy, progress, Some(&stop)).await?;
                let left = self.snapshot().await?.state;
                if let Some(open) = busy.iter().find(|address| left.intents.contains_key(*address)) {
                    return Err(still_open(open).into());
                }
            }
            let done = match control {
                Control::Act(act) => self.act(act, &targets, progress, &stop).await,
                _ => self.hold(control, &targets, progress, stop.clone()).await,
            };
            match done {
                Err(FleetError::Stale { .. }) if attempts < ATTEMPTS => attempts += 1,
                Ok(mut all) if matches!(control, Control::Start | Control::Resume) => {
                    self.say_undone(&mut all).await?;
                    return Ok(all);
                }
                done => return done,
            }
        }
    }
}

impl Fleet {
    /// Says of what runs now that it is declared not to: the next apply, or a watch at once, has it be as declared.
    async fn say_undone(&self, all: &mut [Done]) -> Result<(), FleetError> {
        let snapshot = self.snapshot().await?;
        let seen = recorded(&snapshot.state);
        // What cannot be planned is told by a plan.
        let Ok(planned) = self.plan_from(snapshot, seen) else {
            return Ok(());
        };
        for one in all {
            let Ok(now) = &mut one.result else { continue };
            let change = planned.plan.changes.iter().find(|change| change.address == one.address);
            let wanted = change.and_then(|change| change.after.as_ref()?.str(STATE));
            now.remark = wanted.filter(|state| *state != "running").map(|state| {
                let why = planned.session.stops(&one.address).map(str::to_owned);
                let why = why.unwrap_or_else(|| format!("it is declared as {state}"));
                format!("until the next apply or a watch stops it: {why}")
            });
        }
        Ok(())
    }
}

fn done(address: &Address, result: Result<bool, Diagnostic>, until: Option<Timestamp>) -> Done {
    Done {
        address: address.clone(),
        result: result.map(|is_news| Now {
            is_news,
            until,
            remark: None,
        }),
    }
}

fn still_open(address: &Address) -> Diagnostic {
    let detail = "A run that ended early began something with it, and what became of that is not known.";
    let diagnostic = Diagnostic::error("An operation is still open", detail).on(address.clone());
    diagnostic.hint("`simfleet apply` finishes it, once its provider can be asked")
}

/// Says what was done that the audit log lacks.
fn unwritten(control: &Control, all: &[Done], error: AuditError) -> FleetError {
    let was_done = all.iter().filter(|done| done.result.is_ok());
    let names: Vec<String> = was_done.map(|done| done.address.to_string()).collect();
    if names.is_empty() {
        return error.into();
    }
    let error = apply::describe(&error);
    let detail = format!("The {} of {} is done, and {error}.", control.verb(), names.join(", "));
    let diagnostic = Diagnostic::error("Done, and not written down", detail);
    diagnostic
        .hint("make room for the file of the audit log, and write down who did this")
        .into()
}

fn not_done(control: &Control, address: &Address, why: &str) -> Diagnostic {
    let detail = format!("Its {} failed: {}", control.verb(), why.trim_end());
    Diagnostic::error("Not done", detail).on(address.clone())
}

/// Returns the locks of what is done with simulators: nothing else may happen to them meanwhile, nor to their nodes.
fn locks_of<'a>(simulators: impl Iterator<Item = &'a Address> + Clone, state: &State) -> LockSet {
    let host = |address: &Address| state.resources.get(address)?.declared.hosted_on.clone();
    LockSet::exclusive(simulators.clone().cloned()).and_shared(simulators.filter_map(host))
}
