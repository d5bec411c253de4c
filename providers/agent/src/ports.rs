//! Ports of this machine: choosing one that is free, and finding out who has one.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use sha2::{Digest, Sha256};

/// Ports are chosen from here: below those that the kernel gives to outgoing connections.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Returns a free port at an address, for something of this name: the same one again where it can be. None of `used`.
pub(crate) fn choose(name: &str, bind: &str, used: &BTreeSet<u16>) -> Option<u16> {
    let digest = Sha256::digest(name.as_bytes());
    let start = u16::from_be_bytes([digest[0], digest[1]]) % COUNT;
    let all = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    all.filter(|port| !used.contains(port))
        .find(|port| TcpListener::bind((bind, *port)).is_ok())
}

/// Returns why nothing can listen on a port, with who does; `None` where something can.
pub(crate) fn refusal(bind: &str, port: u16) -> Option<String> {
    let error = TcpListener::bind((bind, port)).err()?;
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return Some(format!("nothing can listen on {bind}:{port}: {error}"));
    }
    let by = match holder(port) {
        Some((pid, name)) => format!("`{name}` (process {pid})"),
        None => "another process".to_owned(),
    };
    Some(format!("port {port} of {bind} is taken by {by}"))
}

/// Returns a process that listens on a port, as far as this user may see it.
fn holder(port: u16) -> Option<(u32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: BTreeSet<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| listening(line, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .find(|pid| has_one(*pid, &sockets))
        .map(|pid: u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (pid, name.trim().to_owned())
        })
}

/// Returns the socket of a line of `/proc/net/tcp` (proc_pid_net(5)) that listens on a port.
fn listening(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, local) = fields.nth(1)?.rsplit_once(':')?;
    let is_it = u16::from_str_radix(local, 16) == Ok(port) && fields.nth(1)? == LISTEN;
    fields.nth(5).filter(|_| is_it)
}

fn has_one(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = open.filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_free_stays_and_is_nobody_elses() {
        let first = choose("simulator.qemu.a", "127.0.0.1", &BTreeSet::new()).expect("one is free");
        assert_eq!(choose("simulator.qemu.a", "127.0.0.1", &BTreeSet::new()), Some(first));
        let second = choose("simulator.qemu.a", "127.0.0.1", &BTreeSet::from([first]));
        assert_ne!(second.expect("one is free"), first);
    }

    #[test]
    fn who_has_a_port_is_told() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = taken.local_addr().expect("an address").port();
        let pid = std::process::id();
        let told = refusal("127.0.0.1", port).expect("it is taken");
        assert!(
            told.starts_with(&format!("port {port} of 127.0.0.1 is taken by `")),
            "{told}"
        );
        assert!(told.ends_with(&format!("(process {pid})")), "{told}");
        drop(taken);
        assert_eq!(refusal("127.0.0.1", port), None);
        let told = refusal("192.0.2.1", port).expect("it is not here");
        assert!(told.starts_with("nothing can listen on 192.0.2.1:"), "{told}");
    }
}
