//! Which values are sensitive: the marks do not go over the wire, their paths do.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::value::Object as ObjectValue;
use simfleet_provider_api::{Data, Path, PathStep, Value};

/// Collects the paths of all values that are marked as sensitive.
pub(super) fn collect_marks(path: &Path, value: &Value, marks: &mut Vec<Path>) {
    if value.is_sensitive() {
        marks.push(path.clone());
        return;
    }
    if let Some(items) = value.as_slice() {
        for (index, item) in (0u64..).zip(items) {
            collect_marks(&path.join(PathStep::Index(index)), item, marks);
        }
    } else if let Some(fields) = value.as_fields() {
        for (name, field) in fields {
            collect_marks(&path.join(PathStep::Name(name.clone())), field, marks);
        }
    }
}

/// Returns the value with what `steps` lead to marked as sensitive.
pub(super) fn with_mark(value: &Value, steps: &[PathStep]) -> Value {
    let Some((step, rest)) = steps.split_first() else {
        return value.clone().mark(true);
    };
    let sensitive = value.is_sensitive();
    let item = |items: &Arc<Vec<Value>>| {
        let mut items = items.as_ref().clone();
        if let PathStep::Index(index) = step
            && let Some(item) = usize::try_from(*index).ok().and_then(|index| items.get_mut(index))
        {
            *item = with_mark(item, rest);
        }
        Arc::new(items)
    };
    let field = |fields: &Arc<BTreeMap<Arc<str>, Value>>| {
        let mut fields = fields.as_ref().clone();
        if let PathStep::Name(name) = step
            && let Some(field) = fields.get_mut(name)
        {
            *field = with_mark(field, rest);
        }
        Arc::new(fields)
    };
    let data = match value.data() {
        Data::Tuple(items) => Data::Tuple(item(items)),
        Data::List(items) => Data::List(item(items)),
        Data::Set(items) => Data::Set(item(items)),
        Data::Map(fields) => Data::Map(field(fields)),
        Data::Object(object) => Data::Object(ObjectValue {
            fields: field(&object.fields),
            origin: object.origin.clone(),
        }),
        other => other.clone(),
    };
    Value::new(data).mark(sensitive)
}
