//! Two watches on one fleet: one leads, and the other stands by until it is to follow.

use std::time::{Duration, Instant};

#[cfg(feature = "fake")]
use rand::rngs::StdRng;
#[cfg(feature = "fake")]
use rand::{Rng, SeedableRng};
#[cfg(feature = "fake")]
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::api::{applied, audit, refused, token};
#[cfg(feature = "fake")]
use crate::kills::agents;
use crate::load::Load;
use crate::reach::{certificate, over_tls};
use crate::serve::metric;
use crate::served::{Got, Served};
use crate::sizes::{local, recorded};
use crate::support::Fleet;
#[cfg(feature = "fake")]
use crate::support::{every, seeds::chosen};
use crate::watcher::Watcher;

const STANDBY: [&str; 3] = ["--standby", "--listen", "127.0.0.1:0"];

/// Starts a watch that leads, and one that stands by.
fn two(fleet: &Fleet) -> (Served, Served) {
    let mut leader = Served::with(fleet, &STANDBY);
    leader.watcher.wait_for_type("leading");
    let mut standby = Served::with(fleet, &STANDBY);
    standby.watcher.wait_for_type("standing_by");
    (leader, standby)
}

fn is_role(got: &Got, role: &str) -> bool {
    got.status == 200 && got.json()["role"] == role
}

fn ready(served: &Served, role: &str) {
    served.wait_for("/readyz", |got| is_role(got, role));
}

/// Returns the lineage of a state, once all of it was checked.
fn lineage(fleet: &Fleet) -> Json {
    fleet.ok(&["state check"]);
    let state: Json = serde_json::from_str(&fleet.ok(&["show", "--json"]).out).expect("JSON");
    state["lineage"].clone()
}

#[test]
fn s1_17_every_replica_answers_reads_and_the_one_that_stands_by_changes_nothing() {
    let load = Load::of(90.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let (leader, mut standby) = two(&fleet);
    ready(&leader, "leader");
    ready(&standby, "standby");
    // What the leader decides is seen at both, with why, from what is recorded.
    leader.wait_for("/v1/pools", |got| got.json()[0]["members"] == 5);
    let same = |path: &str| standby.wait_for(path, |got| got.body == leader.get(path).body);
    let decided = standby.wait_for("/v1/pools", |got| {
        let pool = &got.json()[0];
        pool["members"] == 5 && pool["decision"]["desired"] == 5 && pool["checks"]["busy"]["value"] == 90.0
    });
    let because = decided.json()[0]["because"].as_str().expect("a reason").to_owned();
    assert!(because.contains("busy="), "{because}");
    same("/v1/state");
    same("/v1/holds");
    same("/v1/operations");
    let addresses = |got: &Got| -> Vec<Json> {
        let nodes = got.json();
        let nodes = nodes.as_array().expect("a list").iter();
        nodes.map(|node| json!([node["address"], node["status"]])).collect()
    };
    standby.wait_for("/v1/nodes", |got| {
        addresses(got).len() == 5 && addresses(got) == addresses(&leader.get("/v1/nodes"))
    });
    let history = standby.get("/v1/pools/web/history").json();
    assert_eq!(history["peak"]["size"], 5, "{history}");
    assert_eq!(standby.get("/").status, 200);
    assert_eq!(standby.get("/v1/alerts").json(), json!([]));
    assert_eq!(standby.get("/v1/simulators").status, 200);
    assert_eq!(standby.get("/v1/whoami").json()["role"], "viewer");
    assert_eq!(standby.get("/v1/locks").json().as_array().map(Vec::len), Some(1));
    // Which it is, and who leads; what only that one knows is left open.
    let (led, waits) = (leader.get("/v1/watch").json(), standby.get("/v1/watch").json());
    assert_eq!((&led["role"], &waits["role"]), (&json!("leader"), &json!("standby")));
    assert_eq!(led["leader"], waits["leader"]);
    assert_eq!(waits["leader"]["url"], format!("http://{}/", leader.address));
    assert!(led["last_lap"].is_string() && led["running"].is_array(), "{led}");
    for only_of_the_leader in ["last_lap", "running", "unplaced", "stuck"] {
        assert!(waits[only_of_the_leader].is_null(), "{waits}");
    }
    assert_eq!(
        standby.get("/healthz").json(),
        json!({ "status": "ok", "role": "standby" })
    );
    let metrics = |served: &Served, name: &str| metric(&served.get("/metrics").body, name);
    assert_eq!(metrics(&leader, "simfleet_leader"), Some(1.0));
    assert_eq!(metrics(&standby, "simfleet_leader"), Some(0.0));
    assert_eq!(metrics(&standby, "simfleet_pool_members{pool=\"pool.web\"}"), Some(5.0));
    let of_the_leader = "simfleet_last_lap_timestamp_seconds";
    assert!(metrics(&leader, of_the_leader).is_some() && metrics(&standby, of_the_leader).is_none());
    // It has asked nobody for anything: what it told is that it waits.
    let told = standby.events("", 2);
    let kinds: Vec<&Json> = told.iter().map(|(_, event)| &event["type"]).collect();
    assert_eq!(kinds, [&json!("listening"), &json!("standing_by")]);
    assert_eq!(told[1].1["event"], "watch.standby");
    // One that was not started to wait is refused, and told how.
    let third = fleet.run(&["watch"]);
    assert_eq!(third.code, Some(3), "{third:?}");
    assert!(third.err.contains("--standby"), "{}", third.err);

    // In order: the one ends, and the other follows at once, and keeps what was decided.
    assert_eq!(leader.watcher.end().code, Some(0));
    let leading = standby.watcher.wait_for_type("leading");
    assert_eq!(leading["event"], "watch.leading");
    assert!(
        leading["after"]
            .as_str()
            .is_some_and(|after| after.contains("simfleet watch"))
    );
    ready(&standby, "leader");
    load.set(10.0);
    standby.watcher.wait_for_size("pool.web", 1);
    standby.wait_for("/v1/pools", |got| got.json()[0]["members"] == 1);
    assert_eq!(standby.watcher.end().code, Some(0));
    assert_eq!(recorded(&fleet).len(), 1);
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_17_a_change_is_passed_on_to_the_leader_as_who_asked_for_it() {
    let fleet = applied("limits { max_program = \"1KiB\" }\n");
    let (leader, standby) = two(&fleet);
    ready(&standby, "standby");
    let (viewer, ops) = (token(&fleet, "reader", "viewer"), token(&fleet, "ops", "operator"));
    let stop = "/v1/simulators/simulator.exec.job%5B0%5D/stop";
    // Who may not is refused here already.
    refused(&standby.call("POST", stop, "", ""), 401, "a token is needed");
    refused(&standby.call("POST", stop, &viewer, ""), 403, "`reader` is viewer");
    refused(&standby.call("POST", "/v1/pools", &ops, ""), 405, "does not take POST");
    let begun = standby.call("POST", stop, &ops, "{\"for\": \"1h\"}");
    assert_eq!(begun.status, 202, "{}", begun.body);
    assert!(begun.head.contains("cache-control: no-store"), "{}", begun.head);
    let place = begun.header("location").expect("a place").to_owned();
    let ended = standby.call("GET", &format!("{place}?wait=30s"), &ops, "").json();
    assert_eq!(
        (&ended["status"], &ended["by"], &ended["from"]),
        (&json!("succeeded"), &json!("ops"), &json!("127.0.0.1")),
        "{ended}"
    );
    assert_eq!(leader.call("GET", &place, &ops, "").json(), ended);
    assert_eq!(
        standby.call("GET", "/v1/operations", &ops, "").json(),
        leader.call("GET", "/v1/operations", &ops, "").json()
    );
    let held = |served: &Served| served.call("GET", "/v1/holds", &ops, "").json()[0]["address"].clone();
    assert_eq!(
        (held(&leader), held(&standby)),
        (held(&standby), json!("simulator.exec.job[0]"))
    );
    let started = standby.call("DELETE", "/v1/holds/simulator.exec.job%5B0%5D?wait=30s", &ops, "");
    assert_eq!(
        (started.status, &started.json()["verb"]),
        (200, &json!("start")),
        "{}",
        started.body
    );
    // What the leader finds wrong is passed back.
    refused(
        &standby.call("POST", stop, &ops, "{\"fro\": 1}"),
        400,
        "unknown field `fro`",
    );
    refused(
        &standby.call("POST", stop, &ops, vec![b' '; 70_000]),
        413,
        "65536 bytes",
    );
    let written = audit(&fleet);
    let stopped: Vec<&Json> = written
        .iter()
        .filter(|line| line["action"] == "simulator.stop")
        .collect();
    assert_eq!(stopped.len(), 1, "{written:?}");
    assert_eq!(
        (&stopped[0]["by"], &stopped[0]["from"]),
        (&json!("ops"), &json!("127.0.0.1"))
    );

    // Programs, also where it is not said before how large they are; none is larger than it may be.
    let kept = standby.call("POST", "/v1/programs", &ops, "hello");
    assert_eq!((kept.status, &kept.json()["size"]), (201, &json!(5)), "{}", kept.body);
    let chunked = |body: &str| {
        let more = format!("authorization: Bearer {ops}\r\ntransfer-encoding: chunked\r\n");
        let mut stream = standby.asked("POST", "/v1/programs", &standby.address, &more);
        let text = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        std::io::Write::write_all(&mut stream, text.as_bytes()).expect("it reads");
        Got::read(stream)
    };
    assert_eq!(chunked("hello").status, 200);
    refused(&chunked(&"x".repeat(1025)), 413, "1024 bytes of `limits.max_program`");
    refused(
        &standby.call("POST", "/v1/programs", &ops, vec![b'x'; 1025]),
        413,
        "1024 bytes",
    );
    let path = format!("/v1/programs/{}", kept.json()["sha256"].as_str().expect("a digest"));
    assert_eq!(standby.call("DELETE", &path, &ops, "").status, 204);
    assert_eq!(leader.call("GET", "/v1/programs", &ops, "").json(), json!([]));

    // What says that it was passed on is believed of nobody without the key of the leader, and goes no further.
    let forged = "simfleet-leader-key: abc\r\nsimfleet-client: 203.0.113.9\r\n";
    for served in [&leader, &standby] {
        let got = served.call_with("POST", stop, &ops, forged, "");
        refused(&got, 503, "a watch that does not lead");
        assert_eq!(got.header("retry-after"), Some("2"));
    }
    for served in [leader, standby] {
        assert_eq!(served.watcher.end().code, Some(0));
    }
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// Neither a token nor a change goes to what is not the leader, whoever that is.
#[test]
fn s1_17_what_answers_where_the_leader_says_it_is_must_be_the_leader() {
    let fleet = applied("");
    let (other, ops) = (Load::of(0.0), token(&fleet, "ops", "operator"));
    let url = other.url();
    let advertise = [STANDBY.as_slice(), &["--advertise", &url]].concat();
    let mut leader = Served::with(&fleet, &advertise);
    leader.watcher.wait_for_type("leading");
    let mut standby = Served::with(&fleet, &STANDBY);
    standby.watcher.wait_for_type("standing_by");
    ready(&standby, "standby");
    let stop = "/v1/simulators/simulator.exec.job%5B0%5D/stop";
    let why = "is not the watch that leads, so that nothing is done: its `--advertise` may be wrong";
    refused(&standby.call("POST", stop, &ops, ""), 503, why);
    assert_eq!(other.requests(), ["GET /load/healthz HTTP/1.1"]);
    for served in [leader, standby] {
        assert_eq!(served.watcher.end().code, Some(0));
    }
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_17_where_the_leader_serves_nothing_a_change_waits_for_another() {
    let fleet = applied("");
    let mut leader = Watcher::start(&fleet, &[]);
    leader.wait_for_type("watching");
    let mut standby = Served::with(&fleet, &STANDBY);
    standby.watcher.wait_for_type("standing_by");
    ready(&standby, "standby");
    assert!(standby.get("/v1/watch").json()["leader"]["url"].is_null());
    let ops = token(&fleet, "ops", "operator");
    let stop = "/v1/simulators/simulator.exec.job%5B0%5D/stop?wait=30s";
    let got = standby.call("POST", stop, &ops, "");
    refused(&got, 503, "serves nothing over HTTP");
    assert_eq!(got.header("retry-after"), Some("15"));
    // Nor where it says that it is reached where nobody listens.
    assert_eq!(standby.watcher.end().code, Some(0));
    assert_eq!(leader.end().code, Some(0));
    let nowhere = ["--listen", "127.0.0.1:0", "--advertise", "http://127.0.0.1:1/fleet/"];
    let mut leader = Watcher::start(&fleet, &nowhere);
    leader.wait_for_type("watching");
    let mut standby = Served::with(&fleet, &STANDBY);
    standby.watcher.wait_for_type("standing_by");
    standby.wait_as(&ops, "/v1/watch", |got| {
        got.json()["leader"]["url"] == "http://127.0.0.1:1/fleet/"
    });
    let got = standby.call("POST", stop, &ops, "");
    refused(&got, 503, "cannot be reached, so that nothing is done");
    assert_eq!(got.header("retry-after"), Some("2"));
    // Once that one is gone, it is done here.
    leader.kill();
    standby.watcher.wait_for_type("leading");
    let done = standby.call("POST", stop, &ops, "");
    assert_eq!(
        (done.status, &done.json()["status"]),
        (200, &json!("succeeded")),
        "{}",
        done.body
    );
    assert_eq!(standby.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// Who is killed is followed at once, and what was at work then was interrupted; decisions go on from what was remembered.
#[test]
fn s1_17_a_leader_that_is_killed_is_followed() {
    let load = Load::of(50.0);
    let simulator = "simulator \"exec\" \"slow\" {\n  placement = pool.web\n  command = [\"sh\", \"-c\", \
                     \"trap 'sleep 8; exit 0' TERM; echo up; while :; do sleep 0.05; done\"]\n}\n";
    let fleet = Fleet::new(&(local(&load.url()) + simulator));
    fleet.applied();
    let (leader, mut standby) = two(&fleet);
    ready(&leader, "leader");
    ready(&standby, "standby");
    let ops = token(&fleet, "ops", "operator");
    load.set(90.0);
    leader.wait_as(&ops, "/v1/pools", |got| got.json()[0]["members"] == 5);
    let before = lineage(&fleet);
    let slow = standby.call("POST", "/v1/simulators/simulator.exec.slow/stop", &ops, "");
    assert_eq!(slow.status, 202, "{}", slow.body);
    let place = slow.header("location").expect("a place").to_owned();
    assert_eq!(standby.call("GET", &place, &ops, "").json()["status"], "running");
    let killed = Instant::now();
    leader.watcher.kill();
    standby.watcher.wait_for_type("leading");
    assert!(killed.elapsed() < Duration::from_secs(15), "its lease need not be over");
    standby.wait_as(&ops, "/readyz", |got| is_role(got, "leader"));
    assert_eq!(standby.call("GET", &place, &ops, "").json()["status"], "interrupted");
    // One decision goes on from the others: no second growth, and the largest size stays the peak.
    standby.wait_as(&ops, "/v1/pools", |got| got.json()[0]["decision"]["desired"] == 5);
    let history = standby.call("GET", "/v1/pools/web/history", &ops, "").json();
    let sizes: Vec<u64> = history["laps"]
        .as_array()
        .expect("laps")
        .iter()
        .filter_map(|lap| lap["desired"].as_u64())
        .collect();
    assert!(sizes.is_sorted() && sizes.last() == Some(&5), "{history}");
    assert_eq!(
        recorded(&fleet).iter().filter(|name| name.starts_with("pool.")).count(),
        5
    );
    assert_eq!(lineage(&fleet), before);
    // A new one stands by behind it.
    let mut third = Served::with(&fleet, &STANDBY);
    third.watcher.wait_for_type("standing_by");
    assert_eq!(standby.watcher.end().code, Some(0));
    third.watcher.wait_for_type("leading");
    assert_eq!(third.watcher.end().code, Some(0));
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(
        fleet.planned(),
        Vec::<String>::new(),
        "all is as one watch would have left it"
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// Leases that a test can wait for, and that a busy machine does not miss to renew.
#[cfg(feature = "fake")]
const LEASE: [(&str, &str); 1] = [("SIMFLEET_TEST_LEASE_MS", "4000")];

/// Stops a watch, but not in the middle of a write to the state, which would keep everybody out until it goes on.
#[cfg(feature = "fake")]
fn stop_between_writes(watcher: &Watcher, fleet: &Fleet) {
    let state = rusqlite::Connection::open(fleet.states().join("fleet.db")).expect("there is a state");
    state.busy_timeout(Duration::ZERO).expect("it is set");
    loop {
        watcher.signal(Signal::STOP);
        if state.execute_batch("BEGIN EXCLUSIVE; ROLLBACK").is_ok() {
            return;
        }
        watcher.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A leader is stopped at some instant while its pool grows or shrinks, past its lease, and continued once another one has
/// followed it. It stands by then; what both did is one history, and no member is there twice or left behind.
#[cfg(feature = "fake")]
#[test]
fn s1_17_a_leader_that_is_stopped_is_followed_and_stands_by_once_it_goes_on() {
    let seed = chosen().unwrap_or_else(|| rand::random::<u32>().into());
    let mut dice = StdRng::seed_from_u64(seed);
    let case = format!("SIMFLEET_TEST_SEED={seed}");
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let before = lineage(&fleet);
    let mut leader = Served::with_in(&fleet, &STANDBY, &LEASE);
    leader.watcher.wait_for_type("leading");
    let mut standby = Served::with_in(&fleet, &STANDBY, &LEASE);
    standby.watcher.wait_for_type("standing_by");
    for round in 0..24 / every(8) {
        ready(&leader, "leader");
        load.set(if round % 2 == 0 { 90.0 } else { 10.0 });
        std::thread::sleep(Duration::from_millis(dice.random_range(0..2_000)));
        stop_between_writes(&leader.watcher, &fleet);
        standby.watcher.wait_for_type("leading");
        ready(&standby, "leader");
        let serial = |served: &Served| served.get("/v1/watch").json()["serial"].as_u64();
        let last = serial(&standby);
        leader.watcher.signal(Signal::CONT);
        leader.watcher.wait_for_type("standing_by");
        leader.wait_for("/v1/watch", |got| got.json()["role"] == "standby");
        leader.wait_for("/v1/watch", |_| {
            serial(&leader) >= last && serial(&leader) == serial(&standby)
        });
        assert_eq!(lineage(&fleet), before, "{case}");
        std::mem::swap(&mut leader, &mut standby);
    }
    load.set(100.0);
    leader.watcher.wait_for_type("ran");
    leader.wait_for("/v1/pools", |got| got.json()[0]["members"] == 5);
    load.set(50.0);
    let holder = |served: &Served| served.get("/v1/watch").json()["leader"]["holder"].clone();
    standby.wait_for("/v1/watch", |_| holder(&standby) == holder(&leader));
    for served in [standby, leader] {
        assert_eq!(served.watcher.end().code, Some(0), "{case}");
    }
    fleet.ok(&["apply", "--auto-approve"]);
    assert_eq!(recorded(&fleet).len(), 5, "{case}");
    assert_eq!(agents(&fleet).len(), 5, "{case}");
    assert_eq!(fleet.planned(), Vec::<String>::new(), "{case}");
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// One that was not started to stand by ends once it finds out, and has changed nothing.
#[cfg(feature = "fake")]
#[test]
fn s1_17_a_leader_that_is_stopped_and_cannot_stand_by_ends() {
    let fleet = applied("");
    let mut leader = Served::with_in(&fleet, &["--listen", "127.0.0.1:0"], &LEASE);
    leader.watcher.wait_for_type("watching");
    ready(&leader, "leader");
    let mut standby = Served::with_in(&fleet, &STANDBY, &LEASE);
    standby.watcher.wait_for_type("standing_by");
    ready(&standby, "standby");
    let ops = token(&fleet, "ops", "operator");
    stop_between_writes(&leader.watcher, &fleet);
    // What it has not answered when another one leads may be done or not: so is it told.
    let unanswered = standby.call("DELETE", "/v1/programs/x", &ops, "");
    refused(&unanswered, 503, "may be done or not");
    standby.watcher.wait_for_type("leading");
    standby.wait_as(&ops, "/readyz", |got| is_role(got, "leader"));
    let history = fleet.ok(&["state history", "--json"]).out;
    leader.watcher.signal(Signal::CONT);
    let ended = leader.watcher.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("Taken over"), "{}", ended.err);
    assert_eq!(fleet.ok(&["state history", "--json"]).out, history);
    // The one that leads takes what is asked.
    let stop = "/v1/simulators/simulator.exec.job%5B0%5D/stop?wait=30s";
    assert_eq!(standby.call("POST", stop, &ops, "").json()["status"], "succeeded");
    assert_eq!(standby.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// What was remembered holds for whoever follows: a pool that has grown shrinks after an hour only, whoever decides, and as a
/// watch that is started again decides.
#[test]
fn s1_17_who_follows_decides_as_the_same_watch_would() {
    let load = Load::of(90.0);
    let text = local(&load.url()).replace("cooldown             = \"1s\"", "cooldown             = \"1h\"");
    let fleet = Fleet::new(&text);
    fleet.applied();
    let (mut leader, mut standby) = two(&fleet);
    leader.watcher.wait_for_size("pool.web", 5);
    leader.wait_for("/v1/pools", |got| got.json()[0]["members"] == 5);
    load.set(10.0);
    let holds = |served: &Served| {
        let decided = |got: &Got| got.json()[0]["decided"].as_str().map(str::to_owned);
        let first = decided(&served.wait_for("/v1/pools", |got| decided(got).is_some()));
        let last = served.wait_for("/v1/pools", |got| {
            decided(got) > first && got.json()[0]["decision"]["limited_by"] == json!(["cooldown_down"])
        });
        let pool = &last.json()[0];
        assert_eq!(
            (&pool["decision"]["desired"], &pool["decision"]["raw"]),
            (&json!(5), &json!(1)),
            "{pool}"
        );
    };
    holds(&leader);
    leader.watcher.kill();
    standby.watcher.wait_for_type("leading");
    ready(&standby, "leader");
    holds(&standby);
    assert_eq!(standby.watcher.end().code, Some(0));
    let again = Served::start(&fleet);
    ready(&again, "leader");
    holds(&again);
    assert_eq!(again.watcher.end().code, Some(0));
    assert_eq!(recorded(&fleet).len(), 5);
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// A state that is away is waited for: nobody leads without it, and none is made in its place. Who is known follows the files.
#[test]
fn s1_17_a_state_that_goes_away_is_followed_by_nobody() {
    const KEY: &str = "a-key-of-the-block";
    let key = "access {\n  api_key \"ci\" {\n    role   = \"viewer\"\n    sha256 =                \"fe88b3cdec71912db6324c992ac10996bcbbae208c9e9953b2689ed78b522951\"\n  }\n}\n";
    let text = "provider \"local\" {}\nnode \"a\" {}\n";
    let fleet = Fleet::new(text);
    fleet.applied();
    let (leader, mut standby) = two(&fleet);
    ready(&leader, "leader");
    ready(&standby, "standby");
    let (there, away) = (fleet.states().join("fleet.db"), fleet.states().join("away.db"));
    std::fs::rename(&there, &away).expect("it is there");
    leader.watcher.kill();
    let failed = standby.watcher.wait_for_type("failed");
    assert!(
        failed["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("What is recorded cannot be followed")),
        "{failed}"
    );
    refused(&standby.wait_for("/readyz", |got| got.status == 503), 503, "fleet.db");
    std::thread::sleep(Duration::from_secs(5));
    assert!(!there.exists(), "no state is made in the place of one that is lost");
    std::fs::rename(&away, &there).expect("it was there");
    standby.watcher.wait_for_type("leading");
    ready(&standby, "leader");
    let mut third = Served::with(&fleet, &STANDBY);
    third.watcher.wait_for_type("standing_by");
    fleet.write(&format!("{text}{key}"));
    third.wait_as(KEY, "/v1/whoami", |got| got.status == 200 && got.json()["name"] == "ci");
    refused(&third.get("/v1/state"), 401, "a token is needed");
    for served in [standby, third] {
        assert_eq!(served.watcher.end().code, Some(0));
    }
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_17_a_change_is_passed_on_over_tls_behind_a_path() {
    let fleet = Fleet::new("");
    let roots = certificate(&fleet);
    fleet.write(
        "provider \"local\" {}\nnode \"a\" {}\nserve {\n  tls       = { cert = \"cert.pem\", key = \"key.pem\" }\n           base_path = \"/fleet\"\n}\n",
    );
    fleet.applied();
    let (leader, standby) = two(&fleet);
    let admin = token(&fleet, "boss", "admin");
    let ask = |asked: &str| over_tls(&standby.address, roots.clone(), asked, &admin).expect("it is trusted");
    let until = Instant::now() + Duration::from_secs(60);
    let url = loop {
        let leader = &ask("GET /fleet/v1/watch").json()["leader"];
        if let Some(url) = leader["url"].as_str() {
            break url.to_owned();
        }
        assert!(Instant::now() < until, "the leader is never known");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(url, format!("https://{}/fleet/", leader.address));
    // Nobody holds that, says the leader.
    refused(
        &ask("DELETE /fleet/v1/locks/nobody"),
        404,
        "no run `nobody` holds anything",
    );
    let written = audit(&fleet);
    let unlock = written
        .iter()
        .find(|line| line["action"] == "unlock")
        .expect("it is written down");
    assert_eq!((&unlock["by"], &unlock["from"]), (&json!("boss"), &json!("127.0.0.1")));
    for served in [leader, standby] {
        assert_eq!(served.watcher.end().code, Some(0));
    }
    fleet.ok(&["destroy", "--auto-approve"]);
}
