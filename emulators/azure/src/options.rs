//! How an emulator is set up.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Pass;

/// How an emulator is set up. The default is what most tests want: loopback, no TLS, operations of some milliseconds.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What TLS is spoken with, at an address of its own beside the plain one.
    pub tls: Option<Tls>,
    /// What all that is drawn is drawn from: ids, addresses, and which calls a fault with a chance meets.
    pub seed: u64,
    /// How time goes.
    pub pass: Pass,
    /// How long things take.
    pub pace: Pace,
    /// How many objects a page of a list has.
    pub page: usize,
    /// In which order lists without one are answered.
    pub order: Order,
    /// The subscriptions, by id, each with its name.
    pub subscriptions: BTreeMap<String, String>,
    /// The directory that tokens are of.
    pub tenant: String,
    /// Who may have tokens: client ids, each with its secret.
    pub clients: BTreeMap<String, String>,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// How many calls a subscription has; without it only faults throttle.
    pub throttle: Option<Throttle>,
    /// How many cores a region has, all families together, and each.
    pub cores: u64,
    /// The range that public addresses are drawn from: its first one, and how many bits of it are fixed, 8 to 28. What stands
    /// for machines can be reached there, where it is one of this machine's.
    pub public_addresses: (Ipv4Addr, u8),
    /// What stands for a virtual machine while it runs: a command, which gets a directory as its last argument.
    pub machine_command: Option<Vec<String>>,
}

/// In which order lists without one, such as rules, are answered, and in which case references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As they were sent.
    #[default]
    AsSent,
    /// Turned round, and names of groups in references in upper case.
    Turned,
}

/// What TLS is spoken with.
#[derive(Debug, Clone)]
pub enum Tls {
    /// A certificate that is made for loopback, and written to this file, for clients to trust it.
    SelfMade {
        /// Where it is written.
        ca_file: PathBuf,
    },
    /// Files in the PEM format.
    Given {
        /// The certificate and those of its issuers.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// How long things take, in the time of the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// A change of something in a network, in milliseconds.
    pub network_ms: u64,
    /// A virtual machine or a scale set made or changed, in milliseconds.
    pub compute_ms: u64,
    /// A disk made or changed, in milliseconds.
    pub disk_ms: u64,
    /// A deletion, in milliseconds.
    pub delete_ms: u64,
    /// After how long an operation whose machine does not boot gives up, in milliseconds.
    pub boot_timeout_ms: u64,
    /// How long lists lag behind, in milliseconds.
    pub list_lag_ms: u64,
    /// For how long what was just created is not found by a GET, in milliseconds.
    pub get_lag_ms: u64,
    /// The `Retry-After` of operations in seconds; none is sent without it.
    pub retry_after: Option<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            network_ms: 20,
            compute_ms: 60,
            disk_ms: 20,
            delete_ms: 40,
            boot_timeout_ms: 20 * 60 * 1_000,
            list_lag_ms: 0,
            get_lag_ms: 0,
            retry_after: None,
        }
    }
}

/// A bucket of calls for each of reads, writes and deletes of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// How many calls a full bucket has.
    pub bucket: u32,
    /// How many are added each second.
    pub refill: u32,
}

/// The only subscription of the default.
pub const SUBSCRIPTION: &str = "11111111-1111-4111-8111-111111111111";
/// The directory of the default.
pub const TENANT: &str = "22222222-2222-4222-8222-222222222222";
/// The service principal of the default.
pub const CLIENT: &str = "33333333-3333-4333-8333-333333333333";
/// The secret of [`CLIENT`]: this is no secret, there is nothing behind it.
pub const CLIENT_SECRET: &str = "emulated~secret";

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            tls: None,
            seed: 1,
            pass: Pass::Real,
            pace: Pace::default(),
            page: 100,
            order: Order::AsSent,
            subscriptions: BTreeMap::from([(SUBSCRIPTION.to_owned(), "Emulated".to_owned())]),
            tenant: TENANT.to_owned(),
            clients: BTreeMap::from([(CLIENT.to_owned(), CLIENT_SECRET.to_owned())]),
            token_lifetime: Duration::from_secs(3_600),
            throttle: None,
            cores: 100_000,
            public_addresses: (Ipv4Addr::new(20, 0, 0, 0), 8),
            machine_command: None,
        }
    }
}
