//! A scale set that exists, and its instances: the frame and the members of a pool that adopts it.

use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::{Declaration, ProviderConfig};

use super::super::adopted::{Adopted, INSTANCE as NUMBER, SCALE_SET, SET_PART};
use super::super::layout::member;
use super::super::{Desired, Lowering};
use super::group;
use crate::config::blocks::{Adopts, Pool};
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN};
use crate::plan::Reason;

const UNIFORM_SET: Kind = Kind::new("uniform_set");
const INSTANCE: Kind = Kind::new("instance");

/// Whether an object is a set that was there before the fleet: it is never deleted.
pub(super) fn is_set(kind: &Kind) -> bool {
    *kind == UNIFORM_SET
}

/// Returns the set that an instance is of, where something is one: without the set it is not ours any more.
pub fn set_of_instance(address: &Address, declared: &Declaration) -> Option<Address> {
    (declared.kind == INSTANCE).then(|| address.parent().child(SET_PART))
}

/// Returns the resource that a pool has the set be that it adopts.
pub fn frame(pool: &Address) -> Address {
    pool.child(SET_PART)
}

/// Returns the set that a pool adopts.
pub(super) fn set(lowering: &Lowering<'_>, adopts: &Adopts) -> Result<Desired, Diagnostics> {
    let at = || lowering.record.attribute_span("import").cloned();
    let refused = |summary: &'static str, detail: String| {
        Diagnostic::error(summary, detail).on(lowering.address.clone()).at(at())
    };
    let id = match adopts {
        Adopts::ScaleSet(id) => id,
        Adopts::InstancePool(_) => {
            let detail = "Instance pools of OCI are not adopted by this version.".to_owned();
            return Err(refused("Not available yet", detail).into());
        }
        Adopts::Unknown(origin) => {
            let detail = format!("`import` depends on `{origin}`, which is known after apply only.");
            let hint = "have the id in a variable: a plan looks at the set";
            return Err(refused(NOT_KNOWN, detail).hint(hint).into());
        }
    };
    let provider = provider(lowering)?;
    refuse_others(lowering, &provider)?;
    let adopted = adopted(lowering)?;
    if let Some(recorded) = adopted.recorded.as_ref().filter(|recorded| *recorded != id) {
        let detail = format!(
            "{} has adopted `{recorded}`, and is to adopt another set now.",
            lowering.address
        );
        let hint = format!(
            "give the pool another name: {} and its instances are forgotten then, and stay",
            lowering.address
        );
        return Err(refused("Another scale set", detail).hint(hint).into());
    }
    let mut attributes = Attributes::from_iter([(SCALE_SET, &**id)]);
    let mut because = None;
    if let Some(grow_to) = adopted.grow_to {
        attributes.set("grow_to", grow_to);
        attributes.set("grow_from", numbers(&adopted.grow_from));
        because = lowering
            .layout
            .pools
            .get(lowering.address)
            .map(|pool| pool.because.clone());
    } else if !adopted.surplus.is_empty() {
        attributes.set("remove", numbers(&adopted.surplus));
        because = Some(format!("no member is instance {}", adopted.surplus.join(", ")));
    }
    let mut set = lowering.desired(frame(lowering.address), UNIFORM_SET, provider, attributes);
    set.because = because.map(|because| Reason::Size { because });
    set.spans.extend(
        lowering
            .record
            .attribute_span("import")
            .map(|span| (SCALE_SET, span.clone())),
    );
    set.policy = set.policy.of_part();
    set.depends_on.extend(group::of(lowering, &set.provider)?);
    Ok(set)
}

/// Returns the members of a pool that adopts a set: each is one of its instances.
pub(in crate::lower) fn members(
    lowering: &Lowering<'_>,
    declared: &Pool,
    adopts: &Adopts,
) -> Result<Vec<Desired>, Diagnostics> {
    let provider = provider(lowering)?;
    let Some(pool) = lowering.layout.pools.get(lowering.address) else {
        return Ok(Vec::new());
    };
    let (adopted, frame) = (adopted(lowering)?, frame(lowering.address));
    let set = lowering.objects.attributes(&frame);
    let mut members = Vec::new();
    for number in &pool.members {
        let address = member(lowering.address, *number);
        if !lowering.is_meant(&address) {
            continue;
        }
        let mut attributes = Attributes::from_iter([(SCALE_SET, &**adopts.id())]);
        let instance = adopted.instance(*number, set.as_ref());
        attributes.set(
            NUMBER,
            match &instance {
                Some(instance) => Value::from(&**instance),
                None => Value::unknown(format!("{frame}.instances")),
            },
        );
        let mut desired = lowering.desired(address, INSTANCE, provider.clone(), attributes);
        desired.because = Some(Reason::Size {
            because: match adopted.instances.get(number) {
                Some(instance) => format!("instance {instance} is in the set"),
                None => pool.because.clone(),
            },
        });
        desired.policy.drain = Some(declared.drain.into());
        desired.depends_on.insert(frame.clone());
        desired.depends_on.extend(group::of(lowering, &desired.provider)?);
        members.push(desired);
    }
    Ok(members)
}

fn numbers(numbers: &[Arc<str>]) -> Value {
    Value::tuple(numbers.iter().map(|number| Value::from(&**number)))
}

fn adopted<'l>(lowering: &'l Lowering<'_>) -> Result<&'l Adopted, Diagnostics> {
    let pool = lowering.layout.pools.get(lowering.address);
    pool.and_then(|pool| pool.adopted.as_ref()).ok_or_else(|| {
        let detail = "Nothing is settled of the set that it adopts.".to_owned();
        Diagnostic::error("Cannot be adopted", detail)
            .on(lowering.address.clone())
            .into()
    })
}

/// Returns the provider, which must have sets that can be adopted.
fn provider(lowering: &Lowering<'_>) -> Result<ProviderConfig, Diagnostics> {
    let provider = lowering.provider(lowering.declaration, &UNIFORM_SET)?;
    if lowering.registry.schema(&provider.name, &UNIFORM_SET).is_some() {
        return Ok(provider);
    }
    let detail = format!("Provider `{}` has no scale sets that exist.", provider.name);
    let diagnostic = Diagnostic::error("Cannot be adopted", detail).on(lowering.address.clone());
    let at = lowering.record.attribute_span("import").cloned();
    Err(diagnostic
        .at(at)
        .hint("provider = azure; of other providers the objects are imported one by one")
        .into())
}

/// Refuses what says how members are made, as these are made by the set.
fn refuse_others(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Result<(), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let record = lowering.record;
    let mut refuse = |name: &str, span| {
        let detail = format!("The instances of a set that is adopted are as the set says: it has no `{name}`.");
        let diagnostic = Diagnostic::error("Not of an adopted pool", detail).on(lowering.address.clone());
        let hint = format!(
            "take it out, or have provider `{}` make the pool: take `import` out",
            provider.name
        );
        diagnostics.push(diagnostic.at(span).hint(hint));
    };
    for name in ["node", "warm", "load_balancer"] {
        for block in record.blocks(name) {
            refuse(name, Some(block.span().clone()));
        }
    }
    if record.get("zones").is_some_and(|zones| !zones.is_null()) {
        refuse("zones", record.attribute_span("zones").cloned());
    }
    diagnostics.or(()).map(drop)
}
