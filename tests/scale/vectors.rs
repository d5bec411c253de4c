//! Decisions as lines of JSON.

use simfleet::scale::{Member, Sample, Spec};

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
    let long_ago: Member = serde_json::from_str(r#"{"id":"a","state":"ready"}"#).expect("a member");
    assert_eq!(long_ago.ready_at, f64::NEG_INFINITY);
    assert!(long_ago.healthy);
}
