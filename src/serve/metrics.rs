//! `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use jiff::Timestamp;
use simfleet_provider_api::Address;

use super::requests::Requests;
use crate::signals::webhooks::Counts;
use crate::status::Status;
use crate::view::alerts::firing;
use crate::watch::published::{CheckPicture, Durations, PoolPicture, Published};

/// The labels of a sample: names and values.
type Labels<'a> = [(&'a str, &'a str)];

/// Text in the format of Prometheus.
#[derive(Debug, Default)]
struct Exposition(String);

impl Exposition {
    /// Begins the samples of a name.
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let _ = match labels.is_empty() {
            true => writeln!(self.0, "{name} {value}"),
            false => writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")),
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.begin(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Writes how long something took, after [`begin`](Self::begin).
    fn durations(&mut self, name: &str, labels: &Labels<'_>, durations: &Durations) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in durations.buckets() {
            let bound = bound.to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), durations.count);
        self.sample(&format!("{name}_sum"), labels, durations.sum);
        self.sample(&format!("{name}_count"), labels, durations.count);
    }
}

/// Returns a label's value as it is written between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns all metrics.
pub(super) fn render(published: &Published, status: &Status, requests: &Requests, programs: u64) -> String {
    let mut text = Exposition::default();
    of_the_loop(published, &mut text);
    of_pools(published, &mut text);
    of_checks(published, &mut text);
    of_what_runs(published, status, &mut text);
    of_alerts(published, &mut text);
    of_webhooks(published, &mut text);
    of_requests(requests, &mut text);
    let help = "Programs that were uploaded.";
    text.one("simulation_programs_uploaded_total", "counter", help, programs);
    text.0
}

fn of_the_loop(published: &Published, text: &mut Exposition) {
    let counters = &published.counters;
    let name = "simfleet_lap_duration_seconds";
    text.begin(name, "histogram", "How long the laps of the loop took.");
    text.durations(name, &[], &counters.seconds);
    let name = "simfleet_lap_lag_seconds";
    text.begin(name, "histogram", "How much later than they were due laps began.");
    text.durations(name, &[], &counters.lag);
    let name = "simfleet_laps_total";
    text.begin(name, "counter", "Laps of the loop.");
    text.sample(name, &[("result", "ok")], counters.laps);
    text.sample(name, &[("result", "failed")], counters.laps_failed);
    let help = "When the last lap was made that worked.";
    text.one(
        "simfleet_last_lap_timestamp_seconds",
        "gauge",
        help,
        seconds(published.at),
    );
    let name = "simfleet_applies_total";
    text.begin(name, "counter", "Runs that changed something, or were to.");
    text.sample(name, &[("result", "ok")], counters.runs);
    text.sample(name, &[("result", "failed")], counters.runs_failed);
    text.one(
        "simfleet_applies_active",
        "gauge",
        "Runs at work.",
        published.running.len(),
    );
    text.one(
        "simfleet_errors_total",
        "counter",
        "What went wrong: runs, files with mistakes, laps.",
        counters.errors,
    );
    let name = "simfleet_looks_total";
    text.begin(
        name,
        "counter",
        "Looks at far sides: as it was time, and as they told that something happened.",
    );
    text.sample(name, &[("because", "time")], counters.looks - counters.looks_told);
    text.sample(name, &[("because", "event")], counters.looks_told);
    let help = "Far sides that tell by themselves what happens there.";
    text.one("simfleet_sides_telling", "gauge", help, published.telling);
    let help = "Whether the files are other than what was last applied.";
    text.one(
        "simfleet_files_pending",
        "gauge",
        help,
        u8::from(published.pending.is_some()),
    );
    let help = "The serial of the state.";
    text.one("simfleet_state_serial", "gauge", help, published.snapshot.state.serial);
}

fn of_pools(published: &Published, text: &mut Exposition) {
    type Value = fn(&PoolPicture) -> Option<i64>;
    let gauges: [(&str, &str, Value); 5] = [
        ("simfleet_pool_min", "The fewest members that are declared.", |pool| {
            pool.declared.autoscale.min.try_into().ok()
        }),
        ("simfleet_pool_max", "The most members that are declared.", |pool| {
            pool.declared.autoscale.max.try_into().ok()
        }),
        (
            "simfleet_pool_members",
            "Members that are there, of any kind.",
            |pool| pool.decision.as_ref().and(pool.members.try_into().ok()),
        ),
        (
            "simfleet_pool_current",
            "Healthy members that are not on their way out.",
            |pool| pool.decision.as_ref().map(|decision| decision.current),
        ),
        ("simfleet_pool_desired", "Members that are wanted.", |pool| {
            pool.decision.as_ref().map(|decision| decision.desired)
        }),
    ];
    for (name, help, value) in gauges {
        text.begin(name, "gauge", help);
        for (address, pool) in &published.pools {
            if let Some(value) = value(pool) {
                text.sample(name, &[("pool", &address.to_string())], value);
            }
        }
    }
    let name = "simfleet_pool_decisions_total";
    text.begin(name, "counter", "Decisions on the size.");
    for (address, pool) in &published.pools {
        text.sample(name, &[("pool", &address.to_string())], pool.decisions);
    }
    let name = "simfleet_pool_limited_total";
    text.begin(name, "counter", "Decisions that a limit made other than was asked for.");
    for (address, pool) in &published.pools {
        for (limit, count) in &pool.limited {
            text.sample(name, &[("pool", &address.to_string()), ("limit", limit)], count);
        }
    }
}

fn of_checks(published: &Published, text: &mut Exposition) {
    type Value = Box<dyn Fn(&CheckPicture) -> Option<f64>>;
    let now = Timestamp::now();
    let age = move |check: &CheckPicture| Some(now.duration_since(check.at?).as_secs_f64().max(0.0));
    let metrics: [(&str, &str, &str, Value); 4] = [
        (
            "simfleet_check_value",
            "gauge",
            "The value that was last decided with.",
            Box::new(|check| check.value),
        ),
        (
            "simfleet_check_age_seconds",
            "gauge",
            "How long ago the source last answered.",
            Box::new(age),
        ),
        (
            "simfleet_check_up",
            "gauge",
            "Whether the source answered the last time.",
            Box::new(|check| Some(f64::from(u8::from(check.failed.is_none())))),
        ),
        (
            "simfleet_check_failures_total",
            "counter",
            "How often the source did not answer.",
            Box::new(|check| Some(check.failures as f64)),
        ),
    ];
    for (name, kind, help, value) in metrics {
        text.begin(name, kind, help);
        for (address, pool) in &published.pools {
            for (check, picture) in &pool.checks {
                if let Some(value) = value(picture) {
                    text.sample(name, &[("pool", &address.to_string()), ("check", check)], value);
                }
            }
        }
    }
}

fn of_what_runs(published: &Published, status: &Status, text: &mut Exposition) {
    let nodes = status.nodes.iter().map(|node| node.health.word());
    by_status("simfleet_nodes", "Nodes, by status.", nodes, text);
    let simulators = status.simulators.iter().map(|simulator| simulator.health.word());
    by_status("simfleet_simulators", "Simulators, by status.", simulators, text);
    let at_work = status
        .simulators
        .iter()
        .filter(|simulator| simulator.health.word() == "running")
        .count();
    text.one("simulation_active_sessions", "gauge", "Simulators that run.", at_work);
    let help = "Simulators that wait for a place.";
    text.one("simulation_jobs_queued", "gauge", help, published.unplaced);
    let loads = || status.nodes.iter().filter_map(|node| Some((&node.address, node.load?)));
    let cpu = loads().map(|(node, load)| (node, load.cpu));
    of_nodes("node_cpu_percent", "Load of the cpus that a node declares.", cpu, text);
    let memory = loads().map(|(node, load)| (node, load.memory));
    of_nodes(
        "node_memory_percent",
        "Load of the memory that a node declares.",
        memory,
        text,
    );
}

fn of_alerts(published: &Published, text: &mut Exposition) {
    let name = "simfleet_alerts";
    text.begin(
        name,
        "gauge",
        "Alerts that fire, 1 each; without a name what failed again and again.",
    );
    for alert in firing(published) {
        let named = alert.alert.map(|alert| alert.to_string()).unwrap_or_default();
        let labels = [
            ("alert", &*named),
            ("on", &*alert.on.to_string()),
            ("severity", alert.severity.as_str()),
        ];
        text.sample(name, &labels, 1);
    }
    let help = "Changes that failed again and again, and are tried now and then only.";
    text.one("simfleet_parts_stuck", "gauge", help, published.stuck.len());
}

fn of_webhooks(published: &Published, text: &mut Exposition) {
    type Value = fn(&Counts) -> u64;
    let metrics: [(&str, &str, &str, Value); 5] = [
        (
            "simfleet_webhook_delivered_total",
            "counter",
            "Events that a webhook took.",
            |counts| counts.delivered,
        ),
        (
            "simfleet_webhook_failed_total",
            "counter",
            "Events that were given up: a webhook refused them, or all attempts failed.",
            |counts| counts.failed,
        ),
        (
            "simfleet_webhook_dropped_total",
            "counter",
            "Events that were not sent, as too many waited.",
            |counts| counts.dropped,
        ),
        (
            "simfleet_webhook_retried_total",
            "counter",
            "Attempts after the first.",
            |counts| counts.retried,
        ),
        ("simfleet_webhook_waiting", "gauge", "Events that wait.", |counts| {
            counts.waiting as u64
        }),
    ];
    for (name, kind, help, value) in metrics {
        text.begin(name, kind, help);
        for (webhook, counts) in &published.webhooks {
            text.sample(name, &[("webhook", &webhook.to_string())], value(counts));
        }
    }
}

fn by_status<'a>(name: &str, help: &str, words: impl Iterator<Item = &'a str>, text: &mut Exposition) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    text.begin(name, "gauge", help);
    for (word, count) in counts {
        text.sample(name, &[("status", word)], count);
    }
}

fn of_nodes<'a>(name: &str, help: &str, values: impl Iterator<Item = (&'a Address, f64)>, text: &mut Exposition) {
    text.begin(name, "gauge", help);
    for (node, value) in values {
        text.sample(name, &[("node", &node.to_string())], value);
    }
}

fn of_requests(requests: &Requests, text: &mut Exposition) {
    let requests = requests.all();
    let name = "http_requests_total";
    text.begin(name, "counter", "Requests that were answered here.");
    for ((method, path, status), durations) in &requests {
        let status = status.to_string();
        text.sample(
            name,
            &[("method", method), ("path", path), ("status", &status)],
            durations.count,
        );
    }
    let name = "http_request_duration_seconds";
    text.begin(name, "histogram", "How long it took until an answer began.");
    for ((method, path, status), durations) in &requests {
        let status = status.to_string();
        text.durations(
            name,
            &[("method", method), ("path", path), ("status", &status)],
            durations,
        );
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_buckets_end_with_all() {
        let mut text = Exposition::default();
        text.sample("size", &[("pool", "pool.web[\"a\\b\n\"]")], 3);
        assert_eq!(text.0, "size{pool=\"pool.web[\\\"a\\\\b\\n\\\"]\"} 3\n");
        let mut text = Exposition::default();
        let mut durations = Durations::default();
        durations.add(std::time::Duration::from_secs(2));
        text.durations("took", &[], &durations);
        assert!(text.0.contains("took_bucket{le=\"1\"} 0\n"), "{}", text.0);
        assert!(text.0.contains("took_bucket{le=\"5\"} 1\n"), "{}", text.0);
        assert!(
            text.0
                .ends_with("took_bucket{le=\"+Inf\"} 1\ntook_sum 2\ntook_count 1\n"),
            "{}",
            text.0
        );
    }
}
