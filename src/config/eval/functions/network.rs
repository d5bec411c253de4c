//! IP networks in CIDR notation.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simfleet_provider_api::{Number, Value};

use super::{Arguments, Call, Function, Outcome, Problem, number, string};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("cidrhost", &[string("prefix"), number("hostnum")], cidrhost),
    Function::plain("cidrnetmask", &[string("prefix")], cidrnetmask),
    Function::plain(
        "cidrsubnet",
        &[string("prefix"), number("newbits"), number("netnum")],
        cidrsubnet,
    ),
    Function::plain("cidrsubnets", &[string("prefix")], cidrsubnets).and(number("newbits")),
];

/// A network: the bits of its address, how many of them there are, and how many are the network's.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    size: u32,
    prefix: u32,
}

impl Network {
    fn parse(args: &[Value]) -> Result<Self, Problem> {
        let problem = || Problem::Argument(0, "it must be a network such as 10.0.0.0/16".to_owned());
        let (address, prefix) = args.text(0).split_once('/').ok_or_else(problem)?;
        let address = without_zeros(address);
        let (bits, size) = match address.parse::<IpAddr>().map_err(|_| problem())? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(problem());
        }
        let prefix: u32 = prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= size)
            .ok_or_else(problem)?;
        Ok(Network {
            bits: bits & !ones(size - prefix),
            size,
            prefix,
        })
    }

    fn address(self) -> IpAddr {
        match u32::try_from(self.bits) {
            Ok(bits) if self.size == 32 => Ipv4Addr::from_bits(bits).into(),
            _ => Ipv6Addr::from_bits(self.bits).into(),
        }
    }

    fn text(self) -> Value {
        format!("{}/{}", self.address(), self.prefix).into()
    }
}

/// Returns an address whose decimal parts have no leading zeros: they are decimal with them too.
fn without_zeros(address: &str) -> Cow<'_, str> {
    let start = address.rfind(':').map_or(0, |colon| colon + 1);
    let (before, decimal) = address.split_at(start);
    if !decimal.contains('.') {
        return address.into();
    }
    let part = |part: &str| match part.trim_start_matches('0') {
        "" => part.get(..1).unwrap_or_default().to_owned(),
        rest => rest.to_owned(),
    };
    let parts: Vec<String> = decimal.split('.').map(part).collect();
    format!("{before}{}", parts.join(".")).into()
}

/// Returns a number whose lowest bits are set.
fn ones(count: u32) -> u128 {
    1u128.checked_shl(count).map_or(u128::MAX, |bit| bit - 1)
}

fn whole(number: &Number) -> Option<i128> {
    if !number.is_integer() {
        return None;
    }
    number.to_string().parse().ok()
}

fn cidrhost(args: &[Value], _: &Call<'_>) -> Outcome {
    let network = Network::parse(args)?;
    let host_bits = network.size - network.prefix;
    let hosts = ones(host_bits);
    let problem = || {
        Problem::Argument(
            1,
            format!("a prefix of {} does not have that many hosts", network.prefix),
        )
    };
    let number = whole(args.number(1)).ok_or_else(|| Problem::Argument(1, "it must be a whole number".into()))?;
    // Counted from the end where it is negative.
    let host = match u128::try_from(number) {
        Ok(host) => Some(host).filter(|host| *host <= hosts),
        Err(_) => hosts.checked_sub(number.unsigned_abs() - 1),
    };
    let host = host.ok_or_else(problem)?;
    Ok(Network {
        bits: network.bits | host,
        ..network
    }
    .address()
    .to_string()
    .into())
}

fn cidrnetmask(args: &[Value], _: &Call<'_>) -> Outcome {
    let network = Network::parse(args)?;
    if network.size != 32 {
        return Err(Problem::Argument(0, "IPv6 networks have no netmask".into()));
    }
    let mask = ones(32) & !ones(32 - network.prefix);
    Ok(Network { bits: mask, ..network }.address().to_string().into())
}

fn new_prefix(network: Network, args: &[Value], index: usize) -> Result<u32, Problem> {
    let bits = args.whole(index)?;
    let bits = u32::try_from(bits).map_err(|_| Problem::Argument(index, "it must not be negative".into()))?;
    network
        .prefix
        .checked_add(bits)
        .filter(|prefix| *prefix <= network.size)
        .ok_or_else(|| {
            let left = network.size - network.prefix;
            Problem::Argument(
                index,
                format!("a prefix of {} can be extended by {left} bits only", network.prefix),
            )
        })
}

fn cidrsubnet(args: &[Value], _: &Call<'_>) -> Outcome {
    let network = Network::parse(args)?;
    let prefix = new_prefix(network, args, 1)?;
    let bits = prefix - network.prefix;
    let number = whole(args.number(2)).and_then(|number| u128::try_from(number).ok());
    let number = number
        .filter(|number| *number <= ones(bits))
        .ok_or_else(|| Problem::Argument(2, format!("it must be a whole number that {bits} bits hold")))?;
    let shifted = number.checked_shl(network.size - prefix).unwrap_or(0);
    Ok(Network {
        bits: network.bits | shifted,
        prefix,
        ..network
    }
    .text())
}

/// By how many bits `cidrsubnets` extends a prefix at the most, as in Terraform.
const MAX_NEW_BITS: i64 = 32;

/// Consecutive networks, each at the next address that its size allows.
fn cidrsubnets(args: &[Value], _: &Call<'_>) -> Outcome {
    let network = Network::parse(args)?;
    let end = network.bits | ones(network.size - network.prefix);
    let mut next = Some(network.bits);
    let mut subnets = Vec::new();
    for index in 1..args.len() {
        if args.whole(index)? < 1 {
            return Err(Problem::Argument(
                index,
                "it must extend the prefix by at least one bit".into(),
            ));
        }
        if args.whole(index)? > MAX_NEW_BITS {
            let detail = format!("it must not extend the prefix by more than {MAX_NEW_BITS} bits");
            return Err(Problem::Argument(index, detail));
        }
        let prefix = new_prefix(network, args, index)?;
        let inside = ones(network.size - prefix);
        let start = next.and_then(|next| Some(next.checked_add(inside)? & !inside));
        let start = start.filter(|start| *start | inside <= end).ok_or_else(|| {
            Problem::Argument(
                index,
                format!("there is not enough room left for a subnet with a prefix of {prefix}"),
            )
        })?;
        next = (start | inside).checked_add(1);
        subnets.push(
            Network {
                bits: start,
                prefix,
                ..network
            }
            .text(),
        );
    }
    Ok(Value::list(subnets))
}
