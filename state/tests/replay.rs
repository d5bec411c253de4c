//! Which events may follow which, and what they lead to.

use jiff::Timestamp;
use simfleet_state::conformance::{
    accepted, create, declared, delete, failed, gone, made, node, object, reserved, udp, update,
};
use simfleet_state::{
    DeposedKey, Entry, Event, HolderId, Outcome, Remains, ReplayError, Stamp, State, invariants, replay,
};

fn entry(serial: u64, events: Vec<Event>) -> Entry {
    let stamp = Stamp {
        serial,
        at: Timestamp::UNIX_EPOCH,
        holder: HolderId("run".into()),
        epoch: 1,
    };
    Entry { stamp, events }
}

fn of(events: Vec<Event>) -> Result<State, ReplayError> {
    replay(&[entry(1, events)])
}

/// `node.a` with the object `i`.
fn there() -> Vec<Event> {
    vec![create(&node("a"), 1), made(&node("a"), 1, "i", 1)]
}

fn scaled(numbered: u64) -> Event {
    Event::Scaled {
        address: node("a"),
        size: 1,
        numbered,
        reason: "load".into(),
    }
}

fn observed(outcome: Outcome) -> Event {
    Event::Observed {
        address: node("a"),
        deposed: None,
        outcome,
    }
}

fn key() -> DeposedKey {
    DeposedKey("0a".into())
}

fn deposed() -> Event {
    Event::Deposed {
        address: node("a"),
        key: key(),
    }
}

/// A member counts once it is begun, also one that is never made.
#[test]
fn the_number_of_a_member_is_used_once_it_is_begun() {
    let member = node("a").child("m5");
    let begun = of(vec![scaled(2), create(&member, 1)]).expect("legal");
    assert_eq!(begun.pools[&node("a")].numbered, 5);
    invariants::check(&begun).expect("sound");
    let ended = of(vec![
        scaled(2),
        create(&member, 1),
        failed(&member, 1, Remains::AsBefore),
    ])
    .expect("legal");
    assert_eq!(ended.pools[&node("a")].numbered, 5);
    let older = of(vec![scaled(7), create(&member, 1)]).expect("legal");
    assert_eq!(older.pools[&node("a")].numbered, 7);
    let entries = [entry(1, vec![scaled(2)]), entry(2, vec![create(&member, 1)])];
    let state = replay(&entries).expect("legal");
    assert_eq!(
        state.fingerprint(&node("a")),
        Some(2),
        "a plan that would give it again is stale"
    );
}

#[test]
fn an_illegal_order_is_refused_and_says_why() {
    let (a, b) = (node("a"), node("b"));
    let adopted = || Event::Adopted {
        address: node("a"),
        declared: declared(1),
        object: object("i", 1),
    };
    let removed = || Event::Removed {
        address: node("a"),
        deposed: None,
        reason: "moved out".into(),
    };
    let released = |address, port| Event::Released {
        address,
        host: node("host"),
        port: udp(port),
    };
    let moved = || Event::Moved {
        from: node("a"),
        to: node("b"),
    };
    for (name, before, event, expected) in [
        (
            "a create at an object",
            there(),
            create(&a, 2),
            "`started` of node.a: it has an object already",
        ),
        (
            "a create while another is open",
            vec![create(&a, 1)],
            create(&a, 2),
            "its create is still open",
        ),
        (
            "an update of nothing",
            vec![],
            update(&a, 1, "i", 2),
            "`started` of node.a: it has no such object",
        ),
        (
            "an update of another object",
            there(),
            update(&a, 2, "j", 2),
            "it has no such object",
        ),
        (
            "a delete of another object",
            there(),
            delete(&a, 2, "j", None),
            "it has no such object",
        ),
        (
            "a delete of no deposed object",
            there(),
            delete(&a, 2, "i", Some(key())),
            "it has no such object",
        ),
        (
            "accepted without an intent",
            vec![],
            accepted(&a, 1),
            "`accepted` of node.a: there is no open intent 0000",
        ),
        (
            "accepted by another token",
            vec![create(&a, 1)],
            accepted(&a, 2),
            "there is no open intent",
        ),
        (
            "succeeded twice",
            there(),
            made(&a, 1, "i", 1),
            "there is no open intent",
        ),
        (
            "a create that succeeds with nothing",
            vec![create(&a, 1)],
            gone(&a, 1),
            "a create cannot end so",
        ),
        (
            "a failed create that leaves none any more",
            vec![create(&a, 1)],
            failed(&a, 1, Remains::Gone),
            "a create cannot end so",
        ),
        (
            "a delete that succeeds with an object",
            [there(), vec![delete(&a, 2, "i", None)]].concat(),
            made(&a, 2, "i", 1),
            "a delete cannot end so",
        ),
        ("adopted where one is", there(), adopted(), "it has an object already"),
        (
            "adopted while a create is open",
            vec![create(&a, 1)],
            adopted(),
            "its create is still open",
        ),
        (
            "observed where none is",
            vec![],
            observed(Outcome::Gone),
            "it has no such object",
        ),
        (
            "observed while an update is open",
            [there(), vec![update(&a, 2, "i", 2)]].concat(),
            observed(Outcome::Gone),
            "its update is still open",
        ),
        (
            "removed while a delete is open",
            [there(), vec![delete(&a, 2, "i", None)]].concat(),
            removed(),
            "its delete is still open",
        ),
        ("deposed where none is", vec![], deposed(), "it has no such object"),
        (
            "deposed by a name that is taken",
            [there(), vec![deposed(), create(&a, 2), made(&a, 2, "j", 1)]].concat(),
            deposed(),
            "it has an object already",
        ),
        (
            "restored where one is",
            [there(), vec![deposed(), create(&a, 2), made(&a, 2, "j", 1)]].concat(),
            Event::Restored {
                address: node("a"),
                key: key(),
            },
            "it has an object already",
        ),
        (
            "a port of another",
            vec![reserved(&a, "p", 1)],
            reserved(&b, "p", 1),
            "port 1/udp of node.host is taken by node.a",
        ),
        (
            "a port by another name",
            vec![reserved(&a, "p", 1)],
            reserved(&a, "q", 1),
            "is taken by node.a",
        ),
        (
            "to release another's port",
            vec![reserved(&a, "p", 1)],
            released(node("b"), 1),
            "node.b does not have port 1/udp",
        ),
        (
            "to release a free port",
            vec![],
            released(node("b"), 1),
            "node.b does not have port 1/udp",
        ),
        (
            "no hold to end",
            vec![],
            Event::Unheld { address: node("a") },
            "it has no such object",
        ),
        (
            "somebody else has it",
            vec![allocated("ann@lab", None)],
            allocated("bob@lab", None),
            "node.a is allocated to ann@lab",
        ),
        (
            "numbers that go back",
            vec![scaled(3)],
            scaled(2),
            "gave its members numbers up to 3, which cannot become 2",
        ),
        (
            "moved onto another",
            [there(), vec![create(&b, 2), made(&b, 2, "j", 1)]].concat(),
            moved(),
            "`moved` of node.b: it has an object already",
        ),
        (
            "nothing to move",
            vec![],
            moved(),
            "`moved` of node.a: it has no such object",
        ),
        (
            "moved while an update is open",
            [there(), vec![update(&a, 2, "i", 2)]].concat(),
            moved(),
            "its update is still open",
        ),
    ] {
        of(before.clone()).expect(name);
        let error = of([before, vec![event]].concat()).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn what_a_failed_operation_left_is_recorded() {
    let a = node("a");
    let half = || Remains::Object(object("i", 7));
    let updating = || [there(), vec![update(&a, 2, "i", 2)]].concat();
    let deleting = || [there(), vec![delete(&a, 2, "i", None)]].concat();
    for (name, before, event, size, tainted) in [
        (
            "a create that left nothing",
            vec![create(&a, 1)],
            failed(&a, 1, Remains::AsBefore),
            None,
            false,
        ),
        (
            "a create that left half an object",
            vec![create(&a, 1)],
            failed(&a, 1, half()),
            Some(7),
            true,
        ),
        (
            "an update without effect",
            updating(),
            failed(&a, 2, Remains::AsBefore),
            Some(1),
            false,
        ),
        (
            "an update with half its effect",
            updating(),
            failed(&a, 2, half()),
            Some(7),
            false,
        ),
        (
            "an update whose object was lost",
            updating(),
            failed(&a, 2, Remains::Gone),
            None,
            false,
        ),
        (
            "a delete without effect",
            deleting(),
            failed(&a, 2, Remains::AsBefore),
            Some(1),
            false,
        ),
        (
            "a delete with half its effect",
            deleting(),
            failed(&a, 2, half()),
            Some(7),
            false,
        ),
    ] {
        let state = of([before, vec![event]].concat()).expect(name);
        assert!(state.intents.is_empty(), "{name}");
        let resource = state.resources.get(&a);
        let found = resource.map(|resource| resource.object.attributes.get("size").and_then(|size| size.as_u64()));
        assert_eq!(found, size.map(Some), "{name}");
        assert_eq!(
            resource.is_some_and(|resource| resource.tainted.is_some()),
            tainted,
            "{name}"
        );
        // What was declared is what was applied, not what failed to be.
        let inputs = resource.map(|resource| &resource.declared);
        assert!(inputs.is_none_or(|inputs| *inputs == declared(1)), "{name}");
    }
}

#[test]
fn a_replacement_is_made_before_the_old_object_is_deleted() {
    let a = node("a");
    let mut state = of([there(), vec![deposed(), create(&a, 2), made(&a, 2, "j", 1)]].concat()).expect("legal");
    assert_eq!(state.resources[&a].object.id, object("j", 1).id);
    assert_eq!(state.deposed[&a][&key()].object.id, object("i", 1).id);
    state
        .apply(&entry(2, vec![delete(&a, 3, "i", Some(key())), gone(&a, 3)]))
        .expect("legal");
    assert!(state.deposed.is_empty());
    assert_eq!(state.resources.len(), 1);
}

#[test]
fn what_moves_takes_everything_along() {
    let (a, b, c) = (node("a"), node("b"), node("c"));
    let mut dependent = declared(1);
    dependent.depends_on = vec![a.clone()];
    dependent.hosted_on = Some(a.clone());
    let adopted = Event::Adopted {
        address: c.clone(),
        declared: dependent,
        object: object("k", 1),
    };
    let on_a = Event::Reserved {
        address: c.clone(),
        name: "p".into(),
        host: a.clone(),
        port: udp(9),
    };
    let moved = Event::Moved {
        from: a.clone(),
        to: b.clone(),
    };
    let state = of([there(), vec![adopted, reserved(&a, "p", 1), on_a, scaled(2), moved]].concat()).expect("legal");
    assert_eq!(state.resources.keys().collect::<Vec<_>>(), [&b, &c]);
    let dependent = &state.resources[&c].declared;
    assert_eq!(
        (&dependent.depends_on, &dependent.hosted_on),
        (&vec![b.clone()], &Some(b.clone()))
    );
    let ports = state.ports();
    assert_eq!(
        ports[&b].values().copied().collect::<Vec<_>>(),
        [(&node("host"), udp(1))]
    );
    assert_eq!(ports[&c].values().copied().collect::<Vec<_>>(), [(&b, udp(9))]);
    assert_eq!(state.pools[&b].numbered, 2);
}

#[test]
fn groups_come_once_and_in_order() {
    let groups = |serials: &[u64]| serials.iter().map(|serial| entry(*serial, vec![])).collect::<Vec<_>>();
    assert_eq!(replay(&groups(&[1, 2, 3])).expect("in order").serial, 3);
    for serials in [&[2][..], &[1, 3], &[1, 1], &[1, 2, 1], &[0]] {
        assert!(
            matches!(replay(&groups(serials)), Err(ReplayError::Gap { .. })),
            "{serials:?}"
        );
    }
    // A run need not see what others wrote at addresses that are not its own.
    let mut state = State::default();
    state.apply(&entry(5, vec![])).expect("later");
    state.apply(&entry(9, vec![])).expect("later");
    assert!(state.apply(&entry(9, vec![])).is_err());
}

fn allocated(by: &str, until: Option<Timestamp>) -> Event {
    Event::Allocated {
        address: node("a"),
        by: by.into(),
        until,
    }
}

fn deallocated(since: i64) -> Event {
    Event::Deallocated {
        address: node("a"),
        since: Timestamp::constant(since, 0),
    }
}

#[test]
fn what_is_allocated_is_somebodys_until_its_time_is_over() {
    let at = |second, events| {
        let mut entry = entry(second, events);
        entry.stamp.at = Timestamp::constant(second as i64, 0);
        entry
    };
    let end = Timestamp::constant(3, 0);
    let entries = [
        at(1, vec![allocated("ann@lab", None)]),
        // Who has it can have it for longer, or not so long.
        at(2, vec![allocated("ann@lab", Some(end))]),
        at(3, vec![allocated("bob@lab", None)]),
        // It comes too late: it is about what ann had.
        at(4, vec![deallocated(1)]),
        at(5, vec![deallocated(3)]),
    ];
    let allocation = |entries: &[Entry]| {
        let allocation = replay(entries).expect("legal").allocations[&node("a")].clone();
        (
            allocation.by.to_string(),
            allocation.since.as_second(),
            allocation.until,
        )
    };
    assert_eq!(allocation(&entries[..2]), ("ann@lab".to_owned(), 1, Some(end)));
    assert_eq!(allocation(&entries[..4]), ("bob@lab".to_owned(), 3, None));
    assert!(replay(&entries).expect("legal").allocations.is_empty());
}
