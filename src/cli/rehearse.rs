//! `simfleet rehearse`: a load trace through a pool's policy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::exit::{Exit, Failure};
use super::flags::{Looking, duration};
use super::run::Run;
use crate::config::Config;
use crate::config::blocks::{Block, Pool};
use crate::config::{Instance, Names, NoResources, ProviderBlock};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower::price;
use crate::providers::Registry;
use crate::rehearse::{Capacity, Rehearsal, Settings, Trace, replay};
use crate::view::rehearsal as view;

/// Replay a load trace through a pool's policy, before it meets a real load
///
/// The decision is the one that `simfleet watch` will make. The trace is CSV with the columns `timestamp` and `value`. Without
/// --capacity, the trace is scaled so that its peak needs the most members that the pool has.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet rehearse --trace load.csv --pool web --capacity 560
  simfleet rehearse lab.hcl --trace load.csv --pool web --against other.hcl --plot web.svg")]
pub(super) struct Rehearse {
    /// The fleet: a file, or a folder with all its *.hcl files
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The load over time: CSV with the columns `timestamp` and `value`
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// The pool
    #[arg(long, value_name = "NAME")]
    pool: String,
    /// How much a member serves, in the unit of the trace
    #[arg(long, value_name = "VALUE", conflicts_with = "peak", value_parser = positive)]
    capacity: Option<f64>,
    /// How many members the peak of the trace needs (what is exceeded 0.05 % of the time is no peak)
    #[arg(long, value_name = "MEMBERS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    peak: Option<u64>,
    /// How long a member takes until it serves
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    boot: Duration,
    /// A fleet with another policy for the pool, to compare with
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Write a picture of size and load over time
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    looking: Looking,
}

impl Rehearse {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let text = std::fs::read_to_string(&self.trace).map_err(|error| {
            Failure::io(
                "The trace cannot be read",
                format!("`{}`", self.trace.display()),
                &error,
            )
        })?;
        let trace = Trace::parse(&text).map_err(|error| {
            let diagnostic = Diagnostic::error("Invalid trace", format!("`{}`: {error}.", self.trace.display()));
            diagnostic.hint("for example:\ntimestamp,value\n2026-06-01T12:00:00Z,120\n2026-06-01T12:01:00Z,135")
        })?;
        let mut rehearsals = Vec::new();
        for path in [Some(&self.path), self.against.as_ref()].into_iter().flatten() {
            let config = self.looking.load(run, path.clone())?;
            let pool = self.declared(&config, path)?;
            check_length(&trace, &pool, &self.trace)?;
            rehearsals.push((path.display().to_string(), replay(&pool, &trace, &self.settings(&pool))));
        }
        let named: Vec<(&str, &Rehearsal)> = rehearsals.iter().map(|(name, one)| (name.as_str(), one)).collect();
        let pool = format!("pool.{}", self.pool);
        if let Some(plot) = &self.plot {
            std::fs::write(plot, view::svg(&pool, &named)).map_err(|error| {
                Failure::io("The picture cannot be written", format!("`{}`", plot.display()), &error)
            })?;
        }
        match self.json {
            true => run.terminal.print_json(&view::json(&pool, &named))?,
            false => run.terminal.print(&view::render(&pool, &named, run.terminal.out))?,
        }
        Ok(Exit::Success)
    }

    fn settings(&self, pool: &Pool) -> Settings {
        Settings {
            capacity: match self.capacity {
                Some(capacity) => Capacity::Of(capacity),
                None => Capacity::Peak(self.peak.unwrap_or(pool.autoscale.max).max(1)),
            },
            boot: self.boot,
        }
    }

    /// Returns the pool as a fleet declares it.
    fn declared(&self, config: &Config, path: &Path) -> Result<Pool, Failure> {
        let Some(declared) = config.declaration("pool", &[&self.pool]) else {
            let pools = config
                .declarations
                .iter()
                .map(|declaration| declaration.address.to_string());
            let pools: Vec<String> = pools
                .filter_map(|address| Some(address.strip_prefix("pool.")?.to_owned()))
                .collect();
            let detail = format!("There is no pool {:?} in `{}`.", self.pool, path.display());
            let diagnostic = Diagnostic::error("Unknown pool", detail);
            return Err(diagnostic.nearest(&self.pool, pools.iter().map(String::as_str)).into());
        };
        let names = Names::new(config, &NoResources);
        let record = declared.evaluate(&names.scope(Instance::default()))?;
        match declared.decode(&record)? {
            Block::Pool(mut pool) => {
                let settings = |block: &ProviderBlock| block.evaluate(&names.scope(Instance::default()));
                price(&mut pool, config, &Registry::built_in(), (declared, &record), &settings)?;
                Ok(*pool)
            }
            _ => Err(Diagnostics::from(Diagnostic::error(
                "Unknown pool",
                format!("{:?} is no pool.", self.pool),
            ))
            .into()),
        }
    }
}

/// The most decisions that are rehearsed: two years of them, one every 15 s.
const MOST: u64 = 4_200_000;

fn check_length(trace: &Trace, pool: &Pool, path: &Path) -> Result<(), Failure> {
    let interval = pool.autoscale.evaluation_interval.as_secs_f64();
    let count = trace.count(interval);
    if count <= MOST {
        return Ok(());
    }
    let detail = format!(
        "`{}` is {count} decisions long, one every {interval} s; {MOST} are the most.",
        path.display()
    );
    let hint = "are all its timestamps seconds, and none milliseconds?";
    Err(Diagnostic::error("Trace too long", detail).hint(hint).into())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}
