//! What a plan says: the changes, why, and what they interrupt.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Kind, ObjectId, Path, Token, Value};
use simfleet_state::{Allocation, DeposedKey, Drain, HealthCheck, Hold, Login, Port, ProviderConfig, Timeouts};

use super::Mode;
use super::cost::Costs;
use super::difference::same;
use super::disruption::Roll;
use super::hold::{EndedAllocation, EndedHold, HoldEnd, described};
use super::moves::Move;
use crate::diagnostic::Span;
use crate::lower::holds_data;

/// What an apply would do, and all that a person needs to agree to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The identity of the state that was read.
    pub lineage: Arc<str>,
    /// The serial of the state that was read.
    pub serial: u64,
    /// What it is for.
    pub mode: Mode,
    /// Whether it is about a part of the fleet only (`--target`, `--exclude`).
    pub is_partial: bool,
    /// Every resource, declared or recorded, in the order of addresses; no-ops too.
    pub changes: Vec<Change>,
    /// What was found to differ from what was recorded.
    pub drift: Vec<Drift>,
    /// The outputs, by name.
    pub outputs: BTreeMap<String, OutputChange>,
    /// What the changes stop for a while or for good.
    pub interrupts: Vec<Interrupt>,
    /// Changes that an earlier run began and did not finish: apply finishes them first.
    pub unfinished: Vec<Unfinished>,
    /// Simulators for which there is no place, and why.
    pub unplaced: Vec<Unplaced>,
    /// What has another address from now on.
    pub moves: Vec<Move>,
    /// The objects that become those of resources.
    pub imports: BTreeMap<Address, ObjectId>,
    /// The pools that get another size.
    pub pools: Vec<PoolChange>,
    /// Ports that are taken by something new, and ports that nothing has any more.
    pub ports: Vec<PortChange>,
    /// The pools of which more members are replaced than may be away at once.
    pub rolls: Vec<Roll>,
    /// The holds that end.
    pub unheld: Vec<EndedHold>,
    /// The allocations that end.
    pub deallocated: Vec<EndedAllocation>,
    /// What the machines cost.
    pub costs: Costs,
}

/// A port of a node that is taken or given back.
#[derive(Debug, Clone, PartialEq)]
pub enum PortChange {
    /// A simulator gets a port, and keeps it through replacements.
    Reserve {
        /// The simulator.
        address: Address,
        /// What the simulator calls it.
        name: Arc<str>,
        /// The node.
        host: Address,
        /// The port there.
        port: Port,
    },
    /// What had the port is no more.
    Release {
        /// What had it.
        address: Address,
        /// The node.
        host: Address,
        /// The port there.
        port: Port,
    },
}

/// A pool that gets another size, or its first one.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolChange {
    /// The pool.
    pub address: Address,
    /// How many members it has now; `None` where it is new.
    pub before: Option<u64>,
    /// How many members it will have.
    pub after: u64,
    /// Whether it is declared: one that is not is forgotten once its members are gone.
    pub is_declared: bool,
    /// The highest number that a member ever had; those that this plan makes come after it.
    pub numbered: u64,
    /// Why: `the least it may have`, `10 simulators need 3 members`.
    pub because: String,
}

impl PortChange {
    /// The resource that has or had the port.
    pub fn address(&self) -> &Address {
        match self {
            PortChange::Reserve { address, .. } | PortChange::Release { address, .. } => address,
        }
    }
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The resource.
    pub address: Address,
    /// The object, where it is not the current one: one that an earlier run replaced, and that is still to go.
    pub deposed: Option<DeposedKey>,
    /// Its kind, in the words of its provider.
    pub kind: Kind,
    /// What.
    pub action: Action,
    /// Why; the first one is the one that decided.
    pub reasons: Vec<Reason>,
    /// The attributes as they are now.
    pub before: Option<Attributes>,
    /// The attributes as they will be; unknown where only the apply will tell.
    pub after: Option<Attributes>,
    /// The paths that force a replacement.
    pub replace_because: Vec<Path>,
    /// The attributes that are sensitive by their schema.
    pub sensitive: Vec<Arc<str>>,
    /// The provider that has it now.
    pub provider_before: Option<ProviderConfig>,
    /// The provider that will have it; its settings can be unknown before apply.
    pub provider: Option<ProviderConfig>,
    /// What is wanted, canonical: what the provider is given. Unknown where it reads what only the apply will tell.
    pub wanted: Option<Attributes>,
    /// What must be there before it.
    pub depends_on: Vec<Address>,
    /// What it was made after: it is deleted before those are.
    pub depended_on: Vec<Address>,
    /// The node that it runs on from now on.
    pub hosted_on: Option<Address>,
    /// The node that it runs on now.
    pub was_hosted_on: Option<Address>,
    /// The schema version of `after`.
    pub schema_version: u32,
    /// The address that it is recorded by, where it moves.
    pub moved_from: Option<Address>,
    /// The object that becomes its own.
    pub imported: Option<ObjectId>,
    /// Whether what it will be may be deleted.
    pub prevent_destroy: bool,
    /// Whether its replacement is made before the old object goes.
    pub create_before_destroy: bool,
    /// Whether conditions of its block can only be told when it is made.
    pub is_unproven: bool,
    /// How long its operations may take.
    pub timeouts: Timeouts,
    /// How it is emptied before it goes, where it is a member of a pool.
    pub drain: Option<Drain>,
    /// Whether it is a member of a pool that waits after this, and has nothing to do meanwhile.
    pub waits: bool,
    /// How it is told whether it is healthy, where it is a node with a check: it is waited for.
    pub health_check: Option<Box<HealthCheck>>,
    /// How its agent is reached, where it is a machine with one that is logged in to.
    pub agent: Option<Box<Login>>,
    /// The hold that it is wanted by: somebody stopped or paused it by hand.
    pub held: Option<Hold>,
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted, then made anew; or made anew, then deleted ([`Change::is_made_first`]).
    Replace,
    /// It is deleted.
    Delete,
    /// It is dropped from the state; the object is left alone, or is gone with its host.
    Forget,
    /// It cannot be seen now, as its host is down, or an earlier run began something with it that has no end yet: that is
    /// finished, it is looked at once its host is there, and mended where needed.
    Check,
    /// Nothing.
    NoOp,
}

impl Change {
    /// The word for what is done with it, in JSON.
    pub fn word(&self) -> &'static str {
        match (self.action, &self.moved_from, &self.imported) {
            (Action::NoOp, Some(_), _) => "move",
            (Action::NoOp, None, Some(_)) => "import",
            _ => self.action.as_str(),
        }
    }

    /// Whether the new object is made before the old one goes.
    pub fn is_made_first(&self) -> bool {
        self.action == Action::Replace && self.create_before_destroy && !self.is_lost_with_host()
    }

    /// Whether it can only go with its node, where that goes: it cannot be asked to.
    pub fn is_lost_with_host(&self) -> bool {
        let is_unreachable = |reason: &Reason| matches!(reason, Reason::Unreachable { .. });
        match self.action {
            Action::Forget => true,
            Action::Replace => self.reasons.iter().any(is_unreachable),
            _ => false,
        }
    }
}

impl Action {
    /// The word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Replace => "replace",
            Action::Delete => "delete",
            Action::Forget => "forget",
            Action::Check => "check",
            Action::NoOp => "no-op",
        }
    }
}

/// Why a resource changes, or does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It is declared and was never made.
    New,
    /// It was recorded and is no longer declared.
    NotDeclared,
    /// Everything is to be destroyed.
    Destroy,
    /// It was recorded and is not there any more.
    Gone,
    /// An attribute is declared differently than it was applied.
    Declared {
        /// Which.
        path: Path,
        /// The line that says so.
        span: Option<Span>,
    },
    /// An attribute was changed by someone else.
    Drifted {
        /// Which.
        path: Path,
    },
    /// It does not run any more, although nobody stopped it.
    Ended {
        /// How it ended: `exit code 137, as it wanted more memory than it may have`.
        how: String,
    },
    /// An earlier change of it failed half-way, so it is made anew.
    Tainted,
    /// An earlier run began something with it, and its end is not known.
    Unfinished {
        /// What was begun: `create`, `update` or `delete`.
        verb: &'static str,
    },
    /// Something changes, and it is to be made anew with that (`replace_triggered_by`).
    Triggered {
        /// What changes.
        by: Address,
    },
    /// It is declared as `removed`.
    Removed,
    /// The node that it runs on is made anew or deleted.
    Host {
        /// That node.
        host: Address,
    },
    /// It runs on another node from now on.
    Moves {
        /// The node that it is on.
        from: Option<Address>,
        /// The node that it goes to.
        to: Option<Address>,
    },
    /// Another provider, or the same one configured differently, has it from now on.
    Provider,
    /// It cannot be reached, so it is left as it is.
    Unreachable {
        /// Why it cannot.
        reason: String,
    },
    /// Its pool grows or shrinks to another size.
    Size {
        /// Why, in words: `10 simulators need 3 members`.
        because: String,
    },
    /// It takes no part until the member of its pool is healthy again.
    Unhealthy {
        /// That member.
        member: Address,
    },
    /// It was asked for by name (`--replace`).
    Asked,
    /// An earlier run made its replacement, and did not come to delete it.
    Deposed,
    /// Somebody stopped or paused it by hand, and it is left so.
    Held {
        /// Who, and for how long.
        hold: Hold,
    },
    /// Somebody stopped or paused it by hand, and it is what is declared again.
    Unheld {
        /// How it was held.
        hold: Hold,
        /// Why that ends.
        why: HoldEnd,
    },
    /// It is stopped although it is to run, as it should be, until somebody starts it.
    Asleep {
        /// Why: `idle for 30m`.
        why: String,
    },
}

impl Change {
    /// Returns why it is stopped although it is to run, where it stays so.
    pub fn asleep(&self) -> Option<&str> {
        self.reasons.iter().find_map(|reason| match reason {
            Reason::Asleep { why } if self.action == Action::NoOp => Some(&**why),
            _ => None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::New => f.write_str("it is declared and not there yet"),
            Reason::NotDeclared => f.write_str("it is no longer declared"),
            Reason::Destroy => f.write_str("everything is destroyed"),
            Reason::Gone => f.write_str("it is gone"),
            Reason::Declared { path, span: Some(span) } => {
                let (line, _) = span.file.position(span.range.start);
                write!(f, "`{path}` changed at {}:{line}", span.file.path.display())
            }
            Reason::Declared { path, span: None } => write!(f, "`{path}` changed"),
            Reason::Drifted { path } => write!(f, "`{path}` was changed outside of simfleet"),
            Reason::Ended { how } => write!(f, "it does not run any more: {how}"),
            Reason::Tainted => f.write_str("an earlier change of it failed half-way"),
            Reason::Unfinished { verb } => write!(
                f,
                "an earlier run began to {verb} it, and what became of that is not known"
            ),
            Reason::Triggered { by } => write!(f, "{by} changes, which has it made anew"),
            Reason::Removed => f.write_str("a `removed` block says that it is managed no more"),
            Reason::Host { host } => write!(f, "its node {host} is made anew or deleted"),
            Reason::Unhealthy { member } => write!(f, "{member} is not healthy"),
            Reason::Moves {
                from: Some(from),
                to: Some(to),
            } => write!(f, "it moves from {from} to {to}"),
            Reason::Moves { .. } => f.write_str("it moves to another node"),
            Reason::Provider => f.write_str("its provider is configured differently"),
            Reason::Unreachable { reason } => write!(f, "it cannot be reached: {reason}"),
            Reason::Size { because } => f.write_str(because),
            Reason::Asked => f.write_str("its replacement was asked for"),
            Reason::Deposed => f.write_str("an earlier run replaced it, and did not come to delete it"),
            Reason::Held { hold } => write!(f, "it is held {}", described(hold)),
            Reason::Unheld { hold, why } => write!(f, "it was held {}: {why}", described(hold)),
            Reason::Asleep { why } => write!(f, "it is stopped until it is started: {why}"),
        }
    }
}

/// Something that differs from what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The resource.
    pub address: Address,
    /// Its kind.
    pub kind: Kind,
    /// What happened to it.
    pub what: DriftKind,
}

/// How an object differs from what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub enum DriftKind {
    /// It is not there any more.
    Gone,
    /// Some of its attributes are different.
    Changed(Vec<AttributeDrift>),
    /// It cannot be looked at.
    Unreachable {
        /// Why.
        reason: String,
    },
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeDrift {
    /// Which.
    pub path: Path,
    /// As recorded; `None` where it was absent.
    pub recorded: Option<Value>,
    /// As seen; `None` where it is absent.
    pub seen: Option<Value>,
}

/// What becomes of an output.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputChange {
    /// As recorded.
    pub before: Option<Value>,
    /// As it will be; unknown where only the apply will tell. `None` where it is no longer declared.
    pub after: Option<Value>,
    /// Whether it is declared as sensitive.
    pub sensitive: bool,
}

impl OutputChange {
    /// Whether an apply would record something else.
    pub fn is_change(&self) -> bool {
        // A sensitive output is recorded as a digest; one that waits for a simulator's place as what is not known.
        self.before != self.after && !same(self.after.as_ref(), self.before.as_ref())
    }
}

/// A running thing that a change stops.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupt {
    /// The simulator.
    pub address: Address,
    /// What is done with it.
    pub action: Action,
    /// That somebody has it for themselves.
    pub allocation: Option<Allocation>,
}

/// A change that an earlier run began and did not finish.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// The resource.
    pub address: Address,
    /// What was begun, in one word.
    pub action: &'static str,
    /// The token of the intent.
    pub token: Token,
    /// Who began it: `user@host, process 4711`.
    pub by: String,
    /// Whether that process still works on it.
    pub live: bool,
}

/// A simulator without a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Unplaced {
    /// The simulator.
    pub address: Address,
    /// The node or pool that it is to run on.
    pub on: Address,
    /// Why.
    pub reason: String,
}

/// How many resources are changed, by action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Looked at first, as what there is of them cannot be told now, and mended where needed.
    pub check: usize,
    /// Made anew.
    pub replace: usize,
    /// Deleted.
    pub delete: usize,
    /// Dropped from the state.
    pub forget: usize,
    /// Left alone.
    pub no_op: usize,
}

impl Plan {
    /// Counts the changes by action.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for change in &self.changes {
            *match change.action {
                Action::Create => &mut summary.create,
                Action::Update => &mut summary.update,
                Action::Check => &mut summary.check,
                Action::Replace => &mut summary.replace,
                Action::Delete => &mut summary.delete,
                Action::Forget => &mut summary.forget,
                Action::NoOp => &mut summary.no_op,
            } += 1;
        }
        summary
    }

    /// Returns the changes that lose data for good.
    pub fn irreversible(&self) -> impl Iterator<Item = &Change> {
        let goes = |change: &&Change| matches!(change.action, Action::Delete | Action::Replace);
        self.changes
            .iter()
            .filter(goes)
            .filter(|change| holds_data(&change.kind))
    }

    /// Returns what cannot be reached and is left as it is: whether it is as declared is not known.
    pub fn unseen(&self) -> impl Iterator<Item = &Address> {
        let is_unreachable = |reason: &Reason| matches!(reason, Reason::Unreachable { .. });
        self.changes
            .iter()
            .filter(move |change| change.action == Action::NoOp && change.reasons.iter().any(is_unreachable))
            .map(|change| &change.address)
    }

    /// Whether an apply would do or record nothing.
    pub fn is_empty(&self) -> bool {
        let is_news = |drift: &Drift| !matches!(drift.what, DriftKind::Unreachable { .. });
        self.changes.iter().all(|change| change.action == Action::NoOp)
            && !(self.mode == Mode::Refresh && self.drift.iter().any(is_news))
            && self.unfinished.is_empty()
            && self.pools.is_empty()
            && self.moves.is_empty()
            && self.imports.is_empty()
            && !self.outputs.values().any(OutputChange::is_change)
    }
}
