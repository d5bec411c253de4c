//! What the tests of machines share: firmware, fleets of machines, and looks at them from outside.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::Fleet;

/// The machine of [`MACHINE`].
pub const ARM: &str = "simulator.qemu.arm";
/// What it writes.
pub const LOG: &str = "logs/arm.uart0.log";

const ARM_TEXT: &str = include_str!("firmware/arm.s");
const RISCV: &str = include_str!("firmware/riscv.s");

/// What every fleet has, and a machine that says READY and counts.
pub const MACHINE: &str = r#"
provider "local" {}
program "count" { path = "arm.elf" }
simulator "qemu" "arm" {
  placement = "local"
  binary    = "qemu-system-arm"
  machine   = "lm3s6965evb"
  cpu       = "cortex-m3"
  program   = program.count
  gdb {}
  console "uart0" { log = "logs/{name}.uart0.log" }
"#;

/// A RISC-V board that says READY and counts.
pub const BOARD: &str = r#"
provider "local" {}
program "count" { path = "riscv.elf" }
simulator "qemu" "board" {
  placement = "local"
  binary    = "qemu-system-riscv32"
  machine   = "virt"
  memory    = "16MiB"
  program   = program.count
  arguments = ["-bios", "none"]
  console "uart0" { log = "board.log" }
"#;

/// Makes a fleet of that machine, with something more in its block.
pub fn fleet(more: &str) -> Fleet {
    let fleet = Fleet::new(&format!("{MACHINE}{more}}}\n"));
    arm(&fleet, "arm.elf", "READY");
    fleet
}

/// Assembles the ARM firmware into the fleet's folder; it greets with this word.
pub fn arm(fleet: &Fleet, file: &str, greeting: &str) {
    let text = ARM_TEXT.replace("READY", greeting);
    assemble(
        fleet.path(),
        file,
        &text,
        "arm-none-eabi-as",
        &[],
        &["arm-none-eabi-ld", "-Ttext=0", "-e", "0"],
    );
}

/// Assembles the RISC-V firmware into the fleet's folder; it greets with this word.
pub fn riscv(fleet: &Fleet, file: &str, greeting: &str) {
    let text = RISCV.replace("READY", greeting);
    let link = ["riscv64-unknown-elf-ld", "-m", "elf32lriscv", "-Ttext=0x80000000"];
    let target = ["-march=rv32i_zicsr", "-mabi=ilp32"];
    assemble(fleet.path(), file, &text, "riscv64-unknown-elf-as", &target, &link);
}

fn assemble(folder: &Path, file: &str, text: &str, assembler: &str, target: &[&str], link: &[&str]) {
    let build = tempfile::tempdir().expect("a folder");
    let (source, object) = (build.path().join("a.s"), build.path().join("a.o"));
    std::fs::write(&source, text).expect("a file");
    run(Command::new(assembler).args(target).arg("-o").arg(&object).arg(&source));
    let (linker, flags) = link.split_first().expect("a linker");
    run(Command::new(linker)
        .args(flags)
        .arg("-o")
        .arg(folder.join(file))
        .arg(&object));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Asks until there is an answer.
#[track_caller]
pub fn until<T: Debug>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a machine wrote to a console by now.
pub fn console(fleet: &Fleet, log: &str) -> String {
    std::fs::read_to_string(fleet.path().join(log)).unwrap_or_default()
}

/// The last number that a machine has counted to.
pub fn counted(fleet: &Fleet, log: &str) -> Option<u32> {
    let text = console(fleet, log);
    let (whole, _) = text.rsplit_once('\n')?;
    whole.lines().rev().find_map(|line| u32::from_str_radix(line, 16).ok())
}

/// Waits for a machine to count further than to a number.
#[track_caller]
pub fn counts_beyond(fleet: &Fleet, log: &str, number: u32) -> u32 {
    until(&format!("{log} counts beyond {number}"), || {
        counted(fleet, log).filter(|now| *now > number)
    })
}

/// What `simulators` says of one.
#[track_caller]
pub fn seen(fleet: &Fleet, address: &str) -> Json {
    let document: Json = serde_json::from_str(&fleet.ok(&["simulators", "-o", "json"]).out).expect("JSON");
    let all = document.as_array().expect("a list");
    all.iter()
        .find(|one| one["address"] == address)
        .expect("it is there")
        .clone()
}

/// The port of a machine's debugger.
#[track_caller]
pub fn gdb_port(fleet: &Fleet, address: &str) -> u16 {
    let seen = seen(fleet, address);
    let endpoint = seen["endpoints"]["gdb"].as_str().unwrap_or_else(|| panic!("{seen}"));
    let port = endpoint.strip_prefix("tcp://127.0.0.1:").expect("an endpoint");
    port.parse().expect("a port")
}

/// The folder of a machine at the agent of its node.
pub fn session(fleet: &Fleet, name: &str) -> PathBuf {
    fn find(folder: &Path, name: &str) -> Option<PathBuf> {
        let entries = std::fs::read_dir(folder).ok()?.flatten();
        let folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        let own = folders.iter().find(|path| path.ends_with(name)).cloned();
        own.or_else(|| folders.iter().find_map(|folder| find(folder, name)))
    }
    find(&fleet.states(), name).expect("it has a folder")
}

/// Has a machine do something by its monitor, as a person would: again where it is busy with somebody else.
pub fn by_hand(fleet: &Fleet, name: &str, command: &str) -> Json {
    // The path of a socket is short.
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("s");
    std::os::unix::fs::symlink(session(fleet, name), &link).expect("a link");
    until(command, || ask_monitor(&link.join("qmp"), command).ok())
}

fn ask_monitor(socket: &Path, command: &str) -> std::io::Result<Json> {
    let mut stream = UnixStream::connect(socket)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        Ok::<Json, std::io::Error>(serde_json::from_str(&line)?)
    };
    line()?;
    let mut answer = Json::Null;
    for command in ["qmp_capabilities", command] {
        // In one piece: after its last brace it may be gone already.
        stream.write_all(format!("{}\n", json!({ "execute": command })).as_bytes())?;
        answer = loop {
            match line() {
                Ok(answer) if answer["event"].is_string() => {}
                // It may be gone before its answer is.
                Err(_) if command == "quit" => return Ok(Json::Null),
                answer => break answer?,
            }
        };
    }
    Ok(answer)
}

/// A debugger by GDB's remote protocol: one packet to a machine, and its answer.
pub struct Debugger(TcpStream);

impl Debugger {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a debugger gets in");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        Debugger(stream)
    }

    pub fn ask(&mut self, packet: &str) -> String {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0, "${packet}#{sum:02x}").expect("it listens");
        // That it stopped when it was connected is told unasked.
        loop {
            let answer = self.answer();
            if !answer.starts_with('T') {
                return answer;
            }
        }
    }

    /// Returns the registers of an ARM.
    pub fn registers(&mut self) -> Vec<u32> {
        let text = self.ask("g");
        let register = |at: usize| {
            let digits = text.get(at * 8..at * 8 + 8)?;
            Some(u32::from_str_radix(digits, 16).ok()?.swap_bytes())
        };
        (0..16)
            .map(|at| register(at).unwrap_or_else(|| panic!("{text}")))
            .collect()
    }

    /// Reads `+`, if it comes, and `$ANSWER#XX`.
    fn answer(&mut self) -> String {
        let mut text = String::new();
        let mut byte = [0u8];
        loop {
            self.0.read_exact(&mut byte).expect("an answer");
            match byte[0] {
                b'+' => {}
                b'$' => text.clear(),
                b'#' => break,
                other => text.push(char::from(other)),
            }
        }
        self.0.read_exact(&mut [0u8; 2]).expect("a sum");
        self.0.write_all(b"+").expect("it listens");
        text
    }
}

/// The processes of this user whose command line names a folder.
pub fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().expect("it is there");
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*folder.to_string_lossy())).collect()
}

/// Kills a process.
pub fn kill(pid: i64) {
    signal(pid, rustix::process::Signal::KILL);
}

/// Sends a signal to a process.
pub fn signal(pid: i64, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process");
    rustix::process::kill_process(pid, signal).expect("it is ours");
}
