//! What a watch tells, and under which names that goes out.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use simfleet_provider_api::Address;
use simfleet_state::Allocation;

use crate::apply::{Outcome, Progress};
use crate::diagnostic::Diagnostics;
use crate::scale::Decision;
use crate::signals::alerts::Firing;
use crate::signals::{EventName, Severity};

/// What a watch tells.
#[derive(Debug)]
pub enum Told {
    /// It watches now.
    Watching {
        /// How many pools.
        pools: usize,
        /// How many resources are recorded.
        resources: usize,
    },
    /// It waits until the one that leads does not any more.
    StandsBy {
        /// Who leads.
        leader: String,
    },
    /// It leads now, where it had been ready to wait.
    Leads {
        /// Who led before, where it waited for somebody.
        after: Option<String>,
    },
    /// It is shown over HTTP.
    Listening {
        /// Where.
        address: SocketAddr,
        /// The URL of the page.
        url: String,
    },
    /// A pool was decided on, other than before.
    Decided {
        /// The pool.
        pool: Address,
        /// The decision.
        decision: Box<Decision>,
        /// Why, in words.
        because: String,
    },
    /// A source has begun to fail, or fails otherwise than before.
    SourceFailed {
        /// The pool.
        pool: Address,
        /// The check.
        check: String,
        /// Why.
        because: String,
    },
    /// A source answers again.
    SourceAnswers {
        /// The pool.
        pool: Address,
        /// The check.
        check: String,
    },
    /// Looks at a node find it unhealthy.
    Unhealthy {
        /// The node.
        node: Address,
        /// Why.
        because: String,
    },
    /// They find it healthy again.
    Healthy {
        /// The node.
        node: Address,
    },
    /// A node or a member of a pool cannot be reached. It is not taken for lost.
    Unreachable {
        /// The node.
        node: Address,
        /// Why.
        because: String,
    },
    /// It can be again.
    Reachable {
        /// The node.
        node: Address,
    },
    /// What a run does.
    Run(Progress),
    /// A run ended.
    Ran {
        /// What it was about.
        part: BTreeSet<Address>,
        /// How.
        outcome: Box<Outcome>,
    },
    /// Something is to be replaced or removed that somebody has for themselves: it waits until it is released.
    Kept {
        /// What.
        address: Address,
        /// Who has it.
        allocation: Allocation,
    },
    /// A run could not be made, or something else did not work; it is tried again.
    Failed {
        /// What did.
        event: EventName,
        /// The same, in words.
        message: String,
        /// What is known of the cause.
        because: Option<Diagnostics>,
        /// After how long it is tried again.
        again: Option<Duration>,
    },
    /// The files are other than what was last applied.
    Pending {
        /// What would be done to apply them, in words.
        message: String,
    },
    /// The files are as what is applied again.
    Settled,
    /// Members were made or removed.
    Scaled {
        /// The pool.
        pool: Address,
        /// Those that were made.
        made: BTreeSet<Address>,
        /// Those that were removed.
        gone: BTreeSet<Address>,
        /// Why the pool has that size, in words.
        because: String,
    },
    /// Members could not be made or removed.
    ScaleFailed {
        /// The pool.
        pool: Address,
        /// Which, and why.
        because: String,
    },
    /// A pool would be larger than it may be.
    AtMax {
        /// The pool.
        pool: Address,
        /// How large it may be.
        max: u64,
        /// Why it would be larger, in words.
        because: String,
    },
    /// It would not be any more.
    BelowMax {
        /// The pool.
        pool: Address,
    },
    /// What is recorded is not there any more, and nobody asked for that.
    Lost {
        /// What.
        address: Address,
    },
    /// It is there again, made anew or found.
    Found {
        /// What.
        address: Address,
    },
    /// A change has failed again and again.
    Stuck {
        /// What it is about: more than one thing where a whole run could not be made.
        part: BTreeSet<Address>,
        /// How often.
        failures: u32,
        /// How, the last time.
        because: String,
    },
    /// It works again, or is not asked for any more.
    Recovered {
        /// What it is about.
        part: BTreeSet<Address>,
    },
    /// An alert fires.
    AlertFiring {
        /// The alert.
        alert: Address,
        /// What it is about.
        on: Address,
        /// How bad it is, and why.
        firing: Firing,
        /// Webhooks that are told.
        notify: Vec<Address>,
    },
    /// It does not any more.
    AlertResolved {
        /// The alert.
        alert: Address,
        /// What it is about.
        on: Address,
        /// How it fired.
        firing: Firing,
        /// Webhooks that are told.
        notify: Vec<Address>,
    },
    /// A webhook did not take an event, after it took those before.
    WebhookFailed {
        /// The webhook.
        webhook: Address,
        /// Why.
        because: String,
    },
    /// It takes events again.
    WebhookDelivers {
        /// The webhook.
        webhook: Address,
        /// How many events it did not take until then.
        missed: u64,
    },
    /// More happened than it took: the oldest events are not sent.
    WebhookDropped {
        /// The webhook.
        webhook: Address,
    },
    /// The watch ended before all was sent.
    Undelivered {
        /// The webhook.
        webhook: Address,
        /// How many events it was not sent.
        events: usize,
    },
}

impl Told {
    /// Returns the name under which it goes out; `None` for what concerns nobody else.
    pub fn event(&self) -> Option<EventName> {
        use EventName as E;
        Some(match self {
            Told::Watching { .. } => E::WatchStarted,
            Told::StandsBy { .. } => E::WatchStandby,
            Told::Leads { .. } => E::WatchLeading,
            Told::Decided { .. } => E::PoolDecided,
            Told::SourceFailed { .. } => E::CheckNoData,
            Told::SourceAnswers { .. } => E::CheckAnswers,
            Told::Unhealthy { .. } => E::NodeUnhealthy,
            Told::Healthy { .. } => E::NodeHealthy,
            Told::Unreachable { .. } => E::NodeUnreachable,
            Told::Reachable { .. } => E::NodeReachable,
            Told::Run(Progress::Finished { .. }) => E::ChangeDone,
            Told::Run(Progress::Failed { .. }) => E::ChangeFailed,
            Told::Run(_) | Told::Listening { .. } => return None,
            Told::Ran { outcome, .. } => match outcome.failed.is_empty() && outcome.stopped_by.is_none() {
                true => E::RunEnded,
                false => E::RunFailed,
            },
            Told::Kept { .. } => E::SimulatorKept,
            Told::Failed { event, .. } => *event,
            Told::Pending { .. } => E::FleetPending,
            Told::Settled => E::FleetSettled,
            Told::Scaled { made, .. } => match made.is_empty() {
                true => E::PoolScaledDown,
                false => E::PoolScaledUp,
            },
            Told::ScaleFailed { .. } => E::PoolScaleFailed,
            Told::AtMax { .. } => E::PoolAtMax,
            Told::BelowMax { .. } => E::PoolBelowMax,
            Told::Lost { address } => of_kind(address, [E::NodeLost, E::MemberLost, E::SimulatorLost]),
            Told::Found { address } => of_kind(address, [E::NodeFound, E::MemberFound, E::SimulatorFound]),
            Told::Stuck { .. } => E::PartStuck,
            Told::Recovered { .. } => E::PartRecovered,
            Told::AlertFiring { .. } => E::AlertFiring,
            Told::AlertResolved { .. } => E::AlertResolved,
            Told::WebhookFailed { .. } => E::WebhookFailed,
            Told::WebhookDelivers { .. } => E::WebhookDelivers,
            Told::WebhookDropped { .. } => E::WebhookDropped,
            Told::Undelivered { .. } => E::WebhookUndelivered,
        })
    }

    /// Returns what it is about, where that is one thing.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Told::Decided { pool, .. }
            | Told::SourceFailed { pool, .. }
            | Told::SourceAnswers { pool, .. }
            | Told::Scaled { pool, .. }
            | Told::ScaleFailed { pool, .. }
            | Told::AtMax { pool, .. }
            | Told::BelowMax { pool } => Some(pool),
            Told::Unhealthy { node, .. }
            | Told::Healthy { node }
            | Told::Unreachable { node, .. }
            | Told::Reachable { node } => Some(node),
            Told::Lost { address } | Told::Found { address } | Told::Kept { address, .. } => Some(address),
            Told::AlertFiring { on, .. } | Told::AlertResolved { on, .. } => Some(on),
            // Of several, the first stands for all.
            Told::Stuck { part, .. } | Told::Recovered { part } => part.first(),
            Told::Run(Progress::Finished { address, .. } | Progress::Failed { address, .. }) => Some(address),
            Told::WebhookFailed { webhook, .. }
            | Told::WebhookDelivers { webhook, .. }
            | Told::WebhookDropped { webhook }
            | Told::Undelivered { webhook, .. } => Some(webhook),
            Told::Watching { .. }
            | Told::StandsBy { .. }
            | Told::Leads { .. }
            | Told::Listening { .. }
            | Told::Run(_)
            | Told::Ran { .. }
            | Told::Failed { .. }
            | Told::Pending { .. }
            | Told::Settled => None,
        }
    }
}

impl Told {
    /// Returns how bad it is, where it says so itself.
    pub fn severity(&self) -> Option<Severity> {
        match self {
            Told::AlertFiring { firing, .. } => Some(firing.severity),
            _ => None,
        }
    }

    /// Returns the webhooks that are told, whatever events they ask for.
    pub fn notify(&self) -> &[Address] {
        match self {
            Told::AlertFiring { notify, .. } | Told::AlertResolved { notify, .. } => notify,
            _ => &[],
        }
    }
}

/// Returns the event for a node, a member or a simulator.
fn of_kind(address: &Address, [node, member, simulator]: [EventName; 3]) -> EventName {
    match address.block() {
        "pool" => member,
        "simulator" => simulator,
        _ => node,
    }
}
