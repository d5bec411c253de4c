//! The kind `process` passes the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use simfleet_provider_agent::AgentType;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ProviderType, Value};

use crate::harness::{Agent, free_address, shell};

struct AgentHarness(Agent);

impl AgentHarness {
    async fn new() -> Self {
        AgentHarness(Agent::start().await)
    }
}

#[async_trait]
impl Harness for AgentHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(AgentType)
    }

    fn settings(&self) -> Attributes {
        self.0.settings()
    }

    fn context(&self, lineage: &str) -> Context {
        Context {
            lineage: lineage.into(),
            ..self.0.context()
        }
    }

    async fn samples(&self, _kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        let mut desired = shell(&bench.unique("a/b [0]"), "echo up; exec sleep 1000");
        desired.set(
            "env",
            Value::object([("KEY", Value::string("secret").mark(true)), ("A", Value::string("1"))]),
        );
        desired.set("ports", Value::object([("gcs", Value::from(14560u64))]));
        desired.set("ready", Value::object([("pattern", Value::string("up"))]));
        desired.set("labels", Value::object([("team", Value::string("red"))]));
        let changed = |name: &'static str, value: Value| {
            let mut changed = desired.clone();
            changed.set(name, value);
            Some(changed)
        };
        Ok(Samples {
            in_place: changed("restart", Value::string("always")),
            replaced: changed("working_dir", Value::string("/")),
            desired,
        })
    }

    async fn change_behind(&self, _kind: &Kind, object: &Object) -> Able {
        let name = object.attributes.str("name").expect("a process has a name");
        self.0.client().stop_simulator(name).await.expect("stops");
        Able::Yes
    }

    async fn remove_behind(&self, _kind: &Kind, object: &Object) -> Able {
        let (name, id) = object.id.0.rsplit_once('@').expect("NAME@TOKEN");
        let client = self.0.client();
        while !client.delete_simulator(name, id).await.expect("deletes") {}
        Able::Yes
    }

    fn unreachable(&self) -> Option<Attributes> {
        let mut settings = self.settings();
        settings.set("runtime", format!("agent+http://{}", free_address()));
        Some(settings)
    }
}

simfleet_provider_api::conformance_tests!(AgentHarness::new().await);
