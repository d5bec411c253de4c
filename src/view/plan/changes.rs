//! The blocks of a plan: one for each resource that changes, or for several that change alike.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simfleet_provider_api::{Address, Attributes, Path, PathStep, Value};
use simfleet_state::DeposedKey;

use super::Detail;
use crate::plan::{Action, Change, Plan, Reason};
use crate::view::difference::{Difference, Kind, differences};
use crate::view::document::{Document, Line, Theme, Tone};
use crate::view::fold;
use crate::view::values::UNKNOWN;

/// Returns the attributes of a resource that are sensitive by their schema.
pub(super) fn secrets<'a>(plan: &'a Plan, address: &Address) -> &'a [Arc<str>] {
    match plan.changes.binary_search_by(|change| change.address.cmp(address)) {
        Ok(index) => &plan.changes[index].sensitive,
        Err(_) => &[],
    }
}

/// How an action is shown.
pub(in crate::view) struct Look {
    pub sign: &'static str,
    pub tone: Tone,
    pub words: &'static str,
}

pub(in crate::view) fn look(action: Action) -> Look {
    let (sign, tone, words) = match action {
        Action::Create => ("+", Tone::Good, "will be created"),
        Action::Update => ("~", Tone::Change, "will be updated in place"),
        Action::Replace => ("-/+", Tone::Bad, "will be replaced"),
        Action::Delete => ("-", Tone::Bad, "will be deleted"),
        Action::Forget => ("⊘", Tone::Change, "will be forgotten"),
        Action::Check => ("?", Tone::Change, "will be looked at, and mended where needed"),
        Action::NoOp => ("", Tone::Plain, "stays as it is"),
    };
    Look { sign, tone, words }
}

const MADE_FIRST: Look = Look {
    sign: "+/-",
    tone: Tone::Bad,
    words: "will be replaced, the new one first",
};

/// Resources of which all is alike but the address.
struct Block<'a> {
    addresses: Vec<&'a Address>,
    action: Action,
    is_made_first: bool,
    deposed: Option<&'a DeposedKey>,
    host: Option<&'a Address>,
    body: Document,
}

/// Adds a block for each change; with [`Detail::Folded`] one for all of a block's instances that change alike.
pub(super) fn show<'a>(changes: impl Iterator<Item = &'a Change>, detail: Detail, document: &mut Document) {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    let mut alike: BTreeMap<_, usize> = BTreeMap::new();
    for change in changes {
        let block = Block {
            addresses: vec![&change.address],
            action: change.action,
            is_made_first: change.is_made_first(),
            deposed: change.deposed.as_ref(),
            host: host(change),
            body: body(change),
        };
        let text = block.body.render(Theme::Plain);
        let manner = (block.action, block.is_made_first, block.deposed);
        let key = (fold::family(&change.address), manner, block.host, text);
        match alike.entry(key) {
            Entry::Occupied(index) if detail == Detail::Folded => blocks[*index.get()].addresses.push(&change.address),
            Entry::Occupied(_) => blocks.push(block),
            Entry::Vacant(entry) => {
                entry.insert(blocks.len());
                blocks.push(block);
            }
        }
    }
    for block in blocks {
        let look = match block.is_made_first {
            true => MADE_FIRST,
            false => look(block.action),
        };
        let mut head = Line::new()
            .tone(look.tone, format!("{:>3} ", look.sign))
            .tone(Tone::Strong, fold::name(&block.addresses));
        if let Some(key) = block.deposed {
            head = head.text(format!(" (deposed {key})"));
        }
        head = head.text(format!(" {}", look.words));
        if let Some(host) = block.host {
            head = head.text(format!(" on {host}"));
        }
        if block.addresses.len() > 1 {
            head = head.tone(Tone::Faint, format!("  ({} alike)", block.addresses.len()));
        }
        document.line(head);
        document.nest(6, |document| document.append(&block.body));
        document.blank();
    }
}

/// Where something is made; what moves says so in its reason, and what is a part of its node in its address.
fn host(change: &Change) -> Option<&Address> {
    let host = match change.action {
        Action::Create => change.hosted_on.as_ref(),
        Action::Replace if change.hosted_on == change.was_hosted_on => change.hosted_on.as_ref(),
        _ => None,
    };
    host.filter(|host| change.address.whole().as_ref() != Some(*host))
}

fn body(change: &Change) -> Document {
    let mut body = Document::new();
    // What is plain from the head of the block needs no line.
    let told = |reason: &&Reason| !matches!(reason, Reason::New | Reason::Destroy);
    for (i, reason) in change.reasons.iter().filter(told).enumerate() {
        let word = if i == 0 { "because" } else { "and" };
        body.line(Line::new().tone(Tone::Faint, format!("{word} {reason}")));
    }
    if change.action == Action::Forget || change.action == Action::Delete {
        return body;
    }
    show_provider(change, &mut body);
    // What a new object gets from the far side says nothing, so one line is enough for all.
    let (unknown, others): (Vec<Difference>, Vec<Difference>) = attribute_differences(change)
        .into_iter()
        .partition(|difference| is_given_there(change, difference));
    for difference in others {
        let forces = forces_replacement(change, &difference.path);
        difference.show(forces.then_some("forces replacement"), &mut body);
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|difference| difference.path.to_string()).collect();
        let (tone, sign) = match change.action {
            Action::Create => (Tone::Good, "+"),
            _ => (Tone::Change, "~"),
        };
        let text = format!(" {}: {UNKNOWN}", names.join(", "));
        body.line(Line::new().tone(tone, sign).text(text));
    }
    body
}

/// Whether all that is to be said of an attribute is that only the apply will tell it.
fn is_given_there(change: &Change, difference: &Difference) -> bool {
    let replaced = change.action == Action::Replace && !forces_replacement(change, &difference.path);
    match &difference.what {
        Kind::Added(value) => value.is_unknown() && !value.is_sensitive(),
        Kind::Changed(_, value) => {
            replaced && difference.path.0.len() == 1 && value.is_unknown() && !value.is_sensitive()
        }
        Kind::Removed(_) | Kind::Text(..) => false,
    }
}

fn show_provider(change: &Change, body: &mut Document) {
    if let (Some(before), Some(after)) = (&change.provider_before, &change.provider)
        && before.name != after.name
    {
        let path = Path::attribute("provider");
        let what = Kind::Changed(Value::string(before.name.clone()), Value::string(after.name.clone()));
        Difference { path, what }.show(None, body);
    }
}

/// Returns where the attributes differ; of something that is made anew too, since what stays is not worth a line.
fn attribute_differences(change: &Change) -> Vec<Difference> {
    let none = Attributes::new();
    let before = change.before.as_ref().unwrap_or(&none);
    let after = change.after.as_ref().unwrap_or(&none);
    let names: BTreeSet<_> = before.iter().chain(after.iter()).map(|(name, _)| name).collect();
    names
        .into_iter()
        .flat_map(|name| {
            let secret = change.sensitive.contains(name);
            let marked = |attributes: &Attributes| attributes.get(name).map(|value| value.clone().mark(secret));
            differences(
                Path::attribute(name.clone()),
                marked(before).as_ref(),
                marked(after).as_ref(),
            )
        })
        .collect()
}

/// Whether a path lies within one that forces a replacement, or the other way round.
fn forces_replacement(change: &Change, path: &Path) -> bool {
    let within = |inner: &[PathStep], outer: &[PathStep]| inner.starts_with(outer);
    change
        .replace_because
        .iter()
        .any(|cause| within(&path.0, &cause.0) || within(&cause.0, &path.0))
}
