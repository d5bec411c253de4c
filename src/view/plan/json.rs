//! A plan for programs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::{Attributes, Value};

use super::View;
use super::changes::secrets;
use crate::apply::Estimate;
use crate::plan::{Change, Drift, DriftKind, OutputChange, Plan, Summary};
use crate::view::FORMAT_VERSION;
use crate::view::state::{allocation, hold};
use crate::view::values::{self, Mask, mask};

/// Returns a plan as one JSON document, with how long it takes as far as that is known.
///
/// A part of a value that is sensitive or not known yet is `null` in `before` and `after`, and `true` at the same place
/// in `after_sensitive` and `after_unknown`.
pub fn document(plan: &Plan, estimate: Option<Estimate>) -> Json {
    json!({
        "format_version": FORMAT_VERSION,
        "simfleet_version": env!("CARGO_PKG_VERSION"),
        "lineage": plan.lineage,
        "serial": plan.serial,
        "changes": plan.changes.iter().map(change).collect::<Vec<_>>(),
        "drift": plan.drift.iter().map(|drift| drift_of(plan, drift)).collect::<Vec<_>>(),
        "outputs": plan.outputs.iter().map(|(name, output)| (name.clone(), output_of(output))).collect::<Map<_, _>>(),
        "interrupts": plan
            .interrupts
            .iter()
            .map(|interrupt| {
                json!({
                    "address": interrupt.address,
                    "action": interrupt.action.as_str(),
                    "allocation": interrupt.allocation.as_ref().map(allocation),
                })
            })
            .collect::<Vec<_>>(),
        "irreversible": plan
            .irreversible()
            .map(|change| json!({"address": change.address, "action": change.action.as_str()}))
            .collect::<Vec<_>>(),
        "unfinished": plan
            .unfinished
            .iter()
            .map(|unfinished| {
                json!({
                    "address": unfinished.address,
                    "action": unfinished.action,
                    "by": unfinished.by,
                    "live": unfinished.live,
                })
            })
            .collect::<Vec<_>>(),
        "unplaced": plan
            .unplaced
            .iter()
            .map(|unplaced| json!({"address": unplaced.address, "on": unplaced.on, "reason": unplaced.reason}))
            .collect::<Vec<_>>(),
        "pools": plan
            .pools
            .iter()
            .map(|pool| {
                json!({
                    "address": pool.address,
                    "before": pool.before,
                    "after": pool.after,
                    "reason": pool.because,
                })
            })
            .collect::<Vec<_>>(),
        "drains": plan
            .emptied()
            .iter()
            .map(|emptied| {
                json!({
                    "address": emptied.address,
                    "timeout_s": emptied.timeout.as_secs_f64(),
                    "waits_for": emptied.waits_for,
                })
            })
            .collect::<Vec<_>>(),
        "rolls": plan
            .rolls
            .iter()
            .map(|roll| json!({"pool": roll.pool, "at_once": roll.at_once, "members": roll.members}))
            .collect::<Vec<_>>(),
        "holds": holds(plan),
        "costs": plan
            .costs
            .hourly
            .iter()
            .map(|(currency, (before, after))| json!({"currency": currency, "before": before, "after": after}))
            .collect::<Vec<_>>(),
        "unpriced": plan
            .costs
            .unpriced
            .iter()
            .map(|(address, of)| json!({"address": address, "of": of}))
            .collect::<Vec<_>>(),
        "partial": plan.is_partial,
        "eta_ms": estimate.map(|estimate| milliseconds(estimate.length())),
        "eta_at_least": matches!(estimate, Some(Estimate::AtLeast(_))),
        "summary": summary(plan),
    })
}

/// Returns what was stopped or paused by hand; `ends` is why a hold ends, null for one that lasts.
fn holds(plan: &Plan) -> Vec<Json> {
    let lasting = plan
        .changes
        .iter()
        .filter_map(|change| Some((&change.address, change.held.as_ref()?, None)));
    let ended = plan.unheld.iter();
    let ended = ended.map(|ended| (&ended.address, &ended.hold, Some(ended.why.as_str())));
    lasting
        .chain(ended)
        .map(|(address, held, ends)| {
            let mut json = hold(held);
            json["address"] = json!(address);
            json["ends"] = json!(ends);
            json
        })
        .collect()
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn summary(plan: &Plan) -> Json {
    let Summary {
        create,
        update,
        check,
        replace,
        delete,
        forget,
        no_op,
    } = plan.summary();
    json!({
        "create": create,
        "update": update,
        "check": check,
        "replace": replace,
        "delete": delete,
        "forget": forget,
        "no_op": no_op,
    })
}

/// Returns the event that says what an apply is about to do.
pub fn event(view: View<'_>, at: Timestamp) -> Json {
    json!({
        "type": "planned",
        "at": at.to_string(),
        "message": view.summary(),
        "eta_ms": view.estimate.map(|estimate| milliseconds(estimate.length())),
        "eta_at_least": matches!(view.estimate, Some(Estimate::AtLeast(_))),
        "summary": summary(view.plan),
    })
}

fn change(change: &Change) -> Json {
    let before = change.before.as_ref().map(|attributes| whole(change, attributes));
    let after = change.after.as_ref().map(|attributes| whole(change, attributes));
    let reasons: Vec<String> = change.reasons.iter().map(ToString::to_string).collect();
    let provider = change.provider.as_ref().or(change.provider_before.as_ref());
    json!({
        "address": change.address,
        "kind": change.kind,
        "provider": provider.map(|provider| &provider.name),
        "action": change.word(),
        "reason": (!reasons.is_empty()).then(|| reasons.join("; ")),
        "before": shown(before.as_ref()),
        "after": shown(after.as_ref()),
        "after_unknown": masked(after.as_ref(), Mask::Unknown),
        "after_sensitive": masked(after.as_ref(), Mask::Sensitive),
        "create_before_destroy": change.is_made_first(),
        "deposed": change.deposed,
        "previous_address": change.moved_from,
        "importing": change.imported.as_ref().map(|id| json!({"id": id})),
        "replace_because": change.replace_because.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Returns attributes as one value, with marks on those that are sensitive by their schema.
fn whole(change: &Change, attributes: &Attributes) -> Value {
    Value::object(attributes.iter().map(|(name, value)| {
        let secret = change.sensitive.contains(name);
        (name.clone(), value.clone().mark(secret))
    }))
}

fn shown(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, values::json)
}

fn masked(value: Option<&Value>, what: Mask) -> Json {
    value.and_then(|value| mask(value, what)).unwrap_or_else(|| json!({}))
}

fn drift_of(plan: &Plan, drift: &Drift) -> Json {
    let mut document = json!({"address": drift.address, "kind": drift.kind});
    let secrets = secrets(plan, &drift.address);
    match &drift.what {
        DriftKind::Gone => document["what"] = json!("gone"),
        DriftKind::Unreachable { reason } => {
            document["what"] = json!("unreachable");
            document["reason"] = json!(reason);
        }
        DriftKind::Changed(attributes) => {
            document["what"] = json!("changed");
            document["attributes"] = attributes
                .iter()
                .map(|attribute| {
                    let secret = secrets.iter().any(|name| Some(&**name) == attribute.path.root());
                    let marked = |value: &Option<Value>| value.clone().map(|value| value.mark(secret));
                    let (recorded, seen) = (marked(&attribute.recorded), marked(&attribute.seen));
                    let sensitive = [&recorded, &seen].into_iter().flatten().any(Value::has_sensitive);
                    json!({
                        "path": attribute.path.to_string(),
                        "recorded": shown(recorded.as_ref()),
                        "seen": shown(seen.as_ref()),
                        "sensitive": sensitive,
                    })
                })
                .collect();
        }
    }
    document
}

fn output_of(output: &OutputChange) -> Json {
    let marked = |value: &Option<Value>| value.clone().map(|value| value.mark(output.sensitive));
    let (before, after) = (marked(&output.before), marked(&output.after));
    let action = match (&before, &after) {
        _ if !output.is_change() => "no-op",
        (None, _) => "create",
        (_, None) => "delete",
        _ => "update",
    };
    let masked = |what| {
        after
            .as_ref()
            .and_then(|value| mask(value, what))
            .unwrap_or(json!(false))
    };
    json!({
        "action": action,
        "before": shown(before.as_ref()),
        "after": shown(after.as_ref()),
        "after_unknown": masked(Mask::Unknown),
        "after_sensitive": masked(Mask::Sensitive),
    })
}
