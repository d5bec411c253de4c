//! Forms of strings: what an address, a range of ports or a topic looks like.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::scale::Starts;

/// What a string must look like.
#[derive(Debug)]
pub struct Form {
    /// What it is, for "must be …" and the reference documentation: `a CIDR block`.
    pub name: &'static str,
    /// One that fits.
    pub example: &'static str,
    /// Whether a text fits.
    pub fits: fn(&str) -> bool,
}

/// `10.0.0.0/16`, `fd00::/8`.
pub static CIDR: Form = Form {
    name: "a CIDR block",
    example: "10.0.0.0/16",
    fits: |text| {
        text.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        })
    },
};

/// `22`, `14560-14570`.
pub static PORTS: Form = Form {
    name: "a port or a range of ports",
    example: "14560-14570",
    fits: |text| match text.split_once('-') {
        Some((from, to)) => matches!((port(from), port(to)), (Some(from), Some(to)) if from <= to),
        None => port(text).is_some(),
    },
};

/// `1883:1883`, `127.0.0.1:53:5353/udp`, `8000-8010:8000-8010`: as Docker publishes a port.
pub static PUBLISHED: Form = Form {
    name: "a published port, HOST:CONTAINER",
    example: "8080:80",
    fits: |text| super::published::parse(text).is_some(),
};

/// `/var/lib/data`
pub static INSIDE: Form = Form {
    name: "an absolute path",
    example: "/var/lib/data",
    fits: |text| text.starts_with('/') && text.len() > 1,
};

/// `/dev/kvm`, `/dev/ttyUSB0:/dev/ttyS1:rw`: as Docker hands a device of the host to a container.
pub static DEVICE: Form = Form {
    name: "a device, HOST:CONTAINER:PERMISSIONS",
    example: "/dev/kvm:/dev/kvm:rwm",
    fits: |text| device(text).is_some(),
};

/// Returns a device in full: `/dev/kvm:/dev/kvm:rwm`.
pub fn device(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_path = |path: &str| path.starts_with('/');
    let may = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, permissions] if may(permissions) => (*host, *host, *permissions),
        [host, container] => (*host, *container, "rwm"),
        [host, container, permissions] if may(permissions) => (*host, *container, *permissions),
        _ => return None,
    };
    (is_path(host) && is_path(container)).then(|| format!("{host}:{container}:{permissions}"))
}

/// `broker`, `db.lab`: what others call a container in its networks.
pub static ALIAS: Form = Form {
    name: "a name of letters, digits, `-`, `_` and `.`",
    example: "broker",
    fits: |text| text.split('.').all(is_label),
};

/// Whether a text is a part of a name that DNS takes. Resolvers take `_`, too.
fn is_label(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_end = |c: Option<char>| c.is_some_and(|c| c != '-');
    text.len() <= LONGEST_LABEL && text.chars().all(is_part) && is_end(text.chars().next()) && !text.ends_with('-')
}

/// The longest part of a name that DNS takes.
const LONGEST_LABEL: usize = 63;

/// Returns a name that DNS takes. One that it takes stays as it is; another one gets an end that tells it apart from those
/// that differ in what is left out only.
pub fn alias(name: &str) -> String {
    if (ALIAS.fits)(name) {
        return name.to_owned();
    }
    let mut readable = String::new();
    for c in name.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => readable.push(c),
            _ if !readable.is_empty() && !readable.ends_with('-') => readable.push('-'),
            _ => {}
        }
    }
    let digest = Sha256::digest(name);
    let end: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    readable.truncate(LONGEST_LABEL - 1 - end.len());
    match readable.trim_end_matches('-') {
        "" => end,
        readable => format!("{readable}-{end}"),
    }
}

/// `1024`, `1024:2048`: a limit of the system, soft and hard.
pub static LIMIT: Form = Form {
    name: "a limit, SOFT:HARD",
    example: "1024:2048",
    fits: |text| limit(text).is_some(),
};

/// Returns a limit in full: `1024:1024`.
pub fn limit(text: &str) -> Option<String> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    // There is no limit where it is -1.
    let number = |text: &str| text.parse::<i64>().ok().filter(|limit| *limit >= -1);
    let (soft, hard) = (number(soft)?, number(hard)?);
    let fits = hard == -1 || (soft != -1 && soft <= hard);
    fits.then(|| format!("{soft}:{hard}"))
}

/// `NET_ADMIN`, `CAP_NET_ADMIN`, `ALL`: a capability of Linux.
pub static CAPABILITY: Form = Form {
    name: "a capability",
    example: "NET_ADMIN",
    fits: |text| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == '_'),
};

/// Returns a capability as engines name it: `NET_ADMIN`.
pub fn capability(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    upper.strip_prefix("CAP_").map(str::to_owned).unwrap_or(upper)
}

/// As [`ENGINE_AT`], or `agent+ssh://user@host`: how a host is reached that simulators run on.
pub static RUNTIME: Form = Form {
    name: "where a Docker engine is, unix:///path, tcp://host:port or ssh://user@host, or an agent, agent+ssh://user@host",
    example: "ssh://ann@lab",
    fits: |text| match text.strip_prefix("agent+") {
        Some(far) => far.starts_with("ssh://") && (ENGINE_AT.fits)(far),
        None => (ENGINE_AT.fits)(text),
    },
};

/// `unix:///run/docker.sock`, `tcp://host:2376`, `ssh://user@host`: where a Docker engine is.
pub static ENGINE_AT: Form = Form {
    name: "where a Docker engine is: unix:///path, tcp://host:port or ssh://user@host",
    example: "ssh://ann@lab",
    fits: |text| match text.split_once("://") {
        Some(("unix", path)) => path.starts_with('/') && path.len() > 1,
        Some(("tcp", to)) => to
            .rsplit_once(':')
            .is_some_and(|(host, last)| !host.is_empty() && port(last).is_some()),
        Some(("ssh", to)) => !to.is_empty() && !to.starts_with('-') && !to.contains('/'),
        _ => false,
    },
};

/// `tcp://lab`, `http://lab:2375`: as [`ENGINE_AT`], and what the docker client takes beside it.
pub static ENGINE: Form = Form {
    fits: |text| match text.split_once("://") {
        Some(("tcp" | "http" | "https", to)) => match to.trim_end_matches('/') {
            "" => false,
            to => to.rsplit_once(':').is_none_or(|(host, _)| !host.is_empty()),
        },
        _ => (ENGINE_AT.fits)(text.trim_end_matches('/')),
    },
    ..ENGINE_AT
};

/// `127.0.0.1:8080`, `[::1]:8080`, `:8443`: where a server listens.
pub static LISTEN: Form = Form {
    name: "an address and a port",
    example: "127.0.0.1:8080",
    fits: |text| {
        let address = text.rsplit_once(':').filter(|(_, last)| port(last).is_some());
        address.is_some_and(|(address, _)| {
            let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
            address.is_empty() || bare.unwrap_or(address).parse::<IpAddr>().is_ok()
        })
    },
};

/// `http://…`, `https://…`.
pub static URL: Form = Form {
    name: "a URL",
    example: "https://example.net/hook",
    fits: |text| has_host(text, &["http", "https"]),
};

/// `https://fleet.example.net`: where a page is from, as browsers say it.
pub static ORIGIN: Form = Form {
    name: "an origin, without a path",
    example: "https://fleet.example.net",
    fits: |text| {
        let rest = text.split_once("://").map(|(_, rest)| rest);
        has_host(text, &["http", "https"]) && rest.is_some_and(|rest| !rest.contains(['/', '?', '#']))
    },
};

/// `/`, `/fleet`, `/lab/fleet`.
pub static BASE_PATH: Form = Form {
    name: "a path",
    example: "/fleet",
    fits: |text| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        text.starts_with('/') && text.chars().all(is_plain) && !text.contains("//")
    },
};

/// `mqtt://…`, `mqtts://…`, `ws://…`, `wss://…`.
pub static BROKER: Form = Form {
    name: "the URL of an MQTT broker",
    example: "mqtt://localhost:1883",
    fits: |text| has_host(text, &["mqtt", "mqtts", "ws", "wss"]),
};

/// 64 hexadecimal digits.
pub static SHA256: Form = Form {
    name: "a SHA-256 in hexadecimal",
    example: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    fits: |text| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
};

/// The IANA name of a time zone.
pub static TIMEZONE: Form = Form {
    name: "the IANA name of a time zone",
    example: "Europe/Berlin",
    fits: |text| jiff::tz::TimeZone::get(text).is_ok(),
};

/// A duration, or `cron(MINUTE HOUR DAY MONTH WEEKDAY)`.
pub static RHYTHM: Form = Form {
    name: "a duration or a cron expression",
    example: "cron(0 8 * * 1)",
    fits: |text| match text.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) {
        Some(fields) => Starts::cron(fields).is_ok(),
        None => super::units::duration(text).is_ok_and(|every| !every.is_zero()),
    },
};

/// A name of an event, the last parts of it as `*`: `pool.scaled_down`, `alert.*`.
pub static EVENT: Form = Form {
    name: "the name of an event",
    example: "pool.scaled_down",
    fits: |text| {
        let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        text.strip_suffix(".*").unwrap_or(text).split('.').all(is_part) || text == "*"
    },
};

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn has_host(text: &str, schemes: &[&str]) -> bool {
    // What is read loosely elsewhere, `https:///host`, is a mistake here.
    let is_plain = text.split_once("://").is_some_and(|(scheme, rest)| {
        schemes.contains(&scheme) && rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')
    });
    is_plain && reqwest::Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_fit_what_they_name() {
        let cases: &[(&Form, &[&str], &[&str])] = &[
            (
                &CIDR,
                &["0.0.0.0/0", "fd00::/8"],
                &["10.0.0.0", "10.0.0.0/33", "host/8", "10.0.0/8"],
            ),
            (&PORTS, &["22", "1-2"], &["0", "5-4", "70000", "a", ""]),
            (
                &PUBLISHED,
                &["53:53/udp", "127.0.0.1:1:2", "80", "1-2:3-4"],
                &["80:0", "h:80:80", "80:80/sctp", "1-2:3"],
            ),
            (&INSIDE, &["/a"], &["", "/", "a", "./a"]),
            (
                &DEVICE,
                &["/dev/kvm", "/dev/kvm:r", "/dev/a:/dev/b"],
                &["", "kvm", "/dev/a:b:rw", "/dev/a:/dev/b:x"],
            ),
            (
                &ALIAS,
                &["a", "x_1.lab", "10.0.0.1"],
                &["", "a b", "-a", "a-", "a..b", "é", "a/b"],
            ),
            (&LIMIT, &["1", "-1", "10:-1"], &["", "a", "2:1", "-1:5", "-2"]),
            (&CAPABILITY, &["ALL", "cap_net_raw"], &["", "NET ADMIN", "1"]),
            (
                &RUNTIME,
                &["unix:///a", "tcp://h:1", "ssh://h", "ssh://a@h:22", "agent+ssh://a@h"],
                &[
                    "",
                    "h",
                    "unix://a",
                    "tcp://h",
                    "ssh://",
                    "ssh://-o",
                    "agent+https://h:8443",
                    "agent+ssh://",
                    "agent+unix:///a",
                ],
            ),
            (
                &ENGINE,
                &["unix:///a", "tcp://h", "https://h:1/", "tcp://[::1]", "ssh://a@h/"],
                &["", "h", "/a", "unix://a", "tcp://", "tcp://:1", "ssh://", "foo://h"],
            ),
            (
                &LISTEN,
                &[":8443", "[::1]:80", "0.0.0.0:1"],
                &["8080", "host:80", "127.0.0.1:0"],
            ),
            (
                &URL,
                &["http://h/p", "https://[::1]:8443/"],
                &["h", "ftp://h", "https://", "https:///h", "http://h:99999", "http://a b"],
            ),
            (&BROKER, &["mqtts://h:8883"], &["http://h", "h:1883"]),
            (&SHA256, &[], &["abc", ""]),
            (&TIMEZONE, &["UTC"], &["Berlin", ""]),
            (
                &RHYTHM,
                &["1h", "cron(*/5 0-6,22 * * 1,3)"],
                &["0s", "cron(0 8 * *)", "cron(60 8 * * *)", "daily"],
            ),
            (&EVENT, &["*", "alert.*"], &["", "alert*", "a..b", "a b"]),
        ];
        for (form, good, bad) in cases {
            for text in good.iter().chain([&form.example]) {
                assert!((form.fits)(text), "{text:?} is {}", form.name);
            }
            for text in *bad {
                assert!(!(form.fits)(text), "{text:?} is not {}", form.name);
            }
        }
    }

    #[test]
    fn names_are_made_such_that_dns_takes_them() {
        for (name, expected) in [
            ("rover-0", "rover-0"),
            ("rover-10.0.0.1", "rover-10.0.0.1"),
            ("rover-a b", "rover-a-b-"),
            ("rover-a/b", "rover-a-b-"),
            ("é", ""),
        ] {
            let alias = alias(name);
            assert!(alias.starts_with(expected) && (ALIAS.fits)(&alias), "{name}: {alias}");
        }
        let long = "x".repeat(100);
        assert_eq!(alias(&long).len(), LONGEST_LABEL);
        assert_ne!(alias("a b"), alias("a/b"));
    }
}
