//! What a provider tells without a far side, and what it tells of one that does not answer.

use super::*;
use crate::conformance::schema_problems;
use crate::{Attributes, Data, Found, Mode, Provider, ProviderError, Step, Value};

/// The schemas are sound.
pub async fn schemas_are_sound(bench: &mut Bench) -> Result<Outcome, Failure> {
    let problems = schema_problems(&**bench.provider_type());
    expect(problems.is_empty(), || problems.join("; "))?;
    Ok(Outcome::Shown)
}

/// Wanted attributes that are valid have no problem, even while they are not known.
pub async fn samples_pass_the_check(bench: &mut Bench) -> Result<Outcome, Failure> {
    let provider_type = bench.provider_type().clone();
    for kind in bench.harness().kinds() {
        let Samples {
            desired,
            in_place,
            replaced,
        } = bench.samples(&kind).await?;
        let unknown: Attributes = desired
            .iter()
            .map(|(name, _)| (name.clone(), Value::unknown("node.other.address")))
            .collect();
        for attributes in [Some(desired), in_place, replaced, Some(unknown)].iter().flatten() {
            let problems = provider_type.check(&kind, attributes);
            expect(problems.is_empty(), || {
                format!("a valid {kind} has problems: {problems:?}")
            })?;
        }
    }
    Ok(Outcome::Shown)
}

/// Another provider of the same state sees what this one made.
pub async fn object_survives_reconfiguration(bench: &mut Bench) -> Result<Outcome, Failure> {
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        let made = bench.create(&kind, &desired).await?;
        let later = bench.configure_again().await?;
        let read = later.read(&kind, &made.id).await;
        match read {
            Ok(Observed::Present(object)) if object.id == made.id => {}
            Err(error) if !error.is_transient() => {
                return Err(Failure::Call {
                    what: format!("read a {kind} by another provider"),
                    error,
                });
            }
            // Under faults a look can be lost: what must not be is that the object is said to be gone.
            Ok(Observed::Unreachable { .. }) | Err(_) => {}
            Ok(_) => {
                return Err(Failure::Unmet(format!(
                    "a {kind} is gone for a provider configured later"
                )));
            }
        }
    }
    Ok(Outcome::Shown)
}

/// Without an attribute that it needs an object is not made, and the error is one for good.
pub async fn missing_attribute_is_an_error(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no kind needs an attribute");
    for kind in bench.harness().kinds() {
        let schema = bench.schema(&kind)?;
        for attribute in schema
            .attributes
            .iter()
            .filter(|attribute| attribute.mode == Mode::Required)
        {
            let name = attribute.name;
            let Samples { mut desired, .. } = bench.samples(&kind).await?;
            desired.remove(name);
            let token = bench.token();
            match bench.try_create(&kind, &token, &desired).await {
                Err(error) if !error.is_transient() => {}
                Err(error) => {
                    return Err(Failure::Call {
                        what: format!("find out that a {kind} needs `{name}`"),
                        error,
                    });
                }
                Ok(_) => return Err(Failure::Unmet(format!("a {kind} was made without `{name}`"))),
            }
            let found = bench.find(&kind, &token, &desired).await?;
            let left = matches!(found, Found::Ready(_) | Found::InProgress(_));
            expect(!left, || {
                format!("a {kind} without `{name}` was refused and left something")
            })?;
            outcome = Outcome::Shown;
        }
    }
    Ok(outcome)
}

/// Of an endpoint that does not answer nothing is said to be absent, and no call is said to be done.
pub async fn unreachable_is_not_absent(bench: &mut Bench) -> Result<Outcome, Failure> {
    let Some(settings) = bench.harness().unreachable() else {
        return Ok(Outcome::Skipped("the harness has no endpoint that does not answer"));
    };
    let context = bench.harness().context("unreachable");
    let provider = match bench.provider_type().configure(&settings, &context).await {
        Ok(provider) => provider,
        Err(error) if error.is_transient() => return Ok(Outcome::Shown),
        Err(error) => {
            return Err(Failure::Call {
                what: "configure for what does not answer".to_owned(),
                error,
            });
        }
    };
    for kind in bench.harness().kinds() {
        let Samples { desired, .. } = bench.samples(&kind).await?;
        nothing_is_claimed(bench, &*provider, &kind, &desired).await?;
    }
    Ok(Outcome::Shown)
}

async fn nothing_is_claimed(
    bench: &Bench,
    provider: &dyn Provider,
    kind: &Kind,
    desired: &Attributes,
) -> Result<(), Failure> {
    let not_sent = |error: &ProviderError| matches!(error, ProviderError::NotSent { .. });
    let (token, id) = (bench.token(), bench.harness().unknown_id(kind));
    let read = provider.read(kind, &id).await;
    let is_right = match &read {
        Ok(Observed::Unreachable { .. }) => true,
        Ok(_) => false,
        Err(error) => not_sent(error),
    };
    expect(is_right, || {
        format!("a {kind} that cannot be reached is read otherwise")
    })?;
    let list = provider.list(kind).await;
    let is_right = list.as_ref().map_or_else(not_sent, Option::is_none);
    expect(is_right, || {
        format!("a list of kind `{kind}` that cannot be reached is not an error")
    })?;
    let find = provider.find(kind, &token, desired).await;
    expect(find.as_ref().is_err_and(not_sent), || {
        format!("a find of a {kind} that cannot be reached is not an error")
    })?;
    let create = provider.create(kind, &token, desired).await;
    expect(create.as_ref().is_err_and(not_sent), || {
        format!("a create of a {kind} that cannot be reached was sent")
    })?;
    let object = Object {
        id,
        attributes: desired.clone(),
        token: None,
        version: None,
    };
    let update = provider.update(kind, &object, desired, &token).await;
    expect(update.as_ref().is_err_and(not_sent), || {
        format!("an update of a {kind} that cannot be reached was sent")
    })?;
    let delete = provider.delete(kind, &object, &token).await;
    expect(delete.as_ref().is_err_and(not_sent), || {
        format!("a delete of a {kind} that cannot be reached was sent")
    })
}

/// No secret is in an error or in what is logged of objects and the provider.
pub async fn secrets_stay_hidden(bench: &mut Bench) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Skipped("no sample has a sensitive attribute that is a string");
    for kind in bench.harness().kinds() {
        let (schema, samples) = (bench.schema(&kind)?, bench.samples(&kind).await?);
        let secrets = secrets(&schema, &samples.desired);
        if secrets.is_empty() {
            continue;
        }
        let hidden = |what: &str, text: &str| {
            let shows = secrets.iter().any(|secret| text.contains(secret.as_str()));
            expect(!shows, || format!("a secret of a {kind} is in {what}"))
        };
        let made = bench.create(&kind, &samples.desired).await?;
        hidden("the object that a create returns", &format!("{made:?}"))?;
        hidden(
            "the object that is read",
            &format!("{:?}", bench.present(&kind, &made.id).await?),
        )?;
        hidden("the provider", &format!("{:?}", bench.provider()))?;

        let mut errors = Vec::new();
        let replaced = samples.replaced.unwrap_or_else(|| samples.desired.clone());
        errors.push(bench.try_update(&kind, &made, &replaced, &bench.token()).await);
        for attribute in schema.attributes.iter().filter(|attribute| attribute.is_configurable()) {
            let mut broken = samples.desired.clone();
            match attribute.mode {
                Mode::Required => drop(broken.remove(attribute.name)),
                _ => broken.set(attribute.name, Value::unknown("node.other.address")),
            }
            errors.push(bench.try_create(&kind, &bench.token(), &broken).await);
        }
        for error in errors
            .iter()
            .filter_map(|result: &Result<Step, _>| result.as_ref().err())
        {
            hidden("an error", &format!("{error} {error:?}"))?;
        }
        outcome = Outcome::Shown;
    }
    Ok(outcome)
}

/// Returns the strings of sensitive attributes.
fn secrets(schema: &Schema, attributes: &Attributes) -> Vec<String> {
    let sensitive = schema.attributes.iter().filter(|attribute| attribute.sensitive);
    let values = sensitive.filter_map(|attribute| attributes.get(attribute.name));
    let text = |value: &Value| match value.data() {
        Data::String(text) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    values.filter_map(text).collect()
}
