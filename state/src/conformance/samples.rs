//! Events for tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes, Handle, Kind, Object, ObjectId, Token, Value};

use crate::declaration::{
    Declaration, DeposedKey, Drain, HealthCheck, Login, Look, Operation, Outcome, ProviderConfig, Remains, Timeouts,
    WaitFor,
};
use crate::event::{ConfigDigest, Configuration, Event, HeldState};
use crate::port::{Port, Protocol};

/// A text that [`secret`] holds and that must never be found in what a store keeps.
pub const SECRET: &str = "correct horse battery staple";

/// Returns a sensitive value.
pub fn secret() -> Value {
    Value::from(SECRET).mark(true)
}

/// Returns `node.NAME`.
pub fn node(name: &str) -> Address {
    Address::new("node", [name])
}

/// Returns a token of a number.
pub fn token(number: u64) -> Token {
    Token(format!("{number:032x}").into())
}

/// Returns what a configuration says of a node of a size.
pub fn declared(size: u64) -> Declaration {
    Declaration {
        kind: Kind::new("node"),
        provider: ProviderConfig {
            name: "fake".into(),
            settings: [("region", "lab")].into_iter().collect(),
        },
        schema_version: 1,
        inputs: inputs(size),
        depends_on: Vec::new(),
        hosted_on: None,
        prevent_destroy: false,
        create_before_destroy: false,
        drain: Some(Drain {
            timeout: Duration::from_secs(30),
            wait_for: WaitFor::Simulators,
        }),
        health_check: Some(Box::new(HealthCheck {
            look: Look::Http {
                url: "http://{private_ip}:8080/".to_owned(),
            },
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            start_period: Duration::ZERO,
            healthy_threshold: 1,
            unhealthy_threshold: 3,
        })),
        agent: Some(Box::new(Login {
            user: "ann".to_owned(),
            host: "{public_ip}".to_owned(),
            port: None,
            key: Some("keys/lab".to_owned()),
            known_hosts: None,
        })),
        timeouts: Timeouts::default(),
    }
}

fn inputs(size: u64) -> Attributes {
    [("size", Value::from(size)), ("tags", Value::tuple(["a".into()]))]
        .into_iter()
        .collect()
}

/// Returns an object of a size.
pub fn object(id: &str, size: u64) -> Object {
    Object {
        id: ObjectId(id.into()),
        attributes: inputs(size),
        token: None,
        version: Some("\"1\"".into()),
    }
}

/// Returns the start of a create.
pub fn create(address: &Address, number: u64) -> Event {
    Event::Started {
        address: address.clone(),
        token: token(number),
        operation: Operation::Create { declared: declared(1) },
    }
}

/// Returns the start of an update of an object, to a size.
pub fn update(address: &Address, number: u64, id: &str, size: u64) -> Event {
    Event::Started {
        address: address.clone(),
        token: token(number),
        operation: Operation::Update {
            declared: declared(size),
            prior: ObjectId(id.into()),
        },
    }
}

/// Returns the start of a delete of an object, deposed or not.
pub fn delete(address: &Address, number: u64, id: &str, deposed: Option<DeposedKey>) -> Event {
    Event::Started {
        address: address.clone(),
        token: token(number),
        operation: Operation::Delete {
            prior: ObjectId(id.into()),
            deposed,
        },
    }
}

/// Returns the acceptance of an operation.
pub fn accepted(address: &Address, number: u64) -> Event {
    Event::Accepted {
        address: address.clone(),
        token: token(number),
        handle: Handle(format!("operation {number}").into()),
    }
}

/// Returns the success of an operation, which leaves an object.
pub fn made(address: &Address, number: u64, id: &str, size: u64) -> Event {
    Event::Succeeded {
        address: address.clone(),
        token: token(number),
        outcome: Outcome::Object(object(id, size)),
    }
}

/// Returns the success of a delete.
pub fn gone(address: &Address, number: u64) -> Event {
    Event::Succeeded {
        address: address.clone(),
        token: token(number),
        outcome: Outcome::Gone,
    }
}

/// Returns the failure of an operation.
pub fn failed(address: &Address, number: u64, remains: Remains) -> Event {
    Event::Failed {
        address: address.clone(),
        token: token(number),
        reason: "no quota".into(),
        remains,
    }
}

/// Returns the reservation of a UDP port of `node.host`.
pub fn reserved(address: &Address, name: &str, number: u16) -> Event {
    Event::Reserved {
        address: address.clone(),
        name: name.into(),
        host: node("host"),
        port: udp(number),
    }
}

/// Returns a UDP port.
pub fn udp(number: u16) -> Port {
    Port {
        number,
        protocol: Protocol::Udp,
    }
}

/// Returns a life of a fleet at `node.a`, `node.b`, `node.c` and `pool.p` that has every event, in groups.
pub fn every_event() -> Vec<Vec<Event>> {
    let (a, b, c, pool) = (node("a"), node("b"), node("c"), Address::new("pool", ["p"]));
    let reason: Arc<str> = "a test".into();
    let key = DeposedKey("0badcafe".into());
    let config = ConfigDigest("c0ffee".into());
    let mut shielded = declared(2);
    shielded.prevent_destroy = true;
    shielded.create_before_destroy = true;
    shielded.timeouts.delete = Some(Duration::from_secs(90));
    shielded.depends_on = vec![b.clone()];
    shielded.hosted_on = Some(b.clone());
    shielded.inputs.set("password", secret());
    vec![
        vec![
            Event::Began {
                by: "ann@lab".into(),
                command: "simfleet apply".into(),
            },
            Event::Intended {
                config: Some(config.clone()),
                configuration: Some(Arc::new(Configuration {
                    digest: config,
                    sources: [("main.hcl".into(), "node \"a\" {}\n".into())].into(),
                    variables: [("size", Value::from(1u64)), ("key", secret())].into_iter().collect(),
                })),
            },
        ],
        vec![create(&a, 1), create(&b, 2)],
        vec![accepted(&a, 1), made(&b, 2, "i-b", 1)],
        vec![made(&a, 1, "i-a", 1), update(&b, 3, "i-b", 2)],
        vec![failed(&b, 3, Remains::Object(object("i-b", 3)))],
        vec![Event::Redeclared {
            address: a.clone(),
            declared: shielded.clone(),
        }],
        vec![
            Event::Deposed {
                address: a.clone(),
                key: key.clone(),
            },
            create(&a, 4),
        ],
        vec![
            failed(&a, 4, Remains::AsBefore),
            Event::Restored {
                address: a.clone(),
                key: key.clone(),
            },
        ],
        vec![
            Event::Deposed {
                address: a.clone(),
                key: key.clone(),
            },
            create(&a, 5),
        ],
        vec![made(&a, 5, "i-a2", 1), delete(&a, 6, "i-a", Some(key.clone()))],
        vec![
            gone(&a, 6),
            Event::Tainted {
                address: a.clone(),
                reason: reason.clone(),
            },
        ],
        vec![
            Event::Untainted { address: a.clone() },
            Event::Cordoned { address: a.clone() },
            Event::Cordoned { address: b.clone() },
        ],
        vec![
            Event::Observed {
                address: a.clone(),
                deposed: None,
                outcome: Outcome::Object(object("i-a2", 9)),
            },
            Event::Uncordoned { address: b.clone() },
        ],
        vec![Event::Adopted {
            address: c.clone(),
            declared: shielded,
            object: object("i-c", 1),
        }],
        vec![
            reserved(&a, "mavlink", 14550),
            reserved(&a, "gcs", 14551),
            reserved(&b, "mavlink", 14552),
        ],
        vec![Event::Released {
            address: a.clone(),
            host: node("host"),
            port: udp(14551),
        }],
        vec![
            Event::Held {
                address: a.clone(),
                state: HeldState::Paused,
                by: "ann@lab".into(),
                until: None,
            },
            Event::Held {
                address: b.clone(),
                state: HeldState::Stopped,
                by: "ann@lab".into(),
                until: None,
            },
        ],
        vec![Event::Unheld { address: b.clone() }],
        vec![
            Event::Allocated {
                address: a.clone(),
                by: "ann@lab".into(),
                until: Some(Timestamp::constant(4_000_000_000, 0)),
            },
            Event::Allocated {
                address: b.clone(),
                by: "ann@lab".into(),
                until: None,
            },
        ],
        vec![Event::Deallocated {
            address: b.clone(),
            since: Timestamp::UNIX_EPOCH,
        }],
        vec![Event::Scaled {
            address: pool,
            size: 3,
            numbered: 7,
            reason: reason.clone(),
        }],
        vec![
            Event::Moved {
                from: a.clone(),
                to: node("d"),
            },
            create(&a, 7),
        ],
        vec![Event::Abandoned {
            address: a,
            token: token(7),
            reason: reason.clone(),
        }],
        vec![Event::Removed {
            address: c,
            deposed: None,
            reason,
        }],
        vec![Event::Outputs {
            values: [("key".into(), secret()), ("count".into(), 3u64.into())].into(),
        }],
    ]
}

/// Returns the text of a new key.
pub fn key_text() -> String {
    use age::secrecy::ExposeSecret;
    age::x25519::Identity::generate().to_string().expose_secret().to_owned()
}

/// Returns a new key.
pub fn key() -> crate::secrets::Keys {
    key_text().parse().expect("it is a key")
}
