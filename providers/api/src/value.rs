//! Values of the fleet language: the types of HCL, plus unknown, sensitive and redacted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Address, Number, PathStep};

mod order;

/// A value: what an expression evaluates to, and what an attribute of an object holds.
///
/// Cheap to clone: everything of any size is shared. `sensitive` is a mark on the value, whatever it holds; a list can
/// hold a sensitive element without being sensitive itself.
#[derive(Clone, PartialEq)]
pub struct Value {
    data: Data,
    sensitive: bool,
}

/// What a value holds.
#[derive(Clone, PartialEq)]
pub enum Data {
    /// `null`: the attribute counts as not set.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// A sequence whose elements can have different types: what `[…]` makes.
    Tuple(Arc<Vec<Value>>),
    /// A sequence of one type.
    List(Arc<Vec<Value>>),
    /// A set of one type, sorted, without duplicates.
    Set(Arc<Vec<Value>>),
    /// Named values of different types: what `{…}` makes, and what a block or resource is.
    Object(Object),
    /// Named values of one type.
    Map(Arc<BTreeMap<Arc<str>, Value>>),
    /// Not known before apply.
    Unknown(Unknown),
    /// A sensitive value of which the state keeps a salted digest only.
    Redacted(Arc<Digest>),
}

/// Named values; where they are those of a resource, its address too, so that a reference survives conditionals, locals
/// and module outputs. The address does not count in comparisons.
#[derive(Clone)]
pub struct Object {
    /// The values by name.
    pub fields: Arc<BTreeMap<Arc<str>, Value>>,
    /// The resource that this is the value of.
    pub origin: Option<Address>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

/// Why a value is not known: what it comes from, such as `node.a.address`.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// The reference that is known after apply only.
    pub origin: Arc<str>,
}

/// Two unknown values are the same to a plan, wherever they come from.
impl PartialEq for Unknown {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A salted digest of a sensitive value: `SHA-256(salt || canonical JSON)`, both in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Digest {
    /// 16 random bytes.
    pub salt: String,
    /// 32 bytes.
    pub sha256: String,
    /// The value itself, encrypted by whoever keeps it, where they have a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Arc<str>>,
}

impl Value {
    /// `null`.
    pub const NULL: Value = Value {
        data: Data::Null,
        sensitive: false,
    };

    /// Makes a value that is not sensitive.
    pub fn new(data: Data) -> Self {
        Value { data, sensitive: false }
    }

    /// Makes a string.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Data::String(text.into()).into()
    }

    /// Makes a tuple.
    pub fn tuple(items: impl IntoIterator<Item = Value>) -> Self {
        Data::Tuple(Arc::new(items.into_iter().collect())).into()
    }

    /// Makes an object.
    pub fn object<K: Into<Arc<str>>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::fields(Arc::new(fields.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    /// Makes an object of fields that others may share.
    pub(crate) fn fields(fields: Arc<BTreeMap<Arc<str>, Value>>) -> Self {
        Data::Object(Object { fields, origin: None }).into()
    }

    /// Makes a list. The elements are of one type; [`convert`](crate::convert::convert) makes them so.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Data::List(Arc::new(items.into_iter().collect())).into()
    }

    /// Makes a set: sorts, and drops what is there twice. A set shows by its order what its elements are, so where one
    /// of them is sensitive the whole set is.
    pub fn set(items: impl IntoIterator<Item = Value>) -> Self {
        let mut sensitive = false;
        let mut items: Vec<Value> = items
            .into_iter()
            .map(|item| {
                let (item, marked) = item.unmark_deep();
                sensitive |= marked;
                item
            })
            .collect();
        order::sort(&mut items);
        // Unknown values may turn out to be different ones.
        items.dedup_by(|a, b| a == b && a.is_known());
        Value::new(Data::Set(Arc::new(items))).mark(sensitive)
    }

    /// Makes a map. The values are of one type; [`convert`](crate::convert::convert) makes them so.
    pub fn map<K: Into<Arc<str>>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        let fields = fields.into_iter().map(|(k, v)| (k.into(), v)).collect();
        Data::Map(Arc::new(fields)).into()
    }

    /// Makes an unknown value that comes from `origin`.
    pub fn unknown(origin: impl Into<Arc<str>>) -> Self {
        Data::Unknown(Unknown { origin: origin.into() }).into()
    }

    /// What the value holds.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// What the value holds, taken out of it; the mark is lost, so look at it first.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// Whether the value itself is marked as sensitive.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// Returns the value with the mark added where `sensitive` holds; never removes one.
    pub fn mark(mut self, sensitive: bool) -> Self {
        self.sensitive |= sensitive;
        self
    }

    /// Returns the value without its mark.
    pub fn unmarked(mut self) -> Self {
        self.sensitive = false;
        self
    }

    /// Returns the value without any mark, at any depth, and whether there was one.
    pub fn unmark_deep(self) -> (Value, bool) {
        if !self.has_sensitive() {
            return (self, false);
        }
        let bare = |items: &Vec<Value>| Arc::new(items.iter().map(|item| item.clone().unmark_deep().0).collect());
        let bare_fields = |fields: &BTreeMap<Arc<str>, Value>| {
            let fields = fields.iter().map(|(k, v)| (k.clone(), v.clone().unmark_deep().0));
            Arc::new(fields.collect())
        };
        let data = match self.data {
            Data::Tuple(items) => Data::Tuple(bare(&items)),
            Data::List(items) => Data::List(bare(&items)),
            Data::Set(items) => Data::Set(bare(&items)),
            Data::Map(fields) => Data::Map(bare_fields(&fields)),
            Data::Object(Object { fields, origin }) => Data::Object(Object {
                fields: bare_fields(&fields),
                origin,
            }),
            data => data,
        };
        (Value::new(data), true)
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// Whether this is unknown as a whole.
    pub fn is_unknown(&self) -> bool {
        matches!(self.data, Data::Unknown(_))
    }

    /// Whether nothing in it, at any depth, is unknown.
    pub fn is_known(&self) -> bool {
        self.any(&|value| value.is_unknown()).is_none()
    }

    /// Whether it, or anything in it, is sensitive.
    pub fn has_sensitive(&self) -> bool {
        self.any(&|value| value.sensitive).is_some()
    }

    /// Whether it, or anything in it, is known as a digest only.
    pub fn has_redacted(&self) -> bool {
        self.any(&|value| matches!(value.data, Data::Redacted(_))).is_some()
    }

    /// Returns the origin of the first unknown value in it, at any depth.
    pub fn unknown_origin(&self) -> Option<&str> {
        match &self.any(&|value| value.is_unknown())?.data {
            Data::Unknown(unknown) => Some(&unknown.origin),
            _ => None,
        }
    }

    fn any(&self, test: &dyn Fn(&Value) -> bool) -> Option<&Value> {
        if test(self) {
            return Some(self);
        }
        match &self.data {
            Data::Tuple(items) | Data::List(items) | Data::Set(items) => items.iter().find_map(|item| item.any(test)),
            Data::Object(Object { fields, .. }) | Data::Map(fields) => {
                fields.values().find_map(|field| field.any(test))
            }
            _ => None,
        }
    }

    /// Returns the string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.data {
            Data::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the number, if it is one.
    pub fn as_number(&self) -> Option<&Number> {
        match &self.data {
            Data::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the number as an unsigned integer, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// Returns the elements of a tuple, list or set.
    pub fn as_slice(&self) -> Option<&[Value]> {
        match &self.data {
            Data::Tuple(items) | Data::List(items) | Data::Set(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the fields of an object or map.
    pub fn as_fields(&self) -> Option<&BTreeMap<Arc<str>, Value>> {
        match &self.data {
            Data::Object(Object { fields, .. }) | Data::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// Returns one field of an object or map.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_fields()?.get(name)
    }

    /// Returns what is one step further in; `None` where there is nothing of that name or position.
    pub fn step(&self, step: &PathStep) -> Option<&Value> {
        match step {
            PathStep::Name(name) => self.get(name),
            PathStep::Index(index) => match &self.data {
                Data::Tuple(items) | Data::List(items) => items.get(usize::try_from(*index).ok()?),
                _ => None,
            },
        }
    }

    /// Returns how many elements or fields there are.
    pub fn len(&self) -> Option<usize> {
        match &self.data {
            Data::Tuple(items) | Data::List(items) | Data::Set(items) => Some(items.len()),
            Data::Object(Object { fields, .. }) | Data::Map(fields) => Some(fields.len()),
            _ => None,
        }
    }

    /// Returns whether it is a collection without elements or fields.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Returns the address of the resource that this is the value of.
    pub fn origin(&self) -> Option<&Address> {
        match &self.data {
            Data::Object(object) => object.origin.as_ref(),
            _ => None,
        }
    }

    /// Returns the object with the address of the resource that it is the value of.
    pub fn with_origin(mut self, address: Address) -> Self {
        if let Data::Object(object) = &mut self.data {
            object.origin = Some(address);
        }
        self
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Value::new(data)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Self {
        Data::Number(value).into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Number::from(value).into()
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Number::from(value).into()
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::string(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::string(value)
    }
}

/// For logs and failed tests. A sensitive value is never shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sensitive {
            return f.write_str("(sensitive)");
        }
        match &self.data {
            Data::Null => f.write_str("null"),
            Data::Bool(value) => write!(f, "{value}"),
            Data::Number(number) => write!(f, "{number}"),
            Data::String(text) => write!(f, "{text:?}"),
            Data::Tuple(items) => f.debug_list().entries(items.iter()).finish(),
            Data::List(items) => {
                f.write_str("list")?;
                f.debug_list().entries(items.iter()).finish()
            }
            Data::Set(items) => {
                f.write_str("set")?;
                f.debug_list().entries(items.iter()).finish()
            }
            Data::Object(Object { fields, .. }) => f.debug_map().entries(fields.iter()).finish(),
            Data::Map(fields) => {
                f.write_str("map")?;
                f.debug_map().entries(fields.iter()).finish()
            }
            Data::Unknown(unknown) => write!(f, "(unknown: {})", unknown.origin),
            Data::Redacted(_) => f.write_str("(redacted)"),
        }
    }
}
