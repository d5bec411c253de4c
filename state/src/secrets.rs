//! Keys, by which sensitive values are kept encrypted beside their digests, so that they come back from the state.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use simfleet_provider_api::encoding::{self, Encoded};
use simfleet_provider_api::{Data, Digest, Value};

use crate::error::StateError;
use crate::event::Event;
use crate::host::Host;
use crate::state::State;
use crate::stored;

/// The keys of a state: age identities, `AGE-SECRET-KEY-1…`, as `age-keygen` makes them.
///
/// The first encrypts and all decrypt, so that a key can be followed by another.
#[derive(Clone)]
pub struct Keys(Arc<[Identity]>);

/// Why a text holds no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// A line is no key. It is not told, as it can be a mistyped one.
    #[error("line {line} is not an age key; they begin with AGE-SECRET-KEY-1")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// There is none.
    #[error("it holds no key")]
    Empty,
}

/// Reads one key a line; empty lines and those with `#` are passed over, as in the files of `age-keygen`.
impl FromStr for Keys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(index, line)| line.parse().map_err(|_| KeysError::Line { line: index + 1 }))
            .collect::<Result<Arc<[Identity]>, _>>()?;
        match keys.is_empty() {
            true => Err(KeysError::Empty),
            false => Ok(Keys(keys)),
        }
    }
}

/// Says how many, and nothing of them.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Returns a value encrypted for the first key.
    fn seal(&self, value: &Value) -> Option<Arc<str>> {
        let (clear, _) = value.clone().unmark_deep();
        let text = serde_json::to_vec(&Encoded::of(&clear).ok()?).ok()?;
        let sealed = age::encrypt(&self.0.first()?.to_public(), &text).ok()?;
        Some(BASE64.encode(sealed).into())
    }

    /// Returns what was encrypted for one of the keys.
    fn unseal(&self, sealed: &str) -> Option<Value> {
        let bytes = BASE64.decode(sealed).ok()?;
        let text = self.0.iter().find_map(|key| age::decrypt(key, &bytes).ok())?;
        let encoded: Encoded = serde_json::from_slice(&text).ok()?;
        encoded.decode().ok()
    }
}

/// Returns what makes the digests of sensitive values, sealed where there are keys.
pub(crate) fn digests<'a>(host: &'a dyn Host, keys: Option<&'a Keys>) -> impl FnMut(&Value) -> Digest + 'a {
    move |value| Digest {
        sealed: keys.and_then(|keys| keys.seal(value)),
        ..encoding::digest(value, host.random())
    }
}

/// Has the secrets of a state be in the clear. Those that were recorded without a key stay digests.
///
/// # Errors
/// One was encrypted with another key.
pub(crate) fn reveal_state(state: &mut State, keys: Option<&Keys>, location: &str) -> Result<(), StateError> {
    let Some(keys) = keys else {
        return Ok(());
    };
    let mut locked = false;
    stored::rewrite_state(state, &mut |value| {
        encoding::reveal(value, &mut |digest| {
            let value = keys.unseal(digest.sealed.as_deref()?);
            locked |= value.is_none();
            value
        })
    });
    match locked {
        true => Err(wrong_key(location)),
        false => Ok(()),
    }
}

/// Has the secrets of events be in the clear, as far as the keys go: what is long past may be under a key that is gone.
pub(crate) fn reveal_events(events: &mut [Event], keys: Option<&Keys>) {
    let Some(keys) = keys else {
        return;
    };
    for event in events {
        stored::rewrite(event, &mut |value| {
            encoding::reveal(value, &mut |digest| keys.unseal(digest.sealed.as_deref()?))
        });
    }
}

/// Makes sure, before something is written, that a secret of the state can be opened: what is written with another key
/// would be readable to nobody together with the rest. One is enough; whoever reads the state opens all.
///
/// # Errors
/// It was encrypted with another key.
pub(crate) fn check_key(state: &State, keys: Option<&Keys>, location: &str) -> Result<(), StateError> {
    let Some(keys) = keys else {
        return Ok(());
    };
    match sealed(state) {
        Some(sealed) if keys.unseal(&sealed).is_none() => Err(wrong_key(location)),
        _ => Ok(()),
    }
}

/// Returns the first secret that is encrypted.
fn sealed(state: &State) -> Option<Arc<str>> {
    let settings = |resource: &crate::state::Resource| {
        [
            resource.declared.provider.settings.to_value(),
            resource.declared.inputs.to_value(),
            resource.object.attributes.to_value(),
        ]
    };
    let configuration = state
        .configuration
        .iter()
        .map(|configuration| configuration.variables.to_value());
    let outputs = state.outputs.values().cloned();
    let values = configuration
        .chain(outputs)
        .chain(state.resources.values().flat_map(settings));
    values
        .filter(Value::has_sensitive)
        .find_map(|value| first_sealed(&value))
}

fn first_sealed(value: &Value) -> Option<Arc<str>> {
    match value.data() {
        Data::Redacted(digest) => digest.sealed.clone(),
        Data::Tuple(items) | Data::List(items) | Data::Set(items) => items.iter().find_map(first_sealed),
        Data::Map(fields) => fields.values().find_map(first_sealed),
        Data::Object(object) => object.fields.values().find_map(first_sealed),
        _ => None,
    }
}

fn wrong_key(location: &str) -> StateError {
    StateError::WrongKey {
        location: location.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_of_keys() {
        let key = || Identity::generate().to_string().expose_secret().to_owned();
        let keys: Keys = format!("# created: today\n{}\n\n{}\n", key(), key())
            .parse()
            .expect("two keys");
        assert_eq!(format!("{keys:?}"), "2 keys");
        let error = "# a comment\nAGE-SECRET-KEY-1NONSENSE"
            .parse::<Keys>()
            .expect_err("none");
        assert_eq!(error, KeysError::Line { line: 2 });
        assert!(!error.to_string().contains("NONSENSE"));
        assert_eq!("\n# nothing\n".parse::<Keys>().expect_err("none"), KeysError::Empty);
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone() {
        let text = || Identity::generate().to_string().expose_secret().to_owned();
        let (old, new) = (text(), text());
        let keys = |text: &str| text.parse::<Keys>().expect("keys");
        let value = Value::object([("a", Value::tuple(["x".into(), Value::from("s").mark(true)]))]).mark(true);
        let sealed = keys(&old).seal(&value).expect("sealed");
        let (clear, _) = value.unmark_deep();
        assert_eq!(keys(&old).unseal(&sealed), Some(clear.clone()));
        assert_eq!(
            keys(&format!("{new}\n{old}")).unseal(&sealed),
            Some(clear.clone()),
            "a key that was followed"
        );
        assert_eq!(keys(&new).unseal(&sealed), None);
        assert_eq!(keys(&old).unseal("%"), None);
        let followed = keys(&format!("{new}\n{old}")).seal(&clear).expect("sealed");
        assert_eq!(keys(&new).unseal(&followed), Some(clear), "the first one encrypts");
    }
}
