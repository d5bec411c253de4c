//! The fake provider passes the conformance suite: in this process and over another one, in fair weather and foul.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ProviderType, Value};
use simfleet_provider_fake::FakeType;
use simfleet_provider_fake::calls::{Call, Fields};
use simfleet_provider_fake::faults::{Fault, Faults, Lag, Pattern, Rule, When};
use simfleet_provider_fake::gateway::Gateway;

use crate::cloud_process::CloudProcess;

/// A fake cloud on trial.
pub struct FakeHarness {
    place: Place,
    faults: Faults,
}

enum Place {
    Inside(Arc<Gateway>),
    Process(Box<CloudProcess>),
}

impl FakeHarness {
    /// A cloud in this process.
    pub fn inside(faults: Faults) -> Self {
        FakeHarness {
            place: Place::Inside(Gateway::new(faults.clone())),
            faults,
        }
    }

    async fn process(faults: Faults) -> Self {
        let process = CloudProcess::start().await;
        process.control.set_faults(&faults).await.expect("it answers");
        FakeHarness {
            place: Place::Process(Box::new(process)),
            faults,
        }
    }

    async fn set_faults(&self, faults: Faults) {
        match &self.place {
            Place::Inside(gateway) => gateway.set_faults(faults),
            Place::Process(process) => drop(process.control.set_faults(&faults).await.expect("it answers")),
        }
    }
}

/// Everything that a caller can overcome by asking again.
fn foul(seed: u64) -> Faults {
    let rule = |fault, call, rate| Rule {
        fault,
        to: Pattern {
            call,
            ..Pattern::default()
        },
        when: When::Rate(rate),
    };
    let long = || Fault::LongRunning { polls: 2, ms: 15 };
    Faults {
        seed,
        rules: vec![
            rule(Fault::LostReply, None, 0.15),
            rule(Fault::LostRequest, None, 0.1),
            rule(Fault::Throttled { retry_after_ms: 5 }, None, 0.1),
            rule(Fault::ServerError, None, 0.1),
            rule(long(), Some(Call::Create), 0.5),
            rule(long(), Some(Call::Update), 0.5),
            rule(long(), Some(Call::Delete), 0.5),
        ],
        list_lag: Lag { calls: 2, ms: 30 },
        stale_list: Lag { calls: 1, ms: 0 },
        find_lag: Lag { calls: 2, ms: 50 },
        latency_ms: 3,
    }
}

/// Changes that are accepted first and done later, and nothing else.
pub fn slow() -> Faults {
    let fault = Fault::LongRunning { polls: 2, ms: 20 };
    Faults {
        rules: vec![Rule {
            fault,
            to: Pattern::default(),
            when: When::Always,
        }],
        ..Faults::default()
    }
}

fn attributes<const N: usize>(fields: [(&'static str, Value); N]) -> Attributes {
    fields.into_iter().collect()
}

fn with(base: &Attributes, name: &'static str, value: impl Into<Value>) -> Option<Attributes> {
    let mut changed = base.clone();
    changed.set(name, value);
    Some(changed)
}

#[async_trait]
impl Harness for FakeHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        match &self.place {
            Place::Inside(gateway) => Arc::new(FakeType::with_cloud(gateway.clone())),
            Place::Process(_) => Arc::new(FakeType::new()),
        }
    }

    fn settings(&self) -> Attributes {
        match &self.place {
            Place::Inside(_) => Attributes::new(),
            Place::Process(process) => attributes([
                ("endpoint", process.endpoint.as_str().into()),
                ("lag_ms", (3 * self.faults.find_lag.ms).into()),
            ]),
        }
    }

    fn context(&self, lineage: &str) -> Context {
        // The provider keeps no files and starts no agent.
        Context {
            lineage: lineage.into(),
            folder: PathBuf::new(),
            root: PathBuf::new(),
            program: PathBuf::new(),
        }
    }

    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        let name = Value::from(bench.unique(kind.as_str()));
        let labels = |role: &str| Value::object([("role", Value::from(role))]);
        match kind.as_str() {
            "network" => {
                let desired = attributes([("name", name), ("labels", labels("back"))]);
                let in_place = with(&desired, "labels", labels("front"));
                let replaced = with(&desired, "cidr", "10.7.0.0/16");
                Ok(Samples {
                    desired,
                    in_place,
                    replaced,
                })
            }
            "node" => {
                let mut networks = Vec::new();
                for _ in 0..3 {
                    let network = attributes([("name", bench.unique("network").into())]);
                    networks.push(bench.create(&Kind::new("network"), &network).await?.id.to_string());
                }
                let desired = attributes([
                    ("name", name),
                    ("size", "medium".into()),
                    ("cpus", 4u64.into()),
                    ("memory", 8_589_934_592u64.into()),
                    ("networks", Value::tuple(networks.into_iter().map(Value::from))),
                    ("labels", labels("agent")),
                    (
                        "tags",
                        Value::object([("project", "a")].map(|(name, text)| (name, Value::from(text)))),
                    ),
                    ("password", Value::from("correct horse").mark(true)),
                ]);
                let in_place = with(&desired, "size", "large");
                let replaced = with(&desired, "image", "other");
                Ok(Samples {
                    desired,
                    in_place,
                    replaced,
                })
            }
            _ => {
                let node = attributes([("name", bench.unique("node").into())]);
                let host = bench.create(&Kind::new("node"), &node).await?.id;
                let desired = attributes([
                    ("name", name),
                    ("host", host.to_string().into()),
                    ("command", Value::tuple(["sleep", "60"].map(Value::from))),
                    ("env", Value::object([("B", Value::from("2")), ("A", Value::from("1"))])),
                    ("ports", Value::object([("gcs", Value::from(14560u64))])),
                    ("ready", Value::object([("pattern", Value::from("ready"))])),
                ]);
                let in_place = with(&desired, "state", "stopped");
                let replaced = with(&desired, "command", Value::tuple(["sleep", "61"].map(Value::from)));
                Ok(Samples {
                    desired,
                    in_place,
                    replaced,
                })
            }
        }
    }

    async fn change_behind(&self, kind: &Kind, object: &Object) -> Able {
        let change = match kind.as_str() {
            "node" => json!({ "size": "small" }),
            "process" => json!({ "state": "stopped" }),
            _ => json!({ "labels": { "role": "drifted" } }),
        };
        let change: Fields = change.as_object().cloned().expect("it is an object");
        let is_there = match &self.place {
            Place::Inside(gateway) => gateway.change(&object.id.0, &change),
            Place::Process(process) => process.control.change(&object.id.0, &change).await.expect("it answers"),
        };
        assert!(is_there, "{} is there", object.id);
        Able::Yes
    }

    async fn remove_behind(&self, _kind: &Kind, object: &Object) -> Able {
        let was_there = match &self.place {
            Place::Inside(gateway) => gateway.destroy(&object.id.0),
            Place::Process(process) => process.control.destroy(&object.id.0).await.expect("it answers"),
        };
        assert!(was_there, "{} was there", object.id);
        Able::Yes
    }

    async fn lose_next_reply(&self) -> Able {
        let mut faults = self.faults.clone();
        let to = Pattern {
            call: Some(Call::Create),
            ..Pattern::default()
        };
        faults.rules.insert(
            0,
            Rule {
                fault: Fault::LostReply,
                to,
                when: When::Nth(vec![1]),
            },
        );
        self.set_faults(faults).await;
        Able::Yes
    }

    fn run_name(&self) -> Option<String> {
        // So that the faults of a seed strike where they struck before.
        Some("fake".to_owned())
    }

    fn unreachable(&self) -> Option<Attributes> {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        Some(attributes([("endpoint", format!("http://{address}").into())]))
    }
}

mod inside {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::inside(Faults::default()), start_paused = true);
}

mod inside_slow {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::inside(slow()), start_paused = true);
}

mod inside_foul_seed_7 {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::inside(foul(7)), start_paused = true);
}

mod inside_foul_seed_8 {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::inside(foul(8)), start_paused = true);
}

mod process {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::process(Faults::default()).await);
}

mod process_foul_seed_7 {
    use super::*;
    simfleet_provider_api::conformance_tests!(FakeHarness::process(foul(7)).await);
}
