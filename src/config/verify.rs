//! What a fleet's expressions say, as far as that can be told without a state: every name is declared, nothing needs
//! itself, and every value fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use simfleet_provider_api::{Address, Value};

use super::condition::Condition;
use super::eval::{self, Reference, evaluate};
use super::meta::ProviderReference;
use super::names::{self, Place};
use super::record::{Mode, Record};
use super::scope::{Instance, Names, NoResources};
use super::{Config, cycles, ports, refactoring};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Checks a fleet whose blocks are read and whose variables are set, and works out its locals.
pub(super) fn verify(config: &mut Config, diagnostics: &mut Diagnostics) {
    check_names(config, diagnostics);
    check_providers(config, diagnostics);
    cycles::check(config, diagnostics);
    refactoring::check(config, diagnostics);
    evaluate_locals(config, diagnostics);
    evaluate_all(config, diagnostics);
}

/// Checks every name in every expression.
fn check_names(config: &Config, diagnostics: &mut Diagnostics) {
    let mut check = |references: Vec<Reference>, place: &Place| {
        for reference in references {
            if let Err(diagnostic) = names::check(config, &reference, place) {
                diagnostics.push(diagnostic);
            }
        }
    };
    for local in config.locals.values() {
        check(local.references.clone(), &Place::default());
    }
    for output in config.outputs.values() {
        check(output.references(), &Place::default());
    }
    for provider in &config.providers {
        check(provider.references(), &Place::default());
    }
    for one in &config.checks {
        check(one.references(), &Place::default());
    }
    for import in &config.imports {
        check(
            import.outer_references(),
            &Place {
                instances: true,
                ..Place::default()
            },
        );
        check(
            import.references(),
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
        check(outer.flat_map(eval::references).collect(), &instances);
        check(declaration.meta.inner_references(), &place);
        let postconditions = declaration.meta.lifecycle.postconditions.iter();
        check(
            postconditions.flat_map(Condition::references).collect(),
            &Place { this: true, ..place },
        );
        let mut own = Vec::new();
        declaration
            .body
            .attributes
            .iter()
            .for_each(|attribute| own.extend(eval::references(&attribute.expr)));
        check(own, &place);
        for block in &declaration.body.blocks {
            let mut inner = Vec::new();
            block.expressions(&mut |attribute| inner.extend(eval::references(&attribute.expr)));
            // The members of a pool are made of its `node` block.
            let member = declaration.body.schema.name == "pool" && block.schema.name == "node";
            check(inner, &Place { member, ..place });
        }
    }
}

/// Checks that every provider that is named is configured.
fn check_providers(config: &Config, diagnostics: &mut Diagnostics) {
    for declaration in &config.declarations {
        let Some(ProviderReference { name, alias, span }) = &declaration.meta.provider else {
            continue;
        };
        if config.provider(name, alias.as_deref()).is_some() {
            continue;
        }
        let written = |name: &str, alias: Option<&str>| match alias {
            Some(alias) => format!("{name}.{alias}"),
            None => name.to_owned(),
        };
        let wanted = written(name, alias.as_deref());
        let known: Vec<String> = config
            .providers
            .iter()
            .map(|p| written(&p.name, p.alias.as_deref()))
            .collect();
        let detail = format!("The provider `{wanted}` is not configured in this fleet.");
        let diagnostic = Diagnostic::error("Unknown provider", detail)
            .at(span.clone())
            .on(declaration.address.clone());
        let near = crate::diagnostic::nearest(&wanted, known.iter().map(String::as_str));
        diagnostics.push(match near {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => diagnostic.hint(match alias {
                Some(alias) => format!("add provider {:?} {{ alias = {:?} }}", &**name, &**alias),
                None => format!("add provider {:?} {{}}", &**name),
            }),
        });
    }
}

/// Works out the locals that depend on no resource.
fn evaluate_locals(config: &mut Config, diagnostics: &mut Diagnostics) {
    let dynamic = names::dynamic_locals(config);
    let mut values = Vec::new();
    let names = Names::new(config, &NoResources);
    for name in config.locals.keys() {
        match names.local(name) {
            Ok(value) if !dynamic.contains(name) => values.push((Arc::clone(name), value)),
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
    let names = Names::new(config, &NoResources);
    let scope = names.scope(Instance::default());
    for provider in &config.providers {
        Record::evaluate(&provider.body, &scope, Mode::Check, diagnostics);
    }
    let mut records = BTreeMap::new();
    for declaration in &config.declarations {
        let mut own = Diagnostics::new();
        own.keep(declaration.meta.instances(&scope, Mode::Check));
        let record = Record::evaluate(&declaration.body, &scope, Mode::Check, &mut own);
        own.keep(declaration.decode(&record));
        diagnostics.extend(about(&declaration.address, own));
        records.insert(declaration.address.clone(), record);
    }
    for (address, record) in &records {
        diagnostics.extend(about(address, ports::check(record, &records)));
    }
    for output in config.outputs.values() {
        diagnostics.keep(evaluate(&output.expr, &scope));
    }
    let adoptions = config.imports.iter().map(|import| import.evaluate(&names, Mode::Check));
    let adoptions: Vec<_> = adoptions
        .filter_map(|found| diagnostics.keep(found))
        .flatten()
        .collect();
    diagnostics.extend(refactoring::adopted_twice(&adoptions));
}

/// Says of diagnostics which resource they are about.
fn about(address: &Address, found: Diagnostics) -> Diagnostics {
    let about = |diagnostic: Diagnostic| match diagnostic.address {
        Some(_) => diagnostic,
        None => diagnostic.on(address.clone()),
    };
    Diagnostics(found.0.into_iter().map(about).collect())
}
