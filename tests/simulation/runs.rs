//! What is run over a fleet: applies that fail, are stopped or die, and what a person does to its state.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;
use simfleet::apply::Outcome;
use simfleet::config::Endpoint;
use simfleet::fleet::{Fleet, FleetError, Goal};
use simfleet::plan::{Mode, Plan, Selection};
use simfleet_provider_api::Address;
use simfleet_state::StateStore;
use tokio::sync::{mpsc, watch};

use crate::order;
use crate::world::World;

/// What a run came to.
pub enum Ran {
    Ended(Outcome),
    Refused,
    Died,
}

/// What a run may be refused for: what was to be made anew went with an earlier run, or is not selected; something is
/// protected; something moves that an earlier run has begun with.
const REFUSALS: [&str; 4] = [
    "Unknown resource",
    "Not selected",
    "Protected from deletion",
    "Cannot be moved yet",
];

impl World {
    /// Runs as the command line does, with faults; perhaps it is stopped, and perhaps it dies.
    pub async fn run_into_trouble(&mut self) {
        let mut replace: Vec<Address> = self.state().await.resources.into_keys().collect();
        replace.retain(|_| self.dice.random_bool(0.05));
        let selection = self.part().await;
        self.tell(format!("--- apply, replacing {replace:?}, of {selection:?}"));
        let fleet = self.fleet_of(Mode::Apply, replace.into_iter().collect(), selection);
        let stop_after = self.dice.random_bool(0.15).then(|| self.dice.random_range(0..1_000));
        let polls = match self.dice.random_bool(0.5) {
            true => self.dice.random_range(1..30),
            false => u32::MAX,
        };
        match self.run(&fleet, stop_after, polls).await {
            Ran::Ended(outcome) => assert_eq!(outcome.stopped_by, None, "{outcome:?}"),
            Ran::Refused => {}
            Ran::Died => {
                self.tell("it dies");
                for lease in self.store.load().await.expect("a store in memory").leases {
                    self.store.unlock(&lease.holder.id).await.expect("a store in memory");
                }
            }
        }
    }

    /// Runs as the command line does. After `stop_after` milliseconds it is asked to stop, after so many `polls` it dies.
    /// Either way its calls came in the order of its plan.
    pub async fn run(&mut self, fleet: &Fleet, stop_after: Option<u64>, polls: u32) -> Ran {
        let cloud = self.cloud.clone();
        let mut planned = None;
        let begins = |plan: &Plan| planned = Some((plan.clone(), cloud.log().len()));
        let ended = cut_off(polls, run(fleet, stop_after, begins)).await;
        if let Some((plan, from)) = planned {
            let history = self.store.history(1..=u64::MAX).await.expect("a store in memory");
            if let Err(early) = order::check(&plan, &history, &self.cloud.log(), from) {
                self.tell(order::told(&plan));
                panic!("{early}");
            }
        }
        match ended {
            Some(Ok(outcome)) => {
                self.tell(format!("{outcome:?}"));
                Ran::Ended(outcome)
            }
            Some(Err(FleetError::Diagnostics(problems))) => {
                let mut summaries = problems.0.iter().map(|it| &*it.summary);
                assert!(
                    summaries.all(|it| REFUSALS.contains(&it)),
                    "it can be planned: {problems:?}"
                );
                self.tell(format!("it is refused: {problems:?}"));
                Ran::Refused
            }
            Some(Err(error)) => panic!("{error:?}"),
            None => Ran::Died,
        }
    }

    /// Chooses a part of the fleet, sometimes.
    pub async fn part(&mut self) -> Selection {
        let state = self.state().await;
        let blocks: BTreeSet<String> = state.resources.keys().map(|it| it.declaration().to_string()).collect();
        let blocks: Vec<String> = blocks.into_iter().collect();
        let mut selection = Selection::default();
        if let Some(block) = blocks.choose(&mut self.dice)
            && self.dice.random_bool(0.2)
        {
            let pattern = block.parse().expect("an address is a pattern");
            match self.dice.random_bool(0.5) {
                true => selection.targets.push(pattern),
                false => selection.excludes.push(pattern),
            }
        }
        selection
    }

    /// Records what there is, and changes nothing.
    pub async fn refresh(&mut self) {
        self.tell("--- refresh only");
        let before = self.changes();
        let fleet = self.fleet(Mode::Refresh, BTreeSet::new());
        let (progress, _told) = mpsc::unbounded_channel();
        // What was begun is finished first, as by every run.
        if fleet.recover(&progress).await.is_ok() {
            let recovered = self.changes();
            if let Ok(planned) = fleet.plan().await {
                let (_keep, stop) = watch::channel(false);
                let outcome = fleet.apply(planned, &progress, stop).await;
                self.tell(format!("{outcome:?}"));
                assert_eq!(self.changes(), recovered, "a refresh changes nothing");
            }
        }
        assert!(self.changes() >= before);
        self.holds_together().await;
    }

    /// Goes back to what the fleet was to be brought to before.
    pub async fn go_back(&mut self) {
        self.tell("--- undo");
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let Ok((_, goal)) = fleet.earlier_goal(None).await else {
            return;
        };
        let fleet = fleet.back_to(&goal).expect("it was sound, and has no secrets");
        if let Ran::Refused = self.run(&fleet, None, u32::MAX).await {
            return;
        }
        let state = self.state().await;
        match goal {
            Goal::Nothing => assert_eq!(state.intended, None, "undo returns to the same intent"),
            Goal::Configuration(wanted) => {
                assert_eq!(
                    state.intended.as_ref(),
                    Some(&wanted.digest),
                    "undo returns to the same intent"
                );
            }
        }
        self.holds_together().await;
    }

    /// Gives a block another address, which nothing declares.
    pub async fn move_one(&mut self) {
        let state = self.state().await;
        let declared: BTreeSet<Address> = state.resources.keys().map(Address::declaration).collect();
        let declared: Vec<Address> = declared.into_iter().collect();
        let Some(from) = declared.choose(&mut self.dice) else {
            return;
        };
        let text = from.to_string();
        let (kind, name) = text.rsplit_once('.').expect("a kind and a name");
        let to: Endpoint = format!("{kind}.moved_{name}").parse().expect("an address");
        self.tell(format!("--- mv {from} {to}"));
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let (progress, _told) = mpsc::unbounded_channel();
        match fleet
            .move_recorded(&Endpoint::Resource(from.clone()), &to, &progress)
            .await
        {
            Ok(moved) => assert!(!moved.is_empty(), "{from} was recorded"),
            // In flight, or moved before.
            Err(FleetError::Diagnostics(problems)) => self.tell(format!("{problems:?}")),
            Err(error) => panic!("{error:?}"),
        }
        self.holds_together().await;
    }

    /// Forgets an object and imports it again: it is still that of its resource.
    pub async fn import_again(&mut self) {
        let state = self.state().await;
        let is_host = |address: &Address| {
            let mut resources = state.resources.values();
            resources.any(|resource| resource.declared.hosted_on.as_ref() == Some(address))
        };
        let managed = state
            .resources
            .iter()
            .filter(|(address, _)| !matches!(address.block(), "value" | "pool"));
        let alone: Vec<_> = managed.filter(|(address, _)| !is_host(address)).collect();
        let Some((address, resource)) = alone.choose(&mut self.dice).filter(|_| self.dice.random_bool(0.3)) else {
            return;
        };
        let id = &resource.object.id;
        self.tell(format!("--- import {address} {id} again"));
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let (progress, _told) = mpsc::unbounded_channel();
        let forgotten = fleet.forget(&[Endpoint::Resource((*address).clone())], &progress).await;
        forgotten.expect("it is recorded");
        let imported = fleet.import(address, &id.0, &progress).await;
        imported.expect("it is there, and declared");
        self.settle().await;
    }
}

/// Finishes what earlier runs left, plans and applies; `begins` is told the plan before anything of it is done.
async fn run(fleet: &Fleet, stop_after: Option<u64>, begins: impl FnOnce(&Plan)) -> Result<Outcome, FleetError> {
    let (progress, _told) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    fleet.recover(&progress).await?;
    let planned = fleet.plan().await?;
    begins(&planned.plan);
    let stopping = async {
        if let Some(after) = stop_after {
            tokio::time::sleep(Duration::from_millis(after)).await;
            stop.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        outcome = fleet.apply(planned, &progress, stopped) => outcome,
        () = stopping => unreachable!("it waits for ever"),
    }
}

/// Drops a future after so many polls, as a process that is killed.
async fn cut_off<T>(mut polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match polls {
        0 => Poll::Ready(None),
        _ => {
            polls -= 1;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}
