//! Containers: the calls.
//!
//! - [`request`]: what an engine is told of one; [`response`]: what it tells; `logs`: what one writes; [`stats`]: what one uses

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerUpdateBody, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, InspectContainerOptions, ListContainersOptions,
    RemoveContainerOptions, RenameContainerOptions, RestartContainerOptions, StartContainerOptions,
    StopContainerOptions, UploadToContainerOptions,
};
use futures::StreamExt;

use super::{CallError, Engine, Machine, Why};
use crate::container::wanted::{Resources, Restart, Wanted};
use crate::labels;

mod logs;
mod request;
mod response;
mod stats;

use request::{body, endpoint, memory, nano_cpus, policy};
use response::seen;
pub(crate) use response::{Member, SeenContainer, Status};
pub(crate) use stats::Usage;

/// What the engine counts processors and seconds in.
const NANO: f64 = 1e9;
/// How many seconds a container has to end where nothing says it, and how many are waited for at most.
const STOP_GRACE: f64 = 10.0;
const LONGEST_GRACE: f64 = 86_400.0;

impl Engine {
    /// Makes a container, and returns its id; it is not started.
    pub(crate) async fn create_container(
        &self,
        engine_name: &str,
        wanted: &Wanted,
        labels: HashMap<String, String>,
    ) -> Result<String, CallError> {
        let options = CreateContainerOptions {
            name: Some(engine_name.to_owned()),
            ..CreateContainerOptions::default()
        };
        let body = body(wanted, labels);
        let made = self.late().await?.create_container(Some(options), body).await;
        Ok(made.map_err(|error| self.error(error))?.id)
    }

    /// Returns a container by id or name; `None` where there is none.
    pub(crate) async fn container(&self, id: &str) -> Result<Option<SeenContainer>, CallError> {
        match self
            .soon()
            .await?
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
        {
            Ok(container) => {
                let mut seen = seen(container);
                // One that was never started knows its networks by name only.
                for (name, member) in seen.networks.iter_mut().filter(|(_, member)| member.network.is_empty()) {
                    member.network = self.network(name).await?.map(|network| network.id).unwrap_or_default();
                }
                Ok(Some(seen))
            }
            Err(error) => match self.error(error) {
                error if error.why == Why::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Returns the ids of the containers with a label, those that do not run too.
    pub(crate) async fn containers_with(&self, label: &str, value: &str) -> Result<Vec<String>, CallError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(labels::with(label, value)),
            ..ListContainersOptions::default()
        };
        let listed = self
            .soon()
            .await?
            .list_containers(Some(options))
            .await
            .map_err(|error| self.error(error))?;
        Ok(listed.into_iter().filter_map(|container| container.id).collect())
    }

    /// Returns the name of the container that has a port of the host.
    pub(crate) async fn container_at(&self, port: u16, protocol: &str) -> Result<Option<String>, CallError> {
        let listed = self.soon().await?.list_containers(None::<ListContainersOptions>).await;
        let has_it = |container: &ContainerSummary| {
            let mut ports = container.ports.iter().flatten();
            ports.any(|it| it.public_port == Some(port) && it.typ.is_some_and(|typ| typ.to_string() == protocol))
        };
        let owner = listed.map_err(|error| self.error(error))?.into_iter().find(has_it);
        let name = owner.and_then(|owner| owner.names?.into_iter().next());
        Ok(name.map(|name| name.trim_start_matches('/').to_owned()))
    }

    /// Starts a container; one that runs is left alone.
    pub(crate) async fn start_container(&self, id: &str) -> Result<(), CallError> {
        let started = self
            .late()
            .await?
            .start_container(id, None::<StartContainerOptions>)
            .await;
        started.map_err(|error| self.error(error))
    }

    /// Stops a container, and kills it where it takes longer than it has. One that does not run is left alone.
    pub(crate) async fn stop_container(&self, seen: &SeenContainer) -> Result<(), CallError> {
        let id = &seen.id;
        let grace = seen.whole.stop_grace.unwrap_or(STOP_GRACE).clamp(0.0, LONGEST_GRACE);
        let stopped = self
            .later(Duration::from_secs_f64(grace))
            .await?
            .stop_container(id, None::<StopContainerOptions>)
            .await;
        stopped.map_err(|error| self.error(error))
    }

    /// Stops a container as [`stop_container`](Engine::stop_container) does, and starts it. One that does not run is started.
    pub(crate) async fn restart_container(&self, id: &str) -> Result<(), CallError> {
        let restarted = self
            .late()
            .await?
            .restart_container(id, None::<RestartContainerOptions>)
            .await;
        restarted.map_err(|error| self.error(error))
    }

    /// Holds a container.
    pub(crate) async fn pause_container(&self, id: &str) -> Result<(), CallError> {
        let paused = self.late().await?.pause_container(id).await;
        paused.map_err(|error| self.error(error))
    }

    /// Lets a container go on.
    pub(crate) async fn unpause_container(&self, id: &str) -> Result<(), CallError> {
        let resumed = self.late().await?.unpause_container(id).await;
        resumed.map_err(|error| self.error(error))
    }

    /// Renames a container.
    pub(crate) async fn rename_container(&self, id: &str, name: &str) -> Result<(), CallError> {
        let options = RenameContainerOptions { name: name.to_owned() };
        let renamed = self.late().await?.rename_container(id, options).await;
        renamed.map_err(|error| self.error(error))
    }

    /// Sets limits and restart policy. No limit is all that the machine has: the engine takes none for "as it was".
    pub(crate) async fn limit_container(
        &self,
        id: &str,
        resources: &Resources,
        restart: Restart,
        machine: &Machine,
    ) -> Result<(), CallError> {
        let memory = memory(resources).unwrap_or_else(|| i64::try_from(machine.memory).unwrap_or(i64::MAX));
        let body = ContainerUpdateBody {
            nano_cpus: Some(nano_cpus(resources).unwrap_or((machine.cpus as f64 * NANO) as i64)),
            memory: Some(memory),
            // It may not be below the memory, and is kept where it is not set.
            memory_swap: Some(memory.saturating_mul(2)),
            restart_policy: Some(policy(restart)),
            ..ContainerUpdateBody::default()
        };
        let updated = self.late().await?.update_container(id, body).await;
        updated.map_err(|error| self.error(error))
    }

    /// Brings a container into a network; one that is in it is left alone.
    pub(crate) async fn connect(&self, id: &str, network: &str, aliases: &BTreeSet<String>) -> Result<(), CallError> {
        let request = NetworkConnectRequest {
            container: id.to_owned(),
            endpoint_config: Some(endpoint(aliases)),
        };
        let connected = self.late().await?.connect_network(network, request).await;
        match connected.map_err(|error| self.error(error)) {
            Err(error) if error.message.contains("already exists in network") => Ok(()),
            other => other,
        }
    }

    /// Takes a container out of a network; one that is not in it is left alone.
    pub(crate) async fn disconnect(&self, id: &str, network: &str) -> Result<(), CallError> {
        let request = NetworkDisconnectRequest {
            container: id.to_owned(),
            force: Some(true),
        };
        let disconnected = self.late().await?.disconnect_network(network, request).await;
        match disconnected.map_err(|error| self.error(error)) {
            Err(error) if error.why == Why::NotFound || error.message.contains("is not connected to") => Ok(()),
            other => other,
        }
    }

    /// Deletes a container, and what it has of volumes without a name where that is wanted; one that is gone is no error.
    pub(crate) async fn remove_container(&self, id: &str, with_volumes: bool) -> Result<(), CallError> {
        let options = RemoveContainerOptions {
            v: with_volumes,
            force: true,
            ..RemoveContainerOptions::default()
        };
        let removed = self.late().await?.remove_container(id, Some(options)).await;
        match removed.map_err(|error| self.error(error)) {
            Err(error) if error.why == Why::NotFound => Ok(()),
            other => other,
        }
    }

    /// Puts files into a container: an archive in the form of tar, laid out from a folder of it that is there.
    pub(crate) async fn upload(&self, id: &str, folder: &str, archive: Vec<u8>) -> Result<(), CallError> {
        let options = UploadToContainerOptions {
            path: folder.to_owned(),
            ..UploadToContainerOptions::default()
        };
        let body = bollard::body_full(archive.into());
        let sent = self.late().await?.upload_to_container(id, Some(options), body).await;
        sent.map_err(|error| self.error(error))
    }

    /// Returns a file of a container as an archive in the form of tar; `None` where there is none.
    pub(crate) async fn download(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, CallError> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut parts = self.late().await?.download_from_container(id, Some(options));
        let mut archive = Vec::new();
        while let Some(part) = parts.next().await {
            match part.map_err(|error| self.error(error)) {
                Ok(part) => archive.extend_from_slice(&part),
                Err(error) if error.why == Why::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(archive))
    }
}
