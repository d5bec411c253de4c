//! The status page: one file, with its style and script inside.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("page.html");

/// Only this style and this script, nothing from elsewhere, and nobody frames it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        digest("style"),
        digest("script")
    )
});

/// Returns what stands for the content of the one element of a name.
fn digest(name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let content = PAGE.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    let content = content.map_or("", |(content, _)| content);
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(content)))
}

pub(super) async fn page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (headers, PAGE).into_response()
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    #[test]
    fn there_is_one_style_and_one_script_and_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches("<style").count(), 1);
        assert_eq!(PAGE.matches("<script").count(), 1);
        for from_elsewhere in [
            "src=\"http",
            "href=\"http",
            "@import",
            "style=\"",
            "onclick=",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(from_elsewhere), "{from_elsewhere}");
        }
    }
}
