//! Sequences.

use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Data, Number, Type, Value, convert};

use super::{Accepts, Arguments, Call, Function, Outcome, Problem, any, number, param, sequence, strings};
use crate::config::eval::call::{contains, first_unknown};
use crate::config::eval::evaluator::unknown;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::elements("alltrue", &[param("list", Accepts::Bools)], |args, _| {
        decide(args, false)
    }),
    Function::elements("anytrue", &[param("list", Accepts::Bools)], |args, _| {
        decide(args, true)
    }),
    Function::elements(
        "chunklist",
        &[param("list", Accepts::AnyList), number("size")],
        chunklist,
    ),
    Function::raw("coalesce", &[], coalesce).and(any("vals").nullable()),
    Function::elements("coalescelist", &[], coalescelist).and(any("vals")),
    Function::plain("compact", &[strings("list")], compact),
    Function::elements("concat", &[], concat).and(any("seqs")),
    Function::elements("contains", &[any("list"), any("value")], has),
    Function::plain("distinct", &[param("list", Accepts::AnyList)], distinct),
    Function::elements("element", &[any("list"), number("index")], element),
    Function::elements("flatten", &[any("list")], flatten),
    Function::elements("index", &[any("list"), any("value")], index),
    Function::elements("length", &[any("value")], length),
    Function::plain(
        "matchkeys",
        &[
            param("values", Accepts::AnyList),
            param("keys", Accepts::AnyList),
            param("searchset", Accepts::AnyList),
        ],
        matchkeys,
    ),
    Function::elements("one", &[any("list")], one),
    Function::plain("range", &[], range).and(number("params")),
    Function::elements("reverse", &[any("list")], reverse),
    Function::elements(
        "slice",
        &[any("list"), number("start_index"), number("end_index")],
        slice,
    ),
];

/// How many elements `range` makes at most, as in Terraform.
const MAX_RANGE: usize = 1024;

pub(super) fn argument(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::NULL)
}

/// A sequence of the same kind as another: a part of a tuple is a tuple, everything else becomes a list.
fn like(value: &Value, items: Vec<Value>) -> Value {
    match value.data() {
        Data::Tuple(_) => Value::tuple(items),
        _ => Value::list(items),
    }
}

pub(super) fn not_a(args: &[Value], index: usize, wanted: &str) -> Problem {
    let found = describe(argument(args, index));
    Problem::Argument(index, format!("it must be {wanted}, but this is {found}"))
}

fn decide(args: &[Value], decisive: bool) -> Outcome {
    let mut undecided = None;
    let mut sensitive = false;
    for item in args.items(0) {
        sensitive |= item.is_sensitive();
        if let Some(unknown) = unknown(item) {
            undecided.get_or_insert(unknown);
        } else if item.as_bool().unwrap_or(false) == decisive {
            return Ok(Value::from(decisive).mark(sensitive));
        }
    }
    Ok(undecided.unwrap_or_else(|| (!decisive).into()).mark(sensitive))
}

fn chunklist(args: &[Value], _: &Call<'_>) -> Outcome {
    let items = args.items(0);
    let size = usize::try_from(args.whole(1)?).map_err(|_| Problem::Argument(1, "it must not be negative".into()))?;
    let size = if size == 0 { items.len().max(1) } else { size };
    Ok(Value::list(
        items.chunks(size).map(|chunk| Value::list(chunk.iter().cloned())),
    ))
}

/// The first argument that is neither `null` nor an empty string, as the type that all of them have in common.
fn coalesce(args: &[Value], _: &Call<'_>) -> Outcome {
    let Some(ty) = Type::unify(args.iter().map(Type::of)) else {
        return Err("all arguments must have the same type".into());
    };
    let mut sensitive = false;
    for value in args {
        sensitive |= value.is_sensitive();
        if let Some(unknown) = unknown(value) {
            return Ok(unknown.mark(sensitive));
        }
        if value.is_null() || value.as_str() == Some("") {
            continue;
        }
        let value = convert(value, &ty).map_err(|error| Problem::Call(error.to_string()))?;
        return Ok(value.mark(sensitive));
    }
    Err("no argument is other than null or an empty string".into())
}

fn coalescelist(args: &[Value], _: &Call<'_>) -> Outcome {
    for (i, value) in args.iter().enumerate() {
        if !sequence(args, i)?.is_empty() {
            return Ok(value.clone());
        }
    }
    Err("no argument is a list with elements".into())
}

fn compact(args: &[Value], _: &Call<'_>) -> Outcome {
    let kept = args
        .items(0)
        .iter()
        .filter(|item| item.as_str().is_some_and(|text| !text.is_empty()));
    Ok(Value::list(kept.cloned()))
}

fn concat(args: &[Value], _: &Call<'_>) -> Outcome {
    if args.is_empty() {
        return Err("it needs at least one list".into());
    }
    let mut items = Vec::new();
    for (i, value) in args.iter().enumerate() {
        match value.data() {
            Data::Tuple(more) | Data::List(more) => items.extend(more.iter().cloned()),
            _ => return Err(not_a(args, i, "a list or tuple")),
        }
    }
    let lists = args.iter().all(|value| matches!(value.data(), Data::List(_)));
    match Type::unify(args.iter().map(Type::of)) {
        Some(ty @ Type::List(_)) if lists => {
            convert(&Value::list(items), &ty).map_err(|error| Problem::Call(error.to_string()))
        }
        _ => Ok(Value::tuple(items)),
    }
}

fn has(args: &[Value], _: &Call<'_>) -> Outcome {
    let items = sequence(args, 0)?;
    let sensitive = args.iter().any(Value::has_sensitive);
    Ok(match contains(items, argument(args, 1)) {
        Ok(found) => found.is_some().into(),
        Err(unknown) => unknown,
    }
    .mark(sensitive))
}

fn index(args: &[Value], _: &Call<'_>) -> Outcome {
    let (Data::Tuple(items) | Data::List(items)) = argument(args, 0).data() else {
        return Err(not_a(args, 0, "a list or tuple"));
    };
    let sensitive = args.iter().any(Value::has_sensitive);
    match contains(items, argument(args, 1)) {
        Ok(Some(at)) => Ok(Value::from(at as u64).mark(sensitive)),
        Ok(None) => Err("the list does not have this element".into()),
        Err(unknown) => Ok(unknown.mark(sensitive)),
    }
}

fn distinct(args: &[Value], call: &Call<'_>) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    // Texts, which most are, by a set; others one against the other.
    let mut texts = std::collections::HashSet::new();
    for item in args.items(0) {
        let new = match item.as_str() {
            Some(text) => texts.insert(text),
            None => {
                call.charge(kept.len() as u64)?;
                !kept.contains(item)
            }
        };
        if new {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

/// Counts on from the start where the index is beyond the end.
fn element(args: &[Value], _: &Call<'_>) -> Outcome {
    let (Data::Tuple(items) | Data::List(items)) = argument(args, 0).data() else {
        return Err(not_a(args, 0, "a list or tuple"));
    };
    let index = args.whole(1)?;
    if items.is_empty() {
        return Err("the list is empty".into());
    }
    if index < 0 {
        return Err(Problem::Argument(1, "it must not be negative".into()));
    }
    let at = usize::try_from(index % items.len() as i64).unwrap_or(0);
    Ok(items.get(at).cloned().unwrap_or(Value::NULL))
}

fn flatten(args: &[Value], call: &Call<'_>) -> Outcome {
    let mut flat = Vec::new();
    let mut sensitive = false;
    let mut missing = None;
    flatten_into(sequence(args, 0)?, &mut flat, &mut sensitive, &mut missing, call)?;
    Ok(missing.unwrap_or_else(|| Value::tuple(flat)).mark(sensitive))
}

fn flatten_into(
    items: &[Value],
    flat: &mut Vec<Value>,
    sensitive: &mut bool,
    missing: &mut Option<Value>,
    call: &Call<'_>,
) -> Result<(), Problem> {
    for item in items {
        call.charge(1)?;
        match item.data() {
            Data::Tuple(inner) | Data::List(inner) | Data::Set(inner) => {
                *sensitive |= item.is_sensitive();
                flatten_into(inner, flat, sensitive, missing, call)?;
            }
            // It could be a list.
            Data::Unknown(_) => {
                *sensitive |= item.is_sensitive();
                missing.get_or_insert(item.clone());
            }
            _ => flat.push(item.clone()),
        }
    }
    Ok(())
}

fn length(args: &[Value], _: &Call<'_>) -> Outcome {
    use unicode_segmentation::UnicodeSegmentation;
    let value = argument(args, 0);
    // Unknown elements of a set may turn out to be the same.
    if let (Data::Set(items), Some(unknown)) = (value.data(), first_unknown(value))
        && items.len() > 1
    {
        return Ok(unknown);
    }
    let length = match value.as_str() {
        Some(text) => Some(text.graphemes(true).count()),
        None => value.len(),
    };
    let length = length.ok_or_else(|| not_a(args, 0, "a string, list, tuple, set, map or object"))?;
    Ok((length as u64).into())
}

fn matchkeys(args: &[Value], call: &Call<'_>) -> Outcome {
    let (values, keys, wanted) = (args.items(0), args.items(1), args.items(2));
    if values.len() != keys.len() {
        return Err("there must be as many keys as values".into());
    }
    call.charge((keys.len() as u64).saturating_mul(wanted.len() as u64))?;
    // Keys of another type than what is searched for count as their texts would.
    let ty = Type::unify([Type::of(argument(args, 1)), Type::of(argument(args, 2))]);
    let ty = ty.ok_or_else(|| Problem::from("the keys and the searchset must have the same type"))?;
    let problem = |error: simfleet_provider_api::ConvertError| Problem::Call(error.to_string());
    let keys = convert(argument(args, 1), &ty).map_err(problem)?;
    let wanted = convert(argument(args, 2), &ty).map_err(problem)?;
    let wanted = wanted.as_slice().unwrap_or_default();
    let matching = values
        .iter()
        .zip(keys.as_slice().unwrap_or_default())
        .filter(|(_, key)| wanted.contains(key));
    Ok(Value::list(matching.map(|(value, _)| value.clone())))
}

fn one(args: &[Value], _: &Call<'_>) -> Outcome {
    match sequence(args, 0)? {
        [] => Ok(Value::NULL),
        [only] => Ok(only.clone()),
        _ => Err(Problem::Argument(0, "it must have no element or one".into())),
    }
}

fn range(args: &[Value], call: &Call<'_>) -> Outcome {
    let zero = Number::from(0i64);
    let (start, end) = match args.len() {
        1 => (zero.clone(), args.number(0).clone()),
        2 | 3 => (args.number(0).clone(), args.number(1).clone()),
        _ => return Err("it takes one, two or three numbers".into()),
    };
    let down = end < start;
    let step = match args.get(2).and_then(Value::as_number) {
        Some(step) => step.clone(),
        None => Number::from(if down { -1i64 } else { 1 }),
    };
    if step.is_zero() {
        return Err(Problem::Argument(2, "the step must not be zero".into()));
    }
    if step.is_negative() && start < end {
        return Err(Problem::Argument(
            2,
            "with a negative step, the end must be below the start".into(),
        ));
    }
    if !step.is_negative() && down {
        return Err(Problem::Argument(
            2,
            "with a positive step, the end must be above the start".into(),
        ));
    }
    let mut items = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if items.len() == MAX_RANGE {
            return Err(format!(
                "more than {MAX_RANGE} values; take a larger step, or a start and end closer together"
            )
            .into());
        }
        items.push(Value::from(next.clone()));
        next = next.add(&step).map_err(|error| Problem::Call(error.to_string()))?;
    }
    call.charge(items.len() as u64)?;
    Ok(Value::list(items))
}

fn reverse(args: &[Value], _: &Call<'_>) -> Outcome {
    let items = sequence(args, 0)?.iter().rev().cloned().collect();
    Ok(like(argument(args, 0), items))
}

fn slice(args: &[Value], _: &Call<'_>) -> Outcome {
    let (Data::Tuple(items) | Data::List(items)) = argument(args, 0).data() else {
        return Err(not_a(args, 0, "a list or tuple"));
    };
    let position = |index: usize| {
        let position = usize::try_from(args.whole(index)?);
        position.map_err(|_| Problem::Argument(index, "it must not be negative".into()))
    };
    let (start, end) = (position(1)?, position(2)?);
    if end > items.len() {
        return Err(Problem::Argument(
            2,
            "it must not be greater than the length of the list".into(),
        ));
    }
    let part = items.get(start..end);
    let part = part.ok_or_else(|| Problem::Argument(1, "it must not be greater than the end index".into()))?;
    Ok(like(argument(args, 0), part.to_vec()))
}
