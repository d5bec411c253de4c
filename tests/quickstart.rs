//! The quickstart on real processes, as a new user has it, with pymavlink as the ground station.

mod support;

use std::path::Path;
use std::process::Command;

use support::Fleet;

const QUICKSTART: &str = include_str!("../examples/quickstart.hcl");

fn endpoints(fleet: &Fleet) -> Vec<String> {
    let json = fleet.ok(&["output", "vehicles", "--json"]).out;
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let vehicles = document
        .get("value")
        .unwrap_or(&document)
        .as_object()
        .expect("an object")
        .clone();
    vehicles
        .values()
        .map(|endpoint| endpoint.as_str().expect("an endpoint").to_owned())
        .collect()
}

fn pid_of(fleet: &Fleet, index: usize) -> i32 {
    let json = fleet.ok(&["simulators", "-o", "json"]).out;
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let simulators = document.get("simulators").unwrap_or(&document);
    i32::try_from(simulators[index]["pid"].as_i64().expect("a process id")).expect("a process id")
}

#[test]
fn the_quickstart_flies_heals_grows_shrinks_and_goes() {
    let fleet = Fleet::new(QUICKSTART);
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(endpoints(&fleet).len(), 3);
    let nothing = fleet.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(nothing.code, Some(0), "{}", nothing.out);

    let pid = rustix::process::Pid::from_raw(pid_of(&fleet, 1)).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let seen = loop {
        let plan = fleet.run(&["plan", "--detailed-exitcode"]);
        if plan.code == Some(2) {
            break plan.out;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the plan must show the killed process: {}",
            plan.out
        );
    };
    assert!(seen.contains("simulator.vehicle.quad[1]"), "{seen}");
    assert!(
        seen.contains("0 to create, 1 to update, 0 to replace, 0 to delete"),
        "{seen}"
    );
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(fleet.run(&["plan", "--detailed-exitcode"]).code, Some(0));

    let ten = fleet.ok(&["apply", "--auto-approve", "--var", "vehicles=10"]).out;
    assert!(
        ten.contains("8 created, 0 updated, 0 replaced, 0 deleted"),
        "seven vehicles and a node: {ten}"
    );
    let two = fleet.ok(&["apply", "--auto-approve", "--var", "vehicles=2"]).out;
    assert!(two.contains("0 created, 0 updated, 0 replaced, 8 deleted"), "{two}");

    fleet.ok(&["destroy", "--auto-approve"]);
    let left: Vec<String> = std::fs::read_dir(fleet.states())
        .expect("the state stays")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("fleet.db"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let folder = fleet.path().canonicalize().expect("it is there");
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains(&*folder.to_string_lossy()), "left behind: {line}");
    }
}

#[test]
#[ignore = "needs pymavlink; scripts/test installs it"]
fn pymavlink_flies_every_vehicle() {
    let python = std::env::var_os("SIMFLEET_TEST_PYTHON").expect("scripts/test names a Python with pymavlink");
    let fleet = Fleet::new(QUICKSTART);
    fleet.ok(&["apply", "--auto-approve"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulators/vehicle/tests/pymavlink_session.py");
    let sessions: Vec<_> = endpoints(&fleet)
        .iter()
        .enumerate()
        .map(|(index, endpoint)| {
            let address = endpoint.replace("udp://", "udpout:");
            let mut command = Command::new(&python);
            command.arg(&script).arg(address).arg((index + 1).to_string());
            command
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            command.spawn().expect("Python starts")
        })
        .collect();
    for session in sessions {
        let ended: support::Ended = session.wait_with_output().expect("it ends").into();
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    }
    fleet.ok(&["destroy", "--auto-approve"]);
}
