//! Sets.

use simfleet_provider_api::{Data, Type, Value, convert};

use super::{Call, Function, Outcome, Problem, any, sequence};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("setintersection", &[any("first_set")], setintersection).and(any("other_sets")),
    Function::elements("setproduct", &[], setproduct).and(any("sets")),
    Function::plain("setsubtract", &[any("a"), any("b")], setsubtract),
    Function::plain("setunion", &[any("first_set")], setunion).and(any("other_sets")),
];

/// Returns the arguments as sets of the type that all of them have in common.
fn sets(args: &[Value]) -> Result<Vec<Value>, Problem> {
    let mut types = Vec::new();
    for i in 0..args.len() {
        let items = sequence(args, i)?;
        types.push(Type::Set(Box::new(
            Type::unify(items.iter().map(Type::of)).ok_or_else(|| mixed(i))?,
        )));
    }
    let ty = Type::unify(types).ok_or_else(|| Problem::from("the sets must have the same type of elements"))?;
    args.iter()
        .enumerate()
        .map(|(i, value)| convert(value, &ty).map_err(|error| Problem::Argument(i, error.to_string())))
        .collect()
}

fn mixed(index: usize) -> Problem {
    Problem::Argument(index, "all elements of a set must have the same type".into())
}

fn setunion(args: &[Value], call: &Call<'_>) -> Outcome {
    let sets = sets(args)?;
    let items: Vec<Value> = sets
        .iter()
        .flat_map(|set| set.as_slice().unwrap_or_default())
        .cloned()
        .collect();
    call.charge(items.len() as u64)?;
    Ok(Value::set(items))
}

fn setintersection(args: &[Value], call: &Call<'_>) -> Outcome {
    let sets = sets(args)?;
    let mut kept = sets.first().and_then(Value::as_slice).unwrap_or_default().to_vec();
    for set in sets.iter().skip(1) {
        let other = set.as_slice().unwrap_or_default();
        call.charge((kept.len() as u64).saturating_mul(other.len() as u64) / 8)?;
        kept.retain(|item| other.contains(item));
    }
    Ok(Value::set(kept))
}

fn setsubtract(args: &[Value], call: &Call<'_>) -> Outcome {
    let sets = sets(args)?;
    let mut kept = sets.first().and_then(Value::as_slice).unwrap_or_default().to_vec();
    let other = sets.get(1).and_then(Value::as_slice).unwrap_or_default();
    call.charge((kept.len() as u64).saturating_mul(other.len() as u64) / 8)?;
    kept.retain(|item| !other.contains(item));
    Ok(Value::set(kept))
}

/// All combinations of one element of each; the first changes slowest. Where one of the arguments is a set, the
/// result is one.
fn setproduct(args: &[Value], call: &Call<'_>) -> Outcome {
    if args.len() < 2 {
        return Err("it needs at least two sets".into());
    }
    let mut product: Vec<Vec<Value>> = vec![Vec::new()];
    for i in 0..args.len() {
        let items = sequence(args, i)?;
        let items = match Type::unify(items.iter().map(Type::of)) {
            Some(ty) => convert(&Value::tuple(items.iter().cloned()), &Type::list(ty)),
            None => return Err(mixed(i)),
        };
        let items = items.map_err(|error| Problem::Argument(i, error.to_string()))?;
        let items = items.as_slice().unwrap_or_default();
        let size = (product.len() as u64)
            .saturating_mul(items.len() as u64)
            .saturating_mul(i as u64 + 1);
        call.charge(size)?;
        product = product
            .iter()
            .flat_map(|row| {
                items.iter().map(|item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    let rows = product.into_iter().map(Value::tuple);
    let any_set = args.iter().any(|value| matches!(value.data(), Data::Set(_)));
    Ok(if any_set { Value::set(rows) } else { Value::list(rows) })
}
