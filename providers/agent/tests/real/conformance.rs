//! The kind `process` passes the conformance suite, and the kind `machine` where there is QEMU.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use simfleet_provider_agent::AgentType;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ProviderType, Value};

use simfleet_provider_agent::schema::MACHINE;

use crate::harness::{Agent, PROCESS, free_address, shell};

struct AgentHarness(Agent);

impl AgentHarness {
    async fn new() -> Self {
        AgentHarness(Agent::start().await)
    }

    /// A board with a program that sleeps.
    fn machine(&self, bench: &mut Bench) -> Samples {
        std::fs::write(self.0.folder.path().join("sleep.bin"), SLEEP).expect("a file");
        let desired = Attributes::from_iter([
            ("name", Value::from(bench.unique("a/b [0]"))),
            ("binary", QEMU.into()),
            ("machine", "lm3s6965evb".into()),
            ("program", hex::encode(Sha256::digest(SLEEP)).into()),
            ("program_file", "sleep.bin".into()),
            (
                "consoles",
                Value::tuple([Value::object([
                    ("name", "uart0".into()),
                    ("stream", true.into()),
                    ("max_size", 1024u64.into()),
                    ("log", "logs/a.log".into()),
                ])]),
            ),
            (
                "gdb",
                Value::object([("bind", "127.0.0.1".into()), ("wait", false.into())]),
            ),
        ]);
        let changed = |name: &'static str, value: Value| {
            let mut changed = desired.clone();
            changed.set(name, value);
            Some(changed)
        };
        Samples {
            in_place: changed("state", "paused".into()),
            replaced: changed("arguments", Value::tuple(["-semihosting".into()])),
            desired,
        }
    }
}

const QEMU: &str = "qemu-system-arm";

/// A stack, the first instruction, and it: `wfi`, and back.
const SLEEP: &[u8] = &[0, 0x10, 0, 0x20, 9, 0, 0, 0, 0x30, 0xbf, 0xfd, 0xe7];

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

    fn kinds(&self) -> Vec<Kind> {
        let has_qemu = Command::new(QEMU).arg("--version").output().is_ok();
        let machine = has_qemu.then_some(MACHINE);
        [PROCESS].into_iter().chain(machine).collect()
    }

    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        if *kind == MACHINE {
            return Ok(self.machine(bench));
        }
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
