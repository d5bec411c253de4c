//! Wanted attributes against those of an object, by the facts of the schema.

use crate::encoding::digest_matches;
use crate::{Attributes, Data, Mode, Schema, Value, convert};

/// Returns why a plan made from `wanted` would not be empty for an object that holds `found`: one line a difference.
///
/// Values are converted to the schema's types before they are compared; what only the far side sets is not compared. No
/// line holds a value: it can be a secret.
pub fn differences(schema: &Schema, wanted: &Attributes, found: &Attributes) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, value) in found.iter() {
        match schema.attribute(name) {
            None => differences.push(format!("`{name}` is not in the schema")),
            Some(_) if !value.is_known() => differences.push(format!("`{name}` was read and is not known")),
            Some(attribute) => match convert(value, &attribute.ty) {
                Ok(converted) if converted == *value => {}
                Ok(_) => differences.push(format!("`{name}` was not converted to {}", attribute.ty)),
                Err(error) => differences.push(format!("`{name}` was read and does not fit: {error}")),
            },
        }
        if schema.attribute(name).is_some_and(|attribute| attribute.sensitive) && !value.is_sensitive() {
            differences.push(format!("`{name}` is sensitive and was read without that mark"));
        }
    }
    for attribute in &schema.attributes {
        let name = attribute.name;
        let default = match &attribute.mode {
            Mode::Computed | Mode::Live => continue,
            Mode::Default(value) => Some(value),
            _ => None,
        };
        let wanted = wanted.get(name).or(default);
        match (wanted, found.get(name)) {
            (None, None) => {}
            (None, Some(_)) if attribute.mode == Mode::OptionalComputed => {}
            (None, Some(_)) => differences.push(format!("`{name}` is not wanted and is there")),
            (Some(_), None) => differences.push(format!("`{name}` is wanted and is not there")),
            (Some(wanted), Some(found)) => match convert(wanted, &attribute.ty) {
                Err(error) => differences.push(format!("`{name}` is wanted and does not fit: {error}")),
                Ok(wanted) if !is_same(&wanted, found) => {
                    differences.push(format!("`{name}` is there with another value"));
                }
                Ok(_) => {}
            },
        }
    }
    differences
}

/// Whether a plan takes one for the other. The far side can keep a digest of a secret that it does not show.
fn is_same(wanted: &Value, found: &Value) -> bool {
    match found.data() {
        Data::Redacted(digest) => digest_matches(digest, wanted),
        _ => bare(wanted) == bare(found),
    }
}

/// Returns the value without its own mark, which the schema decides.
fn bare(value: &Value) -> Value {
    value.clone().unmarked()
}

/// Returns the attributes without those that change by themselves.
pub(super) fn without_live(schema: &Schema, attributes: &Attributes) -> Attributes {
    let is_live = |name: &str| {
        schema
            .attribute(name)
            .is_some_and(|attribute| attribute.mode == Mode::Live)
    };
    let kept = attributes.iter().filter(|(name, _)| !is_live(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Kind, Type};

    fn schema() -> Schema {
        let attributes = vec![
            Attribute::new("name", Type::String, "d").required(),
            Attribute::new("size", Type::String, "d").default("small"),
            Attribute::new("ports", Type::list(Type::Number), "d"),
            Attribute::new("zone", Type::String, "d").optional_computed(),
            Attribute::new("password", Type::String, "d").sensitive(),
            Attribute::new("address", Type::String, "d").computed(),
            Attribute::new("status", Type::String, "d").live(),
        ];
        Schema {
            kind: Kind::new("k"),
            version: 1,
            doc: "d",
            attributes,
        }
    }

    fn attributes(extra: impl IntoIterator<Item = (&'static str, Value)>) -> Attributes {
        [("name", Value::from("a"))].into_iter().chain(extra).collect()
    }

    #[test]
    fn differences_by_the_facts_of_the_schema() {
        let small = || ("size", Value::from("small"));
        let list = |numbers: &[i64]| Value::list(numbers.iter().map(|n| Value::from(*n)));
        let tuple = |numbers: &[i64]| Value::tuple(numbers.iter().map(|n| Value::from(*n)));
        let secret = || Value::from("s3cret").mark(true);
        let kept = |text: &str| {
            let digest = crate::encoding::digest(&text.into(), [7; 16]);
            Value::new(Data::Redacted(digest.into())).mark(true)
        };
        for (case, wanted, found, expected) in [
            ("nothing but a default", attributes([]), attributes([small()]), ""),
            (
                "a default that is not there",
                attributes([]),
                attributes([]),
                "`size` is wanted and is not there",
            ),
            (
                "another value",
                attributes([]),
                attributes([("size", "big".into())]),
                "`size` is there with another value",
            ),
            (
                "computed and live",
                attributes([]),
                attributes([
                    small(),
                    ("address", "1".into()),
                    ("status", "up".into()),
                    ("zone", "z".into()),
                ]),
                "",
            ),
            (
                "another zone",
                attributes([("zone", "a".into())]),
                attributes([small(), ("zone", "b".into())]),
                "`zone`",
            ),
            (
                "a tuple is wanted, a list is there",
                attributes([("ports", tuple(&[1, 2]))]),
                attributes([small(), ("ports", list(&[1, 2]))]),
                "",
            ),
            (
                "another order",
                attributes([("ports", tuple(&[1, 2]))]),
                attributes([small(), ("ports", list(&[2, 1]))]),
                "`ports` is there with another value",
            ),
            (
                "not canonical",
                attributes([("ports", tuple(&[1]))]),
                attributes([small(), ("ports", tuple(&[1]))]),
                "`ports` was not converted to list(number)",
            ),
            (
                "not wanted",
                attributes([]),
                attributes([small(), ("ports", list(&[1]))]),
                "`ports` is not wanted",
            ),
            (
                "no such attribute",
                attributes([]),
                attributes([small(), ("x", "y".into())]),
                "`x` is not in the schema",
            ),
            (
                "not known",
                attributes([]),
                attributes([small(), ("address", Value::unknown("there"))]),
                "`address` was read and is not known",
            ),
            (
                "a secret without its mark",
                attributes([("password", secret())]),
                attributes([small(), ("password", secret().unmarked())]),
                "`password` is sensitive",
            ),
            (
                "a digest of the secret",
                attributes([("password", secret())]),
                attributes([small(), ("password", kept("s3cret"))]),
                "",
            ),
            (
                "a digest of another secret",
                attributes([("password", secret())]),
                attributes([small(), ("password", kept("other"))]),
                "`password` is there with another value",
            ),
            (
                "the mark of a value is not compared",
                attributes([("password", secret().unmarked())]),
                attributes([small(), ("password", secret())]),
                "",
            ),
        ] {
            let found = differences(&schema(), &wanted, &found).join("; ");
            match expected {
                "" => assert_eq!(found, "", "{case}"),
                expected => assert!(found.starts_with(expected), "{case}: {found}"),
            }
        }
    }
}
