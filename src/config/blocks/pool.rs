//! `pool`: n alike machines.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::Value;

use super::load_balancer::{self, AzureBalancer, Nginx};
use super::node::{self, Node};
use super::scale::autoscale::{self, Autoscale};
use super::scale::warnings;
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The attribute that names what is adopted, and what that is called in it.
pub(in crate::config) const IMPORT: &str = "import";
const SCALE_SET_ID: &str = "scale_set_id";
const INSTANCE_POOL_ID: &str = "instance_pool_id";

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
    /// How members wait that are there sooner than new ones.
    WarmState {
        /// Stopped.
        Stopped = "stopped",
        /// Stopped, with what they were doing saved.
        Saved = "saved",
        /// They do not.
        None = "none",
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
    /// The members that wait.
    pub warm: Warm,
    /// What spreads requests over the members.
    pub load_balancer: Option<Nginx>,
    /// The load balancer of Azure that does.
    pub azure_balancer: Option<AzureBalancer>,
    /// The zones that members are spread over.
    pub zones: Vec<Arc<str>>,
    /// How they are spread.
    pub spread: Spread,
    /// What a member costs an hour.
    pub price_hourly: Option<f64>,
    /// How many members may be away at once for a replacement, in percent; one may always be.
    pub disruption_budget: f64,
    /// The pool of a cloud that exists and is adopted.
    pub import: Option<Adopts>,
}

/// A pool of a cloud that exists. Only its size becomes ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopts {
    /// The scale set in Azure with this id, in lower case.
    ScaleSet(Arc<str>),
    /// The instance pool in OCI with this id.
    InstancePool(Arc<str>),
    /// One that is not known before something is made: what its id depends on.
    Unknown(Arc<str>),
}

impl Adopts {
    /// Returns its id, or what that depends on.
    pub fn id(&self) -> &Arc<str> {
        match self {
            Adopts::ScaleSet(id) | Adopts::InstancePool(id) | Adopts::Unknown(id) => id,
        }
    }
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

/// Members that wait, and are there sooner than new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warm {
    /// How they wait.
    pub state: WarmState,
    /// How many.
    pub size: u64,
}

impl Default for Warm {
    fn default() -> Self {
        Warm {
            state: WarmState::None,
            size: 0,
        }
    }
}

impl Warm {
    /// Returns how many members wait; none where they do not.
    pub fn members(self) -> u64 {
        match self.state {
            WarmState::None => 0,
            WarmState::Stopped | WarmState::Saved => self.size,
        }
    }

    fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (state, size) = (reader.take("state"), reader.take("size"));
        let warm = || {
            Some(Warm {
                state: state?,
                size: size?,
            })
        };
        let warm = warm();
        reader.finish(warm)
    }
}

pub(super) fn schema() -> BlockSchema {
    let schema = BlockSchema::new("pool", "Machines that are all alike, as many as are needed.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::strings("zones", "the zones that members are spread over"),
            AttributeSchema::one_of("spread", Spread::WORDS, "how members are spread over the zones")
                .default("balanced"),
            AttributeSchema::number("price_hourly", 0.0, f64::MAX, "what a member costs an hour"),
            AttributeSchema::new(
                "disruption_budget",
                AttributeType::Percent,
                "how many members may be away at once for a replacement, in percent; one may always be",
            )
            .default(10u64),
            AttributeSchema::string_map(
                IMPORT,
                "the pool of a cloud that exists, which is adopted with its size: scale_set_id",
            ),
        ])
        .attributes(
            [
                AttributeSchema::strings("members", "the machines that there are, for scale_by = \"power\""),
                AttributeSchema::one_of(
                    "scale_by",
                    &["create", "power"],
                    "whether members are made or switched on",
                ),
                AttributeSchema::string("compartment_id", "the compartment of OCI that it is in"),
            ]
            .map(AttributeSchema::later),
        )
        .nested(node::template("What each member is; what is adopted needs none."), 0, 1)
        .once(autoscale::schema())
        .optional(drain_schema())
        .optional(warm())
        .rule(members)
        .rule(warnings::beyond_budget)
        .resource(&[
            ("name", "its name"),
            ("size", "how many members it has"),
            ("members", "its members, by name"),
            ("public_ip", "the public address of its load balancer \"azure\""),
        ]);
    load_balancer::schemas().into_iter().fold(schema, BlockSchema::optional)
}

fn warm() -> BlockSchema {
    BlockSchema::new("warm", "Members that wait, and are there sooner than new ones.").attributes([
        AttributeSchema::one_of("state", WarmState::WORDS, "how they wait").required(),
        AttributeSchema::count("size", 0, "how many").default(0u64),
    ])
}

/// What is switched on must be there, each once, and be enough.
fn members(record: &Record, found: &mut Diagnostics) {
    let is_switched = record.get("scale_by").and_then(Value::as_str) == Some("power");
    let given = record.get("members");
    if !is_switched {
        return;
    }
    let mut wrong = |name, detail: String| {
        let span = record.attribute_span(name).unwrap_or(record.span()).clone();
        found.push(Diagnostic::error("E24 members do not fit", detail).at(span));
    };
    if given.is_some_and(Value::is_unknown) {
        return;
    }
    let names = given.and_then(Value::as_slice).unwrap_or_default();
    if names.is_empty() {
        return wrong(
            "members",
            "`scale_by` is \"power\", so `members` must name the machines.".to_owned(),
        );
    }
    let mut seen = BTreeSet::new();
    for name in names.iter().filter_map(Value::as_str) {
        if !seen.insert(name) {
            wrong("members", format!("{name:?} is in `members` twice."));
        }
    }
    let max = record
        .blocks("autoscale")
        .next()
        .and_then(|autoscale| autoscale.get("max")?.as_u64());
    if let Some(max) = max.filter(|max| *max > names.len() as u64) {
        wrong(
            "members",
            format!("`max` is {max}, more than the {} machines that there are.", names.len()),
        );
    }
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
        let node = template(&mut reader);
        // It must be there, which was checked with the block.
        let autoscale = reader.block("autoscale", Autoscale::decode).flatten();
        let drain = reader.block("drain", Drain::decode);
        let warm = reader.block("warm", Warm::decode);
        let load_balancers = reader.blocks("load_balancer", Nginx::decode);
        let of_azure = reader.blocks("load_balancer", AzureBalancer::decode);
        let zones = reader.maybe::<Vec<Arc<str>>>("zones");
        let (spread, price_hourly) = (reader.take("spread"), reader.maybe::<f64>("price_hourly"));
        let disruption_budget = reader.take("disruption_budget");
        let import = adopts(&mut reader);
        if let Some(autoscale) = &autoscale
            && autoscale.budget.is_some()
            && price_hourly == Some(None)
            // Of a size of a cloud a plan may know the price.
            && !has_size(reader.record())
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
                warm: warm?.unwrap_or_default(),
                load_balancer: load_balancers?.into_iter().flatten().next(),
                azure_balancer: of_azure?.into_iter().flatten().next(),
                zones: zones?.unwrap_or_default(),
                spread: spread?,
                price_hourly: price_hourly?,
                disruption_budget: disruption_budget?,
                import: import?,
            })
        };
        let pool = pool();
        reader.finish(pool)
    }
}

/// Whether members are machines of a size in the words of their provider.
fn has_size(pool: &Record) -> bool {
    let mut templates = pool.blocks("node");
    templates.any(|node| node.get("size").is_some_and(|size| !size.is_null()))
}

/// Reads which pool of a cloud is adopted.
fn adopts(reader: &mut Reader<'_>) -> Option<Option<Adopts>> {
    let Some(import) = reader.record().get(IMPORT).filter(|import| !import.is_null()).cloned() else {
        return Some(None);
    };
    let mut refuse = |summary: &'static str, detail: String, hint: &'static str| {
        reader.error(Diagnostic::error(summary, detail).hint(hint), IMPORT);
    };
    const HINT: &str = "import = { scale_set_id = \"/subscriptions/…/virtualMachineScaleSets/NAME\" }";
    if let Some(origin) = import.unknown_origin() {
        return Some(Some(Adopts::Unknown(origin.to_string().into())));
    }
    if import.has_sensitive() {
        let detail = format!("`{IMPORT}` is sensitive, but plans show it.");
        refuse(
            "Sensitive value",
            detail,
            "what env() gives is sensitive: nonsensitive(env(\"NAME\")) is not",
        );
        return None;
    }
    let fields = import.as_fields().into_iter().flatten();
    let fields: Vec<(&str, &str)> = fields
        .map(|(name, id)| (&**name, id.as_str().unwrap_or_default()))
        .collect();
    match fields[..] {
        [(SCALE_SET_ID, id)] if !id.is_empty() => {
            let id = id.trim_end_matches('/').to_lowercase();
            Some(Some(Adopts::ScaleSet(id.into())))
        }
        [(INSTANCE_POOL_ID, id)] if !id.is_empty() => Some(Some(Adopts::InstancePool(id.into()))),
        _ => {
            let names: Vec<String> = fields.iter().map(|(name, _)| format!("`{name}`")).collect();
            let has = match names.is_empty() {
                true => "nothing".to_owned(),
                false => names.join(" and "),
            };
            let detail = format!("`{IMPORT}` names one pool of a cloud, by its `{SCALE_SET_ID}`; it has {has}.");
            refuse("Invalid value", detail, HINT);
            None
        }
    }
}

/// Reads the template of members. What is adopted is there already, and needs none.
fn template(reader: &mut Reader<'_>) -> Option<Node> {
    let is_adopted = reader.record().get(IMPORT).is_some_and(|import| !import.is_null());
    match reader.block("node", Node::decode)? {
        Some(node) => Some(node),
        None if is_adopted => Some(Node::default()),
        None => {
            let span = reader.record().span().clone();
            let diagnostic = Diagnostic::error("Missing block", "`pool` lacks the block `node`.").at(span);
            reader.push(diagnostic.hint("add node { … }"));
            None
        }
    }
}

impl From<Drain> for simfleet_state::Drain {
    fn from(drain: Drain) -> Self {
        simfleet_state::Drain {
            timeout: drain.timeout,
            wait_for: match drain.wait_for {
                WaitFor::Connections => simfleet_state::WaitFor::Connections,
                WaitFor::Simulators => simfleet_state::WaitFor::Simulators,
                WaitFor::Lease => simfleet_state::WaitFor::Lease,
            },
        }
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
