//! What refers to what: found in bodies, kept both ways.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Who refers to each id, in lower case.
#[derive(Debug, Default)]
pub struct References {
    to: BTreeMap<String, BTreeSet<String>>,
    from: BTreeMap<String, BTreeSet<String>>,
}

impl References {
    /// Keeps what an object refers to now.
    pub fn put(&mut self, key: &str, body: &Map<String, Value>) {
        self.remove(key);
        let found: BTreeSet<String> = found(key, body).into_iter().map(|id| id.to_lowercase()).collect();
        for id in &found {
            self.to.entry(id.clone()).or_default().insert(key.to_owned());
        }
        self.from.insert(key.to_owned(), found);
    }

    /// Forgets what an object referred to.
    pub fn remove(&mut self, key: &str) {
        for id in self.from.remove(key).unwrap_or_default() {
            if let Some(referrers) = self.to.get_mut(&id) {
                referrers.remove(key);
                if referrers.is_empty() {
                    self.to.remove(&id);
                }
            }
        }
    }

    /// Returns the keys of the objects that refer to an id.
    pub fn to(&self, key: &str) -> impl Iterator<Item = &String> {
        self.to.get(key).into_iter().flatten()
    }
}

/// Returns the ids that a body refers to, beside those that are its own or inside of it.
pub fn found(key: &str, body: &Map<String, Value>) -> Vec<String> {
    let mut ids = all(body);
    ids.retain(|id| {
        let id = id.to_lowercase();
        id != key && !id.starts_with(&format!("{key}/"))
    });
    ids
}

/// Returns all ids that a body refers to.
pub fn all(body: &Map<String, Value>) -> Vec<String> {
    let mut ids = Vec::new();
    for (name, value) in body {
        if name != "id" {
            walk(value, &mut ids);
        }
    }
    ids
}

fn walk(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(id) if name == "id" && id.to_lowercase().starts_with("/subscriptions/") => {
                        ids.push(id.clone());
                    }
                    _ => walk(value, ids),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, ids)),
        _ => {}
    }
}
