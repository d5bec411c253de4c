//! What leads to a change, for people and for programs.

use serde_json::{Value as Json, json};

use super::document::{Document, Line, Theme, Tone};
use super::plan::{look, members};
use super::status::pool_json;
use crate::plan::PoolSize;
use crate::why::{Cause, Link};

/// Returns chains as text: each reason is indented below what it leads to. Before those of the members of a pool comes why
/// it has so many.
pub fn render(pool: Option<&PoolSize>, chains: &[Link], theme: Theme) -> String {
    let mut document = Document::new();
    if let Some(pool) = pool {
        let head = Line::new().tone(Tone::Strong, pool.address.to_string());
        document.line(head.text(format!(" is to have {}", members(pool.members))));
        document.nest(2, |document| {
            let bounds = &pool.bounds;
            document.line(format!("because {}", pool.because));
            document.line(format!(
                "within its bounds, {} to {}{}",
                bounds.min,
                bounds.max,
                bounds.by()
            ));
        });
    }
    for link in chains {
        document.blank();
        add(link, &mut document);
        if !link.waiting.is_empty() {
            document.nest(2, |document| {
                document.line("and these wait for it:");
                for address in &link.waiting {
                    document.line(format!("  {address}"));
                }
            });
        }
    }
    document.render(theme)
}

fn add(link: &Link, document: &mut Document) {
    let look = look(link.action);
    let head = Line::new().tone(Tone::Strong, link.address.to_string());
    document.line(head.tone(look.tone, format!(" {}", look.words)));
    document.nest(2, |document| {
        if link.causes.is_empty() && link.action == crate::plan::Action::NoOp {
            document.line("because it is there as it is declared");
        }
        for cause in &link.causes {
            add_cause(cause, document);
        }
        if !link.unaffected_by.is_empty() {
            let names: Vec<String> = link.unaffected_by.iter().map(ToString::to_string).collect();
            document.line(format!(
                "although what it needs changes, which gives it the same values: {}",
                names.join(", ")
            ));
        }
    });
}

fn add_cause(cause: &Cause, document: &mut Document) {
    document.line(format!("because {}", cause.text));
    document.nest(2, |document| {
        if let Some(span) = &cause.span {
            let (line, _) = span.file.position(span.range.start);
            let text = span.file.text.lines().nth(line - 1).unwrap_or_default();
            let place = format!("{}:{line}", span.file.path.display());
            document.line(Line::new().tone(Tone::Faint, place).text(format!("  {}", text.trim())));
        }
        if !cause.reads.is_empty() {
            document.line(format!("which reads {}", cause.reads.join(", ")));
        }
        for link in &cause.from {
            add(link, document);
        }
    });
}

/// Returns chains for programs.
pub fn json(pool: Option<&PoolSize>, chains: &[Link]) -> Json {
    json!({
        "format_version": super::FORMAT_VERSION,
        "pool": pool.map(pool_json),
        "chains": chains.iter().map(link).collect::<Vec<_>>(),
    })
}

fn link(one: &Link) -> Json {
    json!({
        "address": one.address,
        "action": one.action.as_str(),
        "causes": one.causes.iter().map(cause).collect::<Vec<_>>(),
        "unaffected_by": one.unaffected_by,
        "waiting": one.waiting,
    })
}

fn cause(cause: &Cause) -> Json {
    let place = |span: &crate::diagnostic::Span| {
        let (line, column) = span.file.position(span.range.start);
        json!({"file": span.file.path.display().to_string(), "line": line, "column": column})
    };
    json!({
        "reason": cause.text,
        "at": cause.span.as_ref().map(place),
        "reads": cause.reads,
        "from": cause.from.iter().map(link).collect::<Vec<_>>(),
    })
}
