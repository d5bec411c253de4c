//! An emulator that runs, and the handle by which a test rules over it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::arm::Reply;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::log::{Entry, Log};
use crate::message::Request;
use crate::options::{Options, Pace};
use crate::quota::Restricted;
use crate::world::World;

/// What connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub clock: Clock,
    world: Mutex<World>,
    log: Mutex<Log>,
}

impl Shared {
    /// Returns the cloud as it is now.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.clock.now());
        world
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn answer(&self, request: &Request) -> Reply {
        let mut world = self.world();
        let reply = world.answer(request);
        self.log().add(world.now, request, reply.status, reply.answer.is_some());
        reply
    }
}

/// An emulator that runs as long as this is kept.
#[derive(Debug)]
pub struct Emulator {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where it listens with TLS, where it was asked to.
    pub tls_url: Option<String>,
    control: Control,
    _tasks: JoinSet<()>,
}

/// Rules over an emulator from inside of the process. What it does is also done over HTTP below `/_emulator`.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

impl Emulator {
    /// Starts an emulator.
    ///
    /// # Errors
    /// The address is taken, or the certificate cannot be used.
    pub async fn start(options: Options) -> io::Result<Emulator> {
        let tls = options.tls.as_ref().map(crate::tls::config).transpose()?;
        let plain = TcpListener::bind(options.listen).await?;
        let url = format!("http://{}", plain.local_addr()?);
        let clock = Clock::new(options.pass);
        let command = options.machine_command.clone();
        let listen = options.listen;
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(options, clock.now())),
            log: Mutex::new(Log::default()),
            clock,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(crate::serve::serve(plain, None, Arc::clone(&shared)));
        let mut tls_url = None;
        if let Some(tls) = tls {
            let secure = TcpListener::bind((listen.ip(), 0)).await?;
            tls_url = Some(format!("https://{}", secure.local_addr()?));
            tasks.spawn(crate::serve::serve(secure, Some(tls), Arc::clone(&shared)));
        }
        if let Some(command) = command {
            tasks.spawn(crate::machines::stand_in(command, Arc::clone(&shared)));
        }
        Ok(Emulator {
            url,
            tls_url,
            control: Control { shared },
            _tasks: tasks,
        })
    }

    /// Returns the handle by which it is ruled.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Control {
    /// Lets time go on, and what is due by then happen.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        drop(self.shared.world());
    }

    /// Returns what time it is.
    pub fn now(&self) -> jiff::Timestamp {
        self.shared.clock.now()
    }

    /// Adds something that goes wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.world().faults.add(fault);
    }

    /// Lets nothing go wrong any more.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Returns what may still go wrong.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.world().faults.all().to_vec()
    }

    /// Returns all requests so far.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.log().entries()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.shared.log().clear();
    }

    /// Sets how long things take, for what begins from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.world().pace = pace;
    }

    /// Returns how long things take.
    pub fn pace(&self) -> Pace {
        self.shared.world().pace
    }

    /// Says what a metric of an object is from now on.
    pub fn set_metric(&self, id: &str, metric: &str, value: f64) {
        let mut world = self.shared.world();
        let now = world.now;
        world.metrics.set(id, metric, now, value);
    }

    /// Says what a metric of an object is from an instant on.
    pub fn set_metric_at(&self, id: &str, metric: &str, from: jiff::Timestamp, value: f64) {
        self.shared.world().metrics.set(id, metric, from, value);
    }

    /// Sets how many cores a family has in a region; `cores` is all families, `lowPriorityCores` spot machines.
    pub fn set_quota(&self, location: &str, family: &str, cores: u64) {
        self.shared.world().quotas.limit(location, family, cores);
    }

    /// Lets a region run out of a size, or have it again.
    pub fn set_size(&self, location: &str, size: &str, restricted: Restricted) {
        self.shared.world().quotas.restrict(location, size, restricted);
    }

    /// Takes a spot machine away, by its id.
    ///
    /// # Errors
    /// There is none, or it is not one that can be evicted.
    pub fn evict(&self, id: &str) -> crate::message::Result<()> {
        self.shared.world().evict(id)
    }

    /// Lets every token be refused from now on, as after a change of keys.
    pub fn revoke_tokens(&self) {
        self.shared.world().tokens.clear();
    }

    /// Lets a resource provider be registered no more.
    pub fn unregister(&self, namespace: &str) {
        self.shared.world().registered.remove(&namespace.to_lowercase());
    }

    /// Returns the ids of all objects in all groups.
    pub fn ids(&self) -> Vec<String> {
        self.shared
            .world()
            .resources
            .values()
            .map(|resource| resource.id.clone())
            .collect()
    }

    /// Returns all objects, as a GET shows them, with `customData` and `userData` beside under `hidden`.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        let world = self.shared.world();
        let show = |resource: &crate::resource::Resource| {
            let mut shown = world.show(resource);
            shown["hidden"] = serde_json::json!({
                "customData": resource.custom_data, "userData": resource.user_data, "power": resource.power.status().0,
            });
            shown
        };
        world.resources.values().map(show).collect()
    }
}
