//! What a pool makes of a trace.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Trace;
use crate::config::blocks::Pool;
use crate::lower::Ahead;
use crate::lower::autoscale::{Unit, seconds, spec};
use crate::scale::{
    Action, Check, Decision, Event, History, Member, MemberState, Observation, Past, Sample, Samples, Step, Strategy,
    decide,
};

/// How a pool is rehearsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How much a member serves.
    pub capacity: Capacity,
    /// How long a member takes until it serves.
    pub boot: Duration,
}

/// How much a member serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Capacity {
    /// So much, in the unit of the trace.
    Of(f64),
    /// So much that the load that is exceeded only 0.05 % of the time needs so many members.
    Peak(u64),
}

/// What a pool made of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// When the trace begins.
    pub start: Timestamp,
    /// How often a decision was made, in seconds.
    pub interval: f64,
    /// How much a member serves, in the unit of the trace.
    pub capacity: f64,
    /// Each decision, and what there was then.
    pub ticks: Vec<Tick>,
    /// How often each limit held.
    pub limits: BTreeMap<&'static str, u64>,
    /// How often the size changed.
    pub changes: usize,
    /// How often it changed in the other direction within ten minutes.
    pub reversals: usize,
    /// How wrong the forecasts of its last day were, as a share of what was needed; `None` where it does not look ahead, or too
    /// few can be judged.
    pub forecast_error: Option<f64>,
    /// What a member costs an hour, where that is known, and in which currency.
    pub price: Option<(f64, String)>,
}

/// What there was at a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// What there was to do; none where nothing is known.
    pub load: Option<f64>,
    /// How many members served.
    pub ready: u32,
    /// How many were booting.
    pub booting: u32,
    /// How many were draining.
    pub draining: u32,
}

impl Tick {
    /// Returns how many members were paid for.
    pub fn members(&self) -> u32 {
        self.ready + self.booting + self.draining
    }
}

impl Rehearsal {
    /// Returns which part of the load was not served.
    pub fn unserved(&self) -> f64 {
        let load = |tick: &Tick| tick.load.unwrap_or(0.0);
        let all: f64 = self.ticks.iter().map(load).sum();
        let served = |tick: &Tick| f64::from(tick.ready) * self.capacity;
        let lost: f64 = self.ticks.iter().map(|tick| (load(tick) - served(tick)).max(0.0)).sum();
        if all > 0.0 { lost / all } else { 0.0 }
    }

    /// Returns how many members there were on average.
    pub fn mean_members(&self) -> f64 {
        self.member_ticks() / self.ticks.len().max(1) as f64
    }

    /// Returns for how many hours members were paid for.
    pub fn node_hours(&self) -> f64 {
        self.member_ticks() * self.interval / 3600.0
    }

    /// Returns the most members that there were.
    pub fn most_members(&self) -> u32 {
        self.ticks.iter().map(Tick::members).max().unwrap_or(0)
    }

    /// Returns what all members cost, and in which currency.
    pub fn cost(&self) -> Option<(f64, &str)> {
        let (price, currency) = self.price.as_ref()?;
        Some((price * self.node_hours(), currency))
    }

    fn member_ticks(&self) -> f64 {
        self.ticks.iter().map(|tick| f64::from(tick.members())).sum()
    }
}

/// Replays a trace through a pool's policy.
///
/// A pool begins with as many members as serve the first load at 70 % of what they can. What a check sees depends on its
/// strategy: for `target` and `threshold` how busy members are (percent), or how much each has to do (anything else), on
/// average over the check's window; for `queue` the trace is the backlog, for `buffer` the slots that are taken.
pub fn replay(pool: &Pool, trace: &Trace, settings: &Settings) -> Rehearsal {
    let interval = pool.autoscale.evaluation_interval.as_secs_f64();
    let loads: Vec<Option<f64>> = trace.every(interval).collect();
    let capacity = match settings.capacity {
        Capacity::Of(capacity) => capacity,
        Capacity::Peak(members) => peak(&loads) / members as f64,
    };
    let mut simulated = Simulated::new(pool, capacity, settings.boot);
    simulated.begin(
        loads.iter().flatten().next().copied().unwrap_or(0.0),
        seconds(trace.start),
    );
    let mut ticks = Vec::with_capacity(loads.len());
    let mut limits = BTreeMap::new();
    for (number, load) in loads.into_iter().enumerate() {
        let after = SignedDuration::from_secs_f64(number as f64 * interval);
        let Ok(now) = trace.start.checked_add(after) else { break };
        ticks.push(simulated.advance(now, load));
        let decision = simulated.decide(now);
        for limit in &decision.limited_by {
            *limits.entry(limit.as_str()).or_default() += 1;
        }
        simulated.carry_out(&decision, seconds(now));
    }
    let turns = simulated.changes.windows(2).filter(|pair| {
        let (Event(at, change), Event(later, other)) = (pair[0], pair[1]);
        change.signum() != other.signum() && later - at <= 600.0
    });
    let currency = pool.autoscale.budget.as_ref().map_or("USD", |budget| &*budget.currency);
    Rehearsal {
        start: trace.start,
        interval,
        capacity,
        ticks,
        limits,
        changes: simulated.changes.len(),
        reversals: turns.count(),
        forecast_error: simulated.forecast_error,
        price: pool.price_hourly.map(|price| (price, currency.to_owned())),
    }
}

/// Returns the load that is exceeded only 0.05 % of the time; 1 where there is none.
fn peak(loads: &[Option<f64>]) -> f64 {
    let mut sorted: Vec<f64> = loads.iter().map(|load| load.unwrap_or(0.0)).collect();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * 0.9995) as usize).saturating_sub(1);
    sorted.get(at).copied().filter(|peak| *peak > 0.0).unwrap_or(1.0)
}

/// A pool whose members boot, serve and drain.
struct Simulated<'a> {
    pool: &'a Pool,
    capacity: f64,
    boot: f64,
    drain: f64,
    members: Vec<Member>,
    /// When each that boots is ready, or each that drains is gone.
    due: BTreeMap<String, f64>,
    made: u64,
    load: Option<f64>,
    /// What part of its members' capacity the pool used, and how much each had to do; the last ones, newest last.
    busy: VecDeque<Option<(f64, f64)>>,
    history: History,
    past: Past,
    forecast_error: Option<f64>,
    changes: Vec<Event>,
}

impl<'a> Simulated<'a> {
    fn new(pool: &'a Pool, capacity: f64, boot: Duration) -> Self {
        Simulated {
            pool,
            capacity,
            boot: boot.as_secs_f64(),
            drain: pool.drain.timeout.as_secs_f64(),
            members: Vec::new(),
            due: BTreeMap::new(),
            made: 0,
            load: None,
            busy: VecDeque::new(),
            history: History::default(),
            past: Past::default(),
            forecast_error: None,
            changes: Vec::new(),
        }
    }

    fn begin(&mut self, load: f64, now: f64) {
        let needed = (load / self.capacity / 0.7).ceil() as u64;
        let autoscale = &self.pool.autoscale;
        for _ in 0..needed.max(autoscale.min).min(autoscale.max) {
            let member = self.make(now);
            self.members.push(Member {
                state: MemberState::Ready,
                ready_at: f64::NEG_INFINITY,
                ..member
            });
        }
    }

    fn make(&mut self, now: f64) -> Member {
        self.made += 1;
        Member {
            id: format!("{:06}", self.made),
            state: MemberState::Pending,
            healthy: true,
            unhealthy_since: None,
            protected: false,
            created: now,
            ready_at: f64::NEG_INFINITY,
            idle_since: now,
            load: 0.0,
            drifted: false,
            used: 0,
        }
    }

    fn count(&self, state: MemberState) -> u32 {
        u32::try_from(self.members.iter().filter(|member| member.state == state).count()).unwrap_or(u32::MAX)
    }

    /// Lets time go on up to an instant, and returns what there is then.
    fn advance(&mut self, now: Timestamp, load: Option<f64>) -> Tick {
        let now = seconds(now);
        let due = &mut self.due;
        self.members.retain_mut(|member| {
            if due.get(&member.id).is_none_or(|at| *at > now) {
                return true;
            }
            due.remove(&member.id);
            if member.state == MemberState::Draining {
                return false;
            }
            (member.state, member.ready_at, member.idle_since) = (MemberState::Ready, now, now);
            true
        });
        self.load = load;
        let ready = self.serving();
        self.busy.push_back(load.map(|load| match ready {
            0 => (1.0, load),
            ready => ((load / (ready as f64 * self.capacity)).min(1.0), load / ready as f64),
        }));
        let slots = self.pool.node.max_simulators.unwrap_or(1);
        let longest = self
            .pool
            .autoscale
            .checks
            .values()
            .map(|check| check.window)
            .max()
            .unwrap_or_default();
        let kept = (longest.as_secs_f64() / self.pool.autoscale.evaluation_interval.as_secs_f64()).max(1.0) as usize;
        while self.busy.len() > kept {
            self.busy.pop_front();
        }
        self.fill(load.unwrap_or(0.0), slots);
        Tick {
            load,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
            booting: self.count(MemberState::Pending),
            draining: self.count(MemberState::Draining),
        }
    }

    fn serving(&self) -> usize {
        let serves = |member: &&Member| matches!(member.state, MemberState::Ready | MemberState::Allocated);
        self.members.iter().filter(serves).count()
    }

    /// Lets the load take slots of members, where a check counts them.
    fn fill(&mut self, load: f64, slots: u64) {
        use crate::config::blocks::scale::Strategy::Buffer;
        if !self
            .pool
            .autoscale
            .checks
            .values()
            .any(|check| matches!(check.strategy, Buffer { .. }))
        {
            return;
        }
        let mut left = load.ceil() as i64;
        for member in &mut self.members {
            if !matches!(member.state, MemberState::Ready | MemberState::Allocated) {
                continue;
            }
            let used = left.min(i64::try_from(slots).unwrap_or(i64::MAX));
            left -= used;
            member.state = MemberState::Ready;
            member.occupy(used, Some(slots));
        }
    }

    fn decide(&mut self, now: Timestamp) -> Decision {
        let size = self
            .members
            .iter()
            .filter(|member| member.state != MemberState::Draining)
            .count();
        let spec = spec(self.pool, i64::try_from(size).unwrap_or(i64::MAX), now);
        let samples = spec
            .checks
            .iter()
            .map(|check| (check.name.clone(), self.samples(check, seconds(now))));
        let samples = samples.collect();
        let serving = self.members.iter().filter(|member| member.state.serves()).count();
        let (autoscale, past) = (&self.pool.autoscale, &mut self.past);
        let ahead = Ahead::look(autoscale, past, &samples, serving, seconds(now), self.boot);
        self.forecast_error = ahead.and_then(|ahead| ahead.error);
        let seen = Observation {
            now: seconds(now),
            samples,
            members: std::mem::take(&mut self.members),
            forecast: ahead.map(|ahead| ahead.demand),
            forecast_ok: ahead.is_some_and(|ahead| ahead.counts),
        };
        let (decision, after) = decide(&spec, &seen, &self.history);
        (self.members, self.history) = (seen.members, after);
        decision
    }

    /// Returns what a check sees.
    fn samples(&self, check: &Check, now: f64) -> Samples {
        let pool_wide = |value| Samples::from([(String::new(), Sample(value, now))]);
        match check.strategy {
            Strategy::Queue => self.load.map(pool_wide).unwrap_or_default(),
            Strategy::Buffer | Strategy::Webhook => Samples::new(),
            Strategy::Target | Strategy::Threshold => {
                let Some((name, declared)) = self.pool.autoscale.checks.get_key_value(check.name.as_str()) else {
                    return Samples::new();
                };
                let interval = self.pool.autoscale.evaluation_interval.as_secs_f64();
                let kept = (declared.window.as_secs_f64() / interval).max(1.0) as usize;
                let unit = Unit::of(name, declared);
                if unit == Unit::Pace {
                    // A trace of loads says nothing of simulators that fall behind.
                    return Samples::new();
                }
                let of_late = self.busy.iter().rev().take(kept).flatten();
                let values: Vec<f64> = of_late
                    .map(|(share, each)| if unit == Unit::Percent { *share } else { *each })
                    .collect();
                if values.is_empty() {
                    return Samples::new();
                }
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let serving = self
                    .members
                    .iter()
                    .filter(|member| matches!(member.state, MemberState::Ready | MemberState::Allocated));
                serving.map(|member| (member.id.clone(), Sample(mean, now))).collect()
            }
        }
    }

    fn carry_out(&mut self, decision: &Decision, now: f64) {
        for Action(step, id) in &decision.actions {
            let at = self.members.iter().position(|member| member.id == *id);
            match (step, at) {
                (Step::Create, _) => {
                    let member = self.make(now);
                    self.due.insert(member.id.clone(), now + self.boot);
                    self.members.push(member);
                }
                (Step::Undrain | Step::Resume, Some(at)) => {
                    self.members[at].state = MemberState::Ready;
                    self.due.remove(id);
                }
                (Step::Drain, Some(at)) => {
                    self.members[at].state = MemberState::Draining;
                    self.due.insert(id.clone(), now + self.drain);
                }
                (Step::Cancel, Some(at)) => {
                    self.members.remove(at);
                    self.due.remove(id);
                }
                (_, None) => {}
            }
        }
        if decision.desired != decision.current {
            self.changes.push(Event(now, decision.desired - decision.current));
        }
    }
}
