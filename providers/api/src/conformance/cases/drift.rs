//! What others do to objects.

use super::*;
use crate::conformance::Able;

/// A change that somebody else made is read.
pub async fn change_by_others_is_seen(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("the harness cannot change an object behind the provider");
    for kind in bench.harness().kinds() {
        let (schema, Samples { desired, .. }) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let made = bench.create(&kind, &desired).await?;
        if bench.harness().change_behind(&kind, &made).await == Able::No {
            continue;
        }
        let read = bench.present(&kind, &made.id).await?;
        let differences = crate::conformance::differences(&schema, &desired, &read.attributes);
        expect(!differences.is_empty(), || {
            format!("a change of a {kind} by others is not seen")
        })?;
        let versions = made.version.is_none() || made.version != read.version;
        expect(versions, || {
            format!("a {kind} that others changed has the version that it had")
        })?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// An object that somebody else deleted is read as absent, and deleting it is done.
pub async fn removal_by_others_is_seen(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("the harness cannot delete an object behind the provider");
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let made = bench.create(&kind, &desired).await?;
        if bench.harness().remove_behind(&kind, &made).await == Able::No {
            continue;
        }
        let read = bench.read(&kind, &made.id).await?;
        expect(read == Observed::Absent, || {
            format!("a {kind} that others deleted is not read as absent")
        })?;
        bench.delete(&kind, &made).await?;
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}
