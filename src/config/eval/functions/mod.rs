//! The functions of the fleet language: those of Terraform by the same names, with the same results, one file a family.
//!
//! A function is a row of a table: its parameters say what is converted and checked before it runs, its [`Mode`] what
//! happens to what is unknown or sensitive in its arguments. So nearly all of them see only plain values.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use hcl_edit::Span as _;
use hcl_edit::expr::FuncCall;
use simfleet_provider_api::{Number, Type, Value, convert};

use super::Scope;
use super::call::first_unknown;
use super::evaluator::{Budget, Evaluator, normal, unknown};
use crate::diagnostic::{Diagnostic, SourceFile, Span};

mod collection;
mod conversion;
mod date;
mod encoding;
mod file;
mod format;
mod hash;
mod map;
mod network;
mod numeric;
mod set;
mod string;
mod text;
mod yaml;

/// Functions that Terraform has and that are not built yet.
pub(super) const NOT_YET: &[&str] = &["bcrypt", "rsadecrypt"];

static FUNCTIONS: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let families: [&[Function]; 14] = [
        collection::FUNCTIONS,
        conversion::FUNCTIONS,
        date::FUNCTIONS,
        encoding::FUNCTIONS,
        file::FUNCTIONS,
        format::FUNCTIONS,
        hash::FUNCTIONS,
        map::FUNCTIONS,
        network::FUNCTIONS,
        numeric::FUNCTIONS,
        set::FUNCTIONS,
        string::FUNCTIONS,
        text::FUNCTIONS,
        yaml::FUNCTIONS,
    ];
    families
        .into_iter()
        .flatten()
        .map(|function| (function.name, function))
        .collect()
});

/// Returns a function.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name).copied()
}

/// Returns the names of all functions, in order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = FUNCTIONS.keys().copied().chain(["try", "can"]).collect();
    names.sort_unstable();
    names
}

/// One function.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    /// Where it takes any number of further arguments: what they are.
    pub(super) rest: Option<Param>,
    mode: Mode,
    run: fn(&[Value], &Call<'_>) -> Result<Value, Problem>,
}

/// What happens to what is unknown or sensitive in the arguments.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// The function sees neither: with anything unknown in an argument, at any depth, the result is unknown, and with
    /// anything sensitive it is sensitive.
    Plain,
    /// The function passes elements on: only what is unknown or sensitive as a whole counts for the whole result.
    Elements,
    /// The function sees the arguments as they are.
    Raw,
}

/// One parameter.
#[derive(Clone, Copy)]
pub(super) struct Param {
    pub(super) name: &'static str,
    accepts: Accepts,
    nullable: bool,
}

/// What an argument is converted to.
#[derive(Clone, Copy, PartialEq)]
enum Accepts {
    Any,
    Number,
    String,
    Strings,
    Bools,
    AnyList,
    StringListMap,
}

/// What a function needs beside its arguments.
pub(super) struct Call<'a> {
    scope: &'a dyn Scope,
    budget: &'a Budget,
    in_template: bool,
    file: &'a Arc<SourceFile>,
    /// Where in the file it is called.
    range: Range<usize>,
}

/// Why there is no result.
pub(super) enum Problem {
    /// One argument, by its position, is not what it should be.
    Argument(usize, String),
    /// All of them.
    Call(String),
    /// The result would be larger than an expression may make.
    TooLarge,
    /// A template file has errors.
    Template(Vec<Diagnostic>),
}

impl From<String> for Problem {
    fn from(detail: String) -> Self {
        Problem::Call(detail)
    }
}

impl From<&str> for Problem {
    fn from(detail: &str) -> Self {
        Problem::Call(detail.to_owned())
    }
}

type Outcome = Result<Value, Problem>;

const fn any(name: &'static str) -> Param {
    param(name, Accepts::Any)
}

const fn string(name: &'static str) -> Param {
    param(name, Accepts::String)
}

const fn number(name: &'static str) -> Param {
    param(name, Accepts::Number)
}

const fn strings(name: &'static str) -> Param {
    param(name, Accepts::Strings)
}

const fn param(name: &'static str, accepts: Accepts) -> Param {
    Param {
        name,
        accepts,
        nullable: false,
    }
}

impl Param {
    const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    fn convert(&self, value: Value) -> Result<Value, simfleet_provider_api::ConvertError> {
        let ty = match self.accepts {
            Accepts::Any => return Ok(value),
            Accepts::Number => Type::Number,
            Accepts::String => Type::String,
            Accepts::Strings => Type::list(Type::String),
            Accepts::Bools => Type::list(Type::Bool),
            Accepts::AnyList => Type::list(Type::Any),
            Accepts::StringListMap => Type::map(Type::list(Type::String)),
        };
        convert(&value, &ty)
    }
}

impl Function {
    const fn plain(
        name: &'static str,
        params: &'static [Param],
        run: fn(&[Value], &Call<'_>) -> Result<Value, Problem>,
    ) -> Self {
        Function {
            name,
            params,
            rest: None,
            mode: Mode::Plain,
            run,
        }
    }

    const fn elements(
        name: &'static str,
        params: &'static [Param],
        run: fn(&[Value], &Call<'_>) -> Result<Value, Problem>,
    ) -> Self {
        Function {
            mode: Mode::Elements,
            ..Self::plain(name, params, run)
        }
    }

    const fn raw(
        name: &'static str,
        params: &'static [Param],
        run: fn(&[Value], &Call<'_>) -> Result<Value, Problem>,
    ) -> Self {
        Function {
            mode: Mode::Raw,
            ..Self::plain(name, params, run)
        }
    }

    const fn and(mut self, rest: Param) -> Self {
        self.rest = Some(rest);
        self
    }

    /// Returns the parameter that an argument is for.
    pub(super) fn param(&self, index: usize) -> Option<&Param> {
        self.params.get(index).or(self.rest.as_ref())
    }

    /// Calls the function. The number of arguments fits it.
    pub(super) fn call(&self, mut arguments: Vec<Value>, call: &Call<'_>) -> Outcome {
        let mut sensitive = false;
        let mut missing = None;
        for (i, argument) in arguments.iter_mut().enumerate() {
            let Some(param) = self.param(i) else { continue };
            if argument.is_null() && !param.nullable {
                return Err(Problem::Argument(i, "it must not be null".to_owned()));
            }
            let mut value = std::mem::replace(argument, Value::NULL);
            match self.mode {
                Mode::Plain => {
                    let marked;
                    (value, marked) = value.unmark_deep();
                    sensitive |= marked;
                }
                Mode::Elements => {
                    sensitive |= value.is_sensitive();
                    value = value.unmarked();
                }
                Mode::Raw => {}
            }
            *argument = param
                .convert(value)
                .map_err(|error| Problem::Argument(i, error.to_string()))?;
            // A set that was made of sensitive elements.
            if self.mode != Mode::Raw && argument.is_sensitive() {
                sensitive = true;
                *argument = std::mem::replace(argument, Value::NULL).unmarked();
            }
            if missing.is_none() {
                missing = match self.mode {
                    Mode::Plain => first_unknown(argument),
                    Mode::Elements => unknown(argument),
                    Mode::Raw => None,
                };
            }
        }
        let result = match missing {
            Some(unknown) => unknown,
            // What is wrong with a secret would tell of it.
            None => (self.run)(&arguments, call).map_err(|problem| match problem {
                Problem::Argument(i, _) if sensitive => Problem::Argument(i, SECRET.to_owned()),
                Problem::Call(_) if sensitive => Problem::Call(SECRET.to_owned()),
                problem => problem,
            })?,
        };
        let result = match result.as_str() {
            Some(text) if !text.is_ascii() => normal(text.into()).mark(result.is_sensitive()),
            _ => result,
        };
        if let Some(length) = result.len().or_else(|| result.as_str().map(|text| text.len() / 8)) {
            call.charge(length as u64)?;
        }
        Ok(result.mark(sensitive))
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(evaluator: &'a Evaluator<'_>, call: &FuncCall) -> Self {
        Call {
            scope: evaluator.scope,
            budget: &evaluator.budget,
            in_template: evaluator.variables.is_some(),
            file: evaluator.file,
            range: call.span().unwrap_or_default(),
        }
    }

    /// Where it is called.
    fn span(&self) -> Span {
        Span {
            file: Arc::clone(self.file),
            range: self.range.clone(),
        }
    }

    /// Takes work from what the expression may cost, before it is done.
    fn charge(&self, work: u64) -> Result<(), Problem> {
        if self.budget.take(work) {
            Ok(())
        } else {
            Err(Problem::TooLarge)
        }
    }
}

/// The arguments, as a function takes them: what they were converted to.
trait Arguments {
    fn text(&self, index: usize) -> &str;
    fn number(&self, index: usize) -> &Number;
    fn items(&self, index: usize) -> &[Value];
    /// Returns a number as a position or a count.
    fn whole(&self, index: usize) -> Result<i64, Problem>;
}

const SECRET: &str = "what is wrong is not shown, since an argument is sensitive";

static ZERO: LazyLock<Number> = LazyLock::new(|| Number::from(0i64));

impl Arguments for [Value] {
    fn text(&self, index: usize) -> &str {
        self.get(index).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, index: usize) -> &Number {
        self.get(index).and_then(Value::as_number).unwrap_or(&ZERO)
    }

    fn items(&self, index: usize) -> &[Value] {
        self.get(index).and_then(Value::as_slice).unwrap_or_default()
    }

    fn whole(&self, index: usize) -> Result<i64, Problem> {
        let number = self.number(index);
        let detail = if number.is_integer() {
            "it is too large"
        } else {
            "it must be a whole number"
        };
        number
            .as_i64()
            .ok_or_else(|| Problem::Argument(index, detail.to_owned()))
    }
}

/// Returns an error unless the argument is a list, tuple or set.
fn sequence(arguments: &[Value], index: usize) -> Result<&[Value], Problem> {
    match arguments.get(index) {
        Some(value) => value.as_slice().ok_or_else(|| {
            let found = simfleet_provider_api::convert::describe(value);
            Problem::Argument(index, format!("it must be a list, tuple or set, but this is {found}"))
        }),
        None => Ok(&[]),
    }
}
