//! The kind `container`.
//!
//! - [`wanted`]: what is asked for; [`publish`]: its ports; [`files`]: what is put into it
//! - [`health`]: whether it is healthy
//! - [`seen`]: what is there, in the same words
//! - [`settle`]: when it is as it should be
//! - here: how the one becomes the other

pub(crate) mod files;
mod health;
pub(crate) mod publish;
mod seen;
mod settle;
pub(crate) mod wanted;

use futures::{StreamExt, stream};
use simfleet_provider_api::{Attributes, Found, Handle, Object, ObjectId, Observed, ProviderError, Step, Token};

pub(crate) use self::seen::is_default_network;
use self::seen::{STOPPED, object, runs_once};
use self::settle::{Op, Operation, is_checked, settle};
use self::wanted::{Pull, State, Wanted};
use crate::client::container::{SeenContainer, Status};
use crate::client::{CallError, Engine, Why, rejected};
use crate::labels::{self, LINEAGE, NAME, SPEC, TOKEN};

/// How many containers are looked at at once.
const AT_ONCE: usize = 16;

pub(crate) async fn read(engine: &Engine, id: &ObjectId) -> Result<Observed, ProviderError> {
    match engine.container(&id.0).await? {
        Some(seen) if seen.status != Status::Removing => Ok(Observed::Present(object(engine, seen).await?)),
        _ => Ok(Observed::Absent),
    }
}

pub(crate) async fn list(engine: &Engine) -> Result<Vec<Object>, ProviderError> {
    let ids = engine.containers_with(LINEAGE, &engine.lineage).await?;
    let looks = ids
        .into_iter()
        .map(|id| async move { read(engine, &ObjectId(id.into())).await });
    let seen: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let mut objects = Vec::with_capacity(seen.len());
    for observed in seen {
        if let Observed::Present(object) = observed? {
            objects.push(object);
        }
    }
    Ok(objects)
}

pub(crate) async fn find(engine: &Engine, token: &Token, planned: &Attributes) -> Result<Found, ProviderError> {
    let ids = engine.containers_with(TOKEN, &token.0).await?;
    let Some(id) = ids.first() else {
        return Ok(Found::Nothing);
    };
    let Some(seen) = engine.container(id).await? else {
        return Ok(Found::Nothing);
    };
    let state = planned.str("state");
    let is_started = seen.status != Status::Created || state == Some("stopped");
    let is_held = seen.status == Status::Paused || state != Some("paused");
    if !is_started || !is_held {
        // The same create goes on where it was cut off.
        return Ok(Found::Nothing);
    }
    match settle(engine, Operation::found(id, is_checked(&seen))).await? {
        Step::Done(object) => Ok(Found::Ready(object)),
        Step::Running { handle, .. } => Ok(Found::InProgress(handle)),
        Step::Gone => Ok(Found::Nothing),
    }
}

/// Makes a container, fills it, has it join its networks and starts it. Each step that was done by a call that was cut off
/// is found done: the engine has no two containers of a name.
pub(crate) async fn create(engine: &Engine, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
    let wanted = Wanted::of(planned)?;
    let engine_name = labels::engine_name(&wanted.name, &token.0);
    let seen = match engine.container(&engine_name).await? {
        Some(seen) => seen,
        None => {
            bring_image(engine, &wanted).await?;
            make(engine, token, &engine_name, &wanted).await?
        }
    };
    if seen.labels.get(TOKEN).map(String::as_str) != Some(&token.0) {
        return Err(rejected(
            format!("the name `{engine_name}` is taken by another container"),
            Some("name"),
        ));
    }
    let id = seen.id.clone();
    match complete(engine, seen, &wanted).await {
        Ok(()) => settle(engine, Operation::new(Op::Create, &id)).await,
        Err(error) if matches!(error.why, Why::Refused | Why::NotFound | Why::Conflict) => {
            // Of two calls with one token the slower one finds everything done.
            let now = engine.container(&id).await.map_err(CallError::halfway)?;
            if now.is_some_and(|now| now.status == Status::Running) {
                return settle(engine, Operation::new(Op::Create, &id)).await;
            }
            let refused = refused(engine, &error, &wanted).await;
            Err(settle::give_up(engine, &id, refused).await)
        }
        Err(error) => Err(error.halfway()),
    }
}

async fn bring_image(engine: &Engine, wanted: &Wanted) -> Result<(), ProviderError> {
    let reference = &wanted.spec.image;
    let image = match wanted.spec.pull.unwrap_or_default() {
        Pull::Never => engine.image(reference).await,
        Pull::Missing => engine.image_or_pull(reference).await,
        Pull::Always => match engine.pull(reference).await {
            Ok(()) => engine.image(reference).await,
            Err(error) => Err(error),
        },
    };
    let why = match image {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => "the engine does not have it, and `pull` is \"never\"".to_owned(),
        Err(error) if matches!(error.why, Why::NotFound | Why::Refused | Why::Conflict) => error.message,
        Err(error) => return Err(error.into()),
    };
    Err(rejected(
        format!("there is no image {reference:?}: {why}"),
        Some("image"),
    ))
}

async fn make(
    engine: &Engine,
    token: &Token,
    engine_name: &str,
    wanted: &Wanted,
) -> Result<SeenContainer, ProviderError> {
    let declared = wanted.spec.labels.clone().unwrap_or_default();
    let mut labels = labels::labels(&declared, &engine.lineage, &wanted.name, token);
    labels.insert(SPEC.to_owned(), spec_label(wanted)?);
    labels.extend(files::label(&wanted.files));
    let id = match engine.create_container(engine_name, wanted, labels).await {
        Ok(id) => id,
        // A call of the same token was faster, and may not be done with it.
        Err(error) if error.why == Why::Conflict && error.message.contains("already in use") => {
            let made = engine.container(engine_name).await.map_err(CallError::halfway)?;
            return made.ok_or(ProviderError::Ambiguous { message: error.message });
        }
        Err(error) if matches!(error.why, Why::NotFound | Why::Conflict | Why::Refused) => {
            return Err(refused(engine, &error, wanted).await);
        }
        Err(error) => return Err(error.into()),
    };
    let made = engine.container(&id).await.map_err(CallError::halfway)?;
    made.ok_or_else(|| gone(&wanted.name))
}

/// Returns the label that remembers what a container is made as. Of its environment that has the names only: labels are told
/// to whoever watches an engine, and secrets are in the values.
fn spec_label(wanted: &Wanted) -> Result<String, ProviderError> {
    let mut spec = wanted.spec.clone();
    spec.env.iter_mut().flatten().for_each(|(_, value)| value.clear());
    serde_json::to_string(&spec).map_err(|error| ProviderError::Broken {
        message: format!("cannot write what a container is made as: {error}"),
    })
}

fn gone(name: &str) -> ProviderError {
    ProviderError::Conflict {
        message: format!("container `{name}` has been deleted meanwhile"),
    }
}

/// Brings a container that was made to where it should be.
async fn complete(engine: &Engine, seen: SeenContainer, wanted: &Wanted) -> Result<(), CallError> {
    if seen.status == Status::Created {
        let mounts = wanted.spec.mounts.iter().flatten();
        let mounts: Vec<&str> = mounts.map(|mount| mount.target.as_str()).collect();
        for (folder, archive) in files::archives(&wanted.files, &mounts) {
            engine.upload(&seen.id, folder, archive).await?;
        }
        join(engine, &seen, wanted).await?;
        if wanted.state != State::Stopped {
            engine.start_container(&seen.id).await?;
        }
    }
    if wanted.state == State::Paused && seen.status != Status::Paused {
        engine.pause_container(&seen.id).await?;
    }
    Ok(())
}

/// Has a container be in the networks that are wanted and in no other.
async fn join(engine: &Engine, seen: &SeenContainer, wanted: &Wanted) -> Result<(), CallError> {
    let aliases = &wanted.aliases;
    for network in &wanted.networks {
        let member = seen.networks.values().find(|member| member.network == *network);
        if member.is_some_and(|member| seen::aliases_in(seen, member) == *aliases) {
            continue;
        }
        if member.is_some() {
            // What it is called is said when it is brought into a network.
            engine.disconnect(&seen.id, network).await?;
        }
        engine.connect(&seen.id, network, aliases).await?;
    }
    for (name, member) in &seen.networks {
        let stays = match wanted.networks.is_empty() {
            true => is_default_network(name),
            false => wanted.networks.contains(&member.network),
        };
        if !stays {
            engine.disconnect(&seen.id, &member.network).await?;
        }
    }
    if wanted.networks.is_empty() && !seen.networks.keys().any(|name| is_default_network(name)) {
        engine.connect(&seen.id, seen::DEFAULT_NETWORK, aliases).await?;
    }
    Ok(())
}

pub(crate) async fn update(engine: &Engine, prior: &Object, planned: &Attributes) -> Result<Step, ProviderError> {
    let wanted = Wanted::of(planned)?;
    let seen = engine.container(&prior.id.0).await?.ok_or_else(|| gone(&wanted.name))?;
    change(engine, &seen, &wanted).await?;
    let operation = Operation {
        restarts: seen.restarts,
        ..Operation::new(Op::Update, &seen.id)
    };
    settle(engine, operation).await
}

async fn change(engine: &Engine, seen: &SeenContainer, wanted: &Wanted) -> Result<(), ProviderError> {
    let token = seen
        .labels
        .get(TOKEN)
        .filter(|_| seen.labels.get(NAME) == Some(&wanted.name));
    let name = token.map(|token| labels::engine_name(&wanted.name, token));
    let is_held = wanted.state == State::Stopped && runs_once(wanted.restart) && seen.status != Status::Created;
    let (before, after) = match is_held {
        true => (None, name.map(|name| name + STOPPED)),
        false => (name, None),
    };
    rename(engine, seen, before).await?;
    let machine = engine.machine().await?;
    let resources = wanted.resources.clone().unwrap_or_default();
    if seen::resources(seen, machine) != resources || seen.restart != wanted.restart {
        engine
            .limit_container(&seen.id, &resources, wanted.restart, machine)
            .await?;
    }
    join(engine, seen, wanted).await?;
    let id = &seen.id;
    let runs = matches!(seen.status, Status::Running | Status::Restarting);
    match wanted.state {
        State::Running if seen.status == Status::Paused => engine.unpause_container(id).await?,
        State::Running if !runs && !seen::has_ended(seen) => engine.start_container(id).await?,
        State::Paused if seen.status != Status::Paused => {
            if !runs {
                engine.start_container(id).await?;
            }
            engine.pause_container(id).await?;
        }
        State::Stopped => stop(engine, seen).await?,
        State::Running | State::Paused => {}
    }
    rename(engine, seen, after).await
}

async fn rename(engine: &Engine, seen: &SeenContainer, name: Option<String>) -> Result<(), ProviderError> {
    match name {
        Some(name) if name != seen.engine_name => Ok(engine.rename_container(&seen.id, &name).await?),
        _ => Ok(()),
    }
}

async fn stop(engine: &Engine, seen: &SeenContainer) -> Result<(), CallError> {
    match seen.status {
        Status::Paused => {
            // What is held does not hear a signal.
            engine.unpause_container(&seen.id).await?;
            engine.stop_container(seen).await
        }
        Status::Running | Status::Restarting => engine.stop_container(seen).await,
        Status::Created | Status::Removing | Status::Exited | Status::Dead => Ok(()),
    }
}

/// Starts a container anew in place; one that is paused is paused again.
pub(crate) async fn reset(engine: &Engine, object: &Object) -> Result<(), ProviderError> {
    let id = &object.id.0;
    let name = || object.attributes.str("name").unwrap_or(id).to_owned();
    let seen = engine.container(id).await?.ok_or_else(|| gone(&name()))?;
    let is_paused = seen.status == Status::Paused;
    if is_paused {
        // What is held does not hear a signal.
        engine.unpause_container(id).await?;
    }
    engine.restart_container(id).await?;
    if is_paused {
        engine.pause_container(id).await?;
    }
    Ok(())
}

pub(crate) async fn delete(engine: &Engine, prior: &Object) -> Result<Step, ProviderError> {
    let Some(seen) = engine.container(&prior.id.0).await? else {
        return Ok(Step::Gone);
    };
    let what = format!("container `{}`", seen.engine_name);
    labels::check_owner(&seen.labels, &engine.lineage, &what)?;
    match stop(engine, &seen).await {
        // It went by itself meanwhile, or another delete is at work.
        Err(error) if matches!(error.why, Why::NotFound | Why::Conflict) => {}
        other => other?,
    }
    // Of one that somebody else made, what is in its volumes is perhaps nowhere else.
    let is_ours = seen.labels.contains_key(TOKEN);
    match engine.remove_container(&seen.id, is_ours).await {
        Ok(()) => Ok(Step::Gone),
        Err(error) if error.why == Why::Conflict => Operation::new(Op::Delete, &seen.id).running(),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn poll(engine: &Engine, handle: &Handle) -> Result<Step, ProviderError> {
    let operation: Operation = handle.read()?;
    match operation.op {
        Op::Create | Op::Update => settle(engine, operation).await,
        Op::Delete => match engine.container(&operation.id).await? {
            Some(_) => operation.running(),
            None => Ok(Step::Gone),
        },
    }
}

/// Says more of what an engine will not do than it does itself: who has a port, and which network there is not.
async fn refused(engine: &Engine, error: &CallError, wanted: &Wanted) -> ProviderError {
    for network in &wanted.networks {
        if let Ok(None) = engine.network(network).await {
            let message = format!(
                "the engine has no network `{network}`: `networks` takes the ids of networks, as in [network.NAME.id]"
            );
            return rejected(message, Some("networks"));
        }
    }
    match owner(engine, error, wanted).await {
        Some(message) => rejected(message, Some("publish")),
        None if error.message.is_empty() => rejected("the engine refuses it, and does not say why".to_owned(), None),
        None => rejected(error.message.clone(), None),
    }
}

/// Says who has the port that an engine could not open.
async fn owner(engine: &Engine, error: &CallError, wanted: &Wanted) -> Option<String> {
    let message = &error.message;
    if !message.contains("port is already allocated") && !message.contains("address already in use") {
        return None;
    }
    let published = wanted.spec.publish.iter().flatten();
    let published = published.filter_map(|text| text.parse::<publish::Published>().ok());
    let mut given = published.filter_map(|port| Some((port.host?, port.protocol)));
    let (port, protocol) = given.find(|(port, _)| message.contains(&format!(":{port}")))?;
    let owner = engine.container_at(port, &protocol).await.ok().flatten();
    let owner = owner.map_or_else(
        || "a program of the host".to_owned(),
        |name| format!("container `{name}`"),
    );
    Some(format!("port {port}/{protocol} of the host is taken by {owner}"))
}
