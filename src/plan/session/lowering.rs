//! Records of a session to resources.

use simfleet_provider_api::{Address, Value};

use super::{Declared, One, Session, scope};
use crate::config::{Instance, Names, ProviderBlock, Record};
use crate::diagnostic::Diagnostics;
use crate::lower::{self, Desired, Lowering, Objects};

impl Session<'_> {
    /// Lowers one instance of a declaration.
    pub(in crate::plan) fn lower<T>(
        &self,
        declared: &Declared<'_>,
        one: &One,
        record: &Record,
        names: &Names<'_>,
        objects: &dyn Objects,
        to: impl FnOnce(&Lowering<'_>) -> Result<T, Diagnostics>,
    ) -> Result<T, Diagnostics> {
        let declaration = declared.declaration;
        let evaluate_for_member = |member: Value| {
            let instance = Instance {
                member: Some(member),
                ..one.instance.clone()
            };
            declaration.evaluate(&scope(names, &declared.block, instance)?)
        };
        let evaluate_host = |host: &Address| self.declared_of_host(host, names);
        let provider_settings = |block: &ProviderBlock| block.evaluate(&names.scope(Instance::default()));
        let lowering = Lowering {
            config: self.config,
            registry: self.registry,
            layout: &self.layout,
            objects,
            declaration,
            address: &one.address,
            record,
            for_member: &evaluate_for_member,
            of_host: &evaluate_host,
            settings: &provider_settings,
            depends_on: &declared.depends_on,
            triggers: &declared.triggers,
            create_before_destroy: declared.create_before_destroy,
            only: None,
        };
        to(&lowering)
    }

    /// Returns what provider blocks need that are used, and nobody declares.
    pub(in crate::plan) fn groups(&self) -> Result<Vec<Desired>, Diagnostics> {
        let names = self.names();
        let is_used = |block: &ProviderBlock| {
            self.order.iter().filter(|it| !it.ones.is_empty()).any(|declared| {
                let address = &declared.declaration.address;
                let named = declared.declaration.meta.provider.as_ref();
                let found = named.and_then(|it| {
                    self.config
                        .provider_in(&address.module_path(), &it.name, it.alias.as_deref())
                });
                found.is_some_and(|found| std::ptr::eq(found, block))
            })
        };
        let settings = |block: &ProviderBlock| block.evaluate(&names.scope(Instance::default()));
        lower::groups(self.config, self.registry, is_used, &settings)
    }

    /// Evaluates what is declared of a node, or the template of a pool for one of its members.
    fn declared_of_host(&self, host: &Address, names: &Names<'_>) -> Result<Option<Record>, Diagnostics> {
        let whole = host.parent();
        let place = self.places.get(&whole.declaration());
        let declared = place.map(|place| &self.order[*place]);
        let found = declared.and_then(|declared| Some((declared, &declared.ones[declared.position(&whole)?])));
        let Some((declared, one)) = found else { return Ok(None) };
        let number = lower::number_of(host);
        let instance = Instance {
            member: number.map(|number| lower::about(host, number)),
            ..one.instance.clone()
        };
        let record = declared
            .declaration
            .evaluate(&scope(names, &declared.block, instance)?)?;
        Ok(match number {
            Some(_) => record.blocks("node").next().cloned(),
            None => Some(record),
        })
    }
}
