//! What is declared of a pool's size, as the decision takes it: seconds, fractions, and schedules as instants.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::config::blocks::Pool;
use crate::config::blocks::scale::check::lag;
use crate::config::blocks::scale::{
    BudgetAction, Check, Direction, OnMissing, PolicyType, PredictiveMode, Schedule, Select, Step, Strategy, Times,
    Warmup, Weekday,
};
use crate::scale::{self, Calendar, Spec, Starts, Window};

/// After how long a member that never became ready is given up.
const PROVISION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// For how long a member must have been unhealthy to be replaced: what can be mended in place has that long.
const REPLACE_AFTER: Duration = Duration::from_secs(5 * 60);

/// The unit of a check's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent of something, of which there is no more than 100.
    Percent,
    /// Whatever its source counts.
    Count,
    /// How fast time passes: less is worse, so the decision takes by what share everything takes longer.
    Pace,
}

impl Unit {
    /// Returns the unit of a check's values. Percent is what the agent and the engine say of processors and memory, and what
    /// a query calls so with the last word of its metric: `CpuUtilization[1m].mean()`, `node_busy_percent{zone="a"}`.
    pub fn of(name: &Arc<str>, check: &Check) -> Self {
        // A backlog is a count whatever it is called.
        if !matches!(check.strategy, Strategy::Target { .. } | Strategy::Threshold { .. }) {
            return Unit::Count;
        }
        if check.is_pace(name) {
            return Unit::Pace;
        }
        let metric = check.metric(name);
        let words = metric.as_str().unwrap_or_default().to_ascii_lowercase();
        let metric = words.split(['[', '{']).next().unwrap_or_default();
        let mut words = metric.rsplit(|c: char| !c.is_ascii_alphanumeric());
        let last = words.find(|word| !word.is_empty()).unwrap_or_default();
        match ["cpu", "memory", "percent", "utilization"]
            .iter()
            .any(|unit| last.ends_with(unit))
        {
            true => Unit::Percent,
            false => Unit::Count,
        }
    }

    /// Returns a value as the decision takes it.
    pub fn lower(self, value: f64) -> f64 {
        match self {
            Unit::Percent => value / 100.0,
            Unit::Count => value,
            Unit::Pace => lag(value),
        }
    }

    /// Returns a value of the decision as people read it.
    pub fn raise(self, value: f64) -> f64 {
        match self {
            Unit::Percent => value * 100.0,
            Unit::Count => value,
            Unit::Pace => 1.0 / (1.0 + value),
        }
    }
}

/// Returns what is declared of a pool's size, for a decision at an instant at which it has `size` members: a step in percent
/// is so much of them, and of the schedules those count that hold then.
pub fn spec(pool: &Pool, size: i64, now: Timestamp) -> Spec {
    let autoscale = &pool.autoscale;
    let slots = pool.node.max_simulators.map_or(1, whole);
    let (up, down) = (&autoscale.behavior.scale_up, &autoscale.behavior.scale_down);
    Spec {
        min: whole(autoscale.min),
        max: whole(autoscale.max),
        checks: autoscale
            .checks
            .iter()
            .map(|(name, declared)| check(name, declared, slots, size))
            .collect(),
        tolerance: autoscale.tolerance / 100.0,
        warmup: match autoscale.warmup {
            Warmup::Auto => 0.0,
            Warmup::After(warmup) => warmup.as_secs_f64(),
        },
        interval: autoscale.evaluation_interval.as_secs_f64(),
        stabilization_up: up.stabilization_window.as_secs_f64(),
        stabilization_down: down.stabilization_window.as_secs_f64(),
        cooldown_up: up.cooldown.as_secs_f64(),
        cooldown_down: down.cooldown.as_secs_f64(),
        policies_up: policies(up),
        policies_down: policies(down),
        up_select: select(up.select),
        down_select: select(down.select),
        schedules: windows(&autoscale.schedules, now),
        budget_hourly: match &autoscale.budget {
            // 15 members of 0.2 cost a little more than 3, as binary numbers go.
            Some(budget) if budget.action == BudgetAction::Cap => budget.max_hourly * (1.0 + 1e-9),
            _ => f64::INFINITY,
        },
        price: pool.price_hourly.unwrap_or(0.0),
        provision_timeout: PROVISION_TIMEOUT.as_secs_f64(),
        replace_after: REPLACE_AFTER.as_secs_f64(),
        predictive: match autoscale.predictive.mode {
            PredictiveMode::Off => scale::Predictive::Off,
            PredictiveMode::Advise => scale::Predictive::Advise,
            PredictiveMode::Scale => scale::Predictive::Scale,
        },
        ..Spec::default()
    }
}

/// Returns when the schedules of a pool next change what they say, after an instant.
pub fn next_change(pool: &Pool, now: Timestamp) -> Option<Timestamp> {
    let schedules = pool.autoscale.schedules.iter();
    schedules
        .filter_map(|(_, schedule)| calendar(&schedule.times)?.next_change(now))
        .min()
}

/// Whether one of several times holds at an instant, and when the next of them begins or ends.
pub fn holds(times: &[Times], now: Timestamp) -> (bool, Option<Timestamp>) {
    let calendars: Vec<Calendar> = times.iter().filter_map(calendar).collect();
    let holds = calendars.iter().any(|calendar| calendar.at(now).is_some());
    (
        holds,
        calendars.iter().filter_map(|calendar| calendar.next_change(now)).min(),
    )
}

fn check(name: &Arc<str>, check: &Check, slots: i64, size: i64) -> scale::Check {
    let unit = Unit::of(name, check);
    let lowered = scale::Check {
        name: name.to_string(),
        bounded: unit == Unit::Percent,
        on_missing: on_missing(check.on_missing),
        fallback: check.fallback.map_or(0, whole),
        failure_threshold: check.failure_threshold,
        max_age: check.max_age.as_secs_f64(),
        headroom_k: check.headroom,
        slots,
        ..scale::Check::default()
    };
    match &check.strategy {
        Strategy::Target { target } => scale::Check {
            strategy: scale::Strategy::Target,
            target: unit.lower(*target),
            ..lowered
        },
        Strategy::Threshold {
            upper,
            lower,
            held,
            step,
        } => {
            // Below `lower` a pool of slow simulators grows.
            let (upper, lower) = match unit {
                Unit::Pace => (unit.lower(*lower), unit.lower(*upper)),
                Unit::Percent | Unit::Count => (unit.lower(*upper), unit.lower(*lower)),
            };
            scale::Check {
                strategy: scale::Strategy::Threshold,
                upper,
                lower,
                held: held.map_or(0.0, |held: Duration| held.as_secs_f64()),
                step: members(*step, size),
                ..lowered
            }
        }
        Strategy::Queue { target, activation } => scale::Check {
            strategy: scale::Strategy::Queue,
            target: *target,
            activation: *activation,
            bounded: false,
            ..lowered
        },
        Strategy::Buffer { min_ready, percent } => scale::Check {
            strategy: scale::Strategy::Buffer,
            min_ready: whole(*min_ready),
            percent: *percent,
            bounded: false,
            ..lowered
        },
        Strategy::Webhook { .. } => scale::Check {
            strategy: scale::Strategy::Webhook,
            bounded: false,
            ..lowered
        },
    }
}

/// Returns what a lack of data does.
pub fn on_missing(declared: OnMissing) -> scale::OnMissing {
    match declared {
        OnMissing::Hold => scale::OnMissing::Hold,
        OnMissing::Fallback => scale::OnMissing::Fallback,
        OnMissing::FailOpen => scale::OnMissing::FailOpen,
        OnMissing::Ignore => scale::OnMissing::Ignore,
    }
}

/// Returns how many members a step is.
fn members(step: Step, size: i64) -> i64 {
    let share = (size as f64 * step.percent / 100.0).ceil() as i64;
    share.max(whole(step.min))
}

fn policies(direction: &Direction) -> Vec<scale::Policy> {
    let policy = |policy: &crate::config::blocks::scale::Policy| scale::Policy {
        kind: match policy.kind {
            PolicyType::Percent => scale::PolicyKind::Percent,
            PolicyType::Count => scale::PolicyKind::Count,
        },
        value: policy.value,
        period: policy.period.as_secs_f64(),
    };
    direction.policies.iter().map(policy).collect()
}

fn select(select: Select) -> scale::Select {
    match select {
        Select::Max => scale::Select::Max,
        Select::Min => scale::Select::Min,
    }
}

/// Returns the schedules that hold at an instant.
fn windows(schedules: &[(Arc<str>, Schedule)], now: Timestamp) -> Vec<Window> {
    let window = |(name, schedule): &(Arc<str>, Schedule)| {
        let occurrence = calendar(&schedule.times)?.at(now)?;
        Some(Window {
            name: name.to_string(),
            start: seconds(occurrence.start),
            end: seconds(occurrence.end),
            min: schedule.min.map(whole),
            max: schedule.max.map(whole),
            desired: schedule.desired.map(whole),
            priority: whole(schedule.priority),
        })
    };
    schedules.iter().filter_map(window).collect()
}

/// Returns when a schedule holds; nothing where its time zone is not known on this machine, which `validate` tells.
pub fn calendar(times: &Times) -> Option<Calendar> {
    let starts = match &times.cron {
        Some(expression) => Starts::cron(expression).ok()?,
        None => Starts::Daily {
            at: time(times.start?)?,
            days: times.days.iter().map(|day| weekday(*day)).collect(),
        },
    };
    Some(Calendar::new(
        TimeZone::get(&times.timezone).ok()?,
        starts,
        time(times.end?)?,
    ))
}

/// Returns a time of day by its minutes after midnight.
fn time(minutes: u16) -> Option<Time> {
    Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()
}

fn weekday(day: Weekday) -> jiff::civil::Weekday {
    match day {
        Weekday::Monday => jiff::civil::Weekday::Monday,
        Weekday::Tuesday => jiff::civil::Weekday::Tuesday,
        Weekday::Wednesday => jiff::civil::Weekday::Wednesday,
        Weekday::Thursday => jiff::civil::Weekday::Thursday,
        Weekday::Friday => jiff::civil::Weekday::Friday,
        Weekday::Saturday => jiff::civil::Weekday::Saturday,
        Weekday::Sunday => jiff::civil::Weekday::Sunday,
    }
}

/// Returns an instant as seconds since the epoch.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// Returns a count as the decision computes with it; no pool is so large that it would not fit.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::blocks::Block;
    use crate::config::tests::load_text;
    use crate::config::{Instance, Names, NoResources};

    /// Returns a pool with this in its `autoscale`.
    fn pool(autoscale: &str) -> Pool {
        let text = format!(
            "provider \"local\" {{}}\npool \"p\" {{\n  price_hourly = 0.2\n  node {{\n    cpus = 1\n    memory = \"1GiB\"\n    \
             max_simulators = 4\n  }}\n  autoscale {{\n    min = 1\n    max = 10\n{autoscale}\n  }}\n}}\n"
        );
        let (config, _) = load_text(&text).expect("it is valid");
        let names = Names::new(&config, &NoResources);
        let declared = config.declaration("pool", &["p"]).expect("declared");
        let record = declared
            .evaluate(&names.scope(Instance::default()))
            .expect("it evaluates");
        match declared.decode(&record) {
            Ok(Block::Pool(pool)) => *pool,
            other => panic!("{other:?}"),
        }
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// What a pool is at some instant, with eight members.
    fn lowered(autoscale: &str) -> Spec {
        spec(&pool(autoscale), 8, instant("2026-06-01T05:00:00Z"))
    }

    #[test]
    fn the_defaults_are_those_of_the_decision() {
        let expected = Spec {
            max: 10,
            price: 0.2,
            provision_timeout: 900.0,
            replace_after: 300.0,
            ..Spec::default()
        };
        assert_eq!(lowered(""), expected);
    }

    #[test]
    fn percents_become_fractions_and_times_seconds() {
        let spec = lowered(
            "evaluation_interval = \"10s\"\ntolerance = 5\nwarmup = \"1m\"\npredictive {\n mode = \"advise\"\n}\nbehavior {\n scale_up {\n  \
             stabilization_window = \"20s\"\n  cooldown = \"3s\"\n  select = \"min\"\n  policy {\n   type = \"count\"\n   value = 2\n   \
             period = \"1m\"\n  }\n }\n}\ncheck \"cpu\" {\n strategy \"target\" { target = 65 }\n}\n",
        );
        assert_eq!((spec.interval, spec.tolerance, spec.warmup), (10.0, 0.05, 60.0));
        assert_eq!(
            (spec.stabilization_up, spec.cooldown_up, spec.up_select),
            (20.0, 3.0, scale::Select::Min)
        );
        let policy = scale::Policy {
            kind: scale::PolicyKind::Count,
            value: 2.0,
            period: 60.0,
        };
        assert_eq!(spec.policies_up, [policy]);
        assert_eq!(
            (spec.stabilization_down, spec.predictive),
            (600.0, scale::Predictive::Advise)
        );
        let check = &spec.checks[0];
        assert_eq!(
            (check.target, check.bounded, check.slots, check.headroom_k),
            (0.65, true, 4, 1.0)
        );
    }

    #[test]
    fn what_is_percent_and_what_is_not() {
        for (name, query, expected) in [
            ("cpu", "", Unit::Percent),
            ("memory", "", Unit::Percent),
            ("busy", "query = \"http://m/load#$.cpu\"", Unit::Percent),
            ("busy", "query = \"node_busy_percent\"", Unit::Percent),
            ("busy", "query = \"CpuUtilization[1m]{zone = 1}.mean()\"", Unit::Percent),
            ("busy", "query = \"Percentage CPU\"", Unit::Percent),
            ("cpu", "query = \"rate(requests[1m])\"", Unit::Count),
            ("free_slots", "", Unit::Count),
            ("real_time_factor", "", Unit::Pace),
            ("speed", "query = \"real_time_factor\"", Unit::Pace),
            ("real_time_factor", "query = \"avg(real_time_factor)\"", Unit::Count),
        ] {
            let pool = pool(&format!(
                "check {name:?} {{\n {query}\n strategy \"target\" {{ target = 0.5 }}\n}}"
            ));
            let (name, check) = pool.autoscale.checks.first_key_value().expect("a check");
            assert_eq!(Unit::of(name, check), expected, "{name} {query}");
        }
        let pool = pool("check \"cpu\" {\n strategy \"queue\" { target = 5 }\n}");
        let (name, check) = pool.autoscale.checks.first_key_value().expect("a check");
        assert_eq!(Unit::of(name, check), Unit::Count, "what waits for a processor");
    }

    #[test]
    fn each_strategy_has_its_numbers() {
        let spec = lowered(
            "check \"cpu\" {\n strategy \"threshold\" {\n  upper = 75\n  lower = 30\n  for = \"2m\"\n  step = { percent = 30 }\n }\n}\n\
             check \"free\" {\n on_missing = \"fallback\"\n fallback = 3\n strategy \"buffer\" {\n  min_ready = 2\n  percent = 20\n }\n}\n\
             check \"jobs\" {\n query = \"jobs_cpu\"\n strategy \"queue\" {\n  target = 5\n  activation = 1\n }\n}\n\
             check \"other\" {\n strategy \"webhook\" { url = \"https://example.com/size\" }\n}\n",
        );
        let [cpu, free, jobs, other] = &spec.checks[..] else {
            panic!("{spec:?}")
        };
        assert_eq!(
            (cpu.strategy, cpu.upper, cpu.lower, cpu.held, cpu.step),
            (scale::Strategy::Threshold, 0.75, 0.3, 120.0, 3)
        );
        assert_eq!(
            (free.strategy, free.min_ready, free.percent),
            (scale::Strategy::Buffer, 2, 20.0)
        );
        assert_eq!((free.on_missing, free.fallback), (scale::OnMissing::Fallback, 3));
        assert_eq!(
            (jobs.strategy, jobs.target, jobs.activation, jobs.bounded),
            (scale::Strategy::Queue, 5.0, 1.0, false)
        );
        assert_eq!(other.strategy, scale::Strategy::Webhook);
    }

    #[test]
    fn a_budget_caps_or_only_warns() {
        let cap = |action| {
            let spec = lowered(&format!("budget {{\n max_hourly = 1\n action = {action:?}\n}}"));
            scale::bounds(&spec, 0.0).cap
        };
        assert_eq!((cap("cap"), cap("warn")), (5, 10));
    }

    #[test]
    fn schedules_hold_at_their_times() {
        let pool = pool(
            "schedule \"office\" {\n timezone = \"Asia/Kolkata\"\n days = [\"mon\"]\n start = \"09:00\"\n end = \"17:00\"\n min = 5\n max = 8\n}\n\
             schedule \"first\" {\n timezone = \"UTC\"\n cron = \"0 4 1 * *\"\n end = \"06:00\"\n desired = 7\n priority = 2\n}\n",
        );
        let at = |text| {
            let spec = spec(&pool, 1, instant(text));
            let bounds = scale::bounds(&spec, seconds(instant(text)));
            (spec.schedules.len(), bounds.min, bounds.cap)
        };
        assert_eq!(at("2026-06-01T03:00:00Z"), (0, 1, 10));
        assert_eq!(at("2026-06-01T03:30:00Z"), (1, 5, 8));
        assert_eq!(at("2026-06-01T04:00:00Z"), (2, 7, 7));
        assert_eq!(at("2026-06-01T06:00:00Z"), (1, 5, 8));
        let changes = |text| next_change(&pool, instant(text)).map(|at| at.to_string());
        assert_eq!(changes("2026-06-01T03:00:00Z").as_deref(), Some("2026-06-01T03:30:00Z"));
        assert_eq!(changes("2026-06-01T03:30:00Z").as_deref(), Some("2026-06-01T04:00:00Z"));
        assert_eq!(changes("2026-06-01T06:00:00Z").as_deref(), Some("2026-06-01T11:30:00Z"));
    }
}
