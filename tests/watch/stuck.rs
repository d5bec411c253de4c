//! What keeps failing is tried again less and less often, and left with an alert.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::receiver::{Receiver, TAKEN};
use crate::serve::metric;
use crate::served::Served;
use crate::support::Fleet;

#[test]
fn what_keeps_failing_is_told_once_and_that_it_works_again() {
    let receiver = Receiver::of(&[], TAKEN);
    let fleet = Fleet::new("provider \"local\" {}\n");
    let program = fleet.path().join("sim.sh");
    fleet.write(&format!(
        "provider \"local\" {{}}\nnode \"lab\" {{}}\n\
         simulator \"exec\" \"sim\" {{\n  placement = node.lab\n  command   = [\"{}\"]\n}}\n\
         webhook \"ops\" {{\n  url      = \"{}\"\n  insecure = true\n  events   = [\"part.*\"]\n}}\n",
        program.display(),
        receiver.url()
    ));
    assert_eq!(
        fleet.run(&["apply", "--auto-approve"]).code,
        Some(1),
        "there is no such program"
    );
    let mut served = Served::start(&fleet);
    let mut pauses = Vec::new();
    for attempt in 1..=5 {
        let ran = served.watcher.wait_for_type("ran");
        assert_eq!(ran["event"], "run.failed", "{ran}");
        assert_eq!(ran["failed"][0]["address"], "simulator.exec.sim", "{ran}");
        pauses.push(
            ran["at"]
                .as_str()
                .expect("a time")
                .parse::<jiff::Timestamp>()
                .expect("a time"),
        );
        // The first pause is waited for; after that somebody is in a hurry.
        if (2..5).contains(&attempt) {
            served.watcher.signal(Signal::HUP);
        }
    }
    assert!(pauses[1].duration_since(pauses[0]).as_secs() >= 4, "{pauses:?}");
    let stuck = served.watcher.wait_for_type("stuck");
    assert_eq!(
        (&stuck["event"], &stuck["failures"]),
        (&"part.stuck".into(), &5.into()),
        "{stuck}"
    );
    assert_eq!(stuck["addresses"][0], "simulator.exec.sim", "{stuck}");
    let sent = receiver.wait_for_event("part.stuck").json();
    assert_eq!(
        (&sent["severity"], &sent["address"]),
        (&"critical".into(), &"simulator.exec.sim".into()),
        "{sent}"
    );
    let firing = served.wait_for("/v1/alerts", |got| got.json()[0].is_object()).json();
    assert!(
        firing[0]["alert"].is_null() && firing[0]["on"] == "simulator.exec.sim",
        "{firing}"
    );
    assert!(firing[0]["because"].to_string().contains("failed 5 times"), "{firing}");
    assert_eq!(served.get("/v1/watch").json()["stuck"][0], "simulator.exec.sim");
    assert_eq!(metric(&served.get("/metrics").body, "simfleet_parts_stuck"), Some(1.0));

    // It is not told again, nor hammered.
    served.watcher.signal(Signal::HUP);
    served.watcher.wait_for_type("ran");
    fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    served.watcher.signal(Signal::HUP);
    let recovered = served.watcher.wait_for_type("recovered");
    assert_eq!(recovered["addresses"][0], "simulator.exec.sim", "{recovered}");
    receiver.wait_for_event("part.recovered");
    assert_eq!(receiver.events(), ["part.stuck", "part.recovered"]);
    served.wait_for("/v1/alerts", |got| got.json().as_array().is_some_and(Vec::is_empty));
    let ended = served.watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    fleet.ok(&["destroy", "--auto-approve"]);
}
