//! Text to a tree of blocks and attributes, spans kept.
//!
//! hcl-edit's tree carries all white space and comments, for round trips; only the names and the expressions of it are
//! kept.

use std::ops::Range;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::structure::{self, BlockLabel, Structure};

use super::eval::Expr;
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
/// The first syntax error; the parser stops there.
pub fn parse(file: &Arc<SourceFile>) -> Result<Body, Diagnostic> {
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
            expr: Expr {
                syntax: Arc::new(attribute.value),
                file: Arc::clone(self.file),
            },
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
    let quotes = rest.starts_with('\'').then_some("strings stand in double quotes");
    if message.contains("redefined attribute") {
        let detail = "This attribute is set twice in the same block.".to_owned();
        return told(detail, Some("remove one of the two"));
    }
    if message.contains("at most") {
        return told(format!("This is nested too deeply: {message}."), None);
    }
    if message.contains("newline") && message.contains("eof") {
        if let Some(opened) = string_over_lines(before) {
            return Told {
                range: opened..opened + 1,
                detail: "The string that starts here does not end on its line.".to_owned(),
                hint: Some("close it with `\"`; text of several lines stands in a heredoc: <<EOT"),
            };
        }
        let hint = match rest.chars().next() {
            Some('}') => "the `}` of a block of several lines stands on a line of its own",
            _ => "each attribute stands on a line of its own",
        };
        return told(format!("The line should end here, but {found}."), quotes.or(Some(hint)));
    }
    if message.starts_with("invalid block body") {
        let hint = match rest.trim().is_empty() {
            true => "add the `}` that is missing",
            false => "a block on one line holds one attribute; several stand on lines of their own",
        };
        return told(
            format!("The block should go on or end with `}}` here, but {found}."),
            Some(hint),
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
        if rest.starts_with("/*") {
            return told(
                "The comment that starts here does not end.".to_owned(),
                Some("close it with `*/`"),
            );
        }
        return told("What starts here is no whole attribute or block.".to_owned(), None);
    }
    let wanted = message.rsplit("expected ").next().unwrap_or(message);
    told(format!("{wanted} should stand here, but {found}."), quotes)
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
