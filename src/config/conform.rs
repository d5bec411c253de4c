//! Values to what an attribute means: `"90s"` to seconds, `"512MiB"` to bytes, a string to one of a few words.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Data, Number, PathStep, Type, Value, convert};

use super::schema::{AttributeSchema, AttributeType, MOST, Presence};
use super::units;
use crate::diagnostic::nearest;

/// Why a value is not what an attribute may be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The steps into the value: `.altitude_m`, `[2]`.
    pub path: String,
    /// What it is: `must be a whole number`.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Wrong {
    /// Says what is wrong with the value as a whole.
    pub fn new(problem: impl Into<String>) -> Self {
        Wrong {
            path: String::new(),
            problem: problem.into(),
            hint: None,
        }
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn within(mut self, step: impl Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }
}

/// Returns what is kept of a value. `null` and what is not known yet fit everything.
///
/// # Errors
/// The first thing in it that does not fit.
pub fn conform(value: &Value, ty: &AttributeType) -> Result<Value, Wrong> {
    fit(value, ty).map_err(|wrong| match value.is_sensitive() {
        // The message might show the secret.
        true => Wrong::new("does not fit; what it is set to is sensitive, so it is not shown"),
        false => wrong,
    })
}

fn fit(value: &Value, ty: &AttributeType) -> Result<Value, Wrong> {
    if value.is_null() || value.is_unknown() || matches!(value.data(), Data::Redacted(_)) {
        return Ok(value.clone());
    }
    let kept = match ty {
        AttributeType::Value(ty) => return plain(value, ty),
        AttributeType::Expression => return Ok(value.clone()),
        AttributeType::Integer(from, to) => {
            let number = number(value)?;
            match number.as_u64() {
                Some(n) if (*from..=*to).contains(&n) => number.into(),
                _ if !number.is_integer() => {
                    return Err(Wrong::new(format!("must be a whole number, but is {number}")));
                }
                _ if *to >= MOST && number < Number::from(*from) => {
                    return Err(Wrong::new(format!("must be at least {from}, but is {number}")));
                }
                _ => return Err(outside(&number, from, to)),
            }
        }
        AttributeType::Number(from, to) => within(value, *from, *to)?,
        AttributeType::Percent => within(value, 0.0, 100.0)?,
        AttributeType::Duration => duration(value)?,
        AttributeType::DurationOr(words) => match value.as_str() {
            Some(word) if words.contains(&word) => value.clone(),
            Some(text) if text.starts_with(char::is_alphabetic) => return Err(not_one_of(text, words)),
            _ => duration(value)?,
        },
        AttributeType::Size => {
            let Some(text) = value.as_str() else {
                let wrong = Wrong::new(format!(
                    "must be a size, a string with a unit, but is {}",
                    describe(value)
                ));
                return Err(wrong.hint("for example \"512MiB\""));
            };
            let bytes = units::size(text);
            let bytes = bytes.map_err(|problem| {
                Wrong::new(format!("{} is no size: it {problem}", shown(value)))
                    .hint("write a number with B, KiB, MiB, GiB, TiB, KB, MB, GB or TB, such as \"512MiB\"")
            })?;
            Number::from(bytes).into()
        }
        AttributeType::Enum(words) => match value.as_str() {
            Some(word) if words.contains(&word) => value.clone(),
            Some(word) => return Err(not_one_of(word, words)),
            None => return Err(Wrong::new(format!("{}, but is {}", choices(words), describe(value)))),
        },
        AttributeType::Reference(blocks, words) => return reference(value, blocks, words),
        AttributeType::Map(of) => {
            let Some(fields) = value.as_fields() else {
                return Err(Wrong::new(format!("must be a map, but is {}", describe(value))));
            };
            let mut kept = BTreeMap::new();
            for (name, field) in fields {
                let field = conform(field, of).map_err(|wrong| wrong.within(format_args!("[{name:?}]")))?;
                kept.insert(Arc::clone(name), field);
            }
            Data::Map(Arc::new(kept)).into()
        }
        AttributeType::List(of) => {
            let Some(items) = value.as_slice() else {
                return Err(Wrong::new(format!("must be a list, but is {}", describe(value))));
            };
            let item =
                |(i, item): (usize, &Value)| conform(item, of).map_err(|wrong| wrong.within(format_args!("[{i}]")));
            Value::tuple(items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()?)
        }
        AttributeType::Text(form) => {
            let text = plain(value, &Type::String)?;
            // What is filled in at run time has no form yet.
            let fits = text.as_str().is_none_or(|text| text.contains('{') || (form.fits)(text));
            if !fits {
                let wrong = Wrong::new(format!("must be {}, but is {}", form.name, shown(&text)));
                return Err(wrong.hint(format!("for example {:?}", form.example)));
            }
            text
        }
        AttributeType::Object(schemas) => object(value, schemas)?,
    };
    Ok(kept.mark(value.is_sensitive()))
}

fn plain(value: &Value, ty: &Type) -> Result<Value, Wrong> {
    convert(value, ty).map_err(|error| {
        let mut path = String::new();
        for step in &error.path.0 {
            match step {
                PathStep::Name(name) => path.push_str(&format!(".{name}")),
                PathStep::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Wrong {
            path,
            problem: format!("does not fit: {}", error.reason),
            hint: brackets(value, ty).map(str::to_owned),
        }
    })
}

/// Says how a list or a map is written, where something of another form stands in its place.
fn brackets(value: &Value, ty: &Type) -> Option<&'static str> {
    match ty {
        Type::List(_) | Type::Set(_) if value.as_slice().is_none() => {
            Some("a list is written in brackets: [\"one\", \"two\"]")
        }
        Type::Map(_) if value.as_fields().is_none() => Some("a map is written in braces: { name = \"value\" }"),
        _ => None,
    }
}

/// Returns the value as a message may show it.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => format!("{text:?}"),
        None => describe(value).to_owned(),
    }
}

fn number(value: &Value) -> Result<Number, Wrong> {
    let number = convert(value, &Type::Number).ok();
    let number = number.and_then(|number| number.as_number().cloned());
    number.ok_or_else(|| Wrong::new(format!("must be a number, but is {}", shown(value))))
}

fn outside(number: &Number, from: &dyn Display, to: &dyn Display) -> Wrong {
    Wrong::new(format!("must be from {from} to {to}, but is {number}"))
}

fn within(value: &Value, from: f64, to: f64) -> Result<Value, Wrong> {
    let number = number(value)?;
    let float = number.as_f64();
    if float >= from && float <= to {
        return Ok(number.into());
    }
    if to >= f64::MAX {
        return Err(Wrong::new(format!("must be at least {from}, but is {number}")));
    }
    if from <= f64::MIN {
        return Err(Wrong::new(format!("must be at most {to}, but is {number}")));
    }
    Err(outside(&number, &from, &to))
}

fn duration(value: &Value) -> Result<Value, Wrong> {
    let Some(text) = value.as_str() else {
        let wrong = Wrong::new(format!(
            "must be a duration, a string with a unit, but is {}",
            describe(value)
        ));
        return Err(match value.as_number() {
            Some(number) => wrong.hint(format!("for seconds, write \"{number}s\"")),
            _ => wrong.hint("for example \"90s\""),
        });
    };
    match units::duration(text) {
        Ok(duration) => Ok(units::seconds(duration).into()),
        Err(problem) => Err(Wrong::new(format!("{} is no duration: it {problem}", shown(value)))
            .hint("write a number with ms, s, m, h or d, such as \"90s\"")),
    }
}

fn choices(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("must be {} or {last}", rest.join(", ")),
        _ => format!("must be {}", words.join("")),
    }
}

fn not_one_of(word: &str, words: &[&str]) -> Wrong {
    let wrong = Wrong::new(format!("{}, but is {word:?}", choices(words)));
    match nearest(word, words.iter().copied()) {
        Some(near) => wrong.hint(format!("did you mean {near:?}?")),
        None => wrong,
    }
}

fn reference(value: &Value, blocks: &[&str], words: &[&str]) -> Result<Value, Wrong> {
    if let Some(address) = value.origin()
        && blocks.contains(&address.block())
    {
        return Ok(value.clone());
    }
    if value.as_str().is_some_and(|word| words.contains(&word)) {
        return Ok(value.clone());
    }
    let mut wanted: Vec<String> = blocks.iter().map(|block| format!("a {block}")).collect();
    wanted.extend(words.iter().map(|word| format!("{word:?}")));
    let found = match value.origin() {
        Some(address) => address.to_string(),
        None => shown(value),
    };
    let wrong = Wrong::new(format!("must be {}, but is {found}", wanted.join(" or ")));
    let Some(text) = value.as_str() else {
        return Err(wrong);
    };
    let is_address = text.split_once('.').is_some_and(|(block, _)| blocks.contains(&block));
    Err(match (is_address, nearest(text, words.iter().copied())) {
        (true, _) => wrong.hint(format!("write {text} without the quotes")),
        (false, Some(near)) => wrong.hint(format!("did you mean {near:?}?")),
        (false, None) => match blocks.first() {
            Some(&"simulator") => wrong.hint("write the address of one, without quotes: simulator.KIND.NAME"),
            Some(block) => wrong.hint(format!("write the address of one, without quotes: {block}.NAME")),
            None => wrong,
        },
    })
}

fn object(value: &Value, schemas: &[AttributeSchema]) -> Result<Value, Wrong> {
    let Some(fields) = value.as_fields() else {
        return Err(Wrong::new(format!("must be an object, but is {}", describe(value))));
    };
    for name in fields.keys() {
        let known = schemas.iter().find(|schema| schema.name == &**name);
        if known.is_some() {
            continue;
        }
        let wrong = Wrong::new(format!("has no field `{name}`"));
        return Err(match nearest(name, schemas.iter().map(|schema| schema.name)) {
            Some(near) => wrong.hint(format!("did you mean `{near}`?")),
            None => wrong,
        });
    }
    let mut kept = BTreeMap::new();
    for schema in schemas {
        let given = fields.get(schema.name).filter(|value| !value.is_null());
        let field = match (given, &schema.presence) {
            (Some(given), _) => {
                conform(given, &schema.ty).map_err(|wrong| wrong.within(format_args!(".{}", schema.name)))?
            }
            (None, Presence::Required) => return Err(Wrong::new(format!("lacks `{}`", schema.name))),
            (None, Presence::Needed | Presence::Optional) => Value::NULL,
            (None, Presence::Default { value, .. }) => value.clone(),
        };
        kept.insert(Arc::<str>::from(schema.name), field);
    }
    Ok(Value::object(kept))
}
