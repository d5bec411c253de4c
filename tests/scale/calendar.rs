//! When schedules hold, over changes of the clocks too.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday, time};
use jiff::tz::TimeZone;
use simfleet::scale::{Calendar, Starts};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a time zone")
}

fn daily(name: &str, from: Time, to: Time, days: &[Weekday]) -> Calendar {
    Calendar::new(
        zone(name),
        Starts::Daily {
            at: from,
            days: days.to_vec(),
        },
        to,
    )
}

fn cron(name: &str, expression: &str, to: Time) -> Calendar {
    Calendar::new(zone(name), Starts::cron(expression).expect("a cron expression"), to)
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Checks at which instants a schedule holds, and where its time then begins and ends.
#[track_caller]
fn holds(calendar: &Calendar, cases: &[(&str, Option<(&str, &str)>)]) {
    for (now, expected) in cases {
        let found = calendar.at(instant(now)).map(|found| (found.start, found.end));
        let expected = expected.map(|(start, end)| (instant(start), instant(end)));
        assert_eq!(found, expected, "at {now}");
    }
}

/// Checks when it holds next.
#[track_caller]
fn comes(calendar: &Calendar, now: &str, expected: Option<&str>) {
    let found = calendar.after(instant(now)).map(|found| found.start);
    assert_eq!(found, expected.map(instant), "after {now}");
}

#[test]
fn when_it_next_begins_or_ends() {
    let office = daily("Asia/Kolkata", time(9, 0, 0, 0), time(17, 0, 0, 0), &[]);
    for (now, next) in [
        ("2026-06-01T03:29:59Z", "2026-06-01T03:30:00Z"),
        ("2026-06-01T03:30:00Z", "2026-06-01T11:30:00Z"),
        ("2026-06-01T11:30:00Z", "2026-06-02T03:30:00Z"),
    ] {
        assert_eq!(office.next_change(instant(now)), Some(instant(next)), "after {now}");
    }
    // What begins anew before it ends.
    let hourly = cron("UTC", "0 * * * *", time(17, 0, 0, 0));
    let next = hourly.next_change(instant("2026-06-01T09:30:00Z"));
    assert_eq!(next, Some(instant("2026-06-01T10:00:00Z")));
}

#[test]
fn by_day() {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    let days = [Monday, Tuesday, Wednesday, Thursday, Friday];
    let office = daily("Asia/Kolkata", time(9, 0, 0, 0), time(17, 0, 0, 0), &days);
    // Kolkata is five and a half hours ahead, and the first of June 2026 is a Monday.
    let monday = Some(("2026-06-01T03:30:00Z", "2026-06-01T11:30:00Z"));
    holds(
        &office,
        &[
            ("2026-06-01T03:29:59Z", None),
            ("2026-06-01T03:30:00Z", monday),
            ("2026-06-01T11:29:59Z", monday),
            ("2026-06-01T11:30:00Z", None),
            ("2026-06-06T05:00:00Z", None),
        ],
    );
    comes(&office, "2026-06-01T03:30:00Z", Some("2026-06-02T03:30:00Z"));
    comes(&office, "2026-06-05T12:00:00Z", Some("2026-06-08T03:30:00Z"));
}

#[test]
fn over_midnight() {
    let night = daily("Asia/Kolkata", time(22, 0, 0, 0), time(6, 0, 0, 0), &[Weekday::Friday]);
    let friday = Some(("2026-06-05T16:30:00Z", "2026-06-06T00:30:00Z"));
    holds(
        &night,
        &[
            ("2026-06-04T20:00:00Z", None),
            ("2026-06-05T16:30:00Z", friday),
            ("2026-06-05T19:00:00Z", friday),
            ("2026-06-06T00:29:59Z", friday),
            ("2026-06-06T00:30:00Z", None),
            ("2026-06-06T17:00:00Z", None),
        ],
    );
}

#[test]
fn from_a_time_of_day_to_the_same() {
    let day = daily("UTC", time(8, 0, 0, 0), time(8, 0, 0, 0), &[Weekday::Monday]);
    let monday = Some(("2026-06-01T08:00:00Z", "2026-06-02T08:00:00Z"));
    holds(
        &day,
        &[
            ("2026-06-01T07:59:59Z", None),
            ("2026-06-01T08:00:00Z", monday),
            ("2026-06-02T07:59:59Z", monday),
            ("2026-06-02T08:00:00Z", None),
        ],
    );
}

#[test]
fn clocks_that_are_put_forward() {
    // In Berlin on 2026-03-29, what would be 02:00 (01:00 UTC) is 03:00.
    let skipped = daily("Europe/Berlin", time(2, 30, 0, 0), time(6, 0, 0, 0), &[]);
    let night = Some(("2026-03-29T01:00:00Z", "2026-03-29T04:00:00Z"));
    holds(
        &skipped,
        &[
            ("2026-03-29T00:59:59Z", None),
            ("2026-03-29T01:00:00Z", night),
            ("2026-03-29T04:00:00Z", None),
        ],
    );
    comes(&skipped, "2026-03-28T12:00:00Z", Some("2026-03-29T01:00:00Z"));
    comes(&skipped, "2026-03-29T01:00:00Z", Some("2026-03-30T00:30:00Z"));
    let ends = daily("Europe/Berlin", time(22, 0, 0, 0), time(2, 30, 0, 0), &[]);
    let night = Some(("2026-03-28T21:00:00Z", "2026-03-29T01:00:00Z"));
    holds(
        &ends,
        &[("2026-03-29T00:59:59Z", night), ("2026-03-29T01:00:00Z", None)],
    );
    // All of it is left out.
    let inside = daily("Europe/Berlin", time(2, 15, 0, 0), time(2, 45, 0, 0), &[]);
    holds(
        &inside,
        &[
            ("2026-03-29T00:59:59Z", None),
            ("2026-03-29T01:00:00Z", None),
            ("2026-03-29T01:20:00Z", None),
        ],
    );
    comes(&inside, "2026-03-28T12:00:00Z", Some("2026-03-30T00:15:00Z"));
}

#[test]
fn clocks_that_are_put_back() {
    // In Berlin on 2026-10-25, what would be 03:00 (01:00 UTC) is 02:00 again.
    let starts = daily("Europe/Berlin", time(2, 30, 0, 0), time(6, 0, 0, 0), &[]);
    let night = Some(("2026-10-25T00:30:00Z", "2026-10-25T05:00:00Z"));
    holds(
        &starts,
        &[
            ("2026-10-25T00:29:59Z", None),
            ("2026-10-25T00:30:00Z", night),
            ("2026-10-25T01:10:00Z", night),
            ("2026-10-25T01:40:00Z", night),
            ("2026-10-25T05:00:00Z", None),
        ],
    );
    comes(&starts, "2026-10-25T00:40:00Z", Some("2026-10-26T01:30:00Z"));
    let ends = daily("Europe/Berlin", time(22, 0, 0, 0), time(2, 30, 0, 0), &[]);
    let night = Some(("2026-10-24T20:00:00Z", "2026-10-25T01:30:00Z"));
    holds(
        &ends,
        &[
            ("2026-10-25T00:40:00Z", night),
            ("2026-10-25T01:29:59Z", night),
            ("2026-10-25T01:30:00Z", None),
        ],
    );
    // A whole day is an hour longer.
    let day = daily("Europe/Berlin", time(6, 0, 0, 0), time(5, 59, 0, 0), &[]);
    let long = Some(("2026-10-24T04:00:00Z", "2026-10-25T04:59:00Z"));
    holds(
        &day,
        &[
            ("2026-10-24T04:00:00Z", long),
            ("2026-10-25T04:58:59Z", long),
            ("2026-10-25T04:59:00Z", None),
        ],
    );
}

#[test]
fn as_a_cron_expression_says() {
    let first = cron("America/New_York", "0 9 1 * *", time(12, 0, 0, 0));
    let june = Some(("2026-06-01T13:00:00Z", "2026-06-01T16:00:00Z"));
    holds(
        &first,
        &[
            ("2026-06-01T12:59:59Z", None),
            ("2026-06-01T13:00:00Z", june),
            ("2026-06-01T16:00:00Z", None),
        ],
    );
    comes(&first, "2026-06-01T13:00:00Z", Some("2026-07-01T13:00:00Z"));
    comes(&first, "2026-10-15T00:00:00Z", Some("2026-11-01T14:00:00Z"));
    // Each start has its end; the one that started last counts.
    let often = cron("UTC", "*/20 8-9 * * 1-5", time(8, 30, 0, 0));
    holds(
        &often,
        &[
            (
                "2026-06-01T08:25:00Z",
                Some(("2026-06-01T08:20:00Z", "2026-06-01T08:30:00Z")),
            ),
            ("2026-06-01T08:30:00Z", None),
            (
                "2026-06-01T09:00:00Z",
                Some(("2026-06-01T09:00:00Z", "2026-06-02T08:30:00Z")),
            ),
            (
                "2026-06-01T09:59:00Z",
                Some(("2026-06-01T09:40:00Z", "2026-06-02T08:30:00Z")),
            ),
        ],
    );
    // It comes in leap years only, and not within a year.
    let leap = cron("UTC", "0 0 29 2 *", time(1, 0, 0, 0));
    comes(&leap, "2026-01-01T00:00:00Z", None);
    comes(&leap, "2028-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z"));
}

#[test]
fn what_is_no_cron_expression() {
    for expression in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 24 * * *",
        "a * * * *",
        "0 0 * * 1 UTC",
        "0 0 30 2 *",
    ] {
        assert!(Starts::cron(expression).is_err(), "{expression}");
    }
}

#[test]
fn in_every_zone_and_every_hour_of_a_year_one_holds_or_its_complement_does() {
    for name in [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "Africa/Casablanca",
    ] {
        let (day, night) = (time(2, 10, 0, 0), time(14, 40, 0, 0));
        let (one, other) = (daily(name, day, night, &[]), daily(name, night, day, &[]));
        let mut at = instant("2026-01-01T00:00:00Z");
        while at < instant("2027-01-01T00:00:00Z") {
            let holds = [one.at(at), other.at(at)];
            assert!(holds.iter().flatten().count() >= 1, "{name} at {at}");
            for found in holds.into_iter().flatten() {
                let hours = (found.end.as_second() - found.start.as_second()) / 3600;
                assert!((10..=14).contains(&hours), "{name} at {at}: {found:?}");
            }
            at += jiff::SignedDuration::from_mins(30);
        }
    }
}
