//! The reference of the language: for a terminal, in Markdown, and for programs.

use serde_json::{Value as Json, json};

use super::document::{Document, Line, Theme, Tone};
use super::table;
use super::values::{self, inline};
use crate::reference::{Entry, Group, RESOURCE, Row, Setting};

/// Returns a line for each entry.
pub fn list(entries: &[Entry], theme: Theme) -> String {
    let mut document = Document::new();
    for (group, title) in [
        (Group::Block, "Blocks"),
        (Group::Object, "Objects, as plans and the state show them"),
    ] {
        document.blank();
        document.line(Line::new().tone(Tone::Strong, title));
        let rows: Vec<Vec<String>> = entries
            .iter()
            .filter(|entry| entry.group == group)
            .map(|entry| {
                let note = if entry.available { "" } else { " (not available yet)" };
                vec![entry.name.clone(), format!("{}{note}", entry.doc)]
            })
            .collect();
        document.nest(2, |document| table::fill(&rows, document));
    }
    document.render(theme)
}

/// Returns all that is known of one entry.
pub fn one(entry: &Entry, theme: Theme) -> String {
    let mut document = Document::new();
    document.line(Line::new().tone(Tone::Strong, entry.header.clone()));
    document.line(entry.doc.as_str());
    if !entry.available {
        document.line(NOT_YET);
    }
    document.blank();
    for row in &entry.rows {
        let mut facts = vec![row.ty.clone(), set_by(&row.presence)];
        if !row.replaces.is_empty() {
            facts.push("a change replaces".to_owned());
        }
        if row.sensitive {
            facts.push("sensitive".to_owned());
        }
        if entry.available && !row.available {
            facts.push("not available yet".to_owned());
        }
        document.line(
            Line::new()
                .text("  ")
                .tone(Tone::Strong, row.path.clone())
                .tone(Tone::Faint, format!("  ({})", facts.join("; "))),
        );
        document.nest(6, |document| document.line(row.doc));
    }
    for inner in &entry.blocks {
        let later = if entry.available && !inner.available {
            "; not available yet"
        } else {
            ""
        };
        document.line(
            Line::new()
                .text("  ")
                .tone(Tone::Strong, format!("{}{} {{ … }}", inner.path, inner.labels))
                .tone(Tone::Faint, format!("  (block; {}{later})", inner.times)),
        );
        document.nest(6, |document| document.line(inner.doc));
    }
    section("Others can read of it:", &entry.outputs, &mut document);
    if entry.is_resource {
        document.blank();
        document.line(format!("It takes what every resource does: simfleet schema {RESOURCE}"));
    }
    document.render(theme)
}

fn section(title: &str, items: &[(&str, &str)], document: &mut Document) {
    if items.is_empty() {
        return;
    }
    document.blank();
    document.line(title);
    for (name, doc) in items {
        document.line(
            Line::new()
                .text("  ")
                .tone(Tone::Strong, *name)
                .text(format!("  {doc}")),
        );
    }
}

/// Returns the entries of a group as one Markdown document.
pub fn markdown(group: Group, entries: &[Entry]) -> String {
    let (title, about) = match group {
        Group::Block => ("Blocks", "What can stand in a fleet file."),
        Group::Object => ("Objects", "What blocks become: what a plan shows and the state holds."),
    };
    let mut text = format!(
        "# {title}\n\n{about} Made from the schemas of this version by `simfleet schema --markdown`; do not edit.\n"
    );
    let entries: Vec<&Entry> = entries.iter().filter(|entry| entry.group == group).collect();
    text.push('\n');
    for entry in &entries {
        text.push_str(&format!("- [{0}](#{1})\n", entry.name, anchor(&entry.name)));
    }
    for entry in entries {
        text.push_str(&format!("\n## {}\n\n", entry.name));
        if entry.group == Group::Block && entry.name != RESOURCE {
            text.push_str(&format!("```hcl\n{} {{\n}}\n```\n\n", entry.header));
        }
        text.push_str(&format!("{}\n", sentence(&entry.doc)));
        if !entry.available {
            text.push_str(&format!("{NOT_YET}\n"));
        }
        if entry.is_resource {
            text.push_str(&format!("It takes what every [{RESOURCE}](#{RESOURCE}) does.\n"));
        }
        if !entry.rows.is_empty() {
            text.push_str("\n| attribute | type | set | a change | |\n|---|---|---|---|---|\n");
            text.extend(entry.rows.iter().map(|row| markdown_row(entry, row)));
        }
        if !entry.blocks.is_empty() {
            text.push_str("\n| block | how often | |\n|---|---|---|\n");
            for inner in &entry.blocks {
                text.push_str(&format!(
                    "| `{}{}` | {} | {} |\n",
                    inner.path,
                    inner.labels,
                    inner.times,
                    cell(&noted(inner.doc, entry, inner.available))
                ));
            }
        }
        if !entry.outputs.is_empty() {
            text.push_str("\n| others can read | |\n|---|---|\n");
            for (name, doc) in &entry.outputs {
                text.push_str(&format!("| `{name}` | {} |\n", cell(doc)));
            }
        }
    }
    text
}

/// What is told of a block that this version does not act on.
const NOT_YET: &str = "Not available yet: it is checked, and a plan of it is refused.";

/// Returns a sentence, with a note on what is not available in an entry that is.
fn noted(doc: &str, entry: &Entry, is_available: bool) -> String {
    match entry.available && !is_available {
        true => format!("{doc} (not available yet)"),
        false => doc.to_owned(),
    }
}

fn markdown_row(entry: &Entry, row: &Row) -> String {
    let mut change = match row.presence {
        Setting::Computed | Setting::Live => "",
        _ if row.replaces.is_empty() => "updates",
        _ => "**replaces**",
    }
    .to_owned();
    if row.sensitive {
        change.push_str(" (sensitive)");
    }
    format!(
        "| `{}` | {} | {} | {change} | {} |\n",
        row.path,
        cell(&row.ty),
        cell(&set_by(&row.presence)),
        cell(&noted(row.doc, entry, row.available))
    )
}

/// Returns text as it stands in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn sentence(text: &str) -> String {
    match text.ends_with('.') {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

/// Returns what a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_".contains(*c);
    heading.to_lowercase().chars().filter(kept).collect()
}

fn set_by(setting: &Setting) -> String {
    match setting {
        Setting::Required => "required".to_owned(),
        Setting::Optional => "optional".to_owned(),
        Setting::Default(value) => format!("default {}", inline(value)),
        Setting::OptionalComputed => "optional; else by the provider".to_owned(),
        Setting::Computed => "by the provider, once".to_owned(),
        Setting::Live => "by the provider, at any time".to_owned(),
    }
}

/// Returns an entry for programs.
pub fn json(entry: &Entry) -> Json {
    let row = |row: &Row| {
        let word = match row.presence {
            Setting::Required => "required",
            Setting::Optional | Setting::Default(_) => "optional",
            Setting::OptionalComputed => "optional_computed",
            Setting::Computed => "computed",
            Setting::Live => "live",
        };
        let default = match &row.presence {
            Setting::Default(value) => values::json(value),
            _ => Json::Null,
        };
        json!({
            "path": row.path,
            "type": row.ty,
            "set": word,
            "default": default,
            "replaces": row.replaces,
            "sensitive": row.sensitive,
            "available": row.available,
            "doc": row.doc,
        })
    };
    json!({
        "name": entry.name,
        "group": match entry.group {
            Group::Block => "block",
            Group::Object => "object",
        },
        "header": entry.header,
        "doc": entry.doc,
        "attributes": entry.rows.iter().map(row).collect::<Vec<_>>(),
        "blocks": entry
            .blocks
            .iter()
            .map(|inner| json!({"path": inner.path, "times": inner.times, "available": inner.available, "doc": inner.doc}))
            .collect::<Vec<_>>(),
        "outputs": entry
            .outputs
            .iter()
            .map(|(name, doc)| json!({"name": name, "doc": doc}))
            .collect::<Vec<_>>(),
        "resource": entry.is_resource,
        "available": entry.available,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::providers::Registry;
    use crate::reference::entries;

    /// The documentation is what the program says. `UPDATE_REFERENCE=1 cargo test` writes it.
    #[test]
    fn the_documentation_is_up_to_date() {
        let entries = entries(&Registry::built_in());
        for (name, group) in [("blocks.md", Group::Block), ("objects.md", Group::Object)] {
            let text = markdown(group, &entries);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
            if std::env::var_os("UPDATE_REFERENCE").is_some() {
                std::fs::write(&path, &text).expect("it can be written");
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                written == text,
                "docs/reference/{name} is out of date: run this test with UPDATE_REFERENCE=1"
            );
        }
    }

    #[test]
    fn every_attribute_says_what_it_is() {
        for entry in entries(&Registry::built_in()) {
            assert!(!entry.doc.is_empty(), "{} has no words", entry.name);
            for row in &entry.rows {
                assert!(
                    !row.doc.is_empty() && !row.ty.is_empty(),
                    "{}: {}",
                    entry.name,
                    row.path
                );
            }
        }
    }
}
