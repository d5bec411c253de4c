//! A container as it is, in the words of the kind.

use std::collections::BTreeSet;

use simfleet_provider_api::{Attributes, Object, ObjectId, ProviderError, Token, Value};

use super::files;
use super::wanted::{Resources, Restart, Spec, set_fields};
use crate::client::container::{Member, SeenContainer, Status};
use crate::client::image::SeenImage;
use crate::client::{Engine, Machine};
use crate::labels::{self, NAME, SPEC, TOKEN};
use crate::object::{text_map, typed};
use crate::schema::CONTAINER;

/// The network of those that are put into none.
pub(super) const DEFAULT_NETWORK: &str = "bridge";

/// What the name at the engine ends with while a container is stopped that ends by itself: the engine does not tell the one
/// from the other.
pub(super) const STOPPED: &str = ".stopped";

/// Whether a network is one that an engine has by itself.
pub(crate) fn is_default_network(name: &str) -> bool {
    matches!(name, DEFAULT_NETWORK | "host" | "none")
}

/// Returns a container as an object.
pub(super) async fn object(engine: &Engine, seen: SeenContainer) -> Result<Object, ProviderError> {
    let mut attributes = Attributes::new();
    let spec = match made_as(&seen) {
        Some(spec) => spec,
        // Not made by simfleet: what it is, but for what its image brings.
        None => own(
            &seen.whole,
            engine.image(&seen.image_id).await?.unwrap_or_default(),
            &seen,
        ),
    };
    set_fields(&mut attributes, &spec)?;
    if spec.hostname.is_none() {
        attributes.set(
            "hostname",
            seen.whole.hostname.as_deref().map_or(Value::NULL, Value::from),
        );
    }
    attributes.set("name", name(&seen));
    let networks = seen.networks.iter().filter(|_| !is_in_default_only(&seen));
    let networks: Vec<Value> = networks
        .map(|(_, member)| Value::from(member.network.as_str()))
        .collect();
    attributes.set(
        "networks",
        if networks.is_empty() {
            Value::NULL
        } else {
            Value::set(networks)
        },
    );
    set_fields(&mut attributes, &serde_json::json!({ "aliases": aliases(&seen) }))?;
    set_fields(
        &mut attributes,
        &serde_json::json!({ "restart": seen.restart, "state": state(&seen) }),
    )?;
    let limits = resources(&seen, engine.machine().await?);
    if limits != Resources::default() {
        set_fields(&mut attributes, &serde_json::json!({ "resources": limits }))?;
    }
    let paths = files::paths(&seen.labels);
    if !paths.is_empty() {
        attributes.set("files", text_map(&files::read(engine, &seen.id, paths).await?));
    }
    attributes.set("id", seen.id.as_str());
    attributes.set("image_id", seen.image_id.as_str());
    attributes.set("address", engine.endpoint.address());
    attributes.set("status", status(&seen));
    attributes.set(
        "started_at",
        seen.started_at.as_deref().map_or(Value::NULL, Value::from),
    );
    attributes.set(
        "health",
        seen.health.as_ref().map_or(Value::NULL, |health| health.status.into()),
    );
    let exit_code = seen
        .exit_code
        .filter(|_| matches!(seen.status, Status::Exited | Status::Dead));
    set_fields(&mut attributes, &serde_json::json!({ "exit_code": exit_code }))?;
    attributes.set("exit", exit_code.map_or(Value::NULL, |code| exit(&seen, code).into()));
    attributes.set("published", text_map(&seen.published));
    attributes.set("volumes", text_map(&seen.volumes));
    let ips = seen.networks.iter().filter(|(_, member)| !member.address.is_empty());
    attributes.set(
        "ips",
        text_map(
            &ips.map(|(name, member)| (name.clone(), member.address.clone()))
                .collect(),
        ),
    );
    let object = Object {
        id: ObjectId(seen.id.as_str().into()),
        attributes,
        token: seen.labels.get(TOKEN).map(|token| Token(token.as_str().into())),
        version: None,
    };
    Ok(typed(&CONTAINER, object))
}

/// Returns what a container was made as; of one that simfleet did not make that is not known.
pub(super) fn made_as(seen: &SeenContainer) -> Option<Spec> {
    let mut spec: Spec = serde_json::from_str(seen.labels.get(SPEC)?).ok()?;
    for (name, value) in spec.env.iter_mut().flatten() {
        let now = seen.whole.env.as_ref().and_then(|env| env.get(name));
        *value = now.cloned().unwrap_or_default();
    }
    Some(spec)
}

/// Returns its name in the fleet; that at the engine where somebody has renamed it, or it was made by somebody else.
fn name(seen: &SeenContainer) -> &str {
    match (seen.labels.get(NAME), seen.labels.get(TOKEN)) {
        (Some(name), Some(token)) if labels::engine_name(name, token) == unmarked(seen) => name,
        _ => &seen.engine_name,
    }
}

/// Returns how a container ended.
fn exit(seen: &SeenContainer, code: i64) -> String {
    let memory = match seen.is_out_of_memory {
        true => ", as it wanted more memory than it may have",
        false => "",
    };
    let error = seen.error.as_ref().map(|error| format!(": {error}"));
    format!("exit code {code}{memory}{}", error.unwrap_or_default())
}

fn is_in_default_only(seen: &SeenContainer) -> bool {
    seen.networks.keys().all(|name| is_default_network(name))
}

/// Returns its limits. All that the machine has is no limit.
pub(super) fn resources(seen: &SeenContainer, machine: &Machine) -> Resources {
    let all = machine.cpus.saturating_mul(1_000_000_000);
    Resources {
        cpu: (seen.nano_cpus > 0 && seen.nano_cpus < all).then(|| seen.nano_cpus as f64 / 1e9),
        memory: (seen.memory > 0 && seen.memory < machine.memory).then_some(seen.memory),
    }
}

/// Whether a container ends when its work is done.
pub(super) fn runs_once(restart: Restart) -> bool {
    matches!(restart, Restart::No | Restart::OnFailure)
}

fn unmarked(seen: &SeenContainer) -> &str {
    seen.engine_name.strip_suffix(STOPPED).unwrap_or(&seen.engine_name)
}

/// Whether a container has done its work: it ended by itself and well, and is not to be started again. One that somebody
/// else stopped and that ended well looks the same.
pub(super) fn has_ended(seen: &SeenContainer) -> bool {
    let was_stopped = seen.engine_name.ends_with(STOPPED);
    runs_once(seen.restart) && seen.status == Status::Exited && seen.exit_code == Some(0) && !was_stopped
}

/// Returns what it is to do, as far as what it does tells that. One that ends again and again does not run.
fn state(seen: &SeenContainer) -> &'static str {
    match seen.status {
        Status::Paused => "paused",
        Status::Running => "running",
        Status::Restarting => "restarting",
        Status::Exited if has_ended(seen) => "running",
        Status::Created | Status::Removing | Status::Exited | Status::Dead => "stopped",
    }
}

/// Returns what it does, and how it is where it says so.
fn status(seen: &SeenContainer) -> &'static str {
    match (seen.status, &seen.health) {
        (Status::Running, Some(health)) => health.status,
        (status, _) => status.as_str(),
    }
}

/// Returns what of a container is its own, not its image's.
fn own(whole: &Spec, image: SeenImage, seen: &SeenContainer) -> Spec {
    let others = |words: &Option<Vec<String>>, of_image: &Option<Vec<String>>| {
        words.clone().filter(|words| of_image.as_ref() != Some(words))
    };
    let other =
        |text: &Option<String>, of_image: &Option<String>| text.clone().filter(|text| of_image.as_ref() != Some(text));
    let env = whole.env.iter().flatten();
    let env = env.filter(|(name, value)| !image.env.contains(&format!("{name}={value}")));
    let env: std::collections::BTreeMap<_, _> = env.map(|(name, value)| (name.clone(), value.clone())).collect();
    let labels = whole.labels.iter().flatten();
    let labels = labels.filter(|(name, value)| image.labels.get(*name) != Some(value) && labels::is_declared(name));
    let labels: std::collections::BTreeMap<_, _> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    Spec {
        entrypoint: others(&whole.entrypoint, &image.entrypoint),
        command: others(&whole.command, &image.command),
        env: (!env.is_empty()).then_some(env),
        user: other(&whole.user, &image.user),
        working_dir: other(&whole.working_dir, &image.working_dir),
        stop_signal: other(&whole.stop_signal, &image.stop_signal),
        labels: (!labels.is_empty()).then_some(labels),
        // Every container has one, given or not.
        hostname: whole
            .hostname
            .clone()
            .filter(|name| !seen.id.starts_with(name.as_str())),
        ..whole.clone()
    }
}

/// Returns what a container is called in all of its networks.
fn aliases(seen: &SeenContainer) -> Option<BTreeSet<String>> {
    if is_in_default_only(seen) {
        return None;
    }
    // In the network that containers are in by default there are none.
    let networks = seen.networks.iter().filter(|(name, _)| !is_default_network(name));
    let mut networks = networks.map(|(_, member)| aliases_in(seen, member));
    let first = networks.next().unwrap_or_default();
    let aliases = networks.fold(first, |all, next| &all & &next);
    (!aliases.is_empty()).then_some(aliases)
}

/// Returns what a container is called in a network. Of one that simfleet did not make, its name at the engine is one of
/// these, but for the one that Compose gives it beside the service's.
pub(super) fn aliases_in(seen: &SeenContainer, member: &Member) -> BTreeSet<String> {
    // An engine before 25 tells the start of the id as one.
    let given = member
        .aliases
        .iter()
        .filter(|alias| !seen.id.starts_with(alias.as_str()));
    let mut aliases: BTreeSet<String> = given.cloned().collect();
    if !seen.labels.contains_key(TOKEN) {
        match seen.labels.keys().any(|label| labels::is_of_compose(label)) {
            true => aliases.remove(&seen.engine_name),
            false => aliases.insert(seen.engine_name.clone()),
        };
    }
    aliases
}
