//! How objects at an engine are named and told apart.
//!
//! An object's name there ends with the start of the token that made it, so that whoever finishes a create that was cut
//! off makes it once: the engine has no two of a name. Its labels say of which fleet it is and what it was made as.

use std::collections::{BTreeMap, HashMap};

use simfleet_provider_api::{ProviderError, Token};

/// The lineage of the fleet.
pub(crate) const LINEAGE: &str = "simfleet.lineage";
/// The name of the object in the fleet.
pub(crate) const NAME: &str = "simfleet.name";
/// The token that it was made with.
pub(crate) const TOKEN: &str = "simfleet.token";
/// What it was made as, of what cannot be changed: JSON.
pub(crate) const SPEC: &str = "simfleet.spec";

/// All labels of ours begin so.
const OWN: &str = "simfleet.";

/// So begin the labels that Compose keeps its books with.
const OF_COMPOSE: &str = "com.docker.compose.";

/// How much of a fleet's name is in the name at the engine.
const LONGEST: usize = 60;

/// Returns the name at the engine of what a token makes.
pub(crate) fn engine_name(name: &str, token: &str) -> String {
    let mut readable = String::new();
    for c in name.chars().take(LONGEST) {
        match c {
            c if c.is_ascii_alphanumeric() => readable.push(c),
            '_' | '.' if !readable.is_empty() => readable.push(c),
            _ if !readable.is_empty() && !readable.ends_with('-') => readable.push('-'),
            _ => {}
        }
    }
    let token = start_of(token);
    match readable.trim_end_matches(['-', '.', '_']) {
        "" => token.to_owned(),
        readable => format!("{readable}-{token}"),
    }
}

/// Returns as much of a token as tells it apart within an engine.
pub(crate) fn start_of(token: &str) -> &str {
    token.get(..12).unwrap_or(token)
}

/// Returns the labels of an object that is to be made: the declared ones and ours.
pub(crate) fn labels<'a>(
    declared: impl IntoIterator<Item = (&'a String, &'a String)>,
    lineage: &str,
    name: &str,
    token: &Token,
) -> HashMap<String, String> {
    let declared = declared.into_iter().map(|(name, value)| (name.clone(), value.clone()));
    let own = [(LINEAGE, lineage), (NAME, name), (TOKEN, &*token.0)];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    declared.chain(own).collect()
}

/// Refuses to touch what another fleet made.
///
/// # Errors
/// `Conflict`, with the lineage of that fleet.
pub(crate) fn check_owner(labels: &BTreeMap<String, String>, lineage: &str, what: &str) -> Result<(), ProviderError> {
    match labels.get(LINEAGE).filter(|owner| **owner != lineage) {
        Some(owner) => Err(ProviderError::Conflict {
            message: format!("{what} is one of another fleet, {owner}"),
        }),
        None => Ok(()),
    }
}

/// Returns the filter for the objects with a label.
pub(crate) fn with(label: &str, value: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])])
}

/// Whether a label is one of ours.
pub(crate) fn is_own(label: &str) -> bool {
    label.starts_with(OWN)
}

/// Whether a label is one of Compose's.
pub(crate) fn is_of_compose(label: &str) -> bool {
    label.starts_with(OF_COMPOSE)
}

/// Whether a label is one that somebody chose: what was made with Compose is adopted as it is, without Compose's own.
pub(crate) fn is_declared(label: &str) -> bool {
    !is_own(label) && !is_of_compose(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_such_that_an_engine_takes_them() {
        let token = "0123456789abcdef0123456789abcdef";
        for (name, expected) in [
            ("service.db", "service.db-0123456789ab"),
            ("simulator.px4.iris[0]", "simulator.px4.iris-0-0123456789ab"),
            (
                "module.m[\"x y\"].service.db/data",
                "module.m-x-y-.service.db-data-0123456789ab",
            ),
            ("é", "0123456789ab"),
        ] {
            assert_eq!(engine_name(name, token), expected, "{name}");
        }
    }
}
