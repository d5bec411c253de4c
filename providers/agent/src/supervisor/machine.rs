//! The command line of a machine.
//!
//! QEMU runs in the folder `work` of its simulator, so that the paths of its sockets are short. It always starts held
//! (`-S`): the agent lets it go once its monitor answers, so that nothing that it writes is lost.

use std::net::IpAddr;
use std::path::Path;

use crate::layout::{MONITOR, SimulatorFolder, line_socket};
use crate::protocol::{Console, Drive, Forward, Gdb, Machine, ProcessSpec};
use crate::shim::console::Line;

/// How many older files of a console's log are kept.
const LOG_KEEP: u64 = 3;

/// Returns the program and its arguments.
pub(super) fn command(machine: &Machine, gdb_port: Option<u16>, program: Option<&Path>, at: IpAddr) -> Vec<String> {
    let mut command = vec![machine.binary.clone(), "-machine".to_owned(), machine.machine.clone()];
    let mut add = |arguments: &[&str]| command.extend(arguments.iter().map(|&argument| argument.to_owned()));
    if let Some(cpu) = &machine.cpu {
        add(&["-cpu", cpu]);
    }
    if let Some(bytes) = machine.memory {
        add(&["-m", &format!("{}K", bytes.div_ceil(1024))]);
    }
    add(&["-nodefaults", "-no-user-config", "-display", "none", "-S"]);
    add(&["-qmp", &format!("unix:../{MONITOR},server=on,wait=off")]);
    for number in 0..machine.consoles.len() {
        let line = line_socket(number);
        add(&["-chardev", &format!("socket,id=console{number},path=../{line}")]);
        add(&["-serial", &format!("chardev:console{number}")]);
    }
    if let (Some(Gdb { bind, .. }), Some(port)) = (&machine.gdb, gdb_port) {
        let bind = escaped(bind);
        let socket = format!("socket,id={DEBUGGER},host={bind},port={port},server=on,wait=off");
        add(&["-chardev", &socket, "-gdb", &format!("chardev:{DEBUGGER}")]);
    }
    for drive in &machine.drives {
        add(&["-drive", &self::drive(drive)]);
    }
    if !machine.forwards.is_empty() {
        let forward = |forward: &Forward| {
            let Forward { protocol, host, guest } = forward;
            format!(",hostfwd={}:{at}:{host}-:{guest}", escaped(protocol))
        };
        let forwards: String = machine.forwards.iter().map(forward).collect();
        add(&["-nic", &format!("user{forwards}")]);
    }
    if machine.semihosting {
        add(&["-semihosting-config", "enable=on,target=native"]);
    }
    if let Some(program) = program {
        add(&["-kernel", &program.to_string_lossy()]);
    }
    command.extend(machine.arguments.iter().cloned());
    command
}

/// The name that the debugger's socket has in QEMU.
pub(super) const DEBUGGER: &str = "debugger";

fn drive(drive: &Drive) -> String {
    let Drive { name, path, format, .. } = drive;
    let mut option = format!("file={},format={format},id={}", escaped(path), escaped(name));
    if let Some(interface) = &drive.interface {
        option.push_str(&format!(",if={}", escaped(interface)));
    }
    option
}

/// Writes a value into an option of QEMU: commas separate there, and two are one.
fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}

/// Returns what a shim is told of the consoles of a machine.
pub(super) fn lines(folder: &SimulatorFolder, spec: &ProcessSpec) -> Vec<Line> {
    let consoles = spec.machine.iter().flat_map(|machine| &machine.consoles);
    let line = |console: &Console| Line {
        log: console
            .log
            .as_ref()
            .map_or_else(|| folder.console_log(&console.name), Into::into),
        log_size: console.max_size,
        log_keep: LOG_KEEP,
        stream: console.stream,
    };
    consoles.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_becomes_a_command_line() {
        let machine: Machine = serde_json::from_value(serde_json::json!({
            "binary": "qemu-system-arm",
            "machine": "lm3s6965evb",
            "cpu": "cortex-m3",
            "memory": 16 << 20,
            "drives": [{ "name": "sd", "path": "/a,b.qcow2", "format": "qcow2", "interface": "sd" }],
            "semihosting": true,
            "consoles": [{ "name": "uart0", "stream": true, "max_size": 1024 }],
            "forwards": [
                { "protocol": "udp", "host": 14560, "guest": 14550 },
                { "protocol": "tcp", "host": 8080, "guest": 80 },
            ],
            "gdb": { "bind": "127.0.0.1", "wait": false },
            "arguments": ["-icount", "shift=0"],
        }))
        .expect("it is a machine");
        let command = command(
            &machine,
            Some(20_001),
            Some(Path::new("/programs/ab")),
            [127, 1, 2, 3].into(),
        );
        assert_eq!(
            command.join(" "),
            "qemu-system-arm -machine lm3s6965evb -cpu cortex-m3 -m 16384K -nodefaults -no-user-config -display none -S \
             -qmp unix:../qmp,server=on,wait=off -chardev socket,id=console0,path=../line.0 -serial chardev:console0 \
             -chardev socket,id=debugger,host=127.0.0.1,port=20001,server=on,wait=off -gdb chardev:debugger \
             -drive file=/a,,b.qcow2,format=qcow2,id=sd,if=sd \
             -nic user,hostfwd=udp:127.1.2.3:14560-:14550,hostfwd=tcp:127.1.2.3:8080-:80 -semihosting-config enable=on,target=native \
             -kernel /programs/ab -icount shift=0"
        );
    }
}
