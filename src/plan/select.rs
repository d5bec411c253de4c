//! A part of a plan: `--target` and `--exclude`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use simfleet_provider_api::Address;
use simfleet_state::Port;
use wildmatch::WildMatchPattern;

use super::{Action, Change, Plan, PortChange};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Addresses, as a user gives them: of a resource, of a block with all its instances, of a pool with its members, of a
/// module with all that is in it. `*` stands for any characters: `simulator.vehicle.*`, `module.*.node.a`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What stands in a module is no address where the module is all that is named, or one within another.
        if text.contains('*') || text.starts_with("module.") {
            return Ok(Pattern(text.to_owned()));
        }
        let address = text.parse::<Address>().map_err(|error| error.to_string())?;
        Ok(Pattern(address.to_string()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it stands for an address.
    pub fn matches(&self, address: &Address) -> bool {
        let whole = address.to_string();
        // What follows a name begins with one of these: an instance, a child, what is in a module.
        let ends = whole.match_indices(['[', '/', '.']).map(|(end, _)| end);
        let mut prefixes = ends.chain([whole.len()]).map(|end| &whole[..end]);
        // No character stands for just one: `?` can be in the key of an instance.
        let pattern = WildMatchPattern::<'*', '\0'>::new(&self.0);
        prefixes.any(|prefix| pattern.matches(prefix))
    }
}

/// The part of a fleet that a run is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only these, and what they need; without any, all.
    pub targets: Vec<Pattern>,
    /// Not these, and not what needs them.
    pub excludes: Vec<Pattern>,
    /// Whether these are addresses of an earlier plan, and not what somebody typed: what is gone since is no mistake.
    #[serde(default)]
    pub is_of_plan: bool,
}

/// Keeps the ports of what is selected. Those that it takes over are released too: nothing uses them, and else they would
/// be taken.
fn keep_ports(ports: &mut Vec<PortChange>, kept: &BTreeSet<Address>) {
    let is_reserved = |change: &PortChange| match change {
        PortChange::Reserve {
            address, host, port, ..
        } => kept.contains(address).then(|| (host.clone(), *port)),
        PortChange::Release { .. } => None,
    };
    let reserved: BTreeSet<(Address, Port)> = ports.iter().filter_map(is_reserved).collect();
    ports.retain(|change| match change {
        PortChange::Release { address, host, port } => {
            kept.contains(address) || reserved.contains(&(host.clone(), *port))
        }
        PortChange::Reserve { address, .. } => kept.contains(address),
    });
}

impl Selection {
    /// Whether it is the whole fleet.
    pub fn is_all(&self) -> bool {
        self.targets.is_empty() && self.excludes.is_empty()
    }

    /// Leaves out of a plan what is not selected.
    ///
    /// # Errors
    /// A pattern that stands for nothing: it must not look like nothing to do.
    pub(super) fn apply(&self, plan: &mut Plan) -> Result<(), Diagnostics> {
        if self.is_all() {
            return Ok(());
        }
        self.check(plan)?;
        let all: BTreeSet<&Address> = plan.changes.iter().map(|change| &change.address).collect();
        let links = Links::of(&plan.changes);
        let mut kept = match self.targets.is_empty() {
            true => all.clone(),
            false => links.reach(&self.targets, &all, Links::needs),
        };
        for address in links.reach(&self.excludes, &all, Links::needed_by) {
            kept.remove(address);
        }
        let kept: BTreeSet<Address> = kept.into_iter().cloned().collect();
        plan.changes.retain(|change| kept.contains(&change.address));
        plan.drift.retain(|drift| kept.contains(&drift.address));
        plan.interrupts.retain(|interrupt| kept.contains(&interrupt.address));
        plan.unfinished.retain(|unfinished| kept.contains(&unfinished.address));
        plan.unplaced.retain(|unplaced| self.takes(&unplaced.address));
        plan.imports.retain(|address, _| kept.contains(address));
        keep_ports(&mut plan.ports, &kept);
        plan.pools
            .retain(|pool| self.takes(&pool.address) || kept.iter().any(|kept| kept.is_child_of(&pool.address)));
        // What an output reads can be among what is left out: outputs are for runs of the whole fleet.
        plan.outputs.clear();
        plan.is_partial = true;
        Ok(())
    }

    /// Whether an address is selected for itself.
    fn takes(&self, address: &Address) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(address));
        (self.targets.is_empty() || any(&self.targets)) && !any(&self.excludes)
    }

    fn check(&self, plan: &Plan) -> Result<(), Diagnostics> {
        if self.is_of_plan {
            return Ok(());
        }
        let changes = plan.changes.iter().map(|change| &change.address);
        let unplaced = plan.unplaced.iter().map(|unplaced| &unplaced.address);
        let there: Vec<&Address> = changes.chain(unplaced).collect();
        let mut diagnostics = Diagnostics::new();
        for (flag, patterns) in [("--target", &self.targets), ("--exclude", &self.excludes)] {
            for pattern in patterns {
                if !there.iter().any(|address| pattern.matches(address)) {
                    let detail = format!("{flag} {pattern} stands for nothing that is declared or recorded.");
                    let names: Vec<String> = there
                        .iter()
                        .flat_map(|address| [address.declaration().to_string(), address.to_string()])
                        .collect();
                    let diagnostic = Diagnostic::error("Unknown resource", detail);
                    diagnostics.push(diagnostic.nearest(&pattern.0, names.iter().map(String::as_str)));
                }
            }
        }
        diagnostics.or(()).map(drop)
    }
}

/// What cannot be done without what.
struct Links<'a> {
    needs: BTreeMap<&'a Address, Vec<&'a Address>>,
    needed_by: BTreeMap<&'a Address, Vec<&'a Address>>,
}

impl<'a> Links<'a> {
    fn of(changes: &'a [Change]) -> Self {
        let mut under: BTreeMap<Address, Vec<&'a Change>> = BTreeMap::new();
        for change in changes {
            let (parent, block) = (change.address.parent(), change.address.declaration());
            let names: BTreeSet<Address> = [change.address.clone(), parent, block].into();
            for name in names {
                under.entry(name).or_default().push(change);
            }
        }
        let mut links = Links {
            needs: BTreeMap::new(),
            needed_by: BTreeMap::new(),
        };
        let at = |address: &Address| under.get(address).into_iter().flatten();
        for change in changes {
            // To make something takes what it needs.
            let is_made = change.after.is_some();
            let needed = change.depends_on.iter().chain(&change.hosted_on);
            for other in needed.filter(|_| is_made).flat_map(at) {
                links.add(change, other);
            }
            // To remove something takes the removal of what needed it and goes as well.
            let needed = change.depended_on.iter().chain(&change.was_hosted_on);
            for other in needed.filter(|_| is_removed(change)).flat_map(at) {
                if is_removed(other) {
                    links.add(other, change);
                }
            }
        }
        links
    }

    fn add(&mut self, who: &'a Change, what: &'a Change) {
        self.needs.entry(&who.address).or_default().push(&what.address);
        self.needed_by.entry(&what.address).or_default().push(&who.address);
    }

    fn needs(&self) -> &BTreeMap<&'a Address, Vec<&'a Address>> {
        &self.needs
    }

    fn needed_by(&self) -> &BTreeMap<&'a Address, Vec<&'a Address>> {
        &self.needed_by
    }

    /// Returns what patterns stand for, with all that links lead to from there.
    fn reach(
        &self,
        patterns: &[Pattern],
        all: &BTreeSet<&'a Address>,
        along: fn(&Self) -> &BTreeMap<&'a Address, Vec<&'a Address>>,
    ) -> BTreeSet<&'a Address> {
        let is_meant = |address: &&&'a Address| patterns.iter().any(|pattern| pattern.matches(address));
        let mut queue: Vec<&'a Address> = all.iter().filter(is_meant).copied().collect();
        let mut found: BTreeSet<&'a Address> = queue.iter().copied().collect();
        while let Some(address) = queue.pop() {
            for next in along(self).get(address).into_iter().flatten() {
                if found.insert(next) {
                    queue.push(next);
                }
            }
        }
        found
    }
}

fn is_removed(change: &Change) -> bool {
    matches!(change.action, Action::Delete | Action::Replace | Action::Forget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, matching, other) in [
            (
                "node.a",
                &["node.a", "node.a[0]", "node.a/nic"][..],
                &["node.ab", "node.b", "module.m.node.a"][..],
            ),
            ("node.a[1]", &["node.a[1]"], &["node.a[10]", "node.a"]),
            ("node.*", &["node.a", "node.b[3]"], &["pool.a", "module.m.node.a"]),
            (
                "simulator.*.quad[*]",
                &["simulator.vehicle.quad[0]", "simulator.exec.quad[\"x\"]"],
                &["simulator.exec.quad"],
            ),
            ("pool.p", &["pool.p/m1", "pool.p"], &["pool.pp/m1"]),
            (
                "pool.p/m1",
                &["pool.p/m1", "pool.p/m1/web"],
                &["pool.p/m2", "pool.p/m10", "pool.p/m10/web"],
            ),
            (
                "module.m",
                &["module.m.node.a", "module.m[0].node.a"],
                &["module.mm.node.a", "node.a"],
            ),
            (
                "module.*.node.a",
                &["module.m.node.a", "module.m[\"k\"].node.a[0]"],
                &["module.m.node.b"],
            ),
            ("*", &["node.a", "module.m.node.a"], &[]),
        ] {
            let parsed: Pattern = pattern.parse().expect("a pattern");
            let at = |text: &&str| text.parse::<Address>().expect("an address");
            for address in matching.iter().map(at) {
                assert!(parsed.matches(&address), "{pattern} stands for {address}");
            }
            for address in other.iter().map(at) {
                assert!(!parsed.matches(&address), "{pattern} does not stand for {address}");
            }
        }
        assert!("node".parse::<Pattern>().is_err() && "".parse::<Pattern>().is_err());
    }
}
