//! Function calls.

use hcl_edit::expr::{Expression, FuncCall};
use simfleet_provider_api::{Data, Value};

use super::evaluator::{Evaluated, Evaluator, Failed, Names, unknown};
use super::functions::{self, Call, Function, Problem};
use super::operators::equal;
use crate::diagnostic::Diagnostic;

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &FuncCall, names: Names<'_>) -> Evaluated {
        let name = call.name.name.as_str();
        // What is built in can be called by its namespace too.
        let is_built_in = match &*call.name.namespace {
            [] => true,
            [only] => only.as_str() == "core",
            _ => false,
        };
        if is_built_in {
            match name {
                "try" => return self.attempt_each(call, names),
                "can" => return self.can(call, names),
                "templatestring" => self.check_template(call)?,
                _ => {}
            }
            if let Some(function) = functions::find(name) {
                return self.apply(function, call, names);
            }
        }
        // The arguments may have errors of their own.
        for argument in call.args.iter() {
            let _ = self.eval(argument, names);
        }
        let diagnostic = if !is_built_in {
            let diagnostic = Diagnostic::error("Call to unknown function", "Functions of providers are not available.");
            diagnostic.hint("what is built in is called by its name: upper(…), or core::upper(…)")
        } else if functions::NOT_YET.contains(&name) {
            Diagnostic::error("Function not available", format!("`{name}` is not available yet."))
        } else {
            let diagnostic = Diagnostic::error("Call to unknown function", format!("There is no function `{name}`."));
            let known =
                "the functions are those of Terraform, by the same names; `env` reads a variable of the environment";
            diagnostic.nearest_or(name, functions::names(), known)
        };
        Err(self.fail(diagnostic.at(self.span(&call.name.name))))
    }

    /// Checks that a template is named: one that is written out is a template string already.
    fn check_template(&mut self, call: &FuncCall) -> Result<(), Failed> {
        let is_named = |template: &Expression| match template {
            Expression::Variable(_) => true,
            Expression::Traversal(traversal) => traversal.expr.is_variable(),
            _ => false,
        };
        match call.args.iter().next().filter(|template| !is_named(template)) {
            None => Ok(()),
            Some(template) => {
                let detail = "`templatestring` renders a template that is found elsewhere, so its first argument must be a \
                              reference, such as local.greeting.";
                let diagnostic = Diagnostic::error("Invalid function argument", detail).at(self.span(template));
                Err(self.fail(diagnostic.hint("a template that is written out is a string: \"Hello, ${name}\"")))
            }
        }
    }

    fn apply(&mut self, function: &Function, call: &FuncCall, names: Names<'_>) -> Evaluated {
        let mut arguments = Vec::with_capacity(call.args.len());
        let mut failed = false;
        for argument in call.args.iter() {
            match self.eval(argument, names) {
                Ok(value) => arguments.push(value),
                Err(Failed) => failed = true,
            }
        }
        if failed {
            return Err(Failed);
        }
        let mut sensitive = false;
        if call.args.expand_final()
            && let (Some(last), Some(at)) = (arguments.pop(), call.args.iter().last())
        {
            if let Some(unknown) = unknown(&last) {
                return Ok(unknown.mark(last.is_sensitive()));
            }
            sensitive = last.is_sensitive();
            let Some(items) = last.as_slice() else {
                let detail = format!(
                    "`...` spreads a list, tuple or set over the arguments, but this is {}.",
                    simfleet_provider_api::convert::describe(&last)
                );
                return Err(self.fail(Diagnostic::error("Invalid expanding argument value", detail).at(self.span(at))));
            };
            self.charge(items.len() as u64, at)?;
            arguments.extend(items.iter().cloned());
        }
        self.check_count(function, call, arguments.len())?;
        let result = function.call(arguments, &Call::new(self, call));
        result
            .map(|value| value.mark(sensitive))
            .map_err(|problem| self.problem(problem, function, call))
    }

    fn check_count(&mut self, function: &Function, call: &FuncCall, given: usize) -> Result<(), Failed> {
        let wanted = function.params.len();
        let plural = if wanted == 1 { "" } else { "s" };
        let name = function.name;
        let diagnostic = if let Some(missing) = function.params.get(given) {
            let least = if function.rest.is_some() { "at least " } else { "" };
            let detail = format!(
                "`{name}` takes {least}{wanted} argument{plural}: `{}` is missing.",
                missing.name
            );
            Diagnostic::error("Not enough function arguments", detail).at(self.span(call))
        } else if given > wanted && function.rest.is_none() {
            let at = call.args.iter().nth(wanted).or_else(|| call.args.iter().last());
            let detail = format!("`{name}` takes only {wanted} argument{plural}.");
            Diagnostic::error("Too many function arguments", detail).at(at.and_then(|at| self.span(at)))
        } else {
            return Ok(());
        };
        Err(self.fail(diagnostic))
    }

    fn problem(&mut self, problem: Problem, function: &Function, call: &FuncCall) -> Failed {
        let diagnostic = match problem {
            Problem::Argument(index, detail) => {
                let parameter = function.param(index).map_or("", |param| param.name);
                let detail = format!("Invalid value for `{parameter}` of `{}`: {detail}.", function.name);
                // What `...` spreads has no place of its own.
                let at = call.args.iter().nth(index).or_else(|| call.args.iter().last());
                let span = at.and_then(|at| self.span(at)).or_else(|| self.span(call));
                Diagnostic::error("Invalid function argument", detail).at(span)
            }
            Problem::Call(detail) => {
                let detail = format!("`{}` failed: {detail}.", function.name);
                Diagnostic::error("Error in function call", detail).at(self.span(call))
            }
            Problem::TooLarge => {
                let detail = format!(
                    "The result of `{}` is more than one expression may make.",
                    function.name
                );
                Diagnostic::error("Expression too large", detail).at(self.span(call))
            }
            Problem::Template(found) => {
                let span = self.span(call);
                for mut diagnostic in found {
                    if let Some(span) = &span {
                        diagnostic = diagnostic.related(span.clone(), "the template is used here");
                    }
                    self.fail(diagnostic);
                }
                return Failed;
            }
        };
        self.fail(diagnostic)
    }

    /// `try`: the first argument that can be evaluated.
    fn attempt_each(&mut self, call: &FuncCall, names: Names<'_>) -> Evaluated {
        let mut details = Vec::new();
        for argument in call.args.iter() {
            match self.attempt(argument, names) {
                Ok(value) => return Ok(value),
                Err(found) => details.extend(found.into_iter().map(|diagnostic| diagnostic.detail)),
            }
        }
        let diagnostic = match details.is_empty() {
            true => Diagnostic::error("Not enough function arguments", "`try` takes at least 1 argument."),
            false => {
                let detail = format!("No argument of `try` can be evaluated: {}", details.join(" "));
                Diagnostic::error("Error in function call", detail)
            }
        };
        Err(self.fail(diagnostic.at(self.span(call))))
    }

    /// `can`: whether the argument can be evaluated.
    fn can(&mut self, call: &FuncCall, names: Names<'_>) -> Evaluated {
        let mut arguments = call.args.iter();
        let (Some(argument), None) = (arguments.next(), arguments.next()) else {
            let summary = match call.args.is_empty() {
                true => "Not enough function arguments",
                false => "Too many function arguments",
            };
            return Err(self.fail(Diagnostic::error(summary, "`can` takes 1 argument.").at(self.span(call))));
        };
        Ok(match self.attempt(argument, names) {
            // What is not known yet may turn out to be wrong.
            Ok(value) => unknown(&value).unwrap_or_else(|| true.into()),
            Err(_) => false.into(),
        })
    }
}

/// Returns whether a sequence holds a value; a value that is not known where that cannot be told.
pub(super) fn contains(items: &[Value], wanted: &Value) -> Result<Option<usize>, Value> {
    let mut undecided = None;
    for (i, item) in items.iter().enumerate() {
        match equal(item, wanted) {
            Ok(true) => return Ok(Some(i)),
            Ok(false) => {}
            Err(unknown) => drop(undecided.get_or_insert(unknown)),
        }
    }
    match undecided {
        Some(unknown) => Err(unknown),
        None => Ok(None),
    }
}

/// Returns what is unknown in a value, at any depth.
pub(super) fn first_unknown(value: &Value) -> Option<Value> {
    if let Some(unknown) = unknown(value) {
        return Some(unknown);
    }
    match value.data() {
        Data::Tuple(items) | Data::List(items) | Data::Set(items) => items.iter().find_map(first_unknown),
        Data::Object(_) | Data::Map(_) => value.as_fields()?.values().find_map(first_unknown),
        _ => None,
    }
}
