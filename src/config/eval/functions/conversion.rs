//! Types, and the marks of values.

use simfleet_provider_api::{Type, Value, convert};

use super::{Arguments, Call, Function, Outcome, Problem, any, string};
use crate::config::eval::evaluator::unknown;
use crate::config::eval::render::render_type;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::raw("env", &[string("name")], env).and(any("default").nullable()),
    // No value of a fleet is ephemeral.
    Function::raw("ephemeralasnull", &[any("value").nullable()], |args, _| Ok(first(args))),
    Function::raw("issensitive", &[any("value").nullable()], |args, _| {
        Ok(args.iter().any(Value::is_sensitive).into())
    }),
    Function::raw("nonsensitive", &[any("value").nullable()], |args, _| {
        Ok(first(args).unmarked())
    }),
    Function::raw("sensitive", &[any("value").nullable()], |args, _| {
        Ok(first(args).mark(true))
    }),
    Function::elements("tobool", &[any("v").nullable()], |args, _| to(args, &Type::Bool)),
    Function::elements("tolist", &[any("v").nullable()], |args, _| {
        to(args, &Type::list(Type::Any))
    }),
    Function::elements("tomap", &[any("v").nullable()], |args, _| {
        to(args, &Type::map(Type::Any))
    }),
    Function::elements("tonumber", &[any("v").nullable()], |args, _| to(args, &Type::Number)),
    Function::elements("toset", &[any("v").nullable()], |args, _| {
        to(args, &Type::Set(Box::new(Type::Any)))
    }),
    Function::elements("tostring", &[any("v").nullable()], |args, _| to(args, &Type::String)),
    Function::raw("type", &[any("value").nullable()], |args, _| {
        Ok(render_type(&Type::of(&first(args))).into())
    }),
];

fn first(args: &[Value]) -> Value {
    args.first().cloned().unwrap_or(Value::NULL)
}

fn to(args: &[Value], ty: &Type) -> Outcome {
    convert(&first(args), ty).map_err(|error| Problem::Argument(0, error.to_string()))
}

/// `env(NAME)` and `env(NAME, default)`. What comes from the environment is a secret until someone says otherwise.
fn env(args: &[Value], call: &Call<'_>) -> Outcome {
    if args.len() > 2 {
        return Err("it takes a name and a default".into());
    }
    if let Some(unknown) = args.first().and_then(unknown) {
        return Ok(unknown.mark(true));
    }
    let name = args.text(0);
    let shown = match args.first().is_some_and(Value::is_sensitive) {
        true => "…",
        false => name,
    };
    match (call.scope.environment(name), args.get(1)) {
        (Some(value), _) => Ok(Value::string(value).mark(true)),
        (None, Some(default)) => Ok(default.clone().mark(true)),
        (None, None) if !call.scope.is_environment_known() => Ok(Value::unknown(format!("env({shown:?})")).mark(true)),
        (None, None) => Err(Problem::Argument(
            0,
            format!("the environment variable {shown} is not set; set it, or give a default: env(\"{shown}\", \"…\")"),
        )),
    }
}
