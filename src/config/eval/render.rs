//! A value as text in HCL: what `console` prints.

use std::sync::LazyLock;

use hcl_edit::expr::Expression;
use regex::Regex;
use simfleet_provider_api::{Data, Type, Value};

use super::{Expr, Scope, evaluate};
use crate::diagnostic::Diagnostics;

/// Returns what `console` prints for an expression: its value. Types are printed as types, not as the text that the
/// function `type` returns.
pub fn console(expr: &Expr, scope: &dyn Scope) -> Result<String, Diagnostics> {
    let value = evaluate(expr, scope)?;
    Ok(match (&*expr.syntax, value.as_str()) {
        (Expression::FuncCall(call), Some(ty)) if call.name.name.as_str() == "type" => ty.to_owned(),
        _ => render(&value),
    })
}

/// Prints a value as HCL, over several lines where it holds others. Secrets and what is not known are named as such.
pub fn render(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

fn write(value: &Value, indent: usize, out: &mut String) {
    if value.is_sensitive() {
        return out.push_str("(sensitive value)");
    }
    match value.data() {
        Data::Null => out.push_str("null"),
        Data::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Data::Number(number) => out.push_str(&number.to_string()),
        Data::String(text) => write_text(text, indent, out),
        Data::Tuple(items) => sequence("", items, indent, out),
        Data::List(items) => sequence("tolist", items, indent, out),
        Data::Set(items) => sequence("toset", items, indent, out),
        Data::Object(object) => fields("", &object.fields, indent, out),
        Data::Map(map) => fields("tomap", map, indent, out),
        Data::Unknown(_) => out.push_str("(known after apply)"),
        Data::Redacted(_) => out.push_str("(sensitive value)"),
    }
}

fn sequence(function: &str, items: &[Value], indent: usize, out: &mut String) {
    let (open, close) = if function.is_empty() { ("[", "]") } else { ("([", "])") };
    out.push_str(function);
    out.push_str(open);
    if !items.is_empty() {
        for item in items {
            line(indent + 2, out);
            write(item, indent + 2, out);
            out.push(',');
        }
        line(indent, out);
    }
    out.push_str(close);
}

fn fields(
    function: &str,
    fields: &std::collections::BTreeMap<std::sync::Arc<str>, Value>,
    indent: usize,
    out: &mut String,
) {
    let (open, close) = if function.is_empty() { ("{", "}") } else { ("({", "})") };
    out.push_str(function);
    out.push_str(open);
    if !fields.is_empty() {
        for (name, value) in fields {
            line(indent + 2, out);
            quote(name, out);
            out.push_str(" = ");
            write(value, indent + 2, out);
        }
        line(indent, out);
    }
    out.push_str(close);
}

fn line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A text of several lines is a heredoc; its end is a word that is not in it.
fn write_text(text: &str, indent: usize, out: &mut String) {
    if !text.contains('\n') {
        return quote(text, out);
    }
    let mut end = "EOT".to_owned();
    while text.lines().any(|line| line.trim() == end) {
        end.push('_');
    }
    let introduction = if indent == 0 { "<<" } else { "<<-" };
    out.push_str(introduction);
    out.push_str(&end);
    for part in text.split('\n') {
        line(indent, out);
        out.push_str(part);
    }
    line(indent, out);
    out.push_str(&end);
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if is_shown(char) => out.push(char),
            char if u32::from(char) > 0xffff => out.push_str(&format!("\\U{:08x}", u32::from(char))),
            char => out.push_str(&format!("\\u{:04x}", u32::from(char))),
        }
    }
    out.push('"');
}

/// Whether a character can be seen: one that joins others, or is a space of another width, is written as its number.
fn is_shown(char: char) -> bool {
    static SHOWN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\pL\pM\pN\pP\pS]$").ok());
    if char.is_ascii() {
        return !char.is_control();
    }
    let shown = SHOWN.as_ref();
    shown.is_none_or(|shown| shown.is_match(char.encode_utf8(&mut [0; 4])))
}

/// Prints a type as the function `type` does.
pub(super) fn render_type(ty: &Type) -> String {
    let mut out = String::new();
    write_type(ty, 0, &mut out);
    out
}

fn write_type(ty: &Type, indent: usize, out: &mut String) {
    match ty {
        Type::Any => out.push_str("dynamic"),
        Type::Bool => out.push_str("bool"),
        Type::Number => out.push_str("number"),
        Type::String => out.push_str("string"),
        Type::List(of) => collection("list", of, indent, out),
        Type::Set(of) => collection("set", of, indent, out),
        Type::Map(of) => collection("map", of, indent, out),
        Type::Tuple(items) if items.is_empty() => out.push_str("tuple([])"),
        Type::Tuple(items) => {
            out.push_str("tuple([");
            for item in items {
                line(indent + 4, out);
                write_type(item, indent + 4, out);
                out.push(',');
            }
            line(indent, out);
            out.push_str("])");
        }
        Type::Object(fields) if fields.is_empty() => out.push_str("object({})"),
        Type::Object(fields) => {
            out.push_str("object({");
            for (name, field) in fields {
                line(indent + 4, out);
                out.push_str(name);
                out.push_str(": ");
                write_type(&field.ty, indent + 4, out);
                out.push(',');
            }
            line(indent, out);
            out.push_str("})");
        }
    }
}

fn collection(name: &str, of: &Type, indent: usize, out: &mut String) {
    out.push_str(name);
    out.push('(');
    write_type(of, indent, out);
    out.push(')');
}
