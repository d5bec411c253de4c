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
    let rest = &text[start..];
    let next = rest.chars().next().filter(|c| !c.is_whitespace());
    let (detail, hint) = explain(error.message(), next, text[..start].trim_end());
    let width = match next {
        Some(c) if c.is_alphanumeric() || c == '_' => rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len()),
        Some(c) => c.len_utf8(),
        None => 0,
    };
    let diagnostic = Diagnostic::error("Syntax error", detail).at(Span {
        file: Arc::clone(file),
        range: start..start + width,
    });
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

fn explain(message: &str, next: Option<char>, before: &str) -> (String, Option<&'static str>) {
    if message.contains("redefined attribute") {
        let detail = "This attribute is set twice in the same block.".to_owned();
        return (detail, Some("remove one of the two"));
    }
    if message.contains("nesting depth") || message.contains("operator") && message.contains("at most") {
        return (format!("This is nested too deeply: {message}."), None);
    }
    let found = match next {
        Some('\0'..='\x1f') => "a control character".to_owned(),
        Some(c) => format!("`{c}`"),
        None => "the end of the line or file".to_owned(),
    };
    let hint = if message.starts_with("invalid block body") {
        Some("a block is closed with `}`; one that stands on one line holds one attribute")
    } else if message.contains("newline") {
        Some("each attribute stands on a line of its own, and so does the `}` that closes a block of several lines")
    } else if message.starts_with("invalid structure") && next == Some(':') {
        Some("an attribute is set with `=`")
    } else if next == Some('\'') || before.ends_with('\'') {
        Some("strings stand in double quotes")
    } else {
        None
    };
    (format!("Found {found}: {message}."), hint)
}
