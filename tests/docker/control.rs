//! Simulators in containers by hand, and why one ended.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::Fleet;
use crate::support::engine::{IMAGE, container, docker, lineage, provider};

fn fleet(command: &str, more: &str) -> Fleet {
    Fleet::new(&format!(
        "{}simulator \"container\" \"talker\" {{\n  placement = \"local\"\n  image = \"{IMAGE}\"\n  command = [\"sh\", \"-c\", \"{command}\"]\n  {more}\n}}\n\nservice \"web\" {{\n  image = \"{IMAGE}\"\n  command = [\"sleep\", \"1000\"]\n  stop_grace = \"0s\"\n  publish = [\"127.0.0.1::80\"]\n}}\n",
        provider()
    ))
}

const TALKER: &str = "simulator.container.talker";
const TALKS: &str = "trap 'exit 0' TERM; echo out; echo err >&2; sleep 86400 & wait";

fn status(fleet: &Fleet) -> serde_json::Value {
    serde_json::from_str(&fleet.ok(&["status", "-o", "json"]).out).expect("JSON")
}

fn running(fleet: &Fleet) -> String {
    let id = container(&lineage(fleet), TALKER);
    docker(&["inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", &id])
}

#[test]
#[ignore = "needs a Docker engine"]
fn containers_are_stopped_paused_and_reset_by_hand_and_held_so() {
    let fleet = fleet(TALKS, "");
    fleet.applied();
    for (verb, state, back) in [("stop", "exited", "start"), ("pause", "paused", "resume")] {
        fleet.ok(&[&format!("simulator {verb}"), TALKER]);
        assert!(running(&fleet).starts_with(state), "{verb}");
        assert_eq!(fleet.planned(), Vec::<String>::new(), "{verb}");
        assert!(status(&fleet)["simulators"][0]["hold"]["by"].is_string(), "{verb}");
        fleet.applied();
        assert!(running(&fleet).starts_with(state), "{verb}");
        fleet.ok(&[&format!("simulator {back}"), TALKER]);
        assert!(running(&fleet).starts_with("running"), "{verb}");
        assert_eq!(fleet.planned(), Vec::<String>::new(), "{verb}");
    }
    // A container that somebody starts with the docker client while it is held stopped is stopped again.
    fleet.ok(&["simulator stop", TALKER]);
    docker(&["start", &container(&lineage(&fleet), TALKER)]);
    assert_eq!(fleet.planned(), [format!("update {TALKER}")]);
    fleet.applied();
    assert!(running(&fleet).starts_with("exited"));
    fleet.ok(&["apply", "--auto-approve", "--release-holds"]);
    let before = running(&fleet);
    assert!(before.starts_with("running"));
    fleet.ok(&["simulator reset", TALKER]);
    let after = running(&fleet);
    assert!(after.starts_with("running") && after != before, "{before} {after}");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn both_streams_of_a_log_are_kept_apart_and_followed() {
    let fleet = fleet(TALKS, "");
    fleet.applied();
    let told = fleet.ok(&["simulator logs", TALKER]);
    assert_eq!((told.out.as_str(), told.err.as_str()), ("out\n", "err\n"));
    let told = fleet.ok(&["simulator logs", TALKER, "--since", "1h", "--tail", "1"]);
    assert_eq!(format!("{}{}", told.out, told.err).lines().count(), 1);
    let mut following = fleet.command(&["simulator logs", TALKER, "--follow"]);
    let mut following = following
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(following.stdout.take().expect("it is piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("UTF-8"), "out");
    fleet.ok(&["simulator stop", TALKER]);
    assert!(lines.next().is_none());
    assert_eq!(following.wait().expect("it ends").code(), Some(0));
    // Services show with what they publish.
    let service = &status(&fleet)["services"][0];
    assert_eq!(service["address"], "service.web");
    let at = service["endpoints"]["80/tcp"].as_str().expect("an endpoint").to_owned();
    assert!(at.starts_with("tcp://127.0.0.1:"), "{at}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_plan_says_how_a_container_ended() {
    let hungry = "sleep 2; tail /dev/zero";
    let fleet = fleet(hungry, "resources = { memory = \"16MiB\" }");
    fleet.ok(&["apply", "--auto-approve"]);
    let id = container(&lineage(&fleet), TALKER);
    docker(&["wait", &id]);
    let plan = fleet.ok(&["plan"]).out;
    assert!(
        plan.contains("because it does not run any more: exit code 137, as it wanted more memory than it may have"),
        "{plan}"
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}
