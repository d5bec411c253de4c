//! How objects in Azure are named and told apart.
//!
//! An object's name there ends with the start of the token that made it, so that whoever finishes a create that was cut off
//! makes it once: a group has no two of a kind and a name. Its tags say of which fleet it is and what it was made as.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use simfleet_provider_api::Token;

/// The lineage of the fleet.
pub(crate) const LINEAGE: &str = "simfleet-lineage";
/// The name of the object in the fleet.
pub(crate) const NAME: &str = "simfleet-name";
/// The token that it was made with.
pub(crate) const TOKEN: &str = "simfleet-token";
/// The token of its last change.
pub(crate) const CHANGE: &str = "simfleet-change";
/// A salted digest of the user data, which Azure does not show: salt and SHA-256, both in hexadecimal.
pub(crate) const USER_DATA: &str = "simfleet-user-data";
/// The image as it was asked for, which Azure can write in other letters.
pub(crate) const IMAGE: &str = "simfleet-image";

/// All tags of ours begin so.
const OWN: &str = "simfleet-";

/// How many characters of a token are in a name.
const DIGITS: usize = 12;
/// How many characters a name in Azure has more than the one in the fleet.
pub(crate) const SUFFIX: usize = DIGITS + 1;

/// Returns the name in Azure of what a token makes.
pub(crate) fn azure_name(name: &str, token: &Token) -> String {
    let digits = token.0.get(..DIGITS).unwrap_or(&token.0);
    format!("{name}-{digits}")
}

/// Returns the name in the fleet of what has this name in Azure, where no tag says it.
pub(crate) fn fleet_name(azure_name: &str) -> &str {
    match azure_name.rsplit_once('-') {
        Some((name, digits)) if digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => azure_name,
    }
}

/// Whether somebody may declare a tag of this name. Azure tells no upper from lower case in it.
pub(crate) fn is_declared(name: &str) -> bool {
    !name.to_ascii_lowercase().starts_with(OWN)
}

/// The tags of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Reads the tags of an object of Azure.
    pub(crate) fn of(seen: &Json) -> Self {
        let tags = seen.get("tags").and_then(Json::as_object).into_iter().flatten();
        let tags = tags.filter_map(|(name, text)| {
            // Services have been seen to change the case of names of tags.
            let name = match is_declared(name) {
                true => name.clone(),
                false => name.to_ascii_lowercase(),
            };
            Some((name, text.as_str()?.to_owned()))
        });
        Tags(tags.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), text.to_owned());
    }

    pub(crate) fn is_of(&self, lineage: &str) -> bool {
        self.get(LINEAGE) == Some(lineage)
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.get(TOKEN).map(|token| Token(token.into()))
    }

    /// Puts others in the place of those that somebody declared; ours stay.
    pub(crate) fn declare(&mut self, declared: Option<&Json>) {
        self.0.retain(|name, _| !is_declared(name));
        let declared = declared.and_then(Json::as_object).into_iter().flatten();
        for (name, text) in declared {
            self.0
                .insert(name.clone(), text.as_str().unwrap_or_default().to_owned());
        }
    }

    /// Returns those that somebody declared; `null` where there are none.
    pub(crate) fn declared(&self) -> Json {
        let declared = self.0.iter().filter(|(name, _)| is_declared(name));
        let declared: Map<String, Json> = declared
            .map(|(name, text)| (name.clone(), text.clone().into()))
            .collect();
        match declared.is_empty() {
            true => Json::Null,
            false => Json::Object(declared),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        self.0
            .iter()
            .map(|(name, text)| (name.clone(), Json::from(text.clone())))
            .collect::<Map<_, _>>()
            .into()
    }
}
