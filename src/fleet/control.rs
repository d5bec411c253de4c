//! What is done with simulators by hand, and written down in the audit log.
//!
//! To stop or pause one is a hold, and then an ordinary update of its attribute `state`: what a run that dies leaves of it
//! is done by the next one, as with any other update, and from the hold on every plan wants it so. Nothing else of the
//! simulator changes: what is declared and not applied yet waits for an apply.
//!
//! - [`update`]: the update; [`written`]: what is written down

mod update;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use simfleet_provider_api::{Ability, Act, Address, Kind, Object, Observed, Provider, Token};
use simfleet_state::{Event, HeldState, Holder, LockSet, ProviderConfig, Resource, State, StateError, System};
use tokio::sync::{mpsc, watch};

use self::update::{Known, by_hand, decide};
use self::written::{parameters, told};
use super::runs::{busy, moved};
use super::{Fleet, FleetError};
use crate::apply::{self, Outcome, Progress};
use crate::control::{self, Change, Control, Done, Now, able};
use crate::diagnostic::Diagnostic;
use crate::lower::reached_by;
use crate::plan::Pattern;
use crate::providers::{Limited, Providers};
use crate::refresh::refresh;

/// How often what is to be done is worked out at the most, where other runs change what it was worked out from.
const ATTEMPTS: usize = 5;

/// A simulator that was looked at, and who can do something with it.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The simulator.
    pub address: Address,
    /// What it is to its provider.
    pub kind: Kind,
    /// It, as it was just seen.
    pub object: Object,
    /// Its provider, configured.
    pub provider: Limited,
    config: ProviderConfig,
    resource: Resource,
}

impl Reached {
    /// What can be done with it by hand.
    fn abilities(&self) -> Vec<Ability> {
        let runtime = self.provider.runtime();
        runtime.map_or_else(Vec::new, |runtime| runtime.abilities(&self.kind, &self.object))
    }
}

impl Fleet {
    /// Does something by hand with the simulators that patterns stand for. What is done to each, or why it is not, is in
    /// the audit log when this returns.
    ///
    /// # Errors
    /// Nothing was done: a pattern stands for no simulator, another run holds one, or the audit log or the state cannot be
    /// written.
    pub async fn control(
        &self,
        control: &Control,
        patterns: &[Pattern],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let audit = self.audit(control.verb(), parameters(control))?;
        let done = self.controlled(control, patterns, progress, stop).await;
        audit.tell(patterns, &done)?;
        done
    }

    /// Looks at the simulators that patterns stand for, for something that is only read of them or typed into them. That
    /// this was asked for is in the audit log when this returns.
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
        let audit = self.audit(verb, parameters)?;
        let reached = self.reached(verb, ability, patterns).await;
        let done = match &reached {
            Ok(reached) => Ok(reached.iter().map(|one| done(&one.address, Ok(false), None)).collect()),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => audit.tell(patterns, &Ok(done))?,
            Err(error) => audit.refuse(patterns, &told(error))?,
        }
        reached
    }

    async fn reached(
        &self,
        verb: &'static str,
        ability: Ability,
        patterns: &[Pattern],
    ) -> Result<Vec<Reached>, FleetError> {
        let snapshot = self.snapshot().await?;
        let targets = control::simulators(&self.config, &snapshot.state, patterns)?;
        let providers = self.providers(&snapshot);
        let mut reached = Vec::new();
        for one in self.look_for(&targets, &snapshot.state, &providers).await {
            let one = one.map_err(|(_, why)| why)?;
            able(&one.address, verb, ability, &one.abilities())?;
            reached.push(one);
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
                self.finish(&busy, progress).await?;
                let left = self.snapshot().await?.state;
                if let Some(open) = busy.iter().find(|address| left.intents.contains_key(*address)) {
                    return Err(still_open(open).into());
                }
            }
            let done = match control {
                Control::Act(act) => self.act(act, &targets, progress).await,
                _ => self.set(control, &targets, progress, stop.clone()).await,
            };
            match done {
                Err(FleetError::Stale { .. }) if attempts < ATTEMPTS => attempts += 1,
                done => return done,
            }
        }
    }

    /// Has simulators be started, stopped, paused or resumed.
    async fn set(
        &self,
        control: &Control,
        targets: &[Address],
        progress: &mpsc::UnboundedSender<Progress>,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Done>, FleetError> {
        let before = self.snapshot().await?;
        let until = control::until(self.options.at, control.length())?;
        let providers = self.providers(&before);
        let mut all = Vec::new();
        let (mut changes, mut facts) = (Vec::new(), Vec::new());
        let mut wanted = BTreeMap::new();
        for one in self.look_for(targets, &before.state, &providers).await {
            let decided = one.and_then(|one| {
                let change = decide(control, &one, &self.registry).map_err(|why| (one.address.clone(), why));
                change.map(|(change, update)| (one, change, update))
            });
            let (one, change, update) = match decided {
                Ok(decided) => decided,
                Err((address, why)) => {
                    all.push(done(&address, Err(why), None));
                    continue;
                }
            };
            let hold = before.state.holds.get(&one.address);
            let is_same = control::is_same(hold, change, until);
            if !is_same {
                facts.push(fact(&one.address, change, &self.began_by(), until));
            }
            if is_same && update.is_none() {
                all.push(done(&one.address, Ok(false), until));
                continue;
            }
            changes.extend(update);
            wanted.insert(one.address.clone(), change);
        }
        if wanted.is_empty() {
            return Ok(all);
        }
        let hosts = wanted
            .keys()
            .filter_map(|address| before.state.resources.get(address)?.declared.hosted_on.clone());
        let locks = LockSet::exclusive(wanted.keys().cloned()).and_shared(hosts);
        let mut journal = self.lock(&locks, progress).await?;
        let now = self.snapshot().await?;
        if let Some(address) = moved(&locks, &before.state, &now.state) {
            journal.close().await?;
            return Err(FleetError::Stale { address });
        }
        let mut state = now.state.clone();
        facts.insert(0, self.began());
        apply::record(&mut state, &mut *journal, facts)
            .await
            .map_err(FleetError::Ended)?;
        let plan = by_hand(changes, &now);
        let options = self.walk();
        let tools = apply::Tools {
            providers: &providers,
            options: &options,
            progress,
            stop,
        };
        let outcome = apply::apply(&plan, state, &mut *journal, &mut Known, tools).await;
        let failed = failures(&outcome);
        let undone = undone(&failed, &before.state, &self.snapshot().await?.state);
        let undone = match undone.is_empty() || outcome.stopped_by.is_some() {
            true => Ok(()),
            false => journal.append(&undone).await.map(drop),
        };
        match journal.close().await.and(undone) {
            Ok(()) | Err(StateError::Fenced { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        all.extend(wanted.keys().map(|address| match failed.get(address) {
            Some(why) => done(address, Err(not_done(control, address, why)), None),
            None => done(address, Ok(true), until),
        }));
        all.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(all)
    }

    /// Does something with simulators that leaves what is wanted of them as it is.
    async fn act(
        &self,
        act: &Act,
        targets: &[Address],
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<Vec<Done>, FleetError> {
        let before = self.snapshot().await?;
        let hosts = targets
            .iter()
            .filter_map(|address| before.state.resources.get(address)?.declared.hosted_on.clone());
        let locks = LockSet::exclusive(targets.iter().cloned()).and_shared(hosts);
        let mut journal = self.lock(&locks, progress).await?;
        let now = self.snapshot().await?;
        let providers = self.providers(&now);
        let control = Control::Act(act.clone());
        let acts = async {
            let reached = self.look_for(targets, &now.state, &providers).await;
            let acts = reached.into_iter().map(async |one| match one {
                Ok(one) => {
                    let done_with = act_on(&control, act, &one).await;
                    done(&one.address, done_with.map(|()| true), None)
                }
                Err((address, why)) => done(&address, Err(why), None),
            });
            let acts = stream::iter(acts).buffered(self.options.parallelism.max(1));
            acts.collect::<Vec<_>>().await
        };
        let all = apply::under_lease(&mut *journal, acts)
            .await
            .map_err(FleetError::Ended)?;
        journal.close().await?;
        Ok(all)
    }

    /// Looks at simulators where they are now.
    async fn look_for(
        &self,
        targets: &[Address],
        state: &State,
        providers: &Providers,
    ) -> Vec<Result<Reached, (Address, Diagnostic)>> {
        let resource = |address: &Address| Some((address.clone(), state.resources.get(address)?.clone()));
        let mut part = State::default();
        part.resources.extend(targets.iter().filter_map(resource));
        let hosts: BTreeSet<&Address> = part
            .resources
            .values()
            .filter_map(|it| it.declared.hosted_on.as_ref())
            .collect();
        let hosts: Vec<_> = hosts.into_iter().filter_map(resource).collect();
        part.resources.extend(hosts);
        let seen = refresh(&part, providers, self.options.parallelism).await;
        let mut all = Vec::new();
        for address in targets {
            let Some(resource) = part.resources.get(address).cloned() else {
                continue;
            };
            let host = resource.declared.hosted_on.as_ref().and_then(|host| seen.get(host));
            let host = match host {
                Some(Observed::Present(host)) => Some(&host.attributes),
                _ => None,
            };
            let config = reached_by(&resource.declared.provider, host).into_owned();
            all.push(match (seen.get(address), providers.configured(&config).await) {
                (Some(Observed::Present(object)), Ok(provider)) => Ok(Reached {
                    address: address.clone(),
                    kind: resource.declared.kind.clone(),
                    object: object.clone(),
                    provider,
                    config,
                    resource,
                }),
                (Some(Observed::Present(_)), Err(error)) => Err(unreachable(address, &error.to_string())),
                (Some(Observed::Unreachable { reason }), _) => Err(unreachable(address, reason)),
                (Some(Observed::Absent) | None, _) => {
                    let detail = "It is recorded, and is not there any more.";
                    let diagnostic = Diagnostic::error("Gone", detail).on(address.clone());
                    Err((address.clone(), diagnostic.hint("`simfleet apply` makes it anew")))
                }
            });
        }
        all
    }

    fn began_by(&self) -> Arc<str> {
        Holder::this_process(self.options.command.as_str(), &System).who
    }
}

fn done(address: &Address, result: Result<bool, Diagnostic>, until: Option<Timestamp>) -> Done {
    Done {
        address: address.clone(),
        result: result.map(|is_news| Now { is_news, until }),
    }
}

fn still_open(address: &Address) -> Diagnostic {
    let detail = "A run that ended early began something with it, and what became of that is not known.";
    let diagnostic = Diagnostic::error("An operation is still open", detail).on(address.clone());
    diagnostic.hint("`simfleet apply` finishes it, once its provider can be asked")
}

fn unreachable(address: &Address, reason: &str) -> (Address, Diagnostic) {
    let detail = format!("It cannot be reached: {reason}.");
    let diagnostic = Diagnostic::error("Not reachable", detail).on(address.clone());
    let hint = "`simfleet status` says how its node is; `simfleet apply` brings back what ended";
    (address.clone(), diagnostic.hint(hint))
}

fn not_done(control: &Control, address: &Address, why: &str) -> Diagnostic {
    let detail = format!("Its {} failed: {}", control.verb(), why.trim_end());
    Diagnostic::error("Not done", detail).on(address.clone())
}

/// Returns what is recorded of a hold.
fn fact(address: &Address, change: Change, by: &Arc<str>, until: Option<Timestamp>) -> Event {
    let address = address.clone();
    match change.held {
        Some(state) => held(address, state, by, until),
        None => Event::Unheld { address },
    }
}

fn held(address: Address, state: HeldState, by: &Arc<str>, until: Option<Timestamp>) -> Event {
    let by = by.clone();
    Event::Held {
        address,
        state,
        by,
        until,
    }
}

/// Returns what was not done, and why.
fn failures(outcome: &Outcome) -> BTreeMap<Address, String> {
    let failed = outcome.failed.iter().chain(&outcome.skipped);
    let mut failures: BTreeMap<Address, String> =
        failed.map(|(address, _, why)| (address.clone(), why.clone())).collect();
    let stopped = outcome.stopped_by.as_deref().unwrap_or("the run was stopped");
    let open = outcome.open.iter().map(|(address, _)| {
        let why = format!("{stopped}; what became of it is not known, and the next apply finishes it");
        (address.clone(), why)
    });
    failures.extend(open);
    failures
}

/// Returns what has the holds of simulators with which nothing was done be what they were. What has no end yet goes on
/// being held: the next run finishes it.
fn undone(failed: &BTreeMap<Address, String>, before: &State, now: &State) -> Vec<Event> {
    let is_closed = |address: &&Address| !now.intents.contains_key(*address);
    let undo = |address: &Address| match (before.holds.get(address), now.holds.get(address)) {
        (Some(was), now) if now != Some(was) => Some(held(address.clone(), was.state, &was.by, was.until)),
        (None, Some(_)) => Some(Event::Unheld {
            address: address.clone(),
        }),
        _ => None,
    };
    failed.keys().filter(is_closed).filter_map(undo).collect()
}

/// Does something with one simulator.
async fn act_on(control: &Control, act: &Act, one: &Reached) -> Result<(), Diagnostic> {
    able(&one.address, control.verb(), control.ability(), &one.abilities())?;
    control.change(&one.address, &one.object.attributes)?;
    let Some(runtime) = one.provider.runtime() else {
        return Ok(());
    };
    let token = Token(uuid::Uuid::new_v4().simple().to_string().into());
    let acted = runtime.act(&one.kind, &one.object, act, &token).await;
    acted.map_err(|error| not_done(control, &one.address, &error.to_string()))
}
