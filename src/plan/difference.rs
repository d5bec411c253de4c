//! How one object differs from what is wanted: the core's own diff, against the schema of its kind.

use std::sync::Arc;

use simfleet_provider_api::convert::convert;
use simfleet_provider_api::encoding::digest_matches;
use simfleet_provider_api::{Address, Attribute, Attributes, ChangeEffect, Data, Mode, Path, Schema, Value};

use super::AttributeDrift;

/// How an object differs from what is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The attributes as they will be after an update in place.
    pub after: Attributes,
    /// The attributes that differ.
    pub changed: Vec<Path>,
    /// Those of them that make a new object.
    pub replaces: Vec<Path>,
}

impl Difference {
    /// Leaves out the attributes whose changes are ignored.
    pub fn forgive(&mut self, is_ignored: impl Fn(&str) -> bool, current: &Attributes) {
        let is_ignored = |path: &Path| path.root().is_some_and(&is_ignored);
        for name in self
            .changed
            .iter()
            .filter(|path| is_ignored(path))
            .filter_map(Path::root)
        {
            match current.get(name) {
                Some(value) => self.after.set(name, value.clone()),
                None => drop(self.after.remove(name)),
            }
        }
        self.changed.retain(|path| !is_ignored(path));
        self.replaces.retain(|path| !is_ignored(path));
    }
}

/// Converts wanted attributes to the types of a schema, fills in defaults and marks what the schema calls sensitive.
///
/// # Errors
/// The path of the first attribute that does not fit, and why.
pub fn canonical(schema: &Schema, desired: &Attributes) -> Result<Attributes, (Path, String)> {
    let mut attributes = Attributes::new();
    for attribute in &schema.attributes {
        let path = || Path::attribute(attribute.name);
        let value = match (desired.get(attribute.name), &attribute.mode) {
            (Some(value), _) if attribute.is_configurable() => value,
            (Some(_), _) => return Err((path(), "it is set by the far side only".to_owned())),
            (None, Mode::Default(value)) => value,
            (None, Mode::Required) => return Err((path(), "it is required".to_owned())),
            (None, _) => continue,
        };
        let value = convert(value, &attribute.ty).map_err(|error| (path(), error.to_string()))?;
        attributes.set(attribute.name, value.mark(attribute.sensitive));
    }
    if let Some((name, _)) = desired.iter().find(|(name, _)| schema.attribute(name).is_none()) {
        return Err((
            Path::attribute(name.clone()),
            format!("`{}` has no such attribute", schema.kind),
        ));
    }
    Ok(attributes)
}

/// Returns the attributes of an object in the types of its schema. Those that do not fit, and those that it does not
/// know, stay as they are.
pub fn typed(schema: &Schema, attributes: &Attributes) -> Attributes {
    let convert = |name: &str, value: &Value| {
        let attribute = schema.attribute(name)?;
        convert(value, &attribute.ty).ok()
    };
    let mut typed = attributes.clone();
    for (name, value) in attributes.iter() {
        if let Some(converted) = convert(name, value).filter(|converted| converted != value) {
            typed.set(Arc::clone(name), converted);
        }
    }
    typed
}

/// Returns the attributes of an object that is still to be made: what is wanted, and unknown for what the far side sets.
pub fn planned(schema: &Schema, address: &Address, wanted: &Attributes) -> Attributes {
    let mut after = wanted.clone();
    for attribute in &schema.attributes {
        let set_there = matches!(attribute.mode, Mode::Computed | Mode::Live | Mode::OptionalComputed);
        if set_there && wanted.get(attribute.name).is_none() {
            let origin = format!("{address}.{}", attribute.name);
            after.set(attribute.name, Value::unknown(origin).mark(attribute.sensitive));
        }
    }
    after
}

/// Compares what is wanted (canonical) with the object as it is.
///
/// `applied` are the wanted attributes of the last apply: a sensitive value that the far side does not tell is compared
/// with the digest in them.
pub fn compare(schema: &Schema, wanted: &Attributes, current: &Attributes, applied: &Attributes) -> Difference {
    let mut difference = Difference {
        after: current.clone(),
        ..Difference::default()
    };
    let is_settled = |attribute: &&Attribute| {
        let is_left = attribute.mode == Mode::OptionalComputed && wanted.get(attribute.name).is_none();
        attribute.is_configurable() && !is_left
    };
    for attribute in schema.attributes.iter().filter(is_settled) {
        let (name, want) = (attribute.name, wanted.get(attribute.name));
        let secret = attribute.sensitive || want.is_some_and(Value::has_sensitive);
        let have = match current.get(name) {
            None if secret => applied.get(name),
            have => have,
        };
        let have = have.map(|value| convert(value, &attribute.ty).unwrap_or_else(|_| value.clone()));
        if same(want, have.as_ref()) {
            continue;
        }
        difference.changed.push(Path::attribute(name));
        if attribute.change == ChangeEffect::Replace {
            difference.replaces.push(Path::attribute(name));
        }
    }
    if difference.changed.is_empty() {
        return difference;
    }
    for attribute in schema.attributes.iter().filter(is_settled) {
        let want = wanted.get(attribute.name).cloned().unwrap_or(Value::NULL);
        difference.after.set(attribute.name, want);
    }
    difference
}

/// Returns the attributes of which the object as seen differs from what was recorded. What the far side sets at any time
/// does not count.
pub fn drift(schema: &Schema, recorded: &Attributes, seen: &Attributes) -> Vec<AttributeDrift> {
    let mut drift = Vec::new();
    for attribute in schema
        .attributes
        .iter()
        .filter(|attribute| attribute.mode != Mode::Live)
    {
        let canonical = |value: &Value| convert(value, &attribute.ty).unwrap_or_else(|_| value.clone());
        let recorded = recorded.get(attribute.name).map(canonical);
        let seen = seen.get(attribute.name).map(canonical);
        let secret = attribute.sensitive || recorded.as_ref().is_some_and(Value::has_sensitive);
        if (secret && seen.is_none()) || same(seen.as_ref(), recorded.as_ref()) {
            continue;
        }
        drift.push(AttributeDrift {
            path: Path::attribute(attribute.name),
            recorded: recorded.map(|value| value.mark(secret)),
            seen: seen.map(|value| value.mark(secret)),
        });
    }
    drift
}

/// Returns the object's attributes with a mark on all that is sensitive in `planned` or by the schema, so that what a
/// far side tells of a secret is not stored in the clear.
pub fn marked(schema: &Schema, planned: &Attributes, attributes: &Attributes) -> Attributes {
    attributes
        .iter()
        .map(|(name, value)| {
            let secret = schema.attribute(name).is_some_and(|attribute| attribute.sensitive);
            let value = match planned.get(name) {
                Some(planned) => mark_like(value, planned),
                None => value.clone(),
            };
            (name.clone(), value.mark(secret))
        })
        .collect()
}

fn mark_like(value: &Value, planned: &Value) -> Value {
    let marked = match (value.data(), planned.data()) {
        _ if planned.is_sensitive() || !planned.has_sensitive() => value.clone(),
        // A far side that itself says which elements are secret is believed, where it hides what is to be hidden: what
        // is recorded is then marked as what is seen, and not more.
        _ if marked_as(value, planned) => value.clone(),
        (Data::Object(_) | Data::Map(_), Data::Object(_) | Data::Map(_)) => {
            let fields = value.as_fields().into_iter().flatten();
            Value::object(fields.map(|(name, field)| {
                let field = planned
                    .get(name)
                    .map_or_else(|| field.clone(), |planned| mark_like(field, planned));
                (name.clone(), field)
            }))
        }
        // An element of a sequence has no name to be found by: all of it is as secret as the most secret element.
        _ => value.clone().mark(true),
    };
    marked.mark(planned.is_sensitive() || value.is_sensitive())
}

/// Whether a value is a sequence that is marked wherever `planned` is, element by element.
fn marked_as(value: &Value, planned: &Value) -> bool {
    let (Some(items), Some(planned)) = (value.as_slice(), planned.as_slice()) else {
        return false;
    };
    let covers =
        |(item, planned): (&Value, &Value)| item.is_sensitive() || !planned.has_sensitive() || marked_as(item, planned);
    items.len() == planned.len() && items.iter().zip(planned).all(covers)
}

/// Whether two values are the same to a plan: marks do not count, a digest is the value that it was made of, a tuple is a
/// list and an object a map. Unknown is never the same as anything.
pub fn same(want: Option<&Value>, have: Option<&Value>) -> bool {
    let (want, have) = match (want, have) {
        (Some(want), Some(have)) => (want, have),
        (None, None) => return true,
        _ => return false,
    };
    match (want.data(), have.data()) {
        (Data::Unknown(_), _) | (_, Data::Unknown(_)) => false,
        (Data::Redacted(a), Data::Redacted(b)) => a == b,
        (_, Data::Redacted(digest)) => digest_matches(digest, want),
        (Data::Redacted(digest), _) => digest_matches(digest, have),
        _ => {
            if let (Some(a), Some(b)) = (want.as_slice(), have.as_slice()) {
                return a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)));
            }
            if let (Some(a), Some(b)) = (want.as_fields(), have.as_fields()) {
                // An attribute of an object that is null counts as absent, as in `Attributes`.
                let names = a.keys().chain(b.keys());
                let set = |fields: &std::collections::BTreeMap<std::sync::Arc<str>, Value>, name: &str| {
                    fields.get(name).filter(|value| !value.is_null()).cloned()
                };
                return names
                    .into_iter()
                    .all(|name| same(set(a, name).as_ref(), set(b, name).as_ref()));
            }
            want.data() == have.data()
        }
    }
}

#[cfg(test)]
mod tests {
    use simfleet_provider_api::Type;

    use super::*;

    /// What is recorded of a sequence with a secret in it, and what is seen of it later, are marked alike only if the
    /// provider's own marks are kept: a saved plan is made again from what is recorded.
    #[test]
    fn elements_that_are_secret() {
        let schema = Schema {
            kind: "process".to_owned().into(),
            version: 1,
            doc: "A process.",
            attributes: vec![Attribute::new("command", Type::list(Type::String), "What runs.").required()],
        };
        let secret = |text: &str| Value::string(text).mark(true);
        let planned = || Value::list([Value::string("sh"), secret("pw")]);
        for (name, told, kept) in [
            ("marked by the far side", planned(), "list[\"sh\", (sensitive)]"),
            (
                "told in the clear",
                Value::list(["sh".into(), "pw".into()]),
                "(sensitive)",
            ),
            (
                "marked elsewhere",
                Value::list([secret("sh"), "pw".into()]),
                "(sensitive)",
            ),
            (
                "another length",
                Value::list(["sh".into(), "x".into(), secret("pw")]),
                "(sensitive)",
            ),
        ] {
            let attributes = |value| Attributes::from_iter([("command", value)]);
            let marked = marked(&schema, &attributes(planned()), &attributes(told));
            assert_eq!(format!("{:?}", marked.get("command").expect("command")), kept, "{name}");
        }
    }
}
