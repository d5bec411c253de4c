//! `schedule`: when something holds: other bounds of a pool, or that a simulator runs.

use std::sync::Arc;

use crate::config::decode::{Reader, words};
use crate::config::forms;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scale::Starts;

/// When something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The IANA name of the time zone.
    pub timezone: Arc<str>,
    /// On which days it starts; every day where there is none.
    pub days: Vec<Weekday>,
    /// When it starts, in minutes after midnight.
    pub start: Option<u16>,
    /// When it ends, in minutes after midnight; the next day where that is before the start.
    pub end: Option<u16>,
    /// When it starts, as a cron expression.
    pub cron: Option<Arc<str>>,
}

/// Other bounds at some times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When they hold.
    pub times: Times,
    /// The fewest members.
    pub min: Option<u64>,
    /// The most members.
    pub max: Option<u64>,
    /// Just so many members.
    pub desired: Option<u64>,
    /// Which one holds where several do: the higher one.
    pub priority: u64,
}

words! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

pub(super) fn schema() -> BlockSchema {
    times("Other bounds at some times.").attributes([
        AttributeSchema::count("min", 0, "the fewest members"),
        AttributeSchema::count("max", 0, "the most members"),
        AttributeSchema::count("desired", 0, "just so many members"),
        AttributeSchema::count("priority", 0, "the higher one holds").default(0u64),
    ])
}

/// Returns the schema of something that holds at some times.
pub(in crate::config::blocks) fn times(doc: &'static str) -> BlockSchema {
    BlockSchema::new("schedule", doc)
        .labels(&["name"])
        .attributes([
            AttributeSchema::text("timezone", &forms::TIMEZONE, "the IANA name of the time zone").needed(),
            AttributeSchema::strings("days", "on which days it starts: mon, tue, …"),
            AttributeSchema::string("start", "when it starts: \"09:00\"; this or `cron` must be set"),
            AttributeSchema::string("end", "when it ends: \"17:00\"").needed(),
            AttributeSchema::string(
                "cron",
                "when it starts, as a cron expression, instead of `start` and `days`",
            ),
        ])
        .rule(skipped)
}

/// Checks schedules against the pool and each other.
pub(super) fn check(reader: &mut Reader<'_>, pool_max: u64, schedules: &[(Arc<str>, Schedule)]) {
    let place = |reader: &Reader<'_>, name: &str| {
        let mut blocks = reader.record().blocks("schedule");
        blocks
            .find(|block| *block.label(0) == *name)
            .map(|block| block.span().clone())
    };
    for (i, (name, schedule)) in schedules.iter().enumerate() {
        if let (Some(min), None) = (schedule.min, schedule.max)
            && min > pool_max
        {
            let detail = format!("`min` of schedule {name:?} is {min}, more than the pool's `max`, {pool_max}.");
            let diagnostic = Diagnostic::error("E06 schedule min above the pool's max", detail).at(place(reader, name));
            reader.push(diagnostic.hint("give the schedule a max of its own"));
        }
        for (other, more) in &schedules[i + 1..] {
            if schedule.priority == more.priority && schedule.bounds() != more.bounds() && schedule.overlaps(more) {
                let detail = format!(
                    "Schedules {name:?} and {other:?} hold at the same time, with different bounds and equal priority."
                );
                let diagnostic = Diagnostic::error("E05 schedules overlap", detail).at(place(reader, other));
                let diagnostic = diagnostic.hint("give one of them a higher priority");
                reader.push(match place(reader, name) {
                    Some(span) => diagnostic.related(span, "the other one"),
                    None => diagnostic,
                });
            }
        }
    }
}

impl Times {
    /// Returns the typed form of a block that only says when something holds.
    pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let times = Times::read(&mut reader);
        reader.finish(times)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let timezone = reader.maybe::<Arc<str>>("timezone");
        if timezone == Some(None) {
            let detail = format!(
                "Schedule {:?} does not say in which time zone it is.",
                &*reader.record().label(0)
            );
            let diagnostic = Diagnostic::error("E03 schedule without timezone", detail);
            reader.error(diagnostic.hint("for example timezone = \"Europe/Berlin\""), "timezone");
        }
        let days = days(reader);
        let (start, end) = (time(reader, "start"), time(reader, "end"));
        let cron = reader.maybe::<Arc<str>>("cron");
        if let Some(Some(expression)) = &cron
            && let Err(problem) = Starts::cron(expression)
        {
            let detail = format!("{expression:?} is no cron expression: {problem}.");
            let hint = "minute, hour, day of the month, month, day of the week: \"0 9 * * mon-fri\"";
            reader.error(Diagnostic::error("Invalid value", detail).hint(hint), "cron");
        }
        if let Some(Some(_)) = &cron {
            for (name, is_set) in [
                ("start", matches!(start, Some(Some(_)))),
                ("days", days.as_ref().is_some_and(|days| !days.is_empty())),
            ] {
                if is_set {
                    let detail = format!("`cron` says when the schedule starts, so `{name}` would change nothing.");
                    reader.error(Diagnostic::error("Conflicting attributes", detail), name);
                }
            }
        }
        if let (Some(Some(from)), Some(Some(to))) = (start, end)
            && from == to
        {
            let detail = "`start` and `end` are the same, so it is not told whether it always holds or never.";
            reader.error(Diagnostic::error("E04 start equals end", detail), "end");
        }
        let lacks_start = start == Some(None) && cron == Some(None);
        if lacks_start || end == Some(None) {
            let detail = "A schedule needs `start` (or `cron`) and `end`.";
            reader.error(Diagnostic::error("Missing attribute", detail), "start");
        }
        Some(Times {
            timezone: timezone??,
            days: days?,
            start: start?,
            end: end?,
            cron: cron?,
        })
    }

    /// Returns the minutes of a week in which it holds, as ranges without their ends; what is over the end of the week
    /// is at its start again.
    fn minutes(&self) -> Option<Vec<(u32, u32)>> {
        const WEEK: u32 = 7 * 1440;
        let (start, end) = (u32::from(self.start?), u32::from(self.end?));
        let length = if end > start { end - start } else { end + 1440 - start };
        let days = if self.days.is_empty() { ALL_DAYS } else { &self.days };
        let mut ranges = Vec::new();
        for day in days {
            let from = *day as u32 * 1440 + start;
            let to = from + length;
            ranges.push((from, to.min(WEEK)));
            if to > WEEK {
                ranges.push((0, to - WEEK));
            }
        }
        Some(ranges)
    }
}

impl Schedule {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let times = Times::read(&mut reader);
        let (min, max) = (reader.maybe::<u64>("min"), reader.maybe::<u64>("max"));
        let (desired, priority) = (reader.maybe("desired"), reader.take("priority"));
        if let (Some(Some(min)), Some(Some(max))) = (min, max)
            && min > max
        {
            let detail = format!("`min` is {min}, more than `max`, {max}.");
            reader.error(Diagnostic::error("E01 min above max", detail), "min");
        }
        let schedule = || {
            Some(Schedule {
                times: times?,
                min: min?,
                max: max?,
                desired: desired?,
                priority: priority?,
            })
        };
        let schedule = schedule();
        reader.finish(schedule)
    }

    fn bounds(&self) -> (Option<u64>, Option<u64>, Option<u64>) {
        (self.min, self.max, self.desired)
    }

    /// Whether both hold at some time. Only schedules of one time zone and without cron are compared: for others it
    /// depends on the date.
    fn overlaps(&self, other: &Schedule) -> bool {
        let (Some(a), Some(b)) = (self.times.minutes(), other.times.minutes()) else {
            return false;
        };
        self.times.timezone == other.times.timezone && a.iter().any(|a| b.iter().any(|b| a.0 < b.1 && b.0 < a.1))
    }
}

/// Warns of a start that is left out on the day when clocks are put forward.
fn skipped(record: &Record, found: &mut Diagnostics) {
    let Ok(times) = Times::decode(record) else { return };
    let (Some(start), Ok(zone)) = (times.start, jiff::tz::TimeZone::get(&times.timezone)) else {
        return;
    };
    // In a year far ahead: what holds from now on is meant, not what once was, nor what today's date is.
    let year = jiff::civil::date(2100, 1, 1).to_zoned(jiff::tz::TimeZone::UTC);
    let Ok(from) = year.map(|year| year.timestamp()) else {
        return;
    };
    let gap = zone.following(from).take(4).find_map(|change| {
        let before = zone.to_offset(change.timestamp() - jiff::SignedDuration::from_secs(1));
        let (left, reached) = (
            before.to_datetime(change.timestamp()),
            change.offset().to_datetime(change.timestamp()),
        );
        let minutes = |at: jiff::civil::DateTime| {
            u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs())
        };
        let is_in = left < reached && (minutes(left)..minutes(reached)).contains(&start);
        let day = ALL_DAYS.get(usize::from(left.weekday().to_monday_zero_offset().unsigned_abs()));
        let is_day = times.days.is_empty() || day.is_some_and(|day| times.days.contains(day));
        (is_in && is_day).then(|| reached.time())
    });
    if let Some(reached) = gap {
        let detail = format!(
            "`start` lies in the hour that {} skips when clocks are put forward; on that day it starts at {}.",
            times.timezone,
            reached.strftime("%H:%M")
        );
        let span = record.attribute_span("start").cloned();
        found.push(Diagnostic::warning("W09 start in a skipped hour", detail).at(span));
    }
}

const ALL_DAYS: &[Weekday] = &[
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn days(reader: &mut Reader<'_>) -> Option<Vec<Weekday>> {
    let names = reader.maybe::<Vec<Arc<str>>>("days")?;
    if names.as_ref().is_some_and(Vec::is_empty) {
        let diagnostic = Diagnostic::error("Invalid value", "Without a day, the schedule never holds.");
        reader.error(diagnostic.hint("leave `days` out for every day"), "days");
    }
    let names = names.unwrap_or_default();
    let mut days = Vec::new();
    for name in names {
        match Weekday::WORDS.iter().position(|word| *word == &*name) {
            Some(at) => days.extend(ALL_DAYS.get(at)),
            None => {
                let detail = format!("{name:?} is no day; the days are {}.", Weekday::WORDS.join(", "));
                let diagnostic = Diagnostic::error("Invalid value", detail);
                reader.error(diagnostic.nearest(&name, Weekday::WORDS.iter().copied()), "days");
                return None;
            }
        }
    }
    Some(days)
}

/// Reads `"09:30"` as minutes after midnight.
fn time(reader: &mut Reader<'_>, name: &str) -> Option<Option<u16>> {
    let Some(text) = reader.maybe::<Arc<str>>(name)? else {
        return Some(None);
    };
    let minutes = text.split_once(':').and_then(|(hours, minutes)| {
        let two = |text: &str| match text.len() {
            2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().ok(),
            _ => None,
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    });
    if minutes.is_none() {
        let detail = format!("`{name}` must be a time of day such as \"09:00\", but is {text:?}.");
        reader.error(Diagnostic::error("Invalid value", detail), name);
        return None;
    }
    Some(minutes)
}
