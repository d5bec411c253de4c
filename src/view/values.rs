//! Values as HCL for people, and as JSON for programs. A sensitive value is shown by neither.

use std::convert::Infallible;

use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::json::to_json_with;
use simfleet_provider_api::{Data, Type, Value};

/// What stands for a sensitive value.
pub const SENSITIVE: &str = "(sensitive)";
/// What stands for a value that is not known yet.
pub const UNKNOWN: &str = "(known after apply)";

/// Up to how many characters a collection is shown in one line.
const WIDTH: usize = 72;

/// Returns a value as HCL, in one line.
pub fn inline(value: &Value) -> String {
    if let Some(text) = scalar(value) {
        return text;
    }
    if let Some(items) = value.as_slice() {
        let items: Vec<String> = items.iter().map(inline).collect();
        return format!("[{}]", items.join(", "));
    }
    let fields: Vec<String> = value
        .as_fields()
        .into_iter()
        .flatten()
        .map(|(name, field)| format!("{} = {}", key(name), inline(field)))
        .collect();
    match fields.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", fields.join(", ")),
    }
}

/// Returns a value as HCL: collections that are short in one line, others over several, each element indented by two
/// columns; a string of several lines as a heredoc.
pub fn hcl(value: &Value) -> String {
    heredoc(value).unwrap_or_else(|| block(value, Elements::Apart))
}

/// Returns a value as [`hcl`] does, but with as many simple elements of a sequence in a line as fit.
pub fn dense(value: &Value) -> String {
    heredoc(value).unwrap_or_else(|| block(value, Elements::Together))
}

/// Where the simple elements of a long sequence go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elements {
    /// Each into a line of its own.
    Apart,
    /// As many into a line as fit.
    Together,
}

fn block(value: &Value, elements: Elements) -> String {
    let short = inline(value);
    if short.chars().count() <= WIDTH || scalar(value).is_some() {
        return short;
    }
    let mut text = String::new();
    if let Some(items) = value.as_slice() {
        text.push_str("[\n");
        match items.iter().map(scalar).collect::<Option<Vec<_>>>() {
            Some(items) if elements == Elements::Together => fill(items, &mut text),
            _ => items.iter().for_each(|item| {
                text.push_str(&format!("  {},\n", block(item, elements).replace('\n', "\n  ")));
            }),
        }
        text.push(']');
        return text;
    }
    text.push_str("{\n");
    let fields: Vec<(String, &Value)> = value
        .as_fields()
        .into_iter()
        .flatten()
        .map(|(name, field)| (key(name), field))
        .collect();
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, field) in fields {
        let field = block(field, elements).replace('\n', "\n  ");
        text.push_str(&format!("  {name:<width$} = {field}\n"));
    }
    text.push('}');
    text
}

/// Adds elements, as many in a line as fit.
fn fill(items: Vec<String>, text: &mut String) {
    let mut line = String::new();
    for item in items {
        if !line.is_empty() && line.chars().count() + item.chars().count() > WIDTH {
            text.push_str(&format!("  {}\n", line.trim_end()));
            line.clear();
        }
        line.push_str(&format!("{item}, "));
    }
    text.push_str(&format!("  {}\n", line.trim_end()));
}

/// Returns what has no elements, or hides them.
fn scalar(value: &Value) -> Option<String> {
    if value.is_sensitive() {
        return Some(SENSITIVE.to_owned());
    }
    match value.data() {
        Data::Null => Some("null".to_owned()),
        Data::Bool(value) => Some(value.to_string()),
        Data::Number(number) => Some(number.to_string()),
        Data::String(text) => Some(quote(text)),
        Data::Unknown(_) => Some(UNKNOWN.to_owned()),
        Data::Redacted(_) => Some(SENSITIVE.to_owned()),
        Data::Tuple(_) | Data::List(_) | Data::Set(_) | Data::Object(_) | Data::Map(_) => None,
    }
}

/// Returns a string of several lines as a heredoc, unless some of its characters need escapes or its marker is in it.
fn heredoc(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|_| !value.is_sensitive())?.strip_suffix('\n')?;
    let plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    let fits = text.contains('\n') && text.chars().all(plain) && !text.lines().any(|line| line.trim() == "EOT");
    fits.then(|| format!("<<-EOT\n{}\nEOT", escape_templates(text)))
}

/// Returns the name of a field as HCL: bare where it is an identifier.
fn key(name: &str) -> String {
    let mut chars = name.chars();
    let bare = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quote(name) }
}

/// Returns a string as HCL writes it, with everything escaped that would not be read back as it is.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in escape_templates(text).chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn escape_templates(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// Returns a value as JSON, with `null` for what is sensitive or not known.
pub fn json(value: &Value) -> Json {
    let shown = to_json_with(value, &mut |_, _| Ok::<_, Infallible>(Json::Null));
    match shown {
        Ok(json) => json,
        Err(never) => match never {},
    }
}

/// What a mask shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// What is not known yet.
    Unknown,
    /// What is sensitive.
    Sensitive,
}

/// Returns the shape of a value with `true` where it is unknown or sensitive; `None` where nothing is.
///
/// Fields without any such part are left out; elements are `false` then, so that positions stay. The inside of a
/// sensitive value is not shown, so that one with an unknown part is unknown as a whole.
pub fn mask(value: &Value, what: Mask) -> Option<Json> {
    let here = match what {
        Mask::Unknown => value.is_unknown() || (value.is_sensitive() && !value.is_known()),
        Mask::Sensitive => value.is_sensitive() || matches!(value.data(), Data::Redacted(_)),
    };
    if here || value.is_sensitive() {
        return here.then_some(Json::Bool(true));
    }
    if let Some(items) = value.as_slice() {
        let masks: Vec<Option<Json>> = items.iter().map(|item| mask(item, what)).collect();
        let any = masks.iter().any(Option::is_some);
        return any.then(|| masks.into_iter().map(|mask| mask.unwrap_or(json!(false))).collect());
    }
    let masks: Map<String, Json> = value
        .as_fields()
        .into_iter()
        .flatten()
        .filter_map(|(name, field)| Some((name.to_string(), mask(field, what)?)))
        .collect();
    (!masks.is_empty()).then_some(Json::Object(masks))
}

/// Returns a type as JSON, in the form in which Terraform writes types: `"string"`, `["list", "number"]`.
pub fn type_json(ty: &Type) -> Json {
    match ty {
        Type::Any => json!("dynamic"),
        Type::Bool => json!("bool"),
        Type::Number => json!("number"),
        Type::String => json!("string"),
        Type::List(of) => json!(["list", type_json(of)]),
        Type::Set(of) => json!(["set", type_json(of)]),
        Type::Map(of) => json!(["map", type_json(of)]),
        Type::Tuple(items) => json!(["tuple", items.iter().map(type_json).collect::<Vec<_>>()]),
        Type::Object(fields) => {
            let fields: Map<String, Json> = fields
                .iter()
                .map(|(name, field)| (name.clone(), type_json(&field.ty)))
                .collect();
            json!(["object", fields])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Value {
        Value::object((0..4).map(|i| (format!("quad-{i}"), Value::string(format!("udp://127.0.0.{i}:14560")))))
    }

    #[test]
    fn values_as_hcl() {
        let long = Value::tuple([Value::object([("a b", endpoints()), ("c", Value::NULL)])]);
        for (name, value, shown) in [
            (
                "string",
                Value::from("a\"b\\c\td${e}%{f}\u{1b}"),
                r#""a\"b\\c\td$${e}%%{f}\u001b""#,
            ),
            ("number", Value::from(3i64), "3"),
            ("empty list", Value::tuple([]), "[]"),
            ("empty object", Value::object::<&str>([]), "{}"),
            (
                "short",
                Value::object([("a", Value::tuple([true.into(), Value::NULL]))]),
                "{ a = [true, null] }",
            ),
            (
                "unknown",
                Value::tuple([Value::unknown("node.a.id")]),
                "[(known after apply)]",
            ),
            (
                "sensitive",
                Value::tuple([Value::from("x").mark(true)]),
                "[(sensitive)]",
            ),
            ("heredoc", Value::from("a\n  b\n"), "<<-EOT\na\n  b\nEOT"),
            ("no line break at its end", Value::from("a\nb"), r#""a\nb""#),
            ("a heredoc's marker in it", Value::from("a\nEOT\n"), r#""a\nEOT\n""#),
            ("sensitive text", Value::from("a\nb\n").mark(true), "(sensitive)"),
        ] {
            assert_eq!(hcl(&value), shown, "{name}");
        }
        insta::assert_snapshot!(hcl(&long));
        let words = (0..30).map(|i| Value::string(format!("--argument={i}")));
        insta::assert_snapshot!(dense(&Value::tuple(words)));
    }

    #[test]
    fn masks_and_json() {
        let value = Value::object([
            ("plain", Value::from(1i64)),
            ("secret", Value::from("x").mark(true)),
            ("later", Value::unknown("node.a.id")),
            (
                "list",
                Value::tuple([1i64.into(), Value::unknown("b"), Value::from("y").mark(true)]),
            ),
            ("both", Value::tuple([Value::unknown("c")]).mark(true)),
        ]);
        assert_eq!(
            json(&value),
            json!({"plain": 1, "secret": null, "later": null, "list": [1, null, null], "both": null})
        );
        assert_eq!(
            mask(&value, Mask::Unknown),
            Some(json!({"later": true, "list": [false, true, false], "both": true}))
        );
        assert_eq!(
            mask(&value, Mask::Sensitive),
            Some(json!({"secret": true, "list": [false, false, true], "both": true}))
        );
        assert_eq!(mask(&Value::from(1i64), Mask::Sensitive), None);
    }
}
