//! The conformance suite finds what providers do wrong: each mistake, and the case that must fail for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use simfleet_provider_api::conformance::{self, Able, Bench, Failure, Harness, Samples};
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Object, ObjectId, Observed, Path, Problem, Provider,
    ProviderError, ProviderType, Schema, Step, Token, Value,
};
use simfleet_provider_fake::faults::Faults;

use crate::conformance::{FakeHarness, slow};

/// What a provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    NewTokenPerCall,
    LabelsChangeByThemselves,
    ReadsUnreachableAsAbsent,
    ReadsAbsentAsUnreachable,
    DeleteOfGoneIsAnError,
    DeleteDoesNothing,
    ListsTwice,
    ListsOtherStates,
    FindsNothing,
    IgnoresVersions,
    UpdateReplaces,
    TuplesNotLists,
    UnmarkedSecret,
    SecretInError,
    UnknownAttribute,
    AbsentIsEmpty,
    TransientRefusal,
    RefusesValid,
    KnowsOwnObjectsOnly,
    KnowsOwnHandlesOnly,
    ReadsFromMemory,
}

#[derive(Debug)]
struct Sabotaged {
    inner: Arc<dyn ProviderType>,
    mistake: Mistake,
}

#[derive(Debug)]
struct SabotagedProvider {
    inner: Arc<dyn Provider>,
    mistake: Mistake,
    calls: AtomicU64,
    /// What the calls of this provider returned: objects by id, and the names of operations.
    objects: Mutex<BTreeMap<ObjectId, Object>>,
    handles: Mutex<Vec<Handle>>,
}

#[async_trait]
impl ProviderType for Sabotaged {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn settings(&self) -> &[Attribute] {
        self.inner.settings()
    }

    fn schemas(&self) -> &[Schema] {
        self.inner.schemas()
    }

    fn check(&self, _kind: &Kind, _desired: &Attributes) -> Vec<Problem> {
        let problem = Problem {
            path: Path::attribute("name"),
            message: "it is wrong".to_owned(),
            hint: None,
        };
        Vec::from_iter((self.mistake == Mistake::RefusesValid).then_some(problem))
    }

    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        let context = match self.mistake {
            Mistake::ListsOtherStates => Context {
                lineage: "all".into(),
                ..context.clone()
            },
            _ => context.clone(),
        };
        let inner = self.inner.configure(settings, &context).await?;
        Ok(Arc::new(SabotagedProvider {
            inner,
            mistake: self.mistake,
            calls: AtomicU64::new(0),
            objects: Mutex::default(),
            handles: Mutex::default(),
        }))
    }
}

impl SabotagedProvider {
    fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    fn token(&self, token: &Token) -> Token {
        match self.mistake {
            Mistake::NewTokenPerCall => Token(format!("{token}-{}", self.call()).into()),
            _ => token.clone(),
        }
    }

    fn seen(&self, mut object: Object) -> Object {
        match self.mistake {
            Mistake::LabelsChangeByThemselves => {
                object.attributes.set("labels", Value::string(self.call().to_string()))
            }
            Mistake::UnknownAttribute => object.attributes.set("colour", "red"),
            Mistake::AbsentIsEmpty => {
                let absent = object.attributes.get("working_dir").is_none() && object.attributes.get("host").is_some();
                if absent {
                    object.attributes.set("working_dir", "");
                }
            }
            Mistake::TuplesNotLists => {
                if let Some(command) = object.attributes.get("command").and_then(Value::as_slice) {
                    let command = Value::tuple(command.iter().cloned());
                    object.attributes.set("command", command);
                }
            }
            Mistake::UnmarkedSecret => {
                if let Some(password) = object.attributes.get("password").cloned() {
                    object.attributes.set("password", password.unmarked());
                }
            }
            _ => {}
        }
        object
    }

    fn step(&self, step: Step) -> Step {
        match step {
            Step::Done(object) => {
                self.objects
                    .lock()
                    .expect("no test panics with it")
                    .insert(object.id.clone(), object.clone());
                Step::Done(self.seen(object))
            }
            Step::Running { handle, poll_after } => {
                self.handles
                    .lock()
                    .expect("no test panics with it")
                    .push(handle.clone());
                Step::Running { handle, poll_after }
            }
            Step::Gone => Step::Gone,
        }
    }
}

#[async_trait]
impl Provider for SabotagedProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        let known = self.objects.lock().expect("no test panics with it").get(id).cloned();
        match (self.mistake, known) {
            (Mistake::KnowsOwnObjectsOnly, None) => return Ok(Observed::Absent),
            (Mistake::ReadsFromMemory, Some(object)) => return Ok(Observed::Present(object)),
            _ => {}
        }
        Ok(match (self.mistake, self.inner.read(kind, id).await?) {
            (Mistake::ReadsUnreachableAsAbsent, Observed::Unreachable { .. }) => Observed::Absent,
            (Mistake::ReadsAbsentAsUnreachable, Observed::Absent) => Observed::Unreachable { reason: "?".into() },
            (_, Observed::Present(object)) => Observed::Present(self.seen(object)),
            (_, other) => other,
        })
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        let list = self.inner.list(kind).await?;
        Ok(list.map(|objects| {
            let mut objects: Vec<Object> = objects.into_iter().map(|object| self.seen(object)).collect();
            if self.mistake == Mistake::ListsTwice {
                objects.extend(objects.clone());
            }
            objects
        }))
    }

    async fn find(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
        match self.mistake {
            Mistake::FindsNothing => Ok(Found::Nothing),
            _ => self.inner.find(kind, token, planned).await,
        }
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        let step = self.inner.create(kind, &self.token(token), planned).await;
        match (self.mistake, step) {
            (Mistake::SecretInError, Err(ProviderError::Rejected { attribute, .. })) => {
                let secret = planned.str("password").unwrap_or_default();
                Err(ProviderError::Rejected {
                    message: format!("refused: {secret}"),
                    attribute,
                })
            }
            (Mistake::TransientRefusal, Err(ProviderError::Rejected { message, .. })) => {
                Err(ProviderError::Ambiguous { message })
            }
            (_, step) => Ok(self.step(step?)),
        }
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        token: &Token,
    ) -> Result<Step, ProviderError> {
        match self.mistake {
            Mistake::UpdateReplaces => self.inner.create(kind, token, planned).await,
            Mistake::IgnoresVersions => {
                let prior = Object {
                    version: None,
                    ..prior.clone()
                };
                self.inner.update(kind, &prior, planned, token).await
            }
            _ => Ok(self.step(self.inner.update(kind, prior, planned, &self.token(token)).await?)),
        }
    }

    async fn delete(&self, kind: &Kind, object: &Object, token: &Token) -> Result<Step, ProviderError> {
        match self.mistake {
            Mistake::DeleteDoesNothing => Ok(Step::Gone),
            Mistake::DeleteOfGoneIsAnError if self.inner.read(kind, &object.id).await? == Observed::Absent => {
                Err(ProviderError::Rejected {
                    message: "not found".to_owned(),
                    attribute: None,
                })
            }
            _ => self.inner.delete(kind, object, token).await,
        }
    }

    async fn poll(&self, kind: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        let is_own = self.handles.lock().expect("no test panics with it").contains(handle);
        if self.mistake == Mistake::KnowsOwnHandlesOnly && !is_own {
            return Err(ProviderError::Broken {
                message: "no such operation".to_owned(),
            });
        }
        Ok(self.step(self.inner.poll(kind, handle).await?))
    }
}

struct SabotagedHarness {
    inner: FakeHarness,
    mistake: Mistake,
}

#[async_trait]
impl Harness for SabotagedHarness {
    fn provider_type(&self) -> Arc<dyn ProviderType> {
        Arc::new(Sabotaged {
            inner: self.inner.provider_type(),
            mistake: self.mistake,
        })
    }

    fn settings(&self) -> Attributes {
        self.inner.settings()
    }

    fn context(&self, lineage: &str) -> Context {
        self.inner.context(lineage)
    }

    async fn samples(&self, kind: &Kind, bench: &mut Bench) -> Result<Samples, Failure> {
        self.inner.samples(kind, bench).await
    }

    async fn change_behind(&self, kind: &Kind, object: &Object) -> Able {
        self.inner.change_behind(kind, object).await
    }

    async fn remove_behind(&self, kind: &Kind, object: &Object) -> Able {
        self.inner.remove_behind(kind, object).await
    }

    async fn lose_next_reply(&self) -> Able {
        self.inner.lose_next_reply().await
    }

    fn unreachable(&self) -> Option<Attributes> {
        self.inner.unreachable()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test(start_paused = true)]
async fn every_mistake_fails_its_case() {
    for (mistake, case, says) in [
        (
            Mistake::NewTokenPerCall,
            "create_twice_with_one_token",
            "made two objects",
        ),
        (
            Mistake::NewTokenPerCall,
            "create_at_once_with_one_token",
            "made several objects",
        ),
        (
            Mistake::NewTokenPerCall,
            "create_after_a_lost_reply",
            "is not found by its token",
        ),
        (Mistake::NewTokenPerCall, "create_after_a_dropped_call", "in use by"),
        (
            Mistake::NewTokenPerCall,
            "token_of_a_deleted_object_makes_nothing",
            "a late create made",
        ),
        (Mistake::NewTokenPerCall, "update_twice_with_one_token", "cannot update"),
        (
            Mistake::LabelsChangeByThemselves,
            "create_then_read",
            "read otherwise than it was made",
        ),
        (
            Mistake::LabelsChangeByThemselves,
            "read_is_canonical",
            "two looks at one network differ",
        ),
        (
            Mistake::ReadsUnreachableAsAbsent,
            "unreachable_is_not_absent",
            "is read otherwise",
        ),
        (
            Mistake::ReadsAbsentAsUnreachable,
            "unknown_object_is_absent",
            "not read as absent",
        ),
        (
            Mistake::ReadsAbsentAsUnreachable,
            "removal_by_others_is_seen",
            "not read as absent",
        ),
        (
            Mistake::ReadsAbsentAsUnreachable,
            "delete_is_idempotent",
            "not read as absent",
        ),
        (Mistake::DeleteOfGoneIsAnError, "delete_is_idempotent", "cannot delete"),
        (
            Mistake::DeleteOfGoneIsAnError,
            "unknown_object_is_gone",
            "cannot delete",
        ),
        (Mistake::DeleteDoesNothing, "delete_is_idempotent", "not read as absent"),
        (
            Mistake::DeleteDoesNothing,
            "replace_makes_another_object",
            "not read as absent",
        ),
        (Mistake::DeleteDoesNothing, "create_then_read", "left over"),
        (Mistake::ListsTwice, "list_shows_what_was_created", "or has it twice"),
        (
            Mistake::ListsOtherStates,
            "list_shows_own_lineage_only",
            "of another state",
        ),
        (Mistake::FindsNothing, "find_by_token", "not found by its token"),
        (
            Mistake::IgnoresVersions,
            "update_of_what_has_moved_is_refused",
            "not a conflict",
        ),
        (Mistake::UpdateReplaces, "update_in_place", "made another network"),
        (
            Mistake::TuplesNotLists,
            "plan_after_create_is_empty",
            "`command` was not converted",
        ),
        (
            Mistake::UnmarkedSecret,
            "plan_after_create_is_empty",
            "`password` is sensitive",
        ),
        (
            Mistake::UnmarkedSecret,
            "secrets_stay_hidden",
            "in the object that a create returns",
        ),
        (Mistake::SecretInError, "secrets_stay_hidden", "in an error"),
        (
            Mistake::UnknownAttribute,
            "plan_after_create_is_empty",
            "`colour` is not in the schema",
        ),
        (
            Mistake::AbsentIsEmpty,
            "plan_after_create_is_empty",
            "`working_dir` is not wanted and is there",
        ),
        (
            Mistake::TransientRefusal,
            "missing_attribute_is_an_error",
            "find out that a network needs `name`",
        ),
        (Mistake::RefusesValid, "samples_pass_the_check", "has problems"),
        (
            Mistake::KnowsOwnObjectsOnly,
            "object_survives_reconfiguration",
            "is gone for a provider configured later",
        ),
        (
            Mistake::KnowsOwnHandlesOnly,
            "handle_survives_reconfiguration",
            "by another provider",
        ),
        (Mistake::ReadsFromMemory, "change_by_others_is_seen", "is not seen"),
    ] {
        let faults = if mistake == Mistake::KnowsOwnHandlesOnly {
            slow()
        } else {
            Faults::default()
        };
        let inner = FakeHarness::inside(faults);
        let outcome = conformance::run(case, Arc::new(SabotagedHarness { inner, mistake })).await;
        let failure = outcome.expect_err(&format!("{mistake:?} fails {case}")).to_string();
        assert!(failure.contains(says), "{mistake:?} in {case}: {failure}");
    }
}
