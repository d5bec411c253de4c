//! The order of the elements of a set: that of Terraform.

use std::cmp::Ordering;

use super::{Data, Object, Value};

/// Sorts the elements of a set: numbers, texts and truth values by their own order, others by a text that describes them;
/// then the unknown ones, then `null`.
pub(super) fn sort(items: &mut [Value]) {
    let simple = items
        .iter()
        .all(|item| matches!(item.data, Data::Bool(_) | Data::Number(_) | Data::String(_)));
    if simple {
        items.sort_by(primitive);
    } else {
        items.sort_by_cached_key(|item| {
            let mut text = String::new();
            describe(item, &mut text);
            (rank(item), text)
        });
    }
}

fn primitive(a: &Value, b: &Value) -> Ordering {
    match (&a.data, &b.data) {
        (Data::Bool(a), Data::Bool(b)) => a.cmp(b),
        (Data::Number(a), Data::Number(b)) => a.cmp(b),
        (Data::String(a), Data::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value.data {
        Data::Bool(_) => 0,
        Data::Number(_) => 1,
        Data::String(_) => 2,
        Data::Unknown(_) => 4,
        Data::Null => 5,
        _ => 3,
    }
}

fn describe(value: &Value, out: &mut String) {
    match &value.data {
        Data::Null => out.push('~'),
        Data::Bool(true) => out.push('T'),
        Data::Bool(false) => out.push('F'),
        Data::Number(number) => out.push_str(&number.to_string()),
        Data::String(text) => out.push_str(&format!("{text:?}")),
        Data::Tuple(items) | Data::List(items) | Data::Set(items) => {
            out.push('[');
            for item in items.iter() {
                describe(item, out);
                out.push(';');
            }
            out.push(']');
        }
        Data::Object(Object { fields, .. }) => {
            out.push('<');
            for field in fields.values() {
                describe(field, out);
                out.push(';');
            }
            out.push('>');
        }
        Data::Map(fields) => {
            out.push('{');
            for (name, field) in fields.iter() {
                out.push_str(&format!("{name:?}:"));
                describe(field, out);
                out.push(';');
            }
            out.push('}');
        }
        Data::Unknown(_) => out.push('?'),
        Data::Redacted(digest) => out.push_str(&digest.sha256),
    }
}
