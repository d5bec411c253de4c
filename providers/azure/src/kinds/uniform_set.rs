//! The kind `uniform_set`: a scale set with uniform orchestration that exists, and whose size is ours. It is never made and never
//! deleted; its instances are of the kind `instance`.
//!
//! It grows by a PATCH of its capacity: which numbers its new instances get, Azure says. It never shrinks that way, as Azure would
//! choose who goes: the instances are named instead. See
//! <https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-sets/delete-instances>.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Attribute, Attributes, Kind, Path, Problem, ProviderError, Schema, Token, Type};

use super::{COMPUTE_API, number, property, schema_without_name, text, texts};
use crate::arm::{Condition, Request};
use crate::client;
use crate::kinds::instance;
use crate::names::Rule;
use crate::resource::{Call, Resource, Site};
use crate::wanted::{Wanted, folded};

/// A scale set with uniform orchestration.
pub const UNIFORM_SET: Kind = Kind::new("uniform_set");

/// Where a look puts the numbers of its instances.
const INSTANCES: &str = "instances";

pub(super) struct UniformSet;

#[async_trait]
impl Resource for UniformSet {
    fn kind(&self) -> Kind {
        UNIFORM_SET
    }

    fn make_schema(&self) -> Schema {
        let own = vec![
            text("scale_set", "Its id in Azure, in lower case.")
                .required()
                .replaces(),
            number(
                "grow_to",
                "How many instances it is to have at least; said only where it has fewer.",
            ),
            texts(
                "grow_from",
                "The numbers of the instances that it had when that was said; those of them that go meanwhile are not made again.",
            ),
            texts(
                "remove",
                "The numbers of the instances that are to go; said only where it has more than it should.",
            ),
            number("capacity", "How many instances it is to have, as Azure says.").live(),
            Attribute::new(
                INSTANCES,
                Type::List(Box::new(Type::String)),
                "The numbers of its instances, in their order.",
            )
            .live(),
            text("size", "The size of its instances.").live(),
        ];
        let doc = "A scale set with uniform orchestration that exists. Its size is changed, and nothing else of it.";
        schema_without_name(UNIFORM_SET, doc, own)
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

    fn check(&self, desired: &Attributes) -> Vec<Problem> {
        let id = desired.str("scale_set").map(str::to_lowercase);
        let is_id = |id: &String| {
            let steps: Vec<&str> = id.split('/').collect();
            matches!(
                steps[..],
                ["", "subscriptions", _, "resourcegroups", _, "providers", "microsoft.compute", "virtualmachinescalesets", name]
                    if !name.is_empty()
            )
        };
        let wrong = id.filter(|id| !is_id(id));
        let problem = wrong.map(|id| Problem {
            path: Path::attribute("scale_set"),
            message: format!("must be the id of a scale set, but is {id:?}"),
            hint: Some("`az vmss show --query id` shows it: /subscriptions/…/virtualMachineScaleSets/NAME".to_owned()),
        });
        problem.into_iter().collect()
    }

    fn id(&self, _site: &Site, wanted: &Wanted, _token: &Token) -> String {
        wanted.str("scale_set").to_owned()
    }

    fn body(&self, _wanted: &Wanted) -> Json {
        json!({})
    }

    /// Names those that go; else says how many there are to be.
    fn change(&self, current: &Json, wanted: &Wanted) -> Call {
        let surplus = surplus(current, wanted);
        if !surplus.is_empty() {
            return Call::Post("delete", json!({ "instanceIds": surplus }));
        }
        let mut sku = current.get("sku").cloned().unwrap_or_default();
        sku["capacity"] = goal(current, wanted).into();
        Call::Patch(json!({ "sku": sku }), Condition::None)
    }

    fn is_done(&self, current: &Json, wanted: &Wanted) -> Option<bool> {
        Some(capacity(current) >= goal(current, wanted) && surplus(current, wanted).is_empty())
    }

    /// Who is protected is removed by nobody, and so is not named.
    async fn may_change(&self, site: &Site, current: &Json, wanted: &Wanted) -> Result<(), ProviderError> {
        for number in surplus(current, wanted) {
            instance::may_go(site, &instance::id_of(wanted.str("scale_set"), &number)).await?;
        }
        Ok(())
    }

    async fn may_delete(&self, _site: &Site, id: &str) -> Result<(), ProviderError> {
        Err(ProviderError::Rejected {
            message: format!(
                "the scale set `{id}` was there before the fleet, so it is not deleted; `simfleet state rm` forgets it"
            ),
            attribute: None,
        })
    }

    fn attributes(&self, seen: &Json) -> Json {
        json!({
            "scale_set": seen.get("id").and_then(Json::as_str).map(folded),
            "capacity": capacity(seen),
            INSTANCES: numbers(seen),
            "size": seen.pointer("/sku/name"),
        })
    }

    async fn request(&self, id: &str, call: Call) -> Result<Request, ProviderError> {
        client::scale_set(self, id, call).await
    }

    /// Which instances it has, another address says.
    async fn complete(&self, site: &Site, id: &str, mut seen: Json) -> Result<Option<Json>, ProviderError> {
        let mode = property(&seen, "orchestrationMode").as_str().unwrap_or("Uniform");
        if !mode.eq_ignore_ascii_case("Uniform") {
            return Err(ProviderError::Rejected {
                message: format!(
                    "the scale set `{id}` has the orchestration mode {mode}, and only a Uniform one can be adopted; the machines of \
                     another are imported one by one"
                ),
                attribute: Some(Path::attribute("scale_set")),
            });
        }
        let what = format!(
            "list the instances of the scale set `{}`",
            id.rsplit('/').next().unwrap_or(id)
        );
        let target = format!("{id}/virtualMachines?api-version={COMPUTE_API}");
        let instances = site.arm.list(&what, target).await?;
        let numbers = instances.iter().filter(|it| !is_leaving(it));
        let mut numbers: Vec<&str> = numbers.filter_map(|it| it.get("instanceId")?.as_str()).collect();
        numbers.sort_by_key(|number| (number.parse::<u64>().unwrap_or(u64::MAX), *number));
        let numbers: Vec<String> = numbers.into_iter().map(str::to_owned).collect();
        if let Some(fields) = seen.as_object_mut() {
            fields.insert(INSTANCES.to_owned(), numbers.into());
        }
        Ok(Some(seen))
    }
}

/// Whether an instance is on its way out.
fn is_leaving(instance: &Json) -> bool {
    property(instance, "provisioningState").as_str() == Some("Deleting")
}

fn capacity(set: &Json) -> u64 {
    set.pointer("/sku/capacity").and_then(Json::as_u64).unwrap_or_default()
}

fn numbers(set: &Json) -> Vec<&str> {
    let numbers = set.get(INSTANCES).and_then(Json::as_array);
    numbers.into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Returns how many instances there are to be. Those that have gone since it was planned are not made again: they were to go,
/// and it does not matter whether they went before or go afterwards.
fn goal(current: &Json, wanted: &Wanted) -> u64 {
    let there = numbers(current);
    let had = wanted.items("grow_from").filter_map(Json::as_str);
    let gone = had.filter(|number| !there.contains(number)).count();
    let goal = wanted.get("grow_to").as_u64().unwrap_or_default();
    goal.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX))
}

/// Returns the numbers of those that are still there and should not be.
fn surplus(current: &Json, wanted: &Wanted) -> Vec<String> {
    let there = numbers(current);
    let surplus = wanted.items("remove").filter_map(Json::as_str);
    surplus
        .filter(|number| there.contains(number))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use simfleet_provider_api::Value;

    use super::*;
    use crate::kinds;

    fn wanted(attributes: &[(&'static str, Value)]) -> Wanted {
        let id = "/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachinescalesets/x";
        let mut all = Attributes::from_iter([("scale_set", id)]);
        for (name, value) in attributes {
            all.set(*name, value.clone());
        }
        Wanted::of(kinds::schema(&UNIFORM_SET).expect("it is a kind"), &all).expect("it fits")
    }

    fn seen(numbers: &[&str]) -> Json {
        json!({ "sku": { "name": "Standard_B2s", "tier": "Standard", "capacity": numbers.len() }, "instances": numbers })
    }

    /// Whether an instance that is to go has gone before the set grows, or goes later, it ends with as many.
    #[test]
    fn a_growth_is_the_same_whenever_others_go_and_however_often_it_is_sent() {
        let four = wanted(&[
            ("grow_to", 4u64.into()),
            ("grow_from", Value::tuple(["0".into(), "1".into(), "2".into()])),
        ]);
        for (case, there, goal, is_done) in [
            ("as planned", &["0", "1", "2"][..], 4, false),
            ("one has gone", &["0", "1"], 3, false),
            ("it has grown", &["0", "1", "2", "3"], 4, true),
            ("it has grown and one has gone", &["0", "1", "3"], 3, true),
        ] {
            let current = seen(there);
            assert_eq!(super::goal(&current, &four), goal, "{case}");
            assert_eq!(UniformSet.is_done(&current, &four), Some(is_done), "{case}");
        }
        let Call::Patch(body, _) = UniformSet.change(&seen(&["0", "1", "2"]), &four) else {
            panic!("it grows by a PATCH");
        };
        assert_eq!(
            body,
            json!({ "sku": { "name": "Standard_B2s", "tier": "Standard", "capacity": 4 } })
        );
    }

    #[test]
    fn who_goes_is_named_and_those_who_went_are_not() {
        let less = wanted(&[("remove", Value::tuple(["1".into(), "2".into()]))]);
        let Call::Post("delete", body) = UniformSet.change(&seen(&["0", "2"]), &less) else {
            panic!("they are named");
        };
        assert_eq!(body, json!({ "instanceIds": ["2"] }));
        assert_eq!(UniformSet.is_done(&seen(&["0"]), &less), Some(true));
    }
}
