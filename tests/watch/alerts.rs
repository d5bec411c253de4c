//! Alerts fire and resolve, are told once, also over a restart, and where to they were meant to be.

use serde_json::Value as Json;

use crate::load::{Answer, Load};
use crate::receiver::{Receiver, TAKEN};
use crate::serve::metric;
use crate::served::Served;
use crate::sizes::local;
use crate::support::Fleet;
use crate::watcher::Watcher;

fn alert(name: &str, on: &str, more: &str) -> String {
    format!("alert \"{name}\" {{\n  on = {on}\n  {more}\n}}\n")
}

fn is_of<'a>(kind: &'a str, alert: &'a str) -> impl Fn(&Json) -> bool + 'a {
    move |event| event["type"] == kind && event["alert"] == alert
}

#[test]
fn alerts_fire_and_resolve_and_are_told_where_they_are_meant_to_be() {
    let load = Load::of(50.0);
    let (meant, globbed, other) = (
        Receiver::of(&[], TAKEN),
        Receiver::of(&[], TAKEN),
        Receiver::of(&[], TAKEN),
    );
    let hook = |name: &str, to: &Receiver, events: &str| {
        format!(
            "webhook \"{name}\" {{\n  url      = \"{}\"\n  insecure = true\n  events   = [\"{events}\"]\n}}\n",
            to.url()
        )
    };
    let above = |metric: &str, limits: &str| format!("metric    = \"{metric}\"\n  direction = \"above\"\n  {limits}");
    let fleet = Fleet::new(
        &[
            local(&load.url()),
            "node \"lone\" {\n  cpus   = 1\n  memory = \"256MiB\"\n}\n".to_owned(),
            hook("meant", &meant, "run.ended"),
            hook("globbed", &globbed, "alert.*"),
            hook("other", &other, "pool.*"),
            alert(
                "large",
                "pool.web",
                &above("size", "warning = 3\n  critical = 5\n  notify = [webhook.meant]"),
            ),
            alert(
                "busy",
                "pool.web",
                &above("checks.busy", "warning = 80\n  for = \"1s\""),
            ),
            alert(
                "blind",
                "pool.web",
                "event    = \"check.no_data\"\n  severity = \"critical\"",
            ),
            alert(
                "idle",
                "node.lone",
                "metric    = \"cpu\"\n  direction = \"below\"\n  warning   = 100",
            ),
            alert(
                "ill",
                "node.lone",
                "metric    = \"healthy\"\n  direction = \"below\"\n  critical  = 0",
            ),
        ]
        .concat(),
    );
    fleet.applied();
    let mut served = Served::start(&fleet);
    // What is bad from the start is told, too.
    let idle = served
        .watcher
        .wait_for("an idle node", is_of("alert_firing", "alert.idle"));
    assert_eq!(
        (&idle["on"], &idle["severity"]),
        (&"node.lone".into(), &"warning".into()),
        "{idle}"
    );

    load.set(90.0);
    let busy = served
        .watcher
        .wait_for("a busy pool", is_of("alert_firing", "alert.busy"));
    assert_eq!(busy["value"], 90.0, "{busy}");
    assert_eq!(
        busy["message"], "alert.busy fires, warning: pool.web: 90, warning from 80 up",
        "{busy}"
    );
    let critical = served.watcher.wait_for("a large pool", |event| {
        is_of("alert_firing", "alert.large")(event) && event["severity"] == "critical"
    });
    assert_eq!(critical["event"], "alert.firing", "{critical}");
    let sent = meant
        .wait_for(1, |sent| sent.json()["severity"] == "critical")
        .remove(0)
        .json();
    assert_eq!(
        (&sent["event"], &sent["data"]["alert"]),
        (&"alert.firing".into(), &"alert.large".into()),
        "{sent}"
    );
    let firing = served
        .wait_for("/v1/alerts", |got| {
            got.body.contains("\"critical\"") && got.body.contains("alert.busy")
        })
        .json();
    let alerts: Vec<&str> = firing
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["alert"].as_str())
        .collect();
    assert_eq!(alerts, ["alert.busy", "alert.idle", "alert.large"], "{firing}");
    let text = served.get("/metrics").body;
    let large = "simfleet_alerts{alert=\"alert.large\",on=\"pool.web\",severity=\"critical\"}";
    assert_eq!(metric(&text, large), Some(1.0), "{text}");

    // An event, and what says that it is over.
    load.say(Answer::Status(500));
    let blind = served
        .watcher
        .wait_for("a blind pool", is_of("alert_firing", "alert.blind"));
    assert!(
        blind["severity"] == "critical" && blind["because"].to_string().contains("500"),
        "{blind}"
    );
    load.set(10.0);
    served
        .watcher
        .wait_for("one that sees", is_of("alert_resolved", "alert.blind"));
    served
        .watcher
        .wait_for("a small pool", is_of("alert_resolved", "alert.large"));
    let resolved = |sent: &crate::receiver::Sent| sent.event() == "alert.resolved";
    meant.wait_for(1, resolved);
    globbed.wait_for(2, resolved);
    served.wait_for("/v1/alerts", |got| !got.body.contains("alert.large"));

    // A restart tells nothing twice of what goes on, and what it missed.
    assert_eq!(served.watcher.end().code, Some(0));
    let told = |events: &[Json], alert: &str| {
        let of_it = events.iter().filter(|event| event["alert"] == alert);
        of_it.map(|event| event["type"].to_string()).collect::<Vec<_>>()
    };
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    load.set(90.0);
    // Within `dedup` of the last time.
    watcher.wait_for("that it would be larger", |event| event["event"] == "pool.at_max");
    load.say(Answer::Status(500));
    watcher.wait_for_type("source_failed");
    load.set(10.0);
    let below = watcher.wait_for("that it would not", |event| event["event"] == "pool.below_max");
    assert_eq!(below["pool"], "pool.web", "{below}");
    assert_eq!(told(&watcher.told, "alert.idle"), [""; 0], "{}", watcher.all());
    assert_eq!(told(&watcher.told, "alert.blind"), [""; 0], "{}", watcher.all());
    assert_eq!(told(&watcher.told, "alert.busy"), [""; 0], "{}", watcher.all());
    assert!(
        meant.events().iter().all(|event| event != "pool.decided"),
        "{:?}",
        meant.events()
    );
    assert!(
        other.events().iter().all(|event| event.starts_with("pool.")),
        "{:?}",
        other.events()
    );
    assert_eq!(watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn alerts_on_what_is_not_known_are_mistakes() {
    let load = Load::of(50.0);
    let metric = |metric: &str| format!("metric    = \"{metric}\"\n  direction = \"above\"\n  warning   = 1");
    let wrong = [
        alert("a", "pool.web", &metric("sizes")),
        alert("b", "pool.web", &metric("checks.bsy")),
        alert("c", "node.lone", &metric("disk")),
        alert("d", "pool.web", "event = \"pool.at_mx\""),
    ];
    let lone = "node \"lone\" {}\n";
    let mut report = String::new();
    for wrong in wrong {
        let fleet = Fleet::new(&(local(&load.url()) + lone + &wrong));
        let refused = fleet.run(&["plan"]);
        assert_eq!(refused.code, Some(1), "{wrong}: {}", refused.out);
        report.push_str(&refused.err);
    }
    // Those on robots wait for robots.
    let robots = "alert \"r\" {\n  on    = robot[\"*\"]\n  event = \"robot.offline\"\n}\n";
    let fleet = Fleet::new(&(local(&load.url()) + robots));
    fleet.ok(&["validate"]);
    let refused = fleet.run(&["plan"]);
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    report.push_str(&refused.err);
    insta::with_settings!({filters => vec![(r"fleet\.hcl:\d+:\d+", "fleet.hcl:LINE")]}, {
        insta::assert_snapshot!("mistakes_in_alerts", report);
    });
}
