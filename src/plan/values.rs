//! The values of declarations, as far as they are evaluated.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;
use simfleet_provider_api::value::Object;
use simfleet_provider_api::{Address, Data, Key, Value};

use super::session::{Declared, One};
use crate::config::Resources;

/// The values that others read, by the address of the block. One instance's is replaced without a copy of the others.
#[derive(Debug, Default)]
pub(super) struct Values(RefCell<HashMap<Address, Value>>);

impl Resources for Values {
    fn value(&self, block: &Address) -> Option<Value> {
        self.0.borrow().get(block).cloned()
    }
}

impl Values {
    /// Sets the value of a declaration, given those of its instances: the one, a tuple by index, an object by key.
    pub(super) fn set(&self, declared: &Declared<'_>, values: Vec<Value>) {
        let value = if declared.declaration.meta.count.is_some() {
            Value::tuple(values)
        } else if declared.declaration.meta.for_each.is_some() {
            let with_key = |(one, value): (&One, Value)| match &one.instance.key {
                Some(Key::Name(name)) => Some((Arc::clone(name), value)),
                _ => None,
            };
            Value::object(declared.ones.iter().zip(values).filter_map(with_key))
        } else {
            values.into_iter().next().unwrap_or(Value::NULL)
        };
        self.0.borrow_mut().insert(declared.block.clone(), value);
    }

    /// Replaces the value of one instance of a declaration that has one for each.
    pub(super) fn replace(&self, declared: &Declared<'_>, one: &One, value: Value) {
        let mut values = self.0.borrow_mut();
        let Some(all) = values.get_mut(&declared.block) else {
            return;
        };
        let whole = std::mem::replace(all, Value::NULL).into_data();
        *all = match (whole, &one.instance.key) {
            (Data::Tuple(mut items), Some(Key::Index(index))) => {
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                if let Some(item) = Arc::make_mut(&mut items).get_mut(index) {
                    *item = value;
                }
                Value::new(Data::Tuple(items))
            }
            (Data::Object(Object { mut fields, origin }), Some(Key::Name(name))) => {
                Arc::make_mut(&mut fields).insert(Arc::clone(name), value);
                Value::new(Data::Object(Object { fields, origin }))
            }
            _ => value,
        };
    }

    /// Whether nothing of one instance's value is unknown.
    pub(super) fn is_known(&self, declared: &Declared<'_>, one: &One) -> bool {
        let values = self.0.borrow();
        let all = values.get(&declared.block);
        let value = match &one.instance.key {
            None => all,
            Some(Key::Index(index)) => all
                .and_then(Value::as_slice)
                .and_then(|items| items.get(usize::try_from(*index).ok()?)),
            Some(Key::Name(name)) => all.and_then(|all| all.get(name)),
        };
        value.is_some_and(Value::is_known)
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
