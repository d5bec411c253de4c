//! Templates: strings with interpolations and directives, heredocs, template files.

use std::borrow::Cow;

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::template::{
    Directive, Element, ForTemplateExpr, HeredocTemplate, Interpolation, StringTemplate, Strip, Template,
};
use simfleet_provider_api::{Type, Value, convert};

use super::comprehension::Items;
use super::evaluator::{Binding, Evaluated, Evaluator, Failed, Names, Truth, normal, unknown};
use crate::diagnostic::Diagnostic;

/// A template whose strip markers and indentation have been applied.
enum Part<'e> {
    Text(Cow<'e, str>),
    Value(&'e Expression),
    If {
        condition: &'e Expression,
        then: Vec<Part<'e>>,
        otherwise: Vec<Part<'e>>,
    },
    For {
        intro: &'e ForTemplateExpr,
        body: Vec<Part<'e>>,
    },
}

/// How the text of a template is written.
#[derive(Clone, Copy)]
enum Form<'s> {
    /// In quotes: a strip marker takes the white space up to the next construct.
    Quoted,
    /// A heredoc or file: a strip marker takes white space to the end of the line.
    Lines,
    /// `<<-`: like `Lines`, and the common indentation goes. The parser has taken out some of it, by other rules than
    /// Terraform's, so that the text is taken from the source.
    Indented(&'s str),
}

/// The text that a template makes.
#[derive(Default)]
struct Output {
    text: String,
    sensitive: bool,
    unknown: Option<Value>,
}

impl Evaluator<'_> {
    pub(super) fn string_template(&mut self, template: &StringTemplate, names: Names<'_>) -> Evaluated {
        // `"${x}"` is `x`, whatever its type.
        if let Some(Element::Interpolation(Interpolation { expr, .. })) = template.as_single_element() {
            return self.eval(expr, names);
        }
        self.render_template(template, Form::Quoted, names)
    }

    pub(super) fn heredoc(&mut self, heredoc: &HeredocTemplate, names: Names<'_>) -> Evaluated {
        let text = self.file.text.as_str();
        let start = heredoc
            .span()
            .and_then(|span| text.get(span.start..))
            .unwrap_or_default();
        let form = match start.trim_start().starts_with("<<-") {
            true => Form::Indented(text),
            false => Form::Lines,
        };
        self.render_template(&heredoc.template, form, names)
    }

    /// Evaluates the text of a template file.
    pub(super) fn template_file(&mut self, template: &Template) -> Evaluated {
        if let Some(Element::Interpolation(Interpolation { expr, .. })) = template.as_single_element() {
            return self.eval(expr, None);
        }
        self.render_template(template, Form::Lines, None)
    }

    fn render_template(&mut self, template: &Template, form: Form<'_>, names: Names<'_>) -> Evaluated {
        let mut output = Output::default();
        let plain = !matches!(form, Form::Indented(_))
            && template.iter().all(|element| match element {
                Element::Literal(_) => true,
                Element::Interpolation(interpolation) => interpolation.strip == Strip::None,
                Element::Directive(_) => false,
            });
        if plain {
            // Nearly all templates. All parts are evaluated, so that the errors of all are reported.
            let mut failed = false;
            for element in template {
                match element {
                    Element::Literal(text) => output.text.push_str(text.value()),
                    Element::Interpolation(interpolation) => {
                        failed |= self.interpolate(&interpolation.expr, names, &mut output).is_err();
                    }
                    Element::Directive(_) => {}
                }
            }
            if failed {
                return Err(Failed);
            }
        } else {
            let mut parts = parts(template, form);
            if let Form::Indented(_) = form {
                dedent(&mut parts);
            }
            self.parts(&parts, names, &mut output)?;
        }
        Ok(match output.unknown {
            Some(unknown) => unknown,
            None => normal(output.text.into()),
        }
        .mark(output.sensitive))
    }

    fn parts(&mut self, parts: &[Part<'_>], names: Names<'_>, output: &mut Output) -> Result<(), Failed> {
        let mut failed = false;
        for part in parts {
            failed |= match part {
                Part::Text(text) => {
                    output.text.push_str(text);
                    false
                }
                Part::Value(expr) => self.interpolate(expr, names, output).is_err(),
                Part::If {
                    condition,
                    then,
                    otherwise,
                } => self.choose(condition, then, otherwise, names, output).is_err(),
                Part::For { intro, body } => self.repeat(intro, body, names, output).is_err(),
            };
        }
        if failed { Err(Failed) } else { Ok(()) }
    }

    fn interpolate(&mut self, expr: &Expression, names: Names<'_>, output: &mut Output) -> Result<(), Failed> {
        let value = self.eval(expr, names)?;
        output.sensitive |= value.is_sensitive();
        if let Some(unknown) = unknown(&value) {
            output.sensitive |= unknown.is_sensitive();
            output.unknown.get_or_insert(unknown);
            return Ok(());
        }
        let detail = if value.is_null() {
            "The value is null, which has no text.".to_owned()
        } else {
            match convert(&value, &Type::String) {
                Ok(text) => {
                    let text = text.as_str().unwrap_or_default();
                    self.charge(text.len() as u64 / 8, expr)?;
                    output.text.push_str(text);
                    return Ok(());
                }
                Err(error) => format!("The value cannot be part of a string: {error}."),
            }
        };
        let diagnostic = Diagnostic::error("Invalid template interpolation value", detail);
        Err(self.fail(diagnostic.at(self.span(expr))))
    }

    fn choose(
        &mut self,
        condition: &Expression,
        then: &[Part<'_>],
        otherwise: &[Part<'_>],
        names: Names<'_>,
        output: &mut Output,
    ) -> Result<(), Failed> {
        let value = self.eval(condition, names)?;
        output.sensitive |= value.is_sensitive();
        match self.truth(value, condition)? {
            Truth::Known(true) => self.parts(then, names, output),
            Truth::Known(false) => self.parts(otherwise, names, output),
            Truth::Unknown(unknown) => {
                output.unknown.get_or_insert(unknown);
                Ok(())
            }
        }
    }

    fn repeat(
        &mut self,
        intro: &ForTemplateExpr,
        body: &[Part<'_>],
        names: Names<'_>,
        output: &mut Output,
    ) -> Result<(), Failed> {
        let collection = self.eval(&intro.collection_expr, names)?;
        output.sensitive |= collection.is_sensitive();
        let items = match self.items(&collection, &intro.collection_expr)? {
            Items::Known(items) => items,
            Items::Unknown(unknown) => {
                output.unknown.get_or_insert(unknown);
                return Ok(());
            }
        };
        for (key, value) in items {
            self.charge(1, &intro.collection_expr)?;
            let outer;
            let mut names = names;
            if let Some(name) = &intro.key_var {
                outer = Binding {
                    name: name.as_str(),
                    value: key,
                    outer: names,
                };
                names = Some(&outer);
            }
            let binding = Binding {
                name: intro.value_var.as_str(),
                value,
                outer: names,
            };
            let before = output.text.len();
            self.parts(body, Some(&binding), output)?;
            self.charge((output.text.len() - before) as u64 / 8, &intro.collection_expr)?;
        }
        Ok(())
    }
}

/// Applies strip markers.
fn parts<'e>(template: &'e Template, form: Form<'_>) -> Vec<Part<'e>> {
    let mut parts: Vec<Part<'e>> = Vec::new();
    // Whether the construct before this element takes the white space in front of it.
    let mut strip_next = false;
    for element in template {
        let strip_this = std::mem::take(&mut strip_next);
        match element {
            Element::Literal(literal) => {
                let first = parts.len();
                match form {
                    Form::Quoted => parts.push(Part::Text(Cow::Borrowed(literal.value()))),
                    Form::Lines => lines(Cow::Borrowed(literal.value()), &mut parts),
                    Form::Indented(source) => {
                        let source = literal.span().and_then(|span| source.get(span));
                        let text = source.map_or_else(|| literal.value().clone(), unescape);
                        lines(Cow::Owned(text), &mut parts);
                    }
                }
                if strip_this {
                    trim(parts.get_mut(first), str::trim_start);
                }
            }
            Element::Interpolation(interpolation) => {
                if interpolation.strip.strip_start() {
                    trim(parts.last_mut(), str::trim_end);
                }
                parts.push(Part::Value(&interpolation.expr));
                strip_next = interpolation.strip.strip_end();
            }
            Element::Directive(directive) => {
                let (before, part, after) = directive_part(directive, form);
                if before {
                    trim(parts.last_mut(), str::trim_end);
                }
                parts.push(part);
                strip_next = after;
            }
        }
    }
    parts
}

/// Returns a directive, and whether it takes the white space before and after it.
fn directive_part<'e>(directive: &'e Directive, form: Form<'_>) -> (bool, Part<'e>, bool) {
    match directive {
        Directive::If(directive) => {
            let start = directive.if_expr.strip;
            let end = directive.endif_expr.strip;
            let mut then = parts(&directive.if_expr.template, form);
            let mut otherwise = Vec::new();
            if start.strip_end() {
                trim(then.first_mut(), str::trim_start);
            }
            let then_end = directive.else_expr.as_ref().map_or(end, |other| other.strip);
            if then_end.strip_start() {
                trim(then.last_mut(), str::trim_end);
            }
            if let Some(other) = &directive.else_expr {
                otherwise = parts(&other.template, form);
                if other.strip.strip_end() {
                    trim(otherwise.first_mut(), str::trim_start);
                }
                if end.strip_start() {
                    trim(otherwise.last_mut(), str::trim_end);
                }
            }
            let condition = &directive.if_expr.cond_expr;
            let part = Part::If {
                condition,
                then,
                otherwise,
            };
            (start.strip_start(), part, end.strip_end())
        }
        Directive::For(directive) => {
            let start = directive.for_expr.strip;
            let end = directive.endfor_expr.strip;
            let mut body = parts(&directive.for_expr.template, form);
            if start.strip_end() {
                trim(body.first_mut(), str::trim_start);
            }
            if end.strip_start() {
                trim(body.last_mut(), str::trim_end);
            }
            let intro = &directive.for_expr;
            (start.strip_start(), Part::For { intro, body }, end.strip_end())
        }
    }
}

fn trim(part: Option<&mut Part<'_>>, by: fn(&str) -> &str) {
    if let Some(Part::Text(text)) = part {
        *text = Cow::Owned(by(text).to_owned());
    }
}

fn lines<'e>(text: Cow<'e, str>, parts: &mut Vec<Part<'e>>) {
    match text {
        Cow::Borrowed(text) => parts.extend(text.split_inclusive('\n').map(|line| Part::Text(line.into()))),
        Cow::Owned(text) => parts.extend(
            text.split_inclusive('\n')
                .map(|line| Part::Text(line.to_owned().into())),
        ),
    }
}

fn unescape(text: &str) -> String {
    text.replace("$${", "${").replace("%%{", "%{")
}

/// Takes the indentation that all lines have in common away, as HCL does: the lines are those that are left after the
/// strip markers, and those of white space do not count.
fn dedent(parts: &mut [Part<'_>]) {
    let mut common = None;
    walk(parts, &mut true, &mut |text| {
        let trimmed = text.map_or("", |text| text.trim_start());
        let blank = trimmed.is_empty() && text.is_some_and(|text| text.ends_with('\n'));
        if !blank {
            let spaces = text.map_or(0, |text| text.chars().count() - trimmed.chars().count());
            common = Some(common.map_or(spaces, |common: usize| common.min(spaces)));
        }
        None
    });
    let common = common.unwrap_or(0);
    if common > 0 {
        walk(parts, &mut true, &mut |text| {
            let text = text?;
            let blank = text.trim().is_empty() && text.ends_with('\n');
            (!blank).then(|| text.chars().skip(common).collect())
        });
    }
}

/// Shows `line` the start of each line: its text, or `None` where it starts with a construct; the text it returns
/// takes the place of the other.
fn walk(parts: &mut [Part<'_>], at_start: &mut bool, line: &mut impl FnMut(Option<&str>) -> Option<String>) {
    for part in parts {
        let starts = std::mem::take(at_start);
        match part {
            Part::Text(text) => {
                // Seen before it changes: what is left of a line is not another start.
                *at_start = text.ends_with('\n');
                if starts && let Some(changed) = line(Some(text)) {
                    *text = Cow::Owned(changed);
                }
            }
            Part::Value(_) if starts => drop(line(None)),
            Part::Value(_) => {}
            Part::If { then, otherwise, .. } => {
                if starts {
                    line(None);
                }
                walk(then, at_start, line);
                if !otherwise.is_empty() {
                    // The `else` stands between the two.
                    if std::mem::take(at_start) {
                        line(None);
                    }
                    walk(otherwise, at_start, line);
                }
                if std::mem::take(at_start) {
                    line(None);
                }
            }
            Part::For { body, .. } => {
                if starts {
                    line(None);
                }
                walk(body, at_start, line);
                if std::mem::take(at_start) {
                    line(None);
                }
            }
        }
    }
}
