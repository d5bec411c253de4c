//! One token, one change: whatever is lost, repeated, late or at once.

use std::time::Duration;

use super::*;
use crate::conformance::{Able, UsedTokens};
use crate::{Found, ProviderError, Step};

/// A create with a token that was used returns what that made.
pub async fn create_twice_with_one_token(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let token = bench.token();
        let first = bench.create_with(&kind, &token, &desired).await?;
        let second = bench.create_with(&kind, &token, &desired).await?;
        expect(first.id == second.id, || {
            format!("one token made two objects of kind `{kind}`")
        })?;
        made_once(bench, &kind, &first).await?;
    }
    Ok(Outcome::Shown)
}

/// Creates with one token at the same time, from two providers as from two processes, make one object.
pub async fn create_at_once_with_one_token(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let (token, ours, theirs) = (bench.token(), bench.provider().clone(), bench.configure_again().await?);
        bench.intend(&ours, &kind, &token, &desired);
        let (first, second, third) = tokio::join!(
            bench.created(&ours, &kind, &token, &desired),
            bench.created(&theirs, &kind, &token, &desired),
            bench.created(&ours, &kind, &token, &desired),
        );
        let (first, second, third) = (first?, second?, third?);
        let one = first.id == second.id && second.id == third.id;
        expect(one, || {
            format!("one token made several objects of kind `{kind}` at once")
        })?;
        made_once(bench, &kind, &first).await?;
    }
    Ok(Outcome::Shown)
}

/// A call that was dropped, wherever it was, and then sent again makes one object.
pub async fn create_after_a_dropped_call(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        for polls in [1, 2, 3, 5, 8] {
            let Samples { desired, .. } = bench.samples(&kind).await?;
            let (token, provider) = (bench.token(), bench.provider().clone());
            bench.intend(&provider, &kind, &token, &desired);
            dropped_after(polls, provider.create(&kind, &token, &desired)).await;
            let made = bench.create_with(&kind, &token, &desired).await?;
            made_once(bench, &kind, &made).await?;
        }
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let (token, provider) = (bench.token(), bench.provider().clone());
        bench.intend(&provider, &kind, &token, &desired);
        // Carried out, and its answer thrown away.
        drop(tokio::time::timeout(Duration::from_secs(5), provider.create(&kind, &token, &desired)).await);
        let made = bench.create_with(&kind, &token, &desired).await?;
        made_once(bench, &kind, &made).await?;
    }
    Ok(Outcome::Shown)
}

/// Polls a future so many times, unless it is done before, and drops it.
async fn dropped_after<T>(polls: u32, mut future: impl Future<Output = T> + Unpin) {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        std::pin::Pin::new(&mut future).poll(context).map(drop)
    })
    .await;
}

/// A create whose reply is lost and that is sent again makes one object, which is found by its token.
pub async fn create_after_a_lost_reply(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        if bench.harness().lose_next_reply().await == Able::No {
            return Ok(Outcome::Skipped("the harness cannot lose a reply"));
        }
        let (token, provider) = (bench.token(), bench.provider().clone());
        bench.intend(&provider, &kind, &token, &desired);
        let lost = provider.create(&kind, &token, &desired).await;
        let is_ambiguous = matches!(lost, Err(ProviderError::Ambiguous { .. }));
        expect(is_ambiguous, || {
            format!("a create of a {kind} whose reply is lost is not ambiguous")
        })?;
        let found = bench.find(&kind, &token, &desired).await?;
        let is_found = matches!(found, Found::Ready(_) | Found::InProgress(_));
        expect(is_found, || {
            format!("a {kind} whose create lost its reply is not found by its token")
        })?;
        let made = bench.create_with(&kind, &token, &desired).await?;
        made_once(bench, &kind, &made).await?;
    }
    Ok(Outcome::Shown)
}

/// A create with the token of an object that has been deleted makes nothing.
pub async fn token_of_a_deleted_object_makes_nothing(bench: &mut Bench) -> Result<Outcome, Failure> {
    if bench.harness().used_tokens() == UsedTokens::Forgotten {
        return Ok(Outcome::Skipped("the far side forgets the tokens of deleted objects"));
    }
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let token = bench.token();
        let made = bench.create_with(&kind, &token, &desired).await?;
        bench.delete(&kind, &made).await?;
        match bench.try_create(&kind, &token, &desired).await {
            Ok(Step::Done(_)) => {
                return Err(Failure::Unmet(format!(
                    "a late create made a {kind} after the first was deleted"
                )));
            }
            Err(error) if error.is_transient() => {
                return Err(Failure::Call {
                    what: format!("find out that a late create of a {kind} is refused"),
                    error,
                });
            }
            Ok(_) | Err(_) => {}
        }
        let found = bench.find(&kind, &token, &desired).await?;
        let is_gone = matches!(found, Found::Failed { .. } | Found::Nothing);
        expect(is_gone, || {
            format!("a late create left a {kind} that is found by its token")
        })?;
    }
    Ok(Outcome::Shown)
}

/// An update with a token that was used changes nothing more, even when others have changed the object since.
pub async fn update_twice_with_one_token(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind is changed in place");
    for kind in bench.harness().kinds() {
        let (schema, samples) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let Some(in_place) = samples.in_place else { continue };
        let made = bench.create(&kind, &samples.desired).await?;
        let token = bench.token();
        let first = bench.update(&kind, &made, &in_place, &token).await?;
        let again = bench.update(&kind, &made, &in_place, &token).await?;
        expect(same(&schema, &first, &again), || {
            format!("a repeated update changed a {kind} once more")
        })?;
        as_wanted(&schema, &in_place, &again, "whose update was repeated")?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// An update that was planned on another version is a conflict, where there are versions.
pub async fn update_of_what_has_moved_is_refused(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind that is changed in place has a version");
    for kind in bench.harness().kinds() {
        let (schema, samples) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let Some(in_place) = samples.in_place else { continue };
        let made = bench.create(&kind, &samples.desired).await?;
        if made.version.is_none() {
            continue;
        }
        let moved = bench.update(&kind, &made, &in_place, &bench.token()).await?;
        let versions = moved.version != made.version;
        expect(versions, || {
            format!("a {kind} that was changed has the version that it had")
        })?;
        let late = bench.try_update(&kind, &made, &samples.desired, &bench.token()).await;
        let refused = matches!(late, Err(ProviderError::Conflict { .. }));
        expect(refused, || {
            format!("an update of a {kind} on an old version is not a conflict")
        })?;
        let read = bench.present(&kind, &made.id).await?;
        as_wanted(&schema, &in_place, &read, "after a refused update")?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// What a call accepted is polled to its end by a provider that was configured later.
pub async fn handle_survives_reconfiguration(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no create takes longer than its call");
    for kind in bench.harness().kinds() {
        let (schema, Samples { desired, .. }) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let token = bench.token();
        let step = bench.begin(&kind, &token, &desired).await?;
        if !matches!(step, Step::Running { .. }) {
            continue;
        }
        let later = bench.configure_again().await?;
        let end = bench.settle(&later, &kind, step).await;
        let made = match end {
            Ok(Step::Done(object)) => object,
            Ok(other) => {
                let other = crate::conformance::bench::name_of(&other);
                return Err(Failure::Unmet(format!(
                    "an accepted create of a {kind} ended with {other}"
                )));
            }
            Err(error) => {
                return Err(Failure::Call {
                    what: format!("poll a {kind} by another provider"),
                    error,
                });
            }
        };
        as_wanted(&schema, &desired, &made, "that took longer")?;
        made_once(bench, &kind, &made).await?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// Expects that what a token made is there once: by its token, where objects show it, and in a list.
async fn made_once(bench: &Bench, kind: &Kind, made: &Object) -> Result<(), Failure> {
    bench.present(kind, &made.id).await?;
    let has_it = |objects: &[Object]| objects.iter().any(|object| object.id == made.id);
    let Some(listed) = bench.list_until(kind, has_it).await? else {
        return Ok(());
    };
    let same_token = |object: &&Object| object.id == made.id || (made.token.is_some() && object.token == made.token);
    let count = listed.iter().filter(same_token).count();
    expect(count == 1, || {
        format!("{count} objects of kind `{kind}` come from one token")
    })
}
