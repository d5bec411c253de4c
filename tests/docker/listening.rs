//! An engine tells what happens to its containers, and a watch does not wait for the next look.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::own::OwnEngine;
use crate::served::Served;
use crate::support::Fleet;
use crate::support::engine::{IMAGE, WAITS, container, docker, host, lineage};

/// Members that nothing is asked of for ten minutes.
fn pool(host: &str, members: usize) -> String {
    format!(
        r#"
provider "docker" {{ host = "{host}" }}
pool "web" {{
  provider = docker
  node {{
    image      = "{IMAGE}"
    command    = {WAITS}
    stop_grace = "1s"
  }}
  autoscale {{
    min                 = {members}
    max                 = {members}
    evaluation_interval = "10m"
  }}
}}
"#
    )
}

/// Reads a number of those that a watch shows.
fn metric(served: &Served, name: &str) -> f64 {
    let text = served.get("/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn looks(served: &Served, because: &str) -> f64 {
    metric(served, &format!("simfleet_looks_total{{because=\"{because}\"}}"))
}

/// Waits until the engine is listened to, or not any more.
fn wait_until_it_tells(served: &Served, engines: f64) {
    served.wait_for("/metrics", |got| {
        got.body.contains(&format!("\nsimfleet_sides_telling {engines}\n"))
    });
}

#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn what_is_killed_or_removed_is_made_anew_without_a_look_that_is_due() {
    let fleet = Fleet::new(&pool(&host(), 2));
    fleet.applied();
    let lineage = lineage(&fleet);
    let mut served = Served::start(&fleet);
    wait_until_it_tells(&served, 1.0);
    // It is looked at when the watch begins, and when the engine begins to tell; then for ten minutes not, by itself.
    served.wait_for("/metrics", |got| {
        got.body.contains("\nsimfleet_looks_total{because=\"time\"} 2\n")
    });

    docker(&["rm", "-f", &container(&lineage, "pool.web/m1")]);
    let lost = served.watcher.wait_for_type("lost");
    assert_eq!(lost["address"], "pool.web/m1", "{lost}");
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");

    let two = container(&lineage, "pool.web/m2");
    docker(&["kill", &two]);
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");
    let running = ["inspect", "-f", "{{.State.Running}}"];
    assert_eq!(docker(&[&running[..], &[&two]].concat()), "true");
    let one = container(&lineage, "pool.web/m1");
    assert_eq!(docker(&[&running[..], &[&one]].concat()), "true");
    // So is what somebody changes.
    docker(&["update", "--memory", "64m", "--memory-swap", "128m", &one]);
    let ran = served.watcher.wait_for_type("ran");
    assert_eq!(ran["event"], "run.ended", "{ran}");
    assert!(looks(&served, "event") >= 3.0);
    assert_eq!(looks(&served, "time"), 2.0, "none was due");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn an_engine_that_was_restarted_or_hung_is_listened_to_again() {
    let mut own = OwnEngine::start(&[]);
    let fleet = Fleet::new(&pool(&own.host(), 2));
    fleet.applied();
    let mut served = Served::start(&fleet);
    wait_until_it_tells(&served, 1.0);
    own.stop();
    wait_until_it_tells(&served, 0.0);
    own.serve();
    wait_until_it_tells(&served, 1.0);
    let events = looks(&served, "event");
    let one = own.docker(&["ps", "-aq", "--filter", "label=simfleet.name=pool.web/m1"]);
    own.docker(&["rm", "-f", &one]);
    let lost = served.watcher.wait_for_type("lost");
    assert_eq!(lost["address"], "pool.web/m1", "{lost}");
    served.watcher.wait_for_type("ran");
    served.wait_for("/metrics", |_| looks(&served, "event") > events);

    // One that keeps its connections and says nothing is not believed to be well.
    own.hang(true);
    wait_until_it_tells(&served, 0.0);
    own.hang(false);
    wait_until_it_tells(&served, 1.0);
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// A way to the engine on which what is said of one container can be held up.
struct Way {
    folder: tempfile::TempDir,
    held: Arc<(Mutex<Held>, Condvar)>,
}

#[derive(Default)]
struct Held {
    /// The container that nothing is said of.
    back: Option<String>,
    /// Whether somebody waits to hear of it.
    waits: bool,
    /// Of which containers something was said.
    told: Vec<String>,
}

impl Way {
    /// `None` where the engine is not reached by a socket.
    fn to_the_engine() -> Option<Self> {
        let host = host();
        let Some(engine) = host.strip_prefix("unix://").map(str::to_owned) else {
            println!("skipped: the engine at {host} is not reached by a socket");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let held = Arc::<(Mutex<Held>, Condvar)>::default();
        let way = Way { folder, held };
        let held = Arc::clone(&way.held);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, engine, held) = (client.expect("a connection"), engine.clone(), Arc::clone(&held));
                std::thread::spawn(move || pass(client, &engine, &held));
            }
        });
        Some(way)
    }

    fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    fn hold(&self, container: &str) {
        *self.held.0.lock().expect("it is whole") = Held {
            back: Some(container.to_owned()),
            ..Held::default()
        };
    }

    /// Waits until somebody waits for what is held, and has heard of another one.
    fn wait_until_it_is_held_and_told(&self, other: &str) {
        let (held, changed) = &*self.held;
        let held = held.lock().expect("it is whole");
        let is_not_yet = |held: &mut Held| !held.waits || !held.told.iter().any(|id| id == other);
        let waited = changed.wait_timeout_while(held, Duration::from_secs(60), is_not_yet);
        assert!(!waited.expect("it is whole").1.timed_out(), "nobody looks");
    }

    fn let_go(&self) {
        *self.held.0.lock().expect("it is whole") = Held::default();
        self.held.1.notify_all();
    }
}

/// Passes one call on, and has the engine end the connection after it.
fn pass(client: UnixStream, engine: &str, (held, changed): &(Mutex<Held>, Condvar)) {
    let mut from_client = BufReader::new(client.try_clone().expect("it is whole"));
    let mut first = String::new();
    let _ = from_client.read_line(&mut first);
    let of = first
        .split_once("/containers/")
        .and_then(|(_, rest)| Some(rest.split_once("/json ")?.0.to_owned()));
    let mut engine = UnixStream::connect(engine).expect("the engine is there");
    let mut from_engine = engine.try_clone().expect("it is whole");
    let back = std::thread::spawn({
        let mut client = client.try_clone().expect("it is whole");
        // Who went away needs no answer.
        move || {
            let _ = std::io::copy(&mut from_engine, &mut client);
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    let is_held = |held: &mut Held| held.back.is_some() && held.back == of;
    let mut now = held.lock().expect("it is whole");
    now.waits |= is_held(&mut now);
    changed.notify_all();
    drop(changed.wait_while(now, is_held));
    let _ = engine.write_all(format!("{first}Connection: close\r\n").as_bytes());
    if std::io::copy(&mut from_client, &mut engine).is_err() {
        let _ = engine.shutdown(Shutdown::Both);
    }
    let _ = back.join();
    held.lock().expect("it is whole").told.extend(of);
    changed.notify_all();
}

/// Watches a fleet, and kills one of its containers while what is said of another is held up: the look that saw the first one
/// stopped has not ended. Returns its id.
fn killed_in_the_middle_of_a_look(fleet: &Fleet, way: &Way, [one, two]: [&str; 2]) -> (Served, String) {
    let lineage = lineage(fleet);
    let id = |name: &str| docker(&["inspect", "-f", "{{.Id}}", &container(&lineage, name)]);
    let (one, two) = (id(one), id(two));
    let served = Served::start(fleet);
    wait_until_it_tells(&served, 1.0);
    served.wait_for("/metrics", |got| {
        got.body.contains("\nsimfleet_looks_total{because=\"time\"} 2\n")
    });
    way.hold(&two);
    docker(&["kill", &one]);
    way.wait_until_it_is_held_and_told(&one);
    (served, one)
}

/// Waits until the one that was killed runs again.
fn is_healed(mut served: Served, fleet: &Fleet, one: &str) {
    let made = served
        .watcher
        .wait_for("it runs again", |event| event["event"] == "run.ended");
    assert_eq!(made["addresses"][0], one, "{made}");
    assert_eq!(looks(&served, "time"), 2.0, "none was due");
    assert_eq!(served.watcher.end().code, Some(0));
    let running = ["inspect", "-f", "{{.State.Running}}"];
    let one = container(&lineage(fleet), one);
    assert_eq!(docker(&[&running[..], &[&one]].concat()), "true");
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// The run that begins of that look records what it saw, and fails; the next look may have begun before.
#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn what_is_removed_while_it_is_looked_at_is_made_anew() {
    let Some(way) = Way::to_the_engine() else { return };
    let fleet = Fleet::new(&pool(&way.host(), 2));
    fleet.applied();
    let names = ["pool.web/m1", "pool.web/m2"];
    let (mut served, one) = killed_in_the_middle_of_a_look(&fleet, &way, names);
    docker(&["rm", &one]);
    // The watch hears of that, and looks again as soon as it knows of both.
    std::thread::sleep(Duration::from_secs(1));
    way.let_go();
    let lost = served.watcher.wait_for_type("lost");
    assert_eq!(lost["address"], names[0], "{lost}");
    is_healed(served, &fleet, names[0]);
}

/// What was seen of it before is no longer believed then.
#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn what_somebody_gives_back_while_it_is_looked_at_is_looked_at_again() {
    let Some(way) = Way::to_the_engine() else { return };
    let simulator = |name: &str| {
        format!(
            "simulator \"container\" \"{name}\" {{\n  placement = \"local\"\n  image = \"{IMAGE}\"\n  command = {WAITS}\n  stop_grace = \"1s\"\n}}\n"
        )
    };
    let fleet = Fleet::new(&format!(
        "provider \"docker\" {{ host = \"{}\" }}\n{}{}",
        way.host(),
        simulator("one"),
        simulator("two")
    ));
    fleet.applied();
    let names = ["simulator.container.one", "simulator.container.two"];
    fleet.ok(&["simulator allocate", names[0]]);
    let (served, _) = killed_in_the_middle_of_a_look(&fleet, &way, names);
    fleet.ok(&["simulator release", names[0]]);
    // The watch is told of it.
    std::thread::sleep(Duration::from_secs(1));
    way.let_go();
    is_healed(served, &fleet, names[0]);
}
