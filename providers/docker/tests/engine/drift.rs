//! What somebody does to a container by hand is seen, attribute by attribute, and an update puts it back.

use simfleet_provider_api::{Object, Value};
use simfleet_provider_docker::schema::{CONTAINER, NETWORK};

use crate::harness::{Fleet, IMAGE, container, differences, docker, texts, with};

/// What is done by hand, with `ID` for the container and `NET` for its network, and what it changes.
const BY_HAND: [(&[&str], &[&str]); 9] = [
    (&["stop", "-t", "5", "ID"], &["`state` is there with another value"]),
    (&["kill", "ID"], &["`state` is there with another value"]),
    (&["pause", "ID"], &["`state` is there with another value"]),
    (
        &["rename", "ID", "renamed-by-hand"],
        &["`name` is there with another value"],
    ),
    (
        &["update", "--restart", "always", "ID"],
        &["`restart` is there with another value"],
    ),
    (
        &["update", "--memory", "32m", "--memory-swap", "64m", "ID"],
        &["`resources` is there with another value"],
    ),
    (
        &["update", "--cpus", "0.5", "ID"],
        &["`resources` is there with another value"],
    ),
    (
        &["network", "disconnect", "NET", "ID"],
        &[
            "`networks` is wanted and is not there",
            "`aliases` is wanted and is not there",
        ],
    ),
    (
        &["network", "connect", "bridge", "ID"],
        &["`networks` is there with another value"],
    ),
];

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_is_done_by_hand_is_seen_and_put_back() {
    let fleet = Fleet::new().await;
    let network = fleet
        .create(&NETWORK, &[("name", "net")].into_iter().collect())
        .await
        .expect("a network");
    let wanted = with(&container("web"), "networks", texts([&network.id.0]));
    let wanted = with(&wanted, "aliases", texts(["web"]));
    let wanted = with(&wanted, "restart", "unless-stopped");
    let wanted = with(
        &wanted,
        "resources",
        Value::object([("memory", Value::from(64u64 << 20))]),
    );
    let made = fleet.create(&CONTAINER, &wanted).await.expect("a container");
    let none: [&str; 0] = [];
    assert_eq!(differences(&wanted, &made), none);
    for (arguments, expected) in BY_HAND {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| match *word {
                "ID" => &*made.id.0,
                "NET" => &*network.id.0,
                word => word,
            })
            .collect();
        docker(&arguments);
        let seen = fleet.look(&made).await;
        assert_eq!(differences(&wanted, &seen), expected, "{arguments:?}");
        let mended = fleet.update(&seen, &wanted).await.expect("it can be put back");
        assert_eq!(differences(&wanted, &mended), none, "{arguments:?}");
        assert_eq!(mended.id, made.id, "{arguments:?}: it is the same container");
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_others_call_it_changes_in_place() {
    let fleet = Fleet::new().await;
    let mut networks = Vec::new();
    for name in ["one", "two"] {
        let network = [("name", name)].into_iter().collect();
        networks.push(fleet.create(&NETWORK, &network).await.expect("a network").id.0);
    }
    let wanted = with(&container("web"), "networks", texts([&networks[0], &networks[1]]));
    let named = |names: [&str; 2]| with(&wanted, "aliases", texts(names));
    let made = fleet
        .create(&CONTAINER, &named(["web", "www"]))
        .await
        .expect("a container");
    assert_eq!(differences(&named(["web", "www"]), &made), Vec::<String>::new());
    let renamed = fleet
        .update(&made, &named(["web", "site"]))
        .await
        .expect("it can be renamed");
    assert_eq!(
        (&renamed.id, differences(&named(["web", "site"]), &renamed)),
        (&made.id, Vec::new())
    );
    for network in &networks {
        let ask = ["run", "--rm", "--network", network, IMAGE, "nslookup"];
        let found = docker(&[ask.as_slice(), &["site"]].concat());
        assert!(found.contains("Address"), "{found}");
    }
    // Called otherwise in one of them is called so in not all.
    docker(&["network", "disconnect", &networks[1], &made.id.0]);
    docker(&["network", "connect", "--alias", "web", &networks[1], &made.id.0]);
    let seen = fleet.look(&made).await;
    assert_eq!(
        differences(&named(["web", "site"]), &seen),
        ["`aliases` is there with another value"]
    );
    let mended = fleet
        .update(&seen, &named(["web", "site"]))
        .await
        .expect("it can be put back");
    assert_eq!(differences(&named(["web", "site"]), &mended), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn limits_come_and_go_in_place() {
    let fleet = Fleet::new().await;
    let bare = container("limited");
    let limits = |cpu: &str, memory: u64| {
        let cpu = Value::from(cpu.parse::<simfleet_provider_api::Number>().expect("a number"));
        with(
            &bare,
            "resources",
            Value::object([("cpu", cpu), ("memory", Value::from(memory << 20))]),
        )
    };
    let mut object = fleet.create(&CONTAINER, &bare).await.expect("a container");
    for wanted in [&limits("0.25", 64), &limits("1.5", 32), &bare, &limits("0.5", 1024)] {
        object = fleet.update(&object, wanted).await.expect("it can be limited");
        assert_eq!(differences(wanted, &object), Vec::<String>::new());
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn a_container_is_brought_to_each_state_from_each_other() {
    let fleet = Fleet::new().await;
    let states = ["running", "paused", "stopped"];
    for first in states {
        for then in states {
            let wanted = with(&container("state"), "state", first);
            let made = fleet.create(&CONTAINER, &wanted).await.expect("a container");
            assert_eq!(made.attributes.str("state"), Some(first));
            let changed = fleet
                .update(&made, &with(&wanted, "state", then))
                .await
                .expect("it can be brought there");
            assert_eq!(changed.attributes.str("state"), Some(then), "from {first}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_has_done_its_work_is_not_started_again() {
    let fleet = Fleet::new().await;
    let ended = async |name: &'static str, command: &'static str, restart: &'static str| -> (Object, Vec<String>) {
        let wanted = with(
            &with(&container(name), "command", texts(["sh", "-c", command])),
            "restart",
            restart,
        );
        let made = fleet.create(&CONTAINER, &wanted).await.expect("a container");
        docker(&["wait", &made.id.0]);
        let seen = fleet.look(&made).await;
        let differences = differences(&wanted, &seen);
        (seen, differences)
    };
    let (seen, differences) = ended("job", "true", "no").await;
    assert_eq!((seen.attributes.str("status"), differences), (Some("exited"), vec![]));
    let (seen, differences) = ended("broken", "sleep 2; exit 3", "no").await;
    assert_eq!(seen.attributes.get("exit_code").and_then(Value::as_u64), Some(3));
    assert_eq!(differences, ["`state` is there with another value"]);
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn files_are_there_before_the_start_and_their_changes_are_seen() {
    let fleet = Fleet::new().await;
    let file = |text: &str| Value::object([("/etc/app/settings", Value::from(text))]);
    let wanted = with(&container("files"), "files", file("a = 1\n"));
    let wanted = with(
        &wanted,
        "command",
        texts(["sh", "-c", "cat /etc/app/settings; exec sleep 60"]),
    );
    let made = fleet.create(&CONTAINER, &wanted).await.expect("a container");
    assert_eq!(docker(&["logs", &made.id.0]), "a = 1");
    assert_eq!(differences(&wanted, &made), Vec::<String>::new());
    docker(&["exec", &made.id.0, "sh", "-c", "echo a = 2 > /etc/app/settings"]);
    let seen = fleet.look(&made).await;
    assert_eq!(differences(&wanted, &seen), ["`files` is there with another value"]);
    docker(&["exec", &made.id.0, "rm", "/etc/app/settings"]);
    let seen = fleet.look(&made).await;
    assert_eq!(differences(&wanted, &seen), ["`files` is wanted and is not there"]);
}
