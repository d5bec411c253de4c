//! Sources that fail, hang or make no sense: never zero, and never anybody else's problem.

use crate::load::{Answer, Load};
use crate::sizes::{pool, recorded};
use crate::support::Fleet;
use crate::watcher::Watcher;

#[test]
fn a_source_that_hangs_delays_no_other_pool_and_shrinks_nothing() {
    let (good, bad) = (Load::of(90.0), Load::of(90.0));
    let text = format!(
        "provider \"local\" {{}}\n{}{}",
        pool("good", &good.url(), ""),
        pool("bad", &bad.url(), "")
    );
    let fleet = Fleet::new(&text.replace("max                 = 5", "max                 = 2"));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    watcher.wait_for_size("pool.bad", 2);
    bad.say(Answer::Hang);
    // While it hangs, the other goes up and down.
    watcher.wait_for_size("pool.good", 2);
    good.set(10.0);
    watcher.wait_for_size("pool.good", 1);
    let failed = watcher.wait_for_type("source_failed");
    assert_eq!(
        (&failed["pool"], &failed["because"]),
        (&"pool.bad".into(), &"no answer in time".into())
    );
    good.set(90.0);
    watcher.wait_for_size("pool.good", 2);
    watcher.wait_for_type("ran");
    bad.set(50.0);
    watcher.wait_for_type("source_answers");
    assert_eq!(watcher.end().code, Some(0));
    let bad = recorded(&fleet)
        .into_iter()
        .filter(|name| name.starts_with("pool.bad/"))
        .count();
    assert_eq!(bad, 2, "what has no value does not shrink");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn answers_that_make_no_sense_are_told_and_are_never_zero() {
    let load = Load::of(90.0);
    let fleet = Fleet::new(&format!("provider \"local\" {{}}\n{}", pool("web", &load.url(), "")));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_size("pool.web", 2);
    watcher.wait_for_type("ran");
    let mut told = Vec::new();
    for answer in [
        Answer::Status(503),
        Answer::Body("<html>".to_owned()),
        Answer::Body("{}".to_owned()),
        Answer::Body("{\"busy_percent\": \"much\"}".to_owned()),
        Answer::Body("{\"busy_percent\": NaN}".to_owned()),
    ] {
        load.say(answer);
        told.push(watcher.wait_for_type("source_failed")["because"].to_string());
    }
    insta::assert_snapshot!("answers_that_make_no_sense", told.join("\n"));
    assert_eq!(watcher.end().code, Some(0));
    assert!(recorded(&fleet).len() >= 2);
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn prometheus_is_asked_for_each_member_by_the_labels_of_its_series() {
    let prometheus = Load::of(0.0);
    let value = |name: &str, busy: f64| {
        format!("{{\"metric\": {{\"node\": \"{name}\"}}, \"value\": [1700000000, \"{busy}\"]}}")
    };
    let answer = |values: &[String]| {
        let values = values.join(", ");
        Answer::Body(format!(
            "{{\"status\": \"success\", \"data\": {{\"resultType\": \"vector\", \"result\": [{values}]}}}}"
        ))
    };
    prometheus.say(answer(&[value("web-m1", 90.0), value("another", 1000.0)]));
    let source = format!("url = \"{}\"\n", prometheus.url());
    let text = format!(
        "provider \"local\" {{}}\nmetrics \"prom\" {{\n  type = \"prometheus\"\n  {source}}}\n{}",
        pool("web", "unused", "")
    );
    let text = text.replace(
        "source   = \"http\"",
        "source   = metrics.prom\n      match    = \"node={name}\"",
    );
    let fleet = Fleet::new(&text.replace("unused#$.busy_percent", "sum by (node) (busy_percent)"));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_size("pool.web", 2);
    watcher.wait_for_type("ran");
    let asked = &prometheus.requests()[0];
    assert!(
        asked.starts_with("GET /load/api/v1/query?query=sum+by+%28node%29+%28busy_percent%29 "),
        "{asked}"
    );
    // A query that is wrong is told in its own words.
    prometheus.say(Answer::Body(
        "{\"status\": \"error\", \"error\": \"parse error at char 3\"}".to_owned(),
    ));
    let failed = watcher.wait_for_type("source_failed");
    assert_eq!(failed["because"], "parse error at char 3");
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn somebody_else_says_how_many_and_the_bounds_hold() {
    let says = Load::of(0.0);
    says.say(Answer::Body("{\"size\": 3}".to_owned()));
    let text = format!("provider \"local\" {{}}\n{}", pool("web", "unused", ""));
    let from = text.find("      source").expect("the check");
    let to = text.find("      strategy").expect("its strategy");
    let text = format!("{}{}", &text[..from], &text[to..]);
    let webhook = format!(
        "strategy \"webhook\" {{\n        url      = \"{}\"\n        insecure = true\n      }}",
        says.url()
    );
    let fleet = Fleet::new(&text.replace("strategy \"target\" { target = 50 }", &webhook));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_size("pool.web", 3);
    assert!(says.requests()[0].starts_with("POST /load "), "{:?}", says.requests());
    says.say(Answer::Body("1000".to_owned()));
    let most = watcher.wait_for_size("pool.web", 5);
    assert_eq!(most["decision"]["raw"], 1000, "{most}");
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
