//! A container counts as made once it is healthy, by the engine's own look or by one from here.

use std::time::{Duration, Instant};

use simfleet_provider_api::{Attributes, Step, Value};
use simfleet_provider_docker::schema::CONTAINER;

use crate::harness::{Fleet, container, differences, docker, texts, with};

fn check(fields: &[(&'static str, Value)]) -> Value {
    let common = [
        ("interval", Value::from(1u64)),
        ("timeout", Value::from(1u64)),
        ("unhealthy_threshold", Value::from(20u64)),
    ];
    Value::object(fields.iter().cloned().chain(common))
}

fn runs(name: &str, script: &str, health_check: Value) -> Attributes {
    let wanted = with(&container(name), "command", texts(["sh", "-c", script]));
    with(&wanted, "health_check", health_check)
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_create_ends_when_the_container_is_healthy() {
    let fleet = Fleet::new().await;
    let command = check(&[
        ("type", "command".into()),
        ("command", texts(["test", "-e", "/tmp/ready"])),
    ]);
    let wanted = runs("by-command", "sleep 2; touch /tmp/ready; exec sleep 60", command);
    let step = fleet
        .provider
        .create(&CONTAINER, &fleet.token(), &wanted)
        .await
        .expect("it begins");
    assert!(matches!(step, Step::Running { .. }), "{step:?}");
    let made = fleet
        .create(&CONTAINER, &with(&wanted, "name", "again"))
        .await
        .expect("it gets healthy");
    assert_eq!(made.attributes.str("status"), Some("healthy"));

    let listens = "sleep 1; mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w";
    let published = |wanted: &Attributes, port: u16| {
        let wanted = with(wanted, "publish", texts([&format!("127.0.0.1:{port}:80/tcp")]));
        with(&wanted, "ports", Value::object([("web", Value::from(u64::from(port)))]))
    };
    let free = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|it| it.local_addr())
            .expect("a port")
            .port()
    };
    let port = free();
    let url = Value::from(format!("http://127.0.0.1:{port}/index.html"));
    let http = runs("by-http", listens, check(&[("type", "http".into()), ("url", url)]));
    let made = fleet
        .create(&CONTAINER, &published(&http, port))
        .await
        .expect("it gets healthy");
    let answer = docker(&["exec", &made.id.0, "wget", "-qO-", "http://127.0.0.1/"]);
    assert_eq!(answer, "hello");
    for port_of in ["web", "80"] {
        let tcp = runs(
            "by-tcp",
            listens,
            check(&[("type", "tcp".into()), ("port", port_of.into())]),
        );
        fleet
            .create(&CONTAINER, &published(&tcp, free()))
            .await
            .expect("it gets healthy");
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_is_looked_at_from_here_and_never_answers_is_not_made() {
    let fleet = Fleet::new().await;
    let quick = |kind: &str| {
        let fields = [
            ("type", Value::from(kind)),
            ("interval", Value::from(1u64)),
            ("timeout", Value::from(1u64)),
        ];
        Value::object(fields.into_iter().chain([("unhealthy_threshold", Value::from(1u64))]))
    };
    let silent = |kind: &str, protocol: &str| {
        let wanted = runs("silent", "exec sleep 60", quick(kind));
        with(&wanted, "publish", texts([&format!("127.0.0.1::14550/{protocol}")]))
    };
    for (wanted, expected) in [
        (
            runs("none", "exec sleep 60", quick("tcp")),
            "it is unhealthy: it has no published tcp port to look at",
        ),
        (
            silent("mavlink_heartbeat", "udp"),
            "it is unhealthy: no answer within 1 s",
        ),
    ] {
        let error = fleet.create(&CONTAINER, &wanted).await.expect_err("nobody answers");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_ends_is_told_apart_from_what_has_done_its_work() {
    let fleet = Fleet::new().await;
    let job = with(&container("job"), "command", texts(["true"]));
    let job = fleet.create(&CONTAINER, &job).await.expect("it does its work");
    assert_eq!(job.attributes.str("status"), Some("exited"));
    // What it needs comes later: the engine starts it until it is there.
    let late = "test -e /tmp/second || { touch /tmp/second; exit 1; }; exec sleep 60";
    let late = with(&container("late"), "command", texts(["sh", "-c", late]));
    let late = with(&late, "restart", "on-failure");
    let late = fleet.create(&CONTAINER, &late).await.expect("it comes up");
    assert_eq!(late.attributes.str("status"), Some("running"));
    // One that ran, and then ends again and again, is not as it should be, and says why where it is to be mended.
    let ends = "trap 'exit 3' TERM; test ! -e /tmp/broken || { echo broken; exit 3; }; sleep 86400 & wait";
    let ends = with(&container("ends"), "command", texts(["sh", "-c", ends]));
    let ends = with(&ends, "restart", "always");
    let made = fleet.create(&CONTAINER, &ends).await.expect("it runs");
    docker(&["exec", &made.id.0, "sh", "-c", "touch /tmp/broken; kill 1"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    let seen = loop {
        let seen = fleet.look(&made).await;
        if seen.attributes.str("state") == Some("restarting") {
            break seen;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(differences(&ends, &seen), ["`state` is there with another value"]);
    let error = fleet.update(&seen, &ends).await.expect_err("it does not stay up");
    let said = error.to_string();
    assert!(said.starts_with("it ends as soon as it is started: with 3, "), "{said}");
    assert!(said.contains("\n  broken"), "{said}");
    fleet.look(&made).await;
}
