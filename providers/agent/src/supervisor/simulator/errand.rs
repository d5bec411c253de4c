//! What is done with a machine by hand, over its monitor: each thing once a token.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::{sleep, timeout};

use super::super::snapshots::{Fit, Snapshot, Store};
use crate::protocol::RUNNING;
use crate::qmp::{self, Qmp, QmpError, bind};
use crate::shim::now;

/// Something to be done with a machine that runs.
#[derive(Debug, Clone)]
pub(super) enum Errand {
    /// Its reset button is pressed.
    Reset,
    /// What it is now is kept.
    Save(Save),
    /// It becomes what is kept in its disks.
    Load {
        /// The snapshot.
        name: String,
    },
}

/// A snapshot to be made.
#[derive(Debug, Clone)]
pub(super) struct Save {
    /// Its name.
    pub name: String,
    /// Where it is recorded.
    pub store: Store,
    /// How many there may be with it.
    pub keep: u64,
    /// The most bytes that it may have.
    pub most: Option<u64>,
    /// Whether it is kept in the machine's disks.
    pub on_disk: bool,
    /// What it will fit.
    pub of: Fit,
}

/// Why an errand was not done.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Monitor(#[from] QmpError),
    #[error("{0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// How soon something that QEMU does by itself is looked at again.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// The socket that a machine is written to, in its folder.
const OUTGOING: &str = "outgoing";
/// The socket that a machine is read from, in its folder.
pub(in super::super) const INCOMING: &str = "incoming";

/// Does it, and returns when it is done. `folder` is that of the machine.
pub(super) async fn run(monitor: &mut Qmp, folder: &Path, errand: Errand) -> Result<(), String> {
    let done = match errand {
        Errand::Reset => monitor.tell("system_reset").await.map(drop).map_err(Trouble::from),
        Errand::Save(save) => {
            let store = save.store.0.clone();
            let saved = held(monitor, async |monitor| self::save(monitor, folder, save).await).await;
            saved.map_err(|trouble| match trouble {
                Trouble::File(error) => Trouble::Other(format!("it cannot be kept in `{}`: {error}", store.display())),
                trouble => trouble,
            })
        }
        Errand::Load { name } => held(monitor, async |monitor| job(monitor, "snapshot-load", &name).await).await,
    };
    done.map_err(|trouble| trouble.to_string())
}

/// Does something while the machine is held, and lets it go on if it ran.
async fn held(monitor: &mut Qmp, what: impl AsyncFnOnce(&mut Qmp) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let ran = monitor.tell("query-status").await?["status"] == RUNNING;
    monitor.tell("stop").await?;
    let done = what(monitor).await;
    // A migration that was given up has an end of its own, before which nothing goes on.
    while monitor.tell("query-status").await?["status"] == "finish-migrate" {
        sleep(LOOK_AFTER).await;
    }
    if ran {
        monitor.tell("cont").await?;
    }
    done
}

async fn save(monitor: &mut Qmp, folder: &Path, save: Save) -> Result<(), Trouble> {
    let Save { name, store, keep, .. } = &save;
    store.make()?;
    // One of the same name gives way.
    let size = match save.on_disk {
        true => {
            if store.all()?.iter().any(|snapshot| snapshot.name == *name) {
                job(monitor, "snapshot-delete", name).await?;
            }
            job(monitor, "snapshot-save", name).await?;
            let size = size_on_disk(monitor, name).await?;
            if let (Some(size), Some(most)) = (size, save.most)
                && size > most
            {
                job(monitor, "snapshot-delete", name).await?;
                store.remove(name)?;
                return Err(too_large(size, most));
            }
            size
        }
        false => Some(write(monitor, folder, &save).await?),
    };
    store.add(&Snapshot {
        name: name.clone(),
        made: now(),
        size,
        on_disk: save.on_disk,
        of: save.of.clone(),
    })?;
    let all = store.all()?;
    let keep = usize::try_from(*keep).unwrap_or(usize::MAX);
    let too_many = all.len().saturating_sub(keep);
    for old in all.iter().take(too_many) {
        if old.on_disk {
            job(monitor, "snapshot-delete", &old.name).await?;
        }
        store.remove(&old.name)?;
    }
    Ok(())
}

/// Has a machine that is held write itself to a file: as a migration, of which the other side is here.
async fn write(monitor: &mut Qmp, folder: &Path, save: &Save) -> Result<u64, Trouble> {
    let path = save.store.state(&save.name);
    let part = path.with_extension("part");
    let listener: UnixListener = bind(folder, OUTGOING)?;
    // As fast as it can: nobody else uses this line.
    monitor
        .execute(
            "migrate-set-parameters",
            json!({ "max-bandwidth": u64::from(u32::MAX) }),
        )
        .await?;
    monitor
        .execute("migrate", json!({ "uri": format!("unix:../{OUTGOING}") }))
        .await?;
    let received = async {
        let (mut stream, _) = listener.accept().await?;
        let mut file = File::create(&part).await?;
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            size += read as u64;
            if let Some(most) = save.most.filter(|most| size > *most) {
                return Err(too_large(size, most));
            }
            file.write_all(&buffer[..read]).await?;
        }
        file.sync_all().await?;
        Ok(size)
    };
    let written = tokio::select! {
        size = received => size,
        failed = failure(monitor) => Err(failed),
    };
    let size = match written {
        Ok(size) => migrated(monitor).await.map(|()| size),
        Err(trouble) => {
            // The machine must not wait for somebody who has gone.
            let _ = monitor.tell("migrate_cancel").await;
            Err(trouble)
        }
    };
    match size {
        Ok(size) => {
            tokio::fs::rename(&part, &path).await?;
            Ok(size)
        }
        Err(trouble) => {
            let _ = tokio::fs::remove_file(&part).await;
            Err(trouble)
        }
    }
}

fn too_large(size: u64, most: u64) -> Trouble {
    Trouble::Other(format!(
        "it has at least {size} bytes, and `max_snapshot` is {most}: it was not kept"
    ))
}

/// Returns how many bytes a snapshot has that is kept in a disk, without what is on the disk itself.
async fn size_on_disk(monitor: &mut Qmp, name: &str) -> Result<Option<u64>, Trouble> {
    let blocks = monitor.tell("query-block").await?;
    let images = blocks.as_array().into_iter().flatten();
    let snapshots = images.flat_map(|block| block["inserted"]["image"]["snapshots"].as_array().into_iter().flatten());
    let of_name = snapshots.filter(|snapshot| snapshot["name"] == name);
    Ok(of_name.filter_map(|snapshot| snapshot["vm-state-size"].as_u64()).max())
}

/// Returns when a migration has failed; never, where it does not.
async fn failure(monitor: &mut Qmp) -> Trouble {
    loop {
        match monitor.tell("query-migrate").await {
            Ok(state) if state["status"] == "failed" => return reason(&state),
            Ok(_) => sleep(LOOK_AFTER).await,
            Err(error) => return error.into(),
        }
    }
}

async fn migrated(monitor: &mut Qmp) -> Result<(), Trouble> {
    loop {
        let state = monitor.tell("query-migrate").await?;
        match state["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => return Err(reason(&state)),
            _ => sleep(LOOK_AFTER).await,
        }
    }
}

fn reason(state: &Json) -> Trouble {
    let reason = state["error-desc"].as_str().unwrap_or("QEMU does not say why");
    Trouble::Other(format!("the machine could not be written: {reason}"))
}

/// Has a job done with all disks of a machine that hold snapshots, and waits for its end.
async fn job(monitor: &mut Qmp, kind: &str, snapshot: &str) -> Result<(), Trouble> {
    const JOB: &str = "simfleet";
    let blocks = monitor.tell("query-block").await?;
    let disks = blocks.as_array().into_iter().flatten().filter_map(|block| {
        let inserted = &block["inserted"];
        let is_one = inserted["drv"] == "qcow2" && inserted["ro"] == false;
        inserted["node-name"].as_str().filter(|_| is_one)
    });
    let disks: Vec<&str> = disks.collect();
    let Some(first) = disks.first() else {
        return Err(Trouble::Other(
            "none of its disks can hold a snapshot: qcow2, and not read-only".to_owned(),
        ));
    };
    let mut arguments = json!({ "job-id": JOB, "tag": snapshot, "devices": disks });
    if kind != "snapshot-delete" {
        arguments["vmstate"] = json!(first);
    }
    monitor.execute(kind, arguments).await?;
    loop {
        let jobs = monitor.tell("query-jobs").await?;
        let ours = jobs
            .as_array()
            .into_iter()
            .flatten()
            .find(|job| job["id"] == JOB)
            .cloned();
        let Some(job) = ours.filter(|job| job["status"] == "concluded") else {
            sleep(LOOK_AFTER).await;
            continue;
        };
        monitor.execute("job-dismiss", json!({ "id": JOB })).await?;
        return match job["error"].as_str() {
            Some(error) => Err(Trouble::Other(format!("{kind} failed: {error}"))),
            None => Ok(()),
        };
    }
}

/// Gives a machine that was started for it what it was when a snapshot was made.
pub(super) async fn read(monitor: &mut Qmp, folder: &Path, state: &PathBuf) -> Result<(), QmpError> {
    if monitor.tell("query-status").await?["status"] != "inmigrate" {
        return Ok(());
    }
    let mut file = File::open(state).await?;
    let mut stream = qmp::connect(folder, INCOMING).await?;
    tokio::io::copy(&mut file, &mut stream).await?;
    stream.shutdown().await?;
    drop(stream);
    // One that cannot read it ends, which closes its monitor.
    let arrived = async {
        while monitor.tell("query-status").await?["status"] == "inmigrate" {
            sleep(LOOK_AFTER).await;
        }
        Ok(())
    };
    let waited = timeout(Duration::from_secs(600), arrived).await;
    waited.unwrap_or_else(|_| Err(QmpError::Answer("it does not come to itself".to_owned())))
}
