//! The fewest and the most members at an instant.

use super::{Reason, Spec, Window};

/// The fewest and the most members at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The fewest.
    pub min: i64,
    /// The most: the smallest of what is declared, what the provider gives and what the budget pays for.
    pub cap: i64,
    /// The schedules that are active, and whether the cap is below the fewest.
    pub reasons: Vec<Reason>,
}

/// Returns the fewest and the most members at an instant. Schedules that are active write over what is declared, that of
/// the highest priority last, each attribute by itself. Where the fewest are more than the most, the most win.
pub fn bounds(spec: &Spec, now: f64) -> Bounds {
    let (mut min, mut max, mut reasons) = (spec.min, spec.max, Vec::new());
    let mut active: Vec<&Window> = spec.schedules.iter().filter(|window| window.is_active(now)).collect();
    // The order of declaration stays among equals.
    active.sort_by_key(|window| window.priority);
    for window in active {
        if let Some(desired) = window.desired {
            (min, max) = (desired, desired);
        }
        match (window.min, window.max) {
            (Some(fewest), Some(most)) => (min, max) = (fewest, most),
            (Some(fewest), None) => (min, max) = (fewest, max.max(fewest)),
            (None, Some(most)) => (min, max) = (min.min(most), most),
            (None, None) => {}
        }
        reasons.push(Reason::Schedule(window.name.clone()));
    }
    let cap = max.min(spec.quota).min(paid(spec));
    if min > cap {
        reasons.push(Reason::CapBelowMin);
    }
    Bounds {
        min: min.min(cap),
        cap,
        reasons,
    }
}

/// Returns how many members the budget pays for.
fn paid(spec: &Spec) -> i64 {
    if spec.price <= 0.0 || spec.budget_hourly == f64::INFINITY {
        return 1_000_000_000;
    }
    // Rounded down exactly: with a budget of 3 and a price of 0.2, which is a little more than a fifth as binary numbers
    // go, that is 14. Whoever lowers a declaration allows for that in the budget.
    let remainder = spec.budget_hourly % spec.price;
    ((spec.budget_hourly - remainder) / spec.price).round() as i64
}
