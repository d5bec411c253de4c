//! JSON, base 64, CSV and URLs.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use simfleet_provider_api::{Value, json};

use super::{Arguments, Call, Function, Outcome, Problem, any, string};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("base64decode", &[string("str")], base64decode),
    Function::plain("base64encode", &[string("str")], |args, _| {
        Ok(STANDARD.encode(args.text(0)).into())
    }),
    Function::plain("csvdecode", &[string("str")], csvdecode),
    Function::plain("jsondecode", &[string("str")], jsondecode),
    Function::plain("jsonencode", &[any("val").nullable()], jsonencode),
    Function::plain("urldecode", &[string("str")], urldecode),
    Function::plain("urlencode", &[string("str")], |args, _| {
        Ok(urlencode(args.text(0)).into())
    }),
];

fn base64decode(args: &[Value], _: &Call<'_>) -> Outcome {
    let bytes = STANDARD.decode(args.text(0));
    let bytes = bytes.map_err(|_| Problem::Argument(0, "it is not base 64 text".into()))?;
    let text = String::from_utf8(bytes);
    text.map(Value::from)
        .map_err(|_| Problem::Argument(0, "what it encodes is not UTF-8 text".into()))
}

fn jsondecode(args: &[Value], _: &Call<'_>) -> Outcome {
    let parsed: serde_json::Value = serde_json::from_str(&without_halves(args.text(0)))
        .map_err(|error| Problem::Argument(0, format!("it is not JSON: {error}")))?;
    json::from_json(&parsed).map_err(|error| Problem::Argument(0, error.to_string()))
}

/// Returns JSON in which the half of a surrogate pair that stands alone is the replacement character, as Go reads it.
fn without_halves(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
    let is_low = |unit: u16| (0xdc00..0xe000).contains(&unit);
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        at += match (unit(at), unit(at + 6)) {
            (Some(high), Some(low)) if is_high(high) && is_low(low) => 12,
            (Some(half), _) if is_high(half) || is_low(half) => {
                out.push_str(text.get(copied..at).unwrap_or_default());
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // What is escaped can be a backslash.
            _ => {
                1 + text
                    .get(at + 1..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8)
            }
        };
    }
    match copied {
        0 => text.into(),
        _ => (out + text.get(copied..).unwrap_or_default()).into(),
    }
}

fn jsonencode(args: &[Value], call: &Call<'_>) -> Outcome {
    let value = args.first().unwrap_or(&Value::NULL);
    measure(value, call)?;
    let json = json::to_json(value).map_err(|error| Problem::Argument(0, error.to_string()))?;
    // As Go writes it, so that the text can stand in HTML.
    let text = json.to_string();
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", char as u32)),
            char => out.push(char),
        }
    }
    Ok(out.into())
}

/// Values are shared, so that a small expression can stand for a very large text; it is measured before it is written.
pub(super) fn measure(value: &Value, call: &Call<'_>) -> Result<(), Problem> {
    call.charge(1 + value.as_str().map_or(0, |text| text.len() as u64 / 8))?;
    for item in value.as_slice().unwrap_or_default() {
        measure(item, call)?;
    }
    for field in value.as_fields().into_iter().flat_map(|fields| fields.values()) {
        measure(field, call)?;
    }
    Ok(())
}

fn urlencode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn urldecode(args: &[Value], _: &Call<'_>) -> Outcome {
    let mut bytes = Vec::with_capacity(args.text(0).len());
    let mut given = args.text(0).bytes();
    while let Some(byte) = given.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                match (digit(given.next()), digit(given.next())) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => {
                        return Err(Problem::Argument(
                            0,
                            "`%` must be followed by two hexadecimal digits".into(),
                        ));
                    }
                }
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes)
        .map(Value::from)
        .map_err(|_| Problem::Argument(0, "what it encodes is not UTF-8 text".into()))
}

fn csvdecode(args: &[Value], call: &Call<'_>) -> Outcome {
    let mut rows = records(args.text(0))?.into_iter();
    let Some(header) = rows.next() else {
        return Err(Problem::Argument(0, "it has no header line".into()));
    };
    let mut names = std::collections::BTreeSet::new();
    if let Some(name) = header.iter().find(|name| !names.insert(name.as_str())) {
        return Err(Problem::Argument(0, format!("two columns have the name {name:?}")));
    }
    let mut out = Vec::new();
    for (i, row) in rows.enumerate() {
        call.charge(row.len() as u64)?;
        if row.len() != header.len() {
            let detail = format!(
                "record {} has {} fields, but there are {} columns",
                i + 2,
                row.len(),
                header.len()
            );
            return Err(Problem::Argument(0, detail));
        }
        out.push(Value::object(
            header.iter().map(String::as_str).zip(row.into_iter().map(Value::from)),
        ));
    }
    Ok(Value::list(out))
}

/// Reads CSV as RFC 4180 has it; empty lines are left out.
fn records(text: &str) -> Result<Vec<Vec<String>>, Problem> {
    let mut records = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => {
                quoted = false;
                if !matches!(chars.peek(), None | Some(',' | '\r' | '\n')) {
                    return Err(Problem::Argument(
                        0,
                        "there is text after the closing quote of a field".into(),
                    ));
                }
            }
            _ if quoted => field.push(char),
            '"' if field.is_empty() => quoted = true,
            '"' => {
                return Err(Problem::Argument(
                    0,
                    "there is a quote in a field that is not quoted".into(),
                ));
            }
            ',' => row.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                if !row.is_empty() || !field.is_empty() {
                    row.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut row));
                }
            }
            _ => field.push(char),
        }
    }
    if quoted {
        return Err(Problem::Argument(0, "a quote is not closed".into()));
    }
    if !row.is_empty() || !field.is_empty() {
        row.push(field);
        records.push(row);
    }
    Ok(records)
}
