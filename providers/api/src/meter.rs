//! What a provider measures of its objects.

use async_trait::async_trait;

use crate::{Kind, ObjectId, ProviderError};

/// What is measured: how much an object uses of what it may use, in percent, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Of processors.
    Cpu,
    /// Of memory, without what is only cached in it.
    Memory,
}

impl Metric {
    /// Returns the metric that a query names.
    pub fn of(query: &str) -> Option<Self> {
        match query {
            "cpu" | "cpu_utilization" => Some(Metric::Cpu),
            "memory" | "memory_utilization" => Some(Metric::Memory),
            _ => None,
        }
    }
}

/// Measures the objects of a configured provider. It only reads.
#[async_trait]
pub trait Meter: Send + Sync {
    /// Measures objects of one kind. Returns for each, in their order, its value in percent, or why it has none: what does not
    /// run, or cannot be asked, has no value, and never zero.
    async fn measure(&self, metric: Metric, kind: &Kind, ids: &[ObjectId]) -> Vec<Result<f64, ProviderError>>;
}
