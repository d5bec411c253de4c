//! How pools are sized: what a watch knows of them now, and what is kept of its laps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::Address;

use super::FORMAT_VERSION;
use super::document::{Document, Theme};
use super::table::fill;
use crate::watch::lead::{Leader, Standing};
use crate::watch::published::{PoolPicture, Published};

/// Laps that are kept, oldest first, as the store gives them.
pub type Laps = [(Timestamp, Arc<str>)];

/// Returns what is known of the loop itself: who leads, the last lap, what is at work, and what is in its way. What only the
/// one that leads knows is null where this one stands by.
pub fn watch_json(published: &Published, standing: &Standing) -> Json {
    let known = |told: Json| match published.is_standby {
        true => Json::Null,
        false => told,
    };
    json!({
        "role": standing.role(),
        "leader": standing.leader().map(|leader| leader_json(leader)),
        "last_lap": known(published.at.to_string().into()),
        "serial": published.snapshot.state.serial,
        "ready": published.is_ready,
        "running": known(json!(published.running)),
        "pending": published.pending,
        "trouble": published.trouble,
        "unplaced": known(published.unplaced.into()),
        "stuck": known(published.stuck.keys().map(ToString::to_string).collect()),
    })
}

fn leader_json(leader: &Leader) -> Json {
    json!({
        "holder": leader.holder.id,
        "by": leader.holder.who,
        "command": leader.holder.command,
        "since": leader.holder.since.to_string(),
        "url": leader.door.as_ref().map(|door| &door.url),
    })
}

/// Returns the pools, by address.
pub fn json(published: &Published) -> Json {
    let pool = |(address, picture): (&Address, &Arc<PoolPicture>)| one_json(address, picture);
    published.pools.iter().map(pool).collect()
}

fn one_json(address: &Address, picture: &PoolPicture) -> Json {
    let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let checks = picture.checks.iter().map(|(name, check)| {
        let told = json!({ "value": check.value, "at": instant(check.at), "failed": check.failed });
        (name.to_string(), told)
    });
    let mut told = json!({
        "address": address,
        "min": picture.declared.autoscale.min,
        "max": picture.declared.autoscale.max,
        "members": picture.members,
        "decision": picture.decision,
        "because": picture.because,
        "decided": instant(picture.decided),
        "next": instant(picture.due),
        "checks": checks.collect::<Map<_, _>>(),
    });
    let kept = picture.kept.as_ref().and_then(lap);
    if let Some(Json::Object(lap)) = kept {
        told["because"] = why(&Json::Object(lap.clone())).into();
        told["checks"] = kept_checks(&lap);
        let of_decision = lap.into_iter();
        let of_decision = of_decision.filter(|(key, _)| !["at", "size", "values", "failed"].contains(&key.as_str()));
        told["decision"] = Json::Object(of_decision.collect());
    }
    told
}

/// Returns what the checks of a pool were at a lap that was kept.
fn kept_checks(lap: &Map<String, Json>) -> Json {
    let of = |key: &str| lap.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
    let (values, failed) = (of("values"), of("failed"));
    let names: BTreeSet<&String> = values.keys().chain(failed.keys()).collect();
    let check = |name: &String| {
        let at = lap.get("at").filter(|_| !failed.contains_key(name));
        json!({ "value": values.get(name), "at": at, "failed": failed.get(name) })
    };
    Json::Object(names.into_iter().map(|name| (name.clone(), check(name))).collect())
}

/// Says what asked for the size of a lap, and what limited it.
fn why(lap: &Json) -> String {
    let texts = |key: &str| -> Vec<&str> {
        let list = lap[key].as_array().into_iter().flatten();
        list.filter_map(Json::as_str).collect()
    };
    let (reasons, limits) = (texts("reasons"), texts("limited_by"));
    let (asked, limited) = (reasons.join(", "), format!("limited by {}", limits.join(", ")));
    match (reasons.is_empty(), limits.is_empty()) {
        (true, true) => "bounds".to_owned(),
        (true, false) => limited,
        (false, true) => asked,
        (false, false) => format!("{asked}; {limited}"),
    }
}

/// Returns the laps of a pool within a window that ends now, with the largest size of those before that are given, too.
pub fn history_json(pool: &Address, laps: &Laps, window: Duration, now: Timestamp) -> Json {
    let from = now.checked_sub(window).unwrap_or(Timestamp::MIN);
    let laps: Vec<Json> = laps.iter().filter_map(lap).collect();
    let size = |lap: &Json| lap["size"].as_u64().unwrap_or_default();
    // The first of equal ones.
    let peak = laps.iter().rev().max_by_key(|lap| size(lap));
    let peak = peak.map(|lap| json!({ "at": lap["at"], "size": lap["size"] }));
    let within = |lap: &&Json| {
        let at = lap["at"].as_str().and_then(|at| at.parse().ok());
        at.is_some_and(|at: Timestamp| at >= from)
    };
    json!({
        "format_version": FORMAT_VERSION,
        "pool": pool,
        "from": from.to_string(),
        "to": now.to_string(),
        "peak": peak,
        "laps": laps.iter().filter(within).collect::<Vec<_>>(),
    })
}

/// Returns the same for people: a line a lap, those left out that say what the one before does.
pub fn history(history: &Json, theme: Theme) -> String {
    let laps = history["laps"].as_array().map_or(&[][..], Vec::as_slice);
    let said: Vec<Vec<String>> = laps.iter().map(row).collect();
    let is_news = |place: &usize| *place == 0 || said[*place][1..] != said[*place - 1][1..];
    let news = (0..said.len()).filter(is_news).map(|place| said[place].clone());
    let heads = ["TIME", "MEMBERS", "WANTED", "VALUES", "WHY"]
        .map(str::to_owned)
        .to_vec();
    let mut document = Document::new();
    match said.is_empty() {
        true => document.line("Nothing was decided in that time; `simfleet watch` decides."),
        false => fill(&std::iter::once(heads).chain(news).collect::<Vec<_>>(), &mut document),
    }
    if let (Some(size), Some(at)) = (history["peak"]["size"].as_u64(), history["peak"]["at"].as_str()) {
        document.line(format!("The peak was {size}, at {}.", second(at)));
    }
    document.render(theme)
}

/// Returns the cells of a lap.
fn row(lap: &Json) -> Vec<String> {
    let texts = |key: &str| -> Vec<&str> {
        let list = lap[key].as_array().into_iter().flatten();
        list.filter_map(Json::as_str).collect()
    };
    let pairs = |key: &str, pair: fn(&String, &Json) -> String| -> Vec<String> {
        let pairs = lap[key].as_object().into_iter().flatten();
        pairs.map(|(name, value)| pair(name, value)).collect()
    };
    let values = pairs("values", |check, value| {
        format!("{check} {:.2}", value.as_f64().unwrap_or_default())
    });
    let failed = pairs("failed", |check, why| {
        format!("{check} has no value: {}", why.as_str().unwrap_or_default())
    });
    let (reasons, limits) = (texts("reasons"), texts("limited_by"));
    let mut why = vec![if reasons.is_empty() {
        "bounds".to_owned()
    } else {
        reasons.join(", ")
    }];
    if !limits.is_empty() {
        why.push(format!("limited by {}", limits.join(", ")));
    }
    why.extend(failed);
    vec![
        second(lap["at"].as_str().unwrap_or_default()),
        lap["size"].to_string(),
        lap["desired"].to_string(),
        if values.is_empty() {
            "-".to_owned()
        } else {
            values.join(", ")
        },
        why.join("; "),
    ]
}

/// Returns an instant to the second.
fn second(at: &str) -> String {
    at.parse()
        .map_or_else(|_| at.to_owned(), |at: Timestamp| format!("{at:.0}"))
}

/// Returns a lap with its instant; `None` where it cannot be understood: another version wrote it.
fn lap((at, told): &(Timestamp, Arc<str>)) -> Option<Json> {
    let mut lap: Json = serde_json::from_str(told).ok()?;
    lap.as_object_mut()?.insert("at".to_owned(), at.to_string().into());
    Some(lap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(at: &str, told: &str) -> (Timestamp, Arc<str>) {
        (at.parse().unwrap(), told.into())
    }

    #[test]
    fn a_history_says_what_changed_and_why() {
        let lap = |size: u64, desired: u64, limits: &str| {
            format!(
                "{{\"size\":{size},\"desired\":{desired},\"raw\":8,\"current\":{size},\"actions\":[],\
                 \"limited_by\":[{limits}],\"reasons\":[\"busy=8\"],\"next_eval\":0.0,\"values\":{{\"busy\":90.0}}}}"
            )
        };
        let failed = "{\"size\":5,\"desired\":5,\"limited_by\":[],\"reasons\":[\"no_data:busy\"],\"values\":{},\
                      \"failed\":{\"busy\":\"status 500\"}}";
        let laps = [
            kept("2026-06-01T03:00:00Z", &lap(7, 7, "")),
            kept("2026-06-01T11:50:00Z", &lap(1, 2, "\"rate_up\"")),
            kept("2026-06-01T11:51:00Z", &lap(5, 5, "\"max\"")),
            kept("2026-06-01T11:52:00Z", &lap(5, 5, "\"max\"")),
            kept("2026-06-01T11:53:00Z", failed),
            kept("2026-06-01T11:54:00Z", "of another version"),
        ];
        let pool: Address = "pool.web".parse().unwrap();
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        let json = history_json(&pool, &laps, Duration::from_secs(1800), now);
        assert_eq!(json["laps"].as_array().map(Vec::len), Some(4), "{json}");
        insta::assert_snapshot!(history(&json, Theme::Plain));
        let none = history_json(&pool, &[], Duration::from_secs(1800), now);
        insta::assert_snapshot!("none", history(&none, Theme::Plain));
    }
}
