//! The built-in provider `simfleet`: resources that exist in the state only.
//!
//! A `value` keeps a value. It has no object elsewhere, so every call is done at once and nothing can drift.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Object, ObjectId, Observed, Provider, ProviderError,
    ProviderType, Schema, Step, Token, Type, Value,
};

/// The name of the provider.
pub const NAME: &str = "simfleet";
/// A stored value.
pub const VALUE: Kind = Kind::new("value");

static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    vec![Schema {
        kind: VALUE,
        version: 1,
        doc: "A value that is kept in the state.",
        attributes: vec![
            Attribute::new("input", Type::Any, "The value to keep."),
            Attribute::new("triggers_replace", Type::Any, "A change of it makes the value anew.").replaces(),
            Attribute::new("output", Type::Any, "The value that is kept.").live(),
            Attribute::new("id", Type::String, "The identity of the value.").computed(),
        ],
    }]
});

/// The built-in provider.
#[derive(Debug)]
pub struct Builtin;

#[async_trait]
impl ProviderType for Builtin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self) -> &[Attribute] {
        &[]
    }

    fn schemas(&self) -> &[Schema] {
        &SCHEMAS
    }

    async fn configure(&self, _: &Attributes, _: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Ok(Arc::new(Builtin))
    }
}

/// Sets what follows from the other attributes of a value.
pub(crate) fn follow(attributes: &mut Attributes) {
    let input = attributes.get("input").cloned();
    attributes.set("output", input.unwrap_or(Value::NULL));
}

/// Returns what the far side would have made of wanted attributes: the identity of a value is the token that made it.
fn object(id: &str, planned: &Attributes) -> Object {
    let mut attributes = planned.clone();
    follow(&mut attributes);
    attributes.set("id", id);
    Object {
        id: ObjectId(id.into()),
        attributes,
        token: Some(Token(id.into())),
        version: None,
    }
}

#[async_trait]
impl Provider for Builtin {
    /// Nothing is known here that the state does not know: the engine never refreshes built-in resources.
    async fn read(&self, kind: &Kind, _: &ObjectId) -> Result<Observed, ProviderError> {
        Err(ProviderError::Broken {
            message: format!("a built-in `{kind}` is in the state only"),
        })
    }

    async fn list(&self, _: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        Ok(None)
    }

    async fn find(&self, _: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        Ok(Found::Ready(object(&token.0, planned)))
    }

    async fn create(&self, _: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        Ok(Step::Done(object(&token.0, planned)))
    }

    async fn update(&self, _: &Kind, prior: &Object, planned: &Attributes, _: &Token) -> Result<Step, ProviderError> {
        Ok(Step::Done(object(&prior.id.0, planned)))
    }

    async fn delete(&self, _: &Kind, _: &Object, _: &Token) -> Result<Step, ProviderError> {
        Ok(Step::Gone)
    }

    async fn poll(&self, kind: &Kind, _: &Handle) -> Result<Step, ProviderError> {
        Err(ProviderError::Broken {
            message: format!("a built-in `{kind}` has no long operations"),
        })
    }
}
