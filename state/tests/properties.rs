//! What holds for any journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use simfleet_provider_api::{Address, Object, Token};
use simfleet_state::conformance::{VirtualHost, declared, node, object, secret, token, udp};
use simfleet_state::{
    DeposedKey, Entry, Event, HeldState, LockSet, MemoryStore, Operation, Outcome, Remains, SqliteStore, Stamp, State,
    StateError, StateStore, replay,
};

/// What might be done next. Much of it is illegal; what fits is taken from the state, so that enough is legal.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    address: u8,
    other: u8,
    variant: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..22, 0u8..4, 0u8..4, 0u8..4).prop_map(|(what, address, other, variant)| Step {
        what,
        address,
        other,
        variant,
    });
    prop::collection::vec(step, 1..120)
}

fn address(number: u8) -> Address {
    node(&format!("n{number}"))
}

impl Step {
    /// Makes an event that may or may not fit a state.
    fn event(&self, state: &State, number: u64) -> Event {
        let address = address(self.address);
        let (on, to) = (address.clone(), self::address(self.other));
        let token = self.token(state, &address, number);
        let key = DeposedKey(format!("{}", self.variant % 2).into());
        let deposed = (self.variant > 1).then(|| key.clone());
        let prior = state
            .object_of(&address, deposed.as_ref())
            .map(|resource| resource.object.id.clone());
        let prior = prior.unwrap_or(object("none", 1).id);
        let mut declared = declared(u64::from(self.variant));
        if self.variant == 3 {
            declared.inputs.set("password", secret());
            declared.depends_on = vec![to.clone()];
        }
        let object = self.object(number);
        let outcome = match self.other {
            0 => Outcome::Gone,
            _ => Outcome::Object(object.clone()),
        };
        let remains = match self.other {
            0 => Remains::Gone,
            1 => Remains::AsBefore,
            _ => Remains::Object(object.clone()),
        };
        let reason: Arc<str> = "a property".into();
        match self.what {
            0..3 => Event::Started {
                address,
                token,
                operation: Operation::Create { declared },
            },
            3..5 => Event::Started {
                address,
                token,
                operation: Operation::Update { declared, prior },
            },
            5..7 => Event::Started {
                address,
                token,
                operation: Operation::Delete { prior, deposed },
            },
            7 => Event::Accepted {
                address,
                token,
                handle: simfleet_provider_api::Handle("h".into()),
            },
            8..11 => Event::Succeeded {
                address,
                token,
                outcome,
            },
            11 => Event::Failed {
                address,
                token,
                reason,
                remains,
            },
            12 => Event::Abandoned { address, token, reason },
            13 => Event::Adopted {
                address,
                declared,
                object,
            },
            14 => Event::Observed {
                address,
                deposed,
                outcome,
            },
            15 => Event::Deposed { address, key },
            16 => Event::Restored { address, key },
            17 => Event::Removed {
                address,
                deposed,
                reason,
            },
            18 => Event::Reserved {
                address,
                name: "p".into(),
                host: to,
                port: udp(u16::from(self.variant)),
            },
            19 => Event::Released {
                address,
                host: to,
                port: udp(u16::from(self.variant)),
            },
            20 => Event::Moved { from: on, to },
            _ => Event::Held {
                address,
                state: HeldState::Stopped,
                by: "ann".into(),
                until: None,
            },
        }
    }

    /// Mostly that of the open intent.
    fn token(&self, state: &State, address: &Address, number: u64) -> Token {
        match state.intents.get(address) {
            Some(intent) if self.variant != 3 => intent.token.clone(),
            _ => token(number),
        }
    }

    fn object(&self, number: u64) -> Object {
        let mut object = object(&format!("i{number}"), u64::from(self.variant));
        if self.variant == 2 {
            object.attributes.set("key", secret());
        }
        object
    }
}

/// The groups of a journal that refused what did not fit, and the state after each.
fn journal(steps: &[Step]) -> Vec<(Entry, State)> {
    let (mut groups, mut state) = (Vec::new(), State::default());
    for (number, step) in steps.iter().enumerate() {
        let stamp = Stamp {
            serial: state.serial + 1,
            at: VirtualHost::default().holder(1).since,
            holder: VirtualHost::default().holder(1).id,
            epoch: 1,
        };
        let entry = Entry {
            stamp,
            events: vec![step.event(&state, number as u64)],
        };
        let mut next = state.clone();
        if next.apply(&entry).is_ok() {
            state = next;
            groups.push((entry, state.clone()));
        }
    }
    groups
}

/// What holds for every state.
fn is_sound(state: &State) {
    for (address, intent) in &state.intents {
        let deposed = match &intent.operation {
            Operation::Create { .. } => {
                assert!(
                    !state.resources.contains_key(address),
                    "a create at an object: {address}"
                );
                continue;
            }
            Operation::Update { .. } => None,
            Operation::Delete { deposed, .. } => deposed.as_ref(),
        };
        let (Operation::Update { prior, .. } | Operation::Delete { prior, .. }) = &intent.operation else {
            continue;
        };
        let object = state
            .object_of(address, deposed)
            .expect("an open intent has its object");
        assert_eq!(object.object.id, *prior);
        assert!(state.declared_of(address).is_some());
    }
    assert!(state.deposed.values().all(|objects| !objects.is_empty()));
    assert!(state.reservations.values().all(|ports| !ports.is_empty()));
    let addresses: BTreeSet<&Address> = state.resources.keys().chain(state.intents.keys()).collect();
    for address in addresses {
        assert!(state.fingerprint(address).is_some_and(|serial| serial <= state.serial));
    }
}

fn all() -> LockSet {
    LockSet::exclusive((0..4).map(address))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime")
}

/// So many cases under `scripts/test`, a quarter of them in the inner loop.
fn cases(all: u32) -> ProptestConfig {
    let is_whole = std::env::var_os("SIMFLEET_TEST_SWEEP").is_some();
    ProptestConfig::with_cases(if is_whole { all } else { all / 4 })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_prefix_of_a_journal_replays_to_the_state_at_that_time(steps in steps()) {
        let groups = journal(&steps);
        for length in 0..=groups.len() {
            let expected = groups[..length].last().map_or_else(State::default, |(_, state)| state.clone());
            let state = replay(groups[..length].iter().map(|(entry, _)| entry)).expect("legal");
            prop_assert_eq!(&state, &expected);
            is_sound(&state);
        }
    }

    #[test]
    fn a_journal_without_one_of_its_groups_does_not_replay(steps in steps(), which in any::<prop::sample::Index>()) {
        let mut groups: Vec<Entry> = journal(&steps).into_iter().map(|(entry, _)| entry).collect();
        prop_assume!(groups.len() > 1);
        groups.remove(which.index(groups.len() - 1));
        prop_assert!(replay(&groups).is_err());
    }

    #[test]
    fn a_state_without_secrets_comes_back_from_its_text(steps in steps()) {
        let state = runtime().block_on(stored(&steps, &MemoryStore::new(Arc::<VirtualHost>::default())));
        let text = serde_json::to_string(&state).expect("no secrets");
        prop_assert_eq!(serde_json::from_str::<State>(&text).expect("what was written"), state);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// The stores refuse what replay refuses, and load the same, with snapshots as without.
    #[test]
    fn both_stores_hold_what_replay_says(steps in steps(), every in 1u64..20) {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = |name, every| SqliteStore::new(folder.path().join(name))
            .with_host(Arc::<VirtualHost>::default())
            .with_snapshot_every(every);
        let (often, never) = (sqlite("often", every), sqlite("never", u64::MAX));
        let memory = MemoryStore::new(Arc::<VirtualHost>::default());
        runtime().block_on(async {
            let expected = stored(&steps, &memory).await;
            assert_eq!(stored(&steps, &often).await, expected);
            assert_eq!(stored(&steps, &never).await, expected);
            let history = often.history(0..=u64::MAX).await.expect("sound");
            assert_eq!(replay(&history).expect("legal"), expected);
            let checked = often.check().await.expect("sound").expect("there");
            assert_eq!(checked.serial, expected.serial);
        });
    }
}

/// Writes a journal to a store, and loads it.
async fn stored(steps: &[Step], store: &dyn StateStore) -> State {
    let mut journal = store
        .open(&VirtualHost::default().holder(1), &all())
        .await
        .expect("free");
    let mut model = State::default();
    for (number, step) in steps.iter().enumerate() {
        let events = vec![step.event(&model, number as u64)];
        let stamp = Stamp {
            serial: model.serial + 1,
            at: VirtualHost::default().holder(1).since,
            holder: VirtualHost::default().holder(1).id,
            epoch: journal.epoch(),
        };
        let mut next = model.clone();
        match (journal.append(&events).await, next.apply(&Entry { stamp, events })) {
            (Ok(stamp), Ok(())) => {
                assert_eq!(stamp.serial, next.serial);
                model = next;
            }
            (Err(StateError::Illegal(refused)), Err(error)) => assert_eq!(refused, error),
            (store, model) => panic!("the store says {store:?}, replay says {model:?}"),
        }
    }
    let state = store.load().await.expect("sound").state;
    assert_eq!(
        state.resources.keys().collect::<Vec<_>>(),
        model.resources.keys().collect::<Vec<_>>()
    );
    assert_eq!(
        state.intents.keys().collect::<Vec<_>>(),
        model.intents.keys().collect::<Vec<_>>()
    );
    assert_eq!(state.reservations, model.reservations);
    state
}
