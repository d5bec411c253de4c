//! How many members a pool has, and which.

use std::collections::{BTreeMap, BTreeSet};

use simfleet_provider_api::Address;

/// The bounds of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The fewest members.
    pub min: u64,
    /// The most members.
    pub max: u64,
    /// The schedules that set them at the moment.
    pub schedules: Vec<String>,
}

impl Bounds {
    /// Returns the schedules that set them at the moment, in words: `, by schedule "office"`; nothing where none does.
    pub fn by(&self) -> String {
        let names: Vec<String> = self.schedules.iter().map(|name| format!("{name:?}")).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => format!(", by schedule {one}"),
            several => format!(", by schedules {}", several.join(", ")),
        }
    }
}

/// What the scaler wants of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many members it has then.
    pub members: u64,
    /// The numbers of those that go first.
    pub leaving: BTreeSet<u64>,
    /// Those of them that can wait where members do, instead of going.
    pub kept: BTreeSet<u64>,
    /// Of those that wait, who is back first.
    pub resumed: BTreeSet<u64>,
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
pub fn size(bounds: &Bounds, recorded: Option<u64>, least: u64, simulators: usize, fits: impl Fn(u64) -> bool) -> Size {
    let clamped = recorded
        .unwrap_or(bounds.min)
        .clamp(bounds.min, bounds.max.max(bounds.min));
    let because = match recorded {
        Some(recorded) if recorded > clamped => format!("max = {}{}", bounds.max, bounds.by()),
        Some(recorded) if recorded == clamped => "unchanged".to_owned(),
        _ => format!("min = {}{}", bounds.min, bounds.by()),
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

/// What is known of the members of a pool, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those that work, or are to.
    pub existing: Vec<u64>,
    /// Those that wait.
    pub waiting: Vec<u64>,
    /// Those that are about to go.
    pub leaving: BTreeSet<u64>,
    /// Those of them that can wait instead.
    pub kept: BTreeSet<u64>,
    /// Of those that wait, who is back first.
    pub resumed: BTreeSet<u64>,
    /// Those with a simulator.
    pub occupied: BTreeSet<u64>,
    /// The highest number that a member ever had.
    pub numbered: u64,
    /// How many are to wait, where there may be so many more.
    pub warm: u64,
    /// The most members that work.
    pub max: u64,
}

/// The numbers of a pool's members, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Those that work.
    pub members: Vec<u64>,
    /// Those that wait.
    pub waiting: Vec<u64>,
}

impl Known {
    /// Returns the numbers of the members at a size.
    ///
    /// A number is never used again. When a pool shrinks, those go first that were about to, then members without a simulator,
    /// then the newest; as many of them as are to wait do so. When it grows, those that wait are back before new ones are made.
    /// Nobody waits who could not be needed.
    pub fn members(&self, size: u64) -> Numbers {
        let mut members = self.existing.clone();
        members
            .sort_unstable_by_key(|number| (self.leaving.contains(number), !self.occupied.contains(number), *number));
        let surplus = members.split_off(usize::try_from(size).unwrap_or(usize::MAX).min(members.len()));
        let mut waiting = self.waiting.clone();
        waiting.sort_unstable_by_key(|number| (!self.resumed.contains(number), *number));
        let missing = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .saturating_sub(members.len());
        members.extend(waiting.drain(..missing.min(waiting.len())));
        let mut highest = self.numbered;
        let mut new = || {
            highest += 1;
            highest
        };
        while (members.len() as u64) < size {
            members.push(new());
        }
        waiting.extend(surplus.into_iter().filter(|number| self.kept.contains(number)));
        let warm = self.warm.min(self.max.saturating_sub(size));
        waiting.truncate(usize::try_from(warm).unwrap_or(usize::MAX));
        while (waiting.len() as u64) < warm {
            waiting.push(new());
        }
        members.sort_unstable();
        waiting.sort_unstable();
        Numbers { members, waiting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool of 2 to 4 members with 4 places each.
    fn sized(recorded: Option<u64>, simulators: u64) -> (u64, String) {
        let bounds = Bounds {
            min: 2,
            max: 4,
            schedules: Vec::new(),
        };
        let fits = |members| simulators <= members * 4;
        let size = size(&bounds, recorded, simulators.div_ceil(4), simulators as usize, fits);
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
        let known = |existing: &[u64], numbered| Known {
            existing: existing.to_vec(),
            numbered,
            ..Known::default()
        };
        let members = |known: &Known, size| known.members(size).members;
        assert_eq!(members(&known(&[], 0), 2), [1, 2]);
        assert_eq!(members(&known(&[1, 3], 3), 3), [1, 3, 4]);
        assert_eq!(members(&known(&[1, 2, 3], 3), 2), [1, 2]);
        assert_eq!(members(&known(&[1, 2], 7), 3), [1, 2, 8]);
        let occupied = Known {
            occupied: [3].into(),
            ..known(&[1, 2, 3], 3)
        };
        assert_eq!(members(&occupied, 2), [1, 3]);
        let leaving = Known {
            leaving: [1].into(),
            occupied: [1, 2].into(),
            ..known(&[1, 2, 3], 3)
        };
        assert_eq!(members(&leaving, 2), [2, 3]);
        assert_eq!(members(&leaving, 3), [1, 2, 3], "it stays after all");
    }

    #[test]
    fn members_wait_and_are_back_before_new_ones_are_made() {
        let known = Known {
            existing: vec![1, 2, 3],
            waiting: vec![4, 5],
            numbered: 5,
            warm: 2,
            max: 7,
            ..Known::default()
        };
        let numbers = |known: &Known, size| {
            let Numbers { members, waiting } = known.members(size);
            (members, waiting)
        };
        assert_eq!(numbers(&known, 3), (vec![1, 2, 3], vec![4, 5]), "all as it is");
        assert_eq!(numbers(&known, 4), (vec![1, 2, 3, 4], vec![5, 6]), "another one waits");
        assert_eq!(
            numbers(&known, 6),
            (vec![1, 2, 3, 4, 5, 6], vec![7]),
            "only one more may be"
        );
        let resumed = Known {
            resumed: [5].into(),
            ..known.clone()
        };
        assert_eq!(
            numbers(&resumed, 4),
            (vec![1, 2, 3, 5], vec![4, 6]),
            "who was decided on"
        );
        let shrinks = Known {
            waiting: vec![4],
            numbered: 4,
            leaving: [1, 3].into(),
            kept: [3].into(),
            ..known.clone()
        };
        assert_eq!(
            numbers(&shrinks, 1),
            (vec![2], vec![3, 4]),
            "who can waits, the other goes"
        );
        let none = Known { warm: 0, ..known };
        assert_eq!(numbers(&none, 2), (vec![1, 2], vec![]), "nobody is to wait any more");
    }
}
