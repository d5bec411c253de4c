//! What cannot be, in the words that a user reads.

use std::net::TcpListener;

use regex::Regex;

use crate::bench::{MACHINE, fleet};
use crate::support::{Ended, Fleet};

/// What was told, without what differs from run to run.
fn told(fleet: &Fleet, ended: &Ended) -> String {
    let mut text = format!("{}{}exit code {:?}\n", ended.out, ended.err, ended.code.unwrap_or(-1));
    text = text.replace(&*fleet.path().to_string_lossy(), "[folder]");
    for (pattern, name) in [
        (r"\b[0-9a-f]{64}\b", "[sha256]"),
        (r"\^{5,}", "^^^"),
        (r"\(process \d+\)", "(process [pid])"),
        (r"by `[^`]*` \(process", "by `[name]` (process"),
    ] {
        text = Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, name)
            .into_owned();
    }
    text
}

/// Applies the machine with something else in its block, which fails.
#[track_caller]
fn failed(from: &str, to: &str) -> String {
    let fleet = fleet("");
    assert!(MACHINE.contains(from), "{from}");
    fleet.write(&format!("{}}}\n", MACHINE.replace(from, to)));
    let mut ended = fleet.run(&["apply", "--auto-approve"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // How it went on the way depends on how fast it went.
    ended.err.clear();
    let told = told(&fleet, &ended);
    fleet.ok(&["destroy", "--auto-approve"]);
    // What was planned is no part of the mistake.
    told.split_once("to delete.\n\n")
        .map_or(told.clone(), |(_, rest)| rest.to_owned())
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn mistakes_are_told_in_qemus_own_words() {
    insta::assert_snapshot!("binary_missing", failed("qemu-system-arm", "qemu-system-arn"));
    insta::assert_snapshot!("machine_unknown", failed("lm3s6965evb", "lm3s6965evc"));
    insta::assert_snapshot!("processor_unknown", failed("cortex-m3", "cortex-m9"));
    insta::assert_snapshot!("argument_unknown", failed("gdb {}", "arguments = [\"-boos\"]"));
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_port_that_somebody_has_is_refused_with_who_that_is() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let text = failed("gdb {}", &format!("gdb {{ port = {port} }}"));
    insta::assert_snapshot!("port_taken", text.replace(&port.to_string(), "[port]"));
    drop(taken);

    let fleet = fleet("");
    let with_port = MACHINE.replace("gdb {}", &format!("gdb {{ port = {port} }}"));
    fleet.write(&format!("{with_port}}}\n"));
    fleet.applied();
    assert_eq!(
        crate::bench::gdb_port(&fleet, "simulator.qemu.arm"),
        port,
        "a given port is honoured"
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn programs_that_are_missing_or_others_are_told_by_validate() {
    let fleet = Fleet::new(&format!("{MACHINE}}}\n"));
    let validate = || told(&fleet, &fleet.run(&["validate"]));
    insta::assert_snapshot!("program_missing", validate());
    std::fs::write(fleet.path().join("arm.elf"), "abc").expect("a file");
    insta::assert_snapshot!("program_there", validate());
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let with = |sha256: &str| {
        let path = "path = \"arm.elf\"";
        format!(
            "{}}}\n",
            MACHINE.replace(
                &format!("{{ {path} }}"),
                &format!("{{\n  {path}\n  sha256 = \"{sha256}\"\n}}")
            )
        )
    };
    fleet.write(&with(&digest.to_uppercase()));
    fleet.ok(&["validate"]);
    fleet.write(&with(&digest.replace('b', "0")));
    insta::assert_snapshot!("program_changed", validate());
    insta::assert_snapshot!("program_changed_plan", told(&fleet, &fleet.run(&["plan"])));
    let ports = MACHINE.replace(
        "gdb {}",
        "count = 2\n  gdb {\n    port = 3333\n    bind = \"localhost\"\n  }",
    );
    fleet.write(&format!("{ports}  console \"uart0\" {{}}\n}}\n"));
    insta::assert_snapshot!("one_port_for_two", validate());
}

#[test]
fn only_a_file_can_be_loaded() {
    let fleet = Fleet::new(&format!("{MACHINE}}}\n"));
    rustix::fs::mkfifoat(rustix::fs::CWD, fleet.path().join("pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    let loads = ["/dev/zero", "pipe", "", "none"].map(|file| {
        let path = fleet.path().join(file);
        let ended = fleet.run(&["simulator load", "simulator.qemu.arm", &path.to_string_lossy()]);
        told(&fleet, &ended)
    });
    insta::assert_snapshot!("loaded_no_file", loads.join("\n"));
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_store_that_cannot_be_is_named() {
    let fleet = fleet("  snapshot { store = \"/proc/snapshots\" }\n");
    fleet.applied();
    let ended = fleet.run(&["simulator snapshot", "simulator.qemu.arm", "first"]);
    insta::assert_snapshot!("store_impossible", told(&fleet, &ended));
    let before = crate::bench::counted(&fleet, crate::bench::LOG).unwrap_or_default();
    crate::bench::counts_beyond(&fleet, crate::bench::LOG, before);
    fleet.ok(&["destroy", "--auto-approve"]);
}
