//! The serial lines of a machine: each is read here, whoever else is there, so that its log is bounded and complete and
//! many can watch it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::log::RotatingLog;
use crate::durable;
use crate::layout::SimulatorFolder;

/// Who does not read for so long does not watch any more: the machine is not held up for longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A serial line, as a shim is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The file that it is written to.
    pub log: PathBuf,
    /// Bytes after which a new file is begun.
    pub log_size: u64,
    /// How many older files are kept.
    pub log_keep: u64,
    /// Whether it can be watched and typed at.
    pub stream: bool,
}

/// Those who watch a line.
type Watchers = Arc<Mutex<Vec<UnixStream>>>;

/// Waits for a machine to open its line of this number. `ended` is told when all of it has been read.
pub(super) fn open(folder: &SimulatorFolder, number: usize, line: &Line, ended: Sender<()>) -> Result<(), String> {
    let (inner, outer) = (folder.line(number), folder.console(number));
    let listen = |path: &Path| {
        durable::remove_file(path)?;
        UnixListener::bind(path)
    };
    let failed = |what: &Path, error: io::Error| format!("cannot open the console `{}`: {error}", what.display());
    if let Some(parent) = line.log.parent() {
        durable::create_folder(parent).map_err(|error| failed(&line.log, error))?;
    }
    let log = RotatingLog::open(&line.log, line.log_size, line.log_keep).map_err(|error| failed(&line.log, error))?;
    let machine = listen(&inner).map_err(|error| failed(&inner, error))?;
    let door = match line.stream {
        true => Some(listen(&outer).map_err(|error| failed(&outer, error))?),
        false => None,
    };
    thread::spawn(move || {
        if let Ok((stream, _)) = machine.accept() {
            let _ = fs::remove_file(&inner);
            let watchers = Watchers::default();
            if let (Some(door), Ok(input)) = (door, stream.try_clone()) {
                let watchers = watchers.clone();
                thread::spawn(move || admit(&door, &input, &watchers));
            }
            read(stream, log, &watchers);
        }
        // The receiver is gone when the shim has waited long enough.
        let _ = ended.send(());
    });
    Ok(())
}

/// Lets go of a machine that never opened its line.
pub(super) fn give_up(folder: &SimulatorFolder, number: usize) {
    // Where it was opened there is nothing to connect to.
    let _ = UnixStream::connect(folder.line(number));
}

fn read(mut stream: UnixStream, mut log: RotatingLog, watchers: &Watchers) {
    let mut buffer = vec![0u8; 4 << 10];
    loop {
        let output = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        // What cannot be written is dropped, so that a full disk does not stop the machine.
        let _ = log.write(output);
        let mut watchers = watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain_mut(|watcher| watcher.write_all(output).is_ok());
    }
}

/// Lets in all who want to watch and type.
fn admit(door: &UnixListener, machine: &UnixStream, watchers: &Watchers) {
    for watcher in door.incoming().flatten() {
        let (Ok(()), Ok(mut typed), Ok(mut machine)) = (
            watcher.set_write_timeout(Some(PATIENCE)),
            watcher.try_clone(),
            machine.try_clone(),
        ) else {
            continue;
        };
        watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        thread::spawn(move || io::copy(&mut typed, &mut machine));
    }
}
