//! Ports that a container publishes, as they are written: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, as Docker has it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::blocks::Protocol;

/// One port of a container, and the port of its host that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The addresses of the host at which it is reached; that of all is `0.0.0.0`.
    pub address: IpAddr,
    /// The port of the host; without it the engine chooses one.
    pub host: Option<u16>,
    /// The port in the container.
    pub container: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl Published {
    /// Returns a port that is reached at all addresses of its host.
    pub fn at_all(host: u16, container: u16, protocol: Protocol) -> Self {
        Published {
            address: Ipv4Addr::UNSPECIFIED.into(),
            host: Some(host),
            container,
            protocol,
        }
    }
}

/// In full: `0.0.0.0:8080:80/tcp`, and `0.0.0.0::80/tcp` where the engine chooses.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:")?,
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
        }
        if let Some(host) = self.host {
            write!(f, "{host}")?;
        }
        write!(f, ":{}/{}", self.container, self.protocol.as_str())
    }
}

/// Returns the ports that a text means, one for each of a range; `None` where it means none.
pub fn parse(text: &str) -> Option<Vec<Published>> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some(_) => return None,
        None => (text, Protocol::Tcp),
    };
    let (rest, container) = match ports.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, ports),
    };
    let (address, host) = match rest.map(|rest| rest.rsplit_once(':').unwrap_or(("", rest))) {
        Some((address, host)) => (address, host),
        None => ("", ""),
    };
    let address = match address.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(inner) => IpAddr::V6(inner?.parse().ok()?),
        // One address without a port of the host: `127.0.0.1::80`.
        None if address.is_empty() => Ipv4Addr::UNSPECIFIED.into(),
        None => IpAddr::V4(address.parse().ok()?),
    };
    let container = range(container)?;
    let hosts: Vec<Option<u16>> = match host {
        "" => container.clone().map(|_| None).collect(),
        host => range(host)?.map(Some).collect(),
    };
    if hosts.len() != container.len() {
        return None;
    }
    let published = hosts.into_iter().zip(container).map(|(host, container)| Published {
        address,
        host,
        container,
        protocol,
    });
    Some(published.collect())
}

/// Returns the ports from one to another: `8000-8010`, or one.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let range = port(from)?..=port(to)?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_written_in_full() {
        for (written, full) in [
            ("80", &["0.0.0.0::80/tcp"][..]),
            ("8080:80", &["0.0.0.0:8080:80/tcp"]),
            ("127.0.0.1:53:5353/udp", &["127.0.0.1:53:5353/udp"]),
            ("127.0.0.1::80", &["127.0.0.1::80/tcp"]),
            (":80", &["0.0.0.0::80/tcp"]),
            ("[::1]:8080:80", &["[::1]:8080:80/tcp"]),
            (
                "8000-8001:9000-9001/udp",
                &["0.0.0.0:8000:9000/udp", "0.0.0.0:8001:9001/udp"],
            ),
            ("9000-9001", &["0.0.0.0::9000/tcp", "0.0.0.0::9001/tcp"]),
        ] {
            let ports = parse(written).expect(written);
            assert_eq!(
                ports.iter().map(Published::to_string).collect::<Vec<_>>(),
                full,
                "{written}"
            );
            for port in full {
                assert_eq!(parse(port).map(|again| again.len()), Some(1), "{port} means itself");
            }
        }
    }

    #[test]
    fn what_is_no_published_port_is_refused() {
        for wrong in [
            "",
            ":",
            "80:",
            "0:80",
            "80:0",
            "80:80/sctp",
            "host:80:80",
            "1:2:3:4",
            "8000-8001:80",
            "8001-8000:8001-8000",
            "80:70000",
            "::1:80:80",
            "[::1:80:80",
            "127.0.0.1:80:80:80",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
