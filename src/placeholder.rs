//! What stands for something that is known only where a node is reached: `{private_ip}`, `{member}` …, and logins that have it.

use std::net::IpAddr;
use std::path::PathBuf;

use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Address, Attributes};
use simfleet_state::Login;

use crate::lower::{self, name_of};

/// Returns a text with its run-time placeholders filled in: `{member}` and `{name}` are what the node is called.
///
/// # Errors
/// It has no address, and that is asked for.
pub fn filled(text: &str, node: &Address, attributes: &Attributes) -> Result<String, String> {
    let name = name_of(node);
    let mut text = text
        .replace("{member}", &name)
        .replace("{name}", &name)
        .replace("{pool}", node.name());
    for (placeholder, name) in [("{private_ip}", "private_ip"), ("{public_ip}", "public_ip")] {
        if text.contains(placeholder) {
            let address = attributes
                .str(name)
                .map_or_else(|| private_ip(attributes), |it| Ok(in_url(it)))?;
            text = text.replace(placeholder, &address);
        }
    }
    Ok(text)
}

/// Returns where a node is reached, as it stands in a URL.
pub(crate) fn private_ip(attributes: &Attributes) -> Result<String, String> {
    let address = lower::private_ip(attributes);
    address
        .as_str()
        .map(in_url)
        .ok_or_else(|| "it has no address".to_owned())
}

pub(crate) fn in_url(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{address}]"),
        _ => address.to_owned(),
    }
}

/// Returns a login on a node, as `ssh` is told it. A machine that is made has a key that nobody has seen: it is known by the name
/// that no other machine ever has.
///
/// # Errors
/// It has no address, and that is asked for.
pub fn login(login: &Login, node: &Address, attributes: &Attributes) -> Result<Ssh, String> {
    let host = filled(&login.host, node, attributes)?;
    Ok(Ssh {
        destination: format!("{}@{host}", login.user),
        port: login.port,
        key: login.key.as_ref().map(PathBuf::from),
        known_hosts: login.known_hosts.as_ref().map(PathBuf::from),
        host_key_alias: match login.known_hosts {
            Some(_) => None,
            None => attributes.str("azure_name").map(str::to_owned),
        },
    })
}
