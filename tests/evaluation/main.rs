//! What an expression makes of values that are unknown or sensitive, its errors, and what hostile text does to it.

mod errors;
mod hostile;
mod text;
mod values;

use std::path::Path;

use simfleet::config::eval::{Expr, Reference, Scope, evaluate, render};
use simfleet::diagnostic::{Diagnostic, Diagnostics};
use simfleet_provider_api::{Address, Value};

/// A fleet with a few names: `var`, one node that is known and one that is not, and a list of nodes.
struct Fleet(Value);

fn fleet() -> Fleet {
    let node = |name: &str| {
        Value::object([
            ("name", Value::from(name)),
            ("address", Value::unknown(format!("node.{name}.address"))),
            ("labels", Value::map([("site", "lab".into())])),
        ])
        .with_origin(Address::new("node", [name]))
    };
    Fleet(Value::object([
        (
            "var",
            Value::object([
                ("name", Value::from("quad")),
                ("count", 3i64.into()),
                ("secret", Value::from("hunter2").mark(true)),
                (
                    "secrets",
                    Value::object([("token", "hunter2".into()), ("size", 3i64.into())]).mark(true),
                ),
                (
                    "mixed",
                    Value::tuple([Value::from("a"), Value::from("hunter2").mark(true)]),
                ),
                ("list", Value::list(["a".into(), "b".into()])),
                ("nothing", Value::NULL),
            ]),
        ),
        (
            "node",
            Value::object([("a", node("a")), ("b", Value::tuple([node("b0"), node("b1")]))]),
        ),
        ("gone", Value::unknown("node.gone")),
        ("other", Value::unknown("node.other")),
    ]))
}

impl Scope for Fleet {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        let Some(mut value) = self.0.get(&reference.root) else {
            return Err(Diagnostic::error(
                "Unknown reference",
                format!("`{}` is not declared.", reference.root),
            ));
        };
        // As far as one step, so that the evaluator takes the others.
        let mut taken = 0;
        if let Some(next) = reference.steps.first().and_then(|step| value.step(step)) {
            value = next;
            taken = 1;
        }
        Ok((value.clone(), taken))
    }

    fn folder(&self) -> &Path {
        Path::new(".")
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "hunter2".to_owned())
    }
}

fn eval(text: &str) -> Result<Value, Diagnostics> {
    evaluate(&Expr::parse("fleet.hcl", text)?, &fleet())
}

/// What `console` prints, and the origin of what is unknown; for an error its summaries, details, places and hints.
fn shown(text: &str) -> String {
    match eval(text) {
        Ok(value) => match (value.is_sensitive(), value.unknown_origin()) {
            (true, Some(origin)) => format!("sensitive unknown {origin}"),
            (false, Some(origin)) if value.is_unknown() => format!("unknown {origin}"),
            _ => render(&value).split_whitespace().collect::<Vec<_>>().join(" "),
        },
        Err(found) => found
            .0
            .iter()
            .map(|diagnostic| {
                let place = diagnostic
                    .span
                    .as_ref()
                    .map_or("", |span| &span.file.text[span.range.clone()]);
                let hint = diagnostic
                    .hint
                    .as_ref()
                    .map(|hint| format!(" ({hint})"))
                    .unwrap_or_default();
                format!("{} at `{place}`: {}{hint}", diagnostic.summary, diagnostic.detail)
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(shown(expression), *expected, "{expression}");
    }
}
