//! The OpenAPI document of a watch: it is what is answered.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::load::Load;
use crate::served::Served;
use crate::sizes::local;
use crate::support::Fleet;

const SIMULATOR: &str = r#"
simulator "exec" "job" {
  placement = pool.web
  command   = ["sleep", "1000"]
}
"#;

fn fleet(load: &Load) -> Fleet {
    let fleet = Fleet::new(&(local(&load.url()) + SIMULATOR));
    fleet.applied();
    fleet
}

/// Returns a path with something for each of its parameters.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{pool}" => "web",
        "{address}" => "simulator.exec.job",
        "{sha256}" => "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "{id}" => "op_none",
        "{holder}" => "nobody",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_stream(path: &str) -> bool {
    path == "/v1/events"
}

#[test]
fn what_the_document_says_is_answered_and_nothing_else() {
    let load = Load::of(50.0);
    let fleet = fleet(&load);
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let admin = fleet
        .ok(&["token create", "boss", "--role", "admin"])
        .out
        .trim()
        .to_owned();
    let document = served.call("GET", "/v1/openapi.json", &admin, "").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 30, "{}", paths.len());
    for (path, item) in paths {
        for method in ["get", "post", "put", "delete", "patch"] {
            let is_said = item.get(method).is_some();
            let asked = filled(path);
            if is_stream(path) && method == "get" {
                let more = format!("authorization: Bearer {admin}\r\n");
                let stream = served.asked("GET", &asked, &served.address, &more);
                let first = BufReader::new(stream).lines().next().and_then(Result::ok);
                assert!(first.is_some_and(|line| line.contains(" 200 ")), "{path}");
                continue;
            }
            let got = served.call(&method.to_uppercase(), &asked, &admin, "");
            let is_known = got.status != 405 && !got.body.contains("there is nothing at");
            assert_eq!(is_known, is_said, "{method} {path}: {} {}", got.status, got.body);
            if is_said && method == "get" {
                let told = &item["get"]["responses"];
                let is_told = told.get(got.status.to_string()).is_some() || got.status >= 400;
                assert!(is_told, "{path}: {}", got.status);
            }
            // Without a token: what the document says.
            let is_open = item[method]["security"] == json!([]);
            let nobody = served.call(&method.to_uppercase(), &asked, "", "").status;
            assert_eq!(nobody == 401, !is_open, "{method} {path}: {nobody}");
        }
    }
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs openapi-spec-validator; scripts/test installs it"]
fn the_document_is_openapi_and_answers_are_what_it_says() {
    let python = std::env::var_os("SIMFLEET_TEST_PYTHON").expect("scripts/test names a Python");
    let load = Load::of(50.0);
    let fleet = fleet(&load);
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let who = served.call("GET", "/v1/whoami", "", "").json();
    let admin = fleet
        .ok(&["token create", "boss", "--role", "admin"])
        .out
        .trim()
        .to_owned();
    served.wait_as(&admin, "/v1/pools", |got| got.json()[0]["decision"].is_object());
    let document = served.call("GET", "/v1/openapi.json", &admin, "").json();
    let mut answers = vec![json!({ "path": "/v1/whoami", "method": "get", "status": 200, "body": who })];
    let mut ask = |method: &str, path: &str, asked: &str, body: &str| -> Json {
        let got = served.call(&method.to_uppercase(), asked, &admin, body);
        let body = got.json();
        answers.push(json!({ "path": path, "method": method, "status": got.status, "body": body }));
        body
    };
    ask("post", "/v1/programs", "/v1/programs", "hello");
    ask(
        "post",
        "/v1/simulators/{address}/load",
        "/v1/simulators/simulator.exec.job/load",
        "{}",
    );
    ask(
        "post",
        "/v1/simulators/{address}/start",
        "/v1/simulators/none/start",
        "{}",
    );
    let stop = "/v1/simulators/simulator.exec.job/stop";
    let begun = ask("post", "/v1/simulators/{address}/stop", stop, "{\"for\": \"1h\"}");
    let id = begun["id"].as_str().expect("an id");
    let ended = ask(
        "get",
        "/v1/operations/{id}",
        &format!("/v1/operations/{id}?wait=30s"),
        "",
    );
    assert_eq!(ended["status"], "succeeded");
    let unable = "/v1/simulators/simulator.exec.job/snapshot?wait=30s";
    ask("post", "/v1/simulators/{address}/snapshot", unable, "{\"name\": \"a\"}");
    let paths = document["paths"].as_object().expect("paths").clone();
    for (path, item) in &paths {
        let is_json = !item["get"]["responses"]["200"]["content"]["application/json"].is_null();
        if is_json {
            ask("get", path, &filled(path), "");
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/watch/contract.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let given = json!({ "document": document, "answers": answers }).to_string();
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(given.as_bytes()).expect("it reads");
    drop(stdin);
    let ended = child.wait_with_output().expect("it ends");
    let out = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success(),
        "{out}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    assert!(out.contains("answers fit"), "{out}");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
