//! What cannot be made says why, and leaves nothing.

use std::net::TcpListener;

use simfleet_provider_api::{Attributes, ProviderError, ProviderType, Value};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::{CONTAINER, NETWORK, VOLUME};

use crate::harness::{Fleet, container, context, docker, texts, with};

fn health_check(command: &str, retries: u64) -> Value {
    Value::object([
        ("type", Value::from("command")),
        ("command", texts(["sh", "-c", command])),
        ("interval", Value::from(1u64)),
        ("timeout", Value::from(1u64)),
        ("unhealthy_threshold", Value::from(retries)),
    ])
}

/// Returns what the provider says, with the parts that differ from run to run taken out.
async fn refused(fleet: &Fleet, wanted: &Attributes) -> String {
    let error = fleet.create(&CONTAINER, wanted).await.expect_err("it cannot be made");
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_cannot_be_made_says_why_and_leaves_nothing() {
    let fleet = Fleet::new().await;
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = holder.local_addr().expect("an address").port();
    let first = with(&container("first"), "publish", texts(["127.0.0.1::80/tcp"]));
    let first = fleet.create(&CONTAINER, &first).await.expect("it can be made");
    let at = first
        .attributes
        .get("published")
        .and_then(|it| it.get("80/tcp")?.as_str())
        .expect("it is published");
    let name = docker(&["inspect", "--format", "{{slice .Name 1}}", &first.id.0]);
    let port = |number: &str| texts([&format!("127.0.0.1:{number}:80/tcp")]);
    let taken = at.rsplit_once(':').expect("it has a port").1;
    for (wanted, expected) in [
        (
            with(&with(&container("a"), "image", "simfleet-test/none:1"), "pull", "never"),
            "there is no image \"simfleet-test/none:1\": the engine does not have it, and `pull` is \"never\""
                .to_owned(),
        ),
        (
            with(&container("b"), "publish", port(taken)),
            format!("port {taken}/tcp of the host is taken by container `{name}`"),
        ),
        (
            with(&container("c"), "publish", port(&held.to_string())),
            format!("port {held}/tcp of the host is taken by a program of the host"),
        ),
        (
            with(
                &with(
                    &container("d"),
                    "command",
                    texts(["sh", "-c", "echo so far; exec sleep 60"]),
                ),
                "health_check",
                health_check("echo not yet; false", 2),
            ),
            "it is unhealthy: the check says not yet; the end of its log:\n  so far".to_owned(),
        ),
        (
            with(
                &with(
                    &container("e"),
                    "command",
                    texts(["sh", "-c", "echo no config; exit 7"]),
                ),
                "health_check",
                health_check("true", 2),
            ),
            "it ended with 7 before it was healthy; the end of its log:\n  no config".to_owned(),
        ),
    ] {
        assert_eq!(refused(&fleet, &wanted).await, expected);
    }
    for (wanted, expected) in [
        (
            with(
                &container("h"),
                "command",
                texts(["sh", "-c", "echo no config; exit 7"]),
            ),
            "it ended with 7 as soon as it was started; the end of its log:\n  no config",
        ),
        (
            with(&container("i"), "networks", texts(["nope"])),
            "the engine has no network `nope`: `networks` takes the ids of networks, as in [network.NAME.id]",
        ),
    ] {
        assert_eq!(refused(&fleet, &wanted).await, expected);
    }
    // The engine starts it again and again.
    let ends = with(&container("j"), "command", texts(["sh", "-c", "echo again"]));
    let ends = refused(&fleet, &with(&ends, "restart", "always")).await;
    assert!(ends.starts_with("it ends as soon as it is started: with 0, "), "{ends}");
    assert!(ends.contains(" times; the end of its log:\n  again"), "{ends}");
    let missing = refused(&fleet, &with(&container("f"), "command", texts(["no-such-program"]))).await;
    assert!(
        missing.contains("\"no-such-program\": executable file not found in $PATH"),
        "{missing}"
    );
    let wide = with(&container("g"), "devices", texts(["/dev/no-such-device:/dev/x:rwm"]));
    let wide = refused(&fleet, &wide).await;
    assert!(wide.contains("/dev/no-such-device"), "{wide}");
    let left = docker(&[
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        "label=simfleet.lineage",
        "--filter",
        &format!("id={}", first.id.0),
    ]);
    assert_eq!(left, &*first.id.0);
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_network_or_volume_that_is_used_is_not_deleted() {
    let fleet = Fleet::new().await;
    let named = |name| [("name", name)].into_iter().collect::<Attributes>();
    let network = fleet.create(&NETWORK, &named("net")).await.expect("a network");
    let volume = fleet.create(&VOLUME, &named("data")).await.expect("a volume");
    let mount = [("type", "volume"), ("source", &*volume.id.0), ("target", "/data")];
    let mount = Value::object(mount.map(|(name, text)| (name, Value::from(text))));
    let user = with(&container("user"), "networks", texts([&network.id.0]));
    let user = fleet
        .create(&CONTAINER, &with(&user, "mounts", Value::tuple([mount])))
        .await
        .expect("a container");
    let name = docker(&["inspect", "--format", "{{slice .Name 1}}", &user.id.0]);
    let kept = fleet
        .provider
        .delete(&NETWORK, &network, &fleet.token())
        .await
        .expect_err("it is used");
    assert_eq!(kept.to_string(), format!("containers are in it: {name}"));
    let kept = fleet
        .provider
        .delete(&VOLUME, &volume, &fleet.token())
        .await
        .expect_err("it is used");
    assert!(kept.to_string().contains("volume is in use"), "{kept}");
    let bad = with(&named("bad"), "cidr", "10.0.0.0/33");
    let error = fleet.create(&NETWORK, &bad).await.expect_err("it makes no sense");
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn an_engine_that_is_not_there_is_named() {
    for (host, expected) in [
        (
            "unix:///nowhere/docker.sock",
            "the Docker engine at unix:///nowhere/docker.sock cannot be reached: there is no socket `/nowhere/docker.sock`",
        ),
        (
            "tcp://127.0.0.1:1",
            "the Docker engine at tcp://127.0.0.1:1 cannot be reached: Connection refused (os error 111)",
        ),
    ] {
        let settings = Attributes::from_iter([("host", host)]);
        let provider = DockerType
            .configure(&settings, &context("lineage"))
            .await
            .expect("it makes no call");
        let error = provider.list(&CONTAINER).await.expect_err("nobody answers");
        assert!(matches!(error, ProviderError::NotSent { .. }), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
}
