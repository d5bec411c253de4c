//! What an expression makes of values that are unknown or sensitive, its errors, and what hostile text does to it.

use std::path::Path;

use proptest::prelude::*;
use simfleet::config::eval::{Expr, Reference, Scope, evaluate, render};
use simfleet::diagnostic::{Diagnostic, Diagnostics};
use simfleet_provider_api::{Address, PathStep, Value};

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

#[test]
fn unknown_values_travel() {
    check(&[
        ("gone", "unknown node.gone"),
        ("gone.address", "unknown node.gone"),
        ("gone[0].x[*].y", "unknown node.gone"),
        ("node.a.name", "\"a\""),
        ("node.a.address", "unknown node.a.address"),
        ("node.b[1].address", "unknown node.b1.address"),
        ("gone + other", "unknown node.gone"),
        ("1 + other", "unknown node.other"),
        ("-gone", "unknown node.gone"),
        ("!gone", "unknown node.gone"),
        ("gone == 1", "unknown node.gone"),
        ("gone != gone", "unknown node.gone"),
        ("[gone, 1] == [1, 2]", "false"),
        ("[gone, 1] == [1, 1]", "unknown node.gone"),
        ("gone < 2", "unknown node.gone"),
        ("false && gone", "false"),
        ("gone && false", "false"),
        ("true && gone", "unknown node.gone"),
        ("gone && true", "unknown node.gone"),
        ("true || gone", "true"),
        ("gone || true", "true"),
        ("gone || other", "unknown node.gone"),
        ("gone ? 1 : 2", "unknown node.gone"),
        ("true ? 1 : gone", "1"),
        ("false ? 1 : gone", "unknown node.gone"),
        ("\"a${gone}\"", "unknown node.gone"),
        ("\"${gone}\"", "unknown node.gone"),
        ("\"%{ if gone }a%{ endif }\"", "unknown node.gone"),
        ("\"%{ for x in gone }a%{ endfor }\"", "unknown node.gone"),
        ("[gone, 1]", "[ (known after apply), 1, ]"),
        ("{ a = gone, b = 1 }", "{ \"a\" = (known after apply) \"b\" = 1 }"),
        ("{ a = gone, b = 1 }.b", "1"),
        ("{ (gone) = 1 }", "unknown node.gone"),
        ("[for x in gone : x]", "unknown node.gone"),
        ("[for x in [gone, 1] : x]", "[ (known after apply), 1, ]"),
        ("[for x in [1, 2] : x if gone]", "unknown node.gone"),
        ("{ for x in [\"a\"] : x => gone }", "{ \"a\" = (known after apply) }"),
        ("{ for x in [gone] : x => 1 }", "unknown node.gone"),
        ("node.b[*].name", "[ \"b0\", \"b1\", ]"),
        ("node.b[*].address", "[ (known after apply), (known after apply), ]"),
        ("var.list[gone]", "unknown node.gone"),
        (
            "gone[var.nope]",
            "Unsupported attribute at `nope`: This object has no attribute `nope`.",
        ),
        ("length([gone])", "1"),
        ("length(gone)", "unknown node.gone"),
        ("length(toset([gone, \"a\"]))", "unknown node.gone"),
        ("keys({ a = gone })", "[ \"a\", ]"),
        ("values({ a = gone, b = 1 })", "[ (known after apply), 1, ]"),
        ("merge({ a = gone }, { b = 1 }).b", "1"),
        ("merge(gone, { b = 1 })", "unknown node.gone"),
        ("concat([gone], [1])[1]", "1"),
        ("element([gone, 1], 1)", "1"),
        ("lookup({ a = 1, b = gone }, \"a\", 0)", "1"),
        ("contains([1, gone], 1)", "true"),
        ("contains([1, gone], 2)", "unknown node.gone"),
        ("join(\",\", [\"a\", gone])", "unknown node.gone"),
        ("upper(gone)", "unknown node.gone"),
        ("jsonencode({ a = gone })", "unknown node.gone"),
        ("max(1, gone)", "unknown node.gone"),
        ("max([1, gone]...)", "unknown node.gone"),
        ("max(gone...)", "unknown node.gone"),
        ("tolist([gone, 1])", "tolist([ (known after apply), 1, ])"),
        ("toset([gone])", "toset([ (known after apply), ])"),
        ("tostring(gone)", "unknown node.gone"),
        ("coalesce(gone, 1)", "unknown node.gone"),
        ("coalesce(1, gone)", "1"),
        ("alltrue([false, gone])", "false"),
        ("alltrue([true, gone])", "unknown node.gone"),
        ("anytrue([true, gone])", "true"),
        ("flatten([[1], gone])", "unknown node.gone"),
        ("flatten([[1], [gone]])", "unknown node.gone"),
        ("zipmap([\"a\"], [gone])", "{ \"a\" = (known after apply) }"),
        ("try(gone, 1)", "unknown node.gone"),
        ("try(node.a.nope, 1)", "1"),
        ("can(gone)", "unknown node.gone"),
        ("timestamp()", "unknown timestamp()"),
        ("uuid()", "unknown uuid()"),
    ]);
}

#[test]
fn sensitive_values_travel() {
    const SECRET: &str = "(sensitive value)";
    for expression in [
        "var.secret",
        "var.secrets",
        "var.secrets.token",
        "var.secrets[\"size\"]",
        "var.mixed[1]",
        "\"a${var.secret}\"",
        "\"%{ if var.secrets.size == 3 }a%{ endif }\"",
        "\"%{ for x in var.secrets }a%{ endfor }\"",
        "var.secrets.size + 1",
        "-var.secrets.size",
        "!(var.secret == \"x\")",
        "var.secret == \"x\"",
        "var.mixed == [1, 2]",
        "1 < var.secrets.size",
        "var.secrets.size > 1 && true",
        "var.secrets.size > 1 || true",
        "var.secrets.size > 1 ? 1 : 2",
        "var.list[var.secrets.size - 3]",
        "{ (var.secret) = 1 }",
        "[for x in var.secrets : 1]",
        "[for x in [1] : x if var.secrets.size == 3]",
        "{ for x in [var.secret] : x => 1 }",
        "var.secrets[*].token",
        "upper(var.secret)",
        "length(var.secrets)",
        "join(\",\", var.mixed)",
        "jsonencode(var.mixed)",
        "toset(var.mixed)",
        "keys(var.secrets)",
        "merge(var.secrets, { a = 1 })",
        "contains(var.mixed, \"a\")",
        "max(1, var.secrets.size)",
        "max([1, var.secrets.size]...)",
        "sort(var.mixed)",
        "coalesce(var.secret, \"a\")",
        "sensitive(1)",
        "tostring(sensitive(1))",
        "base64encode(var.secret)",
        "format(\"%s\", var.secret)",
        "try(var.secret, 1)",
        "env(\"TOKEN\")",
        "env(\"NOPE\", \"default\")",
        "sensitive(null)",
    ] {
        assert_eq!(shown(expression), SECRET, "{expression}");
        let value = eval(expression).unwrap();
        assert!(!format!("{value:?}").contains("hunter2"), "{expression}");
    }
    check(&[
        ("var.mixed", "[ \"a\", (sensitive value), ]"),
        ("var.mixed[0]", "\"a\""),
        ("[for x in var.mixed : x]", "[ \"a\", (sensitive value), ]"),
        ("{ a = var.secret, b = 1 }", "{ \"a\" = (sensitive value) \"b\" = 1 }"),
        ("{ a = var.secret, b = 1 }.b", "1"),
        ("length(var.mixed)", "2"),
        ("concat(var.mixed, [1])", "[ \"a\", (sensitive value), 1, ]"),
        (
            "merge({ a = var.secret }, { b = 1 })",
            "{ \"a\" = (sensitive value) \"b\" = 1 }",
        ),
        ("keys({ a = var.secret })", "[ \"a\", ]"),
        ("element(var.mixed, 0)", "\"a\""),
        ("reverse(var.mixed)", "[ (sensitive value), \"a\", ]"),
        ("flatten([var.mixed])", "[ \"a\", (sensitive value), ]"),
        ("nonsensitive(var.secrets.size)", "3"),
        ("issensitive(var.secret)", "true"),
        ("issensitive(var.name)", "false"),
        ("nonsensitive(1)", "1"),
        ("false && var.secret", "false"),
        ("sensitive(gone)", "sensitive unknown node.gone"),
        ("\"${gone} ${var.secret}\"", "sensitive unknown node.gone"),
    ]);
}

#[test]
fn no_error_tells_a_secret() {
    for expression in [
        "tonumber(var.secret)",
        "var.secret + 1",
        "var.secrets.toke",
        "var.secrets[\"toke\"]",
        "{ a = 1 }[var.secret]",
        "{ for x in [var.secret, var.secret] : x => 1 }",
        "timeadd(var.secret, \"1h\")",
        "regex(var.secret, \"a\")",
        "regex(\"(\", var.secret)",
        "jsondecode(var.secret)",
        "file(var.secret)",
        "cidrhost(var.secret, 1)",
        "parseint(var.secret, 10)",
        "format(\"%d\", var.secret)",
        "format(var.secret)",
        "formatdate(\"${var.secret}'\", \"2020-01-01T00:00:00Z\")",
        "csvdecode(\"${var.secret},${var.secret}\")",
        "env(var.secret)",
        "uuidv5(var.secret, \"a\")",
    ] {
        // Some of these are no errors; then the value is not shown either.
        let text = shown(expression);
        assert!(
            !text.contains("hunter2") && !text.contains("token"),
            "{expression}: {text}"
        );
    }
}

#[test]
fn errors_say_where_and_what_to_do() {
    check(&[
        ("1 + nope.x", "Unknown reference at `nope.x`: `nope` is not declared."),
        (
            "node.a.adress",
            "Unsupported attribute at `adress`: `node.a` has no attribute `adress`. (did you mean `address`?)",
        ),
        (
            "node.b.name",
            "Unsupported attribute at `name`: This is a tuple, so it has no attribute `name`; its elements may. \
             (`[*].name` takes it of every element, `[0].name` of the first one)",
        ),
        (
            "var.list[7]",
            "Invalid index at `7`: This sequence has no element at index 7: its 2 elements start at 0.",
        ),
        (
            "node.a.labels[\"sit\"]",
            "Invalid index at `\"sit\"`: This collection has no element with the key \"sit\". (did you mean `site`?)",
        ),
        (
            "var.nothing.x",
            "Attempt to get attribute from null value at `x`: This value is null, so it has no attribute `x`.",
        ),
        (
            "uper(var.name)",
            "Call to unknown function at `uper`: There is no function `uper`. (did you mean `upper`?)",
        ),
        (
            "bcrypt(\"a\")",
            "Function not available at `bcrypt`: `bcrypt` is not available yet.",
        ),
        (
            "provider::x::f(1)",
            "Call to unknown function at `f`: Functions of providers are not available.",
        ),
        (
            "upper(1, 2)",
            "Too many function arguments at `2`: `upper` takes only 1 argument.",
        ),
        (
            "substr(\"a\")",
            "Not enough function arguments at `substr(\"a\")`: `substr` takes 3 arguments: `offset` is missing.",
        ),
        (
            "upper([1])",
            "Invalid function argument at `[1]`: Invalid value for `str` of `upper`: string required, but this is a tuple.",
        ),
        (
            "1 + true",
            "Invalid operand at `true`: Unsuitable value for the operand: number required, but this is a bool.",
        ),
        (
            "10 / (1 - 1)",
            "Division by zero at `10 / (1 - 1)`: The right operand is zero.",
        ),
        (
            "null ? 1 : 2",
            "Incorrect condition type at `null`: The condition is null; it must be true or false.",
        ),
        (
            "env(\"NOPE\")",
            "Invalid function argument at `\"NOPE\"`: Invalid value for `name` of `env`: the environment variable NOPE is \
             not set; set it, or give a default: env(\"NOPE\", \"…\").",
        ),
        (
            "{ for x in [\"a\", \"a\"] : x => 1 }",
            "Duplicate object key at `x`: Two elements have the same key \"a\". (`...` after the value expression gathers \
             the values of a key in a list)",
        ),
        (
            "\"a${[1]}\"",
            "Invalid template interpolation value at `[1]`: The value cannot be part of a string: string required, but this is a tuple.",
        ),
    ]);
}

#[test]
fn all_independent_errors_are_reported() {
    for (expression, errors) in [
        ("[nope.a, var.nope, uper(1)]", 3),
        ("nope.a + nope.b", 2),
        ("{ a = nope.a, b = nope.b }", 2),
        ("\"${nope.a} ${nope.b}\"", 2),
        ("max(nope.a, nope.b)", 2),
        ("[for x in [1, 2, 3] : nope.a]", 1),
        ("try(nope.a, nope.b)", 1),
        ("try(nope.a, 1)", 0),
        ("nope.a && nope.b", 1),
        ("true ? 1 : nope.a", 0),
    ] {
        let found = eval(expression).err().map_or(0, |found| found.0.len());
        assert_eq!(found, errors, "{expression}");
    }
}

#[test]
fn references_are_found_in_the_order_of_the_text() {
    let found = |text: &str| -> Vec<String> {
        let expr = Expr::parse("fleet.hcl", text).unwrap();
        let references = expr.references().iter();
        references
            .map(|reference| {
                let place = reference.span.file.text[reference.span.range.clone()].to_owned();
                let steps: Vec<String> = reference
                    .steps
                    .iter()
                    .map(|step| match step {
                        PathStep::Name(name) => name.to_string(),
                        PathStep::Index(index) => index.to_string(),
                    })
                    .collect();
                format!("{}|{}|{place}", reference.root, steps.join(","))
            })
            .collect()
    };
    for (text, expected) in [
        ("1", vec![]),
        ("var.a", vec!["var|a|var.a"]),
        (
            "simulator.vehicle.quad[0].ports[\"gcs\"].x + 1",
            vec!["simulator|vehicle,quad,0,ports,gcs,x|simulator.vehicle.quad[0].ports[\"gcs\"].x"],
        ),
        ("a.b[c.d].e", vec!["a|b|a.b", "c|d|c.d"]),
        ("a.b[*].c", vec!["a|b|a.b"]),
        ("a.0.b", vec!["a|0,b|a.0.b"]),
        ("[for x in a.b : x.c + y.d if z]", vec!["a|b|a.b", "y|d|y.d", "z||z"]),
        (
            "{ for k, v in a : k => v.x + each.key }",
            vec!["a||a", "each|key|each.key"],
        ),
        ("x + [for x in x : x][0]", vec!["x||x", "x||x"]),
        (
            "\"${a.b}%{ for i in c }${i}${d}%{ endfor }%{ if e }${f}%{ else }${g}%{ endif }\"",
            vec!["a|b|a.b", "c||c", "d||d", "e||e", "f||f", "g||g"],
        ),
        (
            "f(a, [b], { (c) = d, e = g })",
            vec!["a||a", "b||b", "c||c", "d||d", "g||g"],
        ),
        ("(a.b).c", vec!["a|b|a.b"]),
        ("a ? b : c", vec!["a||a", "b||b", "c||c"]),
        ("try(a.b, c)", vec!["a|b|a.b", "c||c"]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

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

#[test]
fn hostile_expressions_end_soon_with_an_error() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let mut bombs = vec![
        "range(1e9)".to_owned(),
        "range(0, 1, 1e-9)".to_owned(),
        "pow(10, 1e9)".to_owned(),
        "pow(1e300, 1e300)".to_owned(),
        "1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300"
            .to_owned(),
        "format(\"%999999999d\", 1)".to_owned(),
        "format(\"%.999999999f\", 1)".to_owned(),
        "format(\"%[999999999999999999999]d\", 1)".to_owned(),
        "indent(1e9, \"a\\nb\")".to_owned(),
        "parseint(\"1\", 1e9)".to_owned(),
        "element([1], 1e30)".to_owned(),
        "substr(\"a\", 1e30, 1)".to_owned(),
        "chunklist([1], 1e30)".to_owned(),
        "cidrsubnet(\"10.0.0.0/8\", 1e9, 1)".to_owned(),
        "cidrsubnet(\"::/0\", 128, 1e60)".to_owned(),
        "timeadd(\"2020-01-01T00:00:00Z\", \"99999999999h\")".to_owned(),
        "timeadd(\"9999-12-31T23:59:59Z\", \"87600h\")".to_owned(),
        "regex(\"(((a{1000}){1000}){1000})\", \"a\")".to_owned(),
        "jsondecode(\"[1e999999999]\")".to_owned(),
        format!("jsondecode(\"{}\")", "[".repeat(100_000)),
        "setproduct(range(1000), range(1000), range(1000))".to_owned(),
        nested("(", "1", ")", 1000),
        nested("[", "1", "]", 1000),
        nested("{a=", "1", "}", 1000),
        nested("-(", "1", ")", 1000),
        nested("!", "true", "", 1000),
        nested("\"${", "1", "}\"", 1000),
        nested("upper(", "1", ")", 1000),
        nested("true ? ", "1", " : 1", 1000),
        nested("[for x in range(1000) : ", "x", "]", 8),
        nested("join(\"\", [for x in range(1000) : ", "\"aaaaaaaaaa\"", "])", 4),
        format!("a{}", ".b".repeat(100_000)),
        "1 + ".repeat(100_000) + "1",
    ];
    for unit in [
        "\"", "\"${", "%{", "<<", "<<-A\n", "{", "[for", "a[", "\\", "~}", "\u{0}", "é",
    ] {
        bombs.push(unit.repeat(200));
    }
    for bomb in bombs {
        let start: String = bomb.chars().take(60).collect();
        assert!(eval(&bomb).is_err(), "{start}");
    }
}

#[test]
fn the_deepest_expressions_that_can_be_read_fit_the_stack() {
    for (open, inner, close, depth) in [
        ("(", "1", ")", 60),
        ("[", "1", "]", 60),
        ("{ a = ", "1", " }", 30),
        ("\"${", "\"x\"", "}y\"", 60),
        ("max(", "1", ")", 60),
        ("[for x in [1] : ", "1", "]", 30),
        ("1 + (", "1", ")", 60),
        ("true ? (", "1", ") : 2", 30),
        ("\"%{ if true }${", "\"x\"", "}%{ endif }\"", 20),
    ] {
        let text = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
        assert!(eval(&text).is_ok(), "{open}: {}", shown(&text));
    }
    assert_eq!(shown(&("1 + ".repeat(120) + "1")), "121");
}

/// Text that is often nearly an expression.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("var.name".to_owned()),
        Just("gone".to_owned()),
        Just("var.secret".to_owned()),
        Just("[for x in [1, 2] : x]".to_owned()),
        Just("{ for k, v in { a = 1 } : k => v... }".to_owned()),
        Just("\"a${var.count}%{ if true ~} b%{ endif }\"".to_owned()),
        Just("<<-E\n  a ${1}\n  E\n".to_owned()),
        prop::sample::select(simfleet::config::eval::functions::names()).prop_map(|name| format!("{name}(")),
        "[-+*/%<>=!&|?:.,()\\[\\]{}\"$~0-9a-c \n]{0,6}",
        "\\PC{0,4}",
        prop::num::f64::ANY.prop_map(|number| number.to_string()),
        prop::num::i64::ANY.prop_map(|number| number.to_string()),
        Just(")".to_owned()),
        Just(", ".to_owned()),
        Just("null".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A call of a function with arguments that it may not expect.
fn call() -> impl Strategy<Value = String> {
    let argument = prop_oneof![
        Just("null".to_owned()),
        Just("gone".to_owned()),
        Just("var.secret".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"2020-01-01T00:00:00Z\"".to_owned()),
        Just("\"10.0.0.0/8\"".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("[1, \"a\", null, gone]".to_owned()),
        Just("{ a = [1], b = var.secret }".to_owned()),
        Just("toset([\"a\", \"b\"])".to_owned()),
        Just("tomap({ a = 1 })".to_owned()),
        Just("tolist([[1], [2]])".to_owned()),
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?",
        "\"[a-z%{}()*+?\\[\\]/:.0-9 -]{0,12}\"",
        "\"\\PC{0,6}\"",
    ];
    let name = prop::sample::select(simfleet::config::eval::functions::names());
    (name, prop::collection::vec(argument, 0..5), any::<bool>()).prop_map(|(name, arguments, spread)| {
        format!("{name}({}{})", arguments.join(", "), if spread { "..." } else { "" })
    })
}

/// How many texts and calls are tried.
fn cases() -> u32 {
    match std::env::var_os("SIMFLEET_TEST_SWEEP") {
        Some(_) => 2000,
        None => 400,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in text()) {
        if let Ok(expr) = Expr::parse("fleet.hcl", &text) {
            let _ = evaluate(&expr, &fleet()).map(|value| render(&value));
        }
    }

    #[test]
    fn no_call_panics(text in call()) {
        if let Ok(expr) = Expr::parse("fleet.hcl", &text) {
            let _ = evaluate(&expr, &fleet()).map(|value| render(&value));
        }
    }
}
