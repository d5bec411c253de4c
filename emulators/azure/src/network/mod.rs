//! `Microsoft.Network`: one file a kind.

pub(crate) mod child;
pub(crate) mod interface;
pub(crate) mod load_balancer;
pub(crate) mod public_ip;
pub(crate) mod security_group;
pub(crate) mod virtual_network;

use serde_json::{Map, Value};

use crate::message::{ArmError, Result};
use crate::resource::{items, text};

/// Checks the names of the members of a list: each has one, and each another.
pub(crate) fn check_names(properties: &Map<String, Value>, list: &str) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for item in items(properties, list) {
        let name = text(item, "name").unwrap_or_default();
        if name.is_empty() {
            return Err(ArmError::bad(
                "InvalidRequestFormat",
                format!("Cannot parse the request: a member of '{list}' has no name."),
            ));
        }
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.len() > 80 || !name.chars().all(inside) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(ArmError::bad(
                "InvalidResourceName",
                format!(
                    "Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a word \
                     character, and it must end with a word character or with '_'. The name may contain word characters or \
                     '.', '-', '_'."
                ),
            ));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(ArmError::bad(
                "InvalidRequestFormat",
                format!("Cannot parse the request: the name '{name}' is used twice in '{list}'."),
            ));
        }
    }
    Ok(())
}

/// Removes what only answers have from the members of a list.
pub(crate) fn without_answers(properties: &mut Map<String, Value>, list: &str) {
    for item in crate::resource::items_mut(properties, list) {
        item.remove("etag");
        item.remove("type");
        item.remove("id");
        if let Some(Value::Object(inner)) = item.get_mut("properties") {
            inner.remove("provisioningState");
        }
    }
}

/// Finds a word of a fixed set, in any case, as Azure writes it.
pub(crate) fn word(given: Option<&str>, of: &[&str], what: &str) -> Result<String> {
    let given = given.unwrap_or_default();
    let found = of.iter().find(|word| word.eq_ignore_ascii_case(given));
    found.map(|word| (*word).to_owned()).ok_or_else(|| {
        ArmError::bad(
            "InvalidRequestFormat",
            format!(
                "Cannot parse the request: the value '{given}' of '{what}' is none of {}.",
                of.join(", ")
            ),
        )
    })
}
