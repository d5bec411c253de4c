//! A provider by the schemas of a real one whose objects are in this process: what the far side sets is made up. It tells
//! what the core does with a provider's kinds, and nothing of the provider's own calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use simfleet_provider_api::{
    Attribute, Attributes, Context, Data, Found, Handle, Hosting, Kind, Mode, Object, ObjectId, Observed, Provider,
    ProviderError, ProviderType, Schema, Step, Token, Type, Value,
};

/// The objects of a far side, and what was asked of it.
#[derive(Debug, Default)]
pub struct World {
    objects: Mutex<BTreeMap<ObjectId, (Kind, Object)>>,
    calls: Mutex<Vec<String>>,
}

/// A provider over a world.
#[derive(Debug, Clone)]
pub struct Memory {
    like: Arc<dyn ProviderType>,
    world: Arc<World>,
}

impl World {
    /// The names of the objects, sorted.
    pub fn names(&self) -> Vec<String> {
        let objects = self.objects.lock().expect("no test panicked");
        let mut names: Vec<String> = objects.values().map(|(_, object)| name(&object.attributes)).collect();
        names.sort();
        names
    }

    /// Takes the calls so far that changed something: `create service.web`.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no test panicked"))
    }

    /// Changes an attribute of an object by hand.
    pub fn change(&self, named: &str, attribute: &str, value: impl Into<Value>) {
        let mut objects = self.objects.lock().expect("no test panicked");
        let mut all = objects.values_mut().map(|(_, object)| &mut object.attributes);
        let attributes = all.find(|attributes| name(attributes) == named).expect("it is there");
        attributes.set(attribute.to_owned(), value);
    }

    fn called(&self, verb: &str, attributes: &Attributes) {
        let mut calls = self.calls.lock().expect("no test panicked");
        calls.push(format!("{verb} {}", name(attributes)));
    }

    /// Whether something else has an id in it.
    fn is_used(&self, id: &ObjectId) -> bool {
        let objects = self.objects.lock().expect("no test panicked");
        let names_it = |value: &Value| has_text(value, &id.0);
        let mut others = objects.iter().filter(|(other, _)| *other != id);
        others.any(|(_, (_, object))| object.attributes.iter().any(|(_, value)| names_it(value)))
    }
}

fn has_text(value: &Value, text: &str) -> bool {
    let within = value.as_slice().into_iter().flatten();
    let fields = value.as_fields().into_iter().flat_map(|fields| fields.values());
    value.as_str() == Some(text) || within.chain(fields).any(|inner| has_text(inner, text))
}

fn name(attributes: &Attributes) -> String {
    let name = attributes.str("name").or_else(|| attributes.str("runtime"));
    name.unwrap_or_default().to_owned()
}

impl Memory {
    pub fn new(like: Arc<dyn ProviderType>, world: &Arc<World>) -> Self {
        let world = Arc::clone(world);
        Memory { like, world }
    }

    /// Returns what the far side tells of an object: what is wanted, and what it sets itself.
    fn told(&self, kind: &Kind, wanted: &Attributes) -> Attributes {
        let mut attributes = wanted.clone();
        let schema = self.like.schema(kind).expect("a kind of the provider");
        for attribute in schema
            .attributes
            .iter()
            .filter(|it| attributes_lack(&attributes, it))
            .collect::<Vec<_>>()
        {
            let value = match (attribute.name, &attribute.ty) {
                ("address", _) if kind.as_str() == "node" => "127.0.0.2".into(),
                ("address", _) => "192.0.2.1".into(),
                ("status", _) => "running".into(),
                ("health", _) => "healthy".into(),
                (other, Type::String) => Value::from(format!("{other} of {}", name(wanted))),
                _ => Value::new(Data::Null),
            };
            attributes.set(attribute.name, value);
        }
        attributes
    }
}

fn attributes_lack(attributes: &Attributes, attribute: &Attribute) -> bool {
    let by_far_side = matches!(attribute.mode, Mode::Computed | Mode::Live | Mode::OptionalComputed);
    by_far_side && attributes.get(attribute.name).is_none()
}

#[async_trait]
impl ProviderType for Memory {
    fn name(&self) -> &'static str {
        self.like.name()
    }

    fn settings(&self) -> &[Attribute] {
        self.like.settings()
    }

    fn schemas(&self) -> &[Schema] {
        self.like.schemas()
    }

    fn hosting(&self) -> Hosting {
        self.like.hosting()
    }

    async fn configure(&self, _settings: &Attributes, _context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Provider for Memory {
    async fn read(&self, _kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        let objects = self.world.objects.lock().expect("no test panicked");
        Ok(match objects.get(id) {
            Some((_, object)) => Observed::Present(object.clone()),
            None => Observed::Absent,
        })
    }

    async fn list(&self, _kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        Ok(None)
    }

    async fn find(&self, _kind: &Kind, token: &Token, _planned: &Attributes) -> Result<Found, ProviderError> {
        let objects = self.world.objects.lock().expect("no test panicked");
        let mut objects = objects.values().map(|(_, object)| object);
        let made = objects.find(|object| object.token.as_ref() == Some(token));
        Ok(made.map_or(Found::Nothing, |object| Found::Ready(object.clone())))
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        self.world.called("create", planned);
        let object = Object {
            id: ObjectId(format!("id of {}", name(planned)).into()),
            attributes: self.told(kind, planned),
            token: Some(token.clone()),
            version: None,
        };
        let mut objects = self.world.objects.lock().expect("no test panicked");
        let before = objects.insert(object.id.clone(), (kind.clone(), object.clone()));
        assert_eq!(before, None, "a name is taken");
        Ok(Step::Done(object))
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        _token: &Token,
    ) -> Result<Step, ProviderError> {
        self.world.called("update", planned);
        let object = Object {
            attributes: self.told(kind, planned),
            ..prior.clone()
        };
        let mut objects = self.world.objects.lock().expect("no test panicked");
        objects.insert(object.id.clone(), (kind.clone(), object.clone()));
        Ok(Step::Done(object))
    }

    async fn delete(&self, _kind: &Kind, object: &Object, _token: &Token) -> Result<Step, ProviderError> {
        self.world.called("delete", &object.attributes);
        assert!(!self.world.is_used(&object.id), "{} is in use", object.id);
        let mut objects = self.world.objects.lock().expect("no test panicked");
        objects.remove(&object.id);
        Ok(Step::Gone)
    }

    async fn poll(&self, _kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        panic!("nothing takes time: {handle:?}")
    }
}
