//! A simulator from its create to its delete.

use simfleet_provider_agent::identity::Stat;
use simfleet_provider_api::{Found, Observed, Path, ProviderError, Value};

use crate::harness::{Agent, PROCESS, create, finish, is_alive, pid, present, read, shell, token, until};

#[tokio::test]
async fn a_process_is_made_read_and_removed_and_nothing_is_left() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let planned = shell("quad[0]", "echo up; sleep 1000 & exec sleep 1001");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    assert_eq!(made.id.0.as_ref(), format!("quad[0]@{}", token(1)));
    assert_eq!(made.token, Some(token(1)));
    for (name, value) in planned.iter() {
        let read = made.attributes.get(name);
        match value.as_slice() {
            Some(items) => assert_eq!(read.and_then(Value::as_slice), Some(items), "{name}"),
            None => assert_eq!(read, Some(value), "{name}"),
        }
    }
    assert_eq!(made.attributes.str("status"), Some("running"));
    assert_eq!(present(provider, &made).await, made);
    assert_eq!(provider.list(&PROCESS).await.expect("lists"), Some(vec![made.clone()]));
    let found = provider.find(&PROCESS, &token(1), &planned).await;
    assert_eq!(found, Ok(Found::Ready(made.clone())));
    assert_eq!(agent.client().logs("quad[0]", 5).await.expect("reads"), ["up"]);
    // The shim, the process and its child.
    assert_eq!(agent.processes().len(), 3);

    let gone = provider.delete(&PROCESS, &made, &token(2)).await;
    assert_eq!(finish(provider, gone).await, Ok(None));
    assert_eq!(agent.processes(), [0u32; 0]);
    assert!(agent.simulator_folders().is_empty());
    assert_eq!(read(provider, &made).await, Observed::Absent);
    // Again, and late.
    let gone = provider.delete(&PROCESS, &made, &token(2)).await;
    assert_eq!(finish(provider, gone).await, Ok(None));
    let late = create(provider, &token(1), &planned).await;
    assert!(matches!(late, Err(ProviderError::Conflict { .. })), "{late:?}");
    assert!(agent.simulator_folders().is_empty());
}

#[tokio::test]
async fn a_create_that_is_sent_twice_makes_one() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let planned = shell("a", "exec sleep 1000");
    let first = token(1);
    let creates = (0..4).map(|_| create(provider.as_ref(), &first, &planned));
    let made = futures::future::join_all(creates).await;
    for other in &made {
        assert_eq!(other, &made[0]);
    }
    assert_eq!(agent.processes().len(), 2);
    let other = create(provider.as_ref(), &token(2), &planned).await;
    assert!(matches!(other, Err(ProviderError::Conflict { .. })), "{other:?}");
    let renamed = create(provider.as_ref(), &token(1), &shell("b", "true")).await;
    assert!(matches!(renamed, Err(ProviderError::Conflict { .. })), "{renamed:?}");
}

#[tokio::test]
async fn a_process_that_does_not_start_is_rejected_with_its_reason_and_leaves_nothing() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let ready = |fields: Vec<(&'static str, Value)>| Value::object(fields);
    let mut no_program = shell("a", "");
    no_program.set("command", Value::tuple(["no-such-program-anywhere"].map(Value::from)));
    let mut silent = shell("a", "echo not yet; exec sleep 1000");
    silent.set(
        "ready",
        ready(vec![
            ("pattern", Value::string("^ready$")),
            ("timeout", Value::from(1u64)),
        ]),
    );
    let mut crashing = shell("a", "echo crash >&2; exit 4");
    crashing.set("restart", "always");
    crashing.set("ready", ready(vec![("timeout", Value::from(1u64))]));
    let mut telling = shell("a", "echo key is $KEY; exit 5");
    telling.set("env", Value::object([("KEY", Value::string("hunter2").mark(true))]));
    for (number, planned, expected) in [
        (
            1,
            no_program,
            "cannot start `no-such-program-anywhere`: No such file or directory",
        ),
        (
            2,
            shell("a", "echo it broke; exit 3"),
            "exit code 3; the end of its log:\n  it broke",
        ),
        (
            3,
            silent,
            "not ready within 1 s: no line of its output matches the pattern",
        ),
        (4, crashing, "crash"),
        (6, telling, "exit code 5; the end of its log:\n  key is (sensitive)"),
    ] {
        let error = create(provider, &token(number), &planned).await.expect_err(expected);
        assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(agent.processes(), [0u32; 0], "{expected}");
        assert!(agent.simulator_folders().is_empty(), "{expected}");
        // Sent again after a lost reply.
        let again = create(provider, &token(number), &planned).await.expect_err(expected);
        assert_eq!(again, error);
        let found = provider.find(&PROCESS, &token(number), &planned).await;
        assert!(matches!(found, Ok(Found::Failed { .. })), "{found:?}");
    }
    assert_eq!(
        provider.find(&PROCESS, &token(9), &shell("a", "")).await,
        Ok(Found::Nothing)
    );
    let wrong = create(provider, &token(5), &{
        let mut wrong = shell("a", "true");
        wrong.set("working_dir", "relative");
        wrong
    })
    .await;
    let Err(ProviderError::Rejected { attribute, .. }) = wrong else {
        panic!("{wrong:?}");
    };
    assert_eq!(attribute, Some(Path::attribute("working_dir")));
}

#[tokio::test]
async fn ready_is_what_shows_it() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let mut planned = shell("a", "sleep 0.3; echo listening on 1; exec sleep 1000");
    planned.set(
        "ready",
        Value::object([("pattern", Value::string(r"^listening on \d"))]),
    );
    let made = create(provider.as_ref(), &token(1), &planned).await.expect("is made");
    assert_eq!(made.attributes.str("status"), Some("running"));
    assert_eq!(agent.client().logs("a", 1).await.expect("reads"), ["listening on 1"]);
}

#[tokio::test]
async fn a_process_that_is_killed_differs_from_what_is_wanted_and_an_update_starts_it_again() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let planned = shell("a", "exec sleep 1000");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    kill(pid(&made));
    until("its end is seen", || async {
        present(provider, &made).await.attributes.str("state") == Some("exited")
    })
    .await;
    let dead = present(provider, &made).await;
    assert_eq!(dead.attributes.str("exit"), Some("signal 9 (SIGKILL)"));
    assert_eq!(dead.attributes.get("pid"), None);

    let step = provider.update(&PROCESS, &dead, &planned, &token(2)).await;
    let healed = finish(provider, step).await.expect("starts").expect("an object");
    assert_eq!(healed.id, made.id);
    assert_eq!(healed.attributes.str("state"), Some("running"));
    assert_ne!(pid(&healed), pid(&made));
    // The same update again, late: nothing happens.
    let step = provider.update(&PROCESS, &dead, &planned, &token(2)).await;
    let again = finish(provider, step).await.expect("was done").expect("an object");
    assert_eq!(again, healed);
    // Another one that was planned before it: refused.
    let stale = provider.update(&PROCESS, &dead, &planned, &token(3)).await;
    assert!(matches!(stale, Err(ProviderError::Conflict { .. })), "{stale:?}");
}

#[tokio::test]
async fn a_process_is_stopped_paused_and_resumed_by_its_state() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let mut planned = shell("a", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.01; done");
    let mut object = create(provider, &token(1), &planned).await.expect("is made");
    let first = pid(&object);
    for (number, state, status) in [
        (2, "paused", "paused"),
        (3, "running", "running"),
        (4, "paused", "paused"),
        (5, "stopped", "stopped"),
        (6, "running", "running"),
    ] {
        planned.set("state", state);
        let step = provider.update(&PROCESS, &object, &planned, &token(number)).await;
        object = finish(provider, step).await.expect(state).expect("an object");
        assert_eq!(object.attributes.str("state"), Some(state));
        assert_eq!(object.attributes.str("status"), Some(status));
        assert_eq!(is_alive(first), number < 5, "{state}");
    }
    // It was told, although it was paused.
    assert_eq!(agent.client().logs("a", 1).await.expect("reads"), ["bye"]);
    agent.client().stop_simulator("a").await.expect("stops");
    until("it is stopped", || async {
        agent.view(&object).await.status.as_str() == "stopped"
    })
    .await;
    agent.client().start_simulator("a").await.expect("starts");
    until("it runs", || async {
        agent.view(&object).await.status.as_str() == "running"
    })
    .await;
}

#[tokio::test]
async fn one_that_does_not_hear_is_killed_after_its_grace() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let mut planned = shell("a", "trap '' TERM; while :; do sleep 0.01; done");
    planned.set("stop_grace", Value::from(1u64));
    let made = create(provider.as_ref(), &token(1), &planned).await.expect("is made");
    let began = std::time::Instant::now();
    let step = provider.delete(&PROCESS, &made, &token(2)).await;
    assert_eq!(finish(provider.as_ref(), step).await, Ok(None));
    assert!(began.elapsed().as_millis() >= 1000);
    assert_eq!(agent.processes(), [0u32; 0]);
}

#[tokio::test]
async fn what_a_process_leaves_behind_ends_with_it() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    // A daemon: in a session of its own, and its parent ends.
    let planned = shell("a", "setsid sh -c 'sleep 1000 & sleep 1001' & exec sleep 1002");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    until("the daemon runs", || async { agent.processes().len() == 5 }).await;
    kill(pid(&made));
    until("all have ended", || async { agent.processes().is_empty() }).await;
}

#[tokio::test]
async fn nobody_is_left_a_zombie() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    // Orphans that end while the process lives, which knows nothing of them.
    let planned = shell("a", "for i in 1 2 3; do sh -c 'sleep 0.1 &'; done; exec sleep 1000");
    create(provider, &token(1), &planned).await.expect("is made");
    let brief = create(provider, &token(2), &shell("b", "exec sleep 1000"))
        .await
        .expect("is made");
    kill(pid(&brief));
    let dead = || {
        let parents = [agent.process.id(), agent.shim_of("a")];
        let mut stats = Stat::all().into_iter();
        stats.any(|stat| parents.contains(&stat.parent) && !stat.is_alive())
    };
    // The shim of `a`, and its process.
    until("all that ended is gone", || async {
        agent.processes().len() == 2 && !dead()
    })
    .await;
}

#[tokio::test]
async fn restarts_follow_the_policy() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let mut planned = shell("a", "exec sleep 1000");
    planned.set("restart", "on-failure");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    kill(pid(&made));
    until("it is restarted", || async {
        let view = agent.view(&made).await;
        view.restarts == 1 && view.status.as_str() == "running"
    })
    .await;
    let second = present(provider, &made).await;
    assert_ne!(pid(&second), pid(&made));
    assert_eq!(second.attributes.str("state"), Some("running"));
}

#[tokio::test]
async fn a_node_takes_so_many_simulators() {
    let agent = Agent::start().await;
    let client = agent.client();
    let node = client.node().await.expect("reads");
    let mut settings = node.settings.clone();
    settings.max_simulators = Some(1);
    let change = simfleet_provider_agent::protocol::NodeChange {
        token: "t".to_owned(),
        revision: node.revision,
        settings,
    };
    client.change_node(&change).await.expect("changes");
    let provider = agent.provider().await;
    create(provider.as_ref(), &token(1), &shell("a", "exec sleep 1000"))
        .await
        .expect("is made");
    let full = create(provider.as_ref(), &token(2), &shell("b", "exec sleep 1000")).await;
    assert!(matches!(full, Err(ProviderError::Rejected { .. })), "{full:?}");
}

#[tokio::test]
async fn health_shows_in_the_status() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let marker = agent.folder.path().join("healthy");
    let check = ["test", "-e", &marker.to_string_lossy()].map(Value::from);
    let mut planned = shell("a", "exec sleep 1000");
    planned.set(
        "health_check",
        Value::object([
            ("type", Value::string("command")),
            ("command", Value::tuple(check)),
            (
                "interval",
                Value::from("0.05".parse::<simfleet_provider_api::Number>().expect("a number")),
            ),
            ("unhealthy_threshold", Value::from(2u64)),
        ]),
    );
    let made = create(provider, &token(1), &planned).await.expect("is made");
    let status = || async {
        present(provider, &made)
            .await
            .attributes
            .str("status")
            .map(str::to_owned)
    };
    until("it is unhealthy", || async {
        status().await.as_deref() == Some("unhealthy")
    })
    .await;
    std::fs::write(&marker, "").expect("writes");
    until("it is healthy", || async {
        status().await.as_deref() == Some("running")
    })
    .await;
    // Neither is drift.
    assert_eq!(present(provider, &made).await.attributes.str("state"), Some("running"));
}

#[tokio::test]
async fn output_is_rotated_and_the_environment_is_what_was_given() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let log = agent.folder.path().join("out.log");
    let mut planned = shell(
        "a",
        "echo $A $SIMFLEET_NAME $SIMFLEET_ADDRESS $SIMFLEET_PORT_GCS_1; pwd; i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; \
         echo done; exec sleep 1000",
    );
    planned.set("env", Value::object([("A", Value::string("x").mark(true))]));
    planned.set("working_dir", "/");
    planned.set("ports", Value::object([("gcs-1", Value::from(14560u64))]));
    planned.set("ready", Value::object([("pattern", Value::string("^done$"))]));
    planned.set(
        "log",
        Value::object([
            ("path", Value::string(log.to_string_lossy().as_ref())),
            ("max_size", Value::from(1024u64)),
            ("keep", Value::from(1u64)),
        ]),
    );
    let made = create(provider.as_ref(), &token(1), &planned).await.expect("is made");
    let secret = made
        .attributes
        .get("env")
        .and_then(|env| env.get("A"))
        .expect("is there");
    assert!(secret.is_sensitive());
    assert_eq!(secret.as_str(), Some("x"));
    let older = std::fs::read_to_string(agent.folder.path().join("out.log.1")).expect("was rotated");
    let start = format!("x a {} 14560\n/\n", agent.address.ip());
    assert!(older.len() <= 1024 && older.starts_with(&start), "{older}");
    assert_eq!(agent.client().logs("a", 1).await.expect("reads"), ["done"]);
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("an id")).expect("an id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("is ours");
}

#[tokio::test]
async fn one_that_was_made_stopped_has_its_time_to_start_when_it_is_started() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let stopped = |name: &str, command: &str| {
        let mut planned = shell(name, command);
        planned.set("state", "stopped");
        planned.set("ready", Value::object([("timeout", Value::from(1u64))]));
        planned
    };
    let (mut good, mut bad) = (stopped("a", "exec sleep 1000"), stopped("b", "exit 3"));
    let good_made = create(provider, &token(1), &good).await.expect("is made");
    let bad_made = create(provider, &token(2), &bad).await.expect("is made");
    assert_eq!(good_made.attributes.str("status"), Some("stopped"));
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;

    good.set("state", "running");
    let step = provider.update(&PROCESS, &good_made, &good, &token(3)).await;
    let started = finish(provider, step).await.expect("is changed").expect("is there");
    assert_eq!(started.attributes.str("status"), Some("running"));
    // What does not come up is there for its owner to see, and not deleted.
    bad.set("state", "running");
    let step = provider.update(&PROCESS, &bad_made, &bad, &token(4)).await;
    let error = finish(provider, step).await.expect_err("it ends at once");
    assert!(error.to_string().contains("`b` does not run: exit code 3"), "{error}");
    assert_eq!(
        present(provider, &bad_made).await.attributes.str("status"),
        Some("exited")
    );
}
