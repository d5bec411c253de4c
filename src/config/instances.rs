//! `count` and `for_each` to instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::Span as _;
use simfleet_provider_api::convert::describe;
use simfleet_provider_api::{Data, Type, Value, convert};

use super::eval::{Expr, Scope, evaluate};
use super::meta::{Instances, MetaArguments};
use super::record::Mode;
use super::schema::MOST;
use crate::diagnostic::{Diagnostic, Diagnostics, NOT_KNOWN, Span};

/// Returns the instances. `None` where they are not known and the file is only checked.
pub(super) fn instances(meta: &MetaArguments, scope: &dyn Scope, mode: Mode) -> Result<Option<Instances>, Diagnostics> {
    if let Some(expr) = &meta.count {
        return count(expr, scope, mode);
    }
    if let Some(expr) = &meta.for_each {
        return each(expr, scope, mode);
    }
    Ok(Some(Instances::Single))
}

fn span(expr: &Expr) -> Option<Span> {
    expr.syntax.span().map(|range| Span {
        file: Arc::clone(&expr.file),
        range,
    })
}

/// Returns the value, or `None` where it is not known and need not be.
fn known(name: &str, expr: &Expr, value: Value, mode: Mode) -> Result<Option<Value>, Diagnostics> {
    if value.has_sensitive() {
        let detail = format!("`{name}` is sensitive, but the addresses of instances are shown.");
        return Err(Diagnostic::error("Sensitive value", detail)
            .at(span(expr))
            .hint("if it is no secret, use nonsensitive(…)")
            .into());
    }
    let Data::Unknown(unknown) = value.data() else {
        return Ok(Some(value));
    };
    if mode == Mode::Check {
        return Ok(None);
    }
    let detail = format!(
        "`{name}` depends on `{}`, which is known after apply only.",
        unknown.origin
    );
    Err(Diagnostic::error(NOT_KNOWN, detail)
        .at(span(expr))
        .hint("how many instances there are has to be known when the plan is made")
        .into())
}

fn count(expr: &Expr, scope: &dyn Scope, mode: Mode) -> Result<Option<Instances>, Diagnostics> {
    let value = evaluate(expr, scope)?;
    let invalid = |detail: String, hint: &str| {
        let diagnostic = Diagnostic::error("Invalid count", detail).at(span(expr));
        Err(diagnostic.hint(hint).into())
    };
    if value.is_null() {
        return invalid(
            "`count` is null; it must be a whole number.".to_owned(),
            "0 makes none, 1 makes one",
        );
    }
    let Some(value) = known("count", expr, value, mode)? else {
        return Ok(None);
    };
    let number = match convert(&value, &Type::Number) {
        Ok(number) => number,
        Err(_) => {
            let found = match value.as_str() {
                Some(text) => format!("{text:?}"),
                None => describe(&value).to_owned(),
            };
            let hint =
                "a condition makes a number: var.wanted ? 1 : 0; for each element of a list or map there is `for_each`";
            return invalid(format!("`count` must be a whole number, but is {found}."), hint);
        }
    };
    match (number.as_u64(), number.as_number()) {
        (Some(count), _) if count <= MOST => Ok(Some(Instances::Count(count))),
        (_, Some(number)) if number.is_integer() => {
            let hint = "`min` and `max` keep it within bounds: max(0, …)";
            invalid(format!("`count` must be from 0 to {MOST}, but is {number}."), hint)
        }
        (_, number) => {
            let hint = "`floor` and `ceil` make a whole number of one with a fraction";
            let found = number.map(|number| format!(", but is {number}")).unwrap_or_default();
            invalid(format!("`count` must be a whole number{found}."), hint)
        }
    }
}

fn each(expr: &Expr, scope: &dyn Scope, mode: Mode) -> Result<Option<Instances>, Diagnostics> {
    let value = evaluate(expr, scope)?;
    let invalid = |detail: String, hint: Option<&str>| {
        let diagnostic = Diagnostic::error("Invalid for_each", detail).at(span(expr));
        Err(match hint {
            Some(hint) => diagnostic.hint(hint).into(),
            None => diagnostic.into(),
        })
    };
    match value.data() {
        Data::Null => invalid(
            "`for_each` is null; it must be a map, or a set of strings.".to_owned(),
            None,
        ),
        Data::Unknown(_) => known("for_each", expr, value, mode).map(|_| None),
        Data::Object(object) => keyed(&object.fields, expr, &value),
        Data::Map(fields) => keyed(fields, expr, &value),
        Data::Set(items) => {
            let mut instances = BTreeMap::new();
            for item in items.iter() {
                let Some(item) = known("for_each", expr, item.clone().mark(value.is_sensitive()), mode)? else {
                    return Ok(None);
                };
                let Some(key) = item.as_str() else {
                    let detail = format!(
                        "`for_each` is a set with {} in it; it must be a map, or a set of strings.",
                        describe(&item)
                    );
                    return invalid(detail, None);
                };
                instances.insert(Arc::from(key), item);
            }
            Ok(Some(Instances::Each(instances)))
        }
        Data::Tuple(_) | Data::List(_) => {
            let detail = format!(
                "`for_each` is {}; it must be a map, or a set of strings.",
                describe(&value)
            );
            invalid(detail, Some("make it a set with toset(…)"))
        }
        _ => {
            let detail = format!(
                "`for_each` is {}; it must be a map, or a set of strings.",
                describe(&value)
            );
            invalid(detail, None)
        }
    }
}

fn keyed(fields: &BTreeMap<Arc<str>, Value>, expr: &Expr, value: &Value) -> Result<Option<Instances>, Diagnostics> {
    // Elements may be sensitive or unknown; the keys, which are shown, are not.
    if value.is_sensitive() {
        known("for_each", expr, value.clone(), Mode::Plan)?;
    }
    Ok(Some(Instances::Each(fields.clone())))
}
