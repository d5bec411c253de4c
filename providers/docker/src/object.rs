//! Attributes from and to maps of texts.

use std::collections::BTreeMap;

use simfleet_provider_api::{Attributes, Kind, Object, ProviderError, Value, convert};

use crate::client::rejected;
use crate::labels;
use crate::schema::schemas;

/// Returns the name of what is to be made.
pub(crate) fn name_of(planned: &Attributes) -> Result<&str, ProviderError> {
    planned
        .str("name")
        .ok_or_else(|| rejected("`name` is missing".to_owned(), Some("name")))
}

/// Returns an object whose attributes are in the types of its kind.
pub(crate) fn typed(kind: &Kind, object: Object) -> Object {
    let schema = schemas().iter().find(|schema| schema.kind == *kind);
    let typed = |name: &str, value: &Value| {
        let attribute = schema?.attribute(name)?;
        convert(value, &attribute.ty).ok()
    };
    let attributes = object.attributes.iter();
    let attributes =
        attributes.map(|(name, value)| (name.clone(), typed(name, value).unwrap_or_else(|| value.clone())));
    Object {
        attributes: attributes.collect(),
        ..object
    }
}

/// Returns a map of texts that an attribute is.
pub(crate) fn string_map(value: Option<&Value>) -> BTreeMap<String, String> {
    let fields = value.and_then(Value::as_fields).into_iter().flatten();
    let texts = fields.filter_map(|(name, value)| {
        let (open, _) = value.clone().unmark_deep();
        Some((name.to_string(), open.as_str()?.to_owned()))
    });
    texts.collect()
}

/// Returns a map of texts as a value; none where it is empty.
pub(crate) fn text_map(texts: &BTreeMap<String, String>) -> Value {
    match texts.is_empty() {
        true => Value::NULL,
        false => Value::map(
            texts
                .iter()
                .map(|(name, text)| (name.as_str(), Value::from(text.as_str()))),
        ),
    }
}

/// Returns the labels that somebody chose.
pub(crate) fn declared_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let declared = labels.iter().filter(|(name, _)| labels::is_declared(name));
    declared.map(|(name, value)| (name.clone(), value.clone())).collect()
}
