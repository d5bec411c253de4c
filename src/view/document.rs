//! Lines of text for people, with tones that become colours where colours are wanted.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// No escape sequences at all.
    Plain,
    /// ANSI colours.
    Colored,
}

/// What a piece of text is, so that it can be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// A heading or a name.
    Strong,
    /// An aside.
    Faint,
    /// Something that is new, or went well.
    Good,
    /// Something that changes, or needs attention.
    Change,
    /// Something that goes away, or went wrong.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Change => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// One line: pieces of text with their tones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// Returns an empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.tone(Tone::Plain, text)
    }

    /// Adds text of a tone.
    pub fn tone(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Self {
        Line::new().text(text)
    }
}

/// Lines, each indented as deep as it was when it was added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    lines: Vec<(usize, Line)>,
    depth: usize,
}

impl Document {
    /// Returns an empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line. Text with line breaks becomes several, all of the same tone.
    pub fn line(&mut self, line: impl Into<Line>) {
        let mut current = Line::new();
        for (tone, text) in line.into().0 {
            let mut parts = text.split('\n');
            current = current.tone(tone, parts.next().unwrap_or_default());
            for part in parts {
                self.lines.push((self.depth, std::mem::take(&mut current)));
                current = current.tone(tone, part);
            }
        }
        self.lines.push((self.depth, current));
    }

    /// Adds an empty line, unless it would be the first one or follow another.
    pub fn blank(&mut self) {
        if self.lines.last().is_some_and(|(_, line)| *line != Line::new()) {
            self.lines.push((0, Line::new()));
        }
    }

    /// Adds what `fill` adds, indented further by `columns`.
    pub fn nest(&mut self, columns: usize, fill: impl FnOnce(&mut Document)) {
        self.depth += columns;
        fill(self);
        self.depth -= columns;
    }

    /// Adds the lines of another document, indented further by the current depth.
    pub fn append(&mut self, other: &Document) {
        let depth = self.depth;
        self.lines
            .extend(other.lines.iter().map(|(own, line)| (depth + own, line.clone())));
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the text: no line ends in white space, and control characters, which could move a terminal's cursor or
    /// hide what follows, are shown by their numbers.
    pub fn render(&self, theme: Theme) -> String {
        let mut text = String::new();
        for (depth, line) in &self.lines {
            let mut pieces: Vec<(Tone, String)> = line.0.iter().map(|(tone, text)| (*tone, visible(text))).collect();
            while let Some((_, last)) = pieces.last_mut() {
                last.truncate(last.trim_end().len());
                if !last.is_empty() {
                    break;
                }
                pieces.pop();
            }
            if !pieces.is_empty() {
                text.extend(std::iter::repeat_n(' ', *depth));
            }
            for (tone, piece) in pieces {
                let style = tone.style();
                match theme {
                    Theme::Colored if !style.is_plain() => {
                        text.push_str(&format!("{style}{piece}{style:#}"));
                    }
                    _ => text.push_str(&piece),
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Returns how many columns of a terminal text takes: two for each wide character.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Returns text and the blanks that fill it up to a width, in columns.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Returns text without control characters: each becomes `\u{…}`. Tabs stay.
pub fn visible(text: &str) -> String {
    if !text.chars().any(is_hidden) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

/// Control characters, and those that change the direction in which text is read.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_indented_and_have_no_trailing_white_space() {
        let mut document = Document::new();
        document.blank();
        document.line("a  ");
        document.nest(2, |document| {
            document.line(Line::from("b\nc ").tone(Tone::Bad, "  "));
            document.line("");
            document.blank();
        });
        document.blank();
        document.line("d");
        assert_eq!(document.render(Theme::Plain), "a\n  b\n  c\n\n\nd\n");
    }

    #[test]
    fn only_a_coloured_theme_writes_escape_sequences() {
        let mut document = Document::new();
        document.line(Line::new().tone(Tone::Good, "+").text(" a"));
        assert_eq!(document.render(Theme::Plain), "+ a\n");
        assert_eq!(document.render(Theme::Colored), "\u{1b}[32m+\u{1b}[0m a\n");
    }

    #[test]
    fn control_characters_of_foreign_text_are_shown() {
        let mut document = Document::new();
        document.line("a\u{1b}[2Jb\tc\u{202e}d");
        assert_eq!(document.render(Theme::Colored), "a\\u{1b}[2Jb\tc\\u{202e}d\n");
    }
}
