//! How a machine is logged in to, and its Docker engine, which is reached that way.

use std::borrow::Cow;

use simfleet_provider_api::{Address, Attributes, Value};
use simfleet_state::{Login, ProviderConfig, State};

use super::super::workload::{format_value, record};
use super::super::{Lowering, Objects, host, name_of};
use super::{IP_PART, NIC_PART, USER, boot, is_of, is_one, user};
use crate::config::{Declaration, Record};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::placeholder;

/// Where a machine is logged in to unless `ssh` says otherwise.
const AT: &str = "{public_ip}";
/// The port at which that is.
const PORT: u64 = 22;

/// Returns the engine of a node or a member of a pool: the one that answers where it is logged in to. `None` of what is no such
/// machine.
pub(in crate::lower) fn engine_of(
    lowering: &Lowering<'_>,
    declaration: &Declaration,
    host: &Address,
) -> Result<Option<ProviderConfig>, Diagnostics> {
    if !declares_machine(lowering, declaration) {
        return Ok(None);
    }
    if let Some(import) = declaration.body.attribute("import") {
        let detail = format!(
            "{} adopts a scale set, and how its instances are logged in to is not known.",
            declaration.address
        );
        let diagnostic = Diagnostic::error("No engine there", detail).on(lowering.address.clone());
        let hint = format!(
            "place it on a pool that simfleet makes; {} only has its size kept",
            declaration.address
        );
        return Err(diagnostic.at(import.value_span.clone()).hint(hint).into());
    }
    let record = (lowering.of_host)(host)?;
    let machine = lowering.objects.attributes(host).unwrap_or_default();
    let settings = Attributes::from_iter([
        ("host", runtime(host, &machine, record.as_ref(), lowering.objects)),
        ("ssh", files(host, record.as_ref(), &machine)),
    ]);
    Ok(Some(ProviderConfig {
        name: host::PROVIDER.into(),
        settings,
    }))
}

/// Returns the agent of a node or a member of a pool, which is reached over a login. `None` of what is no such machine, or has
/// none.
pub(in crate::lower) fn agent_of(
    lowering: &Lowering<'_>,
    declaration: &Declaration,
    host: &Address,
) -> Result<Option<Attributes>, Diagnostics> {
    if !declares_machine(lowering, declaration) {
        return Ok(None);
    }
    let record = (lowering.of_host)(host)?;
    if !record.as_ref().is_some_and(boot::has_agent) {
        return Ok(None);
    }
    let machine = lowering.objects.attributes(host).unwrap_or_default();
    let login = runtime(host, &machine, record.as_ref(), lowering.objects);
    Ok(Some(Attributes::from_iter([
        ("runtime", format_value(&login, |login| format!("agent+{login}"))),
        ("ssh", files(host, record.as_ref(), &machine)),
    ])))
}

/// Whether a block declares such machines.
pub(in crate::lower) fn declares_machine(lowering: &Lowering<'_>, declaration: &Declaration) -> bool {
    let is_one = matches!(declaration.address.block(), "node" | "pool");
    let named = declaration.meta.provider.as_ref();
    is_one && named.is_some_and(|named| is_of(lowering, &named.name))
}

/// Returns where the engine of a machine is. Without what is declared of it, where that is as a rule.
pub(super) fn runtime(host: &Address, machine: &Attributes, record: Option<&Record>, objects: &dyn Objects) -> Value {
    let own = |name: &str| of_ssh(record?, name);
    let user = match record {
        Some(record) => user(record),
        None => machine.str("admin_user").unwrap_or(USER).into(),
    };
    let at = own("host").unwrap_or_else(|| AT.into());
    let port = own("port").and_then(|port| port.as_u64()).filter(|port| *port != PORT);
    if let Some(unknown) = [&user, &at].into_iter().find(|value| value.is_unknown()) {
        return unknown.clone();
    }
    let mut at = at.as_str().unwrap_or(AT).replace("{member}", &name_of(host));
    for (placeholder, part, name) in [
        ("{public_ip}", IP_PART, "address"),
        ("{private_ip}", NIC_PART, "private_ip"),
    ] {
        if !at.contains(placeholder) {
            continue;
        }
        let address = of_part(host, part, name, objects);
        match address.as_str() {
            Some(address) => at = at.replace(placeholder, address),
            None => return address,
        }
    }
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    format_value(&user, |user| format!("ssh://{user}@{at}{port}"))
}

/// Returns the files of a login. A machine that is made has a key that nobody has seen: it is known by the name that no other
/// machine ever has, and not by an address that others have had before it.
fn files(host: &Address, record: Option<&Record>, machine: &Attributes) -> Value {
    let file = |name: &str| record.and_then(|record| of_ssh(record, name)).unwrap_or(Value::NULL);
    let known_hosts = file("known_hosts");
    let alias = match known_hosts.is_null() {
        true => machine
            .get("azure_name")
            .cloned()
            .unwrap_or_else(|| Value::unknown(format!("{host}.azure_name"))),
        false => Value::NULL,
    };
    self::record([
        ("key", file("key")),
        ("known_hosts", known_hosts),
        ("host_key_alias", alias),
    ])
}

/// Returns how a machine is logged in to by whoever looks whether it is healthy; its placeholders are filled in then.
pub(in crate::lower) fn login(record: &Record) -> Result<Login, Value> {
    let text = |name: &str| match of_ssh(record, name) {
        Some(value) if value.is_unknown() => Err(value),
        value => Ok(value.and_then(|value| value.as_str().map(str::to_owned))),
    };
    let user = user(record);
    let user = match user.as_str() {
        Some(user) => user.to_owned(),
        None => return Err(user),
    };
    Ok(Login {
        user,
        host: text("host")?.unwrap_or_else(|| AT.to_owned()),
        port: of_ssh(record, "port")
            .and_then(|port| port.as_u64())
            .and_then(|port| u16::try_from(port).ok()),
        key: text("key")?,
        known_hosts: text("known_hosts")?,
    })
}

/// Refuses a login that is kept as a secret: whoever looks later, with the state alone, needs it.
pub(super) fn refuse_secrets(lowering: &Lowering<'_>, record: &Record) -> Result<(), Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    for block in record.blocks("ssh") {
        for name in ["user", "host", "port", "key", "known_hosts"] {
            if block.get(name).is_some_and(Value::is_sensitive) {
                let detail =
                    format!("`{name}` is kept in the state, to reach the machine later, so it cannot be sensitive.");
                let diagnostic = Diagnostic::error("Invalid value", detail).on(lowering.address.clone());
                let at = block.attribute_span(name).unwrap_or(block.span()).clone();
                let hint = "what env() gives is sensitive: nonsensitive(env(\"NAME\")) is not";
                diagnostics.push(diagnostic.at(at).hint(hint));
            }
        }
    }
    diagnostics.or(()).map(drop)
}

/// Returns how the agent of a machine is reached, where it has one and that is known.
pub(in crate::lower) fn login_of_agent(record: &Record) -> Option<Login> {
    boot::has_agent(record).then(|| login(record).ok()).flatten()
}

/// Returns what is recorded or seen of a machine together with where its parts say that it is, and where its agent is reached:
/// what a look at it needs.
pub fn with_parts<'a>(host: &Address, machine: &'a Attributes, state: &State) -> Cow<'a, Attributes> {
    if !is_one(machine) {
        return Cow::Borrowed(machine);
    }
    let mut whole = machine.clone();
    for (name, part, of_it) in [
        ("public_ip", IP_PART, "address"),
        ("private_ip", NIC_PART, "private_ip"),
    ] {
        let value = of_part(host, part, of_it, state);
        whole.set(name, if value.is_known() { value } else { Value::NULL });
    }
    let agent = state.resources.get(host).and_then(|it| it.declared.agent.as_ref());
    // Without an address there is nothing to be reached yet.
    if let Some(Ok(login)) = agent.map(|login| placeholder::login(login, host, &whole)) {
        whole.set("runtime", format!("agent+ssh://{login}"));
        whole.set("ssh", login.settings());
    }
    Cow::Owned(whole)
}

/// Returns an attribute of a part of a machine.
pub(super) fn of_part(host: &Address, part: &str, name: &str, objects: &dyn Objects) -> Value {
    let part = host.part(part);
    let attributes = objects.attributes(&part);
    let value = attributes.and_then(|attributes| attributes.get(name).cloned());
    value.unwrap_or_else(|| Value::unknown(format!("{part}.{name}")))
}

fn of_ssh(record: &Record, name: &str) -> Option<Value> {
    let value = record.blocks("ssh").next()?.get(name)?.clone();
    (!value.is_null()).then_some(value)
}
