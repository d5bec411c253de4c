//! Types of the fleet language.

use std::collections::BTreeMap;
use std::fmt;

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
