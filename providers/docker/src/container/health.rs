//! Whether a container is healthy: by the engine's own look, or by one from here.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use simfleet_provider_agent::Probe;

use super::publish::Published;
use super::wanted::{HealthCheck, Spec};
use crate::client::container::{SeenContainer, Status};

/// How often it is looked, how long one look may take and how many may fail, where the check does not say.
const INTERVAL: f64 = 10.0;
const TIMEOUT: f64 = 5.0;
const UNHEALTHY: u64 = 3;

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Healthy, or nobody looks.
    Good,
    /// Not yet.
    Starting,
    /// Not, and what the last look found.
    Bad(String),
}

/// What was found since a container was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    /// Milliseconds since 1970.
    pub(super) since: u64,
    /// Good looks from here, in a row.
    pub(super) good: u64,
}

/// Returns milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Looks once. The engine's own looks go before: they are made within.
pub(super) async fn look(seen: &SeenContainer, spec: &Spec, address: &str, looks: &mut Looks) -> Verdict {
    if let Some(health) = &seen.health {
        let said = health.last.as_deref().map(str::trim).filter(|said| !said.is_empty());
        return match health.status {
            "healthy" => Verdict::Good,
            "starting" => Verdict::Starting,
            _ => Verdict::Bad(format!("the check says {}", said.unwrap_or("nothing"))),
        };
    }
    let Some(check) = spec.health_check.as_ref().filter(|check| is_ours(check)) else {
        return Verdict::Good;
    };
    if seen.status != Status::Running {
        return Verdict::Starting;
    }
    let timeout = Duration::from_secs_f64(check.timeout.unwrap_or(TIMEOUT).clamp(0.01, 3600.0));
    let looked = match probe(check, spec, seen, address).await {
        Ok(probe) => probe.run(timeout).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(()) => {
            looks.good += 1;
            match looks.good >= check.healthy_threshold.unwrap_or(1) {
                true => Verdict::Good,
                false => Verdict::Starting,
            }
        }
        Err(error) => {
            looks.good = 0;
            let failures = check.unhealthy_threshold.unwrap_or(UNHEALTHY) as f64;
            let patience = check.start_period.unwrap_or(0.0) + failures * check.interval.unwrap_or(INTERVAL);
            match now().saturating_sub(looks.since) as f64 >= patience * 1000.0 {
                true => Verdict::Bad(error),
                false => Verdict::Starting,
            }
        }
    }
}

/// Whether a check is made from here.
fn is_ours(check: &HealthCheck) -> bool {
    matches!(&*check.r#type, "http" | "tcp" | "mavlink_heartbeat")
}

async fn probe(check: &HealthCheck, spec: &Spec, seen: &SeenContainer, address: &str) -> Result<Probe, String> {
    match (&*check.r#type, &check.url) {
        ("http", Some(url)) => Probe::http(url),
        ("http", None) => Err("it needs `url`".to_owned()),
        ("tcp", _) => Ok(Probe::Tcp(at(check, spec, seen, address, "tcp").await?)),
        _ => {
            let vehicle = at(check, spec, seen, address, "udp").await?;
            Ok(match check.real_time_factor_min {
                Some(least) => Probe::Pace { vehicle, least },
                None => Probe::Mavlink(vehicle),
            })
        }
    }
}

/// Returns where a port of a container is reached: the one of a name or a number within, else the only published one.
async fn at(
    check: &HealthCheck,
    spec: &Spec,
    seen: &SeenContainer,
    address: &str,
    protocol: &str,
) -> Result<SocketAddr, String> {
    let published = spec
        .publish
        .iter()
        .flatten()
        .filter_map(|text| text.parse::<Published>().ok());
    let mut published: Vec<Published> = published.filter(|port| port.protocol == protocol).collect();
    if let Some(port) = &check.port {
        let named = spec.ports.as_ref().and_then(|ports| ports.get(port)).copied();
        let within = port.parse::<u16>().ok();
        published.retain(|it| named.is_some_and(|named| it.host == Some(named)) || within == Some(it.container));
    }
    let one = match published.as_slice() {
        [one] => one,
        [] => return Err(format!("it has no published {protocol} port to look at")),
        _ => {
            return Err(format!(
                "several {protocol} ports are published; say which one with `port`"
            ));
        }
    };
    let bound = seen.published.get(&one.within()).ok_or("its port is not open yet")?;
    let (ip, port) = bound.rsplit_once(':').ok_or("its port is not open yet")?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("the engine says that it is at {bound:?}"))?;
    match ip.parse::<IpAddr>() {
        Ok(ip) if !ip.is_unspecified() => Ok(SocketAddr::new(ip, port)),
        _ => {
            let mut found = tokio::net::lookup_host((address, port))
                .await
                .map_err(|error| format!("{address}: {error}"))?;
            found.next().ok_or_else(|| format!("{address} has no address"))
        }
    }
}
