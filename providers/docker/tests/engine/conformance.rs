//! All kinds pass the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples, UsedTokens};
use simfleet_provider_api::{Attributes, Kind, Object, ProviderType, Value};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::{self, CONTAINER, NETWORK, VOLUME};

use crate::harness::{self, IMAGE, context, docker, settings};

struct DockerHarness;

fn texts<const N: usize>(texts: [&str; N]) -> Value {
    Value::tuple(texts.map(Value::from))
}

fn image(name: &str) -> Samples {
    let desired = harness::image(name);
    let mut replaced = desired.clone();
    replaced.set("args", Value::object([("WORD", Value::from("other"))]));
    Samples {
        in_place: None,
        replaced: Some(replaced),
        desired,
    }
}

#[async_trait]
impl Harness for DockerHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(DockerType)
    }

    /// All but the engine itself, which is not made and not deleted.
    fn kinds(&self) -> Vec<Kind> {
        vec![NETWORK, VOLUME, schema::IMAGE, CONTAINER]
    }

    fn settings(&self) -> Attributes {
        settings()
    }

    fn context(&self, lineage: &str) -> simfleet_provider_api::Context {
        context(lineage)
    }

    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        if *kind == schema::IMAGE {
            return Ok(image(&bench.unique("image")));
        }
        let mut desired = Attributes::from_iter([("name", bench.unique(kind.as_str()))]);
        desired.set("labels", Value::object([("team", Value::from("red"))]));
        let with = |changes: &[(&'static str, Value)]| {
            let mut changed = desired.clone();
            for (name, value) in changes {
                changed.set(*name, value.clone());
            }
            changed
        };
        if *kind != CONTAINER {
            return Ok(Samples {
                in_place: None,
                replaced: Some(with(&[("labels", Value::object([("team", Value::from("blue"))]))])),
                desired,
            });
        }
        let mut network = Attributes::from_iter([("name", bench.unique("net"))]);
        network.set("internal", true);
        let network = bench.create(&NETWORK, &network).await?;
        let volume = Attributes::from_iter([("name", bench.unique("data"))]);
        let volume = bench.create(&VOLUME, &volume).await?;
        let mount = Value::object([
            ("type", Value::from("volume")),
            ("source", Value::from(volume.id.to_string())),
            ("target", Value::from("/data")),
        ]);
        let desired = with(&[
            ("image", IMAGE.into()),
            ("command", texts(["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"])),
            ("env", Value::object([("MODE", Value::from("test"))])),
            ("networks", texts([network.id.to_string().as_str()])),
            ("aliases", texts(["web"])),
            ("mounts", Value::tuple([mount])),
            ("files", Value::object([("/etc/motd", Value::from("hello\n"))])),
            ("tmpfs", Value::object([("/scratch", Value::from("size=65536k"))])),
            ("publish", texts(["127.0.0.1::80/tcp"])),
            ("restart", "unless-stopped".into()),
            ("resources", Value::object([("memory", Value::from(64u64 << 20))])),
            ("stop_grace", Value::from(5u64)),
            ("user", "0".into()),
            ("working_dir", "/tmp".into()),
            ("cap_drop", texts(["NET_RAW"])),
            ("ulimits", Value::object([("nofile", Value::from("1024:2048"))])),
        ]);
        let mut in_place = desired.clone();
        in_place.set("resources", Value::object([("memory", Value::from(96u64 << 20))]));
        in_place.set("restart", "always");
        let mut replaced = desired.clone();
        replaced.set("env", Value::object([("MODE", Value::from("other"))]));
        Ok(Samples {
            in_place: Some(in_place),
            replaced: Some(replaced),
            desired,
        })
    }

    async fn change_behind(&self, kind: &Kind, object: &Object) -> Able {
        if *kind != CONTAINER {
            return Able::No;
        }
        docker(&["update", "--restart", "no", &object.id.0]);
        Able::Yes
    }

    async fn remove_behind(&self, kind: &Kind, object: &Object) -> Able {
        match kind {
            kind if *kind == NETWORK => docker(&["network", "rm", &object.id.0]),
            kind if *kind == VOLUME => docker(&["volume", "rm", &object.id.0]),
            kind if *kind == schema::IMAGE => docker(&["rmi", "-f", &object.id.0]),
            _ => docker(&["rm", "-f", &object.id.0]),
        };
        Able::Yes
    }

    fn unreachable(&self) -> Option<Attributes> {
        Some(Attributes::from_iter([("host", "unix:///nowhere/docker.sock")]))
    }

    fn used_tokens(&self) -> UsedTokens {
        UsedTokens::Forgotten
    }
}

simfleet_provider_api::conformance_tests!(ignore = "needs a Docker engine", DockerHarness);
