//! Decisions as lines of JSON.

use simfleet::scale::{Member, Sample, Spec, Vector, VectorError};

#[test]
fn numbers_that_are_not_finite_are_written_and_read() {
    let spec = Spec {
        budget_hourly: f64::INFINITY,
        ..Spec::default()
    };
    let text = serde_json::to_string(&spec).expect("is JSON");
    assert!(text.contains(r#""budget_hourly":"inf""#), "{text}");
    assert_eq!(serde_json::from_str::<Spec>(&text).expect("a spec"), spec);
    for (number, written) in [
        (1.5, "[1.5,0.0]"),
        (f64::INFINITY, r#"["inf",0.0]"#),
        (f64::NEG_INFINITY, r#"["-inf",0.0]"#),
    ] {
        let text = serde_json::to_string(&Sample(number, 0.0)).expect("is JSON");
        assert_eq!(text, written);
        assert_eq!(
            serde_json::from_str::<Sample>(&text).expect("a sample"),
            Sample(number, 0.0)
        );
    }
    let text = serde_json::to_string(&Sample(f64::NAN, 0.0)).expect("is JSON");
    assert_eq!(text, r#"["nan",0.0]"#);
    assert!(serde_json::from_str::<Sample>(&text).expect("a sample").0.is_nan());
    for (written, forecast) in [("null", None), ("2.5", Some(2.5)), (r#""inf""#, Some(f64::INFINITY))] {
        let line = line("", &format!(r#","forecast":{written}"#));
        assert_eq!(Vector::parse(&line).expect("a vector").seen.forecast, forecast);
    }
    let long_ago: Member = serde_json::from_str(r#"{"id":"a","state":"ready"}"#).expect("a member");
    assert_eq!(long_ago.ready_at, f64::NEG_INFINITY);
    assert!(long_ago.healthy);
}

/// Returns a line of an empty pool, with something of its own in its declaration and in what is seen.
fn line(spec: &str, seen: &str) -> String {
    format!(r#"{{"spec":{{{spec}}},"obs":{{"now":1000,"members":[],"samples":{{}}{seen}}},"seed":7}}"#)
}

#[test]
fn a_line_is_a_decision_to_be_made() {
    let vector = Vector::parse(&line(r#""min":2"#, "")).expect("a vector");
    assert_eq!((vector.spec.min, vector.seen.now), (2, 1000.0));
    assert_eq!(vector.answer().decision.desired, 2);
}

#[test]
fn an_answer_is_the_decision_and_what_is_to_be_remembered() {
    let spec = r#""min":2,"max":4,"schedules":[{"name":"day","start":0,"end":2000,"desired":3}],"breaker_min":0"#;
    let members = r#"{"id":"a","state":"ready"},{"id":"b","state":"ready","healthy":false}"#;
    let line = line(spec, "").replace("[],\"samples\"", &format!("[{members}],\"samples\""));
    let answer = Vector::parse(&line).expect("a vector").answer();
    let expected = serde_json::json!({
        "decision": {
            "desired": 3,
            "raw": 1,
            "current": 1,
            "actions": [["create", "new-0"], ["create", "new-1"]],
            "limited_by": ["breaker", "min"],
            "reasons": ["schedule:day"],
            "next_eval": 1015.0,
        },
        "hist_after": {"recs": [[1000.0, 3]], "events": [[1000.0, 2]], "misses": {}, "demand": {}},
    });
    assert_eq!(serde_json::to_value(answer).expect("is JSON"), expected);
}

#[test]
fn numbers_that_cannot_be_computed_with_are_told_with_their_place() {
    let told = |spec: &str, seen: &str| Vector::parse(&line(spec, seen)).map_err(|error| error.to_string());
    for number in [1_000_000_000, -1_000_000_000] {
        assert!(told(&format!(r#""quota":{number}"#), "").is_ok(), "{number}");
    }
    let allowed = "whole numbers go from -1000000000 to 1000000000";
    for number in [1_000_000_001, -1_000_000_001] {
        let found = told(&format!(r#""quota":{number}"#), "");
        assert_eq!(
            found.expect_err("beyond"),
            format!("`spec.quota` is {number}: {allowed}")
        );
    }
    let checks = r#""checks":[{"step":1},{"step":2000000000}]"#;
    assert_eq!(
        told(checks, "").expect_err("beyond"),
        format!("`spec.checks.1.step` is 2000000000: {allowed}")
    );
    assert!(told("", r#","forecast":1e300"#).is_ok(), "a number with a fraction");
}

#[test]
fn sizes_that_no_pool_has_are_told_with_their_place() {
    let told = |spec: &str| match Vector::parse(&line(spec, "")) {
        Ok(_) => None,
        Err(VectorError::TooMany { at, number }) => Some((at, number)),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(told(r#""max":1000000"#), None);
    assert_eq!(told(r#""max":1000001"#), Some(("spec.max".to_owned(), 1_000_001)));
    for attribute in ["min", "max", "desired"] {
        let with = |size| {
            told(&format!(
                r#""schedules":[{{"name":"day","start":0,"end":1,"{attribute}":{size}}}]"#
            ))
        };
        assert_eq!(with(1_000_000), None, "{attribute}");
        let at = format!("spec.schedules.day.{attribute}");
        assert_eq!(with(2_000_000), Some((at, 2_000_000)));
    }
}

#[test]
fn what_is_no_vector() {
    for line in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"spec":{"nope":1},"obs":{"now":0,"members":[],"samples":{}}}"#,
    ] {
        let error = Vector::parse(line).expect_err(line);
        assert!(matches!(error, VectorError::Json(_)), "{line}: {error}");
    }
}
