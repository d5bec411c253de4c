//! The cases of tokens, and of what was asked for over HTTP.

use jiff::{SignedDuration, Timestamp};

use super::bench::Bench;
use super::*;
use crate::access::{AccessToken, HttpOperation, KEPT_OPERATIONS, Role};

fn access_token(name: &str, byte: u8) -> AccessToken {
    AccessToken {
        name: name.into(),
        role: Role::Operator,
        sha256: [byte; 32],
        created: Timestamp::UNIX_EPOCH,
        by: "ann@lab".into(),
        expires: Some(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)),
        revoked: None,
    }
}

/// Tokens are there for who opens the store next, a name is given once, and one that is revoked stays as that.
pub async fn a_token_comes_back_as_its_digest_until_it_is_revoked<F: Fixture>() {
    let bench = Bench::<F>::new();
    assert!(bench.store.tokens().await.expect("nothing").is_empty());
    let journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert!(bench.store.tokens().await.expect("nothing yet").is_empty());
    let (ann, bob) = (access_token("ann", 1), access_token("bob", 2));
    assert!(bench.store.add_token(&bob).await.expect("it is kept"));
    assert!(bench.store.add_token(&ann).await.expect("it is kept"));
    let again = access_token("ann", 3);
    assert!(!bench.store.add_token(&again).await.expect("the name is taken"));
    let store = bench.fixture.store();
    assert_eq!(store.tokens().await.expect("sound"), [ann.clone(), bob.clone()]);
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(7);
    let revoked = AccessToken {
        revoked: Some(at),
        ..ann
    };
    assert_eq!(
        store.revoke_token("ann", at).await.expect("it is there"),
        Some(revoked.clone())
    );
    assert_eq!(store.revoke_token("ann", at).await.expect("revoked already"), None);
    assert_eq!(store.revoke_token("eve", at).await.expect("unknown"), None);
    assert_eq!(bench.store.tokens().await.expect("sound"), [revoked, bob.clone()]);
    assert!(store.add_token(&again).await.expect("the name is free again"));
    assert_eq!(bench.store.tokens().await.expect("sound"), [again, bob]);
    // No part of the journal, and nobody's lock.
    assert_eq!(bench.load().await.state.serial, 0);
    journal.close().await.expect("open");
}

/// What was asked for is there with what became of it, and bounded.
pub async fn of_what_was_asked_for_the_newest_stay<F: Fixture>() {
    let bench = Bench::<F>::new();
    let journal = bench.open(&bench.host.holder(1), &["a"]).await;
    assert!(bench.store.operations().await.expect("nothing").is_empty());
    let operation = |second: i64, told: &str| HttpOperation {
        id: format!("op-{second}").into(),
        at: Timestamp::from_second(second).expect("in range"),
        told: told.into(),
    };
    bench.store.keep_operation(&operation(2, "runs")).await.expect("kept");
    bench.store.keep_operation(&operation(1, "runs")).await.expect("kept");
    bench.store.keep_operation(&operation(2, "done")).await.expect("kept");
    let known = bench.fixture.store().operations().await.expect("sound");
    assert_eq!(known, [operation(1, "runs"), operation(2, "done")]);
    for second in 3..KEPT_OPERATIONS as i64 + 3 {
        bench
            .store
            .keep_operation(&operation(second, "done"))
            .await
            .expect("kept");
    }
    let known = bench.store.operations().await.expect("sound");
    assert_eq!((known.len(), &known[0]), (KEPT_OPERATIONS, &operation(3, "done")));
    journal.close().await.expect("open");
}
