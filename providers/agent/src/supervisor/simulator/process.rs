//! One run of a simulator, from its start to its end.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::time::Instant;

use super::super::health::Health;
use super::machine::Talk;
use crate::protocol::{Desired, MachineView, ProcessSpec};
use crate::shim::Running;

/// How long after its grace a shim is waited for before it is killed with what it has.
pub(super) const KILL_MARGIN: Duration = Duration::from_secs(2);

/// A probe that is under way.
pub(super) type Probing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A run of the simulator.
pub(super) struct Process {
    /// Unknown until the shim has written it down.
    pub running: Option<Running>,
    /// The shim, where this agent started it: reaped when it ends.
    pub shim: Option<Child>,
    pub since: Instant,
    pub ready: bool,
    pub ready_by: Instant,
    /// Whether its shim was last told to pause or to resume it.
    pub told: Desired,
    /// Why it is stopped although it is to run.
    pub failure: Option<String>,
    /// Set when it has been told to stop: when it is killed.
    pub kill_at: Option<Instant>,
    pub health: Health,
    pub next_look: Instant,
    pub probing: Option<Probing>,
    pub last_problem: Option<String>,
    /// How the machine stands that it is, as last seen.
    pub machine: Option<MachineView>,
    /// What is being said with the machine's monitor.
    pub talking: Option<Pin<Box<dyn Future<Output = Talk> + Send>>>,
    pub next_talk: Instant,
    /// How often in a row the monitor has not answered.
    pub silence: u32,
}

impl Process {
    /// A run that is about to begin, or one that an earlier agent began. `ready_by` is when it has failed to start.
    pub fn new(spec: &ProcessSpec, shim: Option<Child>, ready_by: Instant) -> Self {
        let now = Instant::now();
        Process {
            running: None,
            shim,
            since: now,
            ready: false,
            ready_by,
            told: Desired::Running,
            failure: None,
            kill_at: None,
            health: Health::new(spec.health_check.as_ref()),
            next_look: now,
            probing: None,
            last_problem: None,
            machine: None,
            talking: None,
            next_talk: now,
            silence: 0,
        }
    }

    /// From now on it is ready, and its health is checked.
    pub fn became_ready(&mut self) {
        self.ready = true;
        self.begin_checks();
    }

    /// Begins to check its health by what is wanted now.
    pub fn change_check(&mut self, spec: &ProcessSpec) {
        self.health = Health::new(spec.health_check.as_ref());
        if self.ready {
            self.begin_checks();
        }
    }

    fn begin_checks(&mut self) {
        let now = Instant::now();
        self.probing = None;
        self.health.started(now);
        self.next_look = now;
    }

    pub fn is_paused(&self) -> bool {
        if let Some(machine) = &self.machine {
            return machine.is_paused() && !machine.debugged;
        }
        match self.running.as_ref().and_then(|running| running.child.state()) {
            Some('T' | 't') => true,
            // One that was stopped while it started a child by vfork(2) waits for that, stopped too, in this state.
            Some('D') => self.told == Desired::Paused,
            _ => false,
        }
    }

    /// Tells it to stop. One whose shim is not known yet is told when it is.
    pub fn stop(&mut self, grace: Duration) {
        self.probing = None;
        self.talking = None;
        self.kill_at = Some(Instant::now() + grace + KILL_MARGIN);
        if let Some(running) = &self.running
            && let Err(error) = running.shim.signal(Signal::TERM)
        {
            tracing::warn!(pid = running.shim.pid, %error, "cannot stop the shim");
        }
    }
}
