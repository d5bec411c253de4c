//! How two texts of a file differ, in the form that `patch` reads.

use std::path::Path;

use similar::TextDiff;

use super::document::{Document, Line, Theme, Tone};

/// Returns the difference as a unified diff; nothing where there is none. Without colours it is for programs too, so
/// nothing of the texts is changed; with colours control characters are shown by their numbers.
pub fn render(path: &Path, old: &str, new: &str, theme: Theme) -> String {
    let diff = TextDiff::from_lines(old, new);
    let path = path.to_string_lossy();
    let path = path.trim_start_matches('/');
    let patch = diff
        .unified_diff()
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string();
    if theme == Theme::Plain {
        return patch;
    }
    let mut document = Document::new();
    for line in patch.lines() {
        let tone = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => Tone::Strong,
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            Some(b'@') => Tone::Faint,
            _ => Tone::Plain,
        };
        document.line(Line::new().tone(tone, line));
    }
    document.render(theme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_patch_reads() {
        let shown = render(
            Path::new("a.hcl"),
            "a=1\nb = 2 \nc = 3",
            "a = 1\nb = 2\nc = 3",
            Theme::Plain,
        );
        insta::assert_snapshot!(shown);
        assert_eq!(render(Path::new("a.hcl"), "a", "a", Theme::Plain), "");
        let colored = render(Path::new("a.hcl"), "\u{1b}[2J\n", "x\n", Theme::Colored);
        assert!(colored.contains(r"\u{1b}[2J"), "{colored}");
    }
}
