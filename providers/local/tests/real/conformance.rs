//! The kind `node` passes the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use rustix::process::Signal;
use simfleet_provider_agent::AgentClient;
use simfleet_provider_agent::protocol::NodeChange;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ProviderType, Value};
use simfleet_provider_local::LocalType;

use crate::harness::{Fleet, is_alive, node, pid, signal, until};

struct LocalHarness(Fleet);

#[async_trait]
impl Harness for LocalHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(LocalType)
    }

    fn settings(&self) -> Attributes {
        let folder = self.0.folder();
        Attributes::from_iter([("data_dir", folder.to_string_lossy().as_ref())])
    }

    fn context(&self, lineage: &str) -> Context {
        Context {
            lineage: lineage.into(),
            ..self.0.context()
        }
    }

    async fn samples(&self, _kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        let mut desired = node(&bench.unique("pool.a/m1"));
        desired.set(
            "cpus",
            Value::from("1.5".parse::<simfleet_provider_api::Number>().expect("a number")),
        );
        desired.set("max_simulators", Value::from(4u64));
        desired.set("labels", Value::object([("team", Value::string("red"))]));
        let changed = |name: &'static str, value: Value| {
            let mut changed = desired.clone();
            changed.set(name, value);
            Some(changed)
        };
        Ok(Samples {
            in_place: changed("memory", Value::from(1u64 << 30)),
            replaced: changed("name", Value::string(bench.unique("pool.a/m2"))),
            desired,
        })
    }

    async fn change_behind(&self, _kind: &Kind, object: &Object) -> Able {
        let attribute = |name| object.attributes.str(name).expect("a node has it");
        let client = AgentClient::new(attribute("runtime"), attribute("token_file")).expect("is an agent");
        let node = client.node().await.expect("answers");
        let mut settings = node.settings;
        settings.max_simulators = Some(7);
        let change = NodeChange {
            token: "somebody else".to_owned(),
            revision: node.revision,
            settings,
        };
        client.change_node(&change).await.expect("changes");
        Able::Yes
    }

    async fn remove_behind(&self, _kind: &Kind, object: &Object) -> Able {
        signal(pid(object), Signal::KILL);
        until("the agent has ended", || !is_alive(pid(object))).await;
        Able::Yes
    }
}

simfleet_provider_api::conformance_tests!(LocalHarness(Fleet::new()));
