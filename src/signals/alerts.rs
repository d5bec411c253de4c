//! When alerts fire, and when they are told. Pure: what is measured and when comes from the loop, what is remembered is kept
//! beside the journal, so that a restart tells nothing twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::Address;

use super::names::matches;
use super::{EventName, Severity};
use crate::config::blocks::Alert;
use crate::config::blocks::alert::{Limits, Side, Trigger};

/// What is remembered of an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertMemory {
    /// Since when the metric has been beyond the limit of a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<Timestamp>,
    /// Since when it has been beyond the critical one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    critical: Option<Timestamp>,
    /// What fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
    /// When it was last told that it fires, and how bad it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<(Timestamp, Severity)>,
}

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// Since when.
    pub since: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// Why, in words.
    pub because: String,
    /// The value of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Whether it was told.
    pub is_told: bool,
    /// When its event was last told.
    last: Timestamp,
    /// The events, with what they are about, that are not over yet and say so once they are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    open: BTreeSet<(String, String)>,
}

/// What is to be told of an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It fires, or is worse than it was told.
    Firing(Firing),
    /// It does not fire any more. How it fired.
    Resolved(Firing),
}

impl AlertMemory {
    /// Takes in what a metric is now; `None` is no value, and changes nothing: what cannot be measured is neither good nor bad.
    pub fn measured(&mut self, alert: &Alert, value: Option<f64>, now: Timestamp) -> Option<Change> {
        let Trigger::Metric { side, limits, .. } = &alert.trigger else {
            return None;
        };
        let Some(value) = value.filter(|value| value.is_finite()) else {
            return self.due(alert, now);
        };
        let is_beyond = |limit: Option<f64>| {
            limit.is_some_and(|limit| match side {
                Side::Above => value >= limit,
                Side::Below => value <= limit,
            })
        };
        let since = |before: Option<Timestamp>, is_beyond: bool| is_beyond.then(|| before.unwrap_or(now));
        self.warning = since(self.warning, is_beyond(limits.warning));
        self.critical = since(self.critical, is_beyond(limits.critical));
        let is_held = |since: Option<Timestamp>| {
            since.is_some_and(|since| now.duration_since(since).unsigned_abs() >= alert.held || alert.held.is_zero())
        };
        let severity = match (is_held(self.critical), is_held(self.warning)) {
            (true, _) => Severity::Critical,
            (false, true) => Severity::Warning,
            (false, false) if self.warning.is_none() && self.critical.is_none() => return self.resolve(),
            // It is beyond a limit, and not for long enough: what fired before goes on.
            (false, false) => return self.due(alert, now),
        };
        let firing = self.firing.get_or_insert_with(|| Firing::of(severity, now));
        firing.severity = severity;
        firing.value = Some(value);
        firing.because = beyond(value, *side, limits, severity);
        self.due(alert, now)
    }

    /// Takes in an event that was told.
    pub fn happened(
        &mut self,
        alert: &Alert,
        event: EventName,
        about: Option<&Address>,
        message: &str,
        now: Timestamp,
    ) -> Option<Change> {
        let Trigger::Event {
            event: pattern,
            severity,
        } = &alert.trigger
        else {
            return None;
        };
        let about = about.filter(|about| **about == alert.on || about.parent() == alert.on)?;
        if matches(pattern, event.as_str()) {
            let severity = severity.unwrap_or(event.severity()).max(Severity::Warning);
            let firing = self.firing.get_or_insert_with(|| Firing::of(severity, now));
            firing.severity = firing.severity.max(severity);
            firing.because = message.to_owned();
            firing.last = now;
            if let Some(end) = event.end() {
                firing.open.insert((end.as_str().to_owned(), about.to_string()));
            }
            return self.due(alert, now);
        }
        let firing = self.firing.as_mut()?;
        let was_open = firing.open.remove(&(event.as_str().to_owned(), about.to_string()));
        match was_open && firing.open.is_empty() {
            true => self.resolve(),
            false => None,
        }
    }

    /// Takes in that time has passed: what was only told of once is over after `dedup` without another one.
    pub fn passed(&mut self, alert: &Alert, now: Timestamp) -> Option<Change> {
        let is_event = matches!(alert.trigger, Trigger::Event { .. });
        match &self.firing {
            Some(firing) if is_event && firing.open.is_empty() && is_over(firing.last, alert, now) => self.resolve(),
            _ => self.due(alert, now),
        }
    }

    /// Goes on after a restart, at which the loop forgets what it told: what is still so is told again, and does not make the
    /// alert fire anew; what is not is over after a while.
    pub fn resumed(mut self, now: Timestamp) -> Self {
        if let Some(firing) = &mut self.firing {
            firing.open.clear();
            firing.last = now;
        }
        self
    }

    /// Whether another one is worth being kept instead: not where only the value differs that is told anew anyway.
    pub fn news(&self, other: &AlertMemory) -> bool {
        let without_value = |memory: &AlertMemory| {
            let mut memory = memory.clone();
            if let Some(firing) = &mut memory.firing {
                (firing.value, firing.because) = (None, String::new());
            }
            memory
        };
        self != other && without_value(self) != without_value(other)
    }

    /// Returns that it fires, where that was not told, or not that it is so bad, and may be told now.
    fn due(&mut self, alert: &Alert, now: Timestamp) -> Option<Change> {
        let firing = self.firing.as_mut()?;
        let may = match self.told {
            None => true,
            Some((at, told)) if firing.is_told => firing.severity > told && at <= now,
            Some((at, told)) => firing.severity > told || is_over(at, alert, now),
        };
        if !may {
            return None;
        }
        firing.is_told = true;
        self.told = Some((now, firing.severity));
        Some(Change::Firing(firing.clone()))
    }

    /// Returns that it does not fire any more, where it was told that it does.
    pub fn resolve(&mut self) -> Option<Change> {
        let firing = self.firing.take()?;
        firing.is_told.then_some(Change::Resolved(firing))
    }
}

impl Firing {
    fn of(severity: Severity, now: Timestamp) -> Self {
        Firing {
            since: now,
            severity,
            because: String::new(),
            value: None,
            is_told: false,
            last: now,
            open: BTreeSet::new(),
        }
    }
}

/// Whether `dedup` has passed since an instant; not while a clock that was set back has not reached it again.
fn is_over(since: Timestamp, alert: &Alert, now: Timestamp) -> bool {
    now >= since && now.duration_since(since).unsigned_abs() >= alert.dedup
}

/// Says how bad a value is: `5, critical from 4 on`.
fn beyond(value: f64, side: Side, limits: &Limits, severity: Severity) -> String {
    let limit = match severity {
        Severity::Critical => limits.critical,
        _ => limits.warning,
    };
    let way = match side {
        Side::Above => "up",
        Side::Below => "down",
    };
    let value = (value * 100.0).round() / 100.0;
    format!(
        "{value}, {} from {} {way}",
        severity.as_str(),
        limit.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::blocks::alert::Metric;
    use crate::diagnostic::{SourceFile, Span};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn alert(trigger: Trigger) -> Alert {
        Alert {
            on: "pool.web".parse().unwrap(),
            trigger,
            held: Duration::from_secs(10),
            dedup: Duration::from_secs(300),
            notify: Vec::new(),
        }
    }

    fn above(warning: f64, critical: f64) -> Alert {
        let file = SourceFile {
            path: "f".into(),
            text: String::new(),
        };
        alert(Trigger::Metric {
            metric: Metric::Size,
            side: Side::Above,
            limits: Limits {
                warning: Some(warning),
                critical: Some(critical),
            },
            span: Span {
                file: file.into(),
                range: 0..0,
            },
        })
    }

    fn on(event: &str) -> Alert {
        alert(Trigger::Event {
            event: event.into(),
            severity: None,
        })
    }

    /// What is told, in short.
    fn told(change: Option<Change>) -> &'static str {
        match change {
            None => "",
            Some(Change::Firing(firing)) => firing.severity.as_str(),
            Some(Change::Resolved(_)) => "resolved",
        }
    }

    #[test]
    fn a_metric_fires_once_it_has_been_beyond_its_limit_for_long_enough() {
        let alert = above(4.0, 8.0);
        let mut memory = AlertMemory::default();
        for (second, value, expected) in [
            (0, Some(3.9), ""),
            (1, Some(4.0), ""),
            (10, Some(5.0), ""),
            (11, Some(5.0), "warning"),
            (12, Some(6.0), ""),
            (13, Some(8.0), ""),
            // No value is neither good nor bad.
            (20, None, ""),
            (22, Some(f64::NAN), ""),
            (23, Some(9.0), "critical"),
            (24, Some(5.0), ""),
            (25, Some(9.0), ""),
            (26, Some(1.0), "resolved"),
            (27, Some(1.0), ""),
        ] {
            assert_eq!(
                told(memory.measured(&alert, value, at(second))),
                expected,
                "at {second}"
            );
        }
    }

    #[test]
    fn what_comes_and_goes_is_not_told_again_within_dedup_and_never_forgotten() {
        let alert = Alert {
            held: Duration::ZERO,
            ..above(4.0, 8.0)
        };
        let mut memory = AlertMemory::default();
        for (second, value, expected) in [
            (0, 5.0, "warning"),
            (1, 1.0, "resolved"),
            (2, 5.0, ""),
            (3, 1.0, ""),
            (4, 5.0, ""),
            (299, 5.0, ""),
            (300, 5.0, "warning"),
            (301, 1.0, "resolved"),
            // What is worse than what was told is told at once.
            (302, 9.0, "critical"),
        ] {
            assert_eq!(
                told(memory.measured(&alert, Some(value), at(second))),
                expected,
                "at {second}"
            );
        }
    }

    #[test]
    fn a_restart_tells_nothing_twice() {
        let alert = above(4.0, 8.0);
        let mut memory = AlertMemory::default();
        memory.measured(&alert, Some(5.0), at(0));
        assert_eq!(told(memory.measured(&alert, Some(5.0), at(10))), "warning");
        let text = serde_json::to_string(&memory).unwrap();
        let mut memory = serde_json::from_str::<AlertMemory>(&text).unwrap().resumed(at(20));
        assert_eq!(told(memory.measured(&alert, Some(5.0), at(21))), "");
        assert_eq!(told(memory.measured(&alert, Some(1.0), at(22))), "resolved");
    }

    #[test]
    fn an_event_fires_at_once_and_until_all_of_it_is_over() {
        let alert = on("member.lost");
        let mut memory = AlertMemory::default();
        let [one, two, other] =
            ["pool.web/m1", "pool.web/m2", "pool.db/m1"].map(|text| text.parse::<Address>().unwrap());
        for (second, event, about, expected) in [
            (0, EventName::MemberLost, &other, ""),
            (1, EventName::NodeUnhealthy, &one, ""),
            (2, EventName::MemberLost, &one, "warning"),
            (3, EventName::MemberLost, &two, ""),
            (4, EventName::MemberFound, &one, ""),
            (5, EventName::MemberFound, &two, "resolved"),
        ] {
            let change = memory.happened(&alert, event, Some(about), "", at(second));
            assert_eq!(told(change), expected, "at {second}");
        }
    }

    #[test]
    fn what_never_says_that_it_is_over_is_over_after_a_while() {
        let alert = on("pool.*");
        let mut memory = AlertMemory::default();
        let pool = alert.on.clone();
        let mut happened = |second, expected| {
            let change = memory.happened(&alert, EventName::PoolScaleFailed, Some(&pool), "", at(second));
            assert_eq!(told(change), expected, "at {second}");
        };
        happened(0, "warning");
        happened(200, "");
        for (second, expected) in [(300, ""), (499, ""), (500, "resolved"), (501, "")] {
            assert_eq!(told(memory.passed(&alert, at(second))), expected, "at {second}");
        }
    }
}
