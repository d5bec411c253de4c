//! The simulators of a node: makes, finds, changes and removes them, and takes over those of an earlier agent.

mod entry;
mod error;
mod health;
mod machine;
mod machines;
mod policy;
mod programs;
mod record;
mod run;
mod simulator;
mod snapshots;
mod tombstones;
mod users;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, mpsc, watch};

pub(crate) use self::error::SupervisorError;
pub use self::run::sweep;
pub(crate) use self::users::User;

use self::entry::Entry;
use self::programs::Programs;
use self::record::{Ending, Record};
use self::simulator::{Command, Simulator, Snapshot};
use self::tombstones::Tombstones;
use crate::check::{Ports, check_name, check_spec};
use crate::durable;
use crate::layout::{Claim, DataFolder, SimulatorFolder};
use crate::protocol::{Desired, PatchSimulator, ProcessSpec, PutSimulator, SimulatorView, Status, TokenView};

/// What the simulators of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The program that is started as their shim.
    pub program: PathBuf,
    /// The address that they are told to listen at.
    pub address: IpAddr,
    /// Where they are found from here: at that address, or at the agent's where that stands for all.
    pub listen: SocketAddr,
    /// The identity of the node.
    pub node: String,
    /// The present claim.
    pub generation: String,
    /// Where everything is kept.
    pub data: DataFolder,
    /// The programs of machines.
    programs: Programs,
}

impl Shared {
    /// What is shared by the simulators of the agent that listens there, on this data folder. Without an address of their own
    /// they listen at the agent's.
    pub fn new(program: PathBuf, listen: SocketAddr, address: Option<IpAddr>, claim: &Claim, data: DataFolder) -> Self {
        let address = address.unwrap_or(listen.ip());
        Shared {
            program,
            address,
            listen: match address.is_unspecified() {
                true => listen,
                false => SocketAddr::new(address, listen.port()),
            },
            node: claim.node.clone(),
            generation: claim.generation.clone(),
            programs: Programs::new(data.programs()),
            data,
        }
    }

    /// Returns a name for something of this node that nothing of another node has.
    fn named(&self, name: &str) -> String {
        format!("{}:{name}", self.node)
    }
}

/// All simulators of a node.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    simulators: Mutex<BTreeMap<String, Entry>>,
    tombstones: Mutex<Tombstones>,
    closing: AtomicBool,
    count: watch::Sender<usize>,
}

/// A simulator as it is counted and measured.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub name: String,
    pub status: Status,
    /// The process that all of its processes descend from.
    pub shim: Option<u32>,
}

impl Supervisor {
    /// Takes over what is in the data folder. Every simulator is known when this returns, and those whose process still
    /// runs have kept it.
    pub async fn load(shared: Shared) -> io::Result<Arc<Self>> {
        let shared = Arc::new(shared);
        let folder = shared.data.simulators();
        durable::create_folder(&folder)?;
        let supervisor = Arc::new(Supervisor {
            tombstones: Mutex::new(Tombstones::load(shared.data.gone())?),
            shared,
            simulators: Mutex::default(),
            closing: AtomicBool::new(false),
            count: watch::Sender::new(0),
        });
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            {
                // Half made or half removed when an earlier agent ended.
                durable::remove_folder(&path)?;
                continue;
            }
            let folder = SimulatorFolder::new(path);
            match durable::read_json::<Record>(&folder.record()) {
                Ok(Some(record)) => {
                    let (mut simulator, seen) = Simulator::new(supervisor.shared.clone(), folder.clone(), record);
                    simulator.adopt().await;
                    let mut simulators = supervisor.simulators.lock().await;
                    supervisor.run(&mut simulators, folder, simulator, seen);
                }
                // Left as it is: whatever runs there is not lost for a person who looks.
                Ok(None) => tracing::error!(folder = %folder.path().display(), "a simulator has no record"),
                Err(error) => {
                    tracing::error!(folder = %folder.path().display(), %error, "cannot read the record of a simulator");
                }
            }
        }
        Ok(supervisor)
    }

    fn run(
        self: &Arc<Self>,
        simulators: &mut BTreeMap<String, Entry>,
        folder: SimulatorFolder,
        simulator: Simulator,
        seen: watch::Receiver<Snapshot>,
    ) {
        let name = seen.borrow().record.name.clone();
        let (commands, received) = mpsc::channel(8);
        let users = simulator.users();
        let entry = Entry { seen, commands, users };
        let last = entry.seen.clone();
        simulators.insert(name.clone(), entry);
        self.count.send_replace(simulators.len());
        let supervisor = self.clone();
        tokio::spawn(async move {
            let ending = simulator.run(received).await;
            let id = last.borrow().record.id.clone();
            // The tombstone first: a create that is sent again must never find neither it nor the simulator.
            let buried = supervisor.tombstones.lock().await.add(&id, ending, SystemTime::now());
            if let Err(error) = buried {
                tracing::error!(simulator = name, %error, "cannot keep what became of a token");
            }
            if let Err(error) = run::remove(&folder) {
                tracing::error!(simulator = name, %error, "cannot remove the files of a simulator");
            }
            let mut simulators = supervisor.simulators.lock().await;
            simulators.remove(&name);
            supervisor.forget_programs(&simulators);
            supervisor.count.send_replace(simulators.len());
        });
    }

    /// Returns how many simulators there are.
    pub async fn len(&self) -> usize {
        self.simulators.lock().await.len()
    }

    /// Returns all simulators.
    pub async fn list(&self) -> Vec<SimulatorView> {
        self.simulators.lock().await.values().map(Entry::view).collect()
    }

    /// Returns what is counted and measured of all simulators.
    pub async fn sightings(&self) -> Vec<Sighting> {
        let simulators = self.simulators.lock().await;
        let sighting = |entry: &Entry| {
            let seen = entry.seen.borrow();
            Sighting {
                name: seen.record.name.clone(),
                status: seen.status,
                shim: seen.shim,
            }
        };
        simulators.values().map(sighting).collect()
    }

    /// Returns one simulator; where an id is given, only that one.
    pub async fn get(&self, name: &str, id: Option<&str>) -> Result<SimulatorView, SupervisorError> {
        self.entry(name, id).await.map(|entry| entry.view())
    }

    /// Returns what a create with a token did.
    pub async fn token(&self, token: &str) -> Option<TokenView> {
        let made = self
            .simulators
            .lock()
            .await
            .values()
            .map(Entry::view)
            .find(|view| view.id == token);
        if let Some(view) = made {
            return Some(TokenView::Made(Box::new(view)));
        }
        self.tombstones.lock().await.get(token).map(|ending| match ending {
            Ending::Deleted => TokenView::Deleted,
            Ending::Failed(message) => TokenView::Failed(message.clone()),
        })
    }

    /// Returns the file that a simulator's output goes to.
    pub async fn log(&self, name: &str) -> Result<PathBuf, SupervisorError> {
        let entry = self.entry(name, None).await?;
        let record = entry.seen.borrow().record.clone();
        Ok(run::log_path(&self.shared.data.simulator(name), &record.spec))
    }

    /// Makes a simulator, once a token.
    pub async fn put(
        self: &Arc<Self>,
        name: &str,
        request: PutSimulator,
        most: Option<u64>,
    ) -> Result<(), SupervisorError> {
        check(name, &request.spec)?;
        if request.token.is_empty() || request.token.len() > 200 {
            return Err(SupervisorError::Invalid {
                message: "the token is empty or too long".to_owned(),
                attribute: None,
            });
        }
        // Held until the simulator is there, so that of two equal requests one makes it and the other finds it.
        let mut simulators = self.simulators.lock().await;
        if self.closing.load(Ordering::SeqCst) {
            return Err(SupervisorError::Closing);
        }
        if let Some(ending) = self.tombstones.lock().await.get(&request.token) {
            return Err(ending.into());
        }
        if let Some(entry) = simulators.get(name) {
            let record = entry.seen.borrow().record.clone();
            if record.id == request.token {
                return Ok(());
            }
            if record.generation == self.shared.generation || record.ending.is_some() {
                return Err(SupervisorError::Conflict(format!(
                    "another simulator has the name `{name}`"
                )));
            }
            let entry = entry.clone();
            drop(simulators);
            return self.claim(&entry, &record, request).await;
        }
        let twin = simulators
            .values()
            .find(|entry| entry.seen.borrow().record.id == request.token);
        if let Some(twin) = twin {
            return Err(SupervisorError::Conflict(format!(
                "this token has made `{}` already",
                twin.seen.borrow().record.name
            )));
        }
        self.demand_program(&request.spec)?;
        let takes_place = |entry: &&Entry| !entry.seen.borrow().record.spec.of_node;
        let is_full = |most: &u64| simulators.values().filter(takes_place).count() as u64 >= *most;
        if let Some(most) = most.filter(|most| !request.spec.of_node && is_full(most)) {
            return Err(SupervisorError::Full(most));
        }
        let gdb_port = self.gdb_port(&simulators, name, &request.spec)?;
        let now = SystemTime::now();
        let made_stopped = request.spec.state == Desired::Stopped;
        let record = Record {
            name: name.to_owned(),
            cookie: request.token.clone(),
            id: request.token,
            lineage: request.lineage,
            spec: request.spec,
            secrets: request.secrets,
            made_stopped,
            revision: 1,
            changed_by: None,
            reset_by: None,
            generation: self.shared.generation.clone(),
            run: 0,
            ready_run: 0,
            restarts: 0,
            exited: false,
            exit: None,
            ending: None,
            gdb_port,
            told: None,
            loaded: None,
            halt: false,
            incoming: None,
            used: Some(now),
            began: Some(now),
            expired: None,
        };
        let folder = self.shared.data.simulator(name);
        make_folder(&folder, &record)?;
        let (simulator, seen) = Simulator::new(self.shared.clone(), folder.clone(), record);
        self.run(&mut simulators, folder, simulator, seen);
        Ok(())
    }

    /// Gives a simulator that an earlier owner of this node left to a create of the same name: a process that is what
    /// the create wants is kept.
    async fn claim(&self, entry: &Entry, record: &Record, request: PutSimulator) -> Result<(), SupervisorError> {
        self.tombstones
            .lock()
            .await
            .add(&record.id, Ending::Deleted, SystemTime::now())?;
        let claim = Some((request.token.clone(), self.shared.generation.clone()));
        entry.change(request.spec, request.secrets, request.token, claim).await
    }

    /// Changes what is wanted of a simulator.
    pub async fn patch(&self, name: &str, request: PatchSimulator) -> Result<(), SupervisorError> {
        check(name, &request.spec)?;
        let entry = self.entry(name, Some(&request.id)).await?;
        let record = entry.seen.borrow().record.clone();
        if record.changed_by.as_ref() == Some(&request.token) {
            return Ok(());
        }
        if request.revision.is_some_and(|revision| revision != record.revision) {
            return Err(SupervisorError::Conflict(format!(
                "simulator `{name}` has been changed since it was read"
            )));
        }
        self.demand_program(&request.spec)?;
        entry.change(request.spec, request.secrets, request.token, None).await
    }

    /// Starts or stops a simulator, whatever its owner wants.
    pub async fn set(&self, name: &str, state: Desired) -> Result<(), SupervisorError> {
        let entry = self.entry(name, None).await?;
        entry.ask(|done| Command::Set(state, done)).await
    }

    /// Starts a simulator anew in place, once a token. Returns when that has begun.
    pub async fn reset(&self, name: &str, id: &str, token: String) -> Result<(), SupervisorError> {
        let entry = self.entry(name, Some(id)).await?;
        entry.ask(|done| Command::Reset(token, done)).await
    }

    /// Has somebody use a simulator, for as long as what is returned lives.
    pub async fn user(&self, name: &str, id: Option<&str>) -> Result<User, SupervisorError> {
        self.entry(name, id).await.map(|entry| entry.users.enter())
    }

    /// Whether a simulator is there, and runs or is about to.
    pub async fn is_alive(&self, name: &str, id: Option<&str>) -> bool {
        let entry = self.entry(name, id).await;
        entry.is_ok_and(|entry| !matches!(entry.seen.borrow().status, Status::Stopped | Status::Exited))
    }

    /// Removes a simulator: it is stopped first. Returns when that has begun.
    pub async fn delete(&self, name: &str, id: Option<&str>) -> Result<(), SupervisorError> {
        let entry = self.entry(name, id).await?;
        entry.ask(Command::Delete).await
    }

    /// Refuses new simulators from now on.
    pub fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Whether new simulators are refused.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Removes all simulators and returns when they are gone.
    pub async fn delete_all(&self) {
        let entries: Vec<Entry> = self.simulators.lock().await.values().cloned().collect();
        for entry in entries {
            // The only error is that it is gone already.
            let _ = entry.ask(Command::Delete).await;
        }
        let mut count = self.count.subscribe();
        // The sender is this supervisor's own.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Waits for what was asked of a simulator to be done, at most for so long, and returns how it stands.
    pub async fn settle(
        &self,
        name: &str,
        id: Option<&str>,
        patience: Duration,
    ) -> Result<SimulatorView, SupervisorError> {
        let mut entry = self.entry(name, id).await?;
        // Neither a time-out nor an end is an error: what is the case is read below.
        let _ = tokio::time::timeout(patience, entry.seen.wait_for(|seen| seen.settled || gone(seen))).await;
        self.get(name, id).await
    }

    /// Waits for a simulator to be gone, at most for so long, and returns whether it is.
    pub async fn wait_gone(&self, name: &str, id: Option<&str>, patience: Duration) -> bool {
        let wait = async {
            let mut count = self.count.subscribe();
            while self.entry(name, id).await.is_ok() {
                if count.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    async fn entry(&self, name: &str, id: Option<&str>) -> Result<Entry, SupervisorError> {
        let entry = self.simulators.lock().await.get(name).cloned();
        if let Some(entry) = entry
            && id.is_none_or(|id| entry.seen.borrow().record.id == id)
        {
            return Ok(entry);
        }
        if let Some(id) = id
            && let Some(ending) = self.tombstones.lock().await.get(id)
        {
            return Err(ending.into());
        }
        Err(SupervisorError::NotFound(name.to_owned()))
    }
}

/// Whether a simulator is as good as gone: nobody need wait for it.
fn gone(seen: &Snapshot) -> bool {
    seen.record.ending == Some(Ending::Deleted)
}

/// Makes the folder of a new simulator, whole or not at all.
fn make_folder(folder: &SimulatorFolder, record: &Record) -> io::Result<()> {
    let path = folder.path();
    let new = path.with_file_name(format!(".{:016x}.new", rand::random::<u64>()));
    durable::create_folder(&new)?;
    let made = durable::write_json(&SimulatorFolder::new(&new).record(), record)
        .and_then(|()| std::fs::rename(&new, path))
        .and_then(|()| path.parent().map_or(Ok(()), durable::sync_folder));
    if made.is_err() {
        // Best effort; the next start removes it otherwise.
        let _ = durable::remove_folder(&new);
    }
    made
}

fn check(name: &str, spec: &ProcessSpec) -> Result<(), SupervisorError> {
    let wrong = check_name(name)
        .into_iter()
        .chain(check_spec(spec, Ports::Known))
        .next();
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(SupervisorError::Invalid {
            message: format!("`{}` {}", wrong.path, wrong.message),
            attribute: Some(wrong.path),
        }),
    }
}
