//! What an agent says to requests that make no sense, and to those without a token.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use simfleet_provider_agent::protocol::code;

use crate::harness::{Agent, create, shell, token, until};

/// Sends a request as it is and returns status and body.
fn send(agent: &Agent, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(agent.address).expect("connects");
    let request = format!(
        "{head}\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("writes");
    // The other side may have answered and closed before all of a long body is written.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn secret(agent: &Agent) -> String {
    let token = std::fs::read_to_string(agent.folder.path().join("token")).expect("reads");
    token.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_health_is_shown_without_the_token() {
    let agent = Agent::start().await;
    let secret = secret(&agent);
    let health: Value = serde_json::from_str(&send(&agent, "GET /healthz HTTP/1.1", b"").1).expect("is JSON");
    assert_eq!(health["status"], "ok");
    assert_eq!(health["node"], agent.node);
    assert_eq!(health["identity"]["pid"], agent.process.id());
    for path in [
        "/metrics",
        "/v1/metrics",
        "/v1/version",
        "/v1/node",
        "/v1/simulators",
        "/v1/nothing",
        "/",
    ] {
        for authorization in [
            String::new(),
            "\r\nAuthorization: Bearer".to_owned(),
            "\r\nAuthorization: Bearer x".to_owned(),
            format!("\r\nAuthorization: Basic {secret}"),
            format!("\r\nAuthorization: Bearer {secret}x"),
        ] {
            let (status, body) = send(&agent, &format!("GET {path} HTTP/1.1{authorization}"), b"");
            let error: Value = serde_json::from_str(&body).expect("is JSON");
            assert_eq!(
                (status, error["code"].as_str()),
                (401, Some(code::UNAUTHORIZED)),
                "{path} {authorization}"
            );
        }
    }
    let (status, _) = send(
        &agent,
        &format!("GET /v1/node HTTP/1.1\r\nAuthorization: bearer {secret}"),
        b"",
    );
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_nothing_breaks() {
    let agent = Agent::start().await;
    let secret = secret(&agent);
    let spec = json!({ "command": ["true"], "stop_grace": 1.0 });
    let put = |spec: Value| json!({ "token": "t", "lineage": "l", "spec": spec }).to_string();
    let with = |name: &str, value: Value| {
        let mut spec = spec.clone();
        spec[name] = value;
        put(spec)
    };
    let long = "x".repeat(2 << 20);
    let cases: Vec<(&str, String, u16)> = vec![
        ("PUT /v1/simulators/a", String::new(), 400),
        ("PUT /v1/simulators/a", "{".to_owned(), 400),
        ("PUT /v1/simulators/a", "[]".to_owned(), 422),
        ("PUT /v1/simulators/a", "\u{0}".to_owned(), 400),
        ("PUT /v1/simulators/a", long, 413),
        ("PUT /v1/simulators/a", put(json!({})), 422),
        ("PUT /v1/simulators/a", with("unknown", json!(1)), 422),
        ("PUT /v1/simulators/a", with("command", json!([])), 422),
        ("PUT /v1/simulators/a", with("command", json!(["a\u{0}b"])), 422),
        ("PUT /v1/simulators/a", with("stop_grace", json!(1e300)), 422),
        ("PUT /v1/simulators/a", with("stop_grace", json!(-1)), 422),
        ("PUT /v1/simulators/a", with("ports", json!({ "a": 99999 })), 422),
        ("PUT /v1/simulators/a", with("env", json!({ "": "x" })), 422),
        (
            "PUT /v1/simulators/a",
            with("health_check", json!({ "type": "tcp", "interval": 1e-9 })),
            422,
        ),
        ("PUT /v1/simulators/%ff", put(spec.clone()), 400),
        ("PUT /v1/simulators/%00", put(spec.clone()), 422),
        ("PUT /v1/simulators/", put(spec.clone()), 404),
        ("PATCH /v1/simulators/a", put(spec.clone()), 422),
        ("GET /v1/simulators/a", String::new(), 404),
        ("DELETE /v1/simulators/a?id=x", String::new(), 404),
        ("GET /v1/simulators/a/logs?tail=-1", String::new(), 400),
        ("POST /v1/simulators/a/start", String::new(), 404),
        ("POST /v1/simulators", String::new(), 405),
        ("POST /metrics", String::new(), 405),
        ("DELETE /v1/nothing", String::new(), 404),
        (
            "PUT /v1/node",
            json!({ "token": "t", "revision": 1, "settings": { "cpus": -1 } }).to_string(),
            422,
        ),
        (
            "PUT /v1/node",
            json!({ "token": "t", "revision": 9, "settings": {} }).to_string(),
            409,
        ),
        ("POST /v1/shutdown", json!({ "simulators": "burn" }).to_string(), 422),
        ("GET /v1/tokens/nobody", String::new(), 404),
    ];
    let authorization = format!("Authorization: Bearer {secret}\r\nContent-Type: application/json");
    for (request, body, expected) in cases {
        let shown: String = body.chars().take(60).collect();
        let (status, answer) = send(
            &agent,
            &format!("{request} HTTP/1.1\r\n{authorization}"),
            body.as_bytes(),
        );
        assert_eq!(status, expected, "{request} {shown}: {answer}");
        let error: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{request} {shown}: {answer}"));
        assert!(error["message"].is_string(), "{request}: {answer}");
    }
    let (status, body) = send(
        &agent,
        &format!("GET /v1/node HTTP/1.1\r\n{authorization}\r\nSimfleet-Protocol: 99"),
        b"",
    );
    assert_eq!(status, 426, "{body}");
    assert!(agent.simulator_folders().is_empty());
}

#[tokio::test]
async fn the_load_of_a_node_is_that_of_its_simulators() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    create(provider.as_ref(), &token(1), &shell("busy", "while :; do :; done"))
        .await
        .expect("is made");
    let client = agent.client();
    client.metrics().await.expect("answers");
    until("it is busy", || async {
        client.metrics().await.expect("answers").cpu > 5.0
    })
    .await;
    let memory = client.metrics().await.expect("answers").memory;
    assert!(memory.percent > 0.0 && memory.available < memory.total, "{memory:?}");
    let authorization = format!("Authorization: Bearer {}", secret(&agent));
    let (status, text) = send(&agent, &format!("GET /metrics HTTP/1.1\r\n{authorization}"), b"");
    assert_eq!(status, 200);
    assert!(text.contains("simulators{status=\"running\"} 1\n"), "{text}");
    assert!(text.contains("simulator_cpu_percent{name=\"busy\"} "), "{text}");
}
