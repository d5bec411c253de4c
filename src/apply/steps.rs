//! The order of an apply: every change as one or two steps, with an edge from each step to those that must wait for it.

mod cycles;

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use simfleet_provider_api::Address;

use self::cycles::{Bond, break_cycles};
use super::Verb;
use crate::lower::served;
use crate::plan::{Action, Change, Plan, Roll, away, member_of};

/// One step: the change that it belongs to, and what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The index of the change in the plan.
    pub change: usize,
    /// What is done.
    pub verb: Verb,
}

/// The steps of a plan. An edge means "must happen before".
///
/// A node without a step is a gate: what needs all instances of a block waits at one gate for them, so that the number
/// of edges grows with the number of resources and not with its square. What does not change is a gate too.
#[derive(Debug)]
pub struct Steps {
    graph: Graph,
    waiting_for: Vec<usize>,
}

type Graph = DiGraph<Option<Step>, Bond>;

/// Where a change, or all that a gate stands for, is removed and made; both for a replacement only.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// Where a member is emptied, before what runs on it is removed.
    drain: Option<NodeIndex>,
    removal: Option<NodeIndex>,
    making: Option<NodeIndex>,
    /// A gate behind its making and that of all that needs it, directly or not: what is removed only after its replacement
    /// was made waits there. Only in plans that have such a thing.
    settled: Option<NodeIndex>,
}

impl Steps {
    /// Lays out the steps of a plan. The graph has no cycle: the planner refuses a configuration with one, and of what
    /// only should be in an order, that is left out which cannot.
    pub fn of(plan: &Plan) -> Self {
        let mut layout = Layout {
            has_late_removals: plan.changes.iter().any(is_removed_late),
            ..Layout::default()
        };
        for (index, change) in plan.changes.iter().enumerate() {
            layout.add(index, change);
        }
        layout.add_proofs(&plan.changes);
        let needed = plan
            .changes
            .iter()
            .flat_map(|change| change.depends_on.iter().chain(&change.depended_on));
        layout.add_gates(needed);
        for change in plan.changes.iter().filter(|change| change.deposed.is_none()) {
            let Some(own) = layout.ends.get(&change.address).copied() else {
                continue;
            };
            layout.order_making(own, change);
            layout.order_removal(own, change);
        }
        layout.order_left_over();
        for roll in &plan.rolls {
            layout.order_roll(roll, &plan.changes);
        }
        layout.order_service(&plan.changes);
        let mut graph = layout.graph;
        break_cycles(&mut graph);
        let waiting_for = graph
            .node_indices()
            .map(|node| graph.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        Steps { graph, waiting_for }
    }

    /// Returns the steps that wait for nothing, in the order of the plan.
    pub fn first(&mut self) -> Vec<NodeIndex> {
        let free: Vec<_> = self
            .graph
            .node_indices()
            .filter(|node| self.waiting_for[node.index()] == 0)
            .collect();
        self.through_gates(free)
    }

    /// Returns every step, in the order of the plan.
    pub fn all(&self) -> Vec<NodeIndex> {
        self.graph
            .node_indices()
            .filter(|node| self.graph[*node].is_some())
            .collect()
    }

    /// Returns the step of a node that this returned.
    pub fn step(&self, node: NodeIndex) -> Step {
        self.graph[node].expect("gates are never handed out")
    }

    /// Notes that a step is done; returns those that now wait for nothing more.
    pub fn finish(&mut self, node: NodeIndex) -> Vec<NodeIndex> {
        let free = self.free(node);
        self.through_gates(free)
    }

    /// Returns all steps that wait for this one, directly or not.
    pub fn dependants(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut found = Vec::new();
        let mut walk = petgraph::visit::Dfs::new(&self.graph, node);
        while let Some(next) = walk.next(&self.graph) {
            if next != node && self.graph[next].is_some() {
                found.push(next);
            }
        }
        found.sort();
        found
    }

    fn free(&mut self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut free = Vec::new();
        for next in self.graph.neighbors(node) {
            self.waiting_for[next.index()] -= 1;
            if self.waiting_for[next.index()] == 0 {
                free.push(next);
            }
        }
        free
    }

    /// Opens the gates among free nodes; returns the steps among them and behind the gates.
    fn through_gates(&mut self, mut free: Vec<NodeIndex>) -> Vec<NodeIndex> {
        let mut steps = Vec::new();
        while let Some(node) = free.pop() {
            match self.graph[node] {
                Some(_) => steps.push(node),
                None => free.extend(self.free(node)),
            }
        }
        steps
    }
}

#[derive(Default)]
struct Layout<'a> {
    graph: Graph,
    ends: BTreeMap<&'a Address, Ends>,
    /// The changes of each block and of each parent, for gates.
    under: BTreeMap<Address, Vec<Ends>>,
    gates: BTreeMap<&'a Address, Ends>,
    /// Where nodes are waited for to be healthy.
    proofs: BTreeMap<&'a Address, NodeIndex>,
    /// The last step of addresses with objects that were replaced.
    last: BTreeMap<&'a Address, NodeIndex>,
    /// Where objects that earlier runs replaced are removed.
    left_over: Vec<(NodeIndex, &'a Change)>,
    /// Whether something is removed only after its replacement was made.
    has_late_removals: bool,
}

fn is_removed_late(change: &Change) -> bool {
    change.is_made_first() || change.deposed.is_some()
}

impl<'a> Layout<'a> {
    fn add(&mut self, index: usize, change: &'a Change) {
        let mut step = |verb| Some(self.graph.add_node(Some(Step { change: index, verb })));
        let (removal, making) = match change.action {
            // What it needs is still needed by what needs it.
            Action::NoOp => (None, Some(self.graph.add_node(None))),
            Action::Create => (None, step(Verb::Create)),
            Action::Update => (None, step(Verb::Update)),
            Action::Check => (None, step(Verb::Check)),
            Action::Replace => (step(Verb::Delete), step(Verb::Create)),
            Action::Delete => (step(Verb::Delete), None),
            Action::Forget => (step(Verb::Forget), None),
        };
        if let (Some(removal), Some(making)) = (removal, making) {
            let (first, then) = if change.is_made_first() {
                (making, removal)
            } else {
                (removal, making)
            };
            self.graph.add_edge(first, then, Bond::Needed);
        }
        // Who waits from now on has nothing to do by then, as who goes.
        let rests = making.filter(|_| change.waits && matches!(change.action, Action::Update | Action::Check));
        let drain = change
            .drain
            .and(removal.or(rests))
            .filter(|_| change.action != Action::Forget);
        let drain = drain.map(|removal| {
            let verb = Verb::Drain;
            let drain = self.graph.add_node(Some(Step { change: index, verb }));
            // Emptied is the object that is there now, not the one that takes its place.
            let goes_first = making.filter(|_| change.is_made_first());
            self.graph.add_edge(drain, goes_first.unwrap_or(removal), Bond::Needed);
            drain
        });
        let mut ends = Ends {
            drain,
            removal,
            making,
            settled: None,
        };
        let (parent, block) = (change.address.parent(), change.address.declaration());
        if change.deposed.is_some() {
            ends.settled = removal;
            self.add_deposed(change, ends);
        } else {
            if self.has_late_removals {
                ends.settled = Some(self.settled(change, ends));
            }
            self.ends.insert(&change.address, ends);
        }
        if parent != change.address && parent != block {
            self.under.entry(parent).or_default().push(ends);
        }
        if block != change.address {
            self.under.entry(block).or_default().push(ends);
        }
    }

    /// Has a node with a check be waited for, once it and what it runs itself is made or changed. What needs the node needs it
    /// healthy.
    fn add_proofs(&mut self, changes: &'a [Change]) {
        let mut made: BTreeMap<Address, Vec<NodeIndex>> = BTreeMap::new();
        for change in changes.iter().filter(|change| change.deposed.is_none()) {
            let making = self.ends.get(&change.address).and_then(|ends| ends.making);
            if let Some(making) = making.filter(|making| self.graph[*making].is_some()) {
                let part_of = change
                    .address
                    .whole()
                    .filter(|whole| change.hosted_on.as_ref() == Some(whole));
                made.entry(part_of.unwrap_or_else(|| change.address.clone()))
                    .or_default()
                    .push(making);
            }
        }
        for (index, change) in changes.iter().enumerate() {
            let Some(made) = made.get(&change.address).filter(|_| change.health_check.is_some()) else {
                continue;
            };
            let verb = Verb::Prove;
            let proof = self.graph.add_node(Some(Step { change: index, verb }));
            for made in made {
                self.graph.add_edge(*made, proof, Bond::Needed);
            }
            self.proofs.insert(&change.address, proof);
            let making = Some(proof);
            let names = [
                change.address.clone(),
                change.address.parent(),
                change.address.declaration(),
            ];
            for name in BTreeSet::from(names) {
                let proven = Ends {
                    making,
                    ..Ends::default()
                };
                self.under.entry(name).or_default().push(proven);
            }
        }
    }

    fn settled(&mut self, change: &Change, ends: Ends) -> NodeIndex {
        let settled = self.graph.add_node(None);
        if let Some(end) = ends.making.or(ends.removal) {
            self.graph.add_edge(end, settled, Bond::Courtesy);
        }
        if let (Some(removal), true) = (ends.removal, change.is_made_first()) {
            self.graph.add_edge(settled, removal, Bond::Courtesy);
        }
        settled
    }

    /// An object that was replaced goes after all that happens to the current one: an address has one operation at a time.
    fn add_deposed(&mut self, change: &'a Change, ends: Ends) {
        let own = self.ends.get(&change.address).copied().unwrap_or_default();
        let mut before: Vec<NodeIndex> = own.making.into_iter().chain(own.removal).collect();
        if let Some(removal) = ends.removal {
            self.left_over.push((removal, change));
            before.extend(self.last.insert(&change.address, removal));
            for before in before {
                self.graph.add_edge(before, removal, Bond::Needed);
            }
            // What runs there waits for the current one alone.
            if let Some(settled) = own.settled {
                self.graph.add_edge(settled, removal, Bond::Courtesy);
            }
        }
        // What needs the resource waits at a gate for both.
        self.under.entry(change.address.clone()).or_default().push(ends);
    }

    /// Makes a gate for each address that stands for several resources. It can be one of them itself, while a block gets
    /// or loses its `count`.
    fn add_gates(&mut self, needed: impl Iterator<Item = &'a Address>) {
        for address in needed {
            if self.gates.contains_key(address) {
                continue;
            }
            let Some(members) = self.under.get(address) else {
                continue;
            };
            let members: Vec<Ends> = members.iter().chain(self.ends.get(address)).copied().collect();
            let gate = Ends {
                drain: None,
                removal: Some(self.graph.add_node(None)),
                making: Some(self.graph.add_node(None)),
                settled: self.has_late_removals.then(|| self.graph.add_node(None)),
            };
            for member in members {
                // To remove the members is what the gate lets begin; to make them is what opens it.
                if let (Some(gate), Some(removal)) = (gate.removal, member.removal) {
                    self.graph.add_edge(gate, removal, Bond::Needed);
                }
                if let (Some(gate), Some(making)) = (gate.making, member.making) {
                    self.graph.add_edge(making, gate, Bond::Needed);
                }
                if let (Some(gate), Some(settled)) = (gate.settled, member.settled) {
                    self.graph.add_edge(gate, settled, Bond::Courtesy);
                }
            }
            self.gates.insert(address, gate);
        }
    }

    fn get(&self, address: &Address) -> Option<Ends> {
        self.gates.get(address).or_else(|| self.ends.get(address)).copied()
    }

    fn host(&self, address: Option<&Address>) -> Option<Ends> {
        self.ends.get(address?).copied()
    }

    /// What is made comes after what it needs is made.
    fn order_making(&mut self, own: Ends, change: &Change) {
        let Some(making) = own.making else { return };
        let needed = change.depends_on.iter().filter_map(|needed| self.get(needed));
        let needed: Vec<_> = needed.chain(self.host(change.hosted_on.as_ref())).collect();
        // What is placed on a node needs it healthy, too; what it runs itself is a part of what is proven.
        let is_part = change.address.whole() == change.hosted_on;
        let proof = change.hosted_on.as_ref().filter(|_| !is_part);
        if let Some(proof) = proof.and_then(|host| self.proofs.get(host)) {
            self.graph.add_edge(*proof, making, Bond::Needed);
        }
        for needed in needed {
            if let Some(needed) = needed.making {
                self.graph.add_edge(needed, making, Bond::Needed);
            }
            if let (Some(own), Some(needed)) = (own.settled, needed.settled) {
                self.graph.add_edge(own, needed, Bond::Courtesy);
            }
        }
    }

    /// Whether a node is not there before this step: one that only changes can be asked all the time.
    fn is_revived(&self, making: NodeIndex) -> bool {
        self.graph[making].is_some_and(|step| matches!(step.verb, Verb::Create | Verb::Check))
    }

    /// Members go so many at a time: each once the one that many before it is back, with all that it runs, and the first ones
    /// once those are there that were not.
    fn order_roll(&mut self, roll: &Roll, changes: &[Change]) {
        let in_turn = roll.members.iter().zip(roll.members.iter().skip(roll.at_once));
        let first = roll.members.iter().take(roll.at_once);
        let after = roll
            .after
            .iter()
            .flat_map(|missing| first.clone().map(move |first| (missing, first)));
        let mut next: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for (member, then) in in_turn.chain(after) {
            next.entry(member).or_default().push(then);
        }
        // A member that stays is away from when the first of what it runs is stopped, or it leaves its load balancer.
        let mut goes: BTreeMap<Address, Vec<NodeIndex>> = BTreeMap::new();
        for change in changes {
            if let (Some(member), Some(ends)) = (away(change), self.ends.get(&change.address)) {
                goes.entry(member).or_default().extend(ends.drain.or(ends.removal));
            }
        }
        let made = changes.iter().filter_map(|change| {
            let back = self.ends.get(&change.address)?.making?;
            // What is placed on a member is back with it.
            let member = member_of(change).or(change.hosted_on.clone())?;
            let bond = match member == change.address {
                true => Bond::Turn,
                false => Bond::Refilled,
            };
            Some((member, back, bond))
        });
        let proven = self.proofs.iter();
        let proven = proven.map(|(member, proof)| ((*member).clone(), *proof, Bond::Turn));
        for (member, back, bond) in made.chain(proven) {
            let next = next.get(&member).into_iter().flatten();
            for goes in next.filter_map(|next| goes.get(*next)).flatten() {
                self.graph.add_edge(back, *goes, bond);
            }
        }
    }

    /// A member leaves its load balancer before it is emptied, and for good only once those that come have entered it.
    fn order_service(&mut self, changes: &[Change]) {
        let mut entered: BTreeMap<Address, NodeIndex> = BTreeMap::new();
        let servers = || {
            changes
                .iter()
                .filter_map(|change| Some((change, served(&change.address)?)))
        };
        for (change, _) in servers() {
            let ends = self.ends.get(&change.address).copied().unwrap_or_default();
            if let (Action::Create | Action::Replace, Some(making)) = (change.action, ends.making) {
                let all = entered.entry(change.address.parent());
                let all = *all.or_insert_with(|| self.graph.add_node(None));
                self.graph.add_edge(making, all, Bond::Refilled);
            }
        }
        for (change, member) in servers() {
            let ends = self.ends.get(&change.address).copied().unwrap_or_default();
            let Some(left) = ends.removal else { continue };
            if let Some(drain) = self.ends.get(&member).and_then(|ends| ends.drain) {
                self.graph.add_edge(left, drain, Bond::Needed);
            }
            if let (Action::Delete, Some(entered)) = (change.action, entered.get(&change.address.parent())) {
                self.graph.add_edge(*entered, left, Bond::Refilled);
            }
        }
    }

    /// What earlier runs replaced goes before what it needed goes, where that can wait.
    fn order_left_over(&mut self) {
        for (removal, change) in std::mem::take(&mut self.left_over) {
            let needed = change.depended_on.iter().filter_map(|needed| self.get(needed));
            let needed = needed.chain(self.host(change.was_hosted_on.as_ref()));
            let needed: Vec<NodeIndex> = needed.filter_map(|needed| needed.removal).collect();
            for needed in needed {
                self.graph.add_edge(removal, needed, Bond::LeftOver);
            }
        }
    }

    /// What is removed goes before what it needed goes; what only stops needing it is changed before.
    fn order_removal(&mut self, own: Ends, change: &Change) {
        for address in &change.depended_on {
            let Some(needed) = self.get(address) else { continue };
            if let (Some(removal), Some(settled)) = (own.removal, needed.settled) {
                self.graph.add_edge(removal, settled, Bond::Courtesy);
            }
            let Some(needed) = needed.removal else { continue };
            match own {
                Ends {
                    removal: Some(removal), ..
                } => {
                    self.graph.add_edge(removal, needed, Bond::Recorded);
                }
                Ends {
                    removal: None,
                    making: Some(making),
                    ..
                } if !change.depends_on.contains(address) => {
                    self.graph.add_edge(making, needed, Bond::Courtesy);
                }
                Ends { .. } => {}
            }
        }
        let (Some(removal), Some(host)) = (own.removal, self.host(change.was_hosted_on.as_ref())) else {
            return;
        };
        if let Some(drain) = host.drain {
            self.graph.add_edge(drain, removal, Bond::Needed);
        }
        match host {
            // Who waits cannot be asked to remove what ran on it.
            Ends {
                drain: Some(_),
                removal: None,
                making: Some(rests),
                ..
            } => self.graph.add_edge(removal, rests, Bond::Needed),
            // What is forgotten went with its host: it is dropped when the host is known to be gone.
            Ends {
                removal: Some(host), ..
            } if change.is_lost_with_host() => {
                if let Some(Some(step)) = self.graph.node_weight_mut(removal) {
                    step.verb = Verb::Forget;
                }
                self.graph.add_edge(host, removal, Bond::Needed)
            }
            Ends {
                removal: Some(host), ..
            } => self.graph.add_edge(removal, host, Bond::Needed),
            // What runs on a node that is being revived goes once that node can be asked to remove it.
            Ends {
                making: Some(revived), ..
            } if self.is_revived(revived) => self.graph.add_edge(revived, removal, Bond::Reached),
            Ends { .. } => return,
        };
    }
}
