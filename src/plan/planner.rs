//! From a configuration, a state and observations to a plan. Pure, and the same bytes every time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use simfleet_provider_api::Address;
use simfleet_state::{Event, Snapshot, State};

use super::beside::{deposed, interrupts, pools, unfinished};
use super::cost::Costs;
use super::disruption;
use super::hold::{Holding, Holds};
use super::moments::Moments;
use super::moves::Basis;
use super::session::Session;
use super::{Action, Plan, Reason, Selection};
use crate::config::blocks::{Alert, Metrics, Pool, Webhook};
use crate::config::{Config, Moment};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::lower::{Decided, Ruling};
use crate::providers::Registry;
use crate::refresh::Observations;

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To bring the fleet to what is declared.
    Apply,
    /// To remove everything.
    Destroy,
    /// To record what is there, and change nothing.
    Refresh,
}

/// All that a plan is made of, beside the state and the observations.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// What is declared.
    pub config: &'a Config,
    /// The providers of this build.
    pub registry: &'a Registry,
    /// What the plan is for.
    pub mode: Mode,
    /// Resources that are made anew, whatever they look like.
    pub replace: &'a BTreeSet<Address>,
    /// What of the fleet the plan is about.
    pub selection: &'a Selection,
    /// What it makes of holds.
    pub holds: Holds,
    /// What the scaler has decided and found out.
    pub ruling: &'a Ruling,
    /// When it is made: some holds last until a time, some bounds hold at some times.
    pub at: Timestamp,
    /// What it makes of what depends only on when it is made.
    pub moments: Moments,
}

/// Where signals come from and go to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// Where metrics come from.
    pub metrics: BTreeMap<Address, Metrics>,
    /// Who is told of events.
    pub webhooks: BTreeMap<Address, Webhook>,
    /// What someone is told of.
    pub alerts: BTreeMap<Address, Alert>,
}

/// What is declared of the sizes of pools.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scaled {
    /// The pools.
    pub pools: BTreeMap<Address, Arc<Pool>>,
    /// Where signals come from and go to.
    pub signals: Signals,
}

/// A plan and all that is needed to carry it out.
#[derive(Debug)]
pub struct Planned<'a> {
    /// The plan.
    pub plan: Plan,
    /// The state that it was made from.
    pub snapshot: Snapshot,
    /// What was seen, by the addresses that are recorded.
    pub observations: Observations,
    /// What it was made from instead where something moves or is imported.
    pub basis: Option<Basis>,
    /// Answers what the plan could not know yet.
    pub session: Session<'a>,
    /// What should hold of the fleet, and does not.
    pub warnings: Diagnostics,
}

impl Planned<'_> {
    /// Returns the state that the plan was made from, with what moves at its new address.
    pub fn state(&self) -> &State {
        self.basis.as_ref().map_or(&self.snapshot.state, |basis| &basis.state)
    }

    /// Returns what is to be recorded before anything is done: what moves or is imported, and what was found out.
    pub fn facts(&self, registry: &Registry) -> Vec<Event> {
        let is_meant = |event: &&Event| match event {
            // Of a part of a fleet only that part is imported.
            Event::Adopted { address, .. } => self.plan.imports.contains_key(address),
            _ => true,
        };
        let seen = self.basis.as_ref().map_or(&self.observations, |basis| &basis.seen);
        let events = self.basis.iter().flat_map(|basis| &basis.events);
        let mut facts: Vec<Event> = events.filter(is_meant).cloned().collect();
        facts.extend(crate::apply::prepare(&self.plan, self.state(), seen, registry));
        facts
    }
}

impl<'a> Planner<'a> {
    /// Makes a plan.
    ///
    /// # Errors
    /// Everything of the configuration that cannot be planned.
    pub fn plan(&self, snapshot: Snapshot, observations: Observations) -> Result<Planned<'a>, Diagnostics> {
        // To leave out what is not acted on would plan something else than is written.
        if self.mode == Mode::Apply && self.config.unavailable.has_errors() {
            return Err(self.config.unavailable.clone());
        }
        let basis = match self.mode {
            Mode::Apply => self.basis(&snapshot.state, &observations)?,
            Mode::Destroy | Mode::Refresh => None,
        };
        let (state, seen) = match &basis {
            Some(basis) => (&basis.state, &basis.seen),
            None => (&snapshot.state, &observations),
        };
        let (session, mut work) = self.assess(state, seen, basis.as_ref())?;
        match self.mode {
            Mode::Apply => {
                work.undeclared();
                session.check_modules()?;
            }
            Mode::Destroy => work.undeclared(),
            Mode::Refresh => work.as_seen(),
        }
        let outputs = work.outputs(&session)?;
        let warnings = match self.mode {
            Mode::Apply => session.warnings(),
            Mode::Destroy | Mode::Refresh => Diagnostics::new(),
        };
        let (mut changes, drift) = work.finish();
        if self.mode != Mode::Refresh {
            changes.extend(deposed(state));
            changes.sort_by(|a, b| (&a.address, &a.deposed).cmp(&(&b.address, &b.deposed)));
        }
        let unplaced = session.layout.unplaced.clone();
        let (pools, ports) = match self.mode {
            Mode::Apply | Mode::Destroy => (pools(&session, state), session.layout.port_changes(state)),
            Mode::Refresh => Default::default(),
        };
        let mut plan = Plan {
            mode: self.mode,
            is_partial: false,
            lineage: snapshot.lineage.clone().unwrap_or_default(),
            serial: snapshot.state.serial,
            interrupts: interrupts(&changes, state, self.at),
            pools,
            ports,
            moves: basis.as_ref().map(|basis| basis.moves.clone()).unwrap_or_default(),
            imports: basis.as_ref().map(|basis| basis.imports.clone()).unwrap_or_default(),
            unfinished: unfinished(&snapshot),
            changes,
            drift,
            outputs,
            unplaced,
            rolls: Vec::new(),
            unheld: Vec::new(),
            deallocated: Vec::new(),
            costs: Costs::default(),
        };
        self.selection.apply(&mut plan)?;
        plan.costs = Costs::of(&plan.changes, &session.layout, self.registry);
        plan.rolls = disruption::rolls(&plan.changes, |pool| Some(session.layout.pools.get(pool)?.at_once));
        let holding = self.holding(state);
        plan.unheld = holding.ended(self.mode, &plan.changes, plan.is_partial);
        plan.deallocated = holding.deallocated(self.mode, &plan.changes, plan.is_partial);
        self.protected(&plan, state).or(())?;
        Ok(Planned {
            plan,
            snapshot,
            observations,
            basis,
            session,
            warnings,
        })
    }

    /// Returns the pools that are declared, and where signals come from and go to, each instance by itself.
    ///
    /// # Errors
    /// Everything of the configuration that cannot be planned.
    pub fn scaled(&self, state: &State) -> Result<Scaled, Diagnostics> {
        let session = Session::new(self, state, &Observations::new())?;
        let pools = session.layout.pools.into_iter();
        Ok(Scaled {
            pools: pools.map(|(address, members)| (address, members.declared)).collect(),
            signals: session.signals,
        })
    }

    /// Returns when what is declared is evaluated. What is to stay as it is recorded must be told from what is known.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            planned_at: (self.moments == Moments::Renew).then_some(self.at),
            applied: None,
        }
    }

    /// Returns what is decided of sizes.
    pub(super) fn decided<'s>(&'s self, seen: &'s Observations) -> Decided<'s> {
        Decided {
            ruling: self.ruling,
            at: self.at,
            seen,
        }
    }

    /// Returns by what it is told which holds last.
    pub(super) fn holding<'s>(&self, state: &'s State) -> Holding<'s> {
        let (at, holds) = (self.at, self.holds);
        Holding { state, at, holds }
    }

    /// Refuses to delete what is protected, by the configuration or by what was last applied of it.
    fn protected(&self, plan: &Plan, state: &State) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        for change in plan.changes.iter().filter(|change| change.deposed.is_none()) {
            let recorded = state.resources.get(&change.address);
            let was = recorded.is_some_and(|resource| resource.declared.prevent_destroy);
            let (is_protected, hint) = match change.action {
                Action::Replace => (
                    change.prevent_destroy,
                    "change it otherwise, or take prevent_destroy away",
                ),
                Action::Delete => (
                    was,
                    "declare it with prevent_destroy = false and apply that first, or give it up with a `removed` block",
                ),
                // What goes with its node, unless a `removed` block gives it up.
                Action::Forget if !change.reasons.contains(&Reason::Removed) => (
                    was,
                    "keep its node until it can be reached and the two can go in turn, or give it up with a `removed` block",
                ),
                _ => (false, ""),
            };
            if is_protected {
                let reason = change.reasons.first().map(ToString::to_string).unwrap_or_default();
                let verb = match change.action {
                    Action::Replace => "made anew",
                    Action::Forget => "lost with its node",
                    _ => "deleted",
                };
                let detail = format!(
                    "{} would be {verb}, as {reason}; it has prevent_destroy.",
                    change.address
                );
                let diagnostic = Diagnostic::error("Protected from deletion", detail).on(change.address.clone());
                diagnostics.push(diagnostic.at(self.span_of(&change.address)).hint(hint));
            }
        }
        diagnostics
    }

    fn span_of(&self, address: &Address) -> Option<Span> {
        Some(self.config.declaration_of(address)?.span.clone())
    }
}
