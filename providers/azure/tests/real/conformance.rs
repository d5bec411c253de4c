//! All kinds pass the conformance suite, against the emulator.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::json;
use simfleet_azure_emulator::{Fault, FaultEffect, SUBSCRIPTION};
use simfleet_provider_api::conformance::{Able, Bench, Failure, Harness, Samples, UsedTokens};
use simfleet_provider_api::{Attributes, Context, Kind, Object, ObjectId, ProviderType};
use simfleet_provider_azure::schema::{BACKEND, INSTANCE, SUBNET, UNIFORM_SET};

use crate::rig::{GROUP, Rig, api_of, settings};
use crate::samples;

pub struct AzureHarness {
    pub rig: Rig,
    is_foul: bool,
}

impl AzureHarness {
    pub async fn fair() -> Self {
        AzureHarness {
            rig: Rig::start().await,
            is_foul: false,
        }
    }

    /// Everything that a caller can overcome by asking again: one call in three meets something.
    async fn foul() -> Self {
        let mut harness = Self::fair().await;
        for (effect, chance) in [
            (FaultEffect::LoseReply, 0.1),
            (FaultEffect::LoseRequest, 0.08),
            (FaultEffect::Throttle { retry_after: Some(0) }, 0.08),
            (status(500, "InternalServerError"), 0.05),
        ] {
            let mut fault = Fault::new(effect).chance(chance);
            fault.path = Some("/subscriptions/".to_owned());
            harness.rig.control().fault(fault);
        }
        let busy = Fault::new(status(409, "AnotherOperationInProgress")).chance(0.1);
        harness.rig.control().fault(busy.on("PUT", "/subscriptions/"));
        harness.is_foul = true;
        harness
    }
}

fn status(status: u16, code: &str) -> FaultEffect {
    FaultEffect::Status {
        status,
        code: Some(code.to_owned()),
        message: None,
    }
}

#[async_trait]
impl Harness for AzureHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(Rig::provider_type())
    }

    fn settings(&self) -> Attributes {
        self.rig.settings()
    }

    fn context(&self, lineage: &str) -> Context {
        Rig::context(lineage)
    }

    /// Those that it makes. A set that is adopted and its instances are there, and that an interface is behind a load balancer is a
    /// part of the interface, which bears no token: fleets against the emulator show those.
    fn kinds(&self) -> Vec<Kind> {
        let schemas = self.provider_type();
        let kinds = schemas.schemas().iter().map(|schema| schema.kind.clone());
        kinds
            .filter(|kind| ![UNIFORM_SET, INSTANCE, BACKEND].contains(kind))
            .collect()
    }

    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        samples::of(kind, bench).await
    }

    fn unknown_id(&self, kind: &Kind) -> ObjectId {
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}").to_lowercase();
        let collection = match kind.as_str() {
            "resource_group" => return ObjectId(format!("{group}-never").into()),
            "network" => "microsoft.network/virtualnetworks",
            "subnet" => "microsoft.network/virtualnetworks/never/subnets",
            "security_group" => "microsoft.network/networksecuritygroups",
            "public_ip" => "microsoft.network/publicipaddresses",
            "nic" => "microsoft.network/networkinterfaces",
            "load_balancer" => "microsoft.network/loadbalancers",
            "scale_set" => "microsoft.compute/virtualmachinescalesets",
            _ => "microsoft.compute/virtualmachines",
        };
        ObjectId(format!("{group}/providers/{collection}/never").into())
    }

    async fn change_behind(&self, kind: &Kind, object: &Object) -> Able {
        if *kind == SUBNET {
            return Able::No;
        }
        let (id, api) = (&*object.id.0, api_of(&object.id.0));
        let mut tags = self.rig.az(Method::GET, id, api, None).await["tags"].take();
        tags["drift"] = json!("yes");
        self.rig.az(Method::PATCH, id, api, Some(json!({ "tags": tags }))).await;
        self.settled(id).await;
        Able::Yes
    }

    async fn remove_behind(&self, _kind: &Kind, object: &Object) -> Able {
        self.rig
            .az(Method::DELETE, &object.id.0, api_of(&object.id.0), None)
            .await;
        self.settled(&object.id.0).await;
        Able::Yes
    }

    /// Of a write of the kind itself: what it needs is made before.
    async fn lose_next_reply(&self) -> Able {
        if self.is_foul {
            return Able::No;
        }
        let mut fault = Fault::new(FaultEffect::LoseReply).times(1);
        fault.method = Some("PUT".to_owned());
        self.rig.control().fault(fault);
        Able::Yes
    }

    fn unreachable(&self) -> Option<Attributes> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        Some(settings(&format!("http://{address}")))
    }

    fn used_tokens(&self) -> UsedTokens {
        UsedTokens::Forgotten
    }
}

impl AzureHarness {
    /// Waits until what somebody else does is done.
    async fn settled(&self, id: &str) {
        for _ in 0..500 {
            let seen = self.rig.az(Method::GET, id, api_of(id), None).await;
            let state = seen
                .pointer("/properties/provisioningState")
                .and_then(|state| state.as_str());
            if state.is_none_or(|state| state == "Succeeded") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{id} does not settle");
    }
}

mod fair {
    use super::*;
    simfleet_provider_api::conformance_tests!(AzureHarness::fair().await);
}

mod foul {
    use super::*;
    simfleet_provider_api::conformance_tests!(AzureHarness::foul().await);
}
