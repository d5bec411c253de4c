//! Objects as the cloud keeps them, and as it shows them.

use serde_json::{Value as Json, json};
use simfleet_provider_api::{ChangeEffect, Mode, Schema, Type};

use crate::calls::{Fields, Record, Refusal};
use crate::faults::scatter;
use crate::translate::revealed;

/// The label that the cloud adds to all that are given.
pub const OWN_LABEL: &str = "fake:made-by";

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What is kept; its fields are as they were sent, with defaults filled in.
    pub record: Record,
    /// When it was made, in milliseconds.
    pub made_at: u64,
    /// How many lists could have shown it.
    pub listed: u64,
    /// The operation that is changing it.
    pub busy: Option<String>,
}

impl Item {
    /// Returns the name that it was given.
    pub fn name(&self) -> Option<&str> {
        self.record.fields.get("name")?.as_str()
    }

    /// Raises the version.
    pub fn touch(&mut self) {
        let number: u64 = self.record.version.trim_start_matches('v').parse().unwrap_or(0);
        self.record.version = format!("v{}", number.saturating_add(1));
    }

    /// Returns the object as the cloud shows it: in its own spelling and order, with what it adds by itself.
    pub fn shown(&self) -> Record {
        let mut shown = self.record.clone();
        let schema = crate::kinds::schema(&shown.kind);
        for attribute in schema.map(|schema| schema.attributes.as_slice()).unwrap_or_default() {
            let Some(value) = shown.fields.get_mut(attribute.name) else {
                continue;
            };
            match (attribute.name, &attribute.ty, &mut *value) {
                ("size", _, Json::String(size)) => size.make_ascii_uppercase(),
                ("cpus", _, Json::Number(number)) => *value = Json::String(number.to_string()),
                ("labels", _, Json::Object(labels)) => {
                    labels.insert(OWN_LABEL.to_owned(), json!("the fake cloud"));
                }
                (_, Type::Set(_), Json::Array(items)) => {
                    items.sort_by_key(|item| scatter(0, &[&shown.version, &item.to_string()], 0));
                }
                _ => {}
            }
        }
        let state = shown
            .fields
            .get("state")
            .and_then(Json::as_str)
            .unwrap_or("running")
            .to_owned();
        if shown.kind == "process" && state == "running" {
            let pid = scatter(0, &[&shown.id, &shown.version], 0) % 30_000 + 2;
            shown.fields.insert("pid".to_owned(), json!(pid));
        }
        if shown.kind != "network" {
            // One that was changed behind the back stays: a process that has exited.
            shown.fields.entry("status".to_owned()).or_insert(json!(state));
        }
        shown
    }
}

/// Returns what an object holds that is made with `fields`, or why it cannot be made.
pub fn filled_in(schema: &Schema, id: &str, mut fields: Fields) -> Result<Fields, Refusal> {
    refuse_what_is_wrong(schema, &fields)?;
    let number = scatter(0, &[id], 0);
    for attribute in &schema.attributes {
        if fields.contains_key(attribute.name) {
            continue;
        }
        let chosen = match (&attribute.mode, attribute.name) {
            (Mode::Default(value), _) => revealed(value).ok(),
            (Mode::OptionalComputed, "zone") => Some(json!(format!("zone-{}", number % 3 + 1))),
            (Mode::Computed, "address") => {
                let [.., a, b, c] = number.to_be_bytes();
                Some(json!(format!("10.{a}.{b}.{c}")))
            }
            (Mode::Computed, "runtime") => Some(json!(format!("fake://{id}"))),
            _ => None,
        };
        if let Some(chosen) = chosen {
            fields.insert(attribute.name.to_owned(), chosen);
        }
    }
    Ok(fields)
}

/// Returns what an object holds that is changed from `before` to `wanted`, or why it cannot be. What the configuration
/// does not set and the cloud once chose stays, and so do the attributes named by `keep`.
pub fn changed(schema: &Schema, before: &Record, mut wanted: Fields, keep: &[String]) -> Result<Fields, Refusal> {
    for attribute in &schema.attributes {
        let stays = matches!(attribute.mode, Mode::Computed | Mode::OptionalComputed)
            || keep.iter().any(|name| name == attribute.name);
        if let (true, false, Some(value)) = (
            stays,
            wanted.contains_key(attribute.name),
            before.fields.get(attribute.name),
        ) {
            wanted.insert(attribute.name.to_owned(), value.clone());
        }
    }
    let after = filled_in_again(schema, before, wanted)?;
    for attribute in schema.attributes.iter().filter(|attribute| attribute.is_configurable()) {
        if attribute.change == ChangeEffect::Replace && before.fields.get(attribute.name) != after.get(attribute.name) {
            return Err(rejected(
                format!("`{}` of {} cannot be changed", attribute.name, before.id),
                Some(attribute.name),
            ));
        }
    }
    Ok(after)
}

fn filled_in_again(schema: &Schema, before: &Record, mut wanted: Fields) -> Result<Fields, Refusal> {
    let computed: Vec<_> = schema
        .attributes
        .iter()
        .filter(|attribute| attribute.mode == Mode::Computed)
        .collect();
    let kept: Vec<_> = computed
        .iter()
        .filter_map(|attribute| wanted.remove_entry(attribute.name))
        .collect();
    let mut after = filled_in(schema, &before.id, wanted)?;
    after.extend(kept);
    Ok(after)
}

fn refuse_what_is_wrong(schema: &Schema, fields: &Fields) -> Result<(), Refusal> {
    for name in fields.keys() {
        if !schema
            .attribute(name)
            .is_some_and(|attribute| attribute.is_configurable())
        {
            return Err(rejected(
                format!("a {} has no `{name}` that can be set", schema.kind),
                Some(name),
            ));
        }
    }
    for attribute in &schema.attributes {
        let is_given = fields.get(attribute.name).is_some_and(|value| !value.is_null());
        if attribute.mode == Mode::Required && !is_given {
            let message = format!("a {} needs `{}`", schema.kind, attribute.name);
            return Err(rejected(message, Some(attribute.name)));
        }
    }
    Ok(())
}

/// Returns a refusal for good.
pub fn rejected(message: String, attribute: Option<&str>) -> Refusal {
    Refusal::Rejected {
        message,
        attribute: attribute.map(str::to_owned),
    }
}
