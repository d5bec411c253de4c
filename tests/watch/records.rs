//! What a watch told is kept: in its log, and for `simfleet events`; who did what is shown by `simfleet audit`.

use std::fs;

use serde_json::Value as Json;

use crate::load::Load;
use crate::sizes::local;
use crate::support::Fleet;
use crate::watcher::Watcher;

/// Has a pool grow or shrink, by its load, and ends the watch.
fn watched(fleet: &Fleet, load: &Load, busy: f64, more: &[&str]) -> crate::support::Ended {
    load.set(50.0);
    let mut watcher = Watcher::start(fleet, more);
    watcher.wait_for_type("watching");
    load.set(busy);
    watcher.wait_for("another size", |event| event["type"] == "scaled");
    watcher.wait_for_type("ran");
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended
}

fn lines(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn s4_11_what_was_told_is_kept_and_can_be_followed() {
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let nothing = fleet.ok(&["events"]);
    assert!(
        nothing.out.is_empty() && nothing.err.contains("Nothing was told"),
        "{nothing:?}"
    );
    let first = watched(&fleet, &load, 90.0, &[]);
    let passing = |event: &Json| event["type"] == "underway";
    let told: Vec<Json> = lines(&first.out).into_iter().filter(|event| !passing(event)).collect();
    assert_eq!(lines(&fleet.ok(&["events", "--json"]).out), told);
    let only = fleet
        .ok(&["events", "--json", "--event", "pool.*", "--since", "1h"])
        .out;
    let names: Vec<String> = lines(&only).iter().map(|event| event["event"].to_string()).collect();
    assert!(names.contains(&"\"pool.scaled_up\"".to_owned()), "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("\"pool.")), "{names:?}");
    let text = fleet.ok(&["events"]).out;
    assert!(text.contains("Z watching 1 pool and 1 resource\n"), "{text}");
    assert!(text.contains("Z pool.web/m2: created after"), "{text}");
    assert_eq!(fleet.run(&["events", "--since", "soon"]).code, Some(64));
    let unknown = fleet.run(&["events", "--event", "pool.scaled_upp"]);
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    assert!(unknown.err.contains("did you mean pool.scaled_up?"), "{}", unknown.err);
    assert!(fleet.ok(&["events", "--since", "2999-01-01T00:00:00Z"]).out.is_empty());

    // A dry run leaves nothing behind; another watch adds to it, and who follows sees that.
    fleet.ok(&["watch", "--dry-run", "--once"]);
    assert_eq!(lines(&fleet.ok(&["events", "--json"]).out), told);
    let mut following = fleet.start(&["events", "--json", "--follow"], &[]);
    let out = following.stdout.take().expect("it is piped");
    let reading = std::thread::spawn(move || {
        use std::io::BufRead;
        let lines = std::io::BufReader::new(out).lines().map_while(Result::ok);
        let mut seen: Vec<Json> = Vec::new();
        for line in lines {
            seen.push(serde_json::from_str(&line).expect("JSON"));
            let started = seen.iter().filter(|event| event["event"] == "watch.started").count();
            if started == 2 && seen.last().is_some_and(|event| event["event"] == "run.ended") {
                break;
            }
        }
        seen
    });
    fleet.ok(&["apply", "--auto-approve"]);
    load.set(10.0);
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for("members that were removed", |event| {
        event["event"] == "pool.scaled_down"
    });
    watcher.wait_for_type("ran");
    let seen = reading.join().expect("it reads");
    assert_eq!(seen[..told.len()], told);
    assert!(
        seen.iter().any(|event| event["event"] == "pool.scaled_down"),
        "{seen:?}"
    );
    following.kill().expect("it runs");
    following.wait().expect("it was started");
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_18_the_log_goes_to_a_file_as_well_which_is_rotated() {
    let load = Load::of(50.0);
    let log = "log \"file\" {\n  path     = \"logs/watch.log\"\n  max_size = \"1KiB\"\n  keep     = 2\n}\n";
    let fleet = Fleet::new(&(local(&load.url()) + log));
    fleet.applied();
    let file = |name: &str| fs::read_to_string(fleet.path().join("logs").join(name));
    watched(&fleet, &load, 90.0, &[]);
    let kept: String = ["watch.log.2", "watch.log.1", "watch.log"]
        .map(|name| file(name).unwrap_or_default())
        .concat();
    assert!(kept.contains(" pool.web: m2 made"), "{kept}");
    assert!(kept.lines().all(|line| line.starts_with("20")), "{kept}");
    for name in ["watch.log", "watch.log.1", "watch.log.2"] {
        assert!(file(name).map_or(0, |text| text.len()) <= 1024, "{name}");
    }
    assert!(file("watch.log.3").is_err(), "more is kept than wanted");

    // As JSON: what is told, and what is logged, each a line.
    fs::remove_dir_all(fleet.path().join("logs")).expect("it is there");
    watched(&fleet, &load, 10.0, &["--log-format", "json"]);
    assert!(
        lines(&file("watch.log").expect("it is made anew"))
            .iter()
            .all(Json::is_object)
    );

    // Where it cannot be written, that is told once, and the watch goes on.
    fs::remove_dir_all(fleet.path().join("logs")).expect("it is there");
    fs::write(fleet.path().join("logs"), "no folder").expect("it can be written");
    let ended = watched(&fleet, &load, 90.0, &[]);
    assert_eq!(ended.err.matches("cannot be written").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("logs/watch.log"), "{}", ended.err);
    fs::remove_file(fleet.path().join("logs")).expect("it is there");

    // As on a full disk.
    fs::create_dir(fleet.path().join("logs")).expect("it can be made");
    std::os::unix::fs::symlink("/dev/full", fleet.path().join("logs/watch.log")).expect("it can be made");
    let ended = watched(&fleet, &load, 10.0, &[]);
    assert_eq!(ended.err.matches("cannot be written").count(), 1, "{}", ended.err);
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn the_audit_log_is_shown() {
    let one = |name: &str| {
        format!("simulator \"exec\" \"{name}\" {{\n  placement = node.lab\n  command   = [\"sleep\", \"1000\"]\n}}\n")
    };
    let fleet = Fleet::new(&format!(
        "provider \"local\" {{}}\nnode \"lab\" {{}}\n{}{}",
        one("a"),
        one("b")
    ));
    fleet.applied();
    assert!(fleet.ok(&["audit"]).out.contains("Nothing was done by hand"));
    fleet.ok(&["simulator stop", "simulator.exec.a"]);
    fleet.ok(&["simulator stop", "simulator.exec.b"]);
    assert_eq!(fleet.run(&["simulator stop", "simulator.exec.c"]).code, Some(1));
    let entries = lines(&fleet.ok(&["audit", "--json"]).out);
    let of = |key: &str| -> Vec<&str> { entries.iter().filter_map(|entry| entry[key].as_str()).collect() };
    assert_eq!(
        of("address"),
        ["simulator.exec.a", "simulator.exec.b", "simulator.exec.c"]
    );
    assert_eq!(of("result"), ["ok", "ok", "error"]);
    let one = lines(&fleet.ok(&["audit", "--json", "--address", "simulator.exec.b"]).out);
    assert_eq!(one, entries[1..2]);
    let all = lines(
        &fleet
            .ok(&["audit", "--json", "--address", "simulator.exec.*", "--since", "1h"])
            .out,
    );
    assert_eq!(all, entries);
    assert!(
        fleet
            .ok(&["audit", "--json", "--since", "2999-01-01T00:00:00Z"])
            .out
            .is_empty()
    );
    let text = fleet.ok(&["audit"]).out;
    assert!(
        text.contains("WHO") && text.contains("simulator.stop") && text.contains("error: "),
        "{text}"
    );

    // A line that another program broke hides no other one.
    let path = fleet.states().join("audit.jsonl");
    let broken = fs::read_to_string(&path).expect("it is there") + "{\"at\n";
    fs::write(&path, broken).expect("it can be written");
    let told = fleet.ok(&["audit", "--json"]);
    assert_eq!(lines(&told.out), entries);
    assert!(told.err.contains("Damaged audit log"), "{}", told.err);
    fleet.ok(&["destroy", "--auto-approve", "--release-holds"]);
}
