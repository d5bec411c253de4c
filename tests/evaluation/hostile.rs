//! What hostile text does.

use proptest::prelude::*;
use simfleet::config::eval::{Expr, evaluate, render};

use crate::{eval, fleet, shown};

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
