//! How many members a pool has, and which.

use std::collections::{BTreeMap, BTreeSet};

use simfleet_provider_api::Address;

/// The bounds of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The fewest members.
    pub min: u64,
    /// The most members.
    pub max: u64,
}

/// What the scaler wants of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many members it has then.
    pub members: u64,
    /// The numbers of those that go first.
    pub leaving: BTreeSet<u64>,
    /// Why, in words.
    pub because: String,
}

/// What the scaler has decided and found out, that a plan is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// What it wants of pools; of others the recorded size holds.
    pub sizes: BTreeMap<Address, Wanted>,
    /// The members that its looks find unhealthy: no load balancer has them in service.
    pub unhealthy: BTreeSet<Address>,
}

/// The size that a pool gets, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// How many members.
    pub members: u64,
    /// In words.
    pub because: String,
}

/// Returns the size of a pool: the recorded one within its bounds, raised for simulators that do not fit.
///
/// `fits` says whether all simulators of the pool fit on so many members; it is asked from the smallest size on. The
/// smallest useful size is `least`. Shrinking is the scaler's, so what fits on fewer members changes nothing.
pub fn size(bounds: Bounds, recorded: Option<u64>, least: u64, simulators: usize, fits: impl Fn(u64) -> bool) -> Size {
    let clamped = recorded
        .unwrap_or(bounds.min)
        .clamp(bounds.min, bounds.max.max(bounds.min));
    let because = match recorded {
        Some(recorded) if recorded > clamped => format!("max = {}", bounds.max),
        Some(recorded) if recorded == clamped => "unchanged".to_owned(),
        _ => format!("min = {}", bounds.min),
    };
    if fits(clamped) {
        return Size {
            members: clamped,
            because,
        };
    }
    let wanted = (clamped + 1).max(least.min(bounds.max));
    let members = (wanted..=bounds.max)
        .find(|members| fits(*members))
        .unwrap_or(bounds.max.max(clamped));
    let because = match members == clamped {
        true => because,
        false => format!("{simulators} simulators need {members} members"),
    };
    Size { members, because }
}

/// Returns how many members of a pool may be away at once, by a percentage of them: never none, or nothing would ever be
/// replaced.
pub fn at_once(percent: f64, members: u64) -> usize {
    let share = (members as f64 * percent / 100.0).floor();
    (share as usize).max(1)
}

/// Returns the numbers of a pool's members at a size.
///
/// A number is never used again: `numbered` is the highest that a member ever had. When a pool shrinks, those go first that
/// were about to (`cordoned`), then members without a simulator, then the newest.
pub fn members(
    existing: &[u64],
    cordoned: &BTreeSet<u64>,
    occupied: &BTreeSet<u64>,
    numbered: u64,
    size: u64,
) -> Vec<u64> {
    let mut numbers = existing.to_vec();
    numbers.sort_unstable_by_key(|number| (cordoned.contains(number), !occupied.contains(number), *number));
    numbers.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let mut highest = numbered;
    while (numbers.len() as u64) < size {
        highest += 1;
        numbers.push(highest);
    }
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool of 2 to 4 members with 4 places each.
    fn sized(recorded: Option<u64>, simulators: u64) -> (u64, String) {
        let bounds = Bounds { min: 2, max: 4 };
        let fits = |members| simulators <= members * 4;
        let size = size(bounds, recorded, simulators.div_ceil(4), simulators as usize, fits);
        (size.members, size.because)
    }

    #[test]
    fn the_size_is_the_recorded_one_within_bounds_raised_for_simulators() {
        for (case, recorded, simulators, members, because) in [
            ("a new pool has its least size", None, 3, 2, "min = 2"),
            ("a new pool is raised", None, 10, 3, "10 simulators need 3 members"),
            ("a pool is raised", Some(2), 10, 3, "10 simulators need 3 members"),
            ("a pool is not shrunk", Some(3), 2, 3, "unchanged"),
            ("more than max is too much", Some(9), 2, 4, "max = 4"),
            ("less than min is too little", Some(1), 2, 2, "min = 2"),
            ("not even max is enough", Some(2), 99, 4, "99 simulators need 4 members"),
        ] {
            assert_eq!(sized(recorded, simulators), (members, because.to_owned()), "{case}");
        }
    }

    #[test]
    fn one_member_may_always_be_away() {
        for (percent, members, expected) in [(10.0, 3, 1), (10.0, 20, 2), (10.0, 29, 2), (0.0, 9, 1), (100.0, 5, 5)] {
            assert_eq!(at_once(percent, members), expected, "{percent} % of {members}");
        }
    }

    #[test]
    fn numbers_are_never_used_again_and_the_empty_and_newest_go_first() {
        let none = BTreeSet::new();
        assert_eq!(members(&[], &none, &none, 0, 2), [1, 2]);
        assert_eq!(members(&[1, 3], &none, &none, 3, 3), [1, 3, 4]);
        assert_eq!(members(&[1, 2, 3], &none, &none, 3, 2), [1, 2]);
        assert_eq!(members(&[1, 2, 3], &none, &BTreeSet::from([3]), 3, 2), [1, 3]);
        assert_eq!(members(&[1, 2], &none, &none, 7, 3), [1, 2, 8]);
        let (cordoned, occupied) = (BTreeSet::from([1]), BTreeSet::from([1, 2]));
        assert_eq!(members(&[1, 2, 3], &cordoned, &occupied, 3, 2), [2, 3]);
        assert_eq!(
            members(&[1, 2, 3], &cordoned, &occupied, 3, 3),
            [1, 2, 3],
            "it stays after all"
        );
    }
}
