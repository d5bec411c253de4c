//! Points in time: RFC 3339 text.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use simfleet_provider_api::{Number, Value};

use super::{Arguments, Call, Function, Outcome, Problem, string};
use crate::config::moment::{PLANTIMESTAMP, TIMESTAMP};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("formatdate", &[string("format"), string("time")], formatdate),
    Function::plain("plantimestamp", &[], |_, call| {
        Ok(stamp(call.scope.planned_at(), PLANTIMESTAMP))
    }),
    Function::plain("timeadd", &[string("timestamp"), string("duration")], timeadd),
    Function::plain("timecmp", &[string("timestamp_a"), string("timestamp_b")], timecmp),
    Function::plain("timestamp", &[], |_, call| Ok(stamp(call.scope.now(), TIMESTAMP))),
];

fn stamp(time: Option<Timestamp>, origin: &str) -> Value {
    match time {
        Some(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into(),
        None => Value::unknown(origin),
    }
}

/// Reads a time and keeps its own offset.
fn parse(args: &[Value], index: usize) -> Result<Zoned, Problem> {
    let text = args.text(index);
    let problem = || {
        let detail = format!("{text:?} is not a time as RFC 3339 has it, such as 2006-01-02T15:04:05Z");
        Problem::Argument(index, detail)
    };
    // Only what RFC 3339 allows: full date, `T`, full time, offset.
    let bytes = text.as_bytes();
    let shape = text.is_ascii()
        && bytes.len() >= 20
        && bytes.get(10) == Some(&b'T')
        && bytes.get(13) == Some(&b':')
        && bytes.get(16) == Some(&b':')
        // A leap second would be taken for the one before it.
        && bytes.get(17..19) != Some(b"60");
    let offset = match text
        .get(19..)
        .filter(|_| shape)
        .map(|rest| rest.trim_start_matches(|char: char| char == '.' || char.is_ascii_digit()))
    {
        Some("Z") => jiff::tz::Offset::UTC,
        Some(rest) => offset(rest).ok_or_else(problem)?,
        None => return Err(problem()),
    };
    let time: Timestamp = text.parse().map_err(|_| problem())?;
    Ok(time.to_zoned(TimeZone::fixed(offset)))
}

fn offset(text: &str) -> Option<jiff::tz::Offset> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    jiff::tz::Offset::from_seconds(sign * seconds).ok()
}

/// Writes a time as RFC 3339, with its offset and without a fraction.
fn rfc3339(time: &Zoned) -> String {
    let date = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match time.offset().seconds() {
        0 => format!("{date}Z"),
        offset => format!("{date}{}", zone(offset, ":")),
    }
}

fn zone(seconds: i32, separator: &str) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60)
}

fn timecmp(args: &[Value], _: &Call<'_>) -> Outcome {
    let (a, b) = (parse(args, 0)?, parse(args, 1)?);
    Ok((a.timestamp().cmp(&b.timestamp()) as i64).into())
}

fn timeadd(args: &[Value], _: &Call<'_>) -> Outcome {
    let time = parse(args, 0)?;
    let duration = duration(args.text(1)).ok_or_else(|| {
        Problem::Argument(
            1,
            "it is not a duration such as \"1h30m\"; the units are h, m, s, ms, us and ns".into(),
        )
    })?;
    let sum = time
        .checked_add(duration)
        .map_err(|_| Problem::from("the result is beyond the calendar"))?;
    Ok(rfc3339(&sum).into())
}

/// Reads a duration as Go writes it: `-1h30m`, `1.5h`, `300ms`.
fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut total = Number::from(0i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '.'))?;
        let (count, after) = rest.split_at(end);
        let unit_end = after
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let nanos: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let part = count.parse::<Number>().ok()?.mul(&nanos.into()).ok()?;
        total = total.add(&part).ok()?;
        rest = after;
    }
    let nanos = total.trunc().as_i64()?;
    Some(SignedDuration::from_nanos(if negative { -nanos } else { nanos }))
}

/// Writes a time by a pattern of letters: `YYYY-MM-DD'T'hh:mm:ssZ`.
fn formatdate(args: &[Value], call: &Call<'_>) -> Outcome {
    let time = parse(args, 1)?;
    let mut out = String::new();
    let mut rest = args.text(0);
    while let Some(first) = rest.chars().next() {
        call.charge(1)?;
        if first == '\'' {
            rest = quoted(rest, &mut out)?;
            continue;
        }
        if !first.is_ascii_alphabetic() {
            out.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let end = rest.find(|char| char != first).unwrap_or(rest.len());
        let (verb, after) = rest.split_at(end);
        rest = after;
        out.push_str(&part(verb, &time)?);
    }
    Ok(out.into())
}

/// Reads a quoted part; two quotes in a row stand for one, in it and by themselves.
fn quoted<'t>(text: &'t str, out: &mut String) -> Result<&'t str, Problem> {
    if let Some(rest) = text.strip_prefix("''") {
        out.push('\'');
        return Ok(rest);
    }
    let mut rest = text.strip_prefix('\'').unwrap_or(text);
    loop {
        let (literal, after) = rest
            .split_once('\'')
            .ok_or_else(|| Problem::Argument(0, "a quote is not closed".to_owned()))?;
        out.push_str(literal);
        match after.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Ok(after),
        }
    }
}

fn part(verb: &str, time: &Zoned) -> Result<String, Problem> {
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let offset = time.offset().seconds();
    Ok(match verb {
        "YYYY" => format!("{:04}", time.year()),
        "YY" => format!("{:02}", time.year().rem_euclid(100)),
        "MMMM" => time.strftime("%B").to_string(),
        "MMM" => time.strftime("%b").to_string(),
        "MM" => format!("{:02}", time.month()),
        "M" => time.month().to_string(),
        "DD" => format!("{:02}", time.day()),
        "D" => time.day().to_string(),
        "EEEE" => time.strftime("%A").to_string(),
        "EEE" => time.strftime("%a").to_string(),
        "hh" => format!("{:02}", time.hour()),
        "h" => time.hour().to_string(),
        "HH" => format!("{hour12:02}"),
        "H" => hour12.to_string(),
        "AA" => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if time.hour() < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{:02}", time.minute()),
        "m" => time.minute().to_string(),
        "ss" => format!("{:02}", time.second()),
        "s" => time.second().to_string(),
        "ZZZZZ" => zone(offset, ":"),
        "ZZZZ" => zone(offset, ""),
        "ZZZ" if offset == 0 => "UTC".to_owned(),
        "ZZZ" => zone(offset, ""),
        "Z" if offset == 0 => "Z".to_owned(),
        "Z" => zone(offset, ":"),
        _ => {
            let detail = format!("`{verb}` is not a part of a time; text goes in quotes: '{verb}'");
            return Err(Problem::Argument(0, detail));
        }
    })
}
