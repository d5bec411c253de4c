//! Machines by hand over HTTP: programs that are uploaded and loaded, and a console that is followed.

use std::io::{BufRead, BufReader};

use serde_json::{Value as Json, json};

use crate::bench::{ARM, LOG, arm, console, counts_beyond, fleet, until};
use crate::served::Served;

#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn s3_04_s3_07_a_program_is_uploaded_and_loaded_and_the_console_is_followed() {
    // What is loaded by hand is other than what is declared, and the watch would have it as declared again.
    let fleet = fleet("  lifecycle { ignore_changes = [program] }\n");
    fleet.applied();
    counts_beyond(&fleet, LOG, 1);
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let ops = fleet
        .ok(&["token create", "ops", "--role", "operator"])
        .out
        .trim()
        .to_owned();
    let path = format!("/v1/simulators/{ARM}/console");
    let head = format!("authorization: Bearer {ops}\r\naccept: text/event-stream\r\n");
    let stream = served.asked("GET", &path, &served.address, &head);
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let event: Json = serde_json::from_str(&data.expect("it counts")).expect("JSON");
    let text = event["text"].as_str().expect("a text");
    assert!(
        text.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace()),
        "{text}"
    );
    drop(lines);
    let sse = "accept: text/event-stream\r\n";
    let none = served.call_with("GET", &format!("{path}?name=uart7"), &ops, sse, "");
    assert_eq!(none.status, 502, "{}", none.body);
    assert!(none.error().contains("it has uart0"), "{}", none.body);
    let tail = served.call("GET", &format!("{path}?tail=1000"), &ops, "").body;
    assert!(tail.starts_with("READY\n"), "{tail}");

    arm(&fleet, "hello.elf", "HELLO");
    let program = std::fs::read(fleet.path().join("hello.elf")).expect("a program");
    let uploaded = served.call("POST", "/v1/programs", &ops, program);
    assert_eq!(uploaded.status, 201, "{}", uploaded.body);
    let order = json!({ "program": uploaded.json()["sha256"] }).to_string();
    let loaded = served
        .call("POST", &format!("/v1/simulators/{ARM}/load?wait=60s"), &ops, order)
        .json();
    assert_eq!(loaded["status"], "succeeded", "{loaded}");
    until("it runs the other one", || {
        console(&fleet, LOG).contains("HELLO\n00000001\n").then_some(())
    });
    // The lap after a look.
    let looked = |serial: &Json| served.call("GET", "/v1/watch", &ops, "").json()["last_lap"] != *serial;
    let before = served.call("GET", "/v1/watch", &ops, "").json()["last_lap"].clone();
    until("there is another lap", || looked(&before).then_some(()));
    assert_eq!(fleet.planned(), Vec::<String>::new(), "it stays so");
    assert!(
        !console(&fleet, LOG)
            .split("HELLO")
            .last()
            .is_some_and(|rest| rest.contains("READY"))
    );
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
