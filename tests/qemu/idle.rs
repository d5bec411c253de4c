//! Machines that nobody uses.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::bench::{ARM, Debugger, LOG, MACHINE, console, fleet, gdb_port, riscv, seen, until};

const BOARD: &str = "simulator.qemu.board";

/// A second machine, beside [`MACHINE`].
const OTHER: &str = r#"
program "other" { path = "riscv.elf" }
simulator "qemu" "board" {
  placement    = "local"
  binary       = "qemu-system-riscv32"
  machine      = "virt"
  memory       = "16MiB"
  program      = program.other
  arguments    = ["-bios", "none"]
  idle_timeout = "8s"
  console "uart0" { log = "board.log" }
}
"#;

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_machine_is_idle_when_nobody_debugs_it_or_has_a_console_of_it() {
    let fleet = fleet("");
    fleet.write(&format!("{MACHINE}  idle_timeout = \"8s\"\n}}\n{OTHER}"));
    riscv(&fleet, "riscv.elf", "READY");
    fleet.applied();
    let status = |address: &str| seen(&fleet, address)["status"].clone();
    let mut debugger = Debugger::connect(gdb_port(&fleet, ARM));
    until("the board is idle", || (status(BOARD) == "stopped").then_some(()));
    assert_eq!(status(ARM), "debugged");
    assert_eq!(seen(&fleet, BOARD)["reason"], "idle for 8s");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    let said = fleet.run(&["simulator console", BOARD]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("does not run"), "{said:?}");

    // Started, it is used by who has its console; the other one now by nobody.
    fleet.ok(&["simulator start", BOARD]);
    let mut typing = fleet.command(&["simulator console", BOARD]);
    let mut typing = typing.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut shown = BufReader::new(typing.stdout.take().expect("a pipe")).lines();
    assert!(shown.next().is_some_and(|line| line.is_ok()), "it shows something");
    assert_eq!(debugger.ask("D"), "OK");
    drop(debugger);
    until("the debugged one is idle", || (status(ARM) == "stopped").then_some(()));
    assert_eq!(status(BOARD), "running");
    typing.kill().expect("it runs");
    typing.wait().expect("it ended");
    until("the board is idle again", || (status(BOARD) == "stopped").then_some(()));

    fleet.ok(&["simulator reset", ARM]);
    until("it boots again", || {
        (console(&fleet, LOG).matches("READY").count() == 2).then_some(())
    });
    fleet.ok(&["destroy", "--auto-approve"]);
}
