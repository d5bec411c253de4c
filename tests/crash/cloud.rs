//! The fake cloud beside the runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Fault, Faults, Lag, Pattern, Rule, When};
use simfleet_provider_fake::gateway::{Gateway, HoldId, HoldState};
use simfleet_provider_fake::server::Server;

/// A fake cloud that outlives every run of simfleet, in a thread of its own.
pub struct Cloud {
    pub gateway: Arc<Gateway>,
    pub endpoint: String,
    pub runtime: tokio::runtime::Runtime,
}

impl Cloud {
    pub fn new(faults: Faults) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let gateway = Gateway::new(faults);
        let server = runtime.block_on(Server::bind(gateway.clone())).expect("a port is free");
        let endpoint = server.endpoint();
        runtime.spawn(server.run());
        Cloud {
            gateway,
            endpoint,
            runtime,
        }
    }

    /// How many objects there are of each name.
    pub fn objects(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for object in self.gateway.objects() {
            let name = object.fields["name"].as_str().expect("a name").to_owned();
            *names.entry(name).or_default() += 1;
        }
        names
    }

    /// The block of the provider that leads to it.
    pub fn provider(&self) -> String {
        format!("provider \"fake\" {{\n  endpoint = \"{}\"\n}}\n", self.endpoint)
    }

    /// Waits until the call that is to be held has come.
    #[track_caller]
    pub fn wait_held(&self, hold: HoldId) {
        let held = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(20), self.gateway.held(hold)).await });
        assert_eq!(held.expect("the call comes"), Some(HoldState::Holding));
    }
}

/// Lost replies and requests, operations that are accepted first, and indexes that lag.
pub fn foul(seed: u64) -> Faults {
    let rule = |fault, call, rate| Rule {
        fault,
        to: Pattern {
            call: Some(call),
            ..Pattern::default()
        },
        when: When::Rate(rate),
    };
    Faults {
        seed,
        rules: vec![
            rule(Fault::LostReply, Call::Create, 0.25),
            rule(Fault::LostRequest, Call::Create, 0.1),
            rule(Fault::LostReply, Call::Delete, 0.25),
            rule(Fault::LongRunning { polls: 1, ms: 0 }, Call::Create, 0.3),
            rule(Fault::LongRunning { polls: 1, ms: 0 }, Call::Delete, 0.2),
        ],
        list_lag: Lag { calls: 1, ms: 0 },
        find_lag: Lag { calls: 1, ms: 0 },
        ..Faults::default()
    }
}
