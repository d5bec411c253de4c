//! Numbers.

use simfleet_provider_api::{Number, NumberError, Value};

use super::{Arguments, Call, Function, Outcome, Problem, any, number, sequence};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("abs", &[number("num")], |args, _| Ok(args.number(0).abs().into())),
    Function::plain("ceil", &[number("num")], |args, _| Ok(args.number(0).ceil().into())),
    Function::plain("floor", &[number("num")], |args, _| Ok(args.number(0).floor().into())),
    Function::plain("log", &[number("num"), number("base")], |args, _| {
        result(args.number(0).log(args.number(1)))
    }),
    Function::plain("max", &[], max).and(number("numbers")),
    Function::plain("min", &[], min).and(number("numbers")),
    Function::plain("parseint", &[any("number"), number("base")], parseint),
    Function::plain("pow", &[number("num"), number("power")], |args, _| {
        result(args.number(0).pow(args.number(1)))
    }),
    Function::plain("signum", &[number("num")], |args, _| Ok(args.whole(0)?.signum().into())),
    Function::plain("sum", &[any("list")], sum),
];

fn result(number: Result<Number, NumberError>) -> Outcome {
    number
        .map(Value::from)
        .map_err(|error| Problem::Call(error.to_string()))
}

fn max(args: &[Value], _: &Call<'_>) -> Outcome {
    let most = args.iter().filter_map(Value::as_number).max();
    most.map(|number| number.clone().into())
        .ok_or_else(|| "it needs at least one number".into())
}

fn min(args: &[Value], _: &Call<'_>) -> Outcome {
    let least = args.iter().filter_map(Value::as_number).min();
    least
        .map(|number| number.clone().into())
        .ok_or_else(|| "it needs at least one number".into())
}

fn parseint(args: &[Value], _: &Call<'_>) -> Outcome {
    let Some(text) = args.first().and_then(Value::as_str) else {
        return Err(Problem::Argument(0, "it must be a string".into()));
    };
    let base = u32::try_from(args.whole(1)?)
        .ok()
        .filter(|base| (2..=62).contains(base));
    let base = base.ok_or_else(|| Problem::Argument(1, "the base must be a whole number from 2 to 62".into()))?;
    Number::from_str_radix(text, base)
        .map(Value::from)
        .map_err(|error| match error {
            NumberError::Syntax => Problem::Argument(0, format!("it is not a whole number in base {base}")),
            error => Problem::Argument(0, error.to_string()),
        })
}

fn sum(args: &[Value], call: &Call<'_>) -> Outcome {
    let items = sequence(args, 0)?;
    if items.is_empty() {
        return Err(Problem::Argument(
            0,
            "there is nothing to sum up: the list is empty".into(),
        ));
    }
    call.charge(items.len() as u64)?;
    let mut sum = Number::from(0i64);
    for item in items {
        let item = simfleet_provider_api::convert(item, &simfleet_provider_api::Type::Number)
            .map_err(|error| Problem::Argument(0, error.to_string()))?;
        let Some(number) = item.as_number() else {
            return Err(Problem::Argument(0, "its elements must not be null".into()));
        };
        sum = sum.add(number).map_err(|error| Problem::Call(error.to_string()))?;
    }
    Ok(sum.into())
}
