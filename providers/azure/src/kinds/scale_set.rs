//! The kind `scale_set`: the frame of a pool. It has no size: its members are machines that are named and made one by one.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Attributes, Kind, Path, Problem, ProviderError, Schema, Value};

use super::{COMPUTE_API, number, or_null, property, schema_of, texts, tracked};
use crate::arm::{Condition, Request};
use crate::client;
use crate::names::Rule;
use crate::resource::{Call, Resource};
use crate::wanted::Wanted;

/// A scale set.
pub const SCALE_SET: Kind = Kind::new("scale_set");

pub(super) struct ScaleSet;

#[async_trait]
impl Resource for ScaleSet {
    fn kind(&self) -> Kind {
        SCALE_SET
    }

    fn make_schema(&self) -> Schema {
        let mut own = vec![
            texts("zones", "The zones that its members can be in.").replaces(),
            number(
                "fault_domains",
                "Over how many fault domains of a zone or region its members are spread; 1 is as many as there are.",
            )
            .default(1u64)
            .replaces(),
        ];
        own.extend(tracked());
        let doc = "A scale set with flexible orchestration: the frame that the machines of a pool are in.";
        schema_of(SCALE_SET, doc, own)
    }

    fn names(&self) -> Rule {
        Rule::usual(64)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Compute/virtualMachineScaleSets"
    }

    fn api(&self) -> &'static str {
        COMPUTE_API
    }

    fn is_conditional(&self) -> bool {
        true
    }

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let has_zones = desired
            .get("zones")
            .is_some_and(|zones| zones.as_slice().is_some_and(|zones| !zones.is_empty()));
        let domains = desired.get("fault_domains").and_then(Value::as_u64);
        let problem = domains.filter(|domains| !(1..=3).contains(domains) || (has_zones && *domains != 1));
        let problem = problem.map(|domains| Problem {
            path: Path::attribute("fault_domains"),
            message: match has_zones {
                true => format!("must be 1 with `zones`, but is {domains}"),
                false => format!("must be 1 to 3, but is {domains}"),
            },
            hint: None,
        });
        problem.into_iter().collect()
    }

    fn body(&self, wanted: &Wanted) -> Json {
        json!({
            "zones": or_null(wanted.get("zones")),
            "properties": {
                "orchestrationMode": "Flexible",
                "singlePlacementGroup": false,
                "platformFaultDomainCount": wanted.get("fault_domains"),
            },
        })
    }

    fn change(&self, _current: &Json, _wanted: &Wanted) -> Call {
        Call::Patch(json!({}), Condition::None)
    }

    fn attributes(&self, seen: &Json) -> Json {
        json!({
            "zones": or_null(seen.get("zones").unwrap_or(&Json::Null)),
            "fault_domains": property(seen, "platformFaultDomainCount").as_u64().unwrap_or(1),
        })
    }

    async fn request(&self, id: &str, call: Call) -> Result<Request, ProviderError> {
        client::scale_set(self, id, call).await
    }
}
