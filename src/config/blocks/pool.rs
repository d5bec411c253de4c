//! `pool`: n alike machines.

use std::sync::Arc;
use std::time::Duration;

use super::node::{self, Node};
use super::scale::autoscale::{self, Autoscale};
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// What a member waits for before it goes.
    WaitFor {
        /// Its connections.
        Connections = "connections",
        /// Its simulators.
        Simulators = "simulators",
        /// Its lease.
        Lease = "lease",
    }
}

words! {
    /// How members are spread over zones.
    Spread {
        /// Evenly.
        Balanced = "balanced",
    }
}

/// n alike machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// What each member is.
    pub node: Node,
    /// How many members there are.
    pub autoscale: Autoscale,
    /// How a member is emptied before it goes.
    pub drain: Drain,
    /// The zones that members are spread over.
    pub zones: Vec<Arc<str>>,
    /// How they are spread.
    pub spread: Spread,
    /// What a member costs an hour.
    pub price_hourly: Option<f64>,
}

/// How a member is emptied before it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long is waited at most.
    pub timeout: Duration,
    /// What is waited for.
    pub wait_for: WaitFor,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            timeout: Duration::from_secs(30),
            wait_for: WaitFor::Connections,
        }
    }
}

const LATER: &[&str] = &["members", "scale_by", "import", "compartment_id"];

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("pool", "Machines that are all alike, as many as are needed.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::strings("zones", "the zones that members are spread over"),
            AttributeSchema::one_of("spread", Spread::WORDS, "how members are spread over the zones")
                .default("balanced"),
            AttributeSchema::number("price_hourly", 0.0, f64::MAX, "what a member costs an hour"),
        ])
        .attributes(LATER.iter().map(|name| AttributeSchema::later(name)))
        .once(node::template("What each member is."))
        .once(autoscale::schema())
        .optional(drain_schema())
        .any(BlockSchema::later("load_balancer"))
        .any(BlockSchema::later("warm"))
        .resource(&[
            ("name", "its name"),
            ("size", "how many members it has"),
            ("members", "its members, by name"),
        ])
}

fn drain_schema() -> BlockSchema {
    BlockSchema::new("drain", "How a member is emptied before it goes.").attributes([
        AttributeSchema::duration("timeout", "how long is waited at most").default("30s"),
        AttributeSchema::one_of("wait_for", WaitFor::WORDS, "what is waited for").default("connections"),
    ])
}

impl Pool {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        // Each must be there, which was checked with the block.
        let node = reader.block("node", Node::decode).flatten();
        let autoscale = reader.block("autoscale", Autoscale::decode).flatten();
        let drain = reader.block("drain", Drain::decode);
        let zones = reader.maybe::<Vec<Arc<str>>>("zones");
        let (spread, price_hourly) = (reader.take("spread"), reader.maybe::<f64>("price_hourly"));
        if let Some(autoscale) = &autoscale
            && autoscale.budget.is_some()
            && price_hourly == Some(None)
        {
            let detail = "A `budget` needs to know what a member costs.";
            let diagnostic = Diagnostic::error("E25 budget without a price", detail);
            reader.error(diagnostic.hint("set price_hourly in the pool"), "price_hourly");
        }
        let pool = || {
            Some(Pool {
                node: node?,
                autoscale: autoscale?,
                drain: drain?.unwrap_or_default(),
                zones: zones?.unwrap_or_default(),
                spread: spread?,
                price_hourly: price_hourly?,
            })
        };
        let pool = pool();
        reader.finish(pool)
    }
}

impl Drain {
    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (timeout, wait_for) = (reader.take("timeout"), reader.take("wait_for"));
        let drain = || {
            Some(Drain {
                timeout: timeout?,
                wait_for: wait_for?,
            })
        };
        let drain = drain();
        reader.finish(drain)
    }
}
