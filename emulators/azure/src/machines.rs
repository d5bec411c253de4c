//! What stands for virtual machines: a command that runs as long as the machine does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::process::{Child, Command};

use crate::emulator::Shared;
use crate::world::{MachineEvent, MachineLogin};

/// How often it is looked at what happened.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command for each machine that runs, and ends it with the machine. What was running ends with this, too.
///
/// The command gets a directory of the machine's own as its last argument, with the files `name`, `id`, `custom-data` and
/// `user-data`, the last two decoded, and `user`, `authorized-keys`, `private-ip` and `public-ip`. It keeps the directory over
/// restarts.
pub(crate) async fn stand_in(command: Vec<String>, shared: Arc<Shared>) {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let root = std::env::temp_dir().join(format!(
        "azure-emulator-{}-{}",
        std::process::id(),
        uuid::Uuid::new_v4().simple()
    ));
    let root = Root(root);
    loop {
        let events = std::mem::take(&mut shared.world().machines);
        for event in events {
            match event {
                MachineEvent::Started {
                    key,
                    name,
                    custom_data,
                    user_data,
                    login,
                } => {
                    drop(running.remove(&key));
                    let directory = root.0.join(key.trim_start_matches('/').replace('/', "_"));
                    let started = prepare(&directory, &key, &name, custom_data.as_deref(), user_data.as_deref())
                        .and_then(|()| tell(&directory, &login))
                        .and_then(|()| start(&command, &directory));
                    // A machine whose command cannot be run is one whose inside is broken: the cloud does not see it.
                    if let Ok(child) = started {
                        running.insert(key, child);
                    }
                }
                MachineEvent::Stopped { key } => drop(running.remove(&key)),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Is removed at the end.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn prepare(directory: &Path, id: &str, name: &str, custom: Option<&str>, user: Option<&str>) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let decoded = |data: Option<&str>| data.and_then(|data| STANDARD.decode(data).ok()).unwrap_or_default();
    std::fs::write(directory.join("id"), id)?;
    std::fs::write(directory.join("name"), name)?;
    std::fs::write(directory.join("custom-data"), decoded(custom))?;
    std::fs::write(directory.join("user-data"), decoded(user))
}

fn tell(directory: &Path, login: &MachineLogin) -> std::io::Result<()> {
    for (name, text) in [
        ("user", &login.user),
        ("authorized-keys", &login.keys),
        ("private-ip", &login.private_ip),
        ("public-ip", &login.public_ip),
    ] {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

fn start(command: &[String], directory: &Path) -> std::io::Result<Running> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))?;
    Command::new(program)
        .args(arguments)
        .arg(directory)
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map(Running)
}

/// A command that runs. It ends with this, and with it all that it started in its process group: a machine that is
/// switched off does not ask.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
