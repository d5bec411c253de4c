//! Conversion of values to types, with Terraform's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Data, Number, Path, PathStep, Type, Value};

/// A value that does not fit a type.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{reason}", prefix(path))]
pub struct ConvertError {
    /// Where in the value; empty for the value as a whole.
    pub path: Path,
    /// What does not fit there.
    pub reason: Mismatch,
}

fn prefix(path: &Path) -> String {
    match path.0.is_empty() {
        true => String::new(),
        false => format!("{path}: "),
    }
}

/// What does not fit. Never holds the value itself, since that may be a secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// There is no conversion between the two types.
    #[error("{expected} required, but this is {found}")]
    Type {
        /// What is asked for.
        expected: Type,
        /// What is there, in words.
        found: &'static str,
    },
    /// A string that does not hold a decimal number.
    #[error("a number is required, and this string is not the decimal text of one")]
    NotANumber,
    /// A string that is not the text of a truth value.
    #[error("a bool is required, and this string is neither \"true\" nor \"false\"")]
    NotABool,
    /// An attribute that the object type requires.
    #[error("attribute \"{0}\" is required")]
    MissingAttribute(String),
    /// A sequence of another length than the tuple type.
    #[error("{expected} elements are required, but there are {found}")]
    Length {
        /// How many the type has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The elements of a collection have no type that all of them can be converted to.
    #[error("all elements of a {0} must have the same type")]
    NoSingleType(&'static str),
}

impl ConvertError {
    fn new(reason: Mismatch) -> Self {
        ConvertError {
            path: Path(Vec::new()),
            reason,
        }
    }

    fn within(mut self, step: PathStep) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

/// Returns the value as one of a type.
///
/// Numbers and truth values become strings and back, tuples lists and sets, objects maps and back; attributes that an
/// object type does not name are left out, optional ones that are missing become `null`. `null`, unknown and redacted
/// values fit every type. Sensitive stays sensitive.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    if matches(value, ty) {
        return Ok(value.clone());
    }
    let mismatch = |found| {
        let expected = ty.clone();
        Err(ConvertError::new(Mismatch::Type { expected, found }))
    };
    let found = describe(value);
    let converted = match (ty, value.data()) {
        (Type::String, Data::Number(number)) => Value::string(number.to_string()),
        (Type::String, Data::Bool(truth)) => Value::from(if *truth { "true" } else { "false" }),
        (Type::Number, Data::String(text)) => {
            let number: Number = text.parse().map_err(|_| ConvertError::new(Mismatch::NotANumber))?;
            number.into()
        }
        (Type::Bool, Data::String(text)) => match &**text {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            _ => return Err(ConvertError::new(Mismatch::NotABool)),
        },
        (Type::List(of), Data::Tuple(items) | Data::List(items) | Data::Set(items)) => {
            Value::list(elements(items, of, "list")?)
        }
        (Type::Set(of), Data::Tuple(items) | Data::List(items) | Data::Set(items)) => {
            Value::set(elements(items, of, "set")?)
        }
        (Type::Tuple(types), Data::Tuple(items)) => {
            if types.len() != items.len() {
                return Err(ConvertError::new(Mismatch::Length {
                    expected: types.len(),
                    found: items.len(),
                }));
            }
            let items: Vec<_> = items
                .iter()
                .zip(types)
                .enumerate()
                .map(|(i, (item, ty))| convert(item, ty).map_err(|error| error.within(PathStep::Index(i as u64))))
                .collect::<Result<_, _>>()?;
            Value::tuple(items)
        }
        (Type::Map(of), Data::Object(object)) => fields(&object.fields, of)?,
        (Type::Map(of), Data::Map(map)) => fields(map, of)?,
        (Type::Object(types), Data::Object(_) | Data::Map(_)) => {
            let mut fields = BTreeMap::new();
            for (name, field) in types {
                let given = match value.get(name) {
                    Some(given) => {
                        convert(given, &field.ty).map_err(|error| error.within(PathStep::Name(name.as_str().into())))?
                    }
                    None if field.optional => Value::NULL,
                    None => return Err(ConvertError::new(Mismatch::MissingAttribute(name.clone()))),
                };
                fields.insert(Arc::<str>::from(name.as_str()), given);
            }
            let object = Value::object(fields);
            match value.origin() {
                Some(address) => object.with_origin(address.clone()),
                None => object,
            }
        }
        _ => return mismatch(found),
    };
    Ok(converted.mark(value.is_sensitive()))
}

/// Returns what a value is, in words for a message: `a string`, `an object`.
pub fn describe(value: &Value) -> &'static str {
    match value.data() {
        Data::Null => "null",
        Data::Bool(_) => "a bool",
        Data::Number(_) => "a number",
        Data::String(_) => "a string",
        Data::Tuple(_) => "a tuple",
        Data::List(_) => "a list",
        Data::Set(_) => "a set",
        Data::Object(_) => "an object",
        Data::Map(_) => "a map",
        Data::Unknown(_) => "not known yet",
        Data::Redacted(_) => "redacted",
    }
}

/// Whether the value is one of the type as it is, so that it can be shared instead of copied.
fn matches(value: &Value, ty: &Type) -> bool {
    match (ty, value.data()) {
        (Type::Any, _)
        | (_, Data::Null | Data::Unknown(_) | Data::Redacted(_))
        | (Type::Bool, Data::Bool(_))
        | (Type::Number, Data::Number(_))
        | (Type::String, Data::String(_)) => true,
        (Type::List(of), Data::List(items)) | (Type::Set(of), Data::Set(items)) => {
            items.iter().all(|item| matches(item, of))
        }
        (Type::Map(of), Data::Map(fields)) => fields.values().all(|field| matches(field, of)),
        (Type::Tuple(types), Data::Tuple(items)) => {
            types.len() == items.len() && items.iter().zip(types).all(|(item, ty)| matches(item, ty))
        }
        (Type::Object(types), Data::Object(object)) => {
            types.len() == object.fields.len()
                && types
                    .iter()
                    .zip(object.fields.iter())
                    .all(|((name, field), (given, value))| *name == **given && matches(value, &field.ty))
        }
        _ => false,
    }
}

fn elements(items: &[Value], of: &Type, collection: &'static str) -> Result<Vec<Value>, ConvertError> {
    let single = single_type(items.iter(), of, collection)?;
    let of = single.as_ref().unwrap_or(of);
    items
        .iter()
        .enumerate()
        .map(|(i, item)| convert(item, of).map_err(|error| error.within(PathStep::Index(i as u64))))
        .collect()
}

fn fields(fields: &BTreeMap<Arc<str>, Value>, of: &Type) -> Result<Value, ConvertError> {
    let single = single_type(fields.values(), of, "map")?;
    let of = single.as_ref().unwrap_or(of);
    let fields = fields
        .iter()
        .map(|(name, value)| match convert(value, of) {
            Ok(value) => Ok((name.clone(), value)),
            Err(error) => Err(error.within(PathStep::Name(name.clone()))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Value::map(fields))
}

/// Where `any` is asked for, the type that all elements have in common.
fn single_type<'a>(
    values: impl Iterator<Item = &'a Value>,
    of: &Type,
    collection: &'static str,
) -> Result<Option<Type>, ConvertError> {
    match of {
        Type::Any => match Type::unify(values.map(Type::of)) {
            Some(ty) => Ok(Some(ty)),
            None => Err(ConvertError::new(Mismatch::NoSingleType(collection))),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Presence::{Optional, Required};

    fn tuple(items: &[Value]) -> Value {
        Value::tuple(items.iter().cloned())
    }

    #[test]
    fn conversions() {
        let one = || Value::from(1i64);
        let object = Type::object([("a", Type::String, Required), ("b", Type::Number, Optional)]);
        let cases = [
            ("number to string", one(), Type::String, Value::from("1")),
            (
                "string to number",
                "1.50".into(),
                Type::Number,
                Value::from("1.5".parse::<Number>().unwrap()),
            ),
            ("bool to string", true.into(), Type::String, "true".into()),
            ("string to bool", "false".into(), Type::Bool, false.into()),
            (
                "tuple to list",
                tuple(&[one(), "a".into()]),
                Type::list(Type::Any),
                Value::list(["1".into(), "a".into()]),
            ),
            (
                "tuple to set",
                tuple(&["b".into(), "a".into(), "b".into()]),
                Type::Set(Box::new(Type::String)),
                Value::set(["a".into(), "b".into()]),
            ),
            (
                "empty tuple to list",
                tuple(&[]),
                Type::list(Type::String),
                Value::list([]),
            ),
            (
                "object to map",
                Value::object([("a", one())]),
                Type::map(Type::String),
                Value::map([("a", "1".into())]),
            ),
            (
                "map to object",
                Value::map([("a", "x".into()), ("c", "y".into())]),
                object.clone(),
                Value::object([("a", "x".into()), ("b", Value::NULL)]),
            ),
            ("null", Value::NULL, Type::list(Type::String), Value::NULL),
            (
                "unknown",
                Value::unknown("node.a.id"),
                Type::Number,
                Value::unknown("node.a.id"),
            ),
            (
                "unknown element",
                tuple(&[Value::unknown("node.a.id"), one()]),
                Type::list(Type::String),
                Value::list([Value::unknown("node.a.id"), "1".into()]),
            ),
            (
                "shorter tuples become lists",
                tuple(&[tuple(&[one()]), tuple(&[])]),
                Type::list(Type::Any),
                Value::list([Value::list([one()]), Value::list([])]),
            ),
        ];
        for (name, value, ty, expected) in cases {
            assert_eq!(convert(&value, &ty), Ok(expected), "{name}");
        }
    }

    #[test]
    fn marks_stay_where_they_are() {
        let secret = || Value::from(7i64).mark(true);
        let text = convert(&secret(), &Type::String).unwrap();
        assert!(text.is_sensitive());
        let list = convert(&tuple(&[secret()]), &Type::list(Type::String)).unwrap();
        assert!(!list.is_sensitive() && list.has_sensitive());
        let set = convert(&tuple(&[secret()]), &Type::Set(Box::new(Type::String))).unwrap();
        assert!(set.is_sensitive(), "a set is sensitive as a whole");
    }

    #[test]
    fn errors_say_where_and_what() {
        let object = Type::object([("a", Type::list(Type::Number), Required)]);
        let cases = [
            (
                Value::from("x"),
                Type::Number,
                "a number is required, and this string is not the decimal text of one",
            ),
            (Value::from(1i64), Type::Bool, "bool required, but this is a number"),
            (
                Value::from("x"),
                Type::list(Type::String),
                "list(string) required, but this is a string",
            ),
            (
                Value::object([("a", tuple(&["1".into(), "x".into()]))]),
                object.clone(),
                "a[1]: a number is required, and this string is not the decimal text of one",
            ),
            (
                Value::object([("b", Value::NULL)]),
                object,
                "attribute \"a\" is required",
            ),
            (
                tuple(&[true.into(), 1i64.into()]),
                Type::list(Type::Any),
                "all elements of a list must have the same type",
            ),
            (
                tuple(&[]),
                Type::Tuple(vec![Type::Any]),
                "1 elements are required, but there are 0",
            ),
        ];
        for (value, ty, message) in cases {
            assert_eq!(
                convert(&value, &ty).map_err(|error| error.to_string()),
                Err(message.to_owned())
            );
        }
    }

    #[test]
    fn what_fits_is_shared() {
        let list = Value::list(["a".into()]);
        let converted = convert(&list, &Type::list(Type::String)).unwrap();
        let (Data::List(a), Data::List(b)) = (list.data(), converted.data()) else {
            panic!("not lists");
        };
        assert!(Arc::ptr_eq(a, b));
    }
}
