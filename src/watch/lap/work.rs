//! What takes long, as futures that the loop polls.

use std::fmt;

use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};

/// What is at work, polled by the loop.
pub(super) struct Work<T>(FuturesUnordered<LocalBoxFuture<'static, T>>);

impl<T> Default for Work<T> {
    fn default() -> Self {
        Work(FuturesUnordered::new())
    }
}

impl<T> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at work", self.0.len())
    }
}

impl<T> Work<T> {
    pub(super) fn begin(&self, work: impl Future<Output = T> + 'static) {
        self.0.push(Box::pin(work));
    }

    /// Waits for the next that ends; for ever where nothing is at work.
    pub(super) async fn next(&mut self) -> T {
        match self.0.next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Returns one that has ended already.
    pub(super) fn try_next(&mut self) -> Option<T> {
        self.0.next().now_or_never().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
