//! Text to a tree of blocks and attributes, spans kept.
//!
//! hcl-edit's tree carries all white space and comments, for round trips; only the names and the expressions of it are
//! kept.

use std::ops::Range;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::structure::{self, BlockLabel, Structure};

use super::eval::Expr;
use super::nesting;
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// A name and where it stands.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name; of a quoted label the text inside the quotes.
    pub text: Arc<str>,
    /// Where.
    pub span: Span,
}

/// `name = expression`.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The name.
    pub name: Name,
    /// What it is set to.
    pub expr: Expr,
    /// Where the expression is.
    pub value_span: Span,
}

/// `name "label" … { … }`.
#[derive(Debug, Clone)]
pub struct Block {
    /// The type of the block.
    pub name: Name,
    /// Its labels.
    pub labels: Vec<Name>,
    /// What is inside.
    pub body: Body,
    /// Its first line, up to the brace.
    pub header: Span,
}

/// Attributes and blocks, each in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// The attributes; no two have the same name.
    pub attributes: Vec<Attribute>,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// Parses one file.
///
/// # Errors
/// The first syntax error; the parser stops there. Brackets that are nested too deeply.
pub fn parse(file: &Arc<SourceFile>) -> Result<Body, Diagnostic> {
    nesting::check(file)?;
    match hcl_edit::parser::parse_body(&file.text) {
        Ok(body) => Ok(Tree { file }.body(body)),
        Err(error) => Err(syntax_error(file, &error)),
    }
}

struct Tree<'a> {
    file: &'a Arc<SourceFile>,
}

impl Tree<'_> {
    fn span(&self, range: Option<Range<usize>>) -> Span {
        Span {
            file: Arc::clone(self.file),
            range: range.unwrap_or_default(),
        }
    }

    fn body(&self, body: structure::Body) -> Body {
        let mut tree = Body::default();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => tree.attributes.push(self.attribute(attribute)),
                Structure::Block(block) => tree.blocks.push(self.block(block)),
            }
        }
        tree
    }

    fn attribute(&self, attribute: structure::Attribute) -> Attribute {
        Attribute {
            name: Name {
                text: attribute.key.value().as_str().into(),
                span: self.span(attribute.key.span()),
            },
            value_span: self.span(attribute.value.span()),
            expr: Expr::new(attribute.value, self.file),
        }
    }

    fn block(&self, block: structure::Block) -> Block {
        let name = Name {
            text: block.ident.value().as_str().into(),
            span: self.span(block.ident.span()),
        };
        let labels: Vec<Name> = block.labels.iter().map(|label| self.label(label)).collect();
        let end = labels.last().map_or(name.span.range.end, |label| label.span.range.end);
        Block {
            header: self.span(Some(name.span.range.start..end)),
            name,
            labels,
            body: self.body(block.body),
        }
    }

    fn label(&self, label: &BlockLabel) -> Name {
        let range = match label {
            BlockLabel::Ident(name) => name.span(),
            BlockLabel::String(text) => text.span(),
        };
        Name {
            text: label.as_str().into(),
            span: self.span(range),
        }
    }
}

/// Puts the parser's words into those of the language, with what to do about it.
pub(super) fn syntax_error(file: &Arc<SourceFile>, error: &hcl_edit::parser::Error) -> Diagnostic {
    let text = &file.text;
    let mut start = error.location().offset().min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let told = explain(error.message(), text, start);
    let diagnostic = Diagnostic::error("Syntax error", told.detail).at(Span {
        file: Arc::clone(file),
        range: told.range,
    });
    match told.hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// What is told of a syntax error.
struct Told {
    range: Range<usize>,
    detail: String,
    hint: Option<&'static str>,
}

fn explain(message: &str, text: &str, start: usize) -> Told {
    let (before, rest) = text.split_at(start);
    let range = start..start + width(rest);
    let found = match rest.chars().next() {
        _ if rest.trim().is_empty() => "the file ends".to_owned(),
        Some('\n' | '\r') | None => "the line ends".to_owned(),
        Some(c) if c.is_control() => "there is a control character".to_owned(),
        Some(_) => {
            let shown: String = rest[..width(rest)].chars().take(20).collect();
            format!("there is `{shown}`")
        }
    };
    let told = |detail: String, hint| Told {
        range: range.clone(),
        detail,
        hint,
    };
    let at = |range: Range<usize>, detail: &str, hint| Told {
        range,
        detail: detail.to_owned(),
        hint: Some(hint),
    };
    let quotes = rest
        .starts_with(['\'', '“', '”', '‘', '’'])
        .then_some("strings stand in double quotes: \"");
    if rest.starts_with("/*") {
        return told(
            "The comment that starts here does not end.".to_owned(),
            Some("close it with `*/`"),
        );
    }
    if message.contains("redefined attribute") {
        let detail = "This attribute is set twice in the same block.".to_owned();
        return told(detail, Some("remove one of the two"));
    }
    if message.contains("at most") {
        return told(format!("This is nested too deeply: {message}."), None);
    }
    if let Some(opened) = string_over_lines(before) {
        return at(opened..opened + 1, UNCLOSED.0, UNCLOSED.1);
    }
    if message.contains("newline") && message.contains("eof") {
        let hint = match &rest[..width(rest)] {
            "}" => "the `}` of a block of several lines stands on a line of its own",
            ";" => NO_SEMICOLON,
            "and" => "and is written `&&`",
            "or" => "or is written `||`",
            _ => "each attribute stands on a line of its own",
        };
        return told(format!("The line should end here, but {found}."), quotes.or(Some(hint)));
    }
    if message.starts_with("invalid block body") {
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        if (line.is_empty() || line.ends_with('{'))
            && let Some(unfinished) = unfinished(rest)
        {
            let (range, (detail, hint)) = unfinished;
            return at(start + range.start..start + range.end, detail, hint);
        }
        let hint = match rest.chars().next() {
            _ if rest.trim().is_empty() => Some("add the `}` that is missing"),
            Some(';') => Some(NO_SEMICOLON),
            _ if line.contains('{') => {
                Some("a block on one line holds one attribute; several stand on lines of their own")
            }
            _ => None,
        };
        return told(
            format!("The block should go on or end with `}}` here, but {found}."),
            hint,
        );
    }
    if message.contains("heredoc end delimiter")
        && let Some(opened) = before.rfind("<<")
    {
        let range = opened..opened + text[opened..].lines().next().map_or(2, |line| line.trim_end().len());
        return match rest.starts_with("%{") {
            true => at(start..start + 2, UNFINISHED.0, UNFINISHED.1),
            false => at(
                range,
                "The heredoc that starts here does not end.",
                "end it with a line that has only the word behind `<<`",
            ),
        };
    }
    if (message.contains("`\\`") || message.contains("token"))
        && let Some(escape) = before.rfind('\\').filter(|escape| start - escape <= 5)
    {
        return at(
            escape..start.max(escape + 1),
            "There is no such escape sequence in a string.",
            "a backslash is written `\\\\`; there are \\n, \\r, \\t, \\\", \\uNNNN and \\UNNNNNNNN",
        );
    }
    if message.starts_with("invalid structure") {
        let hint = quotes.or(rest.starts_with(':').then_some("an attribute is set with `=`"));
        return told(
            format!("`=`, `{{` or a label in quotes should stand here, but {found}."),
            hint,
        );
    }
    if message.starts_with("invalid expression") {
        return told(format!("A value should stand here, but {found}."), quotes);
    }
    if message.starts_with("unexpected token") {
        if rest.starts_with('}') {
            return told("This `}` closes nothing.".to_owned(), Some("take it out"));
        }
        return told("What starts here is no whole attribute or block.".to_owned(), None);
    }
    let wanted = match message.rsplit("expected ").next().unwrap_or(message) {
        "`]`" => "`,` or `]`",
        "`)` or expression" => "`,` or `)`",
        wanted => wanted,
    };
    told(format!("{wanted} should stand here, but {found}."), quotes)
}

/// What is told of a string whose closing quote is missing.
const UNCLOSED: (&str, &str) = (
    "The string that starts here does not end on its line.",
    "close it with `\"`; text of several lines stands in a heredoc: <<EOT",
);
/// What is told of a template that the parser gave up.
const UNFINISHED: (&str, &str) = (
    "The template here is not complete.",
    "`${` and `%{` end with `}`, `%{ if … }` with `%{ endif }`, `%{ for … }` with `%{ endfor }`; as text they are `$${` and `%%{`",
);
/// Strings in templates of strings are followed this deep.
const DEEPEST: usize = 100;
const NO_SEMICOLON: &str = "an attribute ends with its line, without a `;`";

/// Returns what is wrong with the first line of an attribute that the parser gave up as a whole, and where: a string that
/// does not end, or a template that is not complete.
fn unfinished(attribute: &str) -> Option<(Range<usize>, (&'static str, &'static str))> {
    let line = attribute.lines().next()?;
    let mut from = line.find('=')?;
    let mut template = None;
    while let Some(opened) = line[from..].find('"').map(|at| from + at) {
        let Some(end) = end_of_string(line, opened + 1, 0) else {
            return Some((opened..opened + 1, UNCLOSED));
        };
        let inside = &line[opened..end];
        if template.is_none() && (inside.contains("${") || inside.contains("%{")) {
            template = Some((opened..end, UNFINISHED));
        }
        from = end;
    }
    template
}

/// Returns where a string ends, behind its closing quote; strings in its templates may have quotes of their own.
fn end_of_string(line: &str, from: usize, depth: usize) -> Option<usize> {
    if depth > DEEPEST {
        return None;
    }
    let mut at = from;
    // The braces that are open in a template; none outside of one.
    let mut open = 0_usize;
    while let Some(c) = line[at..].chars().next() {
        let next = at + c.len_utf8();
        at = match c {
            '\\' if open == 0 => next + line[next..].chars().next().map_or(0, char::len_utf8),
            '"' if open == 0 => return Some(next),
            '"' => end_of_string(line, next, depth + 1)?,
            '$' | '%' if open == 0 && line[next..].starts_with('{') => {
                open = 1;
                next + 1
            }
            '{' if open > 0 => {
                open += 1;
                next
            }
            '}' if open > 0 => {
                open -= 1;
                next
            }
            _ => next,
        };
    }
    None
}

/// Returns how many bytes at the start of a text are underlined: its first word or sign.
fn width(rest: &str) -> usize {
    match rest.chars().next() {
        Some(c) if c.is_alphanumeric() || c == '_' => rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len()),
        Some(c) if !c.is_whitespace() => c.len_utf8(),
        _ => 0,
    }
}

/// Returns where the string starts that ends with `before`, if that is on an earlier line: its closing quote is missing
/// then, and the quote at the end is the opening one of another string.
fn string_over_lines(before: &str) -> Option<usize> {
    let inside = before.strip_suffix('"')?;
    let opened = inside.rfind('"')?;
    inside[opened..].contains('\n').then_some(opened)
}
