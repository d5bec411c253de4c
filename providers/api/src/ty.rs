//! Types of the fleet language.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Data, Value};

/// A type, as a `variable` declares it and a schema demands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Any type: `any`.
    Any,
    /// `bool`.
    Bool,
    /// `number`.
    Number,
    /// `string`.
    String,
    /// `list(T)`.
    List(Box<Type>),
    /// `set(T)`.
    Set(Box<Type>),
    /// `map(T)`.
    Map(Box<Type>),
    /// `tuple([T, …])`.
    Tuple(Vec<Type>),
    /// `object({ name = T, … })`.
    Object(BTreeMap<String, Field>),
}

/// One attribute of an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out, as `optional(T)` says; it is `null` then.
    pub optional: bool,
}

impl Type {
    /// `list(T)`.
    pub fn list(of: Type) -> Self {
        Type::List(Box::new(of))
    }

    /// `map(T)`.
    pub fn map(of: Type) -> Self {
        Type::Map(Box::new(of))
    }

    /// An object type, from names, types and whether each may be left out.
    pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Type, Presence)>) -> Self {
        Type::Object(
            fields
                .into_iter()
                .map(|(name, ty, presence)| {
                    let optional = presence == Presence::Optional;
                    (name.to_owned(), Field { ty, optional })
                })
                .collect(),
        )
    }
}

impl Type {
    /// Returns the type of a value; [`Type::Any`] for what has none: `null`, unknown and redacted values, and the
    /// elements of an empty collection.
    pub fn of(value: &Value) -> Type {
        match value.data() {
            Data::Null | Data::Unknown(_) | Data::Redacted(_) => Type::Any,
            Data::Bool(_) => Type::Bool,
            Data::Number(_) => Type::Number,
            Data::String(_) => Type::String,
            Data::Tuple(items) => Type::Tuple(items.iter().map(Type::of).collect()),
            Data::List(items) => Type::list(Type::of_elements(items.iter())),
            Data::Set(items) => Type::Set(Box::new(Type::of_elements(items.iter()))),
            Data::Map(fields) => Type::map(Type::of_elements(fields.values())),
            Data::Object(object) => Type::Object(
                object
                    .fields
                    .iter()
                    .map(|(name, value)| (name.to_string(), Field::required(Type::of(value))))
                    .collect(),
            ),
        }
    }

    /// The elements of a collection are of one type already, so that the first one without a gap tells it.
    fn of_elements<'a>(elements: impl Iterator<Item = &'a Value>) -> Type {
        let mut ty = Type::Any;
        for element in elements {
            ty = Type::unify([ty, Type::of(element)]).unwrap_or(Type::Any);
            if ty.is_complete() {
                break;
            }
        }
        ty
    }

    fn is_complete(&self) -> bool {
        match self {
            Type::Any => false,
            Type::Bool | Type::Number | Type::String => true,
            Type::List(of) | Type::Set(of) | Type::Map(of) => of.is_complete(),
            Type::Tuple(items) => items.iter().all(Type::is_complete),
            Type::Object(fields) => fields.values().all(|field| field.ty.is_complete()),
        }
    }

    /// Returns the type that values of all these types can be converted to, as both results of a conditional are, or
    /// the elements of a list. [`Type::Any`] goes along with every other.
    pub fn unify(types: impl IntoIterator<Item = Type>) -> Option<Type> {
        let mut distinct: Vec<Type> = Vec::new();
        for ty in types {
            // Long lists are mostly of one type, so this looks at few.
            if ty != Type::Any && !distinct.contains(&ty) {
                distinct.push(ty);
            }
        }
        if distinct.len() < 2 {
            return Some(distinct.pop().unwrap_or(Type::Any));
        }
        let all = |test: fn(&Type) -> bool| distinct.iter().all(test);
        let any = |test: fn(&Type) -> bool| distinct.iter().any(test);
        if all(|ty| matches!(ty, Type::Bool | Type::Number | Type::String)) {
            any(|ty| *ty == Type::String).then_some(Type::String)
        } else if all(|ty| matches!(ty, Type::Object(_))) {
            unify_objects(distinct)
        } else if all(|ty| matches!(ty, Type::Map(_) | Type::Object(_))) {
            Type::unify(distinct.into_iter().flat_map(Type::into_inner)).map(Type::map)
        } else if all(|ty| matches!(ty, Type::Tuple(_))) {
            unify_tuples(distinct)
        } else if all(|ty| matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_))) {
            let list = any(|ty| matches!(ty, Type::List(_)));
            let of = Box::new(Type::unify(distinct.into_iter().flat_map(Type::into_inner))?);
            Some(if list { Type::List(of) } else { Type::Set(of) })
        } else {
            None
        }
    }

    fn into_inner(self) -> Vec<Type> {
        match self {
            Type::List(of) | Type::Set(of) | Type::Map(of) => vec![*of],
            Type::Tuple(items) => items,
            Type::Object(fields) => fields.into_values().map(|field| field.ty).collect(),
            Type::Any | Type::Bool | Type::Number | Type::String => Vec::new(),
        }
    }
}

/// Objects of the same attributes stay objects, others become maps.
fn unify_objects(types: Vec<Type>) -> Option<Type> {
    let objects: Vec<&BTreeMap<String, Field>> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::Object(fields) => Some(fields),
            _ => None,
        })
        .collect();
    let (first, others) = objects.split_first()?;
    if others.iter().any(|other| !other.keys().eq(first.keys())) {
        return Type::unify(types.into_iter().flat_map(Type::into_inner)).map(Type::map);
    }
    let fields = first.keys().map(|name| {
        let ty = Type::unify(objects.iter().filter_map(|object| Some(object.get(name)?.ty.clone())))?;
        Some((name.clone(), Field::required(ty)))
    });
    fields.collect::<Option<_>>().map(Type::Object)
}

/// Tuples of the same length stay tuples, others become lists.
fn unify_tuples(types: Vec<Type>) -> Option<Type> {
    let tuples: Vec<Vec<Type>> = types.into_iter().map(Type::into_inner).collect();
    let length = tuples.first()?.len();
    if tuples.iter().any(|tuple| tuple.len() != length) {
        return Type::unify(tuples.into_iter().flatten()).map(Type::list);
    }
    (0..length)
        .map(|i| Type::unify(tuples.iter().filter_map(|tuple| tuple.get(i).cloned())))
        .collect::<Option<_>>()
        .map(Type::Tuple)
}

impl Field {
    /// An attribute that must be given.
    pub fn required(ty: Type) -> Self {
        Field { ty, optional: false }
    }
}

/// Whether an attribute of an object type must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any"),
            Type::Bool => f.write_str("bool"),
            Type::Number => f.write_str("number"),
            Type::String => f.write_str("string"),
            Type::List(of) => write!(f, "list({of})"),
            Type::Set(of) => write!(f, "set({of})"),
            Type::Map(of) => write!(f, "map({of})"),
            Type::Tuple(items) => {
                f.write_str("tuple([")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("])")
            }
            Type::Object(fields) => {
                f.write_str("object({ ")?;
                for (i, (name, field)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    match field.optional {
                        true => write!(f, "{comma}{name} = optional({})", field.ty)?,
                        false => write!(f, "{comma}{name} = {}", field.ty)?,
                    }
                }
                f.write_str(" })")
            }
        }
    }
}
