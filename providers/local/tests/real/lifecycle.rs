//! A node from its create to its delete.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use simfleet_provider_api::{Found, Observed, ProviderError, Value};

use crate::harness::{
    Fleet, NODE, PROCESS, address, can_listen, create, delete, is_alive, node, pid, read, shell, signal, token, until,
};

#[tokio::test]
async fn a_node_is_made_read_changed_and_removed_and_nothing_is_left() {
    let fleet = Fleet::new();
    let provider = fleet.provider().await;
    let provider = provider.as_ref();
    let mut planned = node("pool.field/m1");
    planned.set("max_simulators", Value::from(4u64));
    let made = create(provider, &NODE, &token(1), &planned).await.expect("is made");
    assert_eq!(made.attributes.str("name"), Some("pool.field/m1"));
    assert_eq!(made.attributes.get("max_simulators"), Some(&Value::from(4u64)));
    assert_eq!(made.attributes.str("status"), Some("running"));
    assert!(address(&made).ip().is_loopback());
    assert_eq!(
        made.attributes.str("address"),
        Some(address(&made).ip().to_string().as_str())
    );
    let secret = std::fs::metadata(made.attributes.str("token_file").expect("is there")).expect("is there");
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert_eq!(read(provider, &NODE, &made).await, Observed::Present(made.clone()));
    assert_eq!(provider.list(&NODE).await, Ok(Some(vec![made.clone()])));
    assert_eq!(
        provider.find(&NODE, &token(1), &planned).await,
        Ok(Found::Ready(made.clone()))
    );

    planned.set("cpus", Value::from(2u64));
    planned.set("max_simulators", Value::NULL);
    let step = provider
        .update(&NODE, &made, &planned, &token(2))
        .await
        .expect("changes");
    let simfleet_provider_api::Step::Done(changed) = step else {
        panic!("{step:?}");
    };
    assert_eq!(changed.attributes.get("cpus"), Some(&Value::from(2u64)));
    assert_eq!(changed.attributes.get("max_simulators"), None);
    assert_eq!(pid(&changed), pid(&made));
    let stale = provider.update(&NODE, &made, &planned, &token(3)).await;
    assert!(matches!(stale, Err(ProviderError::Conflict { .. })), "{stale:?}");

    let processes = fleet.processes(&made).await;
    let process = create(
        processes.as_ref(),
        &PROCESS,
        &token(4),
        &shell("a", "sleep 1000 & exec sleep 1001"),
    )
    .await
    .expect("is made");
    delete(provider, &NODE, &changed).await.expect("is removed");
    assert!(!is_alive(pid(&made)) && !is_alive(pid(&process)));
    assert!(can_listen(address(&made)));
    assert!(!fleet.folder().exists());
    assert_eq!(read(provider, &NODE, &made).await, Observed::Absent);
    // Again.
    delete(provider, &NODE, &made).await.expect("is gone");
    assert!(!fleet.folder().exists());
    // The same provider goes on: a pool that shrinks to nothing grows again.
    let next = create(provider, &NODE, &token(5), &node("pool.field/m2"))
        .await
        .expect("is made");
    delete(provider, &NODE, &next).await.expect("is removed");
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn a_create_that_is_sent_twice_makes_one_node() {
    let fleet = Fleet::new();
    let (first, second) = (fleet.provider().await, fleet.provider().await);
    let (planned, same) = (node("a"), token(1));
    let creates = [&first, &second, &first, &second].map(|provider| create(provider.as_ref(), &NODE, &same, &planned));
    let made = futures::future::join_all(creates).await;
    for node in &made {
        assert_eq!(node, &made[0]);
    }
    made[0].as_ref().expect("is made");
    until("one agent runs", || fleet.agents().len() == 1).await;
    let other = create(first.as_ref(), &NODE, &token(2), &planned).await;
    assert!(matches!(other, Err(ProviderError::Conflict { .. })), "{other:?}");
}

#[tokio::test]
async fn many_nodes_are_made_at_a_time_each_with_an_address_of_its_own() {
    let fleet = Fleet::new();
    let provider = fleet.provider().await;
    let planned: Vec<_> = (1..=5).map(|n| (token(n), node(&format!("n{n}")))).collect();
    let creates = planned
        .iter()
        .map(|(token, planned)| create(provider.as_ref(), &NODE, token, planned));
    let made = futures::future::try_join_all(creates).await.expect("are made");
    let mut addresses: Vec<_> = made.iter().map(|node| address(node).ip()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 5);
    let deletes = made.iter().map(|node| delete(provider.as_ref(), &NODE, node));
    futures::future::try_join_all(deletes).await.expect("are removed");
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn a_node_whose_agent_ended_is_absent_and_a_create_brings_it_back_with_its_simulators() {
    let fleet = Fleet::new();
    let provider = fleet.provider().await;
    let provider = provider.as_ref();
    let made = create(provider, &NODE, &token(1), &node("a")).await.expect("is made");
    let processes = fleet.processes(&made).await;
    let planned = shell("quad", "exec sleep 1000");
    let process = create(processes.as_ref(), &PROCESS, &token(2), &planned)
        .await
        .expect("is made");
    signal(pid(&made), Signal::KILL);
    until("the agent has ended", || !is_alive(pid(&made))).await;
    assert_eq!(read(provider, &NODE, &made).await, Observed::Absent);
    assert_eq!(provider.list(&NODE).await, Ok(Some(Vec::new())));
    assert!(is_alive(pid(&process)));

    let healed = create(provider, &NODE, &token(3), &node("a")).await.expect("is made");
    assert_ne!(healed.id, made.id);
    assert_ne!(pid(&healed), pid(&made));
    for attribute in ["address", "runtime", "token_file", "data_dir"] {
        assert_eq!(
            healed.attributes.get(attribute),
            made.attributes.get(attribute),
            "{attribute}"
        );
    }
    // What was recorded still holds, and what is created anew finds its process.
    assert_eq!(
        read(processes.as_ref(), &PROCESS, &process).await,
        Observed::Present(process.clone())
    );
    let claimed = create(processes.as_ref(), &PROCESS, &token(4), &planned)
        .await
        .expect("is claimed");
    assert_eq!(pid(&claimed), pid(&process));
    // What is said of the earlier one does nothing to it.
    assert_eq!(read(provider, &NODE, &made).await, Observed::Absent);
    delete(provider, &NODE, &made).await.expect("is gone");
    let late = create(provider, &NODE, &token(1), &node("a")).await;
    assert!(matches!(late, Err(ProviderError::Conflict { .. })), "{late:?}");
    assert!(is_alive(pid(&healed)));

    delete(provider, &NODE, &healed).await.expect("is removed");
    assert!(!is_alive(pid(&process)));
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_unreachable_and_can_be_deleted_all_the_same() {
    let fleet = Fleet::new();
    let provider = fleet.provider().await;
    let provider = provider.as_ref();
    let made = create(provider, &NODE, &token(1), &node("a")).await.expect("is made");
    let processes = fleet.processes(&made).await;
    let process = create(
        processes.as_ref(),
        &PROCESS,
        &token(2),
        &shell("quad", "exec sleep 1000"),
    )
    .await
    .expect("is made");
    signal(pid(&made), Signal::STOP);
    let seen = read(provider, &NODE, &made).await;
    assert!(matches!(seen, Observed::Unreachable { .. }), "{seen:?}");
    // Nothing is made in its place.
    let other = create(provider, &NODE, &token(3), &node("a")).await;
    assert!(matches!(other, Err(ProviderError::Conflict { .. })), "{other:?}");
    signal(pid(&made), Signal::CONT);
    let seen = read(provider, &NODE, &made).await;
    assert!(matches!(seen, Observed::Present(_)), "{seen:?}");

    signal(pid(&made), Signal::STOP);
    delete(provider, &NODE, &made).await.expect("is removed");
    assert!(!is_alive(pid(&made)) && !is_alive(pid(&process)));
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn what_a_dead_agent_left_is_removed_with_its_node() {
    let fleet = Fleet::new();
    let provider = fleet.provider().await;
    let provider = provider.as_ref();
    let made = create(provider, &NODE, &token(1), &node("a")).await.expect("is made");
    let processes = fleet.processes(&made).await;
    let marker = fleet.root.path().join("heard");
    let script = format!(
        "trap 'touch {}; exit' TERM; while :; do sleep 0.01; done",
        marker.display()
    );
    let process = create(processes.as_ref(), &PROCESS, &token(2), &shell("quad", &script))
        .await
        .expect("is made");
    signal(pid(&made), Signal::KILL);
    until("the agent has ended", || !is_alive(pid(&made))).await;
    delete(provider, &NODE, &made).await.expect("is removed");
    assert!(!is_alive(pid(&process)));
    assert!(marker.exists(), "it was not told");
    assert!(!fleet.folder().exists());
}
