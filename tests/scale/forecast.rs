//! What will be needed, by what was.

use simfleet::scale::{Forecast, Past};

/// How long a slot is.
const SLOT: f64 = 900.0;

const HOUR: f64 = 3600.0;
const DAYS: f64 = 24.0 * HOUR;
const TWO_WEEKS: f64 = 14.0 * DAYS;

/// What was needed each minute up to an instant.
fn past(until: f64, demand: impl Fn(f64) -> f64) -> Past {
    let mut past = Past::default();
    let mut now = 0.0;
    while now < until {
        past.note(now, demand(now), TWO_WEEKS);
        now += 60.0;
    }
    past
}

/// A day with its peak at noon, from 10 to 30.
fn daily(now: f64) -> f64 {
    20.0 - 10.0 * (now / DAYS * std::f64::consts::TAU).cos()
}

#[test]
fn what_comes_every_day_is_expected() {
    let mut past = past(3.0 * DAYS + 8.0 * HOUR, daily);
    let forecast = past
        .forecast(3.0 * DAYS + 8.0 * HOUR, 2.0 * HOUR)
        .expect("three days are known");
    let expected = daily(10.0 * HOUR + SLOT);
    assert!((forecast.demand - expected).abs() < 0.5, "{forecast:?}, not {expected}");
    assert!(forecast.error.is_some_and(|error| error < 0.01), "{forecast:?}");
    let falling = past.forecast(3.0 * DAYS + 14.0 * HOUR, HOUR).expect("known");
    assert!(
        falling.demand >= daily(14.5 * HOUR) - 0.5,
        "the most of the time until then: {falling:?}"
    );
}

#[test]
fn a_day_with_twice_the_demand_is_expected_to_go_on_so() {
    let now = 4.0 * DAYS + 9.0 * HOUR;
    let mut past = past(now, |at| if at < 4.0 * DAYS { daily(at) } else { 2.0 * daily(at) });
    let forecast = past.forecast(now, 0.0).expect("known");
    assert!((forecast.demand - 2.0 * daily(now)).abs() < 2.0, "{forecast:?}");
}

#[test]
fn weekdays_are_told_apart() {
    let is_weekend = |at: f64| (at / DAYS) as i64 % 7 >= 5;
    let demand = |at: f64| if is_weekend(at) { 5.0 } else { daily(at) };
    let mut past = past(13.0 * DAYS, demand);
    // Of the fourteenth day, a Sunday, both the days before it and the Sunday before are known.
    let sunday = past.forecast(13.0 * DAYS, 12.0 * HOUR).expect("known");
    assert!(sunday.demand < daily(12.0 * HOUR), "{sunday:?}");
}

#[test]
fn what_follows_no_day_is_not_trusted() {
    // Each quarter of an hour is by dice that fall alike in every run.
    let mut level = 0.0;
    let mut seed = 7_u64;
    let mut past = Past::default();
    for minute in 0..(5 * 24 * 60) {
        if minute % 15 == 0 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            level = ((seed >> 33) % 60) as f64;
        }
        past.note(f64::from(minute) * 60.0, level, TWO_WEEKS);
    }
    let forecast = past.forecast(5.0 * DAYS, HOUR).expect("something is known");
    assert!(forecast.error.is_some_and(|error| error > 0.25), "{forecast:?}");
}

#[test]
fn without_a_day_there_is_no_forecast_and_without_two_nobody_knows_how_good_it_is() {
    assert_eq!(Past::default().forecast(0.0, HOUR), None);
    assert_eq!(past(20.0 * HOUR, daily).forecast(20.0 * HOUR, HOUR), None);
    let day = past(1.2 * DAYS, daily)
        .forecast(1.2 * DAYS, HOUR)
        .expect("a day is known");
    assert_eq!(day.error, None);
}

#[test]
fn what_is_no_demand_is_left_out_and_what_is_old_forgotten() {
    let mut past = past(15.0 * DAYS, daily);
    assert_eq!(means(&past).len() as f64, TWO_WEEKS / SLOT);
    let before = past.clone();
    for (now, demand) in [
        (15.0 * DAYS, f64::NAN),
        (f64::INFINITY, 1.0),
        (15.0 * DAYS, -1.0),
        // The clock was set back.
        (3.0 * DAYS, 7.0),
    ] {
        past.note(now, demand, TWO_WEEKS);
        assert_eq!(past, before);
    }
    // A break is a gap, and a long one a new beginning.
    past.note(16.0 * DAYS, 1.0, TWO_WEEKS);
    let last: Vec<Option<f64>> = means(&past).split_off(14 * 96 - 2);
    assert_eq!(last, [None, Some(1.0)]);
    past.note(60.0 * DAYS, 2.0, TWO_WEEKS);
    assert_eq!(means(&past), [Some(2.0)]);
}

#[test]
fn what_is_expected_is_the_median_of_days_and_the_mean_of_weeks() {
    let each_day = |days: &[f64]| {
        let until = days.len() as f64 * DAYS;
        past(until, |at| days[(at / DAYS) as usize]).forecast(until, 0.0)
    };
    // Of the days before it is 20, and yesterday was twice what was expected of it, to its end and by each forecast.
    let known = |demand, error| Some(Forecast { demand, error });
    assert_eq!(each_day(&[10.0, 20.0, 30.0]), known(40.0, Some(0.0)));
    assert_eq!(each_day(&[10.0, 10.0, 10.0, 10.0]), known(10.0, Some(0.0)));
    // The same day of two weeks counts as much as the seven days before.
    let weeks: Vec<f64> = (0..15).map(|day| if day % 7 == 1 { 50.0 } else { 10.0 }).collect();
    assert_eq!(each_day(&weeks).map(|forecast| forecast.demand), Some(30.0));
}

#[test]
fn how_wrong_it_is_counts_what_was_known_when_it_was_made() {
    // The second day is twice the first one. The first slot of it could not know, and with an hour ahead the first five.
    let until = 2.0 * DAYS;
    let twice = |at| if at < DAYS { 10.0 } else { 20.0 };
    let whole = 96.0 * 20.0;
    for (lead, slots) in [(0.0, 1.0), (HOUR, 5.0)] {
        let forecast = past(until, twice).forecast(until, lead);
        let error = Some(slots * 10.0 / whole);
        assert_eq!(forecast, Some(Forecast { demand: 30.0, error }), "{lead} s ahead");
    }
    // Of nothing no share is wrong.
    let nothing = past(until, |_| 0.0).forecast(until, 0.0);
    let expected = Forecast {
        demand: 0.0,
        error: None,
    };
    assert_eq!(nothing, Some(expected));
}

#[test]
fn today_is_what_the_last_four_slots_say() {
    let until = 2.0 * DAYS + 9.0 * HOUR;
    for (slots_ago, expected) in [(5.0, 10.0), (4.0, 20.0), (1.0, 20.0)] {
        let begin = until - slots_ago * SLOT;
        let demand = |at| {
            if (begin..begin + SLOT).contains(&at) {
                50.0
            } else {
                10.0
            }
        };
        let forecast = past(until, demand).forecast(until, 0.0).expect("known");
        assert_eq!(forecast.demand, expected, "{slots_ago} slots ago");
    }
}

#[test]
fn nothing_is_forecast_farther_than_half_a_day() {
    let evening = 3.0 * DAYS + 18.0 * HOUR;
    let forecast = past(evening, daily).forecast(evening, 20.0 * HOUR).expect("known");
    // As much as at six in the morning, and not as at noon.
    assert!((19.0..22.0).contains(&forecast.demand), "{forecast:?}");
}

#[test]
fn what_was_asked_before_changes_no_answer() {
    let wild = |at: f64| 10.0 + (at / HOUR * 7.3).sin() * 9.0 * (at / DAYS);
    let [now, later] = [3.0 * DAYS, 3.3 * DAYS];
    let mut asked = past(now, wild);
    let (near, far) = (asked.forecast(now, 0.0), asked.forecast(now, 6.0 * HOUR));
    assert_ne!(near, far);
    assert_eq!(asked.forecast(now, 0.0), near);
    let mut at = now;
    while at < later {
        asked.note(at, wild(at), TWO_WEEKS);
        at += 60.0;
    }
    let answered = asked.forecast(later, 0.0);
    assert_eq!(answered, past(later, wild).forecast(later, 0.0));
    assert_ne!(answered.map(|it| it.error), near.map(|it| it.error));
}

#[test]
fn a_slot_is_the_mean_of_all_its_values() {
    let mut past = Past::default();
    for (now, demand) in [(0.0, 10.0), (60.0, 20.0), (SLOT, 4.0)] {
        past.note(now, demand, TWO_WEEKS);
    }
    assert_eq!(means(&past), [Some(15.0), Some(4.0)]);
}

/// The mean demand of each slot, as it is kept.
fn means(past: &Past) -> Vec<Option<f64>> {
    let kept = serde_json::to_value(past).expect("JSON");
    let means = kept["means"].as_array().expect("a list");
    means.iter().map(serde_json::Value::as_f64).collect()
}
