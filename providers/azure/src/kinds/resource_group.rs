//! The kind `resource_group`: what all else is in.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Kind, ProviderError, Schema, Token};

use super::{flag, schema_of, tracked};
use crate::names::Rule;
use crate::resource::{Call, Resource, Site, get, what};
use crate::tags::Tags;
use crate::wanted::Wanted;

/// A resource group.
pub const RESOURCE_GROUP: Kind = Kind::new("resource_group");

const API: &str = "2022-09-01";

/// A group has the name that it is given, as others refer to it; it has no ETag and takes no condition. So it is looked first
/// whether there is one, and of two fleets that make the same group in the same second the later one takes it over.
pub(super) struct ResourceGroup;

#[async_trait]
impl Resource for ResourceGroup {
    fn kind(&self) -> Kind {
        RESOURCE_GROUP
    }

    fn make_schema(&self) -> Schema {
        let doc = "A resource group. One that exists is used as it is; one of the fleet is deleted only when nothing is in it.";
        let mut own = tracked().to_vec();
        own.push(flag("made", "Whether the fleet made it; else it is left alone.").computed());
        schema_of(RESOURCE_GROUP, doc, own)
    }

    fn names(&self) -> Rule {
        Rule {
            longest: 90,
            others: "_.-()",
            is_whole: true,
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn collection(&self) -> &'static str {
        "resourcegroups"
    }

    fn api(&self) -> &'static str {
        API
    }

    fn id(&self, site: &Site, wanted: &Wanted, _token: &Token) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}",
            site.subscription,
            wanted.str("name")
        )
    }

    fn list_target(&self, site: &Site) -> String {
        format!("/subscriptions/{}/resourcegroups?api-version={API}", site.subscription)
    }

    fn body(&self, _wanted: &Wanted) -> Json {
        json!({})
    }

    fn change(&self, _current: &Json, _wanted: &Wanted) -> Call {
        Call::Patch(json!({}), crate::arm::Condition::None)
    }

    fn attributes(&self, _seen: &Json) -> Json {
        json!({})
    }

    /// Azure would delete all that is in it, whoever made it.
    async fn may_delete(&self, site: &Site, id: &str) -> Result<(), ProviderError> {
        let Some(seen) = get(site, self, id).await? else {
            return Ok(());
        };
        if !Tags::of(&seen).is_of(&site.lineage) {
            return Err(ProviderError::Conflict {
                message: format!("the resource group `{id}` is not of this fleet"),
            });
        }
        let what = what(&RESOURCE_GROUP, "list what is in", id);
        let inside = site
            .arm
            .list(&what, format!("{id}/resources?api-version={API}"))
            .await?;
        let ids = inside.iter().filter_map(|inner| inner.get("id")?.as_str());
        let names: Vec<&str> = ids.filter_map(|inner| inner.rsplit('/').next()).take(5).collect();
        match names.is_empty() {
            true => Ok(()),
            false => Err(ProviderError::Rejected {
                message: format!(
                    "cannot delete the resource group `{id}`: {} objects are in it: {}",
                    inside.len(),
                    names.join(", ")
                ),
                attribute: None,
            }),
        }
    }
}
