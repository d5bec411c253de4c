//! What happens to one resource: wanted, recorded and observed, held against each other.

use simfleet_provider_api::{Address, Attributes, Observed, Schema};
use simfleet_state::{Declaration, Intent, Operation, Resource};

use super::difference::{canonical, compare, drift, planned, same};
use super::{Action, Change, Drift, DriftKind, Reason, STATE, STOPPED_BECAUSE};
use crate::diagnostic::Diagnostic;
use crate::lower::{Desired, Policy};

/// What an object is called at its provider; made of the address where the block does not say it.
pub const NAME: &str = "name";

/// What happens to the node that a resource runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFate {
    /// It has none, or nothing that matters happens to it.
    Stays,
    /// It is not there, or perhaps not, and is made in its old place: what ran on it may still run.
    Revived,
    /// It is made anew: what ran on it is lost.
    Remade,
}

impl HostFate {
    /// Returns what a change of a node means for what runs on it.
    pub fn of(change: &Change) -> Self {
        match change.action {
            Action::Replace => HostFate::Remade,
            Action::Create | Action::Check => HostFate::Revived,
            _ => HostFate::Stays,
        }
    }
}

/// What was found out about one resource.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// What happens to it.
    pub change: Change,
    /// How it differs from what was recorded.
    pub drift: Option<Drift>,
}

/// Holds a wanted resource against what is recorded and observed.
///
/// # Errors
/// A wanted attribute that does not fit the schema.
pub fn assess(
    desired: &Desired,
    schema: &Schema,
    recorded: Option<&Resource>,
    observed: Option<&Observed>,
    host: HostFate,
) -> Result<Assessment, Diagnostic> {
    desired.policy.check(schema, &desired.address, desired.span.as_ref())?;
    let mut wanted = canonical(schema, &desired.attributes).map_err(|(path, problem)| {
        let span = path
            .root()
            .and_then(|name| desired.spans.get(name))
            .or(desired.span.as_ref());
        Diagnostic::error("Attribute does not fit", format!("`{path}`: {problem}"))
            .on(desired.address.clone())
            .at(span.cloned())
    })?;
    let mut change = Change {
        address: desired.address.clone(),
        kind: desired.kind.clone(),
        action: Action::NoOp,
        reasons: Vec::new(),
        before: None,
        after: None,
        replace_because: Vec::new(),
        sensitive: schema
            .attributes
            .iter()
            .filter(|a| a.sensitive)
            .map(|a| a.name.into())
            .collect(),
        provider_before: recorded.map(|resource| resource.declared.provider.clone()),
        provider: Some(desired.provider.clone()),
        wanted: None,
        depends_on: desired.depends_on.iter().cloned().collect(),
        depended_on: recorded
            .map(|resource| resource.declared.depends_on.clone())
            .unwrap_or_default(),
        hosted_on: desired.hosted_on.clone(),
        was_hosted_on: recorded.and_then(|resource| resource.declared.hosted_on.clone()),
        schema_version: schema.version,
        moved_from: None,
        deposed: None,
        imported: None,
        prevent_destroy: desired.policy.prevent_destroy,
        create_before_destroy: desired.policy.create_before_destroy,
        is_unproven: false,
        timeouts: desired.policy.timeouts,
        drain: desired.policy.drain,
        waits: desired.policy.waits,
        health_check: desired.policy.health_check.clone(),
        agent: desired.policy.agent.clone(),
        held: None,
    };
    let found = recorded.and_then(|resource| drift_of(desired, schema, resource, observed));
    let Some(resource) = recorded else {
        change.action = Action::Create;
        change.reasons.push(desired.because.clone().unwrap_or(Reason::New));
        change.after = Some(planned(schema, &desired.address, &wanted));
        change.wanted = Some(wanted);
        return Ok(Assessment { change, drift: None });
    };
    let current = match observed {
        Some(Observed::Present(object)) => &object.attributes,
        _ => &resource.object.attributes,
    };
    // A name that was made of an address stays with the object, whatever its address is.
    if let (Some(name), None) = (resource.declared.inputs.get(NAME), desired.spans.get(NAME)) {
        wanted.set(NAME, name.clone());
    }
    ignore(&desired.policy, schema, current, &mut wanted);
    decide(&mut change, desired, schema, resource, observed, host, &wanted);
    change.wanted = Some(wanted);
    Ok(Assessment { change, drift: found })
}

/// Has what is ignored be wanted as it is. A secret is wanted as declared: what there is of it is not told.
pub fn ignore(policy: &Policy, schema: &Schema, current: &Attributes, wanted: &mut Attributes) {
    let ignored = schema
        .attributes
        .iter()
        .filter(|attribute| attribute.is_configurable() && !attribute.sensitive && policy.ignores(attribute.name));
    for attribute in ignored {
        match current.get(attribute.name) {
            Some(value) if value.has_sensitive() => {}
            Some(value) => wanted.set(attribute.name, value.clone()),
            None => drop(wanted.remove(attribute.name)),
        }
    }
}

/// Has a change make its object anew.
pub fn make_anew(change: &mut Change, reason: Reason, schema: &Schema) {
    change.action = Action::Replace;
    change.reasons = vec![reason];
    let wanted = change.wanted.as_ref();
    change.after = wanted.map(|wanted| planned(schema, &change.address, wanted));
}

fn decide(
    change: &mut Change,
    desired: &Desired,
    schema: &Schema,
    resource: &Resource,
    observed: Option<&Observed>,
    host: HostFate,
    wanted: &Attributes,
) {
    let current = match observed {
        Some(Observed::Present(object)) => &object.attributes,
        _ => &resource.object.attributes,
    };
    change.before = Some(current.clone());
    let anew = || Some(planned(schema, &desired.address, wanted));
    let replace = if resource.declared.provider.name != desired.provider.name || resource.declared.kind != desired.kind
    {
        Some(Reason::Provider)
    } else if resource.declared.hosted_on != desired.hosted_on {
        Some(Reason::Moves {
            from: resource.declared.hosted_on.clone(),
            to: desired.hosted_on.clone(),
        })
    } else if resource.tainted.is_some() {
        Some(Reason::Tainted)
    } else {
        match (host, &desired.hosted_on) {
            (HostFate::Remade, Some(host)) => Some(Reason::Host { host: host.clone() }),
            _ => None,
        }
    };
    if let Some(reason) = replace {
        change.action = Action::Replace;
        change.reasons.push(reason);
        if let Some(Observed::Unreachable { reason }) = observed {
            let reason = reason.clone();
            change.reasons.push(Reason::Unreachable { reason });
        }
        change.after = anew();
        return;
    }
    match observed {
        None | Some(Observed::Absent) => {
            change.action = Action::Create;
            change.reasons.push(Reason::Gone);
            change.after = anew();
        }
        Some(Observed::Unreachable { reason }) => {
            change.after = Some(current.clone());
            match (host, &desired.hosted_on) {
                (HostFate::Revived, Some(host)) => {
                    change.action = Action::Check;
                    change.reasons.push(Reason::Host { host: host.clone() });
                }
                _ => change.reasons.push(Reason::Unreachable { reason: reason.clone() }),
            }
        }
        Some(Observed::Present(_)) => {
            let mut difference = compare(schema, wanted, current, &resource.declared.inputs);
            difference.forgive(|name| desired.policy.ignores(name), current);
            for path in &difference.changed {
                let name = path.root().unwrap_or_default();
                let declared = !same(wanted.get(name), resource.declared.inputs.get(name));
                let span = desired.spans.get(name).cloned();
                change.reasons.push(match (declared, &desired.because) {
                    (true, Some(because)) => because.clone(),
                    (true, None) => Reason::Declared {
                        path: path.clone(),
                        span,
                    },
                    (false, _) => match ended(name, &change.before) {
                        Some(how) => Reason::Ended { how },
                        None => Reason::Drifted { path: path.clone() },
                    },
                });
            }
            change.reasons.dedup();
            if !difference.replaces.is_empty() {
                change.action = Action::Replace;
                change.after = anew();
            } else if !difference.changed.is_empty() {
                change.action = Action::Update;
                change.after = Some(difference.after);
            } else {
                change.after = Some(current.clone());
                if let Some(why) = current.str(STOPPED_BECAUSE) {
                    change.reasons.push(Reason::Asleep { why: why.to_owned() });
                }
            }
            change.replace_because = difference.replaces;
        }
    }
}

/// Returns how something ended that should run, where its `state` is what differs.
fn ended(name: &str, seen: &Option<Attributes>) -> Option<String> {
    let seen = seen.as_ref().filter(|_| name == STATE)?;
    let is_over = !matches!(seen.str(STATE), Some("running" | "paused"));
    seen.str("exit").filter(|_| is_over).map(str::to_owned)
}

fn drift_of(desired: &Desired, schema: &Schema, resource: &Resource, observed: Option<&Observed>) -> Option<Drift> {
    let what = match observed? {
        Observed::Absent => DriftKind::Gone,
        Observed::Unreachable { reason } => DriftKind::Unreachable { reason: reason.clone() },
        Observed::Present(object) => {
            let attributes = drift(schema, &resource.object.attributes, &object.attributes);
            if attributes.is_empty() {
                return None;
            }
            DriftKind::Changed(attributes)
        }
    };
    Some(Drift {
        address: desired.address.clone(),
        kind: desired.kind.clone(),
        what,
    })
}

/// Has a change of a wanted resource begin with what an earlier run began: that comes to its end first, and only then can
/// be told what is left to do. `lost` says that the node of `begun` is deleted or made anew, and cannot be asked.
pub fn go_on(change: &mut Change, intent: &Intent, begun: &Declaration, lost: bool, schema: &Schema) {
    let reason = Reason::Unfinished {
        verb: intent.operation.verb(),
    };
    if matches!(intent.operation, Operation::Delete { .. }) {
        let anew = change.wanted.as_ref();
        change.after = anew.map(|wanted| planned(schema, &change.address, wanted));
    }
    if begun.hosted_on == change.hosted_on && change.action != Action::Replace {
        change.action = Action::Check;
        change.reasons.insert(0, reason);
        return;
    }
    change.reasons.push(reason);
    if change.action != Action::Replace {
        change.action = Action::Replace;
        change.provider_before = Some(begun.provider.clone());
        change.depended_on.clone_from(&begun.depends_on);
        change.was_hosted_on.clone_from(&begun.hosted_on);
        let anew = change.wanted.as_ref();
        change.after = anew.map(|wanted| planned(schema, &change.address, wanted));
    }
    if lost {
        let reason = "its node is gone".to_owned();
        change.reasons.push(Reason::Unreachable { reason });
    }
}

/// Returns what happens to a resource that is recorded and no longer wanted.
///
/// `declared` is what was recorded of it, or what an earlier run began to make. `lost` says that its node is deleted or made
/// anew, and that it cannot be asked for: what runs there goes with the node.
pub fn dismiss(
    address: &Address,
    declared: &Declaration,
    before: Option<Attributes>,
    lost: bool,
    reason: Reason,
) -> Change {
    let action = if lost { Action::Forget } else { Action::Delete };
    Change {
        address: address.clone(),
        kind: declared.kind.clone(),
        action,
        reasons: vec![reason],
        before,
        after: None,
        replace_because: Vec::new(),
        sensitive: Vec::new(),
        provider_before: Some(declared.provider.clone()),
        provider: None,
        wanted: None,
        depends_on: Vec::new(),
        depended_on: declared.depends_on.clone(),
        hosted_on: None,
        was_hosted_on: declared.hosted_on.clone(),
        schema_version: declared.schema_version,
        moved_from: None,
        deposed: None,
        imported: None,
        prevent_destroy: declared.prevent_destroy,
        create_before_destroy: declared.create_before_destroy,
        is_unproven: false,
        timeouts: declared.timeouts,
        drain: declared.drain,
        waits: false,
        health_check: declared.health_check.clone(),
        agent: declared.agent.clone(),
        held: None,
    }
}
