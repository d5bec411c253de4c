//! How two values differ, element by element and line by line.

use simfleet_provider_api::{Data, Path, PathStep, Value};
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

use super::document::{Document, Line, Tone};
use super::values::{SENSITIVE, dense, inline};
use crate::plan::same;

/// How many equal lines are shown around a changed one.
const CONTEXT: usize = 2;

/// One place at which two values differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What.
    pub what: Kind,
}

/// What differs at one place.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// There is something that was not there.
    Added(Value),
    /// Something is not there any more.
    Removed(Value),
    /// It is another value.
    Changed(Value, Value),
    /// It is another text, of several lines.
    Text(String, String),
}

/// Returns where two values differ, in the order of the fields. Elements of a sequence are matched up, so that one more
/// at the front is one addition; elements of a set have no position, and their path ends at the set.
pub fn differences(path: Path, before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(path, before, after, &mut found);
    found
}

fn compare(path: Path, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let (old, new) = match (before, after) {
        _ if same(after, before) => return,
        (None, None) => return,
        (None, Some(new)) => return add(path, Kind::Added(new.clone()), found),
        (Some(old), None) => return add(path, Kind::Removed(old.clone()), found),
        (Some(old), Some(new)) => (old, new),
    };
    let opaque = old.is_sensitive() || new.is_sensitive();
    match (old.data(), new.data()) {
        (Data::Set(old), Data::Set(new)) if !opaque => {
            for item in old.iter().filter(|item| !new.contains(item)) {
                add(path.clone(), Kind::Removed(item.clone()), found);
            }
            for item in new.iter().filter(|item| !old.contains(item)) {
                add(path.clone(), Kind::Added(item.clone()), found);
            }
        }
        (Data::String(old), Data::String(new)) if !opaque && (old.contains('\n') || new.contains('\n')) => {
            add(path, Kind::Text(old.to_string(), new.to_string()), found);
        }
        _ => match (old.as_slice(), new.as_slice(), old.as_fields(), new.as_fields()) {
            (Some(old), Some(new), ..) if !opaque => compare_sequences(&path, old, new, found),
            (_, _, Some(old), Some(new)) if !opaque => {
                let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let path = path.join(PathStep::Name(name.clone()));
                    compare(path, set(old.get(name)), set(new.get(name)), found);
                }
            }
            _ => add(path, Kind::Changed(old.clone(), new.clone()), found),
        },
    }
}

/// A field that is null counts as absent.
fn set(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn add(path: Path, what: Kind, found: &mut Vec<Difference>) {
    found.push(Difference { path, what });
}

fn compare_sequences(path: &Path, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    let at = |index: usize| path.join(PathStep::Index(index as u64));
    let texts = |items: &[Value]| items.iter().map(inline).collect::<Vec<_>>();
    for op in capture_diff_slices(Algorithm::Myers, &texts(old), &texts(new)) {
        // A range that was replaced by one of the same length holds elements that changed.
        if let DiffOp::Replace {
            old_index,
            old_len,
            new_index,
            new_len,
        } = op
            && old_len == new_len
        {
            for i in 0..old_len {
                compare(at(new_index + i), old.get(old_index + i), new.get(new_index + i), found);
            }
            continue;
        }
        match op {
            // What shows alike can differ all the same: two secrets.
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => {
                for i in 0..len {
                    compare(at(new_index + i), old.get(old_index + i), new.get(new_index + i), found);
                }
            }
            _ => {
                for i in op.old_range() {
                    found.extend(old.get(i).map(|item| Difference {
                        path: at(i),
                        what: Kind::Removed(item.clone()),
                    }));
                }
                for i in op.new_range() {
                    found.extend(new.get(i).map(|item| Difference {
                        path: at(i),
                        what: Kind::Added(item.clone()),
                    }));
                }
            }
        }
    }
}

impl Difference {
    /// Adds its lines to a document; `note` goes behind the first one.
    pub fn show(&self, note: Option<&str>, document: &mut Document) {
        let head = |tone, sign: &str| Line::new().tone(tone, sign).text(format!(" {}:", self.path));
        let noted = |line: Line| match note {
            Some(note) => line.tone(Tone::Bad, format!("  # {note}")),
            None => line,
        };
        match &self.what {
            Kind::Added(value) => show_whole(head(Tone::Good, "+"), value, noted, document),
            Kind::Removed(value) => show_whole(head(Tone::Bad, "-"), value, noted, document),
            Kind::Changed(old, new) if hidden(old) && hidden(new) => {
                document.line(noted(
                    head(Tone::Change, "~").text(format!(" {SENSITIVE}, another one")),
                ));
            }
            Kind::Changed(old, new) => {
                let text = format!(" {} -> {}", inline(old), inline(new));
                document.line(noted(head(Tone::Change, "~").text(text)));
            }
            Kind::Text(old, new) => {
                document.line(noted(head(Tone::Change, "~")));
                document.nest(4, |document| show_text(old, new, document));
            }
        }
    }
}

fn hidden(value: &Value) -> bool {
    value.is_sensitive() || matches!(value.data(), Data::Redacted(_))
}

fn show_whole(head: Line, value: &Value, noted: impl Fn(Line) -> Line, document: &mut Document) {
    let text = dense(&without_nulls(value));
    match text.split_once('\n') {
        None => document.line(noted(head.text(format!(" {text}")))),
        Some((first, rest)) => {
            document.line(noted(head.text(format!(" {first}"))));
            document.nest(2, |document| document.line(rest));
        }
    }
}

/// Returns a value without the fields that are null, as those count as absent.
fn without_nulls(value: &Value) -> Value {
    match (value.as_fields(), value.as_slice()) {
        (Some(fields), _) => {
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            Value::object(fields.map(|(name, field)| (name.clone(), without_nulls(field)))).mark(value.is_sensitive())
        }
        (_, Some(items)) => Value::tuple(items.iter().map(without_nulls)).mark(value.is_sensitive()),
        _ => value.clone(),
    }
}

fn show_text(old: &str, new: &str, document: &mut Document) {
    let diff = TextDiff::from_lines(old, new);
    let end_differs = old.ends_with('\n') != new.ends_with('\n');
    for (i, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            document.line(Line::new().tone(Tone::Faint, "  …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (tone, sign) = match change.tag() {
                ChangeTag::Equal => (Tone::Plain, " "),
                ChangeTag::Insert => (Tone::Good, "+"),
                ChangeTag::Delete => (Tone::Bad, "-"),
            };
            let ended = change.value().ends_with('\n');
            let text = with_visible_end(change.value().trim_end_matches('\n'));
            let line = Line::new().tone(tone, format!("{sign} {text}"));
            document.line(match ended || !end_differs {
                true => line,
                false => line.tone(Tone::Faint, "  (no line break at its end)"),
            });
        }
    }
}

/// Returns a line with the white space at its end visible, as it can be all that changed.
fn with_visible_end(line: &str) -> String {
    let text = line.trim_end();
    let end: String = line[text.len()..]
        .chars()
        .map(|c| match c {
            '\t' => '→',
            '\r' => '␍',
            _ => '·',
        })
        .collect();
    format!("{text}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Theme;

    fn shown(before: Option<Value>, after: Option<Value>) -> String {
        let mut document = Document::new();
        for difference in differences(Path::attribute("x"), before.as_ref(), after.as_ref()) {
            difference.show(None, &mut document);
        }
        document.render(Theme::Plain)
    }

    fn texts(items: &[&str]) -> Value {
        Value::list(items.iter().map(|item| Value::from(*item)))
    }

    #[test]
    fn each_place_that_differs() {
        let secret = |text: &str| Value::from(text).mark(true);
        for (name, before, after, expected) in [
            ("same", texts(&["a"]), Value::tuple([Value::from("a")]), ""),
            ("scalar", 1i64.into(), 2i64.into(), "~ x: 1 -> 2\n"),
            ("to another type", 1i64.into(), texts(&["a"]), "~ x: 1 -> [\"a\"]\n"),
            (
                "unknown",
                "a".into(),
                Value::unknown("b"),
                "~ x: \"a\" -> (known after apply)\n",
            ),
            (
                "one more at the front",
                texts(&["a", "b"]),
                texts(&["0", "a", "b"]),
                "+ x[0]: \"0\"\n",
            ),
            (
                "one less in the middle",
                texts(&["a", "b", "c"]),
                texts(&["a", "c"]),
                "- x[1]: \"b\"\n",
            ),
            (
                "one element",
                texts(&["a", "b"]),
                texts(&["a", "c"]),
                "~ x[1]: \"b\" -> \"c\"\n",
            ),
            (
                "set",
                Value::set([Value::from("a"), Value::from("b")]),
                Value::set([Value::from("b"), Value::from("c")]),
                "- x: \"a\"\n+ x: \"c\"\n",
            ),
            (
                "fields",
                Value::object([("a", 1i64.into()), ("b c", 2i64.into()), ("d", 3i64.into())]),
                Value::map([("a", 1i64.into()), ("b c", 3i64.into()), ("e", Value::from(4i64))]),
                "~ x[\"b c\"]: 2 -> 3\n- x.d: 3\n+ x.e: 4\n",
            ),
            (
                "null is absent",
                Value::object([("a", Value::NULL)]),
                Value::object::<&str>([]),
                "",
            ),
            ("secret", secret("a"), secret("b"), "~ x: (sensitive), another one\n"),
            ("secret before", secret("a"), "b".into(), "~ x: (sensitive) -> \"b\"\n"),
            (
                "secret in a list",
                Value::tuple([secret("a"), 1i64.into()]),
                Value::tuple([secret("b"), 1i64.into()]),
                "~ x[0]: (sensitive), another one\n",
            ),
            (
                "secret object",
                Value::object([("a", Value::from("1"))]).mark(true),
                Value::object([("a", Value::from("2"))]).mark(true),
                "~ x: (sensitive), another one\n",
            ),
            (
                "a space at the end of a line",
                "a\nb\n".into(),
                "a\nb \n".into(),
                "~ x:\n      a\n    - b\n    + b·\n",
            ),
        ] {
            assert_eq!(shown(Some(before), Some(after)), expected, "{name}");
        }
        let nulls = Value::object([("a", Value::NULL), ("b", Value::tuple([Value::NULL, 1i64.into()]))]);
        assert_eq!(shown(None, Some(nulls)), "+ x: { b = [null, 1] }\n");
        assert_eq!(shown(None, Some(texts(&[]))), "+ x: []\n");
        assert_eq!(shown(Some(true.into()), None), "- x: true\n");
    }

    #[test]
    fn text_of_several_lines() {
        let lines = |changed: &str| {
            let lines: Vec<String> = (1..=20)
                .map(|i| {
                    if i == 4 || i == 17 {
                        format!("{changed} {i}")
                    } else {
                        format!("line {i}")
                    }
                })
                .collect();
            Value::from(lines.join("\n"))
        };
        insta::assert_snapshot!(shown(Some(lines("old")), Some(lines("new"))));
    }
}
