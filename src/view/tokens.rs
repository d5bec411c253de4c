//! Tokens, without what they are known by.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use simfleet_state::AccessToken;

use super::document::{Document, Theme};
use super::table::fill;

/// Returns tokens as a table.
pub fn render(tokens: &[AccessToken], now: Timestamp) -> String {
    if tokens.is_empty() {
        return "There are no tokens.\n".to_owned();
    }
    let mut rows = vec![
        ["NAME", "ROLE", "STATUS", "CREATED", "BY", "EXPIRES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(tokens.iter().map(|token| {
        let expires = token
            .expires
            .map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
        vec![
            token.name.to_string(),
            token.role.to_string(),
            status(token, now).to_owned(),
            format!("{:.0}", token.created),
            token.by.to_string(),
            expires,
        ]
    }));
    let mut document = Document::new();
    fill(&rows, &mut document);
    document.render(Theme::Plain)
}

/// Returns tokens for programs.
pub fn json(tokens: &[AccessToken], now: Timestamp) -> Json {
    tokens.iter().map(|token| one_json(token, now)).collect()
}

/// Returns one for programs.
pub fn one_json(token: &AccessToken, now: Timestamp) -> Json {
    json!({
        "name": token.name,
        "role": token.role.as_str(),
        "status": status(token, now),
        "created": token.created.to_string(),
        "by": token.by,
        "expires": token.expires.map(|at| at.to_string()),
        "revoked": token.revoked.map(|at| at.to_string()),
    })
}

fn status(token: &AccessToken, now: Timestamp) -> &'static str {
    match (token.revoked, token.expires) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "valid",
    }
}
