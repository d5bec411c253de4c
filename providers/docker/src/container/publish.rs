//! Ports of the host that lead to a container.

use std::str::FromStr;

/// One published port, as `IP:HOST:CONTAINER/PROTOCOL` says it in full; without a number for the host the engine chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) ip: String,
    pub(crate) host: Option<u16>,
    pub(crate) container: u16,
    pub(crate) protocol: String,
}

impl Published {
    /// Returns the port within, in the words of the engine: `80/tcp`.
    pub(crate) fn within(&self) -> String {
        format!("{}/{}", self.container, self.protocol)
    }
}

impl FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no published port: it must be IP:HOST:CONTAINER/PROTOCOL");
        let (ends, protocol) = text.rsplit_once('/').ok_or_else(wrong)?;
        let (rest, container) = ends.rsplit_once(':').ok_or_else(wrong)?;
        // An address of IPv6 has colons of its own.
        let (ip, host) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let is_protocol = matches!(protocol, "tcp" | "udp" | "sctp");
        let host = match host {
            "" => None,
            number => Some(number.parse().map_err(|_| wrong())?),
        };
        if !is_protocol {
            return Err(wrong());
        }
        Ok(Published {
            ip: ip.trim_start_matches('[').trim_end_matches(']').to_owned(),
            host,
            container: container.parse().map_err(|_| wrong())?,
            protocol: protocol.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Published;

    #[test]
    fn a_published_port_is_read_in_full() {
        let read = |text: &str| {
            text.parse::<Published>()
                .map(|it| (it.ip.clone(), it.host, it.within()))
        };
        let tcp = |ip: &str, host| Ok((ip.to_owned(), host, "80/tcp".to_owned()));
        assert_eq!(read("0.0.0.0:8080:80/tcp"), tcp("0.0.0.0", Some(8080)));
        assert_eq!(read("127.0.0.1::80/tcp"), tcp("127.0.0.1", None));
        assert_eq!(read("[::1]:8080:80/tcp"), tcp("::1", Some(8080)));
        for wrong in [
            "80",
            "8080:80",
            "0.0.0.0:8080:80",
            "0.0.0.0:99999:80/tcp",
            "0.0.0.0:1:80/icmp",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
