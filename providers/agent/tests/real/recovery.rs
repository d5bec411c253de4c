//! Agents and shims that are killed.

use std::time::Duration;

use rustix::process::{Pid, Signal};
use simfleet_provider_agent::durable;
use simfleet_provider_agent::layout::Claim;
use simfleet_provider_api::{Number, Observed, ProviderError, Value};

use crate::harness::{Agent, PROCESS, create, finish, is_alive, pid, present, read, shell, token, until};

#[tokio::test]
async fn a_killed_agent_leaves_its_simulators_and_the_next_one_takes_them_over() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let made = create(provider, &token(1), &shell("a", "exec sleep 1000"))
        .await
        .expect("is made");
    let mut restarting = shell("b", "exec sleep 1001");
    restarting.set("restart", "always");
    let other = create(provider, &token(2), &restarting).await.expect("is made");

    agent.kill();
    assert!(is_alive(pid(&made)) && is_alive(pid(&other)));
    assert!(matches!(read(provider, &made).await, Observed::Unreachable { .. }));
    // Nobody can tell what is there, and to ask for each object would only take longer.
    let listed = provider.list(&PROCESS).await;
    assert!(listed.as_ref().is_err_and(ProviderError::is_transient), "{listed:?}");
    // One ends while nobody looks.
    signal(pid(&other), Signal::KILL);
    agent.restart().await;
    assert_eq!(present(provider, &made).await, made);
    until("the one that ended is restarted", || async {
        agent.view(&other).await.status.as_str() == "running" && agent.view(&other).await.restarts == 1
    })
    .await;
    // Its end is seen although it is not this agent's child.
    signal(pid(&made), Signal::KILL);
    until("its end is seen", || async {
        present(provider, &made).await.attributes.str("exit") == Some("signal 9 (SIGKILL)")
    })
    .await;
    let step = provider.delete(&PROCESS, &made, &token(3)).await;
    assert_eq!(finish(provider, step).await, Ok(None));
}

#[tokio::test]
async fn health_is_checked_after_an_update_and_by_the_next_agent() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let marker = agent.folder.path().join("healthy");
    std::fs::write(&marker, "").expect("writes");
    let mut planned = shell("a", "exec sleep 1000");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    let check = ["test", "-e", &marker.to_string_lossy()].map(Value::from);
    let interval: Number = "0.05".parse().expect("a number");
    planned.set(
        "health_check",
        Value::object([
            ("type", Value::string("command")),
            ("command", Value::tuple(check)),
            ("interval", interval.into()),
            ("unhealthy_threshold", Value::from(1u64)),
        ]),
    );
    let step = provider.update(&PROCESS, &made, &planned, &token(2)).await;
    let updated = finish(provider, step).await.expect("changes").expect("an object");
    assert_eq!(pid(&updated), pid(&made));
    std::fs::remove_file(&marker).expect("removes");
    let status = || async { agent.view(&made).await.status.as_str() };
    until("it is unhealthy", || async { status().await == "unhealthy" }).await;
    agent.kill();
    agent.restart().await;
    let status = || async { agent.view(&made).await.status.as_str() };
    until("it is unhealthy again", || async { status().await == "unhealthy" }).await;
    std::fs::write(&marker, "").expect("writes");
    until("it is healthy", || async { status().await == "running" }).await;
}

#[tokio::test]
async fn a_simulator_ends_with_its_shim_and_that_is_seen() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let made = create(provider, &token(1), &shell("a", "sleep 1000 & exec sleep 1001"))
        .await
        .expect("is made");
    signal(agent.shim_of("a"), Signal::KILL);
    until("its end is seen", || async {
        present(provider, &made).await.attributes.str("state") == Some("exited")
    })
    .await;
    assert_eq!(
        present(provider, &made).await.attributes.str("exit"),
        Some("its shim was killed")
    );
    // Its child too, which the kernel does not tie to the shim.
    assert_eq!(agent.processes(), [0u32; 0]);
}

#[tokio::test]
async fn a_delete_goes_on_under_the_next_agent() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let mut planned = shell("a", "trap 'sleep 1; exit' TERM; while :; do sleep 0.01; done");
    planned.set("stop_grace", Value::from(20u64));
    let made = create(provider, &token(1), &planned).await.expect("is made");
    let step = provider.delete(&PROCESS, &made, &token(2)).await;
    agent.kill();
    agent.restart().await;
    assert_eq!(finish(provider, step).await, Ok(None));
    assert_eq!(agent.processes(), [0u32; 0]);
    assert!(agent.simulator_folders().is_empty());
}

#[tokio::test]
async fn a_second_agent_on_the_folder_and_one_of_a_deleted_node_do_not_run() {
    let mut agent = Agent::start().await;
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_simfleet-agent"))
        .args(["agent", "--listen", "127.0.0.1:0", "--data"])
        .arg(agent.folder.path())
        .output()
        .expect("starts");
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(
        !second.status.success() && error.contains("another agent runs"),
        "{error}"
    );

    agent.kill();
    let tombstone = agent.folder.path().join("tombstone");
    let claim = Claim {
        node: agent.node.clone(),
        generation: "g1".to_owned(),
        revoked_by: Some(tombstone.clone()),
    };
    durable::write_json(&agent.folder.path().join("claim.json"), &claim).expect("writes");
    std::fs::write(&tombstone, "").expect("writes");
    let late = std::process::Command::new(env!("CARGO_BIN_EXE_simfleet-agent"))
        .args(["agent", "--listen", "127.0.0.1:0", "--data"])
        .arg(agent.folder.path())
        .output()
        .expect("starts");
    let error = String::from_utf8_lossy(&late.stderr);
    assert!(error.contains("belongs to a node that has been deleted"), "{error}");
    assert!(!agent.folder.path().join("agent.json").exists());
    std::fs::remove_file(&tombstone).expect("removes");
    agent.restart().await;
}

#[tokio::test]
async fn the_next_owner_of_a_node_claims_what_runs_there_by_a_create() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let planned = shell("a", "exec sleep 1000");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    let other = create(provider, &token(2), &shell("b", "exec sleep 1001"))
        .await
        .expect("is made");
    agent.kill();
    let claim = Claim {
        node: agent.node.clone(),
        generation: "g2".to_owned(),
        revoked_by: None,
    };
    durable::write_json(&agent.folder.path().join("claim.json"), &claim).expect("writes");
    agent.restart().await;

    // The same is wanted: the process stays. The old token makes nothing any more.
    let claimed = create(provider, &token(3), &planned).await.expect("is claimed");
    assert_eq!(pid(&claimed), pid(&made));
    assert_eq!(claimed.token, Some(token(3)));
    assert_eq!(read(provider, &made).await, Observed::Absent);
    create(provider, &token(1), &planned).await.expect_err("is late");
    let late = provider.delete(&PROCESS, &made, &token(9)).await;
    assert_eq!(finish(provider, late).await, Ok(None));
    assert!(is_alive(pid(&claimed)));
    // Something else is wanted: a new process.
    let changed = create(provider, &token(4), &shell("b", "exec sleep 1002"))
        .await
        .expect("is claimed");
    assert_ne!(pid(&changed), pid(&other));
    assert!(!is_alive(pid(&other)));
    // Once claimed it is as any other.
    create(provider, &token(5), &planned)
        .await
        .expect_err("belongs to another");
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("an id")).expect("an id");
    rustix::process::kill_process(pid, signal).expect("is ours");
}

#[tokio::test]
async fn an_agent_whose_folder_is_deleted_ends_with_its_simulators() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let made = create(&*provider, &token(1), &shell("job", "while :; do sleep 1; done")).await;
    assert!(is_alive(pid(&made.expect("it starts"))));
    // A folder that was moved is no reason to end.
    let moved = agent.folder.path().with_extension("moved");
    std::fs::rename(agent.folder.path(), &moved).expect("moves");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(agent.process.try_wait().expect("is ours").is_none());
    // The agent writes there meanwhile.
    while let Err(error) = std::fs::remove_dir_all(&moved) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
    }
    let ended = tokio::task::spawn_blocking(move || agent.process.wait().map(|status| (status, agent)));
    let (status, agent) = ended.await.expect("no panic").expect("is ours");
    assert!(status.success());
    assert_eq!(agent.processes(), [0; 0]);
}
