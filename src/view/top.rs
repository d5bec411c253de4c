//! What nodes have to do, and how large pools are, as it changes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use simfleet_provider_api::Address;
use simfleet_state::Pool;

use super::document::{Document, Theme};
use super::status::{counts, nodes_json};
use super::table::fill;
use crate::status::{Node, Status};

/// Returns the nodes that are asked for their load, the busiest first, and the pools.
pub fn render(status: &Status, pools: &BTreeMap<Address, Pool>, theme: Theme) -> String {
    let mut document = Document::new();
    let mean = |of: fn(&Node) -> Option<f64>| {
        let known: Vec<f64> = status.nodes.iter().filter_map(of).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        (!known.is_empty()).then(|| format!("{mean:.0} %"))
    };
    let loads = [("cpu", mean(cpu)), ("memory", mean(memory))];
    let loads = loads
        .into_iter()
        .filter_map(|(name, mean)| Some(format!("{name} is {}", mean?)));
    document.line(counts(status));
    let loads: Vec<String> = loads.collect();
    if !loads.is_empty() {
        document.line(format!("On average, {}.", loads.join(", ")));
    }
    if !pools.is_empty() {
        document.line("");
        fill(&pool_table(status, pools), &mut document);
    }
    if !status.nodes.is_empty() {
        document.line("");
        fill(&node_table(status), &mut document);
    }
    document.render(theme)
}

/// Returns the same as JSON: `at`, when that was; `nodes` as `simfleet nodes` has them, the busiest first; and `pools`.
pub fn json(status: &Status, pools: &BTreeMap<Address, Pool>, at: Timestamp) -> Json {
    let nodes: Vec<Node> = busiest(status).into_iter().cloned().collect();
    let pools = pools.iter().map(|(address, pool)| {
        json!({
            "address": address,
            "size": pool.size,
            "since": pool.since.to_string(),
            "reason": pool.reason,
        })
    });
    json!({ "at": at.to_string(), "nodes": nodes_json(&nodes), "pools": pools.collect::<Vec<_>>() })
}

fn cpu(node: &Node) -> Option<f64> {
    node.load.map(|load| load.cpu)
}

fn memory(node: &Node) -> Option<f64> {
    node.load.map(|load| load.memory)
}

fn busiest(status: &Status) -> Vec<&Node> {
    let mut nodes: Vec<&Node> = status.nodes.iter().collect();
    let load = |node: &Node| (cpu(node).unwrap_or(-1.0), memory(node).unwrap_or(-1.0));
    nodes.sort_by(|a, b| load(b).partial_cmp(&load(a)).unwrap_or(std::cmp::Ordering::Equal));
    nodes
}

fn pool_table(status: &Status, pools: &BTreeMap<Address, Pool>) -> Vec<Vec<String>> {
    let header = ["POOL", "SIZE", "SIMULATORS", "CPU", "MEMORY", "BECAUSE"];
    let rows = pools.iter().map(|(address, pool)| {
        let members = || status.nodes.iter().filter(|node| node.address.is_child_of(address));
        let mean = |of: fn(&Node) -> Option<f64>| {
            let known: Vec<f64> = members().filter_map(of).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        vec![
            address.to_string(),
            pool.size.to_string(),
            members().map(|node| node.simulators).sum::<usize>().to_string(),
            percent(mean(cpu)),
            percent(mean(memory)),
            pool.reason.to_string(),
        ]
    });
    std::iter::once(header.map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}

fn node_table(status: &Status) -> Vec<Vec<String>> {
    let header = ["NODE", "CPU", "MEMORY", "SIMULATORS", "STATUS"];
    let rows = busiest(status).into_iter().map(|node| {
        vec![
            node.address.to_string(),
            percent(cpu(node)),
            percent(memory(node)),
            node.simulators.to_string(),
            node.health.word().to_owned(),
        ]
    });
    std::iter::once(header.map(str::to_owned).to_vec())
        .chain(rows)
        .collect()
}

fn percent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.0} %"))
}
