//! What becomes of objects: they are made, read, listed, changed, replaced and deleted.

use super::*;
use crate::Found;

/// An object that was made is read as it was made, under the same id.
pub async fn create_then_read(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let (schema, Samples { desired, .. }) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let token = bench.token();
        let made = bench.create_with(&kind, &token, &desired).await?;
        let read = bench.present(&kind, &made.id).await?;
        expect(same(&schema, &made, &read), || {
            format!("a {kind} is read otherwise than it was made")
        })?;
        for seen in [&made, &read] {
            let kept = seen.token.as_ref().is_none_or(|kept| *kept == token);
            expect(kept, || {
                format!("a {kind} shows another token than the one that it was made with")
            })?;
        }
    }
    Ok(Outcome::Shown)
}

/// Two looks at an object that nobody changed are the same, in a list too.
pub async fn read_is_canonical(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let (schema, Samples { desired, .. }) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let made = bench.create(&kind, &desired).await?;
        let first = bench.present(&kind, &made.id).await?;
        let second = bench.present(&kind, &made.id).await?;
        expect(same(&schema, &first, &second), || {
            format!("two looks at one {kind} differ")
        })?;
        let versions = first.version == second.version;
        expect(versions, || format!("a {kind} that nobody changed has another version"))?;
        let listed = bench
            .list_until(&kind, |objects| objects.iter().any(|object| object.id == made.id))
            .await?;
        if let Some(listed) = listed.iter().flatten().find(|object| object.id == made.id) {
            expect(same(&schema, listed, &first), || {
                format!("a {kind} is listed otherwise than it is read")
            })?;
        }
    }
    Ok(Outcome::Shown)
}

/// A plan made of the wanted attributes right after they were applied is empty.
pub async fn plan_after_create_is_empty(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let (schema, Samples { desired, .. }) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let made = bench.create(&kind, &desired).await?;
        as_wanted(&schema, &desired, &made, "that was made")?;
        let read = bench.present(&kind, &made.id).await?;
        as_wanted(&schema, &desired, &read, "that was made and read")?;
    }
    Ok(Outcome::Shown)
}

/// An update keeps the object and its computed attributes, and reads back as wanted.
pub async fn update_in_place(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind is changed in place");
    for kind in bench.harness().kinds() {
        let (schema, samples) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let Some(in_place) = samples.in_place else { continue };
        let made = bench.create(&kind, &samples.desired).await?;
        let token = bench.token();
        let updated = bench.update(&kind, &made, &in_place, &token).await?;
        expect(updated.id == made.id, || {
            format!("an update in place made another {kind}")
        })?;
        as_wanted(&schema, &in_place, &updated, "that was updated")?;
        let read = bench.present(&kind, &made.id).await?;
        as_wanted(&schema, &in_place, &read, "that was updated and read")?;
        for attribute in schema
            .attributes
            .iter()
            .filter(|attribute| attribute.mode == crate::Mode::Computed)
        {
            let name = attribute.name;
            let stayed = made.attributes.get(name) == read.attributes.get(name);
            expect(stayed, || {
                format!("an update of a {kind} changed `{name}`, which is computed")
            })?;
        }
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// An object that is replaced is gone, and the other one has another id.
pub async fn replace_makes_another_object(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind is replaced");
    for kind in bench.harness().kinds() {
        let (schema, samples) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let Some(replaced) = samples.replaced else { continue };
        let old = bench.create(&kind, &samples.desired).await?;
        bench.delete(&kind, &old).await?;
        let new = bench.create(&kind, &replaced).await?;
        expect(new.id != old.id, || {
            format!("a replaced {kind} has the id of the deleted one")
        })?;
        let read = bench.present(&kind, &new.id).await?;
        as_wanted(&schema, &replaced, &read, "that replaced another")?;
        let gone = bench.read(&kind, &old.id).await?;
        expect(gone == Observed::Absent, || {
            format!("a {kind} that was replaced is not read as absent")
        })?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// A delete of what is deleted already is done, and the object is read as absent.
pub async fn delete_is_idempotent(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let made = bench.create(&kind, &desired).await?;
        for _ in 0..2 {
            bench.delete(&kind, &made).await?;
            let read = bench.read(&kind, &made.id).await?;
            expect(read == Observed::Absent, || {
                format!("a deleted {kind} is not read as absent")
            })?;
        }
    }
    Ok(Outcome::Shown)
}

/// A delete of what never was is done.
pub async fn unknown_object_is_gone(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let id = bench.harness().unknown_id(&kind);
        let object = Object {
            id,
            attributes: crate::Attributes::new(),
            token: None,
            version: None,
        };
        bench.delete(&kind, &object).await?;
    }
    Ok(Outcome::Shown)
}

/// What never was is read as absent, not as unreachable.
pub async fn unknown_object_is_absent(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let read = bench.read(&kind, &bench.harness().unknown_id(&kind)).await?;
        expect(read == Observed::Absent, || {
            format!("a {kind} that never was is not read as absent")
        })?;
    }
    Ok(Outcome::Shown)
}

/// A list has what was made, once each, and lacks what was deleted.
pub async fn list_shows_what_was_created(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind has a list");
    for kind in bench.harness().kinds() {
        let mut made = Vec::new();
        for _ in 0..3 {
            let Samples { desired, .. } = bench.samples(&kind).await?;
            made.push(bench.create(&kind, &desired).await?);
        }
        let times = |objects: &[Object], one: &Object| objects.iter().filter(|object| object.id == one.id).count();
        let all = |objects: &[Object]| made.iter().all(|one| times(objects, one) == 1);
        let Some(listed) = bench.list_until(&kind, all).await? else {
            continue;
        };
        expect(all(&listed), || {
            format!("a list lacks a {kind} that was made, or has it twice")
        })?;

        let (deleted, kept) = (&made[0], &made[1..]);
        bench.delete(&kind, deleted).await?;
        let rest = |objects: &[Object]| times(objects, deleted) == 0 && kept.iter().all(|one| times(objects, one) == 1);
        let listed = bench.list_until(&kind, rest).await?.unwrap_or_default();
        expect(rest(&listed), || {
            format!("a list has a deleted {kind}, or lacks another")
        })?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// A list has no object of another state.
pub async fn list_shows_own_lineage_only(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind has a list");
    let other = bench.configure_other().await?;
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let made = bench.create(&kind, &desired).await?;
        let has_it = |objects: &[Object]| objects.iter().any(|object| object.id == made.id);
        let Some(own) = bench.list_until(&kind, has_it).await? else {
            continue;
        };
        expect(has_it(&own), || format!("a list lacks a {kind} of its own state"))?;
        let foreign = bench.list_by(&other, &kind).await?.unwrap_or_default();
        expect(foreign.is_empty(), || format!("a list has a {kind} of another state"))?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// What a token made is found by it, and an unknown token finds nothing.
pub async fn find_by_token(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let unknown = bench.find(&kind, &bench.token(), &desired).await?;
        expect(unknown == Found::Nothing, || {
            format!("a token that was never used finds a {kind}")
        })?;
        let token = bench.token();
        let made = bench.create_with(&kind, &token, &desired).await?;
        let found = bench.find(&kind, &token, &desired).await?;
        let is_it = matches!(&found, Found::Ready(object) if object.id == made.id);
        expect(is_it, || format!("a {kind} is not found by its token"))?;
        bench.delete(&kind, &made).await?;
        let found = bench.find(&kind, &token, &desired).await?;
        let is_gone = matches!(found, Found::Failed { .. } | Found::Nothing);
        expect(is_gone, || format!("a deleted {kind} is found by its token"))?;
    }
    Ok(Outcome::Shown)
}
