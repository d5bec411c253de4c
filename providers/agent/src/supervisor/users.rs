//! Who uses a simulator now, as far as the agent sees it: each holds a [`User`] for as long as that lasts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The users of a simulator.
#[derive(Debug, Clone, Default)]
pub(super) struct Users(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// How many there are.
    now: AtomicUsize,
    /// Whether there was one since somebody last asked.
    came: AtomicBool,
}

/// One that uses a simulator until it is dropped: a console that is connected, or somebody who follows its log.
#[derive(Debug)]
pub(crate) struct User(Users);

impl Users {
    /// Lets one more in.
    pub fn enter(&self) -> User {
        self.0.now.fetch_add(1, Ordering::SeqCst);
        self.0.came.store(true, Ordering::SeqCst);
        User(self.clone())
    }

    /// Whether there is one, or was one since this was last asked.
    pub fn were_there(&self) -> bool {
        // Both are asked: what came is forgotten.
        self.0.came.swap(false, Ordering::SeqCst) | (self.0.now.load(Ordering::SeqCst) > 0)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.0.came.store(true, Ordering::SeqCst);
        self.0.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_came_and_went_between_two_looks_was_there_once() {
        let users = Users::default();
        assert!(!users.were_there());
        drop(users.enter());
        assert!(users.were_there());
        assert!(!users.were_there());
        let user = users.enter();
        assert!(users.were_there() && users.were_there());
        drop(user);
        assert!(users.were_there());
        assert!(!users.were_there());
    }
}
