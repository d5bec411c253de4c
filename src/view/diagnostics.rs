//! Diagnostics for people and for programs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::document::{Document, Line, Theme, Tone, columns, visible};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile, Span};

/// The longest part of a source line that is shown, in characters.
const WIDEST: usize = 100;

/// Returns diagnostics for people, in their order, an empty line between them.
pub fn render(diagnostics: &Diagnostics, theme: Theme) -> String {
    let places = Places::default();
    let mut document = Document::new();
    for (diagnostic, others) in alike(diagnostics) {
        document.blank();
        add(&mut document, diagnostic, others, &places);
    }
    document.render(theme)
}

/// Returns the diagnostics with how many others say the same of other instances of the same block.
fn alike(diagnostics: &Diagnostics) -> Vec<(&Diagnostic, usize)> {
    let mut all: Vec<(&Diagnostic, usize)> = Vec::new();
    let mut first_of = HashMap::new();
    for diagnostic in &diagnostics.0 {
        // By the address of the file: a hash of a span takes in the whole text.
        let place = diagnostic.span.as_ref();
        let place = place.map(|span| (Arc::as_ptr(&span.file), span.range.clone()));
        let is_of_instance = diagnostic.address.is_some() && place.is_some();
        let first = *first_of
            .entry((&diagnostic.summary, &diagnostic.detail, &diagnostic.hint, place))
            .or_insert(all.len());
        match all.get_mut(first) {
            Some((_, others)) if is_of_instance => *others += 1,
            _ => all.push((diagnostic, 0)),
        }
    }
    all
}

fn add(document: &mut Document, diagnostic: &Diagnostic, others: usize, places: &Places) {
    let (word, tone) = match diagnostic.severity {
        Severity::Error => ("error", Tone::Bad),
        Severity::Warning => ("warning", Tone::Change),
    };
    let title = Line::new()
        .tone(tone, word)
        .text(": ")
        .tone(Tone::Strong, diagnostic.summary.clone());
    document.line(title);
    document.nest(2, |document| {
        if let Some(span) = &diagnostic.span {
            add_source(document, span, tone, "", places);
        }
        match &diagnostic.address {
            Some(address) if others > 0 => {
                document.line(format!("{address} and {others} more: {}", diagnostic.detail));
            }
            Some(address) => document.line(format!("{address}: {}", diagnostic.detail)),
            None => document.line(diagnostic.detail.as_str()),
        }
        for (span, label) in &diagnostic.related {
            add_source(document, span, Tone::Faint, label, places);
        }
        if let Some(hint) = &diagnostic.hint {
            document.line(Line::new().tone(Tone::Strong, "hint").text(format!(": {hint}")));
        }
    });
}

/// Adds the place and its line, with the span underlined and a label behind that.
fn add_source(document: &mut Document, span: &Span, tone: Tone, label: &str, places: &Places) {
    let start = places.position(&span.file, span.range.start);
    let place = format!("{}:{}:{}", span.file.path.display(), start.line, start.column);
    let excerpt = excerpt(&start.text, start.column - 1, end_column(span, &start));
    if excerpt.text.is_empty() {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("  {label}")
        };
        document.line(Line::new().tone(Tone::Faint, place).text(label));
        return;
    }
    let indent = " ".repeat(columns(&place) + 2 + excerpt.before);
    document.line(Line::new().tone(Tone::Faint, place).text(format!("  {}", excerpt.text)));
    let underline = Line::new().text(indent).tone(tone, "^".repeat(excerpt.width));
    document.line(match label {
        "" => underline,
        label => underline.text(format!(" {label}")),
    });
}

/// Returns where the span ends on its first line, in characters from its start.
fn end_column(span: &Span, start: &Position) -> usize {
    let covered = span.file.text.get(span.range.clone()).unwrap_or_default();
    let first = covered.lines().next().unwrap_or_default();
    start.column - 1 + first.chars().count()
}

/// A part of a source line, as it is shown.
struct Excerpt {
    text: String,
    /// How many columns stand before what is underlined.
    before: usize,
    /// How many columns are underlined: at least one.
    width: usize,
}

/// Returns a line without its indentation, tabs as spaces, and cut around the characters `from..to` where it is long.
fn excerpt(line: &str, from: usize, to: usize) -> Excerpt {
    let mut text = String::new();
    let (mut start, mut end) = (None, None);
    let indentation = line.chars().take_while(|c| c.is_whitespace()).count();
    let mut width = 0;
    for (i, c) in line.trim_end().chars().enumerate().skip(indentation.min(from)) {
        if i == from {
            start = Some(width);
        }
        if i == to {
            end = Some(width);
        }
        let shown = match c {
            '\t' => "    ".to_owned(),
            c => visible(c.encode_utf8(&mut [0; 4])),
        };
        width += columns(&shown);
        text.push_str(&shown);
    }
    let before = start.unwrap_or(width);
    let covered = end.unwrap_or(width).saturating_sub(before).max(1);
    cut(&text, width, before, covered)
}

fn cut(text: &str, whole: usize, before: usize, width: usize) -> Excerpt {
    if whole <= WIDEST {
        return Excerpt {
            text: text.to_owned(),
            before,
            width,
        };
    }
    // As much of the end of the span as there is room for, and a quarter of the room before it.
    let first = match before + width.min(WIDEST / 2) > WIDEST {
        true => before.saturating_sub(WIDEST / 4),
        false => 0,
    };
    let (mut shown, mut skipped, mut taken) = (String::new(), 0, 0);
    for c in text.chars() {
        let own = columns(c.encode_utf8(&mut [0; 4]));
        if skipped < first {
            skipped += own;
        } else if taken + own <= WIDEST {
            taken += own;
            shown.push(c);
        } else {
            break;
        }
    }
    // Half of a wide character cannot be shown.
    let first = skipped;
    let (head, tail) = (first > 0, whole > first + taken);
    if tail {
        shown.push('…');
    }
    if head {
        shown.insert(0, '…');
    }
    let before = before.saturating_sub(first);
    Excerpt {
        text: shown,
        width: width.min(WIDEST - before.min(WIDEST - 1)),
        before: before + usize::from(head),
    }
}

/// A place in a file.
struct Position {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The line.
    text: String,
}

/// Where the lines of files start: looked up once a file, so that many diagnostics of a large one stay cheap.
#[derive(Default)]
struct Places(RefCell<HashMap<*const SourceFile, Vec<usize>>>);

impl Places {
    fn position(&self, file: &Arc<SourceFile>, offset: usize) -> Position {
        let text = &file.text;
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let mut places = self.0.borrow_mut();
        let starts = places.entry(Arc::as_ptr(file)).or_insert_with(|| {
            let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts[line - 1];
        let end = starts.get(line).map_or(text.len(), |next| next - 1);
        Position {
            line,
            column: text[start..offset].chars().count() + 1,
            text: text[start..end].trim_end_matches('\r').to_owned(),
        }
    }
}

/// Returns what `validate` prints of a fleet without mistakes.
pub fn valid(unavailable: &Diagnostics) -> String {
    match unavailable.0.len() {
        0 => "The fleet is valid.\n".to_owned(),
        1 => "The fleet is valid. One part of it is not available in this version yet: `simfleet plan` says which.\n"
            .to_owned(),
        n => format!(
            "The fleet is valid. {n} parts of it are not available in this version yet: `simfleet plan` says which.\n"
        ),
    }
}

/// Returns what `validate --json` prints: what is wrong or suspicious, and apart from that what a plan refuses since this
/// version does not act on it yet.
pub fn validation_json(diagnostics: &Diagnostics, unavailable: &Diagnostics) -> Json {
    let count = |severity| {
        diagnostics
            .0
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    };
    json!({
        "format_version": super::FORMAT_VERSION,
        "valid": !diagnostics.has_errors(),
        "error_count": count(Severity::Error),
        "warning_count": count(Severity::Warning),
        "diagnostics": json(diagnostics),
        "unavailable": json(unavailable),
    })
}

/// Returns diagnostics for programs: a list of [`one_json`].
pub fn json(diagnostics: &Diagnostics) -> Json {
    let places = Places::default();
    diagnostics
        .0
        .iter()
        .map(|diagnostic| document(diagnostic, &places))
        .collect()
}

/// Returns a diagnostic for programs: `severity`, `summary`, `detail`, `address`, `range {file, start {line, column,
/// byte}, end}`, `hint`, `related [{range, label}]`. Lines and columns count from 1, bytes from 0.
pub fn one_json(diagnostic: &Diagnostic) -> Json {
    document(diagnostic, &Places::default())
}

fn document(diagnostic: &Diagnostic, places: &Places) -> Json {
    let related = diagnostic.related.iter();
    let related = related.map(|(span, label)| json!({ "range": range(span, places), "label": label }));
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
        "address": diagnostic.address.as_ref().map(ToString::to_string),
        "range": diagnostic.span.as_ref().map(|span| range(span, places)),
        "hint": diagnostic.hint,
        "related": related.collect::<Vec<_>>(),
    })
}

fn range(span: &Span, places: &Places) -> Json {
    let end = |offset: usize| {
        let position = places.position(&span.file, offset);
        json!({ "line": position.line, "column": position.column, "byte": offset })
    };
    json!({
        "file": span.file.path.display().to_string(),
        "start": end(span.range.start),
        "end": end(span.range.end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Arc<SourceFile> {
        Arc::new(SourceFile {
            path: "web.hcl".into(),
            text: text.to_owned(),
        })
    }

    /// The span of the first `part` in a text.
    fn span(text: &str, part: &str) -> Span {
        let start = text.find(part).expect("it is in the text");
        Span {
            file: file(text),
            range: start..start + part.len(),
        }
    }

    fn rendered(diagnostic: Diagnostic) -> String {
        render(&diagnostic.into(), Theme::Plain)
    }

    #[test]
    fn a_diagnostic_has_its_line_its_cause_and_a_hint() {
        let text = "node \"a\" {\n  network = network.bak.id\n}\n";
        let diagnostic = Diagnostic::error("Unknown reference", "`network.bak` is not declared in this fleet.")
            .at(span(text, "network.bak.id"))
            .hint("did you mean `network.back`?");
        insta::assert_snapshot!(rendered(diagnostic), @"
        error: Unknown reference
          web.hcl:2:13  network = network.bak.id
                                  ^^^^^^^^^^^^^^
          `network.bak` is not declared in this fleet.
          hint: did you mean `network.back`?
        ");
    }

    #[test]
    fn another_place_has_its_label_and_the_address_stands_before_the_detail() {
        let text = "pool \"a\" {}\n\npool \"a\" {}\n";
        let mut second = span(text, "pool \"a\"");
        second.range = 13..21;
        let diagnostic = Diagnostic::warning("Duplicate declaration", "It is declared twice.")
            .at(second)
            .on("pool.a".parse::<simfleet_provider_api::Address>().ok())
            .related(span(text, "pool \"a\""), "the first one");
        insta::assert_snapshot!(rendered(diagnostic), @r#"
        warning: Duplicate declaration
          web.hcl:3:1  pool "a" {}
                       ^^^^^^^^
          pool.a: It is declared twice.
          web.hcl:1:1  pool "a" {}
                       ^^^^^^^^ the first one
        "#);
    }

    #[test]
    fn what_is_wrong_with_every_instance_is_told_once() {
        let text = "node \"a\" {\n  count = 3\n}\n";
        let block = span(text, "node \"a\"");
        let mut diagnostics = Diagnostics::new();
        for instance in 0..3 {
            for summary in ["No provider", "No place"] {
                let diagnostic = Diagnostic::error(summary, "There is none.").at(block.clone());
                let address = format!("node.a[{instance}]");
                diagnostics.push(diagnostic.on(address.parse::<simfleet_provider_api::Address>().ok()));
            }
        }
        diagnostics.push(Diagnostic::error("No place", "There is none."));
        insta::assert_snapshot!(render(&diagnostics, Theme::Plain), @r#"
        error: No provider
          web.hcl:1:1  node "a" {
                       ^^^^^^^^
          node.a[0] and 2 more: There is none.

        error: No place
          web.hcl:1:1  node "a" {
                       ^^^^^^^^
          node.a[0] and 2 more: There is none.

        error: No place
          There is none.
        "#);
        assert_eq!(json(&diagnostics).as_array().map(Vec::len), Some(7));
    }

    #[test]
    fn tabs_wide_spans_and_places_without_text_are_underlined_where_they_are() {
        for (case, text, range, place, shown, underlined) in [
            ("tabs", "\ta\t=\tb", 5..6, "1:6", "a    =    b", "          ^"),
            ("letters of several bytes", "ä = ö", 5..7, "1:5", "ä = ö", "    ^"),
            ("several lines", "a = [\n1\n]", 4..9, "1:5", "a = [", "    ^"),
            ("end of a line", "a =\n", 3..3, "1:4", "a =", "   ^"),
            ("windows line ends", "a = b\r\nc\r\n", 4..5, "1:5", "a = b", "    ^"),
            ("inside the indentation", "    a", 2..2, "1:3", "  a", "^"),
            (
                "control characters",
                "a = \u{1b}b",
                5..6,
                "1:6",
                "a = \\u{1b}b",
                "          ^",
            ),
            ("beyond the text", "a", 7..9, "1:2", "a", " ^"),
        ] {
            let diagnostic = Diagnostic::error("S", "D").at(Span {
                file: file(text),
                range,
            });
            let indent = " ".repeat("web.hcl:".len() + place.len());
            let expected = format!("error: S\n  web.hcl:{place}  {shown}\n  {indent}  {underlined}\n  D\n");
            assert_eq!(rendered(diagnostic), expected, "{case}");
        }
        let diagnostic = Diagnostic::error("S", "D").at(Span {
            file: file("a = 1\n"),
            range: 6..6,
        });
        assert_eq!(rendered(diagnostic), "error: S\n  web.hcl:2:1\n  D\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_mistake() {
        for (case, before, after) in [("at its end", 300, 0), ("at its start", 4, 300), ("within", 200, 200)] {
            let text = format!("{}WRONG{}", "a".repeat(before), "b".repeat(after));
            let rendered = rendered(Diagnostic::error("S", "D").at(span(&text, "WRONG")));
            let lines: Vec<&str> = rendered.lines().collect();
            let at = lines[1].find("WRONG").map(|at| lines[1][..at].chars().count());
            let caret = lines[2].find('^').map(|at| lines[2][..at].chars().count());
            assert_eq!(at, caret, "{case}:\n{rendered}");
            assert_eq!(lines[2].trim(), "^^^^^", "{case}");
            assert!(lines[1].chars().count() <= WIDEST + 20, "{case}");
        }
    }

    #[test]
    fn programs_get_every_part() {
        let text = "a = ö.b\nc";
        let diagnostic = Diagnostic::error("Unknown reference", "It is not there.").at(span(text, "ö.b"));
        insta::assert_snapshot!(validation_json(&diagnostic.into(), &Diagnostics::new()).to_string(), @r#"{"diagnostics":[{"address":null,"detail":"It is not there.","hint":null,"range":{"end":{"byte":8,"column":8,"line":1},"file":"web.hcl","start":{"byte":4,"column":5,"line":1}},"related":[],"severity":"error","summary":"Unknown reference"}],"error_count":1,"format_version":"1.0","unavailable":[],"valid":false,"warning_count":0}"#);
    }
}
