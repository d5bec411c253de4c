//! Simulators that are stopped by themselves: nobody uses them, or their time is over.

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use serde_json::{Value as Json, json};
use simfleet_provider_agent::durable;
use simfleet_provider_agent::protocol::{ResetSimulator, Status};
use simfleet_provider_api::runtime::LogQuery;
use simfleet_provider_api::{Attributes, Object};

use crate::harness::{Agent, PROCESS, create, finish, is_alive, pid, present, shell, token, until};

/// A process that is stopped after so many seconds, by the attribute of that name.
fn ending(name: &str, attribute: &'static str, seconds: u64) -> Attributes {
    let mut planned = shell(name, "echo up; exec sleep 1000");
    planned.set(attribute, seconds);
    planned
}

async fn is_stopped(agent: &Agent, object: &Object) -> bool {
    agent.view(object).await.status == Status::Stopped
}

/// Has a time in the record of a simulator, whose agent does not run, be so many seconds ago.
fn set_back(agent: &Agent, name: &str, time: &str, seconds: u64) {
    let path = agent.folder.path().join("simulators").join(name).join("record.json");
    let mut record: Json = durable::read_json(&path).expect("it reads").expect("it is there");
    assert!(record[time].is_object(), "{record}");
    let ago = SystemTime::now() - Duration::from_secs(seconds);
    record[time] = json!(ago);
    durable::write_json(&path, &record).expect("it is written");
}

#[tokio::test]
async fn one_that_nobody_uses_is_stopped_and_runs_again_when_it_is_asked_to() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let mut planned = ending("a", "idle_timeout", 2);
    // Who restarts what ends has nothing to do with it.
    planned.set("restart", "always");
    let made = create(provider, &token(1), &planned).await.expect("is made");
    until("it is stopped", || is_stopped(&agent, &made)).await;
    assert!(!is_alive(pid(&made)));
    let seen = present(provider, &made).await.attributes;
    assert_eq!(seen.str("state"), Some("running"), "it is as it is wanted");
    assert_eq!(seen.str("stopped_because"), Some("idle for 2s"));

    // The next agent knows.
    agent.kill();
    agent.restart().await;
    let view = agent.view(&made).await;
    assert_eq!((view.status, view.restarts), (Status::Stopped, 0));
    assert_eq!(view.stopped_because.as_deref(), Some("idle for 2s"));

    // A change of anything that is wanted has it run, and so does a reset.
    planned.set("idle_timeout", 1000u64);
    let step = provider
        .update(&PROCESS, &present(provider, &made).await, &planned, &token(2))
        .await;
    let changed = finish(provider, step).await.expect("is changed").expect("is there");
    assert_eq!(changed.attributes.str("status"), Some("running"));
    assert_eq!(changed.attributes.get("stopped_because"), None);
    planned.set("idle_timeout", 1u64);
    let step = provider
        .update(&PROCESS, &present(provider, &made).await, &planned, &token(3))
        .await;
    finish(provider, step).await.expect("is changed");
    until("it is stopped again", || is_stopped(&agent, &made)).await;
    let (name, id) = made.id.0.rsplit_once('@').expect("NAME@TOKEN");
    let reset = ResetSimulator {
        token: "r".to_owned(),
        id: id.to_owned(),
    };
    agent.client().reset_simulator(name, &reset).await.expect("is reset");
    until("it was started again", || async {
        let log = agent.client().logs(name, 100).await.expect("it is read");
        log.iter().filter(|line| *line == "up").count() == 3
    })
    .await;
}

#[tokio::test]
async fn one_whose_log_is_followed_is_not_idle() {
    let agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let used = create(provider, &token(1), &ending("used", "idle_timeout", 3))
        .await
        .expect("is made");
    let query = LogQuery {
        follow: true,
        ..LogQuery::default()
    };
    let log = agent.client().log("used", &token(1).0, &query).await;
    let mut log = Box::pin(log.expect("it can be followed"));
    let other = create(provider, &token(2), &ending("other", "idle_timeout", 3))
        .await
        .expect("is made");
    until("the other one is stopped", || is_stopped(&agent, &other)).await;
    assert_eq!(agent.view(&used).await.status, Status::Running, "it was made before");
    let _ = log.next().await;
    drop(log);
    until("it is stopped too", || is_stopped(&agent, &used)).await;
}

#[tokio::test]
async fn the_time_since_the_last_use_goes_on_while_no_agent_is_there() {
    let mut agent = Agent::start().await;
    let provider = agent.provider().await;
    let provider = provider.as_ref();
    let idle = create(provider, &token(1), &ending("idle", "idle_timeout", 1800))
        .await
        .expect("is made");
    let old = create(provider, &token(2), &ending("old", "max_lifetime", 8 * 3600))
        .await
        .expect("is made");
    let young = create(provider, &token(3), &ending("young", "max_lifetime", 8 * 3600))
        .await
        .expect("is made");
    agent.kill();
    set_back(&agent, "idle", "used", 1801);
    set_back(&agent, "old", "began", 8 * 3600 + 1);
    agent.restart().await;
    for (object, why) in [(&idle, "idle for 30m"), (&old, "its max_lifetime of 8h is over")] {
        until(why, || is_stopped(&agent, object)).await;
        assert_eq!(agent.view(object).await.stopped_because.as_deref(), Some(why));
        assert!(!is_alive(pid(object)));
    }
    assert_eq!(agent.view(&young).await.status, Status::Running);
    // Started again it has all of its time.
    agent.client().start_simulator("old").await.expect("starts");
    until("it runs", || async { agent.view(&old).await.status == Status::Running }).await;
    agent.kill();
    agent.restart().await;
    assert_eq!(agent.view(&old).await.status, Status::Running);
}
