//! Errors say where, and what to do; references are found before anything is evaluated.

use simfleet::config::eval::Expr;
use simfleet_provider_api::PathStep;

use crate::{check, eval};

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
            "Invalid index at `7`: This sequence has no element at index 7: its 2 elements start at 0. (`length` tells how many elements there are, `one` takes the one or none)",
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
            "Call to unknown function at `f`: Functions of providers are not available. (what is built in is called by its name: upper(…), or core::upper(…))",
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
