//! Maps and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Data, Type, Value, convert};

use super::collection::{argument, not_a};
use super::{Accepts, Arguments, Call, Function, Outcome, Problem, any, param, string, strings};
use crate::config::eval::evaluator::unknown;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::elements("keys", &[any("inputMap")], keys),
    Function::elements("lookup", &[any("inputMap"), string("key")], lookup).and(any("default").nullable()),
    Function::elements("merge", &[], merge).and(any("maps").nullable()),
    Function::plain("transpose", &[param("values", Accepts::StringListMap)], transpose),
    Function::elements("values", &[any("mapping")], values),
    Function::elements("zipmap", &[strings("keys"), any("values")], zipmap),
];

fn keys(args: &[Value], _: &Call<'_>) -> Outcome {
    let fields = argument(args, 0)
        .as_fields()
        .ok_or_else(|| not_a(args, 0, "a map or object"))?;
    let names = fields.keys().map(|name| Value::string(Arc::clone(name)));
    Ok(match argument(args, 0).data() {
        Data::Map(_) => Value::list(names),
        _ => Value::tuple(names),
    })
}

fn values(args: &[Value], _: &Call<'_>) -> Outcome {
    let fields = argument(args, 0)
        .as_fields()
        .ok_or_else(|| not_a(args, 0, "a map or object"))?;
    Ok(match argument(args, 0).data() {
        Data::Map(_) => Value::list(fields.values().cloned()),
        _ => Value::tuple(fields.values().cloned()),
    })
}

fn lookup(args: &[Value], _: &Call<'_>) -> Outcome {
    if args.len() > 3 {
        return Err("it takes a map, a key and a default".into());
    }
    let fields = argument(args, 0)
        .as_fields()
        .ok_or_else(|| not_a(args, 0, "a map or object"))?;
    if let Some(found) = fields.get(args.text(1)) {
        return Ok(found.clone());
    }
    let Some(default) = args.get(2) else {
        return Err("the map has no such key, and no default is given".into());
    };
    match argument(args, 0).data() {
        // The elements of a map have one type.
        Data::Map(_) => {
            let ty = Type::unify(fields.values().map(Type::of)).unwrap_or(Type::Any);
            convert(default, &ty).map_err(|error| Problem::Argument(2, error.to_string()))
        }
        _ => Ok(default.clone()),
    }
}

fn merge(args: &[Value], _: &Call<'_>) -> Outcome {
    let mut fields = BTreeMap::new();
    for (i, value) in args.iter().enumerate() {
        if value.is_null() {
            continue;
        }
        let more = value.as_fields().ok_or_else(|| not_a(args, i, "a map or object"))?;
        fields.extend(more.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
    }
    let mut given = args.iter().filter(|value| !value.is_null());
    let first = given.next().map(Type::of);
    let maps = matches!(first, Some(Type::Map(_))) && given.all(|value| first == Some(Type::of(value)));
    Ok(if maps {
        Value::map(fields)
    } else {
        Value::object(fields)
    })
}

fn transpose(args: &[Value], call: &Call<'_>) -> Outcome {
    let mut turned: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (key, list) in argument(args, 0).as_fields().into_iter().flatten() {
        for item in list.as_slice().unwrap_or_default() {
            call.charge(1)?;
            let Some(text) = item.as_str() else {
                return Err(Problem::Argument(
                    0,
                    "the elements of its lists must not be null".into(),
                ));
            };
            turned
                .entry(text.into())
                .or_default()
                .push(Value::string(Arc::clone(key)));
        }
    }
    Ok(Value::map(
        turned.into_iter().map(|(key, items)| (key, Value::list(items))),
    ))
}

fn zipmap(args: &[Value], _: &Call<'_>) -> Outcome {
    let (keys, values) = (args.items(0), argument(args, 1));
    let (Data::Tuple(items) | Data::List(items)) = values.data() else {
        return Err(not_a(args, 1, "a list or tuple"));
    };
    if keys.len() != items.len() {
        return Err(format!("there are {} keys and {} values", keys.len(), items.len()).into());
    }
    let mut sensitive = false;
    let mut fields = BTreeMap::new();
    for (key, value) in keys.iter().zip(items.iter()) {
        if let Some(unknown) = unknown(key) {
            return Ok(unknown.mark(sensitive));
        }
        sensitive |= key.is_sensitive();
        let Data::String(key) = key.data() else {
            return Err(Problem::Argument(0, "its elements must not be null".into()));
        };
        fields.insert(Arc::clone(key), value.clone());
    }
    let result = match values.data() {
        Data::List(_) => Value::map(fields),
        _ => Value::object(fields),
    };
    Ok(result.mark(sensitive))
}
