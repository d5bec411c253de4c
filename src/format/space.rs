//! Where a blank stands between two tokens of a line, and where none does: as `terraform fmt` has it.

use super::scan::{Kind, Token};

/// Whether there is a blank between `token` and `after`; `before` is what stands before the two on the line.
pub(super) fn is_blank_between(before: Option<Kind>, token: &Token<'_>, after: &Token<'_>) -> bool {
    use Kind::{
        Bang, CloseBrace, CloseHeredoc, CloseQuote, CloseTemplate, Comma, Dot, Ellipsis, Minus, Name, Namespace,
        Newline, Number, OpenBrace, OpenBracket, OpenHeredoc, OpenParen, OpenQuote, OpenTemplate, Text,
    };
    match (token.kind, after.kind) {
        (_, Newline) => false,
        // A call, a namespace, a path.
        (Name, OpenParen | Namespace) | (Namespace, Name) | (Dot, _) | (_, Dot) => false,
        (_, Comma | Ellipsis) => false,
        (Comma, _) => true,
        // Within quotes and heredocs every blank counts.
        (Text | OpenQuote | OpenHeredoc, _) | (_, Text | CloseQuote | CloseHeredoc) => false,
        // `for x in [a]`, which looks like an index otherwise.
        (Name, _) if token.text == "in" && before == Some(Name) => true,
        (Name | Number, OpenBracket) => false,
        (kind, OpenBracket) if change(kind) < 0 => false,
        (Bang, _) => false,
        (Minus, _) => !is_sign(before),
        (OpenBrace, CloseBrace) => false,
        (OpenBrace, _) | (_, CloseBrace) => true,
        (OpenTemplate, OpenBrace) | (CloseBrace, CloseTemplate) => true,
        (CloseTemplate, OpenTemplate) => false,
        (kind, after) => change(kind) <= 0 && change(after) >= 0,
    }
}

/// Whether a minus is that of a number: nothing stands before it that it could be subtracted from.
fn is_sign(before: Option<Kind>) -> bool {
    use Kind::{Bang, Comma, Equal, Minus, OpenBrace, OpenBracket, OpenParen, Operator};
    match before {
        None => true,
        Some(kind) => matches!(
            kind,
            OpenParen | OpenBracket | OpenBrace | Equal | Comma | Operator | Minus | Bang
        ),
    }
}

/// How a token changes the number of open brackets.
pub(super) fn change(kind: Kind) -> isize {
    match kind {
        Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate => 1,
        Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate => -1,
        _ => 0,
    }
}
