//! Programs that are uploaded to a watch, and what simulators write.

use serde_json::{Value as Json, json};

use crate::api::{applied, audit, refused, token};
use crate::served::{Got, Served};

#[test]
fn s3_04_programs_are_uploaded_by_their_content_and_no_larger_than_allowed() {
    let fleet = applied("limits { max_program = \"1KiB\" }\n");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let ops = token(&fleet, "ops", "operator");
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let put = |sha256: &str, body: &[u8]| served.call("PUT", &format!("/v1/programs/{sha256}"), &ops, body);
    let kept = put(&HELLO.to_uppercase(), b"hello");
    assert_eq!(
        (kept.status, &kept.json()["sha256"], &kept.json()["size"]),
        (201, &json!(HELLO), &json!(5))
    );
    assert_eq!(
        served.call("POST", "/v1/programs", &ops, "hello").status,
        200,
        "it is there already"
    );
    refused(&put(HELLO, b"bye"), 400, "what was sent has the SHA-256");
    refused(&put("xyz", b"bye"), 400, "`xyz` is no SHA-256");
    refused(&put(HELLO, b""), 400, "the program is empty");
    let large = vec![b'x'; 1025];
    refused(&put(HELLO, &large), 413, "1024 bytes of `limits.max_program`");
    // Also where it is not said before how large it is.
    let chunked = "transfer-encoding: chunked\r\n";
    let more = format!("authorization: Bearer {ops}\r\n{chunked}");
    let mut stream = served.asked("POST", "/v1/programs", &served.address, &more);
    std::io::Write::write_all(
        &mut stream,
        format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)).as_bytes(),
    )
    .expect("it reads");
    refused(&Got::read(stream), 413, "1024 bytes");
    let all = served.call("GET", "/v1/programs", &ops, "").json();
    assert_eq!(
        (all.as_array().map(Vec::len), &all[0]["sha256"]),
        (Some(1), &json!(HELLO))
    );
    let folder = fleet.states().join("fleet.d/programs");
    assert_eq!(
        std::fs::read_dir(&folder).expect("a folder").count(),
        1,
        "what was refused is gone"
    );
    let metrics = served.call("GET", "/metrics", &ops, "").body;
    assert_eq!(
        crate::serve::metric(&metrics, "simulation_programs_uploaded_total"),
        Some(2.0)
    );
    // A kind that loads none says so.
    let load = json!({ "program": HELLO }).to_string();
    let unable = served
        .call("POST", "/v1/simulators/simulator.exec.slow/load?wait=30s", &ops, &load)
        .json();
    assert_eq!(
        unable["errors"][0]["detail"], "A `simulator \"exec\"` has no `load`.",
        "{unable}"
    );
    assert_eq!(
        served.call("DELETE", &format!("/v1/programs/{HELLO}"), &ops, "").status,
        204
    );
    assert_eq!(
        served.call("DELETE", &format!("/v1/programs/{HELLO}"), &ops, "").status,
        404
    );
    // Whoever is not known any more does not go on with what they began.
    let more = format!("authorization: Bearer {ops}\r\ncontent-length: 10\r\n");
    let mut other = served.asked("PUT", &format!("/v1/programs/{HELLO}"), &served.address, &more);
    std::io::Write::write_all(&mut other, b"half").expect("it reads");
    fleet.ok(&["token revoke", "ops"]);
    refused(&Got::read(other), 401, "the token is not known any more");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s3_07_what_a_simulator_writes_is_read_and_followed() {
    let fleet = applied("");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let viewer = token(&fleet, "reader", "viewer");
    let ops = token(&fleet, "ops", "operator");
    let path = "/v1/simulators/simulator.exec.job%5B0%5D/console";
    let text = served.wait_as(&viewer, path, |got| got.body == "up\n");
    assert!(text.head.contains("content-type: text/plain"), "{}", text.head);
    refused(
        &served.call("GET", "/v1/simulators/simulator.exec.job/console", &viewer, ""),
        400,
        "these are several",
    );
    refused(
        &served.call("GET", "/v1/simulators/simulator.exec.none/console", &viewer, ""),
        404,
        "simulator.exec.none",
    );
    // What is written from now on: it starts anew while it is followed.
    let head = format!("authorization: Bearer {viewer}\r\naccept: text/event-stream\r\n");
    let stream = served.asked("GET", path, &served.address, &head);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok);
    assert!(lines.next().is_some_and(|status| status.contains("200")));
    let reset = served.call(
        "POST",
        "/v1/simulators/simulator.exec.job%5B0%5D/reset?wait=30s",
        &ops,
        "",
    );
    assert_eq!(reset.json()["status"], "succeeded", "{}", reset.body);
    let event = lines
        .find_map(|line| line.strip_prefix("data: ").map(str::to_owned))
        .expect("an event");
    let event: Json = serde_json::from_str(&event).expect("JSON");
    assert_eq!((&event["source"], &event["text"]), (&json!("output"), &json!("up\n")));
    assert!(
        audit(&fleet)
            .iter()
            .any(|line| line["action"] == "simulator.console" && line["by"] == "reader")
    );
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
