//! What each check asks for.

use std::cmp::Ordering;

use super::history::{Beyond, Side, rising};
use super::ill;
use super::{
    Bounds, Check, History, Member, MemberState, Observation, OnMissing, Reason, Sample, Samples, Spec, Strategy,
};

/// The members of a pool that count, sorted out once.
#[derive(Debug)]
pub(super) struct Capacity<'a> {
    /// Healthy ones that run and stay.
    pub good: Vec<&'a Member>,
    /// How many run and stay, unhealthy and late ones included.
    pub alive: i64,
    /// Those that have been on their way for too long to count on them.
    pub late: Vec<&'a Member>,
    /// Those whose values count.
    serving: Vec<&'a Member>,
    /// How many somebody has.
    taken: i64,
}

impl<'a> Capacity<'a> {
    pub(super) fn of(spec: &Spec, seen: &'a Observation) -> Self {
        let alive = seen.members.iter().filter(|member| member.is_alive());
        let is_late = |member: &&Member| ill::is_late(spec, member, seen.now);
        let late: Vec<&Member> = alive.clone().filter(is_late).collect();
        let good = alive.clone().filter(|member| member.healthy && !is_late(member));
        let good: Vec<&Member> = good.collect();
        let serving = good
            .iter()
            .copied()
            .filter(|member| member.serves(seen.now, spec.warmup))
            .collect();
        Capacity {
            alive: alive.count() as i64,
            late,
            serving,
            taken: good.iter().filter(|member| member.is_taken()).count() as i64,
            good,
        }
    }

    /// Returns how many members count.
    pub(super) fn size(&self) -> i64 {
        self.good.len() as i64
    }

    /// Returns how many count whose values do not yet.
    pub(super) fn pending(&self) -> i64 {
        self.size() - self.serving.len() as i64
    }

    /// Returns how many are unhealthy.
    pub(super) fn sick(&self) -> i64 {
        let late = self.late.iter().filter(|member| member.healthy).count() as i64;
        self.alive - self.size() - late
    }

    /// Returns how many count that are not ready yet.
    pub(super) fn booting(&self) -> i64 {
        self.good
            .iter()
            .filter(|member| member.state == MemberState::Pending)
            .count() as i64
    }

    /// Whether so many are unhealthy that perhaps nothing is wrong with them.
    pub(super) fn too_many_are_sick(&self, spec: &Spec) -> bool {
        let sick = self.sick();
        sick > spec.breaker_min && sick as f64 * 100.0 > spec.breaker_percent * self.alive as f64
    }
}

/// What all checks ask for together.
#[derive(Debug)]
pub(super) struct Votes {
    /// So many members.
    pub size: i64,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Whether growth must not wait: much more is needed than there is, or how much cannot be told.
    pub is_urgent: bool,
    guards: Vec<Guard>,
}

impl Votes {
    /// Returns whether some check would ask for growth if there were so many members.
    pub(super) fn would_grow(&self, size: i64) -> bool {
        self.guards.iter().any(|guard| guard.would_grow(size))
    }
}

/// When a check would ask for growth.
#[derive(Debug, Clone, Copy)]
enum Guard {
    /// With fewer members than this.
    Below(i64),
    /// Where this demand, in members at their target, is more than they are, by so much tolerance.
    Demand { demand: f64, tolerance: f64 },
    /// Where this sum of values, shared by all, is more than this value each.
    Shared { sum: f64, upper: f64 },
}

impl Guard {
    fn would_grow(self, size: i64) -> bool {
        let members = size as f64;
        match self {
            Guard::Below(need) => size < need,
            Guard::Demand { demand, tolerance } => demand > members * (1.0 + tolerance) + 1e-9,
            Guard::Shared { sum, upper } => size == 0 || sum / members > upper,
        }
    }
}

/// What one check asks for.
struct Vote {
    size: i64,
    is_urgent: bool,
    guard: Guard,
}

/// Returns a size as a whole number. What is above it only by the error of a sum is not above it.
pub(super) fn whole(size: f64) -> i64 {
    (size - 1e-9).ceil() as i64
}

/// Returns what the checks ask for: the most that any of them does, or the present size where there is none. What they
/// remember goes into `after`.
pub(super) fn votes(
    spec: &Spec,
    seen: &Observation,
    capacity: &Capacity<'_>,
    bounds: &Bounds,
    before: &History,
    after: &mut History,
) -> Votes {
    let size = capacity.size();
    let (mut sizes, mut reasons, mut guards) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_urgent = false;
    for check in &spec.checks {
        let round = Round {
            spec,
            capacity,
            check,
            now: seen.now,
            samples: seen.samples.get(&check.name),
        };
        let vote = match check.strategy {
            Strategy::Target => round.target(before, after),
            Strategy::Threshold => round.threshold(before, after),
            Strategy::Webhook => round.webhook(),
            Strategy::Queue => round.queue(),
            Strategy::Buffer => Some(round.buffer()),
        };
        let asked = if let Some(vote) = vote {
            after.misses.insert(check.name.clone(), 0);
            is_urgent |= vote.is_urgent;
            guards.push(vote.guard);
            vote.size
        } else {
            let misses = after.misses.entry(check.name.clone()).or_default();
            *misses += 1;
            reasons.push(Reason::NoData(check.name.clone()));
            let is_over = *misses >= check.failure_threshold;
            match check.on_missing {
                OnMissing::Ignore => continue,
                OnMissing::Fallback if is_over => size.max(check.fallback),
                OnMissing::FailOpen if is_over => bounds.cap,
                OnMissing::Hold | OnMissing::Fallback | OnMissing::FailOpen => size,
            }
        };
        sizes.push(asked.max(0));
        reasons.push(Reason::Vote(check.name.clone(), asked));
    }
    Votes {
        size: sizes.into_iter().max().unwrap_or(size),
        reasons,
        is_urgent,
        guards,
    }
}

/// One check, and what it looks at.
struct Round<'a> {
    spec: &'a Spec,
    capacity: &'a Capacity<'a>,
    check: &'a Check,
    now: f64,
    samples: Option<&'a Samples>,
}

/// The values of the members that count.
struct Values {
    /// How many members have one.
    known: i64,
    /// How many have none.
    missing: i64,
    sum: f64,
}

impl Values {
    fn mean(&self) -> f64 {
        self.sum / self.known as f64
    }
}

impl Round<'_> {
    /// Returns a value that counts: finite, not negative, and young enough.
    fn value(&self, id: &str) -> Option<f64> {
        let Sample(value, at) = *self.samples?.get(id)?;
        (value.is_finite() && value >= 0.0 && self.now - at <= self.check.max_age).then_some(value)
    }

    fn values(&self) -> Option<Values> {
        let serving = &self.capacity.serving;
        let (mut known, mut sum) = (0, 0.0);
        for value in serving.iter().filter_map(|member| self.value(&member.id)) {
            (known, sum) = (known + 1, sum + value);
        }
        (known > 0).then(|| Values {
            known,
            missing: serving.len() as i64 - known,
            sum,
        })
    }

    /// Returns the vote for a size that is known to be needed.
    fn need(&self, need: i64) -> Vote {
        Vote {
            size: need,
            is_urgent: need as f64 > self.spec.burst * self.capacity.size() as f64,
            guard: Guard::Below(need),
        }
    }

    fn buffer(&self) -> Vote {
        let (check, capacity) = (self.check, self.capacity);
        let used = if check.slots == 1 {
            capacity.taken
        } else {
            capacity.good.iter().map(|member| member.used.min(check.slots)).sum()
        };
        let share = 1.0 - check.percent / 100.0;
        let free = if check.percent == 0.0 {
            0
        } else {
            whole(used as f64 / share) - used
        };
        let slots = used + free.max(check.min_ready);
        self.need(capacity.taken.max(whole(slots as f64 / check.slots as f64)))
    }

    fn webhook(&self) -> Option<Vote> {
        Some(self.need(whole(self.value("")?)))
    }

    fn queue(&self) -> Option<Vote> {
        let backlog = self.value("")?;
        let need = if backlog > self.check.activation {
            whole(backlog / self.check.target)
        } else {
            0
        };
        Some(self.need(need))
    }

    /// So many members that each is at the target. A member without a value counts as at the target when the pool would
    /// shrink and as idle when it would grow, and never turns the direction round.
    fn target(&self, before: &History, after: &mut History) -> Option<Vote> {
        let (spec, check, values) = (self.spec, self.check, self.values()?);
        let serving = self.capacity.serving.len() as f64;
        let demands = before.demand(spec, &check.name, values.mean() * serving);
        let headroom = if check.headroom_k == 0.0 {
            0.0
        } else {
            (check.headroom_k * rising(&demands)).min(check.headroom_max * values.sum.max(check.target))
        };
        after.demand.insert(check.name.clone(), demands);
        let demand = (values.sum + headroom) / check.target;
        let (known, size) = (values.known as f64, self.capacity.size());
        let mut need = demand;
        let mut asked = size;
        match demand.total_cmp(&known) {
            Ordering::Greater if need > size as f64 * (1.0 + spec.tolerance) => asked = whole(need),
            Ordering::Less => {
                need += values.missing as f64;
                if need < size as f64 * (1.0 - spec.tolerance) {
                    asked = whole(need);
                }
            }
            Ordering::Greater | Ordering::Equal => {}
        }
        // A value that cannot rise hides what is needed. Where enough is on its way, that is waited for.
        let is_saturated = check.bounded && values.mean() >= spec.saturated_at;
        if is_saturated && (self.capacity.pending() as f64) < serving * (spec.saturated_factor - 1.0) {
            asked = asked.max(whole(serving * spec.saturated_factor));
        }
        Some(Vote {
            size: asked,
            is_urgent: is_saturated || need > spec.burst * size as f64,
            guard: Guard::Demand {
                demand,
                tolerance: spec.tolerance,
            },
        })
    }

    /// A step up above `upper`, a step down below `lower`. A member without a value counts as at `upper` when the pool
    /// would shrink.
    fn threshold(&self, before: &History, after: &mut History) -> Option<Vote> {
        let (check, values, size) = (self.check, self.values()?, self.capacity.size());
        let (mean, missing) = (values.mean(), values.missing as f64);
        let is_low = (values.sum + missing * check.upper) / (values.known as f64 + missing) < check.lower;
        let side = match mean > check.upper {
            true => Some(Side::Above),
            false => is_low.then_some(Side::Below),
        };
        let asked = match side.filter(|side| self.has_held(*side, before, after)) {
            // What is on its way is waited for.
            Some(Side::Above) if self.capacity.pending() == 0 => size.saturating_add(check.step),
            Some(Side::Below) => size.saturating_sub(check.step),
            Some(Side::Above) | None => size,
        };
        Some(Vote {
            size: asked,
            is_urgent: false,
            guard: Guard::Shared {
                sum: values.sum + missing * mean,
                upper: check.upper,
            },
        })
    }

    /// Returns whether the values have been beyond this threshold for as long as they must have been. A round without a
    /// value, or within the thresholds, begins anew.
    fn has_held(&self, side: Side, before: &History, after: &mut History) -> bool {
        let check = self.check;
        if check.held <= 0.0 {
            return true;
        }
        let earlier = before.beyond.get(&check.name).filter(|beyond| beyond.side == side);
        let since = earlier.map_or(self.now, |beyond| beyond.since.min(self.now));
        after.beyond.insert(check.name.clone(), Beyond { side, since });
        self.now - since >= check.held
    }
}
