//! Refuses what the parser would take too long for, before it is parsed.
//!
//! hcl-edit reads what stands behind the second operator of a chain (`a + b + (…)`) once more where it has a mistake. Such
//! brackets in one another double the time with each level. Tuples and the arguments of functions end that: a mistake in
//! them is found for good. Brackets that follow no chain can be nested as deeply as the parser lets them.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::format::scan::{Kind, Token, scan, scan_template};

/// So many brackets behind chains of operators can stand in one another.
const DEEPEST: usize = 5;

/// Holds a file, or an expression that stands alone, against the limit.
///
/// # Errors
/// The first bracket that is nested too deeply.
pub(super) fn check(file: &Arc<SourceFile>) -> Result<(), Diagnostic> {
    check_tokens(file, &scan(&file.text))
}

/// Holds a template that stands alone against the limit.
///
/// # Errors
/// The first bracket that is nested too deeply.
pub(super) fn check_template(file: &Arc<SourceFile>) -> Result<(), Diagnostic> {
    check_tokens(file, &scan_template(&file.text))
}

/// What stands in one pair of brackets.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// The operators before, in the same expression.
    operators: usize,
    /// How many of the brackets around stand behind a chain of operators.
    depth: usize,
}

fn check_tokens(file: &Arc<SourceFile>, tokens: &[Token<'_>]) -> Result<(), Diagnostic> {
    let mut around: Vec<Level> = Vec::new();
    let mut level = Level::default();
    let mut previous: Option<&Token<'_>> = None;
    let mut is_new_line = false;
    for (at, token) in tokens.iter().enumerate() {
        if is_blank(token) {
            is_new_line |= token.text.ends_with('\n');
            continue;
        }
        // In some places an expression goes on behind the end of a line.
        if std::mem::take(&mut is_new_line) && !is_operator(token) && !previous.is_some_and(is_operator) {
            level.operators = 0;
        }
        match token.kind {
            _ if is_operator(token) => level.operators += 1,
            Kind::Comma | Kind::Equal | Kind::Arrow | Kind::Operator => level.operators = 0,
            Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace | Kind::OpenTemplate => {
                let next = tokens[at + 1..].iter().find(|token| !is_blank(token));
                let depth = match is_call_or_tuple(token, previous, next) {
                    true => 0,
                    false => level.depth + usize::from(level.operators > 1),
                };
                if depth > DEEPEST {
                    return Err(too_deep(file, token));
                }
                around.push(std::mem::replace(&mut level, Level { operators: 0, depth }));
            }
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace | Kind::CloseTemplate => {
                level = around.pop().unwrap_or_default();
            }
            _ => {}
        }
        previous = Some(token);
    }
    Ok(())
}

fn is_blank(token: &Token<'_>) -> bool {
    matches!(token.kind, Kind::Newline | Kind::Comment)
}

/// Whether a token stands between two operands of a chain. Splats count too, which does no harm.
fn is_operator(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Operator => !matches!(token.text, "?" | ":"),
        Kind::Minus => true,
        _ => false,
    }
}

/// Whether a bracket opens the arguments of a function or a tuple, without `for`.
fn is_call_or_tuple(token: &Token<'_>, previous: Option<&Token<'_>>, next: Option<&Token<'_>>) -> bool {
    match token.kind {
        Kind::OpenParen => previous.is_some_and(|it| it.kind == Kind::Name && !matches!(it.text, "in" | "if")),
        Kind::OpenBracket => {
            let is_index = previous.is_some_and(|it| {
                matches!(
                    it.kind,
                    Kind::Name
                        | Kind::Number
                        | Kind::CloseParen
                        | Kind::CloseBracket
                        | Kind::CloseBrace
                        | Kind::CloseQuote
                        | Kind::CloseHeredoc
                )
            });
            !is_index && next.is_none_or(|it| it.text != "for")
        }
        _ => false,
    }
}

fn too_deep(file: &Arc<SourceFile>, token: &Token<'_>) -> Diagnostic {
    let start = token.text.as_ptr() as usize - file.text.as_ptr() as usize;
    let detail = format!(
        "This is nested too deeply: brackets behind several operators stand in one another at most {DEEPEST} times."
    );
    Diagnostic::error("Syntax error", detail)
        .at(Span {
            file: Arc::clone(file),
            range: start..start + token.text.len(),
        })
        .hint("give a part of it a name in `locals`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::eval::Expr;
    use crate::config::syntax;

    fn file(text: &str) -> Arc<SourceFile> {
        Arc::new(SourceFile {
            path: "fleet.hcl".into(),
            text: text.to_owned(),
        })
    }

    /// Without the limit each of these takes longer than anyone waits: the mistake at the end is met 2^40 times.
    #[test]
    fn mistakes_deep_in_brackets_behind_operators_are_told_at_once() {
        let levels = [
            "1*1*1[",
            "1*1*(",
            "1*1*!(",
            "1*1*{a=",
            "1*1*{(",
            "1*1*\"${",
            "1*1*\"%{ if ",
            "1*1*[for x in (",
            "a ? b : 1*1*(",
            "[]*1\n*1\n*1[",
            "<<E\n\nE*1*1[",
            "1 /* } */ * 1 * # [\n (",
        ];
        for level in levels {
            let text = level.repeat(40) + "<";
            let problem = Expr::parse("<console>", &text).expect_err("it is nested too deeply");
            assert!(
                problem.detail.starts_with("This is nested too deeply"),
                "{level:?}: {problem:?}"
            );
            let problem = syntax::parse(&file(&format!("a = 1\nb = {text}\n"))).expect_err("as an attribute");
            assert!(
                problem.detail.starts_with("This is nested too deeply"),
                "{level:?}: {problem:?}"
            );
            let problem = check_template(&file(&format!("\n\"{{ ${{{text}"))).expect_err("as a template");
            assert!(problem.hint.is_some(), "{level:?}: {problem:?}");
        }
        let problem = syntax::parse(&file(&format!("a = 1\nb = {}", "1*1*1[".repeat(6)))).expect_err("six levels");
        let span = problem.span.expect("a place");
        assert_eq!(span.file.position(span.range.start), (2, 40));
    }

    #[test]
    fn brackets_without_chains_are_nested_as_deeply_as_before() {
        let shapes = [
            ("[", "1", "]"),
            ("f(1 + 2 + ", "1", ")"),
            ("{ a = ", "1", " }"),
            ("1 + 1 + [", "1", "]"),
            ("a[", "0", "]"),
            ("(1 + ", "1", ")"),
            ("b ? 1 : (", "2", ")"),
        ];
        for (open, inside, close) in shapes {
            let text = open.repeat(30) + inside + &close.repeat(30);
            Expr::parse("<console>", &text).unwrap_or_else(|problem| panic!("{open:?}: {problem:?}"));
        }
        let blocks = "x = 1 + 2 + 3\nb {\n".repeat(30) + &"}\n".repeat(30);
        syntax::parse(&file(&blocks)).expect("blocks in one another");
        let quoted = format!("x = \"{}\" # {0}\n", "1*1*1[".repeat(20));
        syntax::parse(&file(&quoted)).expect("strings and comments are no brackets");
        let chained = "(1 + 2 + ".repeat(DEEPEST) + "1" + &")".repeat(DEEPEST);
        Expr::parse("<console>", &chained).expect("it is no deeper than allowed");
    }
}
