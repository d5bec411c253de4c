//! One pool: what is asked of its sources, and what is decided of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use simfleet_provider_api::{Address, Metric, Value};
use simfleet_state::{Lap, Pool as RecordedPool};

use super::looks::Sight;
use super::members::{self, Recorded, Signs};
use super::memory::Memory;
use super::sources::{Asked, Question, Source, Values};
use crate::config::blocks::Pool;
use crate::config::blocks::scale::{self as declared, Strategy};
use crate::lower::autoscale::{self, Unit, seconds};
use crate::lower::{Ahead, Wanted};
use crate::providers::Providers;
use crate::scale::{Decision, Observation, Sample, Samples, decide};

/// A lap is told at least so often, also where nothing changed.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// What the sources of a pool answered, by check.
pub type Answers = BTreeMap<Arc<str>, Result<Values, String>>;

/// Where metrics come from, by the address of their block.
pub type Servers = BTreeMap<Address, Arc<str>>;

/// What one lap of a pool came to.
#[derive(Debug)]
pub struct Decided {
    /// The pool.
    pub pool: Address,
    /// The decision.
    pub decision: Decision,
    /// What the planner makes of it.
    pub wanted: Wanted,
    /// How many members there are, of any kind.
    pub members: usize,
    /// The values of its checks, as people read them.
    pub values: BTreeMap<String, f64>,
    /// What is to be kept of it.
    pub lap: Lap,
    /// Whether it is other than the one before, so that people should hear of it.
    pub is_news: bool,
}

/// What is told of a lap, for `pool history` and the page.
#[derive(Debug, Serialize)]
struct Told<'a> {
    size: usize,
    #[serde(flatten)]
    decision: &'a Decision,
    values: BTreeMap<&'a str, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Ahead>,
}

/// How many simulators there are for a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those without a place.
    pub waiting: usize,
    /// All of them.
    pub simulators: usize,
}

/// How long a member takes to be ready where that is not known, in seconds.
const BOOT: f64 = 300.0;

/// Returns what is to be asked of the sources of a pool.
pub fn questions(
    address: &Address,
    pool: &Pool,
    members: &Arc<[Asked]>,
    counts: Counts,
    servers: &Servers,
    providers: &Arc<Providers>,
) -> Vec<Question> {
    let question = |(name, check): (&Arc<str>, &declared::Check)| Question {
        pool: address.clone(),
        check: name.clone(),
        source: source(name, check, counts, servers),
        timeout: check.timeout,
        members: Arc::clone(members),
        providers: Arc::clone(providers),
    };
    pool.autoscale.checks.iter().map(question).collect()
}

/// Returns where the values of a check come from.
fn source(name: &Arc<str>, check: &declared::Check, counts: Counts, servers: &Servers) -> Source {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let unknown = || Source::None("its query is not known yet".to_owned());
    if let Strategy::Webhook { url, .. } = &check.strategy {
        return text(url).map_or_else(unknown, Source::Webhook);
    }
    if matches!(check.strategy, Strategy::Buffer { .. }) {
        return Source::Recorded;
    }
    let Some(query) = text(&check.metric(name)) else {
        return unknown();
    };
    match &check.source {
        Some(declared::Source::Http) => Source::Http(query),
        Some(declared::Source::Metrics(metrics)) => match servers.get(metrics) {
            Some(url) => Source::Prometheus {
                url: url.to_string(),
                query,
                matching: check.matching.as_ref().and_then(text),
            },
            None => Source::None(format!(
                "{metrics} is not a server of Prometheus, the only kind that is asked yet"
            )),
        },
        Some(declared::Source::Simfleet) | None => match (Metric::of(&query), query.as_str()) {
            (Some(metric), _) => Source::Own(metric),
            (None, "real_time_factor") => Source::RealTimeFactor,
            (None, "queue") => Source::Counted(counts.waiting),
            (None, "simulators") => Source::Counted(counts.simulators),
            (None, "free_slots") => Source::None("`free_slots` is for the strategy buffer only".to_owned()),
            (None, other) => Source::None(format!(
                "simfleet measures `cpu_utilization` and `memory_utilization` of members and `real_time_factor` of vehicles, \
                 and counts `queue` and `simulators`, not `{other}`"
            )),
        },
    }
}

/// What a lap of a pool is made of.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Its address.
    pub address: &'a Address,
    /// What is declared.
    pub pool: &'a Pool,
    /// What is recorded of its size.
    pub recorded: Option<&'a RecordedPool>,
    /// What is recorded of members.
    pub members: &'a Recorded,
    /// What was last seen of objects.
    pub seen: Sight<'a>,
    /// The members that looks at their health found unhealthy.
    pub unhealthy: &'a BTreeSet<Address>,
    /// The numbers of the members that a run is about to remove.
    pub leaving: &'a BTreeSet<u64>,
    /// What the sources answered.
    pub answers: &'a Answers,
    /// When.
    pub now: Timestamp,
}

impl Seen<'_> {
    /// Decides how many members the pool should have.
    pub fn decide(&self, mut memory: Memory, before: Option<&Decision>) -> (Decided, Memory) {
        memory.catch_up(self.recorded);
        self.remember(&mut memory);
        let (samples, values, loads) = self.samples(&memory);
        let signs = Signs {
            seen: self.seen,
            unhealthy: self.unhealthy,
            loads: &loads,
            leaving: self.leaving,
        };
        let mut members = self.members.observe(self.address, &signs, &mut memory, self.now);
        for member in &mut members {
            member.occupy(member.used, self.pool.node.max_simulators);
        }
        let serving = members.iter().filter(|member| member.state.serves()).count();
        let boot = memory.boot().unwrap_or(BOOT);
        let (autoscale, now) = (&self.pool.autoscale, seconds(self.now));
        let ahead = Ahead::look(autoscale, &mut memory.past, &samples, serving, now, boot);
        let observation = Observation {
            now: seconds(self.now),
            samples,
            forecast: ahead.map(|ahead| ahead.demand),
            forecast_ok: ahead.is_some_and(|ahead| ahead.counts),
            members,
        };
        let size = observation.members.iter().filter(|member| member.healthy).count() as i64;
        let mut spec = autoscale::spec(self.pool, size, self.now);
        for check in &mut spec.checks {
            // What failed is told apart from what is silent.
            let (declared, answer) = (
                self.pool.autoscale.checks.get(&*check.name),
                self.answers.get(&*check.name),
            );
            if let (Some(declared), Some(Err(_))) = (declared, answer) {
                check.on_missing = autoscale::on_missing(declared.on_error);
            }
        }
        let (decision, mut history) = decide(&spec, &observation, &memory.history);
        // What really happened is in the journal: the next lap finds it there.
        if decision.desired != decision.current {
            history.events.pop();
        }
        memory.history = history;
        let is_news = before.is_none_or(|before| !is_same(before, &decision)) || !decision.actions.is_empty();
        let is_due = memory
            .told
            .is_none_or(|told| self.now.duration_since(told) >= TOLD_EVERY);
        let told = (is_news || is_due).then(|| {
            memory.told = Some(self.now);
            self.told(&decision, self.members.members(self.address).count(), &values, ahead)
        });
        let wanted = members::wanted(&observation.members, &decision, because(&decision));
        let decided = Decided {
            pool: self.address.clone(),
            wanted,
            members: self.members.members(self.address).count(),
            values,
            lap: Lap {
                pool: self.address.clone(),
                at: self.now,
                memory: serde_json::to_string(&memory).unwrap_or_default().into(),
                told: told.map(Into::into),
            },
            decision,
            is_news,
        };
        (decided, memory)
    }

    /// Adds what was answered to the values of each check, and forgets those that are out of its window.
    fn remember(&self, memory: &mut Memory) {
        memory
            .samples
            .retain(|check, _| self.pool.autoscale.checks.contains_key(check.as_str()));
        for (name, check) in &self.pool.autoscale.checks {
            let kept = memory.samples.entry(name.to_string()).or_default();
            if let Some(Ok(values)) = self.answers.get(name) {
                let of_members = values
                    .members
                    .iter()
                    .map(|(number, value)| (number.to_string(), *value));
                let of_pool = values.pool.map(|value| (String::new(), value));
                for (of, value) in of_members.chain(of_pool).filter(|(_, value)| value.is_finite()) {
                    kept.entry(of).or_default().push((self.now, value));
                }
            }
            let window = check.window.max(check.max_age);
            for values in kept.values_mut() {
                values.retain(|(at, _)| age(self.now, *at) <= window);
            }
            kept.retain(|_, values| !values.is_empty());
        }
    }

    /// Returns the values of each check as the decision takes them, as people read them, and how loaded each member is.
    fn samples(&self, memory: &Memory) -> (BTreeMap<String, Samples>, BTreeMap<String, f64>, BTreeMap<u64, f64>) {
        let (mut all, mut values, mut loads) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, check) in &self.pool.autoscale.checks {
            let unit = Unit::of(name, check);
            let mut samples = Samples::new();
            for (of, kept) in memory.samples.get(&**name).into_iter().flatten() {
                // Who says how many there are to be has said so last.
                let window = match check.strategy {
                    Strategy::Webhook { .. } => Duration::ZERO,
                    _ => check.window,
                };
                let Some((at, mean)) = mean(kept, self.now, window) else {
                    continue;
                };
                samples.insert(of.clone(), Sample(unit.lower(mean), seconds(at)));
                if let Ok(number) = of.parse() {
                    loads.entry(number).or_insert(unit.lower(mean));
                }
            }
            // One value for all members is that of each.
            if let Some(shared) = samples.get("").copied().filter(|_| is_of_members(check)) {
                let numbers = self.members.members(self.address).map(|(number, _)| number.to_string());
                samples.extend(numbers.map(|number| (number, shared)));
                samples.remove("");
            }
            if !samples.is_empty() {
                let sum: f64 = samples.values().map(|Sample(value, _)| value).sum();
                values.insert(name.to_string(), unit.raise(sum / samples.len() as f64));
            }
            all.insert(name.to_string(), samples);
        }
        (all, values, loads)
    }

    fn told(
        &self,
        decision: &Decision,
        size: usize,
        values: &BTreeMap<String, f64>,
        forecast: Option<Ahead>,
    ) -> String {
        let failed = self
            .answers
            .iter()
            .filter_map(|(check, answer)| Some((&**check, answer.as_ref().err()?.as_str())));
        let told = Told {
            size,
            decision,
            values: values.iter().map(|(check, value)| (check.as_str(), *value)).collect(),
            failed: failed.collect(),
            forecast,
        };
        serde_json::to_string(&told).unwrap_or_default()
    }
}

/// Whether the values of a check are of members, not of what all of them have to do.
fn is_of_members(check: &declared::Check) -> bool {
    matches!(check.strategy, Strategy::Target { .. } | Strategy::Threshold { .. })
}

/// Returns the mean of the values within a window, and when the newest is of.
fn mean(values: &[(Timestamp, f64)], now: Timestamp, window: Duration) -> Option<(Timestamp, f64)> {
    let (newest, _) = values.last()?;
    let recent: Vec<f64> = values
        .iter()
        .filter(|(at, _)| at == newest || age(now, *at) < window)
        .map(|(_, value)| *value)
        .collect();
    Some((*newest, recent.iter().sum::<f64>() / recent.len() as f64))
}

/// Returns how long ago an instant was; nothing for one that is to come, after a clock was set back.
fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

/// Whether two decisions say the same to people.
fn is_same(a: &Decision, b: &Decision) -> bool {
    a.desired == b.desired && a.current == b.current && a.limited_by == b.limited_by
}

/// Returns why a size is wanted, in words: what asked for it, and what limited it.
pub fn because(decision: &Decision) -> String {
    let asked: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    let limited: Vec<&str> = decision.limited_by.iter().map(|limit| limit.as_str()).collect();
    match (asked.is_empty(), limited.is_empty()) {
        (true, true) => "bounds".to_owned(),
        (true, false) => format!("limited by {}", limited.join(", ")),
        (false, true) => asked.join(", "),
        (false, false) => format!("{}; limited by {}", asked.join(", "), limited.join(", ")),
    }
}
