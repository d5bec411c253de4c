//! What must hold at any time, and what once faults end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use simfleet::fleet::Fleet;
use simfleet::plan::{Action, Mode, Plan};
use simfleet_provider_api::{Address, Value};
use simfleet_provider_fake::faults::Faults;
use simfleet_state::{State, StateStore, invariants, replay};

use crate::runs::Ran;
use crate::slot;
use crate::world::World;

impl World {
    /// What is recorded is what its events lead to, and holds together, now and at any time before.
    pub async fn holds_together(&mut self) {
        let history = self.store.history(1..=u64::MAX).await.expect("a store in memory");
        let state = self.state().await;
        assert_eq!(
            replay(&history).expect("it was recorded"),
            state,
            "replay leads to what is there"
        );
        let cut = self.dice.random_range(0..=history.len());
        for entries in [&history[..cut], &history[..]] {
            let state = replay(entries).expect("it was recorded");
            invariants::check(&state).unwrap_or_else(|problem| panic!("{problem}, at serial {}", state.serial));
        }
    }

    /// Without faults, one apply brings the fleet to what is declared.
    pub async fn settle(&mut self) {
        self.tell("--- settle");
        self.cloud.set_faults(Faults::default());
        self.complete(Mode::Apply).await;
        self.forget_removed().await;
        let fleet = self.fleet(Mode::Apply, BTreeSet::new());
        let plan = plan(&fleet).await;
        assert!(plan.is_empty(), "a plan after an apply is empty: {}", left(&plan));
        let state = self.state().await;
        let wanted: Vec<String> = plan.changes.iter().map(|change| change.address.to_string()).collect();
        let recorded: Vec<String> = state.resources.keys().map(ToString::to_string).collect();
        assert_eq!(recorded, wanted, "what is recorded is what is wanted");
        let made: BTreeSet<(String, String)> = self
            .cloud
            .objects()
            .into_iter()
            .map(|object| (object.fields["name"].as_str().expect("a name").to_owned(), object.id))
            .collect();
        let managed = state.resources.iter().filter(|(address, _)| address.block() != "value");
        let managed: BTreeSet<(String, String)> = managed
            // What moved keeps its name.
            .map(|(_, resource)| {
                (
                    resource.object.attributes.get("name").and_then(Value::as_str),
                    &resource.object.id,
                )
            })
            .map(|(name, id)| (name.expect("a name").to_owned(), id.to_string()))
            .collect();
        assert_eq!(
            self.cloud.objects().len(),
            managed.len(),
            "every object is there once: {made:?}"
        );
        assert_eq!(made, managed, "every object is there once, and recorded");
        assert!(state.intents.is_empty());
        // What was refused after it was accepted unheard ends by itself, once the cloud looks at its clock.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.cloud.destroy("nothing");
        assert_eq!(self.cloud.pending(), [""; 0], "nothing goes on");
        for (host, port, reservation) in reservations(&state) {
            let resource = state.resources.get(&reservation.0).expect("nobody else has ports");
            let ports = resource
                .declared
                .inputs
                .get("ports")
                .and_then(|ports| ports.get(&reservation.1));
            assert_eq!(resource.declared.hosted_on.as_ref(), Some(host), "{reservation:?}");
            assert_eq!(
                ports.and_then(|port| port.as_u64()),
                Some(port.into()),
                "{reservation:?}"
            );
        }
    }

    /// Runs to the end, with nothing in the way but what is protected; that is taken back.
    async fn complete(&mut self, mode: Mode) {
        for _ in 0..2 {
            let fleet = self.fleet(mode, BTreeSet::new());
            match self.run(&fleet, None, u32::MAX).await {
                Ran::Ended(outcome) => return assert!(outcome.is_complete(), "{outcome:?}"),
                Ran::Refused => self.unprotect().await,
                Ran::Died => unreachable!("it may go on for ever"),
            }
        }
        panic!("nothing is protected any more");
    }

    /// Takes protection back: of what is declared in its block, of all else by a `removed` block or by hand.
    async fn unprotect(&mut self) {
        self.tell("--- nothing is protected any more");
        for slot in &mut self.slots {
            slot.is_protected = false;
        }
        let state = self.state().await;
        let declared = slot::declared(&self.slots, &mut String::new());
        let is_declared = |address: &Address| declared.iter().any(|slot| slot.is_or_was(address));
        let protected = state
            .resources
            .iter()
            .filter(|(_, resource)| resource.declared.prevent_destroy);
        let undeclared: Vec<&Address> = protected
            .map(|it| it.0)
            .filter(|address| !is_declared(address))
            .collect();
        self.removed = undeclared
            .iter()
            .map(|address| address.declaration().to_string())
            .collect();
        self.tell_fleet();
    }

    /// Deletes the objects of what was given up, and takes the blocks out that say so.
    async fn forget_removed(&mut self) {
        let state = self.state().await;
        let is_managed = |id: &str| {
            let deposed = state.deposed.values().flat_map(|objects| objects.values());
            state
                .resources
                .values()
                .chain(deposed)
                .any(|resource| &*resource.object.id.0 == id)
        };
        let left: Vec<_> = self
            .cloud
            .objects()
            .into_iter()
            .filter(|object| !is_managed(&object.id))
            .collect();
        assert!(
            left.len() <= self.removed.len(),
            "{left:?} are not managed, and {:?} were removed",
            self.removed
        );
        for object in left {
            self.tell(format!("--- by hand: {} is deleted", object.fields["name"]));
            assert!(self.cloud.destroy(&object.id));
        }
        self.removed.clear();
    }

    /// Removes everything; what is protected once that is taken back.
    pub async fn destroy(&mut self) {
        self.tell("--- destroy");
        self.drift();
        let fleet = self.fleet(Mode::Destroy, BTreeSet::new());
        if let Ran::Refused = self.run(&fleet, None, u32::MAX).await {
            self.unprotect().await;
            self.settle().await;
            self.complete(Mode::Destroy).await;
        }
        let fleet = self.fleet(Mode::Destroy, BTreeSet::new());
        assert!(plan(&fleet).await.is_empty());
        assert_eq!(self.cloud.objects(), []);
        let state = self.state().await;
        let is_empty = state.is_empty() && state.reservations.is_empty() && state.pools.is_empty();
        assert!(is_empty && state.outputs.is_empty(), "{state:#?}");
    }
}

/// Tells what makes a plan one that does something.
fn left(plan: &Plan) -> String {
    let changes = plan.changes.iter().filter(|change| change.action != Action::NoOp);
    let changes: Vec<String> = changes
        .map(|change| format!("{} {} as {:?}", change.action.as_str(), change.address, change.reasons))
        .collect();
    let outputs: Vec<_> = plan.outputs.values().filter(|output| output.is_change()).collect();
    format!("{changes:?}, {:?}, {:?}, {outputs:?}", plan.pools, plan.unfinished)
}

fn reservations(state: &State) -> impl Iterator<Item = (&Address, u16, (Address, Arc<str>))> {
    state.reservations.iter().flat_map(|(host, ports)| {
        let of_host = ports.iter();
        of_host.map(move |(port, by)| (host, port.number, (by.address.clone(), by.name.clone())))
    })
}

/// Makes a plan twice: it says the same.
async fn plan(fleet: &Fleet) -> Plan {
    let [plan, again] =
        [fleet.plan().await, fleet.plan().await].map(|planned| planned.expect("it can be planned").plan);
    assert!(plan == again, "{}, {}", left(&plan), left(&again));
    plan
}
