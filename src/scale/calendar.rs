//! When a schedule holds: times of day in a time zone, and the instants that they are.
//!
//! Clocks that are put forward leave out an hour, and clocks that are put back have one twice. What would start or end in an
//! hour that is left out does so when that hour would have begun. What starts in an hour that comes twice starts with the
//! first, and what ends in one ends with the second, so that a schedule never holds, ceases and holds again in one night.

use cronexpr::Crontab;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

/// When a schedule holds.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    starts: Starts,
    end: Time,
}

/// When a schedule starts, in local time.
#[derive(Debug, Clone)]
pub enum Starts {
    /// At a time of day on some days of the week; on every day where there is none.
    Daily {
        /// When.
        at: Time,
        /// On which days.
        days: Vec<Weekday>,
    },
    /// As a cron expression says.
    Cron(Box<Crontab>),
}

/// One time that a schedule holds: from its start up to its end, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant that is no longer in it.
    pub end: Timestamp,
}

impl Starts {
    /// Reads a cron expression: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// Why it is none.
    pub fn cron(expression: &str) -> Result<Self, String> {
        let fields = expression.split_whitespace().count();
        if fields != 5 {
            return Err(format!("it has {fields} fields, and not 5"));
        }
        // It is compared with local times, so the zone in which it is read does not matter.
        let crontab = cronexpr::parse_crontab(&format!("{expression} UTC"));
        let crontab = crontab.map_err(|error| {
            // Its last line says what is wrong, below the place where it is.
            let told = error.to_string();
            let problem = told.lines().last().unwrap_or_default();
            problem.trim_start_matches([' ', '^']).trim_end_matches('.').to_owned()
        })?;
        // From a leap year on, whatever comes at all comes within four years.
        match crontab.find_next("2000-01-01T00:00:00Z") {
            Ok(_) => Ok(Starts::Cron(Box::new(crontab))),
            Err(_) => Err("there is no such day".to_owned()),
        }
    }
}

impl Calendar {
    /// A schedule of a time zone that ends when it is `end` there, on the day of its start or on the next.
    pub fn new(zone: TimeZone, starts: Starts, end: Time) -> Self {
        Calendar { zone, starts, end }
    }

    /// Returns when it next begins or ends to hold, after an instant.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let end = self.at(now).map(|occurrence| occurrence.end);
        let start = self.after(now).map(|occurrence| occurrence.start);
        end.into_iter().chain(start).min()
    }

    /// Returns the time that it holds, if it does at an instant. Of several it is the one that started last.
    pub fn at(&self, now: Timestamp) -> Option<Occurrence> {
        let local = self.zone.to_datetime(now);
        // None is longer than a day, and an hour more where clocks are put back. There, what has started can also have a later
        // local time than it is now.
        let from = local.checked_sub(Span::new().hours(26)).ok()?;
        let to = local.checked_add(Span::new().hours(2)).ok()?;
        let starts = self.starts_between(from, to).into_iter().rev();
        let started = starts
            .filter_map(|start| self.occurrence(start))
            .skip_while(|found| found.start > now);
        // Those before it end no later, but for a change of the clocks.
        started.take(3).find(|found| now < found.end)
    }

    /// Returns the next time that it holds, of those that start after an instant and within a year.
    pub fn after(&self, now: Timestamp) -> Option<Occurrence> {
        let local = self.zone.to_datetime(now);
        // Where clocks are put back, the local time of a later start can be an earlier one.
        let from = local.checked_sub(Span::new().hours(2)).ok()?;
        let year = (0..370).filter_map(|day| {
            let from = from.checked_add(Span::new().days(day)).ok()?;
            Some(self.starts_between(from, from.checked_add(Span::new().days(1)).ok()?))
        });
        let occurrences = year.flatten().filter_map(|start| self.occurrence(start));
        occurrences.into_iter().find(|occurrence| occurrence.start > now)
    }

    /// Returns the local times of its starts after one and up to another, in their order.
    fn starts_between(&self, from: DateTime, to: DateTime) -> Vec<DateTime> {
        match &self.starts {
            Starts::Daily { at, days } => {
                let is_day = |day: &Date| days.is_empty() || days.contains(&day.weekday());
                let all = from
                    .date()
                    .series(Span::new().days(1))
                    .take_while(|day| *day <= to.date());
                let starts = all.filter(is_day).map(|day| day.to_datetime(*at));
                starts.filter(|start| from < *start && *start <= to).collect()
            }
            Starts::Cron(crontab) => {
                let from = TimeZone::UTC.to_timestamp(from).ok();
                let Some(starts) = from.and_then(|from| crontab.iter_after(from).ok()) else {
                    return Vec::new();
                };
                let starts = starts.map_while(Result::ok).map(|start| start.datetime());
                starts.take_while(|start| *start <= to).collect()
            }
        }
    }

    /// Returns the instants of one that starts at a local time; nothing where a change of the clocks leaves it out.
    fn occurrence(&self, start: DateTime) -> Option<Occurrence> {
        let day = if self.end > start.time() {
            start.date()
        } else {
            start.date().tomorrow().ok()?
        };
        let (start, _) = self.instants(start)?;
        let (_, end) = self.instants(day.to_datetime(self.end))?;
        (start < end).then_some(Occurrence { start, end })
    }

    /// Returns the first and the last instant at which it is a local time. Where that is left out, both are the instant at
    /// which clocks are put forward.
    fn instants(&self, local: DateTime) -> Option<(Timestamp, Timestamp)> {
        let instant = |offset: jiff::tz::Offset| offset.to_timestamp(local).ok();
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset).map(|at| (at, at)),
            AmbiguousOffset::Fold { before, after } => Some((instant(before)?, instant(after)?)),
            // Read by the clock as it is afterwards, it lies before the change, which is the next one then.
            AmbiguousOffset::Gap { after, .. } => {
                let change = self.zone.following(instant(after)?).next()?.timestamp();
                Some((change, change))
            }
        }
    }
}
