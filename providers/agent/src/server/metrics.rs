//! The load of the node and of its simulators, for people, the scaler and Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::App;
use super::error::ApiError;
use crate::load::Load;
use crate::protocol::{MemoryMetrics, NodeMetrics, Status};
use crate::supervisor::Sighting;

/// What one answer is made of.
struct Measured {
    node: NodeMetrics,
    load: Load,
    simulators: Vec<Sighting>,
}

async fn measure(app: &App) -> Result<Measured, ApiError> {
    let simulators = app.0.supervisor.sightings().await;
    let shims: Vec<u32> = simulators.iter().filter_map(|simulator| simulator.shim).collect();
    let inner = app.0.clone();
    let load = tokio::task::spawn_blocking(move || inner.meter.load(&shims))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let record = app.0.node.lock().await.clone();
    let node = node_metrics(&load, record.cpus(), record.memory(), app.0.health().status);
    Ok(Measured { node, load, simulators })
}

fn node_metrics(load: &Load, cpus: f64, memory: u64, status: String) -> NodeMetrics {
    let percent = if memory == 0 {
        0.0
    } else {
        round(load.memory as f64 * 100.0 / memory as f64)
    };
    NodeMetrics {
        cpu: round(load.cpus * 100.0 / cpus.max(f64::MIN_POSITIVE)),
        memory: MemoryMetrics {
            total: memory,
            available: memory.saturating_sub(load.memory),
            percent,
        },
        status,
    }
}

fn round(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

pub(super) async fn json(State(app): State<App>) -> Result<Json<NodeMetrics>, ApiError> {
    Ok(Json(measure(&app).await?.node))
}

pub(super) async fn prometheus(State(app): State<App>) -> Result<impl IntoResponse, ApiError> {
    let measured = measure(&app).await?;
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text(&measured),
    ))
}

/// Returns the metrics in the text format of Prometheus:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
fn text(measured: &Measured) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, samples: Vec<(String, f64)>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let node = &measured.node;
    metric(
        "node_cpu_percent",
        "Cpu time of the node's processes, percent of its declared cpus.",
        vec![(String::new(), node.cpu)],
    );
    metric(
        "node_memory_percent",
        "Resident memory of the node's processes, percent of its declared memory.",
        vec![(String::new(), node.memory.percent)],
    );
    let mut by_status: BTreeMap<Status, u32> = Status::ALL.map(|status| (status, 0)).into();
    for simulator in &measured.simulators {
        *by_status.entry(simulator.status).or_default() += 1;
    }
    metric(
        "simulators",
        "Simulators of the node by status.",
        by_status
            .into_iter()
            .map(|(status, count)| (format!("{{status=\"{}\"}}", status.as_str()), f64::from(count)))
            .collect(),
    );
    let of_simulators = |of: fn((f64, u64)) -> f64| {
        measured
            .simulators
            .iter()
            .filter_map(|simulator| {
                let load = measured.load.by_shim.get(&simulator.shim?)?;
                Some((format!("{{name=\"{}\"}}", escape(&simulator.name)), of(*load)))
            })
            .collect()
    };
    metric(
        "simulator_cpu_percent",
        "Cpu time of a simulator's processes, percent of one cpu.",
        of_simulators(|(cpus, _)| round(cpus * 100.0)),
    );
    metric(
        "simulator_memory_bytes",
        "Resident memory of a simulator's processes.",
        of_simulators(|(_, memory)| memory as f64),
    );
    text
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_percents_of_what_is_declared() {
        let load = Load {
            cpus: 0.5,
            memory: 256,
            by_shim: [(7, (0.25, 128))].into(),
        };
        let node = node_metrics(&load, 2.0, 1024, "ok".to_owned());
        assert_eq!(
            serde_json::to_value(&node).expect("is JSON"),
            serde_json::json!({
                "cpu": 25.0,
                "memory": { "total": 1024, "available": 768, "percent": 25.0 },
                "status": "ok",
            })
        );
        let text = text(&Measured {
            node,
            load,
            simulators: vec![Sighting {
                name: "a\"b".to_owned(),
                status: Status::Running,
                shim: Some(7),
            }],
        });
        for line in [
            "node_cpu_percent 25",
            "node_memory_percent 25",
            "simulators{status=\"running\"} 1",
            "simulators{status=\"exited\"} 0",
            "simulator_cpu_percent{name=\"a\\\"b\"} 25",
            "simulator_memory_bytes{name=\"a\\\"b\"} 128",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_machine_that_does_not_tell_its_memory_divides_by_nothing() {
        let node = node_metrics(&Load::default(), 1.0, 0, "ok".to_owned());
        assert_eq!((node.memory.percent, node.memory.available), (0.0, 0));
    }
}
