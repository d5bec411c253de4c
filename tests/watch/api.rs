//! Who may ask a watch over HTTP, and what is done there.

use serde_json::{Value as Json, json};

use crate::served::{Got, Served};
use crate::support::Fleet;

/// A node with two processes that can be stopped, and one that takes its time to.
const FLEET: &str = r#"
provider "local" {}
node "a" {}
simulator "exec" "job" {
  count     = 2
  placement = node.a
  command   = ["sh", "-c", "echo up; exec sleep 1000"]
}
simulator "exec" "slow" {
  placement = node.a
  command   = ["sh", "-c", "trap 'echo asked; sleep 4; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
}
"#;

pub fn applied(more: &str) -> Fleet {
    let fleet = Fleet::new(&format!("{FLEET}{more}"));
    fleet.applied();
    fleet
}

/// Makes a token.
pub fn token(fleet: &Fleet, name: &str, role: &str) -> String {
    let token = fleet.ok(&["token create", name, "--role", role]).out.trim().to_owned();
    assert!(token.starts_with("sf_"), "{token}");
    token
}

/// The lines of the audit log.
pub fn audit(fleet: &Fleet) -> Vec<Json> {
    let text = std::fs::read_to_string(fleet.states().join("audit.jsonl")).expect("an audit log");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[track_caller]
pub fn refused(got: &Got, status: u16, why: &str) {
    assert_eq!(got.status, status, "{}{}", got.head, got.body);
    assert!(got.error().contains(why), "{why}: {}", got.body);
}

#[test]
fn s1_02_s1_14_s3_11_s4_18_who_may_ask_is_known_by_a_token_and_may_do_what_the_role_says() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    // Without any token it is read on this machine, and changed by nobody.
    let who = served.get("/v1/whoami").json();
    assert_eq!(
        (&who["name"], &who["role"], &who["token_needed"]),
        (&Json::Null, &json!("viewer"), &json!(false))
    );
    let stop = "/v1/simulators/simulator.exec.job%5B0%5D/stop";
    refused(&served.call("POST", stop, "", ""), 401, "needs a token");
    refused(&served.call("POST", stop, "sf_x", ""), 401, "needs a token");

    // From the first one on, every request needs one, at once; but for what says whether it is well, and the page.
    let viewer = token(&fleet, "reader", "viewer");
    for path in [
        "/v1/state",
        "/v1/nodes",
        "/metrics",
        "/v1/openapi.json",
        "/v1/events",
        "/v2",
        "/v1/whoami",
    ] {
        let got = served.get(path);
        refused(&got, 401, "a token is needed");
        assert_eq!(
            got.header("www-authenticate"),
            Some("bearer realm=\"simfleet\""),
            "{path}"
        );
    }
    for path in ["/", "/healthz", "/health", "/readyz"] {
        assert_eq!(served.get(path).status, 200, "{path}");
    }
    let operator = token(&fleet, "ops", "operator");
    let admin = token(&fleet, "boss", "admin");
    let who = served.call("GET", "/v1/whoami", &operator, "").json();
    assert_eq!(
        (&who["name"], &who["role"], &who["source"], &who["from"]),
        (
            &json!("ops"),
            &json!("operator"),
            &json!("created"),
            &json!("127.0.0.1")
        )
    );
    // What each may do.
    let locks = "/v1/locks/nobody";
    for (method, path, allowed) in [
        ("GET", "/v1/state", [200, 200, 200]),
        ("GET", "/v1/operations", [200, 200, 200]),
        ("POST", stop, [403, 202, 202]),
        ("DELETE", "/v1/holds/simulator.exec.job%5B1%5D", [403, 404, 404]),
        ("POST", "/v1/programs", [403, 400, 400]),
        ("DELETE", locks, [403, 403, 404]),
    ] {
        let found = [&viewer, &operator, &admin].map(|token| served.call(method, path, token, "").status);
        assert_eq!(found, allowed, "{method} {path}");
    }
    let got = served.call("POST", stop, &viewer, "");
    refused(&got, 403, "`reader` is viewer, and this needs operator");

    // One that is revoked opens nothing from then on, and says so; nor does the last one open what it closed.
    fleet.ok(&["token revoke", "reader"]);
    refused(
        &served.call("GET", "/v1/state", &viewer, ""),
        401,
        "`reader` was revoked",
    );
    fleet.ok(&["token revoke", "ops"]);
    fleet.ok(&["token revoke", "boss"]);
    refused(&served.get("/v1/state"), 401, "a token is needed");
    let brief = token(&fleet, "brief", "viewer");
    assert_eq!(served.call("GET", "/v1/state", &brief, "").status, 200);
    fleet.ok(&["token revoke", "brief"]);
    let brief = fleet
        .ok(&["token create", "brief", "--role", "viewer", "--expires", "1ms"])
        .out;
    refused(
        &served.call("GET", "/v1/state", brief.trim(), ""),
        401,
        "`brief` expired",
    );
    assert_eq!(served.watcher.end().code, Some(0));

    // What is kept of them, and written down.
    let list: Json = serde_json::from_str(&fleet.ok(&["token list", "--json"]).out).expect("JSON");
    let statuses: Vec<String> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {}", one["name"], one["status"]))
        .collect();
    assert_eq!(
        statuses,
        [
            "\"boss\" \"revoked\"",
            "\"brief\" \"expired\"",
            "\"ops\" \"revoked\"",
            "\"reader\" \"revoked\""
        ]
    );
    let state = std::fs::read(fleet.states().join("fleet.db")).expect("the state");
    assert!(
        !state
            .windows(operator.len())
            .any(|window| window == operator.as_bytes())
    );
    let written = audit(&fleet);
    let made = written
        .iter()
        .find(|line| line["action"] == "token.create")
        .expect("it is written down");
    assert_eq!(
        (&made["address"], &made["parameters"]["role"]),
        (&json!("reader"), &json!("viewer"))
    );
    let refused = written
        .iter()
        .find(|line| line["action"] == "http.post")
        .expect("also what was refused");
    assert_eq!(
        (&refused["by"], &refused["address"], &refused["result"]),
        (&json!("reader"), &json!(stop), &json!("error"))
    );
    assert!(!written.iter().any(|line| line.to_string().contains("sf_")));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_04_s3_02_s3_10_what_is_done_over_http_is_done_as_by_the_verbs() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let ops = token(&fleet, "ops", "operator");
    let post = |path: &str, body: &str| served.call("POST", path, &ops, body);
    let get = |path: &str| served.call("GET", path, &ops, "");

    // One instance is stopped and held so; what becomes of it is told at its place.
    let got = post("/v1/simulators/simulator.exec.job%5B0%5D/stop", "{\"for\": \"1h\"}");
    assert_eq!(got.status, 202, "{}", got.body);
    let begun = got.json();
    let place = got.header("location").expect("a place").to_owned();
    assert_eq!(
        place,
        format!("/v1/operations/{}", begun["id"].as_str().expect("an id"))
    );
    let ended = get(&format!("{place}?wait=30s")).json();
    assert_eq!(
        (&ended["status"], &ended["by"], &ended["from"]),
        (&json!("succeeded"), &json!("ops"), &json!("127.0.0.1"))
    );
    assert_eq!(ended["result"][0]["address"], "simulator.exec.job[0]");
    assert_eq!(ended["result"][0]["changed"], true);
    assert!(
        ended["result"][0]["until"].is_string() && ended["ended"].is_string(),
        "{ended}"
    );
    assert_eq!(ended["parameters"], json!({ "for": "1h" }));
    let simulators: Json = serde_json::from_str(&fleet.ok(&["simulators", "--json"]).out).expect("JSON");
    assert_eq!(
        (&simulators[0]["status"], &simulators[0]["hold"]["by"]),
        (&json!("stopped"), &json!("ops"))
    );
    assert_eq!(simulators[1]["status"], "running");
    // The loop knows of it, and leaves it alone.
    served.wait_as(&ops, "/v1/holds", |got| {
        got.json()[0]["address"] == "simulator.exec.job[0]"
    });
    assert_eq!(fleet.planned(), Vec::<String>::new());

    // Again is no news; a block is all its instances; and waiting for the end is one request.
    let again = post("/v1/simulators/simulator.exec.job/stop?wait=30s", "{}").json();
    let changed: Vec<&Json> = again["result"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["changed"])
        .collect();
    assert_eq!(
        (&again["status"], changed),
        (&json!("succeeded"), vec![&json!(true), &json!(true)]),
        "another end is news"
    );
    let started = served.call("DELETE", "/v1/holds/simulator.exec.job%5B1%5D?wait=30s", &ops, "");
    assert_eq!(
        (started.status, &started.json()["verb"]),
        (200, &json!("start")),
        "{}",
        started.body
    );
    let one = get("/v1/simulators/simulator.exec.job%5B1%5D");
    assert_eq!(one.status, 200, "{}", one.body);
    for verb in ["start", "pause", "resume", "reset"] {
        let ended = post(&format!("/v1/simulators/simulator.exec.job%5B0%5D/{verb}?wait=30s"), "").json();
        assert_eq!(ended["status"], "succeeded", "{verb}: {ended}");
    }

    // What cannot be done says why, before or after it has begun.
    let sha256 = "0".repeat(64);
    let load = json!({ "program": sha256 }).to_string();
    for (path, body, status, why) in [
        (
            "simulator.exec.none/stop",
            "",
            404,
            "simulator.exec.none is neither declared nor recorded",
        ),
        ("node.a/stop", "", 404, "is no simulator"),
        ("nonsense[/stop", "", 400, "nonsense["),
        ("simulator.exec.slow/explode", "", 404, "there is nothing at"),
        (
            "simulator.exec.slow/stop",
            "{\"form\": \"1h\"}",
            400,
            "unknown field `form`",
        ),
        (
            "simulator.exec.slow/stop",
            "{\"for\": \"soon\"}",
            400,
            "`for=soon` is no duration",
        ),
        ("simulator.exec.slow/stop?wait=x", "", 400, "`wait=x` is no duration"),
        ("simulator.exec.slow/stop", "[", 400, "the body"),
        ("simulator.exec.slow/load", load.as_str(), 404, "there is no program"),
        (
            "simulator.exec.slow/load",
            "{\"program\": \"../x\"}",
            400,
            "is no SHA-256",
        ),
        (
            "simulator.exec.slow/snapshot",
            "{\"name\": \"../x\"}",
            400,
            "is no name",
        ),
        ("simulator.exec.slow/snapshot", "", 400, "missing field `name`"),
    ] {
        refused(&post(&format!("/v1/simulators/{path}"), body), status, why);
    }
    let large = "x".repeat(65 << 10);
    assert_eq!(post("/v1/simulators/simulator.exec.slow/stop", &large).status, 413);
    refused(&get("/v1/operations/op_none"), 404, "no operation `op_none`");
    let unable = post(
        "/v1/simulators/simulator.exec.slow/snapshot?wait=30s",
        "{\"name\": \"a\"}",
    )
    .json();
    assert_eq!(unable["status"], "failed", "{unable}");
    assert_eq!(
        unable["errors"][0]["detail"],
        "A `simulator \"exec\"` has no `snapshot`."
    );
    assert!(
        unable["errors"][0]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("what can be done with it")),
        "{unable}"
    );
    let all = get("/v1/operations").json();
    assert_eq!(all[0]["id"], unable["id"], "the newest first");
    assert_eq!(served.watcher.end().code, Some(0));

    // The same log as that of the verbs, with who and from where.
    let written = audit(&fleet);
    let stop = written
        .iter()
        .find(|line| line["action"] == "simulator.stop")
        .expect("it is written down");
    assert_eq!(
        (&stop["by"], &stop["from"], &stop["result"]),
        (&json!("ops"), &json!("127.0.0.1"), &json!("ok"))
    );
    let last = written
        .iter()
        .rfind(|line| line["action"] == "simulator.snapshot")
        .expect("also what was refused");
    assert_eq!(last["result"], "error");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn simulators_are_allocated_over_http_by_the_name_of_the_token() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let (ann, bob) = (token(&fleet, "ann", "operator"), token(&fleet, "bob", "operator"));
    let any = "/v1/simulators/simulator.exec.job/allocate?wait=30s";
    let given = |token: &str| served.call("POST", any, token, r#"{"any": true, "for": "1h"}"#).json();
    let (first, second) = (given(&ann), given(&bob));
    assert_eq!(first["result"][0]["address"], "simulator.exec.job[0]", "{first}");
    assert_eq!(second["result"][0]["address"], "simulator.exec.job[1]", "{second}");
    let third = given(&bob);
    assert_eq!(third["status"], "failed");
    let why = third["errors"][0]["detail"].as_str().expect("a text");
    assert!(why.contains("2 allocated"), "{why}");
    let release = "/v1/simulators/simulator.exec.job%5B0%5D/release?wait=30s";
    assert_eq!(served.call("POST", release, &bob, "").json()["status"], "failed");
    assert_eq!(served.call("POST", release, &ann, "").json()["status"], "succeeded");
    served.wait_as(&ann, "/v1/simulators", |got| {
        let all = got.json();
        all[0]["allocation"].is_null() && all[1]["allocation"]["by"] == "bob"
    });
    let last = audit(&fleet).pop().expect("a line");
    assert_eq!(
        (&last["action"], &last["result"]),
        (&json!("simulator.release"), &json!("ok"))
    );
}

#[test]
fn an_operation_of_a_watch_that_is_killed_was_interrupted_and_is_finished_by_the_next() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let ops = token(&fleet, "ops", "operator");
    let follow = served.call("POST", "/v1/simulators/simulator.exec.slow/stop", &ops, "");
    let place = follow.header("location").expect("a place").to_owned();
    // It takes four seconds to stop, and has begun to.
    let asked = "/v1/simulators/simulator.exec.slow/console?tail=5";
    served.wait_as(&ops, asked, |got| got.body.contains("asked"));
    assert_eq!(served.call("GET", &place, &ops, "").json()["status"], "running");
    served.watcher.kill();

    let served = Served::start(&fleet);
    let operation = served.call("GET", &place, &ops, "").json();
    assert_eq!(operation["status"], "interrupted", "{operation}");
    assert!(
        operation["message"]
            .as_str()
            .is_some_and(|why| why.contains("is finished by the watch that followed")),
        "{operation}"
    );
    let stopped = |got: &Got| got.json()["status"] == "stopped" && got.json()["hold"]["by"] == "ops";
    served.wait_as(&ops, "/v1/simulators/simulator.exec.slow", |got| {
        got.status == 200 && stopped(got)
    });
    assert_eq!(served.watcher.end().code, Some(0));
    assert_eq!(fleet.planned(), Vec::<String>::new());
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn a_watch_that_is_asked_to_end_says_what_it_interrupted() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let ops = token(&fleet, "ops", "operator");
    let got = served.call("POST", "/v1/simulators/simulator.exec.slow/stop", &ops, "");
    let place = got.header("location").expect("a place").to_owned();
    served.wait_as(&ops, "/v1/simulators/simulator.exec.slow/console", |got| {
        got.body.contains("asked")
    });
    assert_eq!(served.watcher.end().code, Some(0));
    let served = Served::start(&fleet);
    let operation = served.call("GET", &place, &ops, "").json();
    assert_eq!(operation["status"], "interrupted", "{operation}");
    let detail = operation["errors"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("the run was stopped"), "{operation}");
    let stopped = |got: &Got| got.status == 200 && got.json()["status"] == "stopped";
    served.wait_as(&ops, "/v1/simulators/simulator.exec.slow", stopped);
    assert_eq!(served.watcher.end().code, Some(0));
    // One that changes nothing takes no orders.
    let served = Served::with(&fleet, &["--listen", "127.0.0.1:0", "--dry-run"]);
    served.wait_as(&ops, "/readyz", |got| got.status == 200);
    let got = served.call("POST", "/v1/simulators/simulator.exec.slow/start", &ops, "");
    refused(&got, 409, "--dry-run");
    refused(&served.call("POST", "/v1/programs", &ops, "x"), 409, "--dry-run");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn what_is_followed_ends_with_the_token_that_opened_it() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    let follow = |more: &str| {
        let stream = served.asked("GET", "/v1/events", &served.address, more);
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
        assert!(
            lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| line.contains(" 200 ")))
        );
        lines.map_while(Result::ok)
    };
    // Also what was followed before there was any token.
    let open = follow("");
    let viewer = token(&fleet, "reader", "viewer");
    let known = follow(&format!("authorization: Bearer {viewer}\r\n"));
    assert!(open.last().is_some(), "it ends");
    fleet.ok(&["token revoke", "reader"]);
    assert!(known.last().is_some(), "it ends");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn who_waits_for_the_end_of_an_operation_does_so_as_long_as_the_token_is_known() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    let [boss, worker] = ["boss", "worker"].map(|name| token(&fleet, name, "operator"));
    let allocate = "/v1/simulators/simulator.exec.slow/allocate";
    let got = served.call("POST", &format!("{allocate}?wait=30s"), &boss, "");
    assert_eq!(got.json()["status"], "succeeded", "{}", got.body);
    // The operation waits until somebody gives it back, and its answer for the end of that.
    let body = r#"{"wait":"60s"}"#;
    let head = format!("authorization: Bearer {worker}\r\ncontent-length: {}\r\n", body.len());
    let mut answer = served.asked("POST", &format!("{allocate}?wait=60s"), &served.address, &head);
    std::io::Write::write_all(&mut answer, body.as_bytes()).expect("it reads");
    let goes_on = |got: &Got| got.body.contains("\"running\"");
    let listed = served.wait_as(&boss, "/v1/operations", goes_on).json();
    let waits = listed[0]["id"].as_str().expect("an id");
    fleet.ok(&["token revoke", "worker"]);
    refused(&Got::read(answer), 401, "not known any more");
    let goes_on = served.call("GET", &format!("/v1/operations/{waits}"), &boss, "");
    assert_eq!(goes_on.json()["status"], "running", "{}", goes_on.body);
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
