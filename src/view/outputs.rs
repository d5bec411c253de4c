//! The outputs of a fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::{Data, Type, Value};

use super::document::{Document, Line, Theme, Tone};
use super::values::{self, Mask, hcl, mask};

/// Returns all outputs as text.
pub fn render(outputs: &BTreeMap<Arc<str>, Value>, theme: Theme) -> String {
    let mut document = Document::new();
    fill(outputs, &mut document);
    document.render(theme)
}

/// Adds a line or more for each output.
pub(super) fn fill(outputs: &BTreeMap<Arc<str>, Value>, document: &mut Document) {
    for (name, value) in outputs {
        document.line(
            Line::new()
                .tone(Tone::Strong, &**name)
                .text(format!(" = {}", hcl(value))),
        );
    }
}

/// Returns all outputs as JSON: value, type and whether anything in it is sensitive, and so `null`.
pub fn json(outputs: &BTreeMap<Arc<str>, Value>) -> Json {
    let outputs: Map<String, Json> = outputs
        .iter()
        .map(|(name, value)| {
            let output = json!({
                "value": values::json(value),
                "type": values::type_json(&Type::of(value)),
                "sensitive": mask(value, Mask::Sensitive).is_some(),
            });
            (name.to_string(), output)
        })
        .collect();
    Json::Object(outputs)
}

/// Why an output cannot be printed bare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPrintable {
    /// Nothing sensitive is printed.
    #[error("it is sensitive, and what is sensitive is neither shown nor kept in the clear")]
    Sensitive,
    /// Only strings, numbers and truth values have a bare form.
    #[error("it is neither a string, a number nor a truth value")]
    Structured,
}

/// Returns one output as JSON, without anything around it.
///
/// # Errors
/// Where anything in it is sensitive.
pub fn one_json(value: &Value) -> Result<Json, NotPrintable> {
    match mask(value, Mask::Sensitive) {
        None => Ok(values::json(value)),
        Some(_) => Err(NotPrintable::Sensitive),
    }
}

/// Returns one output bare, for scripts: a string without its quotes.
///
/// # Errors
/// Where it is sensitive, or has no bare form.
pub fn raw(value: &Value) -> Result<String, NotPrintable> {
    if mask(value, Mask::Sensitive).is_some() {
        return Err(NotPrintable::Sensitive);
    }
    match value.data() {
        Data::String(text) => Ok(text.to_string()),
        Data::Number(number) => Ok(number.to_string()),
        Data::Bool(value) => Ok(value.to_string()),
        _ => Err(NotPrintable::Structured),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> BTreeMap<Arc<str>, Value> {
        let endpoints = (0..3).map(|i| {
            (
                format!("quad-{i}"),
                Value::string(format!("udp://127.0.0.1:{}", 14560 + i)),
            )
        });
        BTreeMap::from([
            ("count".into(), 3i64.into()),
            ("endpoints".into(), Value::object(endpoints)),
            ("notes".into(), "a\nb\n".into()),
            ("password".into(), Value::from("hunter2").mark(true)),
            ("tags".into(), Value::list([Value::from("a")])),
        ])
    }

    #[test]
    fn all_outputs() {
        insta::assert_snapshot!("text", render(&outputs(), Theme::Plain));
        insta::assert_snapshot!("json", format!("{:#}", json(&outputs())));
        assert_eq!(render(&BTreeMap::new(), Theme::Plain), "");
    }

    #[test]
    fn one_output() {
        let all = outputs();
        for (name, bare, json) in [
            ("count", Ok("3".to_owned()), Ok(json!(3))),
            ("notes", Ok("a\nb\n".to_owned()), Ok(json!("a\nb\n"))),
            ("tags", Err(NotPrintable::Structured), Ok(json!(["a"]))),
            ("password", Err(NotPrintable::Sensitive), Err(NotPrintable::Sensitive)),
        ] {
            assert_eq!(raw(&all[name]), bare, "{name}");
            assert_eq!(one_json(&all[name]), json, "{name}");
        }
    }
}
