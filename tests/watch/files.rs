//! Files that change while a watch runs, and other commands beside it.

use rustix::process::Signal;

use crate::load::Load;
use crate::sizes::{local, recorded};
use crate::support::Fleet;
use crate::watcher::Watcher;

#[test]
fn a_changed_file_is_pending_until_somebody_applies_it() {
    let load = Load::of(50.0);
    let text = local(&load.url());
    let fleet = Fleet::new(&text);
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    fleet.write(&format!("{text}\nnode \"more\" {{}}\n"));
    let pending = watcher.wait_for_type("pending");
    insta::assert_snapshot!("pending", pending["message"].as_str().expect("a text"));
    assert_eq!(recorded(&fleet), ["pool.web/m1"]);
    // A mistake keeps what was applied.
    fleet.write("pool \"web\" {");
    let broken = watcher.wait_for_type("failed");
    assert!(
        broken["message"]
            .as_str()
            .is_some_and(|message| message.contains("have mistakes")),
        "{broken}"
    );
    load.set(90.0);
    watcher.wait_for_size("pool.web", 2);
    fleet.write(&format!("{text}\nnode \"more\" {{}}\n"));
    watcher.wait_for_type("pending");
    // Applied by hand, beside it, it is what is kept from then on.
    fleet.ok(&["apply", "--auto-approve", "--lock-timeout", "60s"]);
    watcher.wait_for_type("settled");
    assert_eq!(watcher.end().code, Some(0));
    assert!(recorded(&fleet).contains(&"node.more".to_owned()));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn changed_files_are_followed_but_delete_nothing_that_is_not_allowed() {
    let load = Load::of(50.0);
    let text = local(&load.url());
    let more = format!("{text}\nnode \"more\" {{}}\n");
    let fleet = Fleet::new(&text);
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &["--follow"]);
    watcher.wait_for_type("watching");
    fleet.write(&more);
    watcher.wait_for("the node", |event| {
        event["type"] == "finished" && event["address"] == "node.more"
    });
    watcher.wait_for_type("settled");
    fleet.write(&text);
    let refused = watcher.wait_for_type("pending");
    insta::assert_snapshot!("refused", refused["message"].as_str().expect("a text"));
    assert_eq!(watcher.end().code, Some(0));
    assert!(recorded(&fleet).contains(&"node.more".to_owned()));
    let mut watcher = Watcher::start(&fleet, &["--follow", "--allow", "destroy"]);
    watcher.wait_for("the end of the node", |event| {
        event["type"] == "finished" && event["address"] == "node.more" && event["action"] == "delete"
    });
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn a_hangup_has_it_look_at_once() {
    let load = Load::of(50.0);
    // It would decide again in ten minutes.
    let rarely = local(&load.url()).replace("evaluation_interval = \"1s\"", "evaluation_interval = \"10m\"");
    let fleet = Fleet::new(&rarely.replace("window   = \"1s\"", "window   = \"10m\""));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    while load.asked() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    load.set(90.0);
    watcher.signal(Signal::HUP);
    watcher.wait_for_size("pool.web", 2);
    watcher.wait_for_type("ran");
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// What somebody has for themselves is not taken from them, whatever the files say; the rest of the change is made.
#[test]
fn what_somebody_has_waits_for_its_release() {
    let text = |count: usize, command: &str| {
        format!(
            "provider \"local\" {{}}\nnode \"a\" {{}}\nsimulator \"exec\" \"job\" {{\n  count = {count}\n  placement = node.a\n  \
             command = [\"sleep\", \"{command}\"]\n}}\n"
        )
    };
    let fleet = Fleet::new(&text(2, "1000"));
    fleet.ok(&["apply", "--auto-approve"]);
    fleet.ok(&["simulator allocate", "simulator.exec.job[0]"]);
    let mut watcher = Watcher::start(&fleet, &["--follow", "--allow", "destroy,replace"]);
    watcher.wait_for_type("watching");
    fleet.write(&text(2, "2000"));
    let kept = watcher.wait_for_type("kept");
    assert_eq!(kept["address"], "simulator.exec.job[0]");
    let done = |address: &'static str| {
        move |event: &serde_json::Value| {
            event["type"] == "finished" && event["action"] == "create" && event["address"] == address
        }
    };
    watcher.wait_for("the other one", done("simulator.exec.job[1]"));
    assert!(
        !watcher
            .told
            .iter()
            .any(|event| event["type"] == "started" && event["address"] == "simulator.exec.job[0]")
    );
    fleet.ok(&["simulator release", "simulator.exec.job[0]"]);
    watcher.wait_for("the one that was released", done("simulator.exec.job[0]"));
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// A hold ends with its time, not with the next look.
#[test]
fn a_hold_that_is_over_is_seen_at_once() {
    let fleet = Fleet::new(
        "provider \"local\" {}\nnode \"a\" {}\nsimulator \"exec\" \"job\" {\n  placement = node.a\n  command = [\"sleep\", \"1000\"]\n}\n",
    );
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    fleet.ok(&[
        "simulator stop",
        "simulator.exec.job",
        "--for",
        "3s",
        "--lock-timeout",
        "30s",
    ]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(3);
    watcher.wait_for("it runs again", |event| {
        event["type"] == "finished" && event["address"] == "simulator.exec.job"
    });
    assert!(
        std::time::Instant::now() + std::time::Duration::from_secs(1) > until,
        "not before its time"
    );
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn a_watch_keeps_the_times_that_were_applied() {
    let text = "value \"t\" {\n  input = { at = timestamp(), id = uuid(), planned = plantimestamp() }\n}\n\
                output \"t\" { value = value.t.output }\n";
    let fleet = Fleet::new(text);
    fleet.ok(&["apply", "--auto-approve"]);
    let shown = || fleet.ok(&["output", "t"]).out;
    let applied = shown();
    let mut watcher = Watcher::start(&fleet, &["--follow"]);
    watcher.wait_for_type("watching");
    fleet.write(&format!("{text}value \"new\" {{ input = timestamp() }}\n"));
    let changed = watcher.wait_for("a change", |event| event["type"] == "finished");
    assert_eq!(changed["address"], "value.new");
    watcher.wait_for_type("settled");
    let done = watcher.told.iter().filter(|event| event["type"] == "finished");
    assert_eq!(done.count(), 1, "{:?}", watcher.told);
    assert_eq!(watcher.end().code, Some(0));
    assert_eq!(shown(), applied);
    // An apply by hand gives it others.
    fleet.ok(&["apply", "--auto-approve"]);
    assert_ne!(shown(), applied);
}
