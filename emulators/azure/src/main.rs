//! The emulator as a program: listens until it is interrupted, and tells where in one line of JSON.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use simfleet_azure_emulator::{Emulator, Options, Pass, Tls};

/// An in-memory Azure Resource Manager, for tests without an account.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Also speaks TLS, at a free port, with a certificate made for loopback, and writes that to this file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Also speaks TLS with this certificate
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "ca_file")]
    cert: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// What everything is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time stands still until it is advanced
    #[arg(long)]
    time_on_demand: bool,
    /// How many objects a page of a list has
    #[arg(long, default_value_t = 100)]
    page: usize,
    /// The Retry-After of operations, in seconds
    #[arg(long)]
    retry_after: Option<u64>,
    /// The range that public addresses are drawn from
    #[arg(long, value_name = "CIDR", default_value = "20.0.0.0/8", value_parser = range)]
    public_addresses: (Ipv4Addr, u8),
    /// What stands for a virtual machine while it runs: a command and its arguments, at the end
    #[arg(last = true, value_name = "COMMAND")]
    machine: Vec<String>,
}

/// Reads `20.0.0.0/8`: 8 to 28 bits.
fn range(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let parsed = text.split_once('/').and_then(|(first, bits)| {
        let (first, bits) = (first.parse::<Ipv4Addr>().ok()?, bits.parse::<u8>().ok()?);
        let is_range = (8..=28).contains(&bits) && u32::from(first) << bits == 0;
        is_range.then_some((first, bits))
    });
    parsed.ok_or_else(|| "it is no range of IPv4 addresses with 8 to 28 bits".to_owned())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mut options = Options {
        listen: arguments.listen,
        seed: arguments.seed,
        page: arguments.page,
        public_addresses: arguments.public_addresses,
        ..Options::default()
    };
    options.pace.retry_after = arguments.retry_after;
    if arguments.time_on_demand {
        options.pass = Pass::OnDemand;
    }
    options.tls = match (arguments.ca_file, arguments.cert, arguments.key) {
        (Some(ca_file), ..) => Some(Tls::SelfMade { ca_file }),
        (None, Some(cert), Some(key)) => Some(Tls::Given { cert, key }),
        _ => None,
    };
    options.machine_command = (!arguments.machine.is_empty()).then_some(arguments.machine);
    let told = serde_json::json!({
        "subscription": options.subscriptions.keys().next(), "tenant": options.tenant,
        "client_id": options.clients.keys().next(), "client_secret": options.clients.values().next(),
    });
    let emulator = Emulator::start(options).await?;
    let mut told = told;
    told["url"] = emulator.url.clone().into();
    told["tls_url"] = emulator.tls_url.clone().into();
    println!("{told}");
    simfleet_azure_emulator::until_interrupted().await;
    Ok(())
}
