//! Forms of strings: what an address, a range of ports or a topic looks like.

use std::net::IpAddr;

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

/// `1883:1883`, `127.0.0.1:53:5353/udp`: as Docker publishes a port.
pub static PUBLISHED: Form = Form {
    name: "a published port, HOST:CONTAINER",
    example: "8080:80",
    fits: |text| {
        let ports = text.strip_suffix("/tcp").or(text.strip_suffix("/udp")).unwrap_or(text);
        let mut parts = ports.rsplitn(3, ':');
        let are_ports = parts.by_ref().take(2).filter_map(port).count() == 2;
        are_ports && parts.next().is_none_or(|address| address.parse::<IpAddr>().is_ok())
    },
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
        Some(fields) => is_cron(fields),
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
    text.split_once("://").is_some_and(|(scheme, rest)| {
        schemes.contains(&scheme) && rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')
    })
}

/// Whether a text is five fields of numbers, `*`, ranges, lists and steps, each within its bounds.
fn is_cron(text: &str) -> bool {
    const BOUNDS: [(u8, u8); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let fields: Vec<&str> = text.split_whitespace().collect();
    let is_part = |part: &str, (from, to): (u8, u8)| {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let number = |text: &str| text.parse::<u8>().ok().filter(|number| (from..=to).contains(number));
        let is_range = match range.split_once('-') {
            _ if range == "*" => true,
            Some((first, last)) => matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last),
            None => number(range).is_some(),
        };
        is_range && step.is_none_or(|step| step.parse::<u8>().is_ok_and(|step| step > 0))
    };
    let is_field = |(field, bounds): (&&str, (u8, u8))| field.split(',').all(|part| is_part(part, bounds));
    fields.len() == BOUNDS.len() && fields.iter().zip(BOUNDS).all(is_field)
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
                &["53:53/udp", "127.0.0.1:1:2"],
                &["80", "80:0", "h:80:80", "80:80/sctp"],
            ),
            (
                &LISTEN,
                &[":8443", "[::1]:80", "0.0.0.0:1"],
                &["8080", "host:80", "127.0.0.1:0"],
            ),
            (&URL, &["http://h/p"], &["h", "ftp://h", "https://"]),
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
}
