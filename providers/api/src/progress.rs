//! How far a call is, told while it goes on.
//!
//! Nearly no call has anything to tell, so none has a parameter for it: who makes a call listens, and what the call does may
//! [`tell`]. Nothing depends on it.

use std::sync::Arc;

tokio::task_local! {
    static LISTENER: Listener;
}

/// Hears how far a call is, in words for the user: `pulls nginx:1.27: 2 of 5 layers`. It is told as often as something changes.
pub type Listener = Arc<dyn Fn(String) + Send + Sync>;

/// Makes a call, and hears what it tells.
pub async fn heard<C: Future>(listener: Listener, call: C) -> C::Output {
    LISTENER.scope(listener, call).await
}

/// Tells whoever made the call how far it is. Without anybody who listens, nothing is told.
pub fn tell(how_far: impl Into<String>) {
    let _ = LISTENER.try_with(|listener| listener(how_far.into()));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn each_call_is_heard_by_who_made_it() {
        let (first, second) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<Vec<String>>>::default(),
        );
        let listener = |all: &Arc<Mutex<Vec<String>>>| -> Listener {
            let all = Arc::clone(all);
            Arc::new(move |told| all.lock().expect("nobody panicked").push(told))
        };
        let call = |what: &'static str| async move {
            tell(what);
            tokio::task::yield_now().await;
            tell(format!("{what} again"));
        };
        tell("nobody listens");
        tokio::join!(
            heard(listener(&first), call("one")),
            heard(listener(&second), call("two")),
        );
        let told = |all: Arc<Mutex<Vec<String>>>| all.lock().expect("nobody panicked").clone();
        assert_eq!(told(first), ["one", "one again"]);
        assert_eq!(told(second), ["two", "two again"]);
    }
}
