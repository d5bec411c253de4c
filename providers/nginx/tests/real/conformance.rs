//! Servers pass the suite of all providers. Of upstreams there is one in a file, so what it asks for does not fit them.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples, UsedTokens};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ProviderType, Value};
use simfleet_provider_nginx::NginxType;
use simfleet_provider_nginx::schema::{SERVER, UPSTREAM};

use crate::rig::{Nginx, free_port, server, settings, upstream};

struct NginxHarness {
    nginx: Nginx,
    upstream: OnceLock<Object>,
}

impl NginxHarness {
    fn new() -> Self {
        NginxHarness {
            nginx: Nginx::start(),
            upstream: OnceLock::new(),
        }
    }
}

#[async_trait]
impl Harness for NginxHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(NginxType)
    }

    fn settings(&self) -> Attributes {
        settings(&self.nginx)
    }

    fn context(&self, lineage: &str) -> Context {
        Context {
            lineage: lineage.into(),
            root: "/".into(),
            folder: "/nonexistent".into(),
            program: "simfleet".into(),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        vec![SERVER]
    }

    async fn samples(&self, _: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        if self.upstream.get().is_none() {
            let made = bench.create(&UPSTREAM, &upstream(free_port())).await?;
            let _ = self.upstream.set(made);
        }
        let name = bench.unique("m");
        let desired = server(&name, ([127, 0, 0, 1], 1).into());
        let with = |name: &'static str, value: Value| {
            let mut changed = desired.clone();
            changed.set(name, value);
            Some(changed)
        };
        Ok(Samples {
            in_place: with("max_fails", 5u64.into()),
            replaced: with("member", "another".into()),
            desired,
        })
    }

    async fn change_behind(&self, _: &Kind, object: &Object) -> Able {
        let text = self.nginx.text();
        let lines = text.lines().map(|line| match line.contains(&*object.id.0) {
            true => line.replace("max_fails=3", "max_fails=3 down"),
            false => line.to_owned(),
        });
        let text: Vec<String> = lines.collect();
        std::fs::write(self.nginx.file(), text.join("\n") + "\n").expect("it is written");
        Able::Yes
    }

    async fn remove_behind(&self, _: &Kind, object: &Object) -> Able {
        let text = self.nginx.text();
        let others: Vec<&str> = text.lines().filter(|line| !line.contains(&*object.id.0)).collect();
        std::fs::write(self.nginx.file(), others.join("\n") + "\n").expect("it is written");
        Able::Yes
    }

    fn unreachable(&self) -> Option<Attributes> {
        let mut settings = settings(&self.nginx);
        settings.set("host", "ssh://nobody@127.0.0.1:1");
        Some(settings)
    }

    fn used_tokens(&self) -> UsedTokens {
        UsedTokens::Forgotten
    }
}

simfleet_provider_api::conformance_tests!(ignore = "needs nginx", NginxHarness::new());
