//! What watches told, and who did what, as it is kept.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::document::{Document, Theme};
use super::table::fill;

/// Returns a line of what was told, for people.
pub fn line(event: &Json) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let (message, address) = (text("message"), text("address"));
    let at = second(text("at"));
    match address.is_empty() || message.contains(address) {
        true => format!("{at} {message}\n"),
        false => format!("{at} {address}: {message}\n"),
    }
}

/// Returns entries of the audit log, for people.
pub fn audit(entries: &[&Json], theme: Theme) -> String {
    let mut document = Document::new();
    if entries.is_empty() {
        document.line("Nothing was done by hand in that time.");
        return document.render(theme);
    }
    let heads = ["TIME", "WHO", "FROM", "WHAT", "ADDRESS", "RESULT"].map(str::to_owned);
    let row = |entry: &&Json| {
        let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
        let result = match entry["message"].as_str() {
            Some(message) => format!("{}: {message}", text("result")),
            None => text("result"),
        };
        vec![
            second(&text("at")),
            text("by"),
            text("from"),
            text("action"),
            text("address"),
            result,
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(heads.to_vec()).chain(entries.iter().map(row)).collect();
    fill(&rows, &mut document);
    document.render(theme)
}

/// Returns an instant to the second.
fn second(at: &str) -> String {
    at.parse()
        .map_or_else(|_| at.to_owned(), |at: Timestamp| format!("{at:.0}"))
}
