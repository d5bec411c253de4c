//! `simfleet version`.

use clap::Args;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::run::Run;
use crate::providers::Registry;
use crate::view::FORMAT_VERSION;

/// Print the version, and the providers of this build
#[derive(Debug, Args)]
pub(super) struct Version {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Version {
    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let version = env!("CARGO_PKG_VERSION");
        let registry = Registry::built_in();
        let providers: Vec<&str> = registry.names().collect();
        if self.json {
            run.terminal.print_json(&json!({
                "format_version": FORMAT_VERSION,
                "simfleet_version": version,
                "providers": providers,
            }))?;
        } else {
            run.terminal
                .print(&format!("simfleet {version}\nproviders: {}\n", providers.join(", ")))?;
        }
        Ok(Exit::Success)
    }
}
