//! Events go out to webhooks: once each, in order, signed; a receiver that fails harms nobody else.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::Load;
use crate::receiver::{Receiver, TAKEN};
use crate::serve::metric;
use crate::served::Served;
use crate::sizes::local;
use crate::support::Fleet;
use crate::watcher::Watcher;

/// A webhook that tries again soon.
fn webhook(name: &str, to: &Receiver, more: &str) -> String {
    hook(name, &to.url(), more)
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "webhook \"{name}\" {{\n  url      = \"{url}\"\n  insecure = true\n  \
         retry    = {{ max_attempts = 4, min_backoff = \"20ms\", max_backoff = \"100ms\" }}\n  {more}\n}}\n"
    )
}

/// Has a pool grow from 1 to 2 members and more.
fn grow(load: &Load, watcher: &mut Watcher) {
    load.set(90.0);
    watcher.wait_for("members that were made", |event| event["event"] == "pool.scaled_up");
}

#[test]
fn s4_07_events_go_to_those_who_ask_for_them_signed_and_in_their_forms() {
    let load = Load::of(50.0);
    let [own, slack, teams, crimson, all] = [(); 5].map(|()| Receiver::of(&[], TAKEN));
    let secret = "variable \"hook_secret\" {\n  sensitive = true\n}\n";
    let only = "events = [\"pool.scaled_up\"]\n  ";
    let fleet = Fleet::new(
        &[
            local(&load.url()),
            secret.to_owned(),
            webhook("own", &own, &format!("{only}secret = var.hook_secret")),
            webhook("slack", &slack, &format!("{only}format = \"slack\"")),
            webhook("teams", &teams, &format!("{only}format = \"teams\"")),
            webhook(
                "crimson",
                &crimson,
                &format!("{only}format = \"crimson\"\n  labels = {{ project = \"prod\", region = \"fra\" }}"),
            ),
            webhook("all", &all, ""),
        ]
        .concat(),
    )
    .with_environment([("SIMFLEET_VAR_hook_secret", "hunter2")]);
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    grow(&load, &mut watcher);

    let sent = own.wait_for_event("pool.scaled_up");
    sent.is_signed_with("hunter2");
    let body = sent.json();
    assert_eq!(
        (&body["version"], &body["event"]),
        (&1.into(), &"pool.scaled_up".into()),
        "{body}"
    );
    assert_eq!(body["id"], sent.id(), "{body}");
    assert_eq!(
        (&body["address"], &body["severity"]),
        (&"pool.web".into(), &"info".into()),
        "{body}"
    );
    assert_eq!(body["fleet"]["name"], "fleet", "{body}");
    assert!(body["fleet"]["lineage"].is_string() && body["at"].is_string(), "{body}");
    assert_eq!(body["data"]["type"], "scaled", "{body}");
    assert_eq!(body["data"]["made"][0], "pool.web/m2", "{body}");
    assert!(
        own.events().iter().all(|event| event == "pool.scaled_up"),
        "{:?}",
        own.events()
    );

    let slack = slack.wait_for_event("pool.scaled_up");
    assert!(!slack.head.contains_key("x-simfleet-signature"), "{slack:?}");
    let text = slack.json()["text"].to_string();
    assert!(
        text.contains("pool.scaled_up: pool.web: m2") && text.contains("busy="),
        "{text}"
    );
    let card = teams.wait_for_event("pool.scaled_up").json();
    assert_eq!(card["attachments"][0]["content"]["type"], "AdaptiveCard", "{card}");
    let flat = crimson.wait_for_event("pool.scaled_up").json();
    let [project, region, instance] = ["project", "region", "instance"].map(|key| flat[key].to_string());
    assert_eq!(
        (&*project, &*region, &*instance),
        ("\"prod\"", "\"fra\"", "\"pool.web\""),
        "{flat}"
    );

    // All of what it told, in that order, also what it told before it knew whom to tell.
    all.wait_for_event("run.ended");
    assert_eq!(watcher.end().code, Some(0));
    let told = all.events();
    assert_eq!(told[0], "watch.started", "{told:?}");
    let place = |name: &str| {
        told.iter()
            .position(|event| event == name)
            .unwrap_or_else(|| panic!("{name}: {told:?}"))
    };
    assert!(place("pool.decided") < place("change.done"), "{told:?}");
    assert!(place("change.done") < place("pool.scaled_up"), "{told:?}");
    let ids: std::collections::BTreeSet<String> = all.sent().iter().map(|sent| sent.id().to_owned()).collect();
    assert_eq!(ids.len(), told.len(), "each delivery has an id of its own");
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn what_fails_is_sent_again_as_the_same_delivery_and_what_is_refused_is_not() {
    let load = Load::of(50.0);
    let patient = Receiver::of(
        &["503 Busy\r\n", "429 Slower\r\nretry-after: 1\r\n", "500 Broken\r\n"],
        TAKEN,
    );
    let refusing = Receiver::of(&[], "404 Not Found\r\n");
    let elsewhere = Receiver::of(&[], TAKEN);
    let moved: &'static str = format!("302 Found\r\nlocation: {}\r\n", elsewhere.url()).leak();
    let moving = Receiver::of(&[], moved);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let gone_url = format!("http://{}/hooks/T0KEN", gone.local_addr().expect("it listens"));
    drop(gone);
    let only = "events = [\"pool.*\"]";
    let fleet = Fleet::new(
        &[
            local(&load.url()),
            webhook("patient", &patient, only),
            webhook("refusing", &refusing, only),
            webhook("moving", &moving, only),
            hook("gone", &gone_url, only),
        ]
        .concat(),
    );
    fleet.applied();
    let mut served = Served::start(&fleet);
    grow(&load, &mut served.watcher);

    let sent = patient.wait_for(4, |_| true);
    assert!(
        sent[..4]
            .iter()
            .all(|it| it.id() == sent[0].id() && it.body == sent[0].body),
        "{sent:?}"
    );
    let waited = sent[2].at.duration_since(sent[1].at);
    assert!(
        waited >= Duration::from_secs(1),
        "it was asked to wait for a second: {waited:?}"
    );
    refusing.wait_for(2, |_| true);
    moving.wait_for(2, |_| true);
    for receiver in [&refusing, &moving] {
        let sent = receiver.sent();
        assert_ne!(sent[0].id(), sent[1].id(), "nothing is sent again: {sent:?}");
    }
    assert!(elsewhere.sent().is_empty(), "redirects are followed");

    let text = served
        .wait_for("/metrics", |got| {
            metric(&got.body, "simfleet_webhook_failed_total{webhook=\"webhook.gone\"}") >= Some(1.0)
                && metric(
                    &got.body,
                    "simfleet_webhook_delivered_total{webhook=\"webhook.patient\"}",
                ) >= Some(1.0)
        })
        .body;
    for (name, least) in [
        ("simfleet_webhook_retried_total{webhook=\"webhook.patient\"}", 3.0),
        ("simfleet_webhook_retried_total{webhook=\"webhook.gone\"}", 3.0),
        ("simfleet_webhook_failed_total{webhook=\"webhook.refusing\"}", 2.0),
        ("simfleet_webhook_failed_total{webhook=\"webhook.moving\"}", 2.0),
    ] {
        assert!(metric(&text, name) >= Some(least), "{name}:\n{text}");
    }
    for name in ["simfleet_webhook_retried_total", "simfleet_webhook_delivered_total"] {
        let name = format!("{name}{{webhook=\"webhook.refusing\"}}");
        assert_eq!(metric(&text, &name), Some(0.0), "{name}:\n{text}");
    }
    // It takes events again, and that is told once, as that it took none was.
    refusing.say(TAKEN);
    load.set(10.0);
    let again = served.watcher.wait_for("that it takes events again", |event| {
        event["type"] == "webhook_delivers" && event["webhook"] == "webhook.refusing"
    });
    assert!(again["events"].as_u64() >= Some(2), "{again}");
    let ended = served.watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let of = |name: &str| {
        ended
            .out
            .lines()
            .filter(|line| line.contains("webhook_failed") && line.contains(name))
            .count()
    };
    assert_eq!(
        (of("webhook.refusing"), of("webhook.gone"), of("webhook.patient")),
        (1, 1, 0),
        "{}",
        ended.out
    );
    // So it is in the log: what fails for hours does not fill it.
    let logged = |what: &str| {
        ended
            .err
            .lines()
            .filter(|line| line.contains(what) && line.contains("webhook.refusing"))
            .count()
    };
    assert_eq!(
        (
            logged("an event was not delivered"),
            logged("events are delivered again")
        ),
        (1, 1),
        "{}",
        ended.err
    );
    assert!(
        ended.out.contains("404") && ended.out.contains("redirects are not followed"),
        "{}",
        ended.out
    );
    assert!(
        !ended.out.contains("T0KEN") && !ended.err.contains("T0KEN"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn a_receiver_that_hangs_delays_nobody_and_what_it_was_not_sent_is_told() {
    let load = Load::of(50.0);
    let (hanging, well) = (Receiver::of(&[], ""), Receiver::of(&[], TAKEN));
    let hooks = webhook("hanging", &hanging, "timeout = \"10m\"") + &webhook("well", &well, "");
    let fleet = Fleet::new(&(local(&load.url()) + &hooks));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    grow(&load, &mut watcher);
    well.wait_for_event("pool.scaled_up");
    assert_eq!(hanging.events(), ["watch.started"], "one after the other");

    let asked = Instant::now();
    watcher.signal(Signal::TERM);
    let ended = watcher.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let undelivered = ended.out.lines().find(|line| line.contains("webhook_undelivered"));
    let undelivered: serde_json::Value = serde_json::from_str(undelivered.expect("it is told")).expect("JSON");
    assert_eq!(undelivered["webhook"], "webhook.hanging", "{undelivered}");
    let sent = well.events().len() as u64;
    assert_eq!(undelivered["events"].as_u64(), Some(sent), "{undelivered}");

    // A dry run has nobody think that something happened.
    let before = well.sent().len();
    fleet.ok(&["watch", "--dry-run", "--once"]);
    assert_eq!(well.sent().len(), before, "{:?}", well.events());
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn who_is_told_is_what_was_last_applied() {
    let load = Load::of(50.0);
    let (before, after) = (Receiver::of(&[], TAKEN), Receiver::of(&[], TAKEN));
    let fleet = Fleet::new(&(local(&load.url()) + &webhook("ops", &before, "")));
    fleet.applied();
    let mut watcher = Watcher::start(&fleet, &[]);
    before.wait_for_event("watch.started");
    // Another receiver under the same name, a changed file that is not applied yet.
    fleet.write(&(local(&load.url()) + &webhook("ops", &after, "")));
    watcher.wait_for_type("pending");
    before.wait_for_event("fleet.pending");
    assert!(after.sent().is_empty(), "{:?}", after.events());
    fleet.ok(&["apply", "--auto-approve"]);
    watcher.wait_for_type("settled");
    let told = before.sent().len();
    grow(&load, &mut watcher);
    after.wait_for_event("pool.scaled_up");
    assert_eq!(before.sent().len(), told, "{:?}", before.events());
    // Nobody any more.
    fleet.write(&local(&load.url()));
    fleet.ok(&["apply", "--auto-approve"]);
    load.set(10.0);
    watcher.wait_for("members that were removed", |event| {
        event["event"] == "pool.scaled_down"
    });
    assert!(
        !after.events().contains(&"pool.scaled_down".to_owned()),
        "{:?}",
        after.events()
    );
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
