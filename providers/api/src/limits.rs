//! How much one endpoint of a provider is asked at once.

/// What calls to one configured provider keep to. Without a limit, only the run's own parallelism holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// How many calls are unanswered at once.
    pub parallelism: Option<usize>,
    /// How fast calls follow one another.
    pub rate: Option<Rate>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// How many calls a second, on average.
    pub per_second: f64,
    /// How many calls may come at once after a pause.
    pub burst: u32,
}
