//! No text panics.

use proptest::prelude::*;

use super::{QUICKSTART, load_text};
use crate::view::{Theme, diagnostics};

/// Loads a text and, where that fails, renders why.
fn survives(text: &str) {
    if let Err(found) = load_text(text) {
        assert!(found.has_errors(), "a failure says why");
        diagnostics::render(&found, Theme::Plain);
        diagnostics::json(&found);
    }
}

/// Returns the nearest place at or before an offset where the text can be cut.
fn boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Words and signs of the language, to be put where they do not belong.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "${",
    "%{",
    "=",
    ",",
    ".",
    ":",
    "?",
    "\n",
    "#",
    "/*",
    "*",
    "<<EOT\n",
    "0",
    "-1",
    "1e999",
    "null",
    "true",
    "for",
    "in",
    "if",
    "count",
    "for_each",
    "each.key",
    "var.vehicles",
    "local.x",
    "pool.field",
    "simulator.vehicle.quad",
    "self",
    "member.number",
    "node",
    "pool",
    "locals",
    "lifecycle",
    "depends_on",
    "provider",
    "variable",
    "\u{0}",
    "ü",
    "\u{feff}",
    "...",
    "=>",
    "\"90s\"",
    "optional(",
    "object({",
    "env(\"HOME\")",
    "..",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_of_the_quickstart_do_not_panic(
        edits in prop::collection::vec((0..QUICKSTART.len(), 0usize..40, prop::sample::select(PIECES)), 1..6)
    ) {
        let mut text = QUICKSTART.to_owned();
        for (at, length, piece) in edits {
            let start = boundary(&text, at);
            let end = boundary(&text, start + length).max(start);
            text.replace_range(start..end, piece);
        }
        survives(&text);
    }

    #[test]
    fn lines_of_the_quickstart_in_any_order_do_not_panic(
        lines in prop::collection::vec(0..QUICKSTART.lines().count(), 1..40)
    ) {
        let all: Vec<&str> = QUICKSTART.lines().collect();
        let text: Vec<&str> = lines.into_iter().map(|line| all[line]).collect();
        survives(&text.join("\n"));
    }

    #[test]
    fn words_exchanged_for_others_do_not_panic(
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4)
    ) {
        // Stays valid as syntax more often than edits of characters do, so that what comes after the parser is met.
        let mut words: Vec<&str> = QUICKSTART.split_inclusive([' ', '\n']).collect();
        for (to, from) in swaps {
            let from = words[from.index(words.len())];
            let to = to.index(words.len());
            words[to] = from;
        }
        survives(&words.concat());
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for (case, open, close) in [
        ("blocks", "node \"a\" {\n", "}\n"),
        ("lists", "[", "]"),
        ("parentheses", "(", ")"),
    ] {
        let inside = format!("{}{}", open.repeat(500), close.repeat(500));
        let text = match case {
            "blocks" => inside,
            _ => format!("locals {{ a = {inside} }}"),
        };
        assert!(load_text(&text).is_err(), "{case}");
    }
}

#[test]
fn a_long_chain_of_locals_is_worked_out() {
    let mut text = String::from("locals {\n  l0 = 1\n");
    for i in 1..2_000 {
        text.push_str(&format!("  l{i} = local.l{} + 1\n", i - 1));
    }
    text.push_str("}\nvalue \"v\" { input = local.l1999 }\n");
    let (config, _) = load_text(&text).expect("valid");
    assert_eq!(
        config.locals["l1999"].value,
        Some(simfleet_provider_api::Value::from(2_000u64))
    );
}
