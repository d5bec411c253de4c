//! The rules of the language, E01 to E33 and W01 to W10: a small fleet that breaks each, and what its user sees.

use super::load_text;
use crate::diagnostic::{Diagnostics, Severity};
use crate::view::{Theme, diagnostics};

/// Rules that no text of a fleet can break.
///
/// E29: native autoscaling of OCI is no part of the language; simfleet decides sizes itself.
/// E30: every call that changes something carries a token, by the type of the call.
const UNBREAKABLE: &[&str] = &["E29", "E30"];

/// Returns a fleet of one pool.
fn pool(inside: &str, node: &str, autoscale: &str) -> String {
    format!(
        "provider \"local\" {{}}\npool \"p\" {{\n{inside}\n  node {{\n{node}\n  }}\n  autoscale {{\n    min = 1\n    max = \
         4\n{autoscale}\n  }}\n}}\n"
    )
}

fn autoscale(inside: &str) -> String {
    pool("", "", inside)
}

fn bounds(min: &str, max: &str, inside: &str) -> String {
    let fleet = autoscale(inside);
    fleet.replace("min = 1\n    max = 4", &format!("min = {min}\n    max = {max}"))
}

fn schedule(inside: &str) -> String {
    autoscale(&format!("    schedule \"s\" {{\n{inside}\n    }}"))
}

fn check(strategy: &str) -> String {
    autoscale(&format!("    check \"cpu\" {{\n      {strategy}\n    }}"))
}

/// Returns a fleet of two robots.
fn robots(first: &str, second: &str) -> String {
    let robot = |id: &str, inside: &str| format!("robot \"{id}\" {{\n  broker = mqtt_broker.b\n{inside}\n}}\n");
    let broker = "mqtt_broker \"b\" {\n  url      = \"mqtt://broker.lab:1883\"\n  username = \"fleet\"\n}\n";
    format!("{broker}{}{}", robot("one", first), robot("two", second))
}

fn px4(count: &str, instance: &str) -> String {
    format!(
        "provider \"local\" {{}}\nnode \"n\" {{}}\nsimulator \"px4\" \"iris\" {{\n  count     = {count}\n  placement = \
         node.n\n  image     = \"px4:1\"\n  instance  = {instance}\n}}\n"
    )
}

fn qemu(inside: &str) -> String {
    format!(
        "simulator \"qemu\" \"m\" {{\n  count     = 2\n  placement = \"local\"\n  binary    = \"qemu-system-arm\"\n  machine   = \
         \"virt\"\n{inside}\n}}\n"
    )
}

const NGINX: &str = "  load_balancer \"nginx\" {\n    node   = node.front\n    listen = 80\n    port   = 5000\n    file   = \
                     \"/etc/nginx/conf.d/up.conf\"\n    reload = [\"nginx\", \"-s\", \"reload\"]\n  }";

fn broken() -> Vec<(&'static str, String)> {
    let zoned = |text: &str| schedule(&format!("      timezone = \"UTC\"\n{text}"));
    vec![
        ("E01_bounds", bounds("5", "4", "")),
        ("E01_schedule", zoned("      start = \"09:00\"\n      end = \"10:00\"\n      min = 3\n      max = 2")),
        ("E02", bounds("-1", "4", "")),
        ("E03", schedule("      start = \"09:00\"\n      end = \"17:00\"\n      min = 3")),
        ("E04", zoned("      start = \"09:00\"\n      end = \"09:00\"\n      min = 3")),
        (
            "E05",
            zoned(
                "      days = [\"sun\"]\n      start = \"22:00\"\n      end = \"06:00\"\n      min = 3\n    }\n    schedule \"t\" \
                 {\n      timezone = \"UTC\"\n      days = [\"mon\"]\n      start = \"05:00\"\n      end = \"07:00\"\n      min = 2",
            ),
        ),
        ("E06", zoned("      start = \"09:00\"\n      end = \"10:00\"\n      min = 9")),
        ("E07", check("strategy \"threshold\" {\n        upper = 30\n        lower = 70\n      }")),
        ("E08", check("strategy \"threshold\" {\n        upper = 70\n        lower = 60\n      }")),
        ("E09", bounds("0", "4", "    check \"cpu\" {\n      strategy \"target\" { target = 70 }\n    }")),
        ("E10_queue", check("strategy \"queue\" { target = 0 }")),
        ("E10_buffer", check("strategy \"buffer\" { percent = 100 }")),
        ("E11_metrics", autoscale("    check \"load\" {\n      source = metrics.prom\n      query  = \"load\"\n      strategy \"target\" { target = 1 }\n    }")),
        ("E11_webhook", "webhook \"ops\" { url = \"https://example.net/\" }\nalert \"a\" {\n  on     = robot[\"*\"]\n  event  = \"robot.offline\"\n  notify = [webhook.op]\n}\n".to_owned()),
        ("E11_override", robots("", "").to_owned() + "alert \"a\" {\n  on        = robot[\"*\"]\n  metric    = \"battery.percent\"\n  direction = \"below\"\n  warning   = 30\n  override \"on\" { critical = 20 }\n}\n"),
        ("E11_console", qemu("  console \"uart0\" {}") + "test \"boots\" {\n  simulator = simulator.qemu.m\n  expect {\n    console = \"uart1\"\n    matches = \"READY\"\n  }\n}\n"),
        ("E12", pool("", "    max_simulators = 12\n    port_range \"mavlink\" {\n      from = 14560\n      to   = 14570\n    }", "")),
        ("E13_ranges", pool("", "    port_range \"a\" {\n      from = 14560\n      to   = 14570\n    }\n    port_range \"b\" {\n      from = 14570\n      to   = 14580\n    }", "")),
        ("E13_forward", pool("", "    forward \"app\" {\n      host  = 5005\n      guest = 80\n    }\n    port_range \"a\" {\n      protocol = \"tcp\"\n      from     = 5000\n      to       = 5010\n    }", "")),
        ("E13_agent", pool("", "    port_range \"a\" {\n      protocol = \"tcp\"\n      from     = 8000\n      to       = 8500\n    }", "")),
        ("E13_port", "node \"n\" {}\nsimulator \"exec\" \"s\" {\n  placement = node.n\n  command   = [\"serve\"]\n  port \"http\" {\n    protocol = \"tcp\"\n    host     = 8443\n  }\n}\n".to_owned()),
        ("E14_px4", px4("1", "255")),
        ("E14_vehicle", px4("1", "255").replace("  image     = \"px4:1\"\n", "").replace("px4", "vehicle")),
        ("E15_one_block", px4("3", "0")),
        ("E15_two_blocks", px4("1", "2") + "simulator \"vehicle\" \"quad\" {\n  count     = 3\n  placement = node.n\n  instance  = count.index\n}\n"),
        ("E16_topics", robots("  prefix = \"lab\"\n  topic \"state\" { kind = \"state\" }", "  prefix = \"lab\"\n  topic \"state\" { kind = \"state\" }")),
        ("E16_instances", robots("  count  = 2\n  prefix = \"lab\"", "")),
        ("E17_stop", robots("  emergency_stop { topic = \"lab/+/stop\" }", "")),
        ("E17_alert", "alert \"a\" {\n  on      = robot[\"*\"]\n  event   = \"robot.offline\"\n  publish = { topic = \"lab/#\" }\n}\n".to_owned()),
        ("E18", robots("  command { request = \"lab/{robot_id}/do\" }", "")),
        ("E19_drive", qemu("  drive \"root\" {\n    path   = \"root.img\"\n    format = \"raw\"\n  }\n  snapshot { store = \"snapshots\" }")),
        ("E19_disk", qemu("  snapshot {\n    store = \"snapshots\"\n    disk  = \"raw\"\n  }")),
        ("E20", qemu("  gdb { port = 3333 }")),
        ("E21", pool("  provider = azure\n  drain { timeout = \"2m\" }", "    spot = {}", "") + "provider \"azure\" {\n  subscription_id = \"s\"\n  resource_group  = \"g\"\n  region          = \"eastus\"\n}\n"),
        ("E22", "webhook \"ops\" {\n  url    = \"https://example.net/\"\n  secret = \"hunter2\"\n}\n".to_owned()),
        ("E22_default", "variable \"login\" {\n  sensitive = true\n  default = {\n    user     = \"\"\n    password = \"hunter2\"\n  }\n}\n".to_owned()),
        ("E23", "value \"a\" { input = value.b.output }\nvalue \"b\" { input = local.c }\nlocals { c = value.a.output }\n".to_owned()),
        ("E24_none", pool("  scale_by = \"power\"", "", "")),
        ("E24_twice", pool("  scale_by = \"power\"\n  members  = [\"a\", \"b\", \"c\", \"a\"]", "", "")),
        ("E24_max", pool("  scale_by = \"power\"\n  members  = [\"a\", \"b\"]", "", "")),
        ("E25", autoscale("    budget { max_hourly = 3 }")),
        ("E26", autoscale("    predictive { mode = \"scale\" }")),
        ("E27", pool(NGINX, "", "") + "node \"front\" {}\n"),
        ("E28", autoscale("    behavior {\n      scale_up {\n        policy {\n          type   = \"count\"\n          value  = 1\n          period = \"0s\"\n        }\n      }\n    }")),
        ("E31_strategy", check("strategy \"webhook\" { url = \"http://example.net\" }")),
        ("E31_webhook", "webhook \"ops\" { url = \"http://example.net/\" }\n".to_owned()),
        ("E32", pool("", "    health_check {\n      type     = \"agent\"\n      interval = \"1s\"\n      timeout  = \"2s\"\n    }", "")),
        ("E33_window", check("window = \"5s\"\n      strategy \"target\" { target = 70 }")),
        ("E33_for", check("strategy \"threshold\" {\n        upper = 70\n        lower = 30\n        for   = \"5s\"\n      }")),
        ("W01", autoscale("    evaluation_interval = \"30s\"\n    behavior {\n      scale_down { stabilization_window = \"1m\" }\n    }\n    check \"cpu\" {\n      strategy \"target\" { target = 70 }\n    }")),
        ("W02", pool("  price_hourly = 0.5", "", "    budget { max_hourly = 1.2 }")),
        ("W03", pool("  price_hourly = 2", "", "    budget { max_daily = 24 }")),
        ("W04", "service \"db\" { image = \"postgres:latest\" }\nservice \"web\" { image = \"registry.example.net:5000/web\" }\nservice \"good\" { image = \"registry.example.net:5000/web:1.2\" }\n".to_owned()),
        ("W05", px4("11", "count.index")),
        ("W06", "network \"n\" {\n  rule \"ssh\" {\n    ports   = [\"22\"]\n    sources = [\"0.0.0.0/0\"]\n  }\n}\n".to_owned()),
        ("W07", "mqtt_broker \"b\" { url = \"mqtt://broker.lab:1883\" }\n".to_owned()),
        ("W08", check("on_missing = \"fail_open\"\n      strategy \"target\" { target = 70 }")),
        ("W09", schedule("      timezone = \"Europe/Berlin\"\n      start = \"02:30\"\n      end = \"06:00\"\n      min = 3")),
        ("W10", autoscale("    check \"memory\" {\n      strategy \"target\" { target = 70 }\n    }")),
    ]
}

fn load(text: &str) -> Diagnostics {
    match load_text(text) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    }
}

#[test]
fn each_rule_is_told() {
    for (name, text) in broken() {
        let found = load(&text);
        let told = diagnostics::render(&found, Theme::Plain);
        let code = &name[..3];
        let severity = if code.starts_with('E') {
            Severity::Error
        } else {
            Severity::Warning
        };
        let is_it = |diagnostic: &crate::diagnostic::Diagnostic| {
            diagnostic.summary.starts_with(code) && diagnostic.severity == severity
        };
        assert!(
            !found.0.is_empty() && found.0.iter().all(is_it),
            "{name}:\n{text}\n{told}"
        );
        insta::with_settings!({ omit_expression => true, description => text }, {
            insta::assert_snapshot!(name, told)
        });
    }
}

#[test]
fn every_rule_is_there() {
    let errors = (1..=33).map(|n| format!("E{n:02}"));
    let rules = errors.chain((1..=10).map(|n| format!("W{n:02}")));
    let broken = broken();
    for rule in rules.filter(|rule| !UNBREAKABLE.contains(&rule.as_str())) {
        assert!(
            broken.iter().any(|(name, _)| name.starts_with(&rule)),
            "{rule} is not shown"
        );
    }
}

#[test]
fn what_simfleet_does_not_measure_is_told() {
    let text = autoscale(
        "    check \"load\" {\n      query = \"cpu_utilisation\"\n      strategy \"target\" { target = 1 }\n    }\n    check \"qeue\" {\n      strategy \"queue\" { target = 1 }\n    }\n    check \"free_slots\" {\n      strategy \"target\" { target = 1 }\n    }",
    );
    insta::assert_snapshot!("unknown_metric", diagnostics::render(&load(&text), Theme::Plain));
}

/// What is next to a mistake is none.
#[test]
fn what_keeps_the_rules_is_not_told() {
    let kept = [
        ("E13", pool("", "    port_range \"a\" {\n      from = 8000\n      to   = 8500\n    }", "")),
        ("E13", "node \"n\" {}\nsimulator \"exec\" \"s\" {\n  placement = node.n\n  command   = [\"serve\"]\n  port \"gcs\" { host = 8443 }\n}\n".to_owned()),
        ("E15", px4("3", "count.index")),
        ("E15", px4("3", "0").replace("node.n\n", "pool.p\n") + "pool \"p\" {\n  node {}\n  autoscale {\n    min = 1\n    max = 4\n  }\n}\n"),
        ("E16", robots("  topic \"state\" { kind = \"state\" }", "  topic \"state\" { kind = \"state\" }")),
        ("E20", qemu("  gdb { port = 3333 + count.index }")),
        ("E21", pool("  provider = azure\n  drain { timeout = \"30s\" }", "    spot = {}", "") + "provider \"azure\" {\n  subscription_id = \"s\"\n  resource_group  = \"g\"\n  region          = \"eastus\"\n}\n"),
        ("E22", "variable \"s\" {\n  type      = string\n  sensitive = true\n  default   = \"\"\n}\nwebhook \"ops\" {\n  url    = \"https://example.net/\"\n  secret = \"${var.s}-${env(\"HOME\")}\"\n}\n".to_owned()),
        ("E22", "variable \"code\" {\n  sensitive = true\n  default   = [1234, null, \"\", env(\"HOME\")]\n}\n".to_owned()),
        ("E24", pool("  scale_by = \"power\"\n  members  = [for i in range(4) : \"a${i}\"]", "", "")),
        ("W02", pool("  price_hourly = 0.5", "", "    budget { max_hourly = 2 }")),
        ("W05", px4("10", "count.index")),
        ("W06", "network \"n\" {\n  rule \"ssh\" { sources = [\"10.0.0.0/8\"] }\n}\n".to_owned()),
        ("W09", schedule("      timezone = \"Europe/Berlin\"\n      days = [\"mon\"]\n      start = \"02:30\"\n      end = \"06:00\"\n      min = 3")),
        ("W09", schedule("      timezone = \"Asia/Kolkata\"\n      start = \"02:30\"\n      end = \"06:00\"\n      min = 3")),
        ("W10", autoscale("    check \"memory\" {\n      source = \"http\"\n      query = \"cpu of {member}\"\n      strategy \"target\" { target = 70 }\n    }\n    check \"cpu\" {\n      strategy \"target\" { target = 70 }\n    }")),
    ];
    for (rule, text) in kept {
        let found = load(&text);
        assert!(
            found.0.is_empty(),
            "{rule}:\n{text}\n{}",
            diagnostics::render(&found, Theme::Plain)
        );
    }
}
