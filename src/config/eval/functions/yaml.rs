//! YAML, as Terraform reads and writes it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use simfleet_provider_api::{Data, Number, Value};

use super::encoding::measure;
use super::{Arguments, Call, Function, Outcome, Problem, any, string};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("yamldecode", &[string("src")], |args, _| {
        decode(args.text(0)).map_err(|problem| Problem::Argument(0, problem))
    }),
    Function::plain("yamlencode", &[any("value").nullable()], yamlencode),
];

/// How deep values may lie in each other.
const DEPTH: usize = 256;

/// What is being read: a sequence or a mapping, and the number of its anchor.
enum Open {
    Sequence(Vec<Value>, usize),
    Mapping {
        fields: BTreeMap<Arc<str>, Value>,
        key: Option<Key>,
        anchor: usize,
    },
}

/// A key whose value comes next.
enum Key {
    Name(Arc<str>),
    /// `<<`: the value's fields are taken over.
    Merge,
}

fn decode(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Value> = HashMap::new();
    let mut whole = None;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| told(&error))?;
        let (value, anchor, is_merge) = match event {
            Event::SequenceStart(anchor, tag) => {
                known(tag.as_deref(), &["seq"])?;
                open.push(Open::Sequence(Vec::new(), anchor));
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                known(tag.as_deref(), &["map"])?;
                let (fields, key) = (BTreeMap::new(), None);
                open.push(Open::Mapping { fields, key, anchor });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(items, anchor)) => (Value::tuple(items), anchor, false),
                Some(Open::Mapping { fields, anchor, .. }) => (Value::object(fields), anchor, false),
                None => continue,
            },
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = text == "<<" && style == ScalarStyle::Plain;
                (scalar(&text, style, tag.as_deref())?, anchor, is_merge)
            }
            Event::Alias(anchor) => {
                let value = anchors.get(&anchor).cloned();
                (value.ok_or("an alias stands inside of what it stands for")?, 0, false)
            }
            Event::DocumentStart(_) if whole.is_some() => return Err("there is more than one document".to_owned()),
            _ => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, value.clone());
        }
        if open.len() > DEPTH {
            return Err(format!("it is more than {DEPTH} deep"));
        }
        match open.last_mut() {
            Some(inner) => inner.take(value, is_merge)?,
            None => whole = Some(value),
        }
    }
    whole.ok_or_else(|| "it is empty".to_owned())
}

fn told(error: &ScanError) -> String {
    let (at, info) = (error.marker(), error.info());
    format!("line {}, column {}: {info}", at.line(), at.col() + 1)
}

impl Open {
    /// Takes the next value in: an item, a key, or what belongs to the key before it.
    fn take(&mut self, value: Value, is_merge: bool) -> Result<(), String> {
        match self {
            Open::Sequence(items, _) => items.push(value),
            Open::Mapping { fields, key, .. } => match key.take() {
                None if is_merge => *key = Some(Key::Merge),
                None => *key = Some(Key::Name(name(&value)?)),
                Some(Key::Name(name)) => drop(fields.insert(name, value)),
                Some(Key::Merge) => {
                    let merged = value.as_slice().unwrap_or(std::slice::from_ref(&value));
                    for one in merged {
                        let more = one
                            .as_fields()
                            .ok_or("`<<` takes a mapping, or several in a sequence")?;
                        fields.extend(more.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
                    }
                }
            },
        }
        Ok(())
    }
}

fn name(key: &Value) -> Result<Arc<str>, String> {
    match key.data() {
        Data::String(text) => Ok(Arc::clone(text)),
        Data::Number(number) => Ok(number.to_string().into()),
        Data::Bool(truth) => Ok(truth.to_string().into()),
        Data::Null => Err("a key is null".to_owned()),
        _ => Err("a key is no string, number or truth value".to_owned()),
    }
}

/// Checks a tag of a collection.
fn known(tag: Option<&Tag>, names: &[&str]) -> Result<(), String> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && names.contains(&&*tag.suffix)) => Err(unknown(tag)),
        _ => Ok(()),
    }
}

fn unknown(tag: &Tag) -> String {
    format!("the tag `{}{}` is unknown", tag.handle, tag.suffix)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let plain = style == ScalarStyle::Plain;
    let Some(tag) = tag else {
        return match plain {
            true => resolve(text),
            false => Ok(text.into()),
        };
    };
    // `!` alone says that it is a string.
    if !tag.is_yaml_core_schema() {
        return match (&*tag.handle, &*tag.suffix) {
            ("!", "") | ("", "!") => Ok(text.into()),
            _ => Err(unknown(tag)),
        };
    }
    let wrong = || format!("{text:?} is no {}", tag.suffix);
    match &*tag.suffix {
        "str" | "binary" => Ok(text.into()),
        "null" => Ok(Value::NULL),
        "int" | "float" | "bool" | "timestamp" if !plain => Ok(text.into()),
        "int" | "float" => number(text).map(Value::from).ok_or_else(wrong),
        "bool" => truth(text).map(Value::from).ok_or_else(wrong),
        "timestamp" => timestamp(text).map(Value::from).ok_or_else(wrong),
        _ => Err(unknown(tag)),
    }
}

/// Returns what a scalar without quotes and tag stands for.
fn resolve(text: &str) -> Result<Value, String> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::NULL);
    }
    if let Some(truth) = truth(text) {
        return Ok(truth.into());
    }
    let bare = text.trim_start_matches(['-', '+']);
    if matches!(bare, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("{text} is no number"));
    }
    match number(text) {
        Some(number) => Ok(number.into()),
        None => Ok(timestamp(text).map_or_else(|| text.into(), Value::from)),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            let number = i64::from_str_radix(digits, radix).ok()?;
            return Some(Number::from(if sign.is_empty() { number } else { -number }));
        }
    }
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    // `.5` and `5.` are numbers here.
    let (mantissa, exponent) = digits.split_at(digits.find(['e', 'E']).unwrap_or(digits.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let or_zero = |digits: &str| {
        if digits.is_empty() {
            "0".to_owned()
        } else {
            digits.to_owned()
        }
    };
    let whole = whole.trim_start_matches('0');
    let text = format!("{sign}{}.{}{exponent}", or_zero(whole), or_zero(fraction));
    text.parse().ok().filter(|_| is_decimal)
}

/// Returns a date, or a time with its offset, as RFC 3339 without fractions of a second, as Go reads one.
fn timestamp(text: &str) -> Option<String> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let mut part = |most: usize| parts.next().filter(|part| (1..=most).contains(&part.len()));
    let year = part(4).filter(|year| year.len() == 4)?.parse::<i16>().ok()?;
    let (month, day) = (part(2)?.parse::<i8>().ok()?, part(2)?.parse::<i8>().ok()?);
    let date = jiff::civil::Date::new(year, month, day)
        .ok()
        .filter(|_| parts.next().is_none())?;
    let Some(time) = time else {
        return Some(format!("{date}T00:00:00Z"));
    };
    let end = time.find(|c: char| !(c.is_ascii_digit() || ":.".contains(c)))?;
    let (time, zone) = time.split_at(end);
    let time = time.parse::<jiff::civil::Time>().ok()?;
    // Only what RFC 3339 knows as an offset.
    let is_zone = format!("{date}T00:00:00{zone}").parse::<jiff::Timestamp>().is_ok();
    is_zone.then(|| format!("{date}T{}{zone}", time.strftime("%H:%M:%S")))
}

fn yamlencode(args: &[Value], call: &Call<'_>) -> Outcome {
    let value = args.first().unwrap_or(&Value::NULL);
    measure(value, call)?;
    let mut writer = Writer::default();
    writer.value(value, None);
    // What has no end of its own is ended.
    let ends = matches!(value.data(), Data::Null | Data::Bool(_) | Data::Number(_));
    writer.out.push_str(if ends { "\n...\n" } else { "\n" });
    Ok(writer.out.into())
}

/// Writes blocks as libyaml does, two spaces deeper each, strings in double quotes.
#[derive(Default)]
struct Writer {
    out: String,
}

/// Where libyaml breaks lines.
const WIDTH: usize = 80;

impl Writer {
    /// Writes a value into a collection that is `indent` deep; a document is in none.
    fn value(&mut self, value: &Value, indent: Option<usize>) {
        if let Some(items) = value.as_slice().filter(|items| !items.is_empty()) {
            let own = indent.map_or(0, |indent| indent + 2);
            return self.sequence(items, own);
        }
        if let Some(fields) = value.as_fields().filter(|fields| !fields.is_empty()) {
            let own = indent.map_or(0, |indent| indent + 2);
            return self.mapping(fields, own);
        }
        let inner = indent.unwrap_or(0) + 2;
        match value.data() {
            Data::String(text) if is_block(text) => self.literal(text, inner),
            Data::String(text) => self.quoted(text, inner, true),
            Data::Number(number) => self.out.push_str(&number.to_string()),
            Data::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            _ if value.as_slice().is_some() => self.out.push_str("[]"),
            _ if value.as_fields().is_some() => self.out.push_str("{}"),
            _ => self.out.push_str("null"),
        }
    }

    fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn sequence(&mut self, items: &[Value], indent: usize) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.line(indent);
            }
            self.out.push_str("- ");
            self.value(item, Some(indent));
        }
    }

    fn mapping(&mut self, fields: &BTreeMap<Arc<str>, Value>, indent: usize) {
        for (i, (name, value)) in fields.iter().enumerate() {
            if i > 0 {
                self.line(indent);
            }
            self.quoted(name, indent, false);
            self.out.push(':');
            match (value.as_slice(), value.as_fields()) {
                // The dashes of a sequence stand below its key.
                (Some(items), _) if !items.is_empty() => {
                    self.line(indent);
                    self.sequence(items, indent);
                }
                (_, Some(fields)) if !fields.is_empty() => {
                    self.line(indent + 2);
                    self.mapping(fields, indent + 2);
                }
                _ => {
                    self.out.push(' ');
                    self.value(value, Some(indent));
                }
            }
        }
    }

    /// Writes a text of several lines; its last line ends where the next thing begins one.
    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        let body = match text.strip_suffix('\n') {
            None => {
                self.out.push('-');
                text
            }
            Some(rest) => {
                if rest.is_empty() || rest.ends_with('\n') {
                    self.out.push('+');
                }
                rest
            }
        };
        for line in body.split('\n') {
            match line.is_empty() {
                true => self.out.push('\n'),
                false => {
                    self.line(indent);
                    self.out.push_str(line);
                }
            }
        }
    }

    fn quoted(&mut self, text: &str, indent: usize, breaks: bool) {
        let start = self.out.rfind('\n').map_or(0, |at| at + 1);
        let mut column = self.out[start..].chars().count() + 1;
        self.out.push('"');
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (i, char) in chars.iter().enumerate() {
            if *char == ' ' && breaks && !after_space && column > WIDTH && i > 0 && i + 1 < chars.len() {
                self.line(indent);
                column = indent;
                if chars[i + 1] == ' ' {
                    self.out.push('\\');
                    column += 1;
                }
                after_space = true;
                continue;
            }
            after_space = *char == ' ';
            let written = escaped(*char);
            column += written.chars().count();
            self.out.push_str(&written);
        }
        self.out.push('"');
    }
}

/// Whether a text is written as it is, line by line.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.contains(" \n")
        && !text.ends_with(' ')
        && text.chars().all(|char| char == '\n' || is_printable(char))
}

fn is_printable(char: char) -> bool {
    matches!(char, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && char != '\u{feff}'
}

fn escaped(char: char) -> String {
    match char {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        char if is_printable(char) => char.to_string(),
        char => match u32::from(char) {
            code @ ..=0xff => format!("\\x{code:02X}"),
            code @ ..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        },
    }
}
