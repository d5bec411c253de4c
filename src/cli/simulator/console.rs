//! `simulator console`: a serial line of a machine.

use std::io::{self, Read, Write};

use clap::Args;
use serde_json::{Map, Value as Json};
use simfleet_provider_api::{Ability, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::mpsc;

use super::super::exit::{Exit, Failure};
use super::super::run::Run;
use super::super::terminal::Raw;
use super::Targets;
use crate::diagnostic::Diagnostic;

/// Ctrl-], which leaves a console as it does that of telnet and of virsh.
const LEAVE: u8 = 0x1D;

/// Show what a machine writes to a console from now on, and type at it
///
/// What is read from standard input is typed. At a terminal each key is, Ctrl-C too, and Ctrl-] ends it; elsewhere it ends
/// with the machine, or with Ctrl-C. What was written before is in the log: `simfleet simulator logs`.
#[derive(Debug, Args)]
#[command(
    override_usage = "simfleet simulator console [OPTIONS] [PATH] <ADDRESS>",
    after_help = "\
Examples:
  simfleet simulator console simulator.qemu.arm
  simfleet simulator console simulator.qemu.arm --name uart1
  echo reset | timeout 5 simfleet simulator console simulator.qemu.arm"
)]
pub(super) struct Console {
    #[command(flatten)]
    targets: Targets,
    /// Which console; the first one without it
    #[arg(long, value_name = "CONSOLE")]
    name: Option<String>,
}

impl Console {
    pub(super) async fn run(&self, run: &Run) -> Result<Exit, Failure> {
        let (fleet, patterns) = self.targets.open(run)?;
        let name = self
            .name
            .as_ref()
            .map(|name| ("name".to_owned(), Json::from(name.as_str())));
        let parameters: Map<String, Json> = name.into_iter().collect();
        let all = fleet.reach("console", Ability::Console, parameters, &patterns).await?;
        let [one] = all.as_slice() else {
            let detail = "A console is that of one simulator, and these are several.";
            return Err(Failure::usage(detail, "simfleet simulator console --help"));
        };
        let Some(runtime) = one.provider.runtime() else {
            return Ok(Exit::Failure);
        };
        let console = runtime.console(&one.kind, &one.object, self.name.as_deref()).await;
        let console = console.map_err(|error| {
            let detail = format!("Its console cannot be opened: {error}.");
            Diagnostic::error("No console", detail).on(one.address.clone())
        })?;
        let raw = Raw::of_input();
        if raw.is_some() {
            run.terminal
                .tell(&format!("At the console of {}. Ctrl-] leaves it.\n", one.address));
        }
        // A signal must not leave the terminal as it is now.
        let stop = raw.as_ref().map(|_| run.signals.graceful());
        let stopped = async {
            match stop {
                Some(mut stop) => drop(stop.wait_for(|stop| *stop).await),
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stopped);
        let (mut shown, mut typed) = split(console);
        let mut typing = typing();
        let mut buffer = vec![0; 4 << 10];
        loop {
            tokio::select! {
                () = &mut stopped => return Ok(Exit::Interrupted),
                read = shown.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return Ok(Exit::Success),
                    Ok(length) => show(buffer.get(..length).unwrap_or_default())?,
                },
                Some(mut bytes) = typing.recv() => {
                    let end = bytes.iter().position(|byte| *byte == LEAVE && raw.is_some());
                    bytes.truncate(end.unwrap_or(bytes.len()));
                    if typed.write_all(&bytes).await.is_err() || end.is_some() {
                        return Ok(Exit::Success);
                    }
                }
            }
        }
    }
}

/// Reads standard input on a thread that nobody waits for: a read of a terminal cannot be given up.
fn typing() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 4 << 10];
        while let Ok(length @ 1..) = io::stdin().lock().read(&mut buffer) {
            if sender
                .blocking_send(buffer.get(..length).unwrap_or_default().to_vec())
                .is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn show(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::io("The console cannot be shown", "Standard output".to_owned(), &error),
    })
}
