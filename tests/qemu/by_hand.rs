//! What is done with machines by hand: `simfleet simulator …`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use rustix::pty::OpenptFlags;

use crate::bench::{
    ARM, BOARD, LOG, MACHINE, arm, console, counted, counts_beyond, fleet, gdb_port, riscv, seen, signal, until,
};
use crate::support::Fleet;

/// Runs `simfleet simulator VERB fleet.hcl ADDRESS WORD…` and demands success.
#[track_caller]
fn simulator(fleet: &Fleet, verb: &str, words: &[&str]) -> String {
    fleet.ok(&[&[&*format!("simulator {verb}")], words].concat()).out
}

/// Runs it and returns what it says when it fails.
#[track_caller]
fn refused(fleet: &Fleet, verb: &str, words: &[&str]) -> String {
    let ended = fleet.run(&[&[&*format!("simulator {verb}")], words].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.err
}

/// The board, and what it writes.
const RISCV: &str = "simulator.qemu.board";
const BOARD_LOG: &str = "board.log";

/// Makes a fleet of a board with something more in its block.
fn board(more: &str) -> Fleet {
    let fleet = Fleet::new(&format!("{BOARD}{more}}}\n"));
    riscv(&fleet, "riscv.elf", "READY");
    fleet
}

/// Returns what the counter of a board went back from, and to.
fn went_back(fleet: &Fleet) -> Option<(u32, u32)> {
    let text = console(fleet, BOARD_LOG);
    let numbers = text.lines().filter_map(|line| u32::from_str_radix(line, 16).ok());
    let numbers: Vec<u32> = numbers.collect();
    let back = numbers.windows(2).find(|pair| pair[1] < pair[0]);
    back.map(|pair| (pair[0], pair[1]))
}

// With QEMU 7.2 the ARM board of the other tests ends when it is restored: its card slot cannot be.
#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_machine_goes_back_to_its_snapshot_and_is_reset() {
    let fleet = board("  snapshot {\n    store = \"snapshots/{name}\"\n    keep  = 2\n  }\n");
    fleet.applied();
    let before = counts_beyond(&fleet, BOARD_LOG, 3);
    simulator(&fleet, "snapshot", &[RISCV, "early"]);
    let at = counted(&fleet, BOARD_LOG).expect("it counted");
    let late = counts_beyond(&fleet, BOARD_LOG, at + 15);
    let pid = seen(&fleet, RISCV)["pid"].clone();
    assert_eq!(fleet.planned(), Vec::<String>::new(), "it goes on");

    simulator(&fleet, "restore", &[RISCV, "early"]);
    let (from, to) = until("the counter goes back", || went_back(&fleet));
    assert!(from >= late && (before..=at + 5).contains(&to), "from {from} to {to}");
    assert_eq!(
        console(&fleet, BOARD_LOG).matches("READY").count(),
        1,
        "it did not boot again"
    );
    assert_eq!(fleet.planned(), Vec::<String>::new());
    assert_ne!(seen(&fleet, RISCV)["pid"], pid, "QEMU was started anew for it");

    // One that is paused stays so.
    simulator(&fleet, "pause", &[RISCV]);
    simulator(&fleet, "snapshot", &[RISCV, "held"]);
    assert_eq!(seen(&fleet, RISCV)["status"], "paused");
    simulator(&fleet, "resume", &[RISCV]);
    simulator(&fleet, "snapshot", &[RISCV, "late"]);
    let list = simulator(&fleet, "snapshots", &[RISCV]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(names, ["held", "late"], "the oldest gave way: {list}");
    assert!(fleet.path().join("snapshots/board/late.state").exists());
    let said = refused(&fleet, "restore", &[RISCV, "early"]);
    assert!(
        said.contains("there is no snapshot `early`: there are `held`, `late`"),
        "{said}"
    );

    let pid = seen(&fleet, RISCV)["pid"].clone();
    simulator(&fleet, "reset", &[RISCV]);
    until("it boots again", || {
        let boots = console(&fleet, BOARD_LOG).matches("READY\n00000001\n").count();
        (boots == 2).then_some(())
    });
    assert_eq!(seen(&fleet, RISCV)["pid"], pid, "the machine was reset, and not QEMU");

    // They outlive the machine, and fit only the same one.
    riscv(&fleet, "riscv.elf", "OTHER");
    fleet.applied();
    let said = refused(&fleet, "restore", &[RISCV, "late"]);
    let other = "the snapshot `late` is of another machine: its program is ";
    assert!(said.contains(other), "{said}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_program_that_is_loaded_by_hand_shows_in_the_plan() {
    let fleet = fleet("");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let port = gdb_port(&fleet, ARM);
    arm(&fleet, "hello.elf", "HELLO");
    let hello = fleet.path().join("hello.elf");
    let hello = hello.to_str().expect("a path");
    simulator(&fleet, "load", &[ARM, hello]);
    until("it runs the other one", || {
        console(&fleet, LOG).contains("HELLO\n00000001\n").then_some(())
    });
    assert_eq!(gdb_port(&fleet, ARM), port);
    let plan = fleet.ok(&["plan"]).out;
    assert!(plan.contains("simulator.qemu.arm will be replaced"), "{plan}");
    fleet.applied();
    until("it is as declared", || {
        (console(&fleet, LOG).matches("READY").count() == 2).then_some(())
    });

    simulator(&fleet, "load", &[ARM, hello, "--halt"]);
    assert_eq!(seen(&fleet, ARM)["status"], "paused");
    assert_eq!(console(&fleet, LOG).matches("HELLO").count(), 1, "it has not begun");
    simulator(&fleet, "resume", &[ARM]);
    until("it begins", || {
        (console(&fleet, LOG).matches("HELLO").count() == 2).then_some(())
    });
    assert_eq!(
        simulator(&fleet, "gdb", &[ARM]),
        format!("target remote 127.0.0.1:{}\n", gdb_port(&fleet, ARM))
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_console_is_read_and_typed_at() {
    let fleet = fleet("");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let mut command = fleet.command(&["simulator console", ARM]);
    let mut console = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut typed = console.stdin.take().expect("a pipe");
    let mut shown = BufReader::new(console.stdout.take().expect("a pipe")).lines();
    let number = shown.next().expect("a line").expect("text");
    assert!(u32::from_str_radix(&number, 16).is_ok() || number.len() < 8, "{number}");
    typed.write_all(b"x").expect("it is typed");
    let answer = shown.map_while(Result::ok).find(|line| line.starts_with('<'));
    assert_eq!(answer.as_deref(), Some("<x>"));
    console.kill().expect("it runs");
    console.wait().expect("it ended");
    let log = simulator(&fleet, "logs", &[ARM]);
    assert!(log.starts_with("READY\n") && log.contains("<x>\n"), "{log}");

    let said = refused(&fleet, "console", &[ARM, "--name", "uart7"]);
    assert!(said.contains("has no such console; it has uart0"), "{said}");
    fleet.write(&format!(
        "{}}}\n",
        MACHINE
            .replace("console \"uart0\" { log", "console \"uart0\" {\n stream = false\n log")
            .replace("log\" }", "log\"\n}")
    ));
    fleet.applied();
    let said = refused(&fleet, "console", &[ARM]);
    assert!(said.contains("`stream` is false"), "{said}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn at_a_terminal_each_key_reaches_the_console_until_it_is_left() {
    let fleet = fleet("");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    rustix::pty::grantpt(&master).expect("it may be used");
    rustix::pty::unlockpt(&master).expect("it may be used");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("it has a name");
    let name = name.into_string().expect("text");
    let open = || File::options().read(true).write(true).open(&name).expect("a terminal");
    let before = rustix::termios::tcgetattr(&master).expect("its settings");
    let mut command = fleet.command(&["simulator console", ARM]);
    let mut console = command.stdin(open()).stdout(open()).spawn().expect("it starts");
    let mut terminal = File::from(master);
    let mut shown = BufReader::new(terminal.try_clone().expect("a terminal")).lines();
    // Its first line is there once it passes on keys.
    shown.next().expect("a line").expect("text");
    for key in [b"\x03", b"x"] {
        terminal.write_all(key).expect("it is typed");
        let expected = format!("<{}>", char::from(key[0]));
        let answer = shown.by_ref().map_while(Result::ok).find(|line| line.starts_with('<'));
        assert_eq!(answer, Some(expected));
    }
    terminal.write_all(b"\x1d").expect("it is typed");
    assert_eq!(console.wait().expect("it ends").code(), Some(0));
    let after = rustix::termios::tcgetattr(&terminal).expect("its settings");
    assert_eq!(format!("{after:?}"), format!("{before:?}"), "the terminal is as it was");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn snapshots_of_a_machine_with_a_disk_are_in_the_disk() {
    let fleet = board("  drive \"data\" {\n    path      = \"data.qcow2\"\n    interface = \"none\"\n  }\n");
    let disk = fleet.path().join("data.qcow2");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(&disk)
        .arg("1M")
        .status();
    assert!(made.expect("it runs").success());
    fleet.applied();
    counts_beyond(&fleet, BOARD_LOG, 3);
    let pid = seen(&fleet, RISCV)["pid"].clone();
    simulator(&fleet, "snapshot", &[RISCV, "early"]);
    // One of the same name takes its place.
    simulator(&fleet, "snapshot", &[RISCV, "early"]);
    let at = counted(&fleet, BOARD_LOG).expect("it counted");
    counts_beyond(&fleet, BOARD_LOG, at + 10);
    simulator(&fleet, "restore", &[RISCV, "early"]);
    until("the counter goes back", || went_back(&fleet));
    assert_eq!(seen(&fleet, RISCV)["pid"], pid, "QEMU went on");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    fleet.ok(&["destroy", "--auto-approve"]);
    let kept = Command::new("qemu-img")
        .args(["snapshot", "-l"])
        .arg(&disk)
        .output()
        .expect("it runs");
    assert!(String::from_utf8_lossy(&kept.stdout).contains("early"), "{kept:?}");
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn what_is_larger_than_the_limits_is_not_kept() {
    let plain = "  snapshot { store = \"snapshots\" }\n";
    let disk = "  drive \"data\" {\n    path      = \"data.qcow2\"\n    interface = \"none\"\n  }\n";
    for more in [plain, disk] {
        let limits = "limits {\n  max_snapshot = \"1KiB\"\n  max_program  = \"64KiB\"\n}\n";
        let fleet = Fleet::new(&format!("{limits}{BOARD}{more}}}\n"));
        riscv(&fleet, "riscv.elf", "READY");
        let disk = fleet.path().join("data.qcow2");
        let mut make = Command::new("qemu-img");
        let made = make.args(["create", "-q", "-f", "qcow2"]).arg(&disk).arg("1M").status();
        assert!(made.expect("it runs").success());
        fleet.applied();
        let before = counts_beyond(&fleet, BOARD_LOG, 1);
        let said = refused(&fleet, "snapshot", &[RISCV, "large"]);
        assert!(said.contains("`max_snapshot` is 1024: it was not kept"), "{said}");
        let list = simulator(&fleet, "snapshots", &[RISCV]);
        assert!(!list.contains("large"), "{list}");
        if more == plain {
            let left = std::fs::read_dir(fleet.path().join("snapshots")).expect("a folder");
            assert_eq!(left.count(), 0);
        }
        counts_beyond(&fleet, BOARD_LOG, before);

        let large = fleet.path().join("large.elf");
        std::fs::write(&large, vec![0; (64 << 10) + 1]).expect("a file");
        let said = refused(&fleet, "load", &[RISCV, large.to_str().expect("a path")]);
        assert!(
            said.contains("has 65537 bytes, and `limits.max_program` is 65536"),
            "{said}"
        );
        std::fs::write(&large, []).expect("a file");
        let said = refused(&fleet, "load", &[RISCV, large.to_str().expect("a path")]);
        assert!(said.contains("error: Empty program"), "{said}");
        assert_eq!(fleet.planned(), Vec::<String>::new());
        fleet.ok(&["destroy", "--auto-approve"]);
    }
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn the_oldest_snapshots_go_where_there_are_too_many_and_that_is_told() {
    let fleet = board("  snapshot {\n    store = \"snapshots\"\n    keep  = 2\n  }\n");
    fleet.applied();
    counts_beyond(&fleet, BOARD_LOG, 1);
    let said = ["one", "two", "two", "three"].map(|name| simulator(&fleet, "snapshot", &[RISCV, name]));
    assert_eq!(
        said,
        [
            "simulator.qemu.board is kept as one\n",
            "simulator.qemu.board is kept as two\n",
            "simulator.qemu.board is kept as two\n",
            "simulator.qemu.board is kept as three, and no more is kept: one\n",
        ]
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_port_of_a_machine_is_reached_at_one_of_its_node() {
    let fleet = board("  port \"web\" {\n    host     = 18473\n    protocol = \"tcp\"\n    guest    = 80\n  }\n");
    fleet.applied();
    let endpoint = seen(&fleet, RISCV)["endpoints"]["web"].clone();
    let address = endpoint
        .as_str()
        .and_then(|url| url.strip_prefix("tcp://"))
        .expect("an endpoint");
    // The firmware has no network: that QEMU takes the connection is what there is to see.
    std::net::TcpStream::connect(address).expect("it is listened at");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    let other = std::fs::read_to_string(fleet.path().join("fleet.hcl")).expect("a fleet");
    fleet.write(&other.replace("= 80", "= 81"));
    assert_eq!(fleet.planned(), ["replace simulator.qemu.board"]);
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn what_a_frozen_machine_cannot_be_told_ends_with_an_error() {
    let fleet = board("");
    fleet.applied();
    counts_beyond(&fleet, BOARD_LOG, 1);
    let pid = seen(&fleet, RISCV)["pid"].as_i64().expect("a process");
    signal(pid, rustix::process::Signal::STOP);
    for (verb, words) in [
        ("snapshot", &[RISCV, "frozen"][..]),
        ("pause", &[RISCV]),
        ("reset", &[RISCV]),
    ] {
        let said = refused(&fleet, verb, words);
        assert!(said.contains("its monitor does not answer"), "{verb}: {said}");
    }
    assert_eq!(seen(&fleet, RISCV)["status"], "unhealthy");

    signal(pid, rustix::process::Signal::CONT);
    until("it answers again", || {
        (seen(&fleet, RISCV)["status"] != "unhealthy").then_some(())
    });
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(fleet.planned(), Vec::<String>::new());
    simulator(&fleet, "snapshot", &[RISCV, "thawed"]);
    let list = simulator(&fleet, "snapshots", &[RISCV]);
    assert!(list.contains("thawed") && !list.contains("frozen"), "{list}");
}
