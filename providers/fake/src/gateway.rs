//! The way into one cloud: real time, concurrent callers, and holds that stop a call where a test wants it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::calls::{Fields, Record, Reply, Request};
use crate::cloud::{Cloud, Delivery, Effect, Entry};
use crate::faults::{Faults, Pattern};

/// A cloud that many can call at once. The calls of a caller that goes away are carried out all the same.
pub struct Gateway {
    cloud: Mutex<Cloud>,
    began: Instant,
    holds: Mutex<Vec<ArmedHold>>,
    told: Mutex<Option<broadcast::Sender<Happened>>>,
}

/// How many news one that listens can be behind.
const BEHIND: usize = 1_024;

/// Something happened to an object.
#[derive(Debug, Clone)]
struct Happened {
    id: String,
    /// When that is heard of.
    heard_at: Instant,
}

/// Who is told what happens.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Happened>);

impl Listener {
    /// Returns the id of the object that something happened to next; `None` once nothing is told any more.
    pub async fn next(&mut self) -> Option<String> {
        let happened = self.0.recv().await.ok()?;
        tokio::time::sleep_until(happened.heard_at).await;
        Some(happened.id)
    }
}

/// Stops one call until it is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Which calls.
    #[serde(default)]
    pub to: Pattern,
    /// Which of them, counted from 1 since the hold was set.
    #[serde(default = "first")]
    pub nth: u64,
    /// Where it stops.
    pub at: Moment,
}

fn first() -> u64 {
    1
}

/// Where a held call stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before it is carried out.
    Before,
    /// After that, before its answer is sent.
    After,
}

/// How a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// The call has not come.
    Armed,
    /// The call is stopped.
    Holding,
    /// The call may go on, or was never stopped and will not be.
    Released,
}

/// Names a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(pub usize);

struct ArmedHold {
    hold: Hold,
    matched: u64,
    state: watch::Sender<HoldState>,
}

/// Without the cloud: its objects hold secrets, and providers that hold a gateway are logged.
impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Returns the way into an empty cloud with these faults.
    pub fn new(faults: Faults) -> Arc<Self> {
        Arc::new(Gateway {
            cloud: Mutex::new(Cloud::new(faults)),
            began: Instant::now(),
            holds: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.cloud().set_faults(faults);
    }

    /// Returns what goes wrong.
    pub fn faults(&self) -> Faults {
        self.cloud().faults().clone()
    }

    /// Returns every object of every lineage, as the cloud keeps it.
    pub fn objects(&self) -> Vec<Record> {
        self.cloud().objects()
    }

    /// Returns the names of the operations that go on.
    pub fn pending(&self) -> Vec<String> {
        self.cloud().pending()
    }

    /// Returns all that happened, oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.cloud().log().to_vec()
    }

    /// Changes attributes of an object behind the caller's back. Returns whether there is such an object.
    pub fn change(&self, id: &str, fields: &Fields) -> bool {
        let now = self.now();
        self.have(|cloud| cloud.change(now, id, fields))
    }

    /// Deletes an object behind the caller's back. Returns whether there was such an object.
    pub fn destroy(&self, id: &str) -> bool {
        let now = self.now();
        self.have(|cloud| cloud.destroy(now, id))
    }

    /// Tells from now on what happens to objects, as soon as it happens. Who listened before is cut off.
    pub fn tell(&self) {
        *self.told() = Some(broadcast::Sender::new(BEHIND));
    }

    /// Listens to what it tells; `None` where it does not.
    pub fn listen(&self) -> Option<Listener> {
        self.told().as_ref().map(|told| Listener(told.subscribe()))
    }

    /// Stops a call that is yet to come.
    pub fn hold(&self, hold: Hold) -> HoldId {
        let mut holds = self.holds();
        let (state, _) = watch::channel(HoldState::Armed);
        holds.push(ArmedHold {
            hold,
            matched: 0,
            state,
        });
        HoldId(holds.len() - 1)
    }

    /// Waits until the call has come and is stopped; returns at once when the hold is released. `None` where there is no
    /// such hold.
    pub async fn held(&self, id: HoldId) -> Option<HoldState> {
        let mut state = self.holds().get(id.0)?.state.subscribe();
        let state = state.wait_for(|state| *state != HoldState::Armed).await.ok()?;
        Some(*state)
    }

    /// Lets the call go on, or lets it pass when it has not come. Returns whether there is such a hold.
    pub fn release(&self, id: HoldId) -> bool {
        match self.holds().get(id.0) {
            Some(hold) => {
                hold.state.send_replace(HoldState::Released);
                true
            }
            None => false,
        }
    }

    /// Carries out a call; `None` where its answer is lost. It never returns where the answer hangs. A caller that drops
    /// the future does not stop the call: it is on its way.
    pub async fn call(self: &Arc<Self>, request: Request) -> Option<Reply> {
        let gateway = Arc::clone(self);
        let on_its_way = tokio::spawn(async move { gateway.carry_out(&request).await });
        match on_its_way.await.ok()? {
            Delivery::Replied(reply) => Some(reply),
            Delivery::Lost => None,
            Delivery::Hangs => std::future::pending().await,
        }
    }

    async fn carry_out(&self, request: &Request) -> Delivery {
        let (name, [there, back]) = {
            let cloud = self.cloud();
            let name = cloud.name_of(request);
            let on_its_way = cloud.on_its_way(request, name.as_deref());
            (name, on_its_way)
        };
        let stops = self.stops(request, name.as_deref());
        wait(&stops, Moment::Before).await;
        sleep(there).await;
        let now = self.now();
        let delivery = self.have(|cloud| cloud.call(now, request));
        wait(&stops, Moment::After).await;
        sleep(back).await;
        delivery
    }

    /// Has something be done in the cloud, and tells what happened.
    fn have<T>(&self, done: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut cloud = self.cloud();
        let before = cloud.log().len();
        let done = done(&mut cloud);
        if let Some(told) = &*self.told() {
            for entry in cloud.log().iter().skip(before) {
                for effect in &entry.effects {
                    let (Effect::Made(id) | Effect::Changed(id) | Effect::Deleted(id)) = effect else {
                        continue;
                    };
                    let late = cloud.faults().on_its_way_ms(&["told", id], entry.number);
                    // Nobody has to listen.
                    let _ = told.send(Happened {
                        id: id.clone(),
                        heard_at: Instant::now() + Duration::from_millis(late),
                    });
                }
            }
        }
        done
    }

    /// Returns the holds that stop this call.
    fn stops(&self, request: &Request, name: Option<&str>) -> Vec<(Moment, watch::Sender<HoldState>)> {
        let mut stops = Vec::new();
        for armed in self.holds().iter_mut() {
            let call = request.action.call();
            if armed.hold.to.matches(call, &request.kind, name) {
                armed.matched += 1;
                if armed.matched == armed.hold.nth {
                    stops.push((armed.hold.at, armed.state.clone()));
                }
            }
        }
        stops
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Option<broadcast::Sender<Happened>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self) -> MutexGuard<'_, Vec<ArmedHold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits that long; not at all for nothing, so that calls that nothing delays come in their order.
async fn sleep(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Waits until every hold of this moment is released.
async fn wait(stops: &[(Moment, watch::Sender<HoldState>)], moment: Moment) {
    for (_, state) in stops.iter().filter(|(at, _)| *at == moment) {
        state.send_if_modified(|state| {
            let is_armed = *state == HoldState::Armed;
            if is_armed {
                *state = HoldState::Holding;
            }
            is_armed
        });
        // It ends with an error only when the sender is gone, and this is one.
        let _ = state.subscribe().wait_for(|state| *state == HoldState::Released).await;
    }
}
