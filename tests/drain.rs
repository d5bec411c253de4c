//! Members of pools go with care: nothing new is placed on them, what ends by itself is waited for, and of a pool that is
//! made anew only so many are away at once.
#![cfg(feature = "fake")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet::apply::{self, Outcome, Progress, Verb};
use simfleet::fleet::Fleet;
use simfleet::plan::{Mode, Plan};
use simfleet::view::Theme;
use simfleet::view::plan::{Detail, Purpose, View};
use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::cloud::Effect;
use simfleet_provider_fake::faults::{Fault, Faults, Pattern, Rule, When};
use simfleet_provider_fake::gateway::Gateway;
use simfleet_state::{Event, Holder, Host, Liveness, LockSet, Process, StateStore, System};
use support::bench::{Lab, changes, registry};
use tokio::sync::{mpsc, watch};

/// This machine, so much later.
#[derive(Debug)]
struct Later(Duration);

impl Host for Later {
    fn now(&self) -> Timestamp {
        System.now() + self.0
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        System.random()
    }
}

/// What an apply did and told.
struct Applied {
    outcome: Outcome,
    told: Vec<Progress>,
    took: Duration,
}

impl Lab {
    async fn plan(&self, mode: Mode) -> Plan {
        let fleet = self.open(mode);
        fleet.plan().await.expect("it can be planned").plan
    }

    async fn apply(&self, mode: Mode) -> Applied {
        let (_keep, stop) = watch::channel(false);
        self.apply_until(mode, stop).await
    }

    async fn apply_until(&self, mode: Mode, stop: watch::Receiver<bool>) -> Applied {
        let fleet = self.open(mode);
        self.carry_out(fleet, stop).await
    }

    /// Applies as a run would that begins so much later.
    async fn apply_later(&self, later: Duration) -> Applied {
        let (_keep, stop) = watch::channel(false);
        let options = apply::Options {
            host: Arc::new(Later(later)),
            ..apply::Options::default()
        };
        let fleet = Fleet::open(self.bench.options(Mode::Apply, &[])).expect("sound");
        let fleet = fleet.over(Arc::new(self.store.clone()), registry(&self.cloud), options);
        self.carry_out(fleet, stop).await
    }

    async fn carry_out(&self, fleet: Fleet, stop: watch::Receiver<bool>) -> Applied {
        let (progress, mut receiver) = mpsc::unbounded_channel();
        let began = tokio::time::Instant::now();
        let planned = fleet.plan().await.expect("it can be planned");
        if planned.plan.is_empty() {
            fleet.settle(&planned, &progress).await.expect("nobody has locks");
        }
        let outcome = fleet.apply(planned, &progress, stop).await.expect("nobody has locks");
        drop(progress);
        let mut told = Vec::new();
        while let Some(one) = receiver.recv().await {
            told.push(one);
        }
        let took = began.elapsed();
        Applied { outcome, told, took }
    }

    fn id(&self, name: &str) -> String {
        let objects = self.cloud.objects();
        let object = objects.iter().find(|object| object.fields["name"] == name);
        object.unwrap_or_else(|| panic!("{name} is not there")).id.clone()
    }

    /// Has a process come to its end.
    fn end(&self, name: &str) {
        let exited = serde_json::from_str(r#"{ "status": "exited" }"#).expect("JSON");
        assert!(self.cloud.change(&self.id(name), &exited));
    }

    /// Records what needs no lock.
    async fn say(&self, event: Event) {
        let holder = Holder::this_process("test", &System);
        let opened = self.store.open(&holder, &LockSet::default()).await;
        let mut journal = opened.expect("it needs no lock");
        journal.append(&[event]).await.expect("legal");
        journal.close().await.expect("it is open");
    }

    async fn cordoned(&self) -> Vec<String> {
        let state = self.store.load().await.expect("a store in memory").state;
        let cordoned = state
            .resources
            .iter()
            .filter(|(_, resource)| resource.cordoned.is_some());
        cordoned.map(|(address, _)| address.to_string()).collect()
    }

    /// What is recorded of members and of what runs on them, in order: `cordoned pool.field/m2`.
    async fn journal(&self) -> Vec<String> {
        let entries = self.store.history(1..=u64::MAX).await.expect("a store in memory");
        let events = entries.into_iter().flat_map(|entry| entry.events);
        events
            .filter(|event| {
                matches!(
                    event,
                    Event::Cordoned { .. } | Event::Uncordoned { .. } | Event::Started { .. }
                )
            })
            .map(|event| {
                let address = event.addresses().next().expect("it is about something");
                match &event {
                    Event::Started { operation, .. } => format!("{} {address}", operation.verb()),
                    event => format!("{} {address}", event.name()),
                }
            })
            .collect()
    }
}

impl Applied {
    #[track_caller]
    fn complete(self) -> Self {
        assert!(self.outcome.is_complete(), "{:?}", self.outcome);
        self
    }
}

/// A pool of so many members, two jobs on each at the most.
fn field(size: usize, drain: &str) -> String {
    format!(
        r#"
provider "fake" {{}}
pool "field" {{
  node {{ max_simulators = 2 }}
  autoscale {{
    min = {size}
    max = {size}
  }}
  {drain}
}}
simulator "exec" "job" {{
  count     = 2
  placement = pool.field
  command   = ["work"]
}}
"#
    )
}

const PATIENT: &str = "drain {\n  timeout = \"60s\"\n  wait_for = \"simulators\"\n}";

#[tokio::test(start_paused = true)]
async fn a_member_that_goes_waits_for_its_jobs_to_end() {
    let lab = Lab::new(&field(2, PATIENT));
    lab.apply(Mode::Apply).await.complete();
    lab.bench.write(&field(1, PATIENT));
    let plan = lab.plan(Mode::Apply).await;
    assert_eq!(
        changes(&plan),
        ["delete pool.field/m2", "replace simulator.exec.job[1]"]
    );
    let view = View {
        plan: &plan,
        detail: Detail::Folded,
        purpose: Purpose::Apply,
        estimate: None,
    };
    let shown = view.render(Theme::Plain);
    let care =
        "pool.field/m2: takes nothing new, and goes once simulator.exec.job[1] ends, after 1 min 0 s at the latest";
    assert!(shown.contains(care), "{shown}");

    let before = lab.journal().await.len();
    let (applied, ()) = tokio::join!(lab.apply(Mode::Apply), async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(lab.cordoned().await, ["pool.field/m2"]);
        assert_eq!(lab.cloud.objects().len(), 4, "nothing is removed yet");
        lab.end("simulator.exec.job[1]");
    });
    let applied = applied.complete();
    assert!((20..23).contains(&applied.took.as_secs()), "{:?}", applied.took);
    let member = "pool.field/m2".parse().expect("an address");
    assert!(applied.told.contains(&Progress::Started {
        address: member,
        verb: Verb::Drain,
        expected: None
    }));
    // Whoever decides on the size while this is at work sees at once who goes.
    let entries = lab.store.history(1..=u64::MAX).await.expect("a store in memory");
    let scaled = entries.iter().filter(|entry| {
        let is_smaller = |event: &Event| matches!(event, Event::Scaled { size: 1, .. });
        entry.events.iter().any(is_smaller)
    });
    let with: Vec<bool> = scaled
        .map(|it| it.events.iter().any(|event| event.name() == "cordoned"))
        .collect();
    assert_eq!(with, [true]);
    let steps = lab.journal().await.split_off(before);
    assert_eq!(steps[..2], ["cordoned pool.field/m2", "delete simulator.exec.job[1]"]);
    assert_eq!(steps.len(), 4, "{steps:?}");
    assert!(lab.plan(Mode::Apply).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_does_not_end_in_time_is_stopped() {
    let lab = Lab::new(&field(2, PATIENT));
    lab.apply(Mode::Apply).await.complete();
    lab.bench.write(&field(1, PATIENT));
    let applied = lab.apply(Mode::Apply).await.complete();
    // The time began when it was recorded who goes.
    let took = applied.took.as_secs();
    assert!((58..=60).contains(&took), "{took}");
    let left = applied.told.iter().find_map(|told| match told {
        Progress::Overdue { left, .. } => Some(left.iter().map(ToString::to_string).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(left.expect("it is told"), ["simulator.exec.job[1]"]);
}

/// What somebody has is waited for until it is given back, or their time is over; the drain ends at the latest with its own.
#[tokio::test(start_paused = true)]
async fn a_member_that_goes_waits_until_what_is_on_it_is_released() {
    let patient = PATIENT.replace("simulators", "lease");
    for (case, release, expected) in [("released", Some(20), 20..23), ("never released", None, 58..61)] {
        let lab = Lab::new(&field(2, &patient));
        lab.apply(Mode::Apply).await.complete();
        let address = || "simulator.exec.job[1]".parse().expect("an address");
        let until = None;
        let by = "ann@lab".into();
        lab.say(Event::Allocated {
            address: address(),
            by,
            until,
        })
        .await;
        lab.bench.write(&field(1, &patient));
        let (applied, ()) = tokio::join!(lab.apply(Mode::Apply), async {
            let Some(release) = release else { return };
            tokio::time::sleep(Duration::from_secs(release)).await;
            assert_eq!(lab.cordoned().await, ["pool.field/m2"], "{case}");
            let since = lab.store.load().await.expect("a store in memory").state.allocations[&address()].since;
            lab.say(Event::Deallocated {
                address: address(),
                since,
            })
            .await;
        });
        let took = applied.complete().took.as_secs();
        assert!(expected.contains(&took), "{case}: {took}");
    }
}

/// Nobody is connected where there is no load balancer, and what is started again does not end by itself.
#[tokio::test(start_paused = true)]
async fn only_what_ends_by_itself_is_waited_for() {
    let restarting = |size| field(size, PATIENT).replace("command ", "restart = \"always\"\n  command ");
    for (case, before, after) in [
        ("connections", field(2, ""), field(1, "")),
        ("restarted", restarting(2), restarting(1)),
    ] {
        let lab = Lab::new(&before);
        lab.apply(Mode::Apply).await.complete();
        lab.bench.write(&after);
        assert_eq!(lab.plan(Mode::Apply).await.emptied(), [], "{case}");
        let applied = lab.apply(Mode::Apply).await.complete();
        assert_eq!(applied.took, Duration::ZERO, "{case}");
        let drains = |told: &&Progress| matches!(told, Progress::Started { verb: Verb::Drain, .. });
        assert_eq!(applied.told.iter().filter(drains).count(), 0, "{case}: it is no news");
        assert!(
            lab.journal().await.contains(&"cordoned pool.field/m2".to_owned()),
            "{case}"
        );
    }
}

/// Also where everything goes: what is on a member is somebody's until it is gone.
#[tokio::test(start_paused = true)]
async fn a_destroy_waits_for_what_is_allocated() {
    let patient = PATIENT.replace("simulators", "lease").replace("60s", "20s");
    let lab = Lab::new(&field(2, &patient));
    lab.apply(Mode::Apply).await.complete();
    let address = "simulator.exec.job[1]".parse().expect("an address");
    let by = "ann@lab".into();
    lab.say(Event::Allocated {
        address,
        by,
        until: None,
    })
    .await;
    let took = lab.apply(Mode::Destroy).await.complete().took.as_secs();
    assert!((18..=20).contains(&took), "{took}");
    let state = lab.store.load().await.expect("a store in memory").state;
    assert!(state.allocations.is_empty() && state.resources.is_empty(), "{state:?}");
}

/// How a member is emptied is recorded with it, so that a pool that is not declared any more goes with the same care.
#[tokio::test(start_paused = true)]
async fn a_destroy_waits_as_an_apply_does() {
    for (case, mode, text) in [
        ("destroy", Mode::Destroy, field(2, PATIENT)),
        ("not declared", Mode::Apply, "provider \"fake\" {}\n".to_owned()),
    ] {
        let lab = Lab::new(&field(2, PATIENT));
        lab.apply(Mode::Apply).await.complete();
        lab.bench.write(&text);
        let (applied, ()) = tokio::join!(lab.apply(mode), async {
            for name in ["simulator.exec.job[0]", "simulator.exec.job[1]"] {
                tokio::time::sleep(Duration::from_secs(10)).await;
                assert!(!lab.cordoned().await.is_empty(), "{case}");
                lab.end(name);
            }
        });
        let took = applied.complete().took.as_secs();
        assert!((20..23).contains(&took), "{case}: {took}");
        assert_eq!(lab.cloud.objects().len(), 0, "{case}");
    }
}

/// Whoever comes next waits for what is left of the time, or keeps it.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_leaves_a_member_cordoned() {
    for (case, size, later, waits) in [
        ("at once", 1, 0, 59..=60),
        ("after 20 s", 1, 20, 39..=40),
        ("after a day", 1, 86_400, 5..=5),
        ("kept", 2, 0, 0..=0),
    ] {
        let lab = Lab::new(&field(2, PATIENT));
        lab.apply(Mode::Apply).await.complete();
        lab.bench.write(&field(1, PATIENT));
        let (stop, stopped) = watch::channel(false);
        let (applied, ()) = tokio::join!(lab.apply_until(Mode::Apply, stopped), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.send_replace(true);
        });
        let Applied { outcome, took, .. } = applied;
        assert!(outcome.interrupted && outcome.open.is_empty(), "{case}: {outcome:?}");
        assert_eq!(took.as_secs(), 5, "{case}: it is left at once");
        assert_eq!(lab.cordoned().await, ["pool.field/m2"], "{case}");
        assert_eq!(lab.cloud.objects().len(), 4, "{case}");

        lab.bench.write(&field(size, PATIENT));
        let next = lab.apply_later(Duration::from_secs(later)).await.complete();
        assert!(waits.contains(&next.took.as_secs()), "{case}: {:?}", next.took);
        assert_eq!(lab.cordoned().await, Vec::<String>::new(), "{case}");
        assert_eq!(lab.cloud.objects().len(), 2 + size, "{case}");
        let is_kept = lab.journal().await.contains(&"uncordoned pool.field/m2".to_owned());
        assert_eq!(is_kept, case == "kept", "{case}");
    }
}

/// A pool of four with a vehicle on each, made of an image.
fn web(image: &str, more: &str) -> String {
    format!(
        r#"
provider "fake" {{}}
pool "web" {{
  node {{
    image          = "{image}"
    max_simulators = 1
    port_range "mavlink" {{
      from = 14560
      to   = 14570
    }}
  }}
  autoscale {{
    min = 4
    max = 4
  }}
  {more}
}}
simulator "vehicle" "quad" {{
  count     = 4
  placement = pool.web
  port "gcs" {{ range = "mavlink" }}
}}
"#
    )
}

/// Returns the most members that were away at once, and the most vehicles, by the log of the cloud.
fn away(cloud: &Gateway, from: usize) -> (usize, usize) {
    let mut there: BTreeMap<&str, i64> = BTreeMap::new();
    let mut least = BTreeMap::from([("node", 0), ("process", 0)]);
    for effect in cloud.log().into_iter().skip(from).flat_map(|entry| entry.effects) {
        let (id, change) = match &effect {
            Effect::Made(id) => (id, 1),
            Effect::Deleted(id) => (id, -1),
            _ => continue,
        };
        let kind = if id.starts_with("node") { "node" } else { "process" };
        let now = there.entry(kind).or_default();
        *now += change;
        let least = least.get_mut(kind).expect("it is one of the two");
        *least = (*least).min(*now);
    }
    let most = |kind: &str| usize::try_from(-least[kind]).expect("some were away");
    (most("node"), most("process"))
}

/// Members and what runs on them take a while to come, so that many would be away at once if nothing held them.
fn slow() -> Faults {
    let rule = Rule {
        fault: Fault::LongRunning { polls: 0, ms: 5_000 },
        to: Pattern {
            call: Some(Call::Create),
            kind: None,
            name: None,
        },
        when: When::Always,
    };
    Faults {
        rules: vec![rule],
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_template_rolls_within_the_disruption_budget() {
    // Without vehicles a member waits for members only.
    for (budget, at_once, vehicles) in [
        ("", 1, 4),
        ("disruption_budget = 50", 2, 4),
        ("disruption_budget = 50", 2, 0),
        ("disruption_budget = 100", 4, 4),
    ] {
        let text = |image| web(image, budget).replace("count     = 4", &format!("count = {vehicles}"));
        let lab = Lab::new(&text("one"));
        lab.apply(Mode::Apply).await.complete();
        lab.cloud.set_faults(slow());
        lab.bench.write(&text("two"));
        let plan = lab.plan(Mode::Apply).await;
        let rolls: Vec<usize> = plan.rolls.iter().map(|roll| roll.at_once).collect();
        let expected: &[usize] = if at_once < 4 { &[at_once] } else { &[] };
        assert_eq!(rolls, expected, "{budget}");
        let view = View {
            plan: &plan,
            detail: Detail::Folded,
            purpose: Purpose::Apply,
            estimate: None,
        };
        let says = format!("pool.web/m1..m4: rolls {at_once} at a time, each once the one before is back");
        assert_eq!(view.render(Theme::Plain).contains(&says), at_once < 4, "{budget}");
        let from = lab.cloud.log().len();
        lab.apply(Mode::Apply).await.complete();
        assert_eq!(away(&lab.cloud, from), (at_once, at_once.min(vehicles)), "{budget}");
        assert!(lab.plan(Mode::Apply).await.is_empty(), "{budget}");
        assert_eq!(lab.cordoned().await, Vec::<String>::new(), "{budget}");
    }
}

/// What members run themselves is made anew in turn as well: the members stay, and no more of them are without it at once.
#[tokio::test(start_paused = true)]
async fn a_process_of_members_rolls_within_the_disruption_budget() {
    let text = |word: &str, budget: &str| {
        let process = format!("image = \"one\"\n    process \"web\" {{ command = [\"serve\", \"{word}\"] }}\n");
        web("one", budget)
            .replace("image          = \"one\"", &process)
            .replace("count     = 4", "count = 0")
    };
    for (budget, at_once) in [("", 1), ("disruption_budget = 50", 2), ("disruption_budget = 100", 4)] {
        let lab = Lab::new(&text("a", budget));
        lab.apply(Mode::Apply).await.complete();
        assert_eq!(lab.cloud.objects().len(), 8, "{budget}");
        lab.cloud.set_faults(slow());
        lab.bench.write(&text("b", budget));
        let plan = lab.plan(Mode::Apply).await;
        let replaced: Vec<String> = (1..=4)
            .map(|member| format!("replace pool.web/m{member}/web"))
            .collect();
        assert_eq!(changes(&plan), replaced, "{budget}");
        let from = lab.cloud.log().len();
        lab.apply(Mode::Apply).await.complete();
        assert_eq!(away(&lab.cloud, from), (0, at_once), "{budget}");
        assert!(lab.plan(Mode::Apply).await.is_empty(), "{budget}");
    }
}

/// A template that does not come up is found out with one member, and not with all.
#[tokio::test(start_paused = true)]
async fn a_roll_ends_with_a_member_that_does_not_come_back() {
    let lab = Lab::new(&web("one", ""));
    lab.apply(Mode::Apply).await.complete();
    let refused = |message: &str| Rule {
        fault: Fault::Rejected {
            message: message.to_owned(),
            attribute: None,
        },
        to: Pattern {
            call: Some(Call::Create),
            kind: Some("node".into()),
            name: None,
        },
        when: When::Always,
    };
    lab.cloud.set_faults(Faults {
        rules: vec![refused("there is no such image")],
        ..Faults::default()
    });
    lab.bench.write(&web("two", ""));
    let Applied { outcome, .. } = lab.apply(Mode::Apply).await;
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    let left: Vec<String> = lab
        .cloud
        .objects()
        .iter()
        .map(|object| object.fields["name"].to_string())
        .collect();
    assert_eq!(left.len(), 6, "three members and their vehicles: {left:?}");
    assert!(
        outcome.skipped.iter().all(|(_, verb, _)| *verb != Verb::Drain),
        "{outcome:?}"
    );

    lab.cloud.set_faults(Faults::default());
    lab.apply(Mode::Apply).await.complete();
    assert!(lab.plan(Mode::Apply).await.is_empty());
    assert_eq!(lab.cloud.objects().len(), 8);
}
