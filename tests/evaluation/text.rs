//! Time, heredocs, and what an object shares.

use std::path::Path;

use simfleet::config::eval::{Expr, Reference, Scope, evaluate};
use simfleet::diagnostic::Diagnostic;
use simfleet_provider_api::{Address, Value};

use crate::{Fleet, eval, fleet};

/// The same fleet while it is applied: there is a time.
struct Applied(Fleet);

impl Scope for Applied {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        self.0.resolve(reference)
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.0.environment(name)
    }

    fn now(&self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_second(1_700_000_000).ok()
    }
}

#[test]
fn the_time_is_that_of_the_scope() {
    let scope = Applied(fleet());
    for (text, expected) in [
        ("timestamp()", "2023-11-14T22:13:20Z"),
        ("plantimestamp()", "2023-11-14T22:13:20Z"),
        ("timeadd(timestamp(), \"1h\")", "2023-11-14T23:13:20Z"),
        ("tostring(length(uuid()))", "36"),
    ] {
        let value = evaluate(&Expr::parse("fleet.hcl", text).unwrap(), &scope).unwrap();
        assert_eq!(value.as_str(), Some(expected), "{text}");
    }
}

#[test]
fn heredocs() {
    // As terraform evaluates them.
    for (text, expected) in [
        ("<<EOT\n  a\n    b\nEOT\n", "  a\n    b\n"),
        ("<<-EOT\n    a\n      b\n    ${\"x\"}\n  EOT\n", "a\n  b\nx\n"),
        (
            "<<-EOT\n    %{ for x in [\"p\", \"q\"] ~}\n    item ${x}\n    %{ endfor ~}\n    end\n  EOT\n",
            "    item p\n    item q\n    end\n",
        ),
        ("<<EOT\na ${~ \"x\" ~}   \n\n   b\nEOT\n", "ax\n   b\n"),
        (
            "<<EOT\n%{ if true ~}\n\n   yes\n\n%{~ else ~}\n  no\n%{ endif }\ntail\nEOT\n",
            "\n   yes\n\ntail\n",
        ),
        ("<<-EOT\n      a\n\n        b\n    EOT\n", "a\n\n  b\n"),
        ("<<EOT\nEOT\n", ""),
        ("<<EOT\na\\nb $${x} %%{if} $x 100%\nEOT\n", "a\\nb ${x} %{if} $x 100%\n"),
        ("<<-EOT\n    ${\"x\"}\n      b\n  EOT\n", "x\n  b\n"),
    ] {
        assert_eq!(
            eval(text.trim_end_matches('\n')).unwrap().as_str(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn a_field_of_a_large_object_is_shared() {
    let value = eval("node.a.labels").unwrap();
    let again = eval("[node][0].a.labels").unwrap();
    assert_eq!(value, again);
    assert_eq!(eval("node.a").unwrap().origin(), Some(&Address::new("node", ["a"])));
    assert_eq!(
        eval("true ? node.a : null").unwrap().origin(),
        Some(&Address::new("node", ["a"]))
    );
}
