//! How pools are sized: what a watch knows of them now, and what is kept of its laps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::Address;

use super::FORMAT_VERSION;
use crate::watch::published::{PoolPicture, Published};

/// Laps that are kept, oldest first, as the store gives them.
pub type Laps = [(Timestamp, Arc<str>)];

/// Returns what is known of the loop itself: the last lap, what is at work, and what is in its way.
pub fn watch_json(published: &Published) -> Json {
    json!({
        "last_lap": published.at.to_string(),
        "serial": published.snapshot.state.serial,
        "ready": published.is_ready,
        "running": published.running,
        "pending": published.pending,
        "trouble": published.trouble,
        "unplaced": published.unplaced,
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
    json!({
        "address": address,
        "min": picture.declared.autoscale.min,
        "max": picture.declared.autoscale.max,
        "members": picture.members,
        "decision": picture.decision,
        "because": picture.because,
        "decided": instant(picture.decided),
        "next": instant(picture.due),
        "checks": checks.collect::<Map<_, _>>(),
    })
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

/// Returns a lap with its instant; `None` where it cannot be understood: another version wrote it.
fn lap((at, told): &(Timestamp, Arc<str>)) -> Option<Json> {
    let mut lap: Json = serde_json::from_str(told).ok()?;
    lap.as_object_mut()?.insert("at".to_owned(), at.to_string().into());
    Some(lap)
}
