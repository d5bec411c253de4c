//! What every schema must be.

use std::collections::BTreeSet;

use crate::{Attribute, Attributes, Mode, ProviderType, convert};

/// Returns what is wrong with the schemas and settings of a provider type: one line a mistake.
pub fn schema_problems(provider_type: &dyn ProviderType) -> Vec<String> {
    let mut problems = Vec::new();
    if provider_type.name().is_empty() {
        problems.push("the provider has no name".to_owned());
    }
    check_attributes("the settings", provider_type.settings(), &mut problems);
    let mut kinds = BTreeSet::new();
    for schema in provider_type.schemas() {
        let kind = &schema.kind;
        if !kinds.insert(kind) {
            problems.push(format!("kind `{kind}` is there twice"));
        }
        if schema.doc.trim().is_empty() {
            problems.push(format!("kind `{kind}` has no documentation"));
        }
        check_attributes(&format!("kind `{kind}`"), &schema.attributes, &mut problems);
        let upgraded = provider_type.upgrade(kind, schema.version, Attributes::new());
        if upgraded.as_ref() != Ok(&Attributes::new()) {
            problems.push(format!(
                "kind `{kind}` changes attributes of today's version in an upgrade"
            ));
        }
        let newer = schema.version.saturating_add(1);
        if provider_type.upgrade(kind, newer, Attributes::new()).is_ok() {
            problems.push(format!(
                "kind `{kind}` takes attributes of a version that is yet to come"
            ));
        }
    }
    problems
}

fn check_attributes(place: &str, attributes: &[Attribute], problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for attribute in attributes {
        let name = attribute.name;
        let mut wrong = |what: String| problems.push(format!("{place}: `{name}` {what}"));
        if !names.insert(name) {
            wrong("is there twice".to_owned());
        }
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_plain) {
            wrong("is not a lower-case name".to_owned());
        }
        if attribute.doc.trim().is_empty() {
            wrong("has no documentation".to_owned());
        }
        if let Mode::Default(value) = &attribute.mode {
            match convert(value, &attribute.ty) {
                Ok(converted) if converted == *value && value.is_known() && !value.is_null() => {}
                _ => wrong(format!("has a default that is no known {}", attribute.ty)),
            }
        }
        if attribute.change == crate::ChangeEffect::Replace && !attribute.is_configurable() {
            wrong("cannot be set and so cannot replace".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Kind, Provider, ProviderError, Schema, Type, Value};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Only(Vec<Schema>);

    #[async_trait::async_trait]
    impl ProviderType for Only {
        fn name(&self) -> &'static str {
            "only"
        }

        fn settings(&self) -> &[Attribute] {
            &[]
        }

        fn schemas(&self) -> &[Schema] {
            &self.0
        }

        async fn configure(&self, _: &Attributes, _: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
            Err(ProviderError::Broken {
                message: "it has schemas only".to_owned(),
            })
        }
    }

    fn problems(attributes: Vec<Attribute>) -> String {
        let schema = Schema {
            kind: Kind::new("k"),
            version: 1,
            doc: "d",
            attributes,
        };
        schema_problems(&Only(vec![schema])).join("; ")
    }

    #[test]
    fn mistakes_of_a_schema_are_named() {
        let text = || Attribute::new("a", Type::String, "d");
        for (case, attributes, expected) in [
            ("sound", vec![text().default("x")], ""),
            ("twice", vec![text(), text()], "kind `k`: `a` is there twice"),
            (
                "no documentation",
                vec![Attribute::new("a", Type::String, " ")],
                "kind `k`: `a` has no documentation",
            ),
            (
                "upper case",
                vec![Attribute::new("A", Type::String, "d")],
                "kind `k`: `A` is not a lower-case name",
            ),
            (
                "default",
                vec![text().default(1i64)],
                "kind `k`: `a` has a default that is no known string",
            ),
            (
                "null",
                vec![text().default(Value::NULL)],
                "kind `k`: `a` has a default that is no known string",
            ),
            (
                "replaces",
                vec![text().replaces().computed()],
                "kind `k`: `a` cannot be set and so cannot replace",
            ),
        ] {
            assert_eq!(problems(attributes), expected, "{case}");
        }
    }

    #[test]
    fn kinds_are_unique() {
        let schema = || Schema {
            kind: Kind::new("k"),
            version: 1,
            doc: "",
            attributes: Vec::new(),
        };
        let problems = schema_problems(&Only(vec![schema(), schema()]));
        assert!(problems.contains(&"kind `k` is there twice".to_owned()), "{problems:?}");
        assert!(
            problems.contains(&"kind `k` has no documentation".to_owned()),
            "{problems:?}"
        );
    }
}
