//! Machines from their first start to their end: what runs, what is held, what dies and comes back.

use crate::bench::{
    ARM, Debugger, LOG, MACHINE, arm, by_hand, console, counted, counts_beyond, fleet, gdb_port, kill, processes,
    riscv, seen, session, until,
};

const RISCV: &str = r#"
program "other" { path = "riscv.elf" }
simulator "qemu" "riscv" {
  placement = "local"
  binary    = "qemu-system-riscv32"
  machine   = "virt"
  memory    = "16MiB"
  program   = program.other
  arguments = ["-bios", "none"]
  console "uart0" { log = "logs/{name}.log" }
}
output "debugger" { value = simulator.qemu.arm.endpoints.gdb }
"#;

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn firmware_of_two_processors_boots_and_goes() {
    let fleet = fleet("");
    fleet.write(&format!("{MACHINE}}}\n{RISCV}"));
    riscv(&fleet, "riscv.elf", "READY");
    fleet.applied();
    for log in [LOG, "logs/riscv.log"] {
        counts_beyond(&fleet, log, 2);
        let text = console(&fleet, log);
        assert!(
            text.starts_with("READY\n00000001\n00000002\n"),
            "nothing is lost at the start: {text}"
        );
    }
    let port = gdb_port(&fleet, ARM);
    let output = fleet.ok(&["output", "debugger", "--raw"]).out;
    assert_eq!(output.trim(), format!("tcp://127.0.0.1:{port}"));

    // Register 4 is where the UART is, register 5 the counter.
    let mut debugger = Debugger::connect(port);
    let registers = debugger.registers();
    assert_eq!(registers[4], 0x4000_C000);
    let counter = registers[5];
    assert!(counter >= 2, "{counter}");
    // A debugger holds the machine, which is no change of the fleet.
    until("the debugger is seen", || {
        (seen(&fleet, ARM)["status"] == "debugged").then_some(())
    });
    assert_eq!(fleet.planned(), Vec::<String>::new());
    assert_eq!(debugger.ask("D"), "OK");
    counts_beyond(&fleet, LOG, counter);
    drop(debugger);

    let folder = fleet.path().join(".simfleet");
    assert_eq!(
        processes(&folder).len(),
        3,
        "an agent, and its two machines: {:?}",
        processes(&folder)
    );
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(processes(&folder), Vec::<String>::new());
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_machine_is_held_by_its_state_and_by_hand() {
    let fleet = fleet("  state = \"paused\"\n");
    fleet.applied();
    assert_eq!(seen(&fleet, ARM)["status"], "paused");
    assert_eq!(console(&fleet, LOG), "", "it has not begun");
    let pid = seen(&fleet, ARM)["pid"].clone();

    fleet.write(&format!("{MACHINE}}}\n"));
    assert_eq!(fleet.planned(), ["update simulator.qemu.arm"]);
    fleet.applied();
    let at = counts_beyond(&fleet, LOG, 1);

    by_hand(&fleet, ARM, "stop");
    let shown = until("the plan shows it", || {
        let plan = fleet.run(&["plan", "--detailed-exitcode"]);
        (plan.code == Some(2)).then_some(plan.out)
    });
    assert!(shown.contains("~ state: \"running\" -> \"paused\""), "{shown}");
    let held = counted(&fleet, LOG).expect("it counted");
    assert!(held >= at);
    assert_eq!(seen(&fleet, ARM)["status"], "paused");
    fleet.applied();
    counts_beyond(&fleet, LOG, held);

    fleet.write(&format!("{MACHINE}  state = \"stopped\"\n}}\n"));
    fleet.applied();
    assert_eq!(seen(&fleet, ARM)["status"], "stopped");
    fleet.write(&format!("{MACHINE}}}\n"));
    fleet.applied();
    let again = seen(&fleet, ARM);
    assert_eq!(again["status"], "running");
    assert_ne!(again["pid"], pid, "it was off");

    // Of a machine that shuts down, the process ends.
    by_hand(&fleet, ARM, "quit");
    until("the plan shows it", || (!fleet.planned().is_empty()).then_some(()));
    assert_eq!(seen(&fleet, ARM)["status"], "exited");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn another_program_makes_another_session() {
    let fleet = fleet("");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let port = gdb_port(&fleet, ARM);

    // The same content at another place is the same program.
    std::fs::rename(fleet.path().join("arm.elf"), fleet.path().join("moved.elf")).expect("it moves");
    fleet.write(&format!("{}}}\n", MACHINE.replace("arm.elf", "moved.elf")));
    assert_eq!(fleet.planned(), ["update simulator.qemu.arm"]);
    let pid = seen(&fleet, ARM)["pid"].clone();
    fleet.applied();
    assert_eq!(seen(&fleet, ARM)["pid"], pid, "it went on");

    arm(&fleet, "moved.elf", "HELLO");
    let plan = fleet.ok(&["plan"]).out;
    assert!(plan.contains("simulator.qemu.arm will be replaced"), "{plan}");
    assert!(plan.contains("~ program: "), "{plan}");
    fleet.applied();
    until("it greets", || {
        console(&fleet, LOG).contains("HELLO\n00000001\n").then_some(())
    });
    assert_eq!(gdb_port(&fleet, ARM), port, "the debugger's port stays");

    // Changed between the plan and its apply, it is not what was agreed to.
    arm(&fleet, "moved.elf", "THIRD");
    fleet.ok(&["plan", "--out", "p"]);
    arm(&fleet, "moved.elf", "FOURTH");
    let stale = fleet
        .command(&["apply"])
        .arg("p")
        .arg("--auto-approve")
        .output()
        .expect("it runs");
    assert!(!stale.status.success(), "{stale:?}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn sessions_outlive_their_agent_and_come_back_after_their_own_end() {
    let fleet = fleet("");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let (pid, port) = (seen(&fleet, ARM)["pid"].clone(), gdb_port(&fleet, ARM));

    let agent = || {
        let document: serde_json::Value = serde_json::from_str(&fleet.ok(&["nodes", "-o", "json"]).out).expect("JSON");
        document[0]["pid"].as_i64().expect("a process")
    };
    kill(agent());
    let at = counted(&fleet, LOG).expect("it counted");
    counts_beyond(&fleet, LOG, at + 2);
    assert_eq!(seen(&fleet, ARM)["status"], "unreachable");
    fleet.applied();
    assert_eq!(seen(&fleet, ARM)["pid"], pid, "the machine went on");
    assert_eq!(gdb_port(&fleet, ARM), port);
    let numbers: Vec<u32> = console(&fleet, LOG)
        .lines()
        .filter_map(|line| u32::from_str_radix(line, 16).ok())
        .collect();
    let expected: Vec<u32> = (1..=u32::try_from(numbers.len()).expect("few")).collect();
    assert_eq!(numbers, expected, "nothing that it wrote meanwhile is lost");
    // The new agent talks to it.
    by_hand(&fleet, ARM, "stop");
    until("it is seen", || (seen(&fleet, ARM)["status"] == "paused").then_some(()));
    fleet.applied();

    kill(pid.as_i64().expect("a process"));
    until("the plan shows it", || {
        (fleet.planned() == ["update simulator.qemu.arm"]).then_some(())
    });
    fleet.applied();
    assert_ne!(seen(&fleet, ARM)["pid"], pid);
    assert_eq!(gdb_port(&fleet, ARM), port, "its port survives a restart");
    until("it boots", || {
        (console(&fleet, LOG).matches("READY\n").count() == 2).then_some(())
    });
    assert_eq!(Debugger::connect(port).registers()[4], 0x4000_C000);
    assert!(session(&fleet, ARM).join("output.log").exists());
    fleet.ok(&["destroy", "--auto-approve"]);
}
