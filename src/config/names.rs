//! The names of a fleet: which references mean something, and what is told of the others.

use std::sync::Arc;

use simfleet_provider_api::address::label_count;
use simfleet_provider_api::{Address, PathStep, Value};

use super::Config;
use super::blocks;
use super::declaration::Declaration;
use super::eval::Reference;
use super::module::Call;
use crate::diagnostic::{Diagnostic, nearest};

/// Where a reference stands, and so which names it may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The block has `count`.
    pub count: bool,
    /// The block has `for_each`.
    pub each: bool,
    /// It is inside the `node` block of a pool.
    pub member: bool,
    /// It is a postcondition.
    pub this: bool,
    /// It says how many instances there are.
    pub instances: bool,
}

impl Place {
    /// Where every name is allowed: for an evaluation, since the places were checked before.
    pub(super) fn anywhere() -> Self {
        Place {
            count: true,
            each: true,
            member: true,
            this: true,
            instances: false,
        }
    }
}

/// What is told of a reference to a resource that is not declared.
pub(super) const UNDECLARED: &str = "E11 unknown reference";

/// Roots that are no resources.
const ROOTS: &[&str] = &[
    "var",
    "local",
    "module",
    "count",
    "each",
    "path",
    "workspace",
    "self",
    "member",
];

/// Checks that a reference names something that is declared and has what it asks for.
pub(super) fn check(config: &Config, reference: &Reference, place: &Place) -> Result<(), Diagnostic> {
    let at = |diagnostic: Diagnostic| match diagnostic.span {
        Some(_) => diagnostic,
        None => diagnostic.at(reference.span.clone()),
    };
    check_root(config, reference, place).map_err(at)
}

fn check_root(config: &Config, reference: &Reference, place: &Place) -> Result<(), Diagnostic> {
    let root = &*reference.root;
    let first = match reference.steps.first() {
        Some(PathStep::Name(name)) => Some(&**name),
        _ => None,
    };
    match (root, first) {
        ("self", _) if place.this => Ok(()),
        ("self", _) => Err(misplaced("`self` stands in postconditions only.")),
        ("member", Some("name" | "number" | "forward")) if place.member => Ok(()),
        ("member", Some(name)) if place.member => Err(unknown_part(reference, name)),
        ("member", Some(_)) => Err(misplaced("`member` stands in the `node` block of a pool only.")),
        ("var" | "local" | "module" | "count" | "each" | "path" | "workspace" | "member", None) => {
            Err(incomplete(reference))
        }
        ("module", Some(_)) => check_call(config, reference),
        ("var", Some(name)) if config.variables.contains_key(name) => Ok(()),
        ("var", Some(name)) => Err(unknown_variable(config, name)),
        ("local", Some(name)) if config.locals.contains_key(name) => Ok(()),
        ("local", Some(name)) => Err(unknown_local(config, name)),
        ("count", Some("index")) if place.count => Ok(()),
        ("count" | "each", Some("index" | "key" | "value")) if place.instances => Err(misplaced(format!(
            "`{root}.{}` differs between instances, so it cannot say how many there are.",
            first.unwrap_or_default()
        ))),
        ("count", Some("index")) => Err(misplaced(
            "`count.index` stands in a block that has `count`, and this one has none.",
        )),
        ("each", Some("key" | "value")) if place.each => Ok(()),
        ("each", Some("key" | "value")) => {
            let detail = format!(
                "`each.{}` stands in a block that has `for_each`, and this one has none.",
                first.unwrap_or_default()
            );
            Err(misplaced(detail))
        }
        ("path", Some("module" | "root" | "cwd")) | ("workspace", Some("name")) => Ok(()),
        ("count" | "each" | "path" | "workspace", Some(name)) => Err(unknown_part(reference, name)),
        _ if is_every_robot(reference) => Ok(()),
        _ => resource(config, reference).map(drop),
    }
}

/// Whether a reference is `robot["*"]`: every robot that there is.
pub(super) fn is_every_robot(reference: &Reference) -> bool {
    let is_star = |step: &PathStep| matches!(step, PathStep::Name(name) if &**name == "*");
    &*reference.root == "robot" && reference.steps.len() == 1 && reference.steps.iter().all(is_star)
}

fn misplaced(detail: impl Into<String>) -> Diagnostic {
    Diagnostic::error("Misplaced reference", detail.into())
}

fn unknown(detail: String, hint: Option<String>) -> Diagnostic {
    let diagnostic = Diagnostic::error("Unknown reference", detail);
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

fn near<'a>(prefix: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{prefix}{near}`?"))
}

pub(super) fn unknown_variable(config: &Config, name: &str) -> Diagnostic {
    let detail = format!("`var.{name}` is not declared in {}.", config.whole());
    let hint = near("var.", name, config.variables.keys().map(|name| &**name)).or_else(|| {
        let is_local = config.locals.contains_key(name);
        is_local.then(|| format!("did you mean `local.{name}`?"))
    });
    let declare = || format!("declare it: variable {name:?} {{ … }}");
    unknown(detail, Some(hint.unwrap_or_else(declare)))
}

pub(super) fn unknown_local(config: &Config, name: &str) -> Diagnostic {
    let detail = format!("`local.{name}` is not declared in {}.", config.whole());
    let hint = near("local.", name, config.locals.keys().map(|name| &**name)).or_else(|| {
        let is_variable = config.variables.contains_key(name);
        is_variable.then(|| format!("did you mean `var.{name}`?"))
    });
    unknown(detail, hint)
}

pub(super) fn incomplete(reference: &Reference) -> Diagnostic {
    let root = &reference.root;
    let form = match &**root {
        "count" => "count.index".to_owned(),
        "each" => "each.key or each.value".to_owned(),
        "path" => "path.module, path.root or path.cwd".to_owned(),
        "workspace" => "workspace.name".to_owned(),
        "member" => "member.name or member.number".to_owned(),
        block if label_count(block) == 2 => format!("{block}.KIND.NAME"),
        root => format!("{root}.NAME"),
    };
    Diagnostic::error("Incomplete reference", format!("`{root}` needs a name behind it."))
        .at(reference.span.clone())
        .hint(format!("write {form}"))
}

pub(super) fn unknown_part(reference: &Reference, name: &str) -> Diagnostic {
    let root = &reference.root;
    let known: &[&str] = match &**root {
        "count" => &["index"],
        "each" => &["key", "value"],
        "path" => &["module", "root", "cwd"],
        "workspace" => &["name"],
        "member" => &["name", "number", "forward"],
        _ => &[],
    };
    let hint = near(&format!("{root}."), name, known.iter().copied());
    let hint = hint.unwrap_or_else(|| format!("there is `{root}.{}`", known.join(&format!("`, `{root}."))));
    unknown(format!("There is no `{root}.{name}`."), Some(hint)).at(reference.span.clone())
}

/// Returns the value of `path.NAME`.
pub(super) fn path(config: &Config, name: &str) -> Option<Value> {
    let path = match name {
        "module" => &config.folder,
        "root" => &config.root,
        "cwd" => &config.cwd,
        _ => return None,
    };
    Some(Value::string(path.to_string_lossy().into_owned()))
}

/// Returns the declaration that a reference names, and how many of its steps that takes.
pub(super) fn declaration<'c>(
    config: &'c Config,
    reference: &Reference,
) -> Result<(&'c Declaration, usize), Diagnostic> {
    let root = &*reference.root;
    let count = label_count(root);
    let mut labels = [""; 2];
    let labels = &mut labels[..count];
    for (at, label) in labels.iter_mut().enumerate() {
        match reference.steps.get(at) {
            Some(PathStep::Name(name)) => *label = name,
            Some(PathStep::Index(_)) | None => return Err(incomplete(reference)),
        }
    }
    match config.declaration(root, labels) {
        Some(declaration) => Ok((declaration, count)),
        None => Err(undeclared(config, root, labels)),
    }
}

fn undeclared(config: &Config, root: &str, labels: &[&str]) -> Diagnostic {
    let wanted = format!("{root}.{}", labels.join("."));
    let detail = format!("`{wanted}` is not declared in {}.", config.whole());
    // Those of the same block first, and no more than make sense: a fleet with as many mistakes as declarations is told
    // in the end.
    let of_block = |same: bool| {
        config
            .declarations
            .iter()
            .filter(move |d| (d.address.block() == root) == same)
    };
    let known: Vec<String> = of_block(true)
        .chain(of_block(false))
        .take(1_000)
        .map(|d| here(&d.address))
        .collect();
    let hint = near("", &wanted, known.iter().map(String::as_str)).or_else(|| {
        // The same name in another block: `node.field` for `pool.field`.
        let name = labels.last()?;
        let other = config
            .declarations
            .iter()
            .find(|declaration| declaration.address.name() == *name)?;
        Some(format!("did you mean `{}`?", here(&other.address)))
    });
    Diagnostic {
        summary: UNDECLARED.into(),
        ..unknown(detail, hint)
    }
}

/// Returns how an address is written in its own module.
pub(super) fn here(address: &Address) -> String {
    address.in_module(&[]).to_string()
}

/// Returns the call of a module that a reference names.
pub(super) fn call<'c>(config: &'c Config, reference: &Reference) -> Result<(&'c Arc<str>, &'c Call), Diagnostic> {
    let Some(PathStep::Name(name)) = reference.steps.first() else {
        return Err(incomplete(reference));
    };
    config.calls.get_key_value(name).ok_or_else(|| {
        let detail = format!("`module.{name}` is not declared in {}.", config.whole());
        unknown(detail, near("module.", name, config.calls.keys().map(|name| &**name)))
    })
}

/// Checks what a reference takes of a module: its key and its output.
fn check_call(config: &Config, reference: &Reference) -> Result<(), Diagnostic> {
    let (name, call) = call(config, reference)?;
    let address = format!("module.{name}");
    let has = |output: &str| call.module.outputs.contains_key(output);
    let no_output = |output: &str| {
        let detail = format!("`{address}` has no output `{output}`.");
        let known: Vec<&str> = call.module.outputs.keys().map(|name| &**name).collect();
        let hint = near("", output, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
            [] => "it has no outputs; declare one in its files".to_owned(),
            known => format!("it has {}", known.join(", ")),
        });
        unknown(detail, Some(hint))
    };
    match (reference.steps.get(1), reference.steps.get(2)) {
        (None, _) => Ok(()),
        (Some(PathStep::Name(output)), _) if !call.is_keyed() => match has(output) {
            true => Ok(()),
            false => Err(no_output(output)),
        },
        (Some(PathStep::Index(index)), _) if !call.is_keyed() => {
            let detail = format!("`{address}` has no `count`, so there is no instance [{index}].");
            Err(Diagnostic::error("Wrong key", detail).hint(format!("write {address}")))
        }
        (Some(PathStep::Name(output)), _) if call.meta.count.is_some() => {
            let detail = format!("`{address}` has `count`, so it is a list of instances and has no `{output}` itself.");
            let hint = format!("write {address}[0].{output} for one of them, {address}[*].{output} for all");
            Err(Diagnostic::error("Instance required", detail).hint(hint))
        }
        (Some(PathStep::Index(index)), _) if call.meta.for_each.is_some() => {
            let detail = format!("`{address}` has `for_each`, so its instances have names, not indexes like {index}.");
            Err(Diagnostic::error("Wrong key", detail).hint(format!("write {address}[\"KEY\"]")))
        }
        (Some(_), Some(PathStep::Name(output))) if !has(output) => Err(no_output(output)),
        _ => Ok(()),
    }
}

/// Returns the resource that a reference names, and how many of its steps that takes, once it is sure that the resource
/// has what the others ask for.
pub(super) fn resource<'c>(config: &'c Config, reference: &Reference) -> Result<(&'c Declaration, usize), Diagnostic> {
    if !blocks::is_resource(&reference.root) {
        return Err(unknown_root(config, reference));
    }
    let (declaration, labels) = declaration(config, reference)?;
    check_steps(declaration, &reference.steps[labels..])?;
    Ok((declaration, labels))
}

fn unknown_root(config: &Config, reference: &Reference) -> Diagnostic {
    let root = &*reference.root;
    let detail = format!("There is nothing with the name `{root}`.");
    let roots = ROOTS.iter().copied().chain(blocks::referable());
    let hint = match root {
        "terraform" => Some("the name of the workspace is `workspace.name`".to_owned()),
        "data" => Some("there are no data sources; to read what exists, adopt it with a block".to_owned()),
        _ if reference.steps.is_empty() && config.variables.contains_key(root) => {
            Some(format!("did you mean `var.{root}`?"))
        }
        _ if reference.steps.is_empty() && config.locals.contains_key(root) => {
            Some(format!("did you mean `local.{root}`?"))
        }
        _ => near("", root, roots).or_else(|| {
            let bare = reference.steps.is_empty();
            bare.then(|| format!("a string stands in double quotes: {root:?}"))
        }),
    };
    unknown(detail, hint)
}

/// Checks what a reference takes of a resource: its key and its first attribute.
fn check_steps(declaration: &Declaration, steps: &[PathStep]) -> Result<(), Diagnostic> {
    let Some(step) = steps.first() else {
        return Ok(());
    };
    let address = std::fmt::from_fn(|f| f.write_str(&here(&declaration.address)));
    let attribute = match step {
        PathStep::Name(name) if declaration.meta.count.is_some() => {
            let detail = format!("`{address}` has `count`, so it is a list of instances and has no `{name}` itself.");
            let hint = format!("write {address}[0].{name} for one of them, {address}[*].{name} for all");
            return Err(Diagnostic::error("Instance required", detail).hint(hint));
        }
        PathStep::Name(name) if declaration.meta.for_each.is_some() => {
            // It may be a key of this name, so only what is certainly no key can be told.
            let is_more = steps.len() > 1;
            if !is_more && declaration.has_part(name) {
                let detail =
                    format!("`{address}` has `for_each`, so it is a map of instances and has no `{name}` itself.");
                let hint =
                    format!("write {address}[\"KEY\"].{name} for one of them, values({address})[*].{name} for all");
                return Err(Diagnostic::error("Instance required", detail).hint(hint));
            }
            return match steps.get(1) {
                Some(PathStep::Name(part)) => has_part(declaration, part),
                _ => Ok(()),
            };
        }
        PathStep::Index(index) if declaration.meta.for_each.is_some() => {
            let detail = format!("`{address}` has `for_each`, so its instances have names, not indexes like {index}.");
            return Err(Diagnostic::error("Wrong key", detail).hint(format!("write {address}[\"KEY\"]")));
        }
        PathStep::Index(_) if declaration.meta.count.is_some() => steps.get(1),
        PathStep::Index(index) => {
            let detail = format!("`{address}` has no `count`, so there is no instance [{index}].");
            return Err(Diagnostic::error("Wrong key", detail).hint(format!("write {address}")));
        }
        PathStep::Name(_) => Some(step),
    };
    match attribute {
        Some(PathStep::Name(name)) => has_part(declaration, name),
        _ => Ok(()),
    }
}

fn has_part(declaration: &Declaration, name: &str) -> Result<(), Diagnostic> {
    if declaration.has_part(name) {
        return Ok(());
    }
    let detail = format!("`{}` has no `{name}`.", here(&declaration.address));
    let parts = declaration.parts();
    Err(match nearest(name, parts.iter().map(|part| &**part)) {
        Some(near) => unknown(detail, Some(format!("did you mean `{near}`?"))),
        None => unknown(detail, Some(format!("it has {}", parts.join(", ")))),
    })
}
