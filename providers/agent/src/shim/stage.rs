//! The simulator's own process, before it becomes the simulator.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Ties this process to its shim and becomes the command that follows.
///
/// Its standard input is a pipe to the shim: it closes when the command has started, and otherwise says why it has not.
/// The command itself reads from /dev/null.
pub(super) fn exec(mut arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let shim: Option<i32> = arguments.next().and_then(|shim| shim.to_str()?.parse().ok());
    let (Some(shim), Some(program)) = (shim, arguments.next()) else {
        return Err("`shim exec` lacks the id of its shim or a command".to_owned());
    };
    let report = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)
        .map_err(|error| format!("cannot keep the pipe to the shim: {error}"))?;
    let prepared = File::open("/dev/null").and_then(|null| {
        rustix::stdio::dup2_stdin(&null)?;
        tie_to(shim)
    });
    let error = match prepared {
        Ok(()) => Command::new(&program).args(arguments).exec(),
        Err(error) => error,
    };
    let message = format!("cannot start `{}`: {error}", program.display());
    File::from(report)
        .write_all(message.as_bytes())
        .map_err(|_| message.clone())?;
    Err(message)
}

/// Asks the kernel to kill this process when the shim dies, so that a simulator is never left without one. It is not
/// inherited, and lost by a program that is set-user-id: what is left then is found by its [`COOKIE`](super::COOKIE).
#[cfg(target_os = "linux")]
fn tie_to(shim: i32) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Had the shim died before that call, nobody would have been told.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent != Some(shim) {
        return Err(std::io::Error::other("its shim is gone"));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn tie_to(_shim: i32) -> std::io::Result<()> {
    Ok(())
}
