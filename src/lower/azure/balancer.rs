//! A load balancer of Azure before the members of a pool: `pool.web/azure` with its public address `pool.web/azure/ip`, and each
//! member that takes part in it, `pool.web/azure/m1`.

use simfleet_provider_api::{Address, Attributes, Kind, Value};
use simfleet_state::ProviderConfig;

use super::super::layout::member;
use super::super::load_balancer::{AZURE, is_in_service};
use super::super::{Desired, Lowering, Objects};
use super::login::of_part;
use super::{IP_PART, NIC_PART, PUBLIC_IP, id_of, in_group, part};
use crate::config::Record;
use crate::config::blocks::{AzureBalancer, HealthCheckType, Pool};
use crate::diagnostic::{Diagnostic, Diagnostics};

const LOAD_BALANCER: Kind = Kind::new("load_balancer");
const BACKEND: Kind = Kind::new("backend");

/// What its one probe and its one rule are called.
const PROBE: &str = "members";
const RULE: &str = "members";
/// How often a member is asked where no check says, in seconds, and how many answers in a row count: the least that Azure takes.
const INTERVAL: u64 = 5;
const THRESHOLD: u64 = 1;

/// Returns the block of such a load balancer.
fn block<'l>(lowering: &'l Lowering<'_>) -> Option<&'l Record> {
    lowering
        .record
        .blocks("load_balancer")
        .find(|block| &*block.label(0) == AZURE)
}

/// Refuses one whose pool has no machines of this provider.
pub(in crate::lower) fn refuse(lowering: &Lowering<'_>) -> Result<(), Diagnostics> {
    let Some(block) = block(lowering) else {
        return Ok(());
    };
    let detail = "A load balancer of Azure spreads requests over machines of provider `azure`.";
    let diagnostic = Diagnostic::error("No members for it", detail).on(lowering.address.clone());
    let hint = "provider = azure in the pool, or a load_balancer \"nginx\"";
    Err(diagnostic.at(block.span().clone()).hint(hint).into())
}

/// Returns the public address of the load balancer of a pool.
pub(super) fn address(lowering: &Lowering<'_>, provider: &ProviderConfig) -> Option<Desired> {
    block(lowering)?;
    let address = lowering.address.child(AZURE).part(IP_PART);
    Some(part(lowering, provider, PUBLIC_IP, address, tagged(lowering)))
}

/// Returns the public address at which a pool is reached: that of its load balancer, `null` where it has none.
pub(in crate::lower) fn of_balancer(pool: &Address, declared: &Record, objects: &dyn Objects) -> Value {
    let mut blocks = declared.blocks("load_balancer");
    match blocks.any(|block| &*block.label(0) == AZURE) {
        true => of_part(&pool.child(AZURE), IP_PART, "address", objects),
        false => Value::NULL,
    }
}

/// Returns the load balancer of a pool.
pub(super) fn balancer(
    lowering: &Lowering<'_>,
    pool: &Pool,
    provider: &ProviderConfig,
) -> Result<Option<Desired>, Diagnostics> {
    let (Some(block), Some(declared)) = (block(lowering), &pool.azure_balancer) else {
        return Ok(None);
    };
    let address = lowering.address.child(AZURE);
    let ip = address.part(IP_PART);
    let mut balancer = part(lowering, provider, LOAD_BALANCER, address, tagged(lowering));
    let attributes = &mut balancer.attributes;
    attributes.set("public_ip", id_of(&ip, lowering.objects));
    attributes.set("probes", Value::tuple([probe(lowering, block, declared)?]));
    let port = u64::from(declared.port);
    attributes.set(
        "rules",
        Value::tuple([Value::object([
            ("name", Value::from(RULE)),
            ("protocol", "tcp".into()),
            ("port", port.into()),
            ("backend_port", port.into()),
            ("probe", PROBE.into()),
            ("distribution", declared.distribution().map_or(Value::NULL, Value::from)),
        ])]),
    );
    balancer.span = Some(block.span().clone());
    balancer.spans = block.spans();
    balancer.depends_on.insert(ip);
    Ok(Some(balancer))
}

/// Returns the members that take part.
pub(in crate::lower) fn backends(lowering: &Lowering<'_>, pool: &Pool) -> Result<Vec<Desired>, Diagnostics> {
    let (Some(block), Some(_)) = (block(lowering), &pool.azure_balancer) else {
        return Ok(Vec::new());
    };
    let Some(provider) = super::provider(lowering)? else {
        return Ok(Vec::new());
    };
    let balancer = lowering.address.child(AZURE);
    let members = lowering.layout.pools.get(lowering.address);
    let members = members.map(|members| members.members.as_slice()).unwrap_or_default();
    let members = members.iter().map(|number| member(lowering.address, *number));
    let backends = members
        .filter(|member| is_in_service(lowering, pool, member))
        .map(|member| {
            let nic = member.part(NIC_PART);
            let of_balancer = lowering
                .objects
                .attributes(&balancer)
                .and_then(|it| it.get("pool").cloned());
            let attributes = Attributes::from_iter([
                ("nic", id_of(&nic, lowering.objects)),
                (
                    "pool",
                    of_balancer.unwrap_or_else(|| Value::unknown(format!("{balancer}.pool"))),
                ),
                ("member", id_of(&member, lowering.objects)),
            ]);
            backend(lowering, &provider, block, &balancer, &member, attributes)
        });
    in_group(lowering, &provider, backends.collect())
}

fn backend(
    lowering: &Lowering<'_>,
    provider: &ProviderConfig,
    block: &Record,
    balancer: &Address,
    member: &Address,
    attributes: Attributes,
) -> Desired {
    let address = balancer.part(member.child_name().unwrap_or_default());
    let mut backend = lowering.desired(address, BACKEND, provider.clone(), attributes);
    backend.span = Some(block.span().clone());
    backend.spans = block.spans();
    backend.policy = backend.policy.of_part();
    // There is one interface, and it goes and comes with its member, as often as that does.
    backend.policy.create_before_destroy = false;
    backend.policy.prevent_destroy = false;
    backend
        .depends_on
        .extend([balancer.clone(), member.clone(), member.part(NIC_PART)]);
    backend
}

/// Returns what has the tags of the members.
fn tagged<'l>(lowering: &'l Lowering<'_>) -> &'l Record {
    lowering.record.blocks("node").next().unwrap_or(lowering.record)
}

/// Returns how Azure itself asks whether a member answers.
fn probe(lowering: &Lowering<'_>, block: &Record, declared: &AzureBalancer) -> Result<Value, Diagnostics> {
    let refused = |name: &str, detail: String, hint: &'static str| {
        let check = block.blocks("health_check").next().unwrap_or(block);
        let at = check.attribute_span(name).unwrap_or(check.span()).clone();
        let diagnostic = Diagnostic::error("Not a probe of Azure", detail).on(lowering.address.clone());
        Err(Diagnostics::from(diagnostic.at(at).hint(hint)))
    };
    let mut probe = Probe {
        protocol: "tcp".to_owned(),
        port: declared.port,
        path: None,
        interval: INTERVAL,
        threshold: THRESHOLD,
    };
    if let Some(check) = &declared.health_check {
        probe.interval = check.interval.as_secs();
        probe.threshold = check.unhealthy_threshold;
        if probe.interval < INTERVAL || check.interval.subsec_nanos() != 0 {
            let detail = format!("Azure asks every {INTERVAL} s at most, in whole seconds.");
            return refused("interval", detail, "interval = \"5s\"");
        }
        match (check.kind, &check.url, &check.port) {
            (HealthCheckType::Http, Some(url), _) => {
                let Some(text) = url.as_str() else {
                    return refused(
                        "url",
                        "The URL of a probe must be known before apply.".to_owned(),
                        "have it in a variable",
                    );
                };
                let Some((protocol, port, path)) = parts(text, declared.port) else {
                    let detail = format!(
                        "{text:?} is no URL of a member: Azure asks each at its own address, at a port and a path."
                    );
                    return refused("url", detail, "url = \"http://{private_ip}:8080/health\"");
                };
                (probe.protocol, probe.port, probe.path) = (protocol, port, Some(path));
            }
            (_, _, Some(port)) => match port
                .as_str()
                .and_then(|port| port.parse().ok())
                .filter(|port| *port != 0)
            {
                Some(port) => probe.port = port,
                None => {
                    let detail = "The port of a probe is a number, 1 to 65535.".to_owned();
                    return refused("port", detail, "leave it out for the port of the load balancer");
                }
            },
            _ => {}
        }
    }
    Ok(probe.value())
}

struct Probe {
    protocol: String,
    port: u16,
    path: Option<String>,
    interval: u64,
    threshold: u64,
}

impl Probe {
    fn value(self) -> Value {
        Value::object([
            ("name", Value::from(PROBE)),
            ("protocol", self.protocol.into()),
            ("port", u64::from(self.port).into()),
            ("path", self.path.map_or(Value::NULL, Value::from)),
            ("interval", self.interval.into()),
            ("threshold", self.threshold.into()),
        ])
    }
}

/// Returns what a probe asks, of a URL whose host stands for the member.
fn parts(url: &str, port: u16) -> Option<(String, u16, String)> {
    let (protocol, rest) = url.split_once("://")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (host, port),
    };
    let is_member = ["{private_ip}", "{member}"].contains(&host);
    let is_known = ["http", "https"].contains(&protocol);
    (is_member && is_known).then(|| (protocol.to_owned(), port, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn the_url_of_a_probe_is_a_port_and_a_path_of_the_member() {
        let of = |url| parts(url, 80).map(|(protocol, port, path)| format!("{protocol} {port} {path}"));
        for (url, expected) in [
            (
                "http://{private_ip}:8080/health?deep=1",
                Some("http 8080 /health?deep=1"),
            ),
            ("https://{private_ip}/", Some("https 80 /")),
            ("http://{member}", Some("http 80 /")),
            ("http://example.com/health", None),
            ("ftp://{private_ip}/", None),
            ("http://{private_ip}:0/", None),
            ("{private_ip}", None),
        ] {
            assert_eq!(of(url).as_deref(), expected, "{url}");
        }
    }
}
