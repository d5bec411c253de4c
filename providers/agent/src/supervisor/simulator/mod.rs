//! One simulator: a task that brings its process to what is wanted and keeps it there.

mod act;
mod end;
mod errand;
mod expiry;
mod look;
mod machine;
mod process;

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use simfleet_provider_api::Path;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use self::act::Acting;
pub(super) use self::errand::INCOMING;
use self::expiry::Age;
use self::machine::Talk;
use self::process::Process;
use super::Shared;
use super::record::{Ending, Record, needs_new_process, seconds};
use super::run;
use super::users::Users;
use crate::durable;
use crate::layout::SimulatorFolder;
use crate::protocol::{ActView, Desired, MachineAct, MachineView, ProcessSpec, Status};
use crate::shim::Exit;

/// How often a process that starts is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a process has to become ready unless `ready.timeout` says otherwise.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a simulator's task is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Change what is wanted.
    Change(Box<Change>),
    /// Start, pause or stop it, whatever was wanted.
    Set(Desired, oneshot::Sender<()>),
    /// Start it anew in place, once a token.
    Reset(String, oneshot::Sender<()>),
    /// Do something with its machine, once a token.
    Act(String, MachineAct, oneshot::Sender<Result<(), String>>),
    /// Remove it.
    Delete(oneshot::Sender<()>),
}

/// A change of what is wanted.
#[derive(Debug)]
pub(super) struct Change {
    pub spec: ProcessSpec,
    pub secrets: Vec<Path>,
    /// The token of the change.
    pub token: String,
    /// A new identity and generation, where a create has claimed the simulator.
    pub claim: Option<(String, String)>,
    pub done: oneshot::Sender<Result<(), String>>,
}

/// What is known of a simulator outside its task.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub record: Arc<Record>,
    pub status: Status,
    pub settled: bool,
    pub pid: Option<u32>,
    pub shim: Option<u32>,
    pub started: Option<String>,
    pub machine: Option<MachineView>,
    pub act: Option<ActView>,
    /// Why its monitor cannot be told anything.
    pub stuck: Option<String>,
    /// Why it is unhealthy.
    pub problem: Option<String>,
}

/// The task of a simulator.
pub(super) struct Simulator {
    shared: Arc<Shared>,
    folder: SimulatorFolder,
    record: Record,
    process: Option<Process>,
    failures: u32,
    retry_at: Option<Instant>,
    /// By when it must be ready for the first time, or its create has failed.
    create_by: Instant,
    /// What is done with it by hand, or was done last.
    act: Option<Acting>,
    /// Who uses it now.
    users: Users,
    /// For how long nobody has used it.
    idle: Age,
    /// For how long it has run since it was made or started.
    life: Age,
    /// Whether somebody has it start: that lasts until it is ready.
    is_woken: bool,
    snapshot: watch::Sender<Snapshot>,
}

enum Event {
    Command(Option<Command>),
    ShimEnded,
    Probed(Result<(), String>),
    Talked(Talk),
    Time,
}

impl Simulator {
    /// Makes the task of a simulator whose record is on the disk, and what is known of it.
    pub fn new(shared: Arc<Shared>, folder: SimulatorFolder, record: Record) -> (Self, watch::Receiver<Snapshot>) {
        let (snapshot, seen) = watch::channel(Snapshot {
            record: Arc::new(record.clone()),
            status: Status::Starting,
            settled: false,
            pid: None,
            shim: None,
            started: None,
            machine: None,
            act: None,
            stuck: None,
            problem: None,
        });
        let create_by = Instant::now() + ready_timeout(&record.spec);
        let age = |since: Option<SystemTime>| since.map_or_else(Age::zero, Age::since);
        let (idle, life) = (age(record.used), age(record.began));
        let is_woken = !record.was_ready();
        let simulator = Simulator {
            shared,
            folder,
            record,
            process: None,
            failures: 0,
            retry_at: None,
            create_by,
            act: None,
            users: Users::default(),
            idle,
            life,
            is_woken,
            snapshot,
        };
        (simulator, seen)
    }

    /// Returns those who use it, to be told of more.
    pub fn users(&self) -> Users {
        self.users.clone()
    }

    /// Takes over a process of an earlier agent, if there is one.
    pub async fn adopt(&mut self) {
        match run::adopt(&self.folder, &self.record).await {
            run::Adopted::Lives(running) => {
                let mut process = self.new_process(None);
                process.running = Some(running);
                if self.record.ready_run == self.record.run {
                    process.became_ready();
                }
                self.process = Some(process);
            }
            run::Adopted::Ended(exit, ran) if !self.record.exited => self.ended(exit, ran).await,
            run::Adopted::Ended(..) | run::Adopted::NeverStarted => {}
        }
        self.publish();
    }

    /// Runs until the simulator has been removed; returns what became of it.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Ending {
        loop {
            self.approach().await;
            self.publish();
            if self.process.is_none()
                && let Some(ending) = self.record.ending.clone()
            {
                return ending;
            }
            match self.next(&mut commands).await {
                Event::Command(Some(command)) => self.obey(command).await,
                // The agent ends and leaves the process to the next one.
                Event::Command(None) => pending().await,
                Event::ShimEnded => self.shim_ended().await,
                Event::Probed(result) => self.probed(result).await,
                Event::Talked(talk) => self.talked(talk).await,
                Event::Time => {
                    self.expire().await;
                    self.look().await;
                }
            }
        }
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Event {
        let expires_at = self.expires_at();
        let Some(process) = &mut self.process else {
            let time = self.retry_at.into_iter().chain(expires_at).min();
            return tokio::select! {
                command = commands.recv() => Event::Command(command),
                () = at(time) => Event::Time,
            };
        };
        let shim = process.running.as_ref().map(|running| running.shim.clone());
        let (probing, talking) = (&mut process.probing, &mut process.talking);
        let times = process.kill_at.into_iter().chain(expires_at);
        let time = times.fold(process.next_look, Instant::min);
        tokio::select! {
            command = commands.recv() => Event::Command(command),
            () = async { match (&mut process.shim, shim) {
                (Some(child), _) => { let _ = child.wait().await; }
                (None, Some(shim)) => shim.ended().await,
                (None, None) => pending().await,
            } } => Event::ShimEnded,
            result = async { match probing { Some(probe) => probe.await, None => pending().await } } => {
                Event::Probed(result)
            }
            talk = async { match talking { Some(talk) => talk.await, None => pending().await } } => Event::Talked(talk),
            () = sleep_until(time) => Event::Time,
        }
    }

    /// Does what brings the process nearer to what is wanted, without waiting for it.
    async fn approach(&mut self) {
        let wanted = self.is_to_run();
        let is_machine = self.is_machine();
        let has_errand = self.act.as_ref().is_some_and(|act| act.errand.is_some());
        let must_tell = has_errand || self.to_tell().is_some();
        match &mut self.process {
            None if wanted && self.retry_at.is_none_or(|at| at <= Instant::now()) => self.start().await,
            None => {}
            Some(process) if !wanted && process.kill_at.is_none() => process.stop(self.record.grace()),
            Some(_) if !wanted => {}
            // Its monitor is told at the next look.
            Some(process) if is_machine && must_tell => {
                process.next_look = process.next_look.min(Instant::now() + LOOK_EVERY);
            }
            Some(_) if is_machine => {}
            Some(process) => {
                let Some(running) = process.running.as_ref().filter(|_| process.ready) else {
                    return;
                };
                let (signal, told) = match (self.record.spec.state, process.is_paused()) {
                    (Desired::Paused, false) => (Signal::USR1, Desired::Paused),
                    (Desired::Running, true) => (Signal::USR2, Desired::Running),
                    _ => return,
                };
                if let Err(error) = running.shim.signal(signal) {
                    tracing::warn!(simulator = %self.record.name, %error, "cannot signal the shim");
                }
                process.told = told;
                // Seen again soon: the shim takes a moment.
                process.next_look = Instant::now() + LOOK_EVERY;
            }
        }
    }

    /// Whether there is to be a process of it.
    fn is_to_run(&self) -> bool {
        let record = &self.record;
        let is_wanted = record.ending.is_none() && record.spec.state != Desired::Stopped;
        is_wanted && !record.exited && record.expired.is_none()
    }

    async fn start(&mut self) {
        self.retry_at = None;
        if let Err(refusal) = self.settle_port() {
            self.ended(Exit::NotStarted(refusal), Duration::ZERO).await;
            return;
        }
        self.record.run += 1;
        let started = match self.store().await {
            Ok(()) => run::start(&self.shared, &self.folder, &self.record),
            Err(error) => Err(error),
        };
        match started {
            Ok(shim) => self.process = Some(self.new_process(Some(shim))),
            Err(error) => self.ended(Exit::NotStarted(error.to_string()), Duration::ZERO).await,
        }
    }

    fn new_process(&self, shim: Option<Child>) -> Process {
        let ready_by = if self.record.was_ready() {
            Instant::now() + ready_timeout(&self.record.spec)
        } else {
            self.create_by
        };
        Process::new(&self.record.spec, shim, ready_by)
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Change(change) => self.change(*change).await,
            Command::Set(state, done) => {
                if self.record.spec.state != state {
                    self.record.spec.state = state;
                    self.record.revision += 1;
                }
                self.begin_anew();
                self.record.told = None;
                self.keep().await;
                self.approach().await;
                self.publish();
                // Who asked may have gone.
                let _ = done.send(());
            }
            Command::Reset(token, done) => {
                self.reset(token).await;
                let _ = done.send(());
            }
            Command::Act(token, act, done) => {
                self.use_it().await;
                let begun = self.begin(token, act).await;
                self.publish();
                let _ = done.send(begun);
            }
            Command::Delete(done) => {
                if self.record.ending.is_none() {
                    self.record.ending = Some(Ending::Deleted);
                    self.keep().await;
                }
                self.approach().await;
                self.publish();
                let _ = done.send(());
            }
        }
    }

    /// Has what is wanted begin anew. That is no failure, and no restart by policy.
    async fn reset(&mut self, token: String) {
        if self.record.reset_by.as_ref() == Some(&token) {
            return;
        }
        if self.is_machine() && self.process.as_ref().is_some_and(|process| process.ready) {
            // The machine is reset and not what emulates it. That something else is being done is told by what that does.
            self.use_it().await;
            let _ = self.begin(token, MachineAct::Reset).await;
            self.publish();
            return;
        }
        // A machine that does not run is reset by a start; whoever asked is told once it runs.
        if self.is_machine() && self.record.spec.state != Desired::Stopped {
            self.act = Some(Acting::by_a_start(token.clone()));
        }
        self.record.reset_by = Some(token);
        self.record.told = None;
        self.begin_anew();
        self.keep().await;
        if let Some(process) = &mut self.process
            && process.kill_at.is_none()
        {
            process.stop(self.record.grace());
        }
        self.approach().await;
        self.publish();
    }

    async fn change(&mut self, change: Change) {
        if self.record.ending.is_some() {
            let _ = change.done.send(Err("it is being removed".to_owned()));
            return;
        }
        let before = self.record.clone();
        let new_process = needs_new_process(&self.record.spec, &change.spec);
        self.record.spec = change.spec;
        self.record.secrets = change.secrets;
        self.record.revision += 1;
        self.record.changed_by = Some(change.token);
        if let Some((id, generation)) = change.claim {
            self.record.loaded = None;
            self.record.id = id;
            self.record.generation = generation;
        }
        self.begin_anew();
        self.record.told = None;
        if let Err(error) = self.store().await {
            self.record = before;
            let _ = change.done.send(Err(format!("cannot keep its record: {error}")));
            return;
        }
        if let Some(process) = &mut self.process {
            if new_process {
                process.stop(self.record.grace());
            } else if let Err(error) = run::write_spec(&self.shared, &self.folder, &self.record) {
                tracing::warn!(simulator = %self.record.name, %error, "cannot tell the shim its new grace");
            }
            process.change_check(&self.record.spec);
        }
        self.approach().await;
        self.publish();
        let _ = change.done.send(Ok(()));
    }

    /// Forgets earlier failures: what is wanted has changed. The record has to be kept after this.
    fn begin_anew(&mut self) {
        self.wake();
        self.record.exited = false;
        self.failures = 0;
        self.retry_at = None;
    }

    fn is_paused(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_paused)
    }

    fn status(&self) -> Status {
        match &self.process {
            Some(process) if process.kill_at.is_some() => Status::Stopping,
            Some(process) if !process.ready => Status::Starting,
            Some(_) if self.is_paused() => Status::Paused,
            Some(process) if process.health.is_unhealthy() || self.is_silent() => Status::Unhealthy,
            Some(_) => Status::Running,
            None if self.record.ending.is_some() => Status::Stopping,
            None if self.record.spec.state == Desired::Stopped || self.record.expired.is_some() => Status::Stopped,
            None if self.record.exited => Status::Exited,
            None if self.record.was_ready() => Status::Restarting,
            None => Status::Starting,
        }
    }

    fn publish(&self) {
        let status = self.status();
        let machine = self.process.as_ref().and_then(|process| process.machine.clone());
        let act = self.act.as_ref().map(Acting::view);
        let unhealthy = self.process.as_ref().filter(|_| status == Status::Unhealthy);
        let last_problem = unhealthy.and_then(|process| process.last_problem.clone());
        let stuck = last_problem.filter(|_| self.is_silent());
        let found = unhealthy.and_then(|process| process.health.problem());
        let problem = found.map(str::to_owned).or_else(|| stuck.clone());
        let settled = self.record.ending.is_none()
            && self.act.as_ref().is_none_or(|act| !act.goes_on())
            && match status {
                // What it was told it was: what it is since is to be seen by its owner.
                Status::Paused | Status::Running | Status::Unhealthy if self.is_machine() => self.to_tell().is_none(),
                Status::Starting | Status::Stopping => false,
                Status::Paused => self.record.spec.state == Desired::Paused,
                Status::Running | Status::Unhealthy => self.record.spec.state == Desired::Running,
                Status::Restarting | Status::Stopped | Status::Exited => true,
            };
        let running = self.process.as_ref().and_then(|process| process.running.as_ref());
        let pid = running.map(|running| running.child.pid);
        let shim = running.map(|running| running.shim.pid);
        let started = running.map(|running| running.started.clone());
        self.snapshot.send_if_modified(|snapshot| {
            let same = snapshot.status == status
                && snapshot.settled == settled
                && snapshot.pid == pid
                && snapshot.machine == machine
                && snapshot.act == act
                && snapshot.stuck == stuck
                && snapshot.problem == problem
                && *snapshot.record == self.record;
            if !same {
                *snapshot = Snapshot {
                    record: Arc::new(self.record.clone()),
                    status,
                    settled,
                    pid,
                    shim,
                    started,
                    machine,
                    act,
                    stuck,
                    problem,
                };
            }
            !same
        });
    }

    /// Brings the record to the disk. Where that fails, what was decided holds until the agent ends.
    async fn keep(&mut self) {
        if let Err(error) = self.store().await {
            tracing::warn!(simulator = %self.record.name, %error, "cannot keep its record");
        }
    }

    /// Brings the record to the disk.
    async fn store(&mut self) -> io::Result<()> {
        let (path, record) = (self.folder.record(), self.record.clone());
        tokio::task::spawn_blocking(move || durable::write_json(&path, &record))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn ready_timeout(spec: &ProcessSpec) -> Duration {
    let timeout = spec.ready.as_ref().and_then(|ready| ready.timeout);
    timeout.map_or(READY_TIMEOUT, seconds)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
