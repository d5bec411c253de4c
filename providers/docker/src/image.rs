//! The kind `image`: what an engine builds of a folder.
//!
//! It is told from others by its labels, and known by its id: a tag can go from one image to another. The labels are not those
//! of other kinds, as what is made of an image has them too: a container that somebody runs, or another image.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use simfleet_build_context::Context;
use simfleet_provider_api::{Attributes, Found, Object, ObjectId, Observed, ProviderError, Step, Token};

use crate::client::build::NewImage;
use crate::client::image::SeenImage;
use crate::client::{CallError, Engine, Why, rejected};
use crate::labels;
use crate::object::{name_of, string_map, text_map, typed};
use crate::schema::IMAGE;

/// The lineage of the fleet that built it.
const LINEAGE: &str = "simfleet.image.lineage";
/// The name of the image in the fleet.
const NAME: &str = "simfleet.image.name";
/// The token that it was made with.
const TOKEN: &str = "simfleet.image.token";
/// What it was built of: JSON.
const SPEC: &str = "simfleet.image.spec";

/// The repository of images whose tag nobody chose.
const REPOSITORY: &str = "simfleet";

/// What an image was built of, as it is kept in a label. Arguments are no place for secrets: the history of an image has
/// them too.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Spec {
    tag: Option<String>,
    context: String,
    context_digest: String,
    dockerfile: String,
    args: BTreeMap<String, String>,
    target: Option<String>,
}

pub(crate) async fn read(engine: &Engine, id: &ObjectId) -> Result<Observed, ProviderError> {
    let image = engine.image(&id.0).await?;
    Ok(image.map_or(Observed::Absent, |seen| Observed::Present(object(seen))))
}

/// Lists the images of a fleet that have that label not from the image that they begin with.
pub(crate) async fn list(engine: &Engine) -> Result<Vec<Object>, ProviderError> {
    let images = images(engine, LINEAGE, &engine.lineage).await?;
    let own = images.into_iter().filter(|seen| own_tag(seen).is_some());
    Ok(own.map(object).collect())
}

pub(crate) async fn find(engine: &Engine, token: &Token) -> Result<Found, ProviderError> {
    let made = images(engine, TOKEN, &token.0).await?.into_iter().next();
    Ok(made.map_or(Found::Nothing, |seen| Found::Ready(object(seen))))
}

/// Returns the images with a label, the oldest first: what is made of an image is younger.
async fn images(engine: &Engine, label: &str, value: &str) -> Result<Vec<SeenImage>, CallError> {
    let mut images = Vec::new();
    for id in engine.images_with(label, value).await? {
        images.extend(engine.image(&id).await?);
    }
    images.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    Ok(images)
}

/// Builds an image. The engine gives it its tag at the end, so what a build that was cut off left is no image of ours.
pub(crate) async fn create(
    engine: &Engine,
    root: &Path,
    token: &Token,
    planned: &Attributes,
) -> Result<Step, ProviderError> {
    let name = name_of(planned)?;
    let spec = spec(planned);
    let _turn = engine.build_turn(&spec.context_digest).await;
    if let Found::Ready(made) = find(engine, token).await? {
        return Ok(Step::Done(made));
    }
    let folder = root.join(&spec.context);
    let context = read_context(folder, &spec).await?;
    let tag = match &spec.tag {
        Some(tag) => {
            refuse_foreign(engine, tag).await?;
            tag.clone()
        }
        None => format!("{REPOSITORY}:{}", labels::engine_name(name, &token.0)),
    };
    let text = serde_json::to_string(&spec).map_err(|error| broken(&error))?;
    let own = [
        (LINEAGE, &*engine.lineage),
        (NAME, name),
        (TOKEN, &token.0),
        (SPEC, &text),
    ];
    let labels = own.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    let image = NewImage {
        bases: bases(&root.join(&spec.context).join(&spec.dockerfile)),
        context,
        tag: tag.clone(),
        dockerfile: spec.dockerfile,
        args: spec.args,
        target: spec.target,
        labels,
    };
    engine.build(image).await.map_err(|error| match error.why {
        Why::NotFound | Why::Conflict | Why::Refused => rejected(format!("it cannot be built: {error}"), None),
        _ => error.into(),
    })?;
    settled(engine, token, &tag).await.map_err(ProviderError::halfway)
}

/// Returns the image of a token. Where two calls built it at once, that is the older one, and the other one goes.
async fn settled(engine: &Engine, token: &Token, tag: &str) -> Result<Step, ProviderError> {
    let mut images = images(engine, TOKEN, &token.0).await?.into_iter();
    let made = images.next().ok_or_else(|| ProviderError::Ambiguous {
        message: "the image that was built is not there".to_owned(),
    })?;
    if own_tag(&made).is_none() {
        engine.tag_image(&made.id, tag).await?;
        for other in images.filter(|other| other.tags.is_empty() || own_tag(other).is_some()) {
            match engine.remove_image(&other.id).await {
                Err(error) if !matches!(error.why, Why::Conflict | Why::NotFound) => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(Step::Done(object(made)))
}

fn spec(planned: &Attributes) -> Spec {
    let text = |name: &str| planned.str(name).map(str::to_owned);
    Spec {
        tag: text("tag"),
        context: text("context").unwrap_or_default(),
        context_digest: text("context_digest").unwrap_or_default(),
        dockerfile: text("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned()),
        args: string_map(planned.get("args")),
        target: text("target"),
    }
}

/// Reads the context, which must be what the plan was made with.
async fn read_context(folder: std::path::PathBuf, spec: &Spec) -> Result<Context, ProviderError> {
    let dockerfile = spec.dockerfile.clone();
    let read = tokio::task::spawn_blocking(move || {
        let context = Context::read(&folder, Path::new(&dockerfile))?;
        let digest = context.digest()?;
        Ok::<_, simfleet_build_context::ContextError>((context, digest))
    });
    let (context, digest) = read
        .await
        .map_err(|error| broken(&error))?
        .map_err(|error| rejected(format!("it cannot be built: {error}"), Some("context")))?;
    match digest == spec.context_digest {
        true => Ok(context),
        false => Err(ProviderError::Conflict {
            message: format!("what is in `{}` has changed since the plan was made", spec.context),
        }),
    }
}

fn broken(error: &dyn std::fmt::Display) -> ProviderError {
    ProviderError::Broken {
        message: format!("an image cannot be told: {error}"),
    }
}

/// Refuses to take a tag from an image that this fleet did not build.
async fn refuse_foreign(engine: &Engine, tag: &str) -> Result<(), ProviderError> {
    let Some(image) = engine.image(tag).await? else {
        return Ok(());
    };
    match image.labels.get(LINEAGE) {
        Some(lineage) if **lineage == *engine.lineage => Ok(()),
        owner => {
            let whose = match owner {
                Some(owner) => format!("another fleet, {owner}, built"),
                None => "this fleet did not build".to_owned(),
            };
            let what = format!("the tag {tag:?} is that of an image that {whose}");
            Err(rejected(
                format!("{what}: choose another one, or remove that image"),
                Some("tag"),
            ))
        }
    }
}

/// Returns the images that a Dockerfile begins with, as far as it names them: an engine asks for a login with each.
fn bases(dockerfile: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dockerfile).unwrap_or_default();
    let from = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| word.eq_ignore_ascii_case("from"))?;
        words.find(|word| !word.starts_with("--"))
    });
    from.filter(|base| !base.contains('$')).map(str::to_owned).collect()
}

/// Removes an image, where nobody uses it any more.
pub(crate) async fn delete(engine: &Engine, prior: &Object) -> Result<Step, ProviderError> {
    let Some(seen) = engine.image(&prior.id.0).await? else {
        return Ok(Step::Gone);
    };
    match seen.labels.get(LINEAGE) {
        Some(owner) if **owner == *engine.lineage => {}
        Some(owner) => {
            return Err(ProviderError::Conflict {
                message: format!("image `{}` is one of another fleet, {owner}", seen.id),
            });
        }
        // It is not ours to remove.
        None => return Ok(Step::Gone),
    }
    let removed = match engine.remove_image(&seen.id).await {
        // Somebody gave it a tag of their own: it is theirs from now on, and ours goes.
        Err(error) if error.why == Why::Conflict && seen.tags.len() > 1 => match own_tag(&seen) {
            Some(tag) => engine.remove_image(&tag).await,
            None => Ok(()),
        },
        other => other,
    };
    match removed {
        Ok(()) => Ok(Step::Gone),
        // A container or an image of somebody else is made of it.
        Err(CallError {
            why: Why::Conflict | Why::NotFound,
            ..
        }) => Ok(Step::Gone),
        Err(error) => Err(error.into()),
    }
}

/// Returns the tag that an image was built with, where it still has it.
fn own_tag(seen: &SeenImage) -> Option<String> {
    let made = match built_of(seen).tag {
        Some(tag) => tag,
        None => {
            let (name, token) = (seen.labels.get(NAME)?, seen.labels.get(TOKEN)?);
            format!("{REPOSITORY}:{}", labels::engine_name(name, token))
        }
    };
    seen.tags
        .iter()
        .find(|tag| **tag == made || **tag == format!("{made}:latest"))
        .cloned()
}

fn built_of(seen: &SeenImage) -> Spec {
    let label = seen.labels.get(SPEC).and_then(|text| serde_json::from_str(text).ok());
    label.unwrap_or_default()
}

fn object(seen: SeenImage) -> Object {
    let spec = built_of(&seen);
    let mut attributes = Attributes::new();
    attributes.set("name", seen.labels.get(NAME).map_or("", String::as_str));
    let mut set = |name: &'static str, text: Option<&str>| {
        if let Some(text) = text {
            attributes.set(name, text);
        }
    };
    set("tag", spec.tag.as_deref());
    set("context", Some(&spec.context));
    set("context_digest", Some(&spec.context_digest));
    set("dockerfile", Some(&spec.dockerfile));
    set("target", spec.target.as_deref());
    set("id", Some(&seen.id));
    attributes.set("args", text_map(&spec.args));
    let object = Object {
        id: ObjectId(seen.id.into()),
        attributes,
        token: seen.labels.get(TOKEN).map(|token| Token(token.as_str().into())),
        version: None,
    };
    typed(&IMAGE, object)
}
