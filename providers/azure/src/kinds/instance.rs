//! The kind `instance`: a machine of a scale set with uniform orchestration, known by its number. The set makes it; to take one
//! that is there is all that a create does.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Kind, Object, Path, ProviderError, Schema, Token};

use super::uniform_set::UniformSet;
use super::vm::status;
use super::{COMPUTE_API, flag, property, schema_without_name, text};
use crate::arm::Request;
use crate::names::Rule;
use crate::resource::{Call, Resource, Site, get, is_absent, object, plain_request};
use crate::wanted::{Wanted, folded};

/// An instance of a scale set.
pub const INSTANCE: Kind = Kind::new("instance");

const COLLECTION: &str = "/virtualmachines/";

pub(super) struct Instance;

#[async_trait]
impl Resource for Instance {
    fn kind(&self) -> Kind {
        INSTANCE
    }

    fn make_schema(&self) -> Schema {
        let own = vec![
            text("scale_set", "The id of its scale set.").required().replaces(),
            text("instance", "Its number in the set.").required().replaces(),
            flag(
                "protected",
                "Whether it is protected from a set that shrinks: then it is removed by nobody.",
            )
            .live(),
            text("size", "Its size.").live(),
            text("location", "Its region.").live(),
            text("status", "What it does: running, stopped, deallocated …").live(),
        ];
        let doc = "An instance of a scale set with uniform orchestration. The set makes it.";
        schema_without_name(INSTANCE, doc, own)
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

    fn is_tracked(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_made(&self) -> bool {
        false
    }

    fn id(&self, _site: &Site, wanted: &Wanted, _token: &Token) -> String {
        id_of(wanted.str("scale_set"), wanted.str("instance"))
    }

    fn body(&self, _wanted: &Wanted) -> Json {
        json!({})
    }

    fn change(&self, _current: &Json, _wanted: &Wanted) -> Call {
        Call::Patch(json!({}), crate::arm::Condition::None)
    }

    fn attributes(&self, seen: &Json) -> Json {
        let id = seen.get("id").and_then(Json::as_str).map(folded).unwrap_or_default();
        json!({
            "scale_set": id.split(COLLECTION).next(),
            "instance": seen.get("instanceId"),
            "protected": is_protected(seen),
            "size": seen.pointer("/sku/name"),
            "location": seen.get("location"),
            "status": status(seen),
        })
    }

    async fn may_delete(&self, site: &Site, id: &str) -> Result<(), ProviderError> {
        may_go(site, id).await
    }

    async fn request(&self, id: &str, call: Call) -> Result<Request, ProviderError> {
        let is_look = matches!(call, Call::Get);
        let mut request = plain_request(self, id, call);
        if is_look {
            request.target.push_str("&$expand=instanceView");
        }
        Ok(request)
    }
}

/// Returns the id of an instance.
pub(super) fn id_of(scale_set: &str, number: &str) -> String {
    format!("{scale_set}{COLLECTION}{number}")
}

/// Returns the instances of all sets of the resource group that have any of their own: of one set one list.
pub(crate) async fn listed(site: &Site) -> Result<Vec<Object>, ProviderError> {
    let sets = match site
        .arm
        .list("list every scale set", UniformSet.list_target(site))
        .await
    {
        Ok(sets) => sets,
        // Without the group there is nothing in it.
        Err(error) if is_absent(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let is_uniform = |set: &&Json| property(set, "orchestrationMode").as_str() != Some("Flexible");
    let mut all = Vec::new();
    for id in sets.iter().filter(is_uniform).filter_map(|set| set.get("id")?.as_str()) {
        let target = format!("{id}/virtualMachines?api-version={COMPUTE_API}&$expand=instanceView");
        let instances = match site.arm.list("list the instances of a scale set", target).await {
            Ok(instances) => instances,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        for seen in &instances {
            all.push(object(site, &Instance, seen)?);
        }
    }
    Ok(all)
}

fn is_protected(seen: &Json) -> bool {
    let policy = property(seen, "protectionPolicy");
    let from = |name: &str| policy.get(name).and_then(Json::as_bool).unwrap_or_default();
    from("protectFromScaleIn") || from("protectFromScaleSetActions")
}

/// Checks that an instance may be removed. Azure lets whoever names it remove a protected one, too.
pub(super) async fn may_go(site: &Site, id: &str) -> Result<(), ProviderError> {
    match get(site, &Instance, id).await? {
        Some(seen) if is_protected(&seen) => Err(ProviderError::Rejected {
            message: format!(
                "the instance `{id}` is protected from scale-in, so it is not removed; `az vmss update --instance-id N \
                 --protect-from-scale-in false` takes that away, a higher `min` keeps it"
            ),
            attribute: Some(Path::attribute("protected")),
        }),
        _ => Ok(()),
    }
}
