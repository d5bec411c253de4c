//! What others made: adopted when it is asked for, and never touched otherwise.

use simfleet_provider_api::{Attributes, ObjectId, Observed, ProviderError, ProviderType, Step, Token, Value};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::{self, CONTAINER, NETWORK, VOLUME};

use crate::harness::{Fleet, IMAGE, container, context, differences, docker, image, settings, texts, with};

/// Deletes what a test made by hand.
struct ByHand(Vec<&'static str>, String);

impl Drop for ByHand {
    fn drop(&mut self) {
        docker(&[self.0.as_slice(), &[&self.1]].concat());
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_container_that_docker_run_made_is_told_in_the_words_of_the_fleet() {
    let fleet = Fleet::new().await;
    let id = docker(&[
        "run",
        "-d",
        "--name",
        "made-by-hand",
        "-e",
        "MODE=x",
        "-p",
        "127.0.0.1::80",
        "--memory",
        "64m",
        "--restart",
        "always",
        "-v",
        "/tmp:/host:ro",
        "--cap-drop",
        "NET_RAW",
        "--stop-timeout",
        "3",
        "-w",
        "/etc",
        IMAGE,
        "sleep",
        "600",
    ]);
    let _made = ByHand(vec!["rm", "-f"], id.clone());
    let read = fleet
        .provider
        .read(&CONTAINER, &ObjectId("made-by-hand".into()))
        .await
        .expect("it answers");
    let Observed::Present(object) = read else {
        panic!("{read:?}");
    };
    assert_eq!(&*object.id.0, id, "it is known by what does not change");
    let mut wanted = Attributes::from_iter([("name", "made-by-hand"), ("image", IMAGE)]);
    wanted.set("command", texts(["sleep", "600"]));
    wanted.set("env", Value::object([("MODE", Value::from("x"))]));
    wanted.set("publish", texts(["127.0.0.1::80/tcp"]));
    wanted.set("resources", Value::object([("memory", Value::from(64u64 << 20))]));
    wanted.set("restart", "always");
    let mount = [
        ("type", Value::from("bind")),
        ("source", "/tmp".into()),
        ("target", "/host".into()),
        ("read_only", true.into()),
    ];
    wanted.set("mounts", Value::tuple([Value::object(mount)]));
    wanted.set("cap_drop", texts(["NET_RAW"]));
    wanted.set("stop_grace", Value::from(3u64));
    wanted.set("working_dir", "/etc");
    assert_eq!(differences(&wanted, &object), Vec::<String>::new());
}

/// What Compose makes of a service is adopted as the fleet declares it, with nothing to replace.
#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_container_as_compose_makes_it_is_told_without_what_is_of_compose() {
    let fleet = Fleet::new().await;
    let of_compose = "com.docker.compose.project=lab";
    let network = docker(&["network", "create", "--label", of_compose, "lab_default"]);
    let _network = ByHand(vec!["network", "rm"], network.clone());
    let run = ["run", "-d", "--network", "lab_default", "--label", of_compose];
    let names = [
        "--name",
        "lab-web-1",
        "--network-alias",
        "web",
        "--network-alias",
        "lab-web-1",
    ];
    let check = ["--health-cmd", "true", IMAGE, "sleep", "600"];
    let id = docker(&[run.as_slice(), &names, &check].concat());
    let _made = ByHand(vec!["rm", "-f"], id.clone());
    let read = |kind, id: &str| {
        let (fleet, id) = (&fleet, ObjectId(id.into()));
        async move {
            match fleet.provider.read(&kind, &id).await.expect("it answers") {
                Observed::Present(object) => object,
                other => panic!("{other:?}"),
            }
        }
    };
    let seen = read(CONTAINER, &id).await;
    let mut wanted = Attributes::from_iter([("name", "lab-web-1"), ("image", IMAGE)]);
    wanted.set("command", texts(["sleep", "600"]));
    wanted.set("networks", texts([network.as_str()]));
    wanted.set("aliases", texts(["web"]));
    let check = [
        ("type", Value::from("command")),
        ("command", texts(["/bin/sh", "-c", "true"])),
        ("interval", Value::from(30u64)),
        ("timeout", Value::from(30u64)),
        ("start_period", Value::from(0u64)),
        ("healthy_threshold", Value::from(1u64)),
        ("unhealthy_threshold", Value::from(3u64)),
    ];
    wanted.set("health_check", Value::object(check));
    assert_eq!(differences(&wanted, &seen), Vec::<String>::new());
    assert_eq!(read(NETWORK, &network).await.attributes.get("labels"), None);
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn networks_and_volumes_that_docker_made_are_told() {
    let fleet = Fleet::new().await;
    let network = docker(&["network", "create", "--subnet", "10.213.0.0/24", "net-by-hand"]);
    let _network = ByHand(vec!["network", "rm"], network.clone());
    let volume = docker(&["volume", "create", "--label", "of=hand", "volume-by-hand"]);
    let _volume = ByHand(vec!["volume", "rm"], volume);
    let read = async |kind: simfleet_provider_api::Kind, id: &str| match fleet
        .provider
        .read(&kind, &ObjectId(id.into()))
        .await
        .expect("it answers")
    {
        Observed::Present(object) => object,
        other => panic!("{other:?}"),
    };
    let seen = read(NETWORK, "net-by-hand").await;
    assert_eq!(
        (&*seen.id.0, seen.attributes.str("cidr")),
        (&*network, Some("10.213.0.0/24"))
    );
    let seen = read(VOLUME, "volume-by-hand").await;
    assert_eq!(
        seen.attributes.get("labels").and_then(|it| it.get("of")?.as_str()),
        Some("hand")
    );
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_container_of_another_fleet_is_not_deleted_and_its_name_is_not_taken() {
    let (ours, theirs) = (Fleet::new().await, Fleet::new().await);
    let made = theirs.create(&CONTAINER, &container("web")).await.expect("a container");
    let error = ours
        .provider
        .delete(&CONTAINER, &made, &ours.token())
        .await
        .expect_err("it is not ours");
    assert!(matches!(error, ProviderError::Conflict { .. }), "{error:?}");
    theirs.look(&made).await;
    for kind in [NETWORK, VOLUME] {
        let wanted = [("name", "theirs")].into_iter().collect();
        let made = theirs.create(&kind, &wanted).await.expect("it can be made");
        let error = ours.provider.delete(&kind, &made, &ours.token()).await;
        let said = error.expect_err("it is not ours").to_string();
        assert!(said.contains("is one of another fleet"), "{said}");
        let there = theirs.provider.read(&kind, &made.id).await;
        assert!(matches!(there, Ok(Observed::Present(_))), "{there:?}");
    }
    let listed = ours
        .provider
        .list(&CONTAINER)
        .await
        .expect("it answers")
        .expect("there is a list");
    assert!(listed.is_empty(), "{listed:?}");
    // Somebody has the very name that a container would get.
    let token = Token("feedfacefeedfacefeedfacefeedface".into());
    let id = docker(&["create", "--name", "web-feedfacefeed", IMAGE, "true"]);
    let _made = ByHand(vec!["rm", "-f"], id);
    let error = ours
        .create_with(&CONTAINER, &token, &container("web"))
        .await
        .expect_err("the name is taken");
    assert_eq!(
        error.to_string(),
        "the name `web-feedfacefeed` is taken by another container"
    );
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn secrets_reach_the_container_and_no_label() {
    let provider = DockerType
        .configure(&settings(), &context("lineage"))
        .await
        .expect("the settings are sound");
    let fleet = Fleet::new().await;
    let secret = Value::object([("TOKEN", Value::from("hunter2").mark(true))]);
    let wanted = with(&container("secret"), "env", secret);
    let wanted = with(&wanted, "command", texts(["sh", "-c", "echo $TOKEN; exec sleep 60"]));
    let made = fleet.create(&CONTAINER, &wanted).await.expect("a container");
    assert_eq!(docker(&["logs", &made.id.0]), "hunter2");
    let open = Value::object([("TOKEN", Value::from("hunter2"))]);
    assert_eq!(differences(&with(&wanted, "env", open), &made), Vec::<String>::new());
    let labels = docker(&["inspect", "--format", "{{json .Config.Labels}}", &made.id.0]);
    assert!(!labels.contains("hunter2"), "{labels}");
    assert!(!format!("{provider:?}").contains("hunter2"));
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn an_image_that_several_remove_at_once_is_gone() {
    let fleet = Fleet::new().await;
    for _ in 0..5 {
        let made = fleet
            .create(&schema::IMAGE, &image("removed"))
            .await
            .expect("it is built");
        let (kind, token) = (schema::IMAGE, fleet.token());
        let removed = (0..4).map(|_| fleet.provider.delete(&kind, &made, &token));
        for removed in futures::future::join_all(removed).await {
            assert!(matches!(removed, Ok(Step::Gone)), "{removed:?}");
        }
    }
}
