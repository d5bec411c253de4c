//! What a watch shows of itself over HTTP.

use serde_json::Value as Json;

use crate::load::{Answer, Load};
use crate::served::Served;
use crate::sizes::local;
use crate::support::Fleet;

/// Returns the value of a metric.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

#[test]
fn s1_18_s1_25_s1_29_s3_13_s4_09_s4_11_a_watch_shows_what_it_does_and_why() {
    let load = Load::of(50.0);
    let vehicle = "simulator \"exec\" \"sim\" {\n  placement = pool.web\n  command = [\"sleep\", \"1000\"]\n}\n";
    let fleet = Fleet::new(&(local(&load.url()) + vehicle));
    fleet.applied();
    let mut served = Served::start(&fleet);
    served.watcher.wait_for_type("watching");
    served.wait_for("/readyz", |got| got.status == 200);
    assert_eq!(served.get("/healthz").json()["status"], "ok");
    assert_eq!(served.get("/health").status, 200);

    // What the verbs print.
    let verb = |verb: &str, more: &str| -> Json { serde_json::from_str(&fleet.ok(&[verb, more]).out).expect("JSON") };
    assert_eq!(served.get("/v1/state").json(), verb("show", "--json"));
    let addresses = |list: &Json| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one["address"].to_string() + &one["status"].to_string())
            .collect()
    };
    for (path, name) in [("/v1/nodes", "nodes"), ("/v1/simulators", "simulators")] {
        let listed = verb(name, "--json");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        served.wait_for(path, |got| addresses(&got.json()) == addresses(&listed));
    }

    let page = served.get("/");
    assert!(
        page.head.contains("content-type: text/html") && page.body.contains("<title>simfleet"),
        "{}",
        page.head
    );
    assert!(
        page.head.contains("content-security-policy: default-src 'none'"),
        "{}",
        page.head
    );
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    let itself = served.get("/v1/watch").json();
    assert!(
        itself["trouble"].is_null() && itself["pending"].is_null() && itself["ready"] == true,
        "{itself}"
    );

    // A pool that grows, and why.
    load.set(90.0);
    served.watcher.wait_for_size("pool.web", 5);
    let pools = served
        .wait_for("/v1/pools", |got| got.json()[0]["decision"]["desired"] == 5)
        .json();
    let pool = &pools[0];
    assert_eq!(
        (&pool["address"], &pool["min"], &pool["max"]),
        (&"pool.web".into(), &1.into(), &5.into())
    );
    assert!(
        pool["because"]
            .as_str()
            .is_some_and(|because| because.contains("busy=")),
        "{pool}"
    );
    assert_eq!(pool["checks"]["busy"]["value"], 90.0, "{pool}");
    assert!(
        pool["checks"]["busy"]["at"].is_string() && pool["next"].is_string(),
        "{pool}"
    );
    served.wait_for("/v1/pools", |got| got.json()[0]["members"] == 5);
    let history = served.get("/v1/pools/web/history?window=5m").json();
    let laps = history["laps"].as_array().expect("laps");
    assert!(
        laps.iter()
            .any(|lap| lap["desired"] == 5 && lap["values"]["busy"] == 90.0),
        "{history}"
    );
    assert!(laps.iter().all(|lap| lap["at"].is_string()), "{history}");
    served.wait_for("/v1/pools/pool.web/history", |got| got.json()["peak"]["size"] == 5);

    // The verb says the same, also while nobody watches.
    let told = fleet.ok(&["pool history", "web", "--window", "5m", "--json"]).out;
    let told: Json = serde_json::from_str(&told).expect("JSON");
    let known = told["laps"].as_array().expect("laps").iter();
    assert!(laps.iter().all(|lap| known.clone().any(|one| one == lap)), "{told}");
    let told = fleet.ok(&["pool history", "pool.web"]).out;
    assert!(told.contains("busy 90.00") && told.contains("WANTED"), "{told}");
    let unknown = fleet.run(&["pool history", "webb"]);
    assert!(
        unknown.code == Some(1) && unknown.err.contains("pool.web"),
        "{}",
        unknown.err
    );

    let text = served.get("/metrics").body;
    for (name, value) in [
        ("simfleet_pool_desired{pool=\"pool.web\"}", 5.0),
        ("simfleet_pool_max{pool=\"pool.web\"}", 5.0),
        ("simfleet_check_value{pool=\"pool.web\",check=\"busy\"}", 90.0),
        ("simfleet_check_up{pool=\"pool.web\",check=\"busy\"}", 1.0),
        ("simfleet_simulators{status=\"running\"}", 1.0),
        ("simulation_active_sessions", 1.0),
        ("simulation_jobs_queued", 0.0),
    ] {
        assert_eq!(metric(&text, name), Some(value), "{name}:\n{text}");
    }
    for name in [
        "simfleet_lap_duration_seconds_count",
        "simfleet_lap_lag_seconds_count",
        "simfleet_applies_total{result=\"ok\"}",
        "node_cpu_percent{node=\"pool.web/m1\"}",
        "node_memory_percent{node=\"pool.web/m1\"}",
        "http_requests_total{method=\"GET\",path=\"/v1/state\",status=\"200\"}",
        "http_request_duration_seconds_count{method=\"GET\",path=\"/v1/state\",status=\"200\"}",
    ] {
        assert!(metric(&text, name).is_some(), "{name}:\n{text}");
    }

    // A source that fails is told with its reason, and its value grows old.
    load.say(Answer::Status(500));
    let failed = served.wait_for("/v1/pools", |got| got.json()[0]["checks"]["busy"]["failed"].is_string());
    assert!(failed.body.contains("500"), "{}", failed.body);

    // Events, and only those after the last one that was seen.
    let events = served.events("", 3);
    assert_eq!(
        (&events[0].1["type"], &events[1].1["type"]),
        (&"listening".into(), &"watching".into())
    );
    assert_eq!(served.events(&events[0].0, 2), events[1..]);
    assert_eq!(served.events("1-1", 3), events, "the id of a watch before this one");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn what_cannot_be_answered_is_said_as_json_and_nothing_secret_is_shown() {
    let load = Load::of(50.0);
    let secret = "variable \"password\" {\n  sensitive = true\n}\n\
                  output \"password\" {\n  sensitive = true\n  value     = var.password\n}\n";
    let fleet = Fleet::new(&(local(&load.url()) + secret)).with_environment([("SIMFLEET_VAR_password", "hunter2")]);
    fleet.applied();
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    for (method, path, status, why) in [
        ("GET", "/v2", 404, "/v2"),
        ("GET", "/v1/pools/none/history", 404, "there is no pool `none`"),
        (
            "GET",
            "/v1/pools/web/history?window=soon",
            400,
            "`window=soon` is no duration",
        ),
        ("GET", "/v1/events?laps=perhaps", 400, "laps"),
        ("POST", "/v1/pools", 405, "`/v1/pools` does not take POST"),
        ("GET", "/v1/simulators/%ff", 400, "Invalid URL"),
    ] {
        let got = served.ask(method, path, &served.address);
        assert_eq!(got.status, status, "{path}: {}", got.body);
        let error = got.json()["error"].to_string();
        assert!(error.contains(why), "{path}: {error}");
    }
    // A page of another name that leads here reads nothing.
    let elsewhere = served.ask("GET", "/v1/state", "evil.example");
    assert_eq!(elsewhere.status, 421, "{}", elsewhere.body);
    assert!(!elsewhere.body.contains("pool.web"), "{}", elsewhere.body);
    for path in ["/v1/state", "/v1/pools", "/v1/nodes", "/metrics"] {
        let got = served.get(path);
        assert_eq!(got.status, 200, "{path}");
        assert!(!got.body.contains("hunter2"), "{path}: {}", got.body);
        assert!(got.head.contains("cache-control: no-store"), "{path}: {}", got.head);
    }
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn it_listens_on_this_machine_only_and_where_it_can() {
    let fleet = Fleet::new(&local(&Load::of(50.0).url()));
    let refused = fleet.run(&["watch", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    insta::assert_snapshot!("beyond_this_machine", refused.err);
    assert_eq!(fleet.run(&["watch", "--listen", ":0"]).code, Some(1));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it listens").to_string();
    let refused = fleet.run(&["watch", "--listen", &address]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("in use") && refused.err.contains(&address),
        "{}",
        refused.err
    );
    assert_eq!(fleet.run(&["watch", "--listen", "fleet"]).code, Some(64));
}
