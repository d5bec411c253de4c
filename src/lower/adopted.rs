//! Pools of a cloud that exist and are adopted: which instance each member is. Pure.
//!
//! A member is an instance by its number in the set. One that is recorded stays that; the others take instances that nobody has,
//! the lowest to the lowest, and the set grows where there are too few. Instances that are nobody's are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Observed, Value};
use simfleet_state::{Operation, State};

use super::layout::number_of;
use crate::refresh::Observations;

/// What the frame of such a pool is called below it.
pub(super) const SET_PART: &str = "set";
/// The attributes of a set that say which it is and which instances it has, and that of an instance.
pub(super) const SCALE_SET: &str = "scale_set";
const INSTANCES: &str = "instances";
pub(super) const INSTANCE: &str = "instance";
const PROTECTED: &str = "protected";

/// What is there of a set, as far as it was seen or is recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// Which one is recorded.
    recorded: Option<Arc<str>>,
    /// The numbers of its instances; `None` as long as nobody has looked.
    instances: Option<Vec<Arc<str>>>,
    /// The instances of recorded members, by their numbers in the pool.
    members: BTreeMap<u64, Arc<str>>,
    /// The members that nothing may remove.
    pub(super) protected: BTreeSet<u64>,
}

/// Which instance of a set each member of a pool is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adopted {
    /// The set that is recorded, which can be another than is declared.
    pub(super) recorded: Option<Arc<str>>,
    /// The instances of members, by their numbers in the pool.
    pub(super) instances: BTreeMap<u64, Arc<str>>,
    /// The instances that are somebody's.
    taken: BTreeSet<Arc<str>>,
    /// The members whose instances the set gets when it grows.
    missing: Vec<u64>,
    /// How many instances it has to have for that, and those that it has.
    pub(super) grow_to: Option<u64>,
    pub(super) grow_from: Vec<Arc<str>>,
    /// The instances that are nobody's.
    pub(super) surplus: Vec<Arc<str>>,
}

impl Set {
    /// Returns what is known of the set of a pool.
    pub(super) fn of(pool: &Address, state: &State, seen: &Observations) -> Self {
        let address = pool.child(SET_PART);
        let recorded = state.resources.get(&address).map(|set| &set.object.attributes);
        let looked = match seen.get(&address) {
            Some(Observed::Present(object)) => Some(&object.attributes),
            _ => recorded,
        };
        let mut set = Set {
            recorded: recorded.and_then(|set| Some(set.str(SCALE_SET)?.into())),
            instances: looked.and_then(|set| Some(texts(set.get(INSTANCES)?))),
            ..Set::default()
        };
        let mut add = |member: &Address, attributes: &Attributes| {
            let number = number_of(member).filter(|_| member.is_child_of(pool));
            if let (Some(number), Some(instance)) = (number, attributes.str(INSTANCE)) {
                set.members.insert(number, instance.into());
            }
            number
        };
        for (address, resource) in state.resources.range(pool..).take_while(|(it, _)| is_within(it, pool)) {
            let looked = match seen.get(address) {
                Some(Observed::Present(object)) => &object.attributes,
                _ => &resource.object.attributes,
            };
            let number = add(address, &resource.object.attributes);
            if looked.get(PROTECTED).and_then(Value::as_bool) == Some(true) {
                set.protected.extend(number);
            }
        }
        for (address, intent) in state.intents.range(pool..).take_while(|(it, _)| is_within(it, pool)) {
            if let Operation::Create { declared } = &intent.operation {
                add(address, &declared.inputs);
            }
        }
        set
    }

    /// Returns how many instances there are; `None` as long as nobody has looked.
    pub(super) fn size(&self) -> Option<u64> {
        let instances = self.instances.as_ref()?;
        u64::try_from(instances.len()).ok()
    }

    /// Returns which instance each of some members is.
    pub(super) fn adopted(&self, members: &[u64]) -> Adopted {
        let there: BTreeSet<&Arc<str>> = self.instances.iter().flatten().collect();
        let is_there = |instance: &Arc<str>| there.contains(instance);
        let taken: BTreeSet<Arc<str>> = self.members.values().filter(|it| is_there(it)).cloned().collect();
        let mut free = self
            .instances
            .iter()
            .flatten()
            .filter(|instance| !taken.contains(*instance));
        let mut adopted = Adopted {
            recorded: self.recorded.clone(),
            ..Adopted::default()
        };
        for number in members {
            let own = self.members.get(number).filter(|instance| is_there(instance));
            match own.or_else(|| free.next()) {
                Some(instance) => _ = adopted.instances.insert(*number, Arc::clone(instance)),
                None => adopted.missing.push(*number),
            }
        }
        adopted.surplus = free.cloned().collect();
        adopted.taken = taken.into_iter().chain(adopted.instances.values().cloned()).collect();
        let missing = u64::try_from(adopted.missing.len()).unwrap_or(u64::MAX);
        adopted.grow_from = self.instances.clone().unwrap_or_default();
        adopted.grow_to = (missing > 0).then(|| self.size().unwrap_or_default().saturating_add(missing));
        adopted
    }
}

impl Adopted {
    /// Returns the instance of a member, given what is known of the set by now; `None` as long as there is none.
    pub(super) fn instance(&self, number: u64, set: Option<&Attributes>) -> Option<Arc<str>> {
        if let Some(known) = self.instances.get(&number) {
            return Some(Arc::clone(known));
        }
        // Each takes the one of its own rank, so it does not matter who is first.
        let rank = self.missing.iter().position(|missing| *missing == number)?;
        let there = texts(set?.get(INSTANCES)?);
        let mut free = there.into_iter().filter(|instance| !self.taken.contains(instance));
        free.nth(rank)
    }
}

/// Whether an address is that of a pool, or below it.
fn is_within(address: &Address, pool: &Address) -> bool {
    address == pool || address.is_child_of(pool)
}

fn texts(list: &Value) -> Vec<Arc<str>> {
    let items = list.as_slice().unwrap_or_default().iter();
    items.filter_map(|item| item.as_str().map(Arc::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(numbers: &[&str]) -> Vec<Arc<str>> {
        numbers.iter().map(|number| Arc::from(*number)).collect()
    }

    fn set(instances: &[&str], members: &[(u64, &str)]) -> Set {
        Set {
            instances: Some(names(instances)),
            members: members
                .iter()
                .map(|(number, instance)| (*number, Arc::from(*instance)))
                .collect(),
            ..Set::default()
        }
    }

    fn shown(adopted: &Adopted) -> String {
        let instances = adopted
            .instances
            .iter()
            .map(|(number, instance)| format!("m{number}={instance}"));
        let instances: Vec<String> = instances.collect();
        format!(
            "{} grow {:?} surplus {:?}",
            instances.join(" "),
            adopted.grow_to,
            adopted.surplus
        )
    }

    #[test]
    fn members_keep_their_instances_and_others_take_those_that_are_free() {
        for (case, set, members, expected) in [
            (
                "nothing is recorded",
                set(&["0", "3"], &[]),
                &[1, 2][..],
                "m1=0 m2=3 grow None surplus []",
            ),
            (
                "it grows",
                set(&["0", "3"], &[(1, "0"), (2, "3")]),
                &[1, 2, 3],
                "m1=0 m2=3 grow Some(3) surplus []",
            ),
            (
                "who leaves has its instance until it has left",
                set(&["0", "3"], &[(1, "0"), (2, "3")]),
                &[1, 3],
                "m1=0 grow Some(3) surplus []",
            ),
            (
                "who leaves is no surplus",
                set(&["0", "3"], &[(1, "0"), (2, "3")]),
                &[1],
                "m1=0 grow None surplus []",
            ),
            (
                "somebody made some more",
                set(&["0", "3", "4", "5"], &[(1, "0"), (2, "3")]),
                &[1, 2],
                "m1=0 m2=3 grow None surplus [\"4\", \"5\"]",
            ),
            (
                "one was removed, and one made",
                set(&["0", "4"], &[(1, "0"), (2, "3")]),
                &[1, 2],
                "m1=0 m2=4 grow None surplus []",
            ),
            (
                "one was removed",
                set(&["0"], &[(1, "0"), (2, "3")]),
                &[1, 2],
                "m1=0 grow Some(2) surplus []",
            ),
        ] {
            assert_eq!(shown(&set.adopted(members)), expected, "{case}");
        }
    }

    #[test]
    fn instances_that_come_are_taken_by_rank() {
        let adopted = set(&["0"], &[(1, "0")]).adopted(&[1, 2, 3]);
        let list = |numbers: &[&str]| Value::tuple(numbers.iter().map(|number| Value::from(*number)));
        let grown = Attributes::from_iter([(INSTANCES, list(&["0", "7", "9"]))]);
        let of = |number| {
            adopted
                .instance(number, Some(&grown))
                .map(|instance| instance.to_string())
        };
        assert_eq!(
            (of(1).as_deref(), of(2).as_deref(), of(3).as_deref()),
            (Some("0"), Some("7"), Some("9"))
        );
        let small = Attributes::from_iter([(INSTANCES, list(&["0", "7"]))]);
        assert_eq!(adopted.instance(3, Some(&small)), None);
        assert_eq!(adopted.instance(2, None), None);
    }
}
