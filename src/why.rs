//! What leads to a change of a resource, or to none. Pure.

use std::collections::BTreeSet;

use simfleet_provider_api::{Address, PathStep};

use crate::config::Config;
use crate::config::eval::Reference;
use crate::diagnostic::Span;
use crate::plan::{Action, Change, Plan, Reason};

/// One resource of a chain: what happens to it, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The resource.
    pub address: Address,
    /// What happens to it.
    pub action: Action,
    /// Why; none for what is told further up, and for what stays as it is without a reason of its own.
    pub causes: Vec<Cause>,
    /// What it needs and what changes too, without a change of this one. Only of what stays as it is.
    pub unaffected_by: Vec<Address>,
    /// What waits for it and changes too. Only of the first link.
    pub waiting: Vec<Address>,
}

/// One reason of a change, and what leads to that.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The reason, in words.
    pub text: String,
    /// The line that says so.
    pub span: Option<Span>,
    /// What that line reads: `var.size`.
    pub reads: Vec<String>,
    /// The changes that it comes from.
    pub from: Vec<Link>,
}

/// Returns a chain for each resource that an address stands for: itself, or the instances and members of a block. None
/// where there is no such resource.
pub fn chains(plan: &Plan, config: &Config, address: &Address) -> Vec<Link> {
    let is_meant = |change: &&Change| {
        let at = &change.address;
        at == address || at.parent() == *address || at.declaration() == *address
    };
    let meant: Vec<&Change> = match plan.changes.iter().find(|change| change.address == *address) {
        Some(change) => vec![change],
        None => plan.changes.iter().filter(is_meant).collect(),
    };
    meant
        .into_iter()
        .map(|change| {
            let mut tracer = Tracer {
                plan,
                config,
                told: BTreeSet::new(),
            };
            Link {
                waiting: waiting(plan, &change.address),
                ..tracer.link(change)
            }
        })
        .collect()
}

struct Tracer<'a> {
    plan: &'a Plan,
    config: &'a Config,
    /// What the chain has been through: it can come to one resource by several ways.
    told: BTreeSet<&'a Address>,
}

impl<'a> Tracer<'a> {
    fn link(&mut self, change: &'a Change) -> Link {
        let is_first = self.told.insert(&change.address);
        let causes = match is_first {
            true => change.reasons.iter().map(|reason| self.cause(change, reason)).collect(),
            false => Vec::new(),
        };
        let unaffected_by = match change.action {
            Action::NoOp => self.changing(&change.depends_on),
            _ => Vec::new(),
        };
        Link {
            address: change.address.clone(),
            action: change.action,
            causes,
            unaffected_by,
            waiting: Vec::new(),
        }
    }

    fn cause(&mut self, change: &'a Change, reason: &Reason) -> Cause {
        let mut cause = Cause {
            text: reason.to_string(),
            span: None,
            reads: Vec::new(),
            from: Vec::new(),
        };
        let hosts = match reason {
            Reason::Host { host } | Reason::Unhealthy { member: host } => vec![host],
            Reason::Moves { from, to } => from.iter().chain(to).collect(),
            Reason::Declared { span: Some(span), .. } => {
                cause.span = Some(span.clone());
                let references = self.within(&change.address, span);
                cause.reads = references.iter().map(told).collect();
                cause.reads.dedup();
                let config = self.config;
                let read = config.dependencies(&change.address.module_path(), &references);
                let is_read = |at: &Address| {
                    let declared = config.declaration_of(at);
                    declared.is_some_and(|declared| read.iter().any(|need| std::ptr::eq(need.declaration, declared)))
                };
                cause.from = self.links(is_read);
                return cause;
            }
            _ => return cause,
        };
        cause.from = self.links(|at| hosts.contains(&at));
        cause
    }

    /// Returns the links of what changes.
    fn links(&mut self, is_meant: impl Fn(&Address) -> bool) -> Vec<Link> {
        let plan: &'a Plan = self.plan;
        let changes = plan
            .changes
            .iter()
            .filter(|change| change.action != Action::NoOp && is_meant(&change.address));
        changes.map(|change| self.link(change)).collect()
    }

    /// Returns the names that stand within a place of the block of a resource.
    fn within(&self, address: &Address, span: &Span) -> Vec<Reference> {
        let Some(declaration) = self.config.declaration_of(address) else {
            return Vec::new();
        };
        let is_within = |reference: &Reference| {
            reference.span.file == span.file
                && span.range.start <= reference.span.range.start
                && reference.span.range.end <= span.range.end
        };
        declaration.references().into_iter().filter(is_within).collect()
    }

    /// Returns what of some addresses changes; the address of a block stands for its instances.
    fn changing(&self, needed: &[Address]) -> Vec<Address> {
        let stands_for = |at: &Address| needed.iter().any(|needed| needed == at || *needed == at.declaration());
        let changes = self.plan.changes.iter().filter(|change| change.action != Action::NoOp);
        changes
            .map(|change| &change.address)
            .filter(|address| stands_for(address))
            .cloned()
            .collect()
    }
}

/// Returns what changes and waits for a resource: what reads it, and what runs on it.
fn waiting(plan: &Plan, address: &Address) -> Vec<Address> {
    let (parent, block) = (address.parent(), address.declaration());
    let needs = |change: &&Change| {
        let is_it = |needed: &Address| *needed == *address || *needed == parent || *needed == block;
        change.action != Action::NoOp
            && change.address != *address
            && (change.depends_on.iter().any(is_it) || change.hosted_on.as_ref() == Some(address))
    };
    plan.changes
        .iter()
        .filter(needs)
        .map(|change| change.address.clone())
        .collect()
}

/// Returns a name as it is written.
fn told(reference: &Reference) -> String {
    let mut text = reference.root.to_string();
    for step in reference.steps.iter() {
        match step {
            PathStep::Name(name) => text.push_str(&format!(".{name}")),
            PathStep::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
