//! rehearse: a load trace through a pool's policy.

use std::process::Command;

use serde_json::Value as Json;

use crate::lab::Lab;

/// A pool with this in its `autoscale`.
fn fleet(autoscale: &str) -> String {
    format!(
        "provider \"local\" {{}}\npool \"web\" {{\n  price_hourly = 0.5\n  node {{\n    cpus   = 1\n    memory = \"1GiB\"\n  }}\n  \
         autoscale {{\n    min = 1\n    max = 60\n{autoscale}  }}\n}}\n"
    )
}

/// A target, and shrinking by half at every decision, as the reference has it.
fn target(percent: u32) -> String {
    fleet(&format!(
        "    check \"cpu\" {{\n      strategy \"target\" {{ target = {percent} }}\n    }}\n    behavior {{\n      scale_down {{\n        \
         policy {{\n          type   = \"percent\"\n          value  = 50\n          period = \"15s\"\n        }}\n      }}\n    }}\n"
    ))
}

/// Minutes of a load that rises and falls twice a day, with a spike each morning.
fn trace(minutes: u32) -> String {
    let start: jiff::Timestamp = "2026-06-01T00:00:00Z".parse().expect("an instant");
    let line = |minute: u32| {
        let day = f64::from(minute) / 1440.0 * std::f64::consts::TAU;
        let spike = if (540..560).contains(&(minute % 1440)) {
            600.0
        } else {
            0.0
        };
        let noise = f64::from(minute * 7919 % 97);
        let load = 500.0 + 300.0 * (2.0 * day).sin() + spike + noise;
        let at = start + jiff::SignedDuration::from_mins(i64::from(minute));
        format!("{at},{load:.0}\n")
    };
    format!("timestamp,value\n{}", (0..minutes).map(line).collect::<String>())
}

#[test]
fn a_policy_is_rehearsed_and_compared_with_another() {
    let lab = Lab::new(&target(65));
    lab.write("load.csv", &trace(720));
    lab.write("other.hcl", &target(85));
    insta::assert_snapshot!(
        "rehearse",
        lab.run("rehearse fleet.hcl --trace load.csv --pool web --peak 25 --boot 2m")
            .exits(0)
            .stdout
    );
    let compared = "rehearse fleet.hcl --trace load.csv --pool web --capacity 50 --against other.hcl";
    insta::assert_snapshot!("rehearse_against", lab.run(compared).exits(0).stdout);
}

#[test]
fn a_rehearsal_for_programs_and_as_a_picture() {
    let lab = Lab::new(&target(65));
    lab.write("load.csv", &trace(720));
    let line = "rehearse fleet.hcl --trace load.csv --pool web --plot web.svg --json";
    let document: Json = serde_json::from_str(&lab.run(line).exits(0).stdout).expect("JSON");
    assert_eq!(
        (&document["pool"], &document["decisions"]),
        (&"pool.web".into(), &2880.into())
    );
    let one = &document["rehearsals"][0];
    let keys = [
        "fleet",
        "capacity",
        "unserved",
        "mean_members",
        "most_members",
        "node_hours",
        "cost",
        "changes",
        "reversals",
        "limited_by",
        "series",
    ];
    for key in keys {
        assert!(!one[key].is_null(), "{key}: {document}");
    }
    assert_eq!(one["series"].as_array().map(Vec::len), Some(500));
    let (hours, cost) = (one["node_hours"].as_f64(), one["cost"]["amount"].as_f64());
    assert_eq!(hours.map(|hours| hours * 0.5), cost);
    let picture = lab.read("web.svg");
    assert!(
        picture.starts_with("<svg ") && picture.ends_with("</svg>\n"),
        "{picture}"
    );
    assert_eq!(picture.matches("<polygon").count(), 1);
}

#[test]
fn what_comes_every_day_is_there_before_it_is_needed() {
    let ahead = |mode: &str, error: f64| {
        let predictive = format!("    predictive {{\n      mode = {mode:?}\n      max_error = {error}\n    }}\n");
        target(75).replacen("    behavior {", &format!("{predictive}    behavior {{"), 1)
    };
    let lab = Lab::new(&ahead("scale", 0.25));
    lab.write("load.csv", &trace(6 * 1440));
    lab.write("off.hcl", &target(75));
    lab.write("advise.hcl", &ahead("advise", 0.25));
    // Nothing is forecast that well.
    lab.write("strict.hcl", &ahead("scale", 0.001));
    let rehearsed = |file: &str| {
        let line = format!("rehearse {file} --trace load.csv --pool web --peak 25 --boot 10m --json");
        let document: Json = serde_json::from_str(&lab.run(&line).exits(0).stdout).expect("JSON");
        let one = &document["rehearsals"][0];
        let unserved = one["unserved"].as_f64().expect("a number");
        (unserved, one["forecast_error"].as_f64())
    };
    let unserved = |file: &str| rehearsed(file).0;
    // What would be forecast is told also where nothing comes of it.
    let error = rehearsed("advise.hcl").1.expect("enough to judge by");
    assert!((0.001..0.25).contains(&error), "{error}");
    assert_eq!(rehearsed("off.hcl").1, None);
    let line = "rehearse advise.hcl --trace load.csv --pool web --peak 25 --boot 10m";
    assert!(lab.run(line).exits(0).stdout.contains("forecasts, error"));
    let (scale, off) = (unserved("fleet.hcl"), unserved("off.hcl"));
    assert!(scale < off * 0.7, "{scale} % with a forecast, {off} % without");
    assert_eq!((unserved("advise.hcl"), unserved("strict.hcl")), (off, off));
}

#[test]
fn a_pool_that_is_adopted_can_be_rehearsed() {
    let lab = Lab::empty();
    lab.write("load.csv", &trace(60));
    let fleet = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/oci_pools.hcl");
    let run = lab
        .run(&format!("rehearse {fleet} --trace load.csv --pool web"))
        .exits(0);
    assert!(run.stdout.contains("members, mean"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_rehearsed_is_told() {
    let lab = Lab::new(&target(65));
    lab.write("load.csv", &trace(10));
    lab.write(
        "bad.csv",
        "timestamp,value\n2026-06-01T00:00:00Z,5\n2026-06-01T00:01:00Z,much\n",
    );
    lab.write("short.csv", "timestamp,value\n2026-06-01T00:00:00Z,5\n");
    lab.write("far.csv", "timestamp,value\n1,5\n1780000000,6\n");
    let mut told = String::new();
    for line in [
        "--trace load.csv --pool wob",
        "--trace bad.csv --pool web",
        "--trace short.csv --pool web",
        "--trace none.csv --pool web",
        "--trace far.csv --pool web",
        "--trace load.csv --pool web --plot none/web.svg",
        "--trace load.csv --pool web --against none.hcl",
    ] {
        told.push_str(&lab.run(&format!("rehearse fleet.hcl {line}")).exits(1).stderr);
    }
    for line in [
        "--pool web",
        "--trace load.csv --pool web --capacity 0",
        "--trace load.csv --pool web --peak 0",
    ] {
        lab.run(&format!("rehearse fleet.hcl {line}")).exits(64);
    }
    insta::assert_snapshot!("rehearse_mistakes", told);
}

#[test]
#[ignore = "needs Python; scripts/test installs it"]
fn a_rehearsal_is_what_the_reference_makes_of_the_trace() {
    let lab = Lab::empty();
    lab.write("load.csv", &trace(1440));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scale/reference/replay.py");
    let mut python = Command::new("python3");
    python
        .arg(script)
        .arg(lab.path().join("load.csv"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = python.output().expect("Python runs");
    let table = String::from_utf8(output.stdout).expect("it is UTF-8");
    let mut compared = 0;
    for line in table.lines().filter(|line| line.starts_with("reference")) {
        let [_, target_share, unserved, members, changes, reversals] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        let percent = (target_share.parse::<f64>().expect("a number") * 100.0).round() as u32;
        lab.write("fleet.hcl", &target(percent));
        let run = lab
            .run("rehearse fleet.hcl --trace load.csv --pool web --peak 25 --boot 120s --json")
            .exits(0);
        let document: Json = serde_json::from_str(&run.stdout).expect("JSON");
        let one = &document["rehearsals"][0];
        let number = |key: &str| one[key].as_f64().expect("a number");
        let found = [
            format!("{:.3}", 100.0 * number("unserved")),
            format!("{:.2}", number("mean_members")),
            one["changes"].to_string(),
            one["reversals"].to_string(),
        ];
        assert_eq!(found, [unserved, members, changes, reversals], "at {target_share}");
        compared += 1;
    }
    assert_eq!(compared, 4, "{table}");
}
