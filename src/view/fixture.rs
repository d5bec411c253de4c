//! A small recorded fleet, for the tests of several views.

use std::collections::BTreeMap;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes, Kind, Object, ObjectId, Token, Value};
use simfleet_state::{
    Declaration, HeldState, Hold, HolderId, Intent, Operation, Port, Protocol, ProviderConfig, Reservation, Resource,
    Snapshot, State, Timeouts,
};

pub(crate) fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn resource<const N: usize>(kind: &'static str, host: Option<&str>, id: &str, fields: [(&str, Value); N]) -> Resource {
    Resource {
        declared: Declaration {
            kind: Kind::new(kind),
            provider: ProviderConfig {
                name: if kind == "node" { "local".into() } else { "agent".into() },
                settings: Attributes::new(),
            },
            schema_version: 1,
            inputs: Attributes::new(),
            depends_on: host.map(at).into_iter().collect(),
            hosted_on: host.map(at),
            prevent_destroy: false,
            create_before_destroy: false,
            drain: None,
            health_check: None,
            agent: None,
            timeouts: Timeouts::default(),
        },
        object: Object {
            id: ObjectId(id.into()),
            attributes: fields.into_iter().collect(),
            token: None,
            version: None,
        },
        tainted: None,
        cordoned: None,
        created: Timestamp::UNIX_EPOCH,
        serial: 1,
    }
}

/// Two nodes, two vehicles and a process; one vehicle is being deleted, the process is tainted, a node held.
pub(crate) fn fleet() -> Snapshot {
    let node = |n: u32| {
        resource(
            "node",
            None,
            &format!("node-{n}"),
            [
                ("address", Value::string(format!("127.0.0.{}", n + 1))),
                ("max_simulators", 4i64.into()),
                ("pid", i64::from(1000 + n).into()),
                ("runtime", Value::string(format!("agent+http://127.0.0.{}:8443", n + 1))),
                ("status", "running".into()),
            ],
        )
    };
    let vehicle = |n: i64| {
        resource(
            "process",
            Some("pool.field/m1"),
            &format!("quad-{n}"),
            [
                ("pid", (2000 + n).into()),
                ("restarts", 0i64.into()),
                ("status", "running".into()),
            ],
        )
    };
    let mut web = resource(
        "process",
        Some("pool.field/m2"),
        "web",
        [
            ("command", Value::list([Value::from("serve")])),
            ("password", Value::from("hunter2").mark(true)),
        ],
    );
    web.tainted = Some("its update failed half-way".into());
    let mut state = State {
        serial: 12,
        ..State::default()
    };
    state.resources = BTreeMap::from([
        (at("pool.field/m1"), node(1)),
        (at("pool.field/m2"), node(2)),
        (at("simulator.vehicle.quad[0]"), vehicle(0)),
        (at("simulator.vehicle.quad[1]"), vehicle(1)),
        (at("simulator.exec.web"), web),
    ]);
    let port = |number| Port {
        number,
        protocol: Protocol::Udp,
    };
    let reservation = |n: u16| {
        let address = at(&format!("simulator.vehicle.quad[{n}]"));
        (
            port(14560 + n),
            Reservation {
                address,
                name: "gcs".into(),
            },
        )
    };
    state.reservations = BTreeMap::from([(at("pool.field/m1"), BTreeMap::from([reservation(0), reservation(1)]))]);
    state.intents = BTreeMap::from([(
        at("simulator.vehicle.quad[1]"),
        Intent {
            token: Token("0".repeat(32).into()),
            operation: Operation::Delete {
                prior: ObjectId("quad-1".into()),
                deposed: None,
            },
            handle: None,
            holder: HolderId("run".into()),
            epoch: 1,
            started: Timestamp::UNIX_EPOCH,
            serial: 12,
        },
    )]);
    state.holds = BTreeMap::from([(
        at("pool.field/m2"),
        Hold {
            state: HeldState::Paused,
            by: "ann@lab".into(),
            since: Timestamp::UNIX_EPOCH,
            until: None,
            serial: 3,
        },
    )]);
    state.outputs = BTreeMap::from([
        ("key".into(), Value::from("hunter2").mark(true)),
        ("size".into(), 2i64.into()),
    ]);
    Snapshot {
        lineage: Some("0b1f6c1e-0000-4000-8000-000000000000".into()),
        state,
        leases: Vec::new(),
    }
}
