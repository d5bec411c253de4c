//! What a fleet's expressions say, as far as that can be told without a state: every name is declared, nothing needs
//! itself, and every value fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Address, Value};

use super::blocks::without_effect;
use super::eval::{Reference, evaluate};
use super::meta::ProviderReference;
use super::names::{self, Place};
use super::record::{self, Mode, Record};
use super::rules::{self, Checked};
use super::scope::{Instance, NoResources};
use super::values::Names;
use super::{Config, cycles, declaration, needs, ports, refactoring, sections};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Checks a fleet whose blocks are read and whose variables are set, and works out its locals.
pub(super) fn verify(config: &mut Config, diagnostics: &mut Diagnostics) {
    for module in config.modules() {
        check_names(module, diagnostics);
        check_providers(config, module, diagnostics);
    }
    cycles::check(config, diagnostics);
    refactoring::check(config, diagnostics);
    evaluate_locals(config, diagnostics);
    evaluate_all(config, diagnostics);
    check_limits(config, diagnostics);
}

/// Checks that limits can hold for what is declared.
fn check_limits(config: &Config, diagnostics: &mut Diagnostics) {
    let modules = config.modules();
    let declared = modules.iter().flat_map(|module| &module.declarations);
    let simulators = declared
        .map(|declared| &declared.address)
        .filter(|address| address.block() == "simulator");
    let simulators: Vec<_> = simulators.collect();
    if let Some(warning) = without_effect(&config.limits, &simulators) {
        diagnostics.push(warning);
    }
}

/// Checks every name in every expression.
fn check_names(config: &Config, diagnostics: &mut Diagnostics) {
    let mut check = |references: &[Reference], place: &Place| {
        for reference in references {
            if let Err(diagnostic) = names::check(config, reference, place) {
                diagnostics.push(diagnostic);
            }
        }
    };
    for local in config.locals.values() {
        check(local.expr.references(), &Place::default());
    }
    for output in config.outputs.values() {
        check(&output.references(), &Place::default());
    }
    for provider in &config.providers {
        check(&provider.references(), &Place::default());
    }
    for one in &config.checks {
        check(&one.references(), &Place::default());
    }
    for section in &config.sections {
        section.expressions(&mut |attribute| check(attribute.expr.references(), &Place::default()));
    }
    for call in config.calls.values() {
        let keys = Place {
            count: call.meta.count.is_some(),
            each: call.meta.for_each.is_some(),
            ..Place::default()
        };
        let outer = call.meta.count.iter().chain(&call.meta.for_each);
        let instances = Place {
            instances: true,
            ..Place::default()
        };
        outer.for_each(|expr| check(expr.references(), &instances));
        check(&call.meta.depends_on, &Place::default());
        let inputs = call.inputs.values();
        inputs.for_each(|input| check(input.expr.references(), &keys));
    }
    for import in &config.imports {
        check(
            &import.outer_references(),
            &Place {
                instances: true,
                ..Place::default()
            },
        );
        check(
            &import.references(),
            &Place {
                each: import.has_each(),
                ..Place::default()
            },
        );
    }
    for declaration in &config.declarations {
        let place = declaration.place();
        let outer = declaration.meta.count.iter().chain(&declaration.meta.for_each);
        let instances = Place {
            instances: true,
            ..Place::default()
        };
        outer.for_each(|expr| check(expr.references(), &instances));
        check(&declaration.meta.inner_references(), &place);
        for condition in &declaration.meta.lifecycle.postconditions {
            check(&condition.references(), &Place { this: true, ..place });
        }
        let own = declaration.body.attributes.iter();
        own.for_each(|attribute| check(attribute.expr.references(), &place));
        for block in &declaration.body.blocks {
            // The members of a pool are made of its `node` block.
            let member = declaration.body.schema.name == "pool" && block.schema.name == "node";
            block.expressions(&mut |attribute| check(attribute.expr.references(), &Place { member, ..place }));
        }
    }
}

/// Checks that every provider that a module names is configured.
fn check_providers(root: &Config, module: &Config, diagnostics: &mut Diagnostics) {
    for declaration in &module.declarations {
        if let Some(named) = &declaration.meta.provider {
            let unknown = check_provider(root, module, named);
            diagnostics
                .0
                .extend(unknown.map(|unknown| unknown.on(declaration.address.clone())));
        }
    }
    for import in &module.imports {
        diagnostics.0.extend(
            import
                .provider
                .as_ref()
                .and_then(|named| check_provider(root, module, named)),
        );
    }
    for call in module.calls.values() {
        let handed = call.providers.values();
        diagnostics
            .0
            .extend(handed.filter_map(|named| check_provider(root, module, named)));
    }
}

fn check_provider(root: &Config, module: &Config, named: &ProviderReference) -> Option<Diagnostic> {
    let ProviderReference { name, alias, span } = named;
    if root.provider_in(&module.path, name, alias.as_deref()).is_some() {
        return None;
    }
    let written = |name: &str, alias: Option<&str>| match alias {
        Some(alias) => format!("{name}.{alias}"),
        None => name.to_owned(),
    };
    let wanted = written(name, alias.as_deref());
    let known: Vec<String> = root
        .providers
        .iter()
        .filter(|provider| module.path.is_empty() || provider.alias.is_none())
        .map(|provider| written(&provider.name, provider.alias.as_deref()))
        .collect();
    let detail = format!("The provider `{wanted}` is not configured in {}.", module.whole());
    let diagnostic = Diagnostic::error("Unknown provider", detail).at(span.clone());
    let near = crate::diagnostic::nearest(&wanted, known.iter().map(String::as_str));
    Some(match near {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None if alias.is_some() && !module.path.is_empty() => diagnostic.hint(format!(
            "hand it over in the `module` block: providers = {{ {wanted} = {wanted} }}"
        )),
        None => diagnostic.hint(match alias {
            Some(alias) => format!("add provider {:?} {{ alias = {:?} }}", &**name, &**alias),
            None => format!("add provider {:?} {{}}", &**name),
        }),
    })
}

/// Works out the locals of the fleet itself that depend on no resource and no module.
fn evaluate_locals(config: &mut Config, diagnostics: &mut Diagnostics) {
    let dynamic = needs::dynamic_locals(config);
    let mut values = Vec::new();
    let names = Names::unexpanded(config, &NoResources);
    for name in config.locals.keys() {
        match names.root_local(name) {
            // What is not known yet, as the time of the plan is, is worked out when it is.
            Ok(value) if !dynamic.contains(name) && value.is_known() => values.push((Arc::clone(name), value)),
            Ok(_) => {}
            Err(errors) => {
                diagnostics.extend(errors);
                // Those that use it are not to report it again.
                values.push((Arc::clone(name), Value::unknown(format!("local.{name}"))));
            }
        }
    }
    for (name, value) in values {
        if let Some(local) = config.locals.get_mut(&name) {
            local.value = Some(value);
        }
    }
}

/// Evaluates everything once, with resources and instances unknown.
fn evaluate_all(config: &Config, diagnostics: &mut Diagnostics) {
    let names = Names::unexpanded(config, &NoResources);
    let mut records = BTreeMap::new();
    for module in config.modules() {
        evaluate_module(module, &names, &mut records, diagnostics);
    }
    for (address, checked) in &records {
        diagnostics.extend(about(address, ports::check(&checked.record, &records)));
    }
    rules::check(config, &names, &records, diagnostics);
    let adoptions = config.imports.iter().map(|import| import.evaluate(&names, Mode::Check));
    let adoptions: Vec<_> = adoptions
        .filter_map(|found| diagnostics.keep(found))
        .flatten()
        .collect();
    diagnostics.extend(refactoring::adopted_twice(&adoptions));
}

fn evaluate_module<'c>(
    module: &'c Config,
    names: &Names<'_>,
    records: &mut BTreeMap<Address, Checked<'c>>,
    diagnostics: &mut Diagnostics,
) {
    let path = declaration::steps(&module.path);
    let Some(scope) = names.scope_in(&path, Instance::default()) else {
        return;
    };
    diagnostics.keep(names.check_variables(&path));
    diagnostics.keep(names.check_outputs(&path));
    for call in module.calls.values() {
        diagnostics.keep(call.meta.instances(&scope, Mode::Check));
    }
    for local in module.locals.values().filter(|_| !module.path.is_empty()) {
        diagnostics.keep(evaluate(&local.expr, &scope));
    }
    for provider in &module.providers {
        Record::evaluate(&provider.body, &scope, Mode::Check, diagnostics);
    }
    for section in &module.sections {
        let record = match sections::is_read_by_watch(section) {
            true => Record::evaluate(section, &sections::Elsewhere(&scope), Mode::Check, diagnostics),
            false => Record::evaluate(section, &scope, Mode::Check, diagnostics),
        };
        record::check(&record, diagnostics);
    }
    for declaration in &module.declarations {
        let mut own = Diagnostics::new();
        let instances = own.keep(declaration.meta.instances(&scope, Mode::Check)).flatten();
        let record = Record::evaluate(&declaration.body, &scope, Mode::Check, &mut own);
        own.keep(declaration.decode(&record));
        record::check(&record, &mut own);
        diagnostics.extend(about(&declaration.address, own));
        let checked = Checked {
            declaration,
            record,
            instances,
        };
        records.insert(declaration.address.clone(), checked);
    }
    for output in module.outputs.values().filter(|_| module.path.is_empty()) {
        diagnostics.keep(evaluate(&output.expr, &scope));
    }
}

/// Says of diagnostics which resource they are about.
fn about(address: &Address, found: Diagnostics) -> Diagnostics {
    let about = |diagnostic: Diagnostic| match diagnostic.address {
        Some(_) => diagnostic,
        None => diagnostic.on(address.clone()),
    };
    Diagnostics(found.0.into_iter().map(about).collect())
}
