//! The syntax tree against the schemas: every block and attribute is known, and everything that must be there is.

use std::sync::Arc;

use hashbrown::HashMap;

use super::schema::{Availability, BlockSchema, Nested, Presence};
use super::syntax::{Attribute, Block, Name};
use super::{eval, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// The inside of a block whose names are those of its schema.
#[derive(Debug, Clone)]
pub struct Body {
    /// What may stand in it.
    pub schema: Arc<BlockSchema>,
    /// The labels of the block.
    pub labels: Vec<Name>,
    /// The first line of the block, up to the brace.
    pub header: Span,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// The blocks in it.
    pub blocks: Vec<Body>,
}

impl Body {
    /// Returns an attribute.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| &*attribute.name.text == name)
    }

    /// Returns the expression of an attribute.
    pub fn expr(&self, name: &str) -> Option<&eval::Expr> {
        self.attribute(name).map(|attribute| &attribute.expr)
    }

    /// Returns the blocks of a type.
    pub fn blocks<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Body> {
        self.blocks.iter().filter(move |block| block.schema.name == name)
    }

    /// Takes the blocks of a type out.
    pub fn take_blocks(&mut self, name: &str) -> Vec<Body> {
        let (taken, left) = std::mem::take(&mut self.blocks)
            .into_iter()
            .partition(|block| block.schema.name == name);
        self.blocks = left;
        taken
    }

    /// Takes an attribute out.
    pub fn take_attribute(&mut self, name: &str) -> Option<Attribute> {
        let at = self
            .attributes
            .iter()
            .position(|attribute| &*attribute.name.text == name)?;
        Some(self.attributes.remove(at))
    }

    /// Calls `visit` with every expression in it, at any depth.
    pub fn expressions<'b>(&'b self, visit: &mut dyn FnMut(&'b Attribute)) {
        self.attributes.iter().for_each(&mut *visit);
        for block in &self.blocks {
            block.expressions(visit);
        }
    }
}

/// Checks the inside of a block and all that is in it. What does not belong there is reported and left out.
pub fn check(
    body: syntax::Body,
    schema: &Arc<BlockSchema>,
    labels: Vec<Name>,
    header: Span,
    diagnostics: &mut Diagnostics,
) -> Body {
    let mut checked = Body {
        schema: Arc::clone(schema),
        labels,
        header,
        attributes: Vec::with_capacity(body.attributes.len()),
        blocks: Vec::with_capacity(body.blocks.len()),
    };
    for attribute in body.attributes {
        match check_attribute(&attribute, schema) {
            Ok(()) => checked.attributes.push(attribute),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let mut seen: Vec<(Arc<str>, Span)> = Vec::new();
    for block in body.blocks {
        seen.push((Arc::clone(&block.name.text), block.header.clone()));
        match find_schema(&block, schema).and_then(|nested| check_labels(&block, nested).map(|()| nested)) {
            Ok(nested) => {
                let block = check(block.body, nested, block.labels, block.header, diagnostics);
                checked.blocks.push(block);
            }
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    check_missing(&checked, diagnostics);
    check_repeated(&checked, &seen, diagnostics);
    checked
}

fn check_attribute(attribute: &Attribute, schema: &BlockSchema) -> Result<(), Diagnostic> {
    let name = &*attribute.name.text;
    match schema.attribute(name) {
        Some(_) => return Ok(()),
        None if schema.open => return Ok(()),
        None => {}
    }
    let at = attribute.name.span.clone();
    if let Some(nested) = schema.all_blocks().find(|nested| nested.schema.name == name) {
        let detail = format!("`{name}` is a block, not an attribute.");
        return Err(Diagnostic::error("Not an attribute", detail)
            .at(at)
            .hint(format!("write it without `=`: {} {{ … }}", form(&nested.schema))));
    }
    if schema.name.is_empty() {
        let detail = format!("`{name}` is set outside of any block.");
        return Err(Diagnostic::error("Unknown attribute", detail)
            .at(at)
            .hint("values with a name stand in `locals { … }`, values of variables in a *.vars.hcl file"));
    }
    let detail = format!("{} has no attribute `{name}`.", title(schema));
    let diagnostic = Diagnostic::error("Unknown attribute", detail).at(at);
    let inner = schema
        .blocks
        .iter()
        .find(|nested| nested.schema.kind.is_none() && nested.schema.attribute(name).is_some());
    let known = names(schema);
    Err(match (crate::diagnostic::nearest(name, known.iter().copied()), inner) {
        (Some(near), _) => diagnostic.hint(format!("did you mean `{near}`?")),
        (None, Some(nested)) => diagnostic.hint(format!("it belongs into its block `{}`", nested.schema.name)),
        (None, None) => {
            let mut known = known;
            known.truncate(8);
            match names(schema).len() > known.len() {
                true => diagnostic.hint(format!(
                    "it has {} and more: `simfleet schema` shows all",
                    known.join(", ")
                )),
                false if known.is_empty() => diagnostic.hint("it has none"),
                false => diagnostic.hint(format!("it has {}", known.join(", "))),
            }
        }
    })
}

/// Returns all names that may stand in a block.
fn names(schema: &BlockSchema) -> Vec<&'static str> {
    let attributes = schema.attributes.iter().chain(schema.meta_attributes());
    attributes
        .map(|attribute| attribute.name)
        .chain(schema.all_blocks().map(|nested| nested.schema.name))
        .collect()
}

/// Returns the schema of a block by its type and, where kinds are told apart, its first label.
fn find_schema<'s>(block: &Block, schema: &'s BlockSchema) -> Result<&'s Arc<BlockSchema>, Diagnostic> {
    let name = &*block.name.text;
    let candidates: Vec<&Nested> = schema
        .all_blocks()
        .filter(|nested| nested.schema.name == name)
        .collect();
    let Some(first) = candidates.first() else {
        return Err(unknown_block(block, schema));
    };
    let found = if first.schema.kind.is_none() {
        &first.schema
    } else {
        let label = block.labels.first();
        let Some(label) = label.filter(|_| block.labels.len() == first.schema.labels.len()) else {
            return Err(wrong_labels(block, &first.schema));
        };
        let is_kind = |nested: &&&Nested| nested.schema.kind.as_deref() == Some(&*label.text);
        match candidates.iter().find(is_kind) {
            Some(nested) => &nested.schema,
            None => {
                let kinds = || candidates.iter().filter_map(|nested| nested.schema.kind.as_deref());
                let what = first.schema.labels.first().unwrap_or(&"kind");
                let detail = match first.schema.labels.len() {
                    1 => format!("There is no {name} `{}`.", label.text),
                    _ => format!("There is no {name} of the {what} `{}`.", label.text),
                };
                let diagnostic = Diagnostic::error("Unknown kind", detail).at(label.span.clone());
                return Err(match crate::diagnostic::nearest(&label.text, kinds()) {
                    Some(near) => diagnostic.hint(format!("did you mean {near:?}?")),
                    None => diagnostic.hint(format!("known are {}", kinds().collect::<Vec<_>>().join(", "))),
                });
            }
        }
    };
    Ok(found)
}

fn unknown_block(block: &Block, schema: &BlockSchema) -> Diagnostic {
    let name = &*block.name.text;
    if schema.attribute(name).is_some() {
        return Diagnostic::error("Not a block", format!("`{name}` is an attribute, not a block."))
            .at(block.header.clone())
            .hint(format!("write it with `=`: {name} = …"));
    }
    let detail = match schema.name.is_empty() {
        true => format!("There is no block `{name}`."),
        false => format!("{} has no block `{name}`.", title(schema)),
    };
    let diagnostic = Diagnostic::error("Unknown block", detail).at(block.header.clone());
    match (schema.name, name) {
        ("", "terraform") => diagnostic.hint("here it is called `simfleet`"),
        ("", "resource") => {
            diagnostic.hint("resources are blocks of their own: `node \"name\" { … }`, `pool`, `simulator`")
        }
        _ => diagnostic.nearest(name, names(schema)),
    }
}

/// Checks how many labels a block has and what they are made of.
fn check_labels(block: &Block, schema: &BlockSchema) -> Result<(), Diagnostic> {
    if block.labels.len() != schema.labels.len() {
        return Err(wrong_labels(block, schema));
    }
    for (label, what) in block.labels.iter().zip(schema.labels) {
        if !is_name(&label.text) {
            let detail = format!(
                "The {what} {:?} of `{}` is not a valid name.",
                &*label.text, schema.name
            );
            return Err(Diagnostic::error("Invalid name", detail)
                .at(label.span.clone())
                .hint("a name starts with a letter or `_`, and has letters, digits, `_` and `-` only"));
        }
    }
    Ok(())
}

fn wrong_labels(block: &Block, schema: &BlockSchema) -> Diagnostic {
    let wanted = match schema.labels {
        [] => "no labels".to_owned(),
        [one] => format!("one label, its {one}"),
        [first, second] => format!("two labels, its {first} and its {second}"),
        more => format!("{} labels", more.len()),
    };
    let detail = format!("`{}` has {wanted}; here are {}.", schema.name, block.labels.len());
    Diagnostic::error("Wrong labels", detail)
        .at(block.header.clone())
        .hint(format!("write {} {{ … }}", form(schema)))
}

/// Reports what in a block this version checks and does not act on; of a block that is such as a whole, only that.
pub fn unavailable(body: &Body, found: &mut Diagnostics) {
    let not_yet = |what: String, at: &Span| {
        let detail = format!("{what} is a part of the language that this version checks, and does not act on.");
        Diagnostic::error("Not available yet", detail)
            .at(at.clone())
            .hint("take it out to plan the rest")
    };
    if body.schema.availability == Availability::Later {
        return found.push(not_yet(format!("The block {}", title(&body.schema)), &body.header));
    }
    for attribute in &body.attributes {
        let name = &*attribute.name.text;
        let known = body.schema.attribute(name);
        if known.is_some_and(|known| known.availability == Availability::Later) {
            let what = format!("`{name}` of {}", title(&body.schema));
            found.push(not_yet(what, &attribute.name.span));
        }
    }
    if body.schema.name == "alert"
        && let Some(on) = body.attribute("on")
        && on.expr.references().iter().any(|reference| &*reference.root == "robot")
    {
        found.push(not_yet("An alert on robots".to_owned(), &on.value_span));
    }
    for block in &body.blocks {
        unavailable(block, found);
    }
}

/// Whether a text is a name: what can stand behind a dot.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn check_missing(body: &Body, diagnostics: &mut Diagnostics) {
    for attribute in &body.schema.attributes {
        if matches!(attribute.presence, Presence::Required) && body.attribute(attribute.name).is_none() {
            let detail = format!("{} lacks `{}`: {}.", title(&body.schema), attribute.name, attribute.doc);
            diagnostics.push(Diagnostic::error("Missing attribute", detail).at(body.header.clone()));
        }
    }
}

/// Checks how often blocks are there. `seen` are all that were written, those with mistakes too.
fn check_repeated(body: &Body, seen: &[(Arc<str>, Span)], diagnostics: &mut Diagnostics) {
    let mut done: Vec<&str> = Vec::new();
    for nested in body.schema.all_blocks() {
        let name = nested.schema.name;
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        let mut places = seen.iter().filter(|(seen, _)| **seen == *name).map(|(_, span)| span);
        let count = places.clone().count();
        if count < nested.min {
            let detail = format!("{} lacks the block `{name}`.", title(&body.schema));
            let diagnostic = Diagnostic::error("Missing block", detail).at(body.header.clone());
            diagnostics.push(diagnostic.hint(format!("add {} {{ … }}", form(&nested.schema))));
        }
        if count > nested.max
            && let (Some(first), Some(second)) = (places.next(), places.next())
        {
            let detail = format!("{} has one block `{name}`; here are {count}.", title(&body.schema));
            let diagnostic = Diagnostic::error("Duplicate block", detail).at(second.clone());
            let diagnostic = diagnostic.related(first.clone(), "the first one");
            diagnostics.push(diagnostic.hint("write what they say into one, or remove the others"));
        }
    }
    // Those that are told apart by their labels: no two have the same.
    if body.schema.name.is_empty() {
        return;
    }
    let mut labelled: HashMap<(&str, Vec<&str>), &Span> = HashMap::new();
    for block in body
        .blocks
        .iter()
        .filter(|block| !block.labels.is_empty() && block.schema.kind.is_none())
    {
        let labels: Vec<&str> = block.labels.iter().map(|label| &*label.text).collect();
        if let Some(first) = labelled.get(&(block.schema.name, labels.clone())) {
            let detail = format!("`{} {:?}` is there twice.", block.schema.name, labels.join("\" \""));
            let diagnostic = Diagnostic::error("Duplicate block", detail).at(block.header.clone());
            let diagnostic = diagnostic.related((*first).clone(), "the first one");
            diagnostics.push(diagnostic.hint("give one of them another name, or remove it"));
        } else {
            labelled.insert((block.schema.name, labels), &block.header);
        }
    }
}

/// Returns how a block is written: `simulator "vehicle" "name"`.
fn form(schema: &BlockSchema) -> String {
    let mut form = schema.name.to_owned();
    for (i, label) in schema.labels.iter().enumerate() {
        match &schema.kind {
            Some(kind) if i == 0 => form.push_str(&format!(" {kind:?}")),
            _ => form.push_str(&format!(" {label:?}")),
        }
    }
    form
}

/// Returns how a message names a block: `pool`, `simulator "vehicle"`.
fn title(schema: &BlockSchema) -> String {
    match &schema.kind {
        Some(kind) => format!("`{} {kind:?}`", schema.name),
        None => format!("`{}`", schema.name),
    }
}
