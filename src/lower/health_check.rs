//! How it is told from here whether a node is healthy.

use simfleet_provider_api::{Hosting, Value};
use simfleet_state::{HealthCheck, Look};

use super::azure::{self, VM};
use super::container::CONTAINER;
use super::{Desired, Lowering};
use crate::config::Record;
use crate::config::blocks::{self, HealthCheckType};
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN, Span};

/// What can be looked at of any node, and of one with an agent.
const OF_ANY: &str = "http, tcp or command";
const OF_AGENTS: &str = "http, tcp, command or agent";
const OF_CONTAINERS: &str = "http, tcp, docker or command";
const OF_MACHINES: &str = "docker, ssh, cloud, http, tcp, command, or agent where its bootstrap installs one";

/// Returns the check of a node that is lowered, where it has one.
pub(super) fn of_node(
    lowering: &Lowering<'_>,
    node: &Desired,
    template: &Record,
) -> Result<Option<HealthCheck>, Diagnostics> {
    let Some(block) = template.blocks("health_check").next() else {
        return Ok(None);
    };
    let check = blocks::HealthCheck::decode(block)?;
    // The engine of a container looks into it.
    let is_of_engine = matches!(check.kind, HealthCheckType::Docker | HealthCheckType::Command);
    if node.kind == CONTAINER && is_of_engine {
        return Ok(None);
    }
    let look = match node.kind == VM {
        true => of_machine(lowering, template, block, &check)?,
        false => None,
    };
    let look = look.map_or_else(|| self::look(lowering, node, block, &check), Ok)?;
    Ok(Some(HealthCheck {
        look,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        healthy_threshold: check.healthy_threshold,
        unhealthy_threshold: check.unhealthy_threshold,
    }))
}

/// Returns the looks that only a machine has that is made: into it, and at what its cloud says of it.
fn of_machine(
    lowering: &Lowering<'_>,
    template: &Record,
    block: &Record,
    check: &blocks::HealthCheck,
) -> Result<Option<Look>, Diagnostics> {
    let login = || {
        azure::login(template).map_err(|unknown| {
            let origin = unknown.unknown_origin().unwrap_or("something else").to_owned();
            let detail =
                format!("It logs in as `ssh` says, and that depends on `{origin}`, which is known after apply only.");
            Diagnostic::error(NOT_KNOWN, detail)
                .on(lowering.address.clone())
                .at(block.span().clone())
        })
    };
    Ok(match check.kind {
        HealthCheckType::Ssh => Some(Look::Ssh { login: login()? }),
        HealthCheckType::Docker => Some(Look::Docker { login: login()? }),
        // It is looked for by the login that is kept with the machine.
        HealthCheckType::Agent if azure::has_agent(template) => login().map(|_| Some(Look::Agent))?,
        HealthCheckType::Cloud => Some(Look::Cloud),
        _ => None,
    })
}

fn look(
    lowering: &Lowering<'_>,
    node: &Desired,
    block: &Record,
    check: &blocks::HealthCheck,
) -> Result<Look, Diagnostics> {
    let has_agent = lowering.hosting(&node.provider.name) == Hosting::Agent;
    let known = |name, value: &Option<Value>| known(lowering, block, name, value.clone());
    match check.kind {
        HealthCheckType::Http => {
            let url = known("url", &check.url)?;
            Ok(Look::Http {
                url: url.as_str().unwrap_or_default().to_owned(),
            })
        }
        HealthCheckType::Tcp => {
            let port = known("port", &check.port)?;
            match port
                .as_str()
                .and_then(|port| port.parse::<u16>().ok())
                .filter(|port| *port != 0)
            {
                Some(port) => Ok(Look::Tcp { port }),
                None => {
                    let detail = "The port of a node is a number, 1 to 65535.".to_owned();
                    Err(wrong(lowering, block, "port", detail).into())
                }
            }
        }
        HealthCheckType::Command => {
            let command = known("command", &check.command)?;
            let words = command.as_slice().unwrap_or_default().iter();
            Ok(Look::Command {
                command: words.filter_map(Value::as_str).map(str::to_owned).collect(),
            })
        }
        HealthCheckType::Agent if has_agent => Ok(Look::Agent),
        kind => {
            let provider = &node.provider.name;
            let detail = format!(
                "A {} of provider `{provider}` has no check of the type {:?}.",
                node.kind,
                kind.as_str()
            );
            let can = match has_agent {
                _ if node.kind == CONTAINER => OF_CONTAINERS,
                _ if node.kind == VM => OF_MACHINES,
                true => OF_AGENTS,
                false => OF_ANY,
            };
            let diagnostic = wrong(lowering, block, "type", detail);
            Err(diagnostic.hint(format!("it can have {can}")).into())
        }
    }
}

/// Returns a value that has to be known when the plan is made, and that plans can show: it is kept, so that whoever looks later
/// needs no files.
fn known(lowering: &Lowering<'_>, block: &Record, name: &str, value: Option<Value>) -> Result<Value, Diagnostics> {
    match value {
        Some(value) if value.has_sensitive() => {
            let detail = format!("`{name}` of a node's check is kept in the state, so it cannot be sensitive.");
            Err(wrong(lowering, block, name, detail).into())
        }
        Some(value) => match value.unknown_origin() {
            None => Ok(value.clone()),
            Some(origin) => {
                let detail = format!("`{name}` depends on `{origin}`, which is known after apply only.");
                let hint = "{private_ip} and {member} stand for what is known when it is looked";
                let span = span(block, name);
                Err(Diagnostic::error(NOT_KNOWN, detail)
                    .on(lowering.address.clone())
                    .at(span)
                    .hint(hint)
                    .into())
            }
        },
        None => Err(wrong(lowering, block, "type", format!("It needs `{name}`.")).into()),
    }
}

fn wrong(lowering: &Lowering<'_>, block: &Record, name: &str, detail: String) -> Diagnostic {
    Diagnostic::error("Invalid value", detail)
        .on(lowering.address.clone())
        .at(span(block, name))
}

/// Returns where an attribute is set, the URL under either of its names; else where the block is.
fn span(block: &Record, name: &str) -> Span {
    let other = block.attribute_span("http").filter(|_| name == "url");
    block.attribute_span(name).or(other).unwrap_or(block.span()).clone()
}
