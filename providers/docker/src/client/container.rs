//! Containers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerUpdateBody,
    DeviceMapping, EndpointSettings, HealthConfig, HealthStatusEnum, HostConfig, HostConfigLogConfig,
    Mount as EngineMount, MountType as EngineMountType, NetworkConnectRequest, NetworkDisconnectRequest,
    NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptions, InspectContainerOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, RenameContainerOptions, StartContainerOptions, StopContainerOptions,
    UploadToContainerOptions,
};
use futures::{StreamExt, TryStreamExt};

use super::{CallError, Engine, Machine, Why};
use crate::container::publish::Published;
use crate::container::wanted::{HealthCheck, Log, Mount, MountType, Pull, Resources, Restart, Spec, Wanted};
use crate::labels;

/// What the engine counts processors in.
const NANO: f64 = 1e9;
/// What an engine does where a health check does not say: seconds between looks and for one, and bad looks in a row.
const INTERVAL: f64 = 30.0;
const TIMEOUT: f64 = 30.0;
const RETRIES: u64 = 3;

/// A container as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenContainer {
    pub(crate) id: String,
    pub(crate) engine_name: String,
    pub(crate) image_id: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// What it was made as, by its configuration: what the image brings is in it too.
    pub(crate) whole: Spec,
    pub(crate) restart: Restart,
    pub(crate) nano_cpus: u64,
    pub(crate) memory: u64,
    pub(crate) status: Status,
    pub(crate) exit_code: Option<i64>,
    /// Why it did not start, in the words of the engine.
    pub(crate) error: Option<String>,
    pub(crate) restarts: u64,
    pub(crate) health: Option<Health>,
    /// The networks that it is in: name and id.
    pub(crate) networks: BTreeMap<String, Member>,
    /// Where its published ports are: `80/tcp` to `0.0.0.0:8080`.
    pub(crate) published: BTreeMap<String, String>,
}

/// A container in a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) network: String,
    pub(crate) address: String,
    pub(crate) aliases: Vec<String>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Removing => "removing",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
}

/// How a container says it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub(crate) status: &'static str,
    /// What the last look found.
    pub(crate) last: Option<String>,
}

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
        let has_it = |container: &bollard::models::ContainerSummary| {
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
    pub(crate) async fn stop_container(&self, id: &str) -> Result<(), CallError> {
        let stopped = self
            .late()
            .await?
            .stop_container(id, None::<StopContainerOptions>)
            .await;
        stopped.map_err(|error| self.error(error))
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
        machine: Machine,
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

    /// Deletes a container and the volumes without a name that it has; one that is gone is no error.
    pub(crate) async fn remove_container(&self, id: &str) -> Result<(), CallError> {
        let options = RemoveContainerOptions {
            v: true,
            force: true,
            ..RemoveContainerOptions::default()
        };
        let removed = self.late().await?.remove_container(id, Some(options)).await;
        match removed.map_err(|error| self.error(error)) {
            Err(error) if error.why == Why::NotFound => Ok(()),
            other => other,
        }
    }

    /// Returns the last lines that a container wrote.
    pub(crate) async fn last_lines(&self, id: &str, lines: usize) -> Result<Vec<String>, CallError> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: lines.to_string(),
            ..LogsOptions::default()
        };
        let output = self.soon().await?.logs(id, Some(options));
        let output: Vec<_> = output.try_collect().await.map_err(|error| self.error(error))?;
        let text: String = output.iter().map(ToString::to_string).collect();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Puts files into a container: an archive in the form of tar, laid out from its root.
    pub(crate) async fn upload(&self, id: &str, archive: Vec<u8>) -> Result<(), CallError> {
        let options = UploadToContainerOptions {
            path: "/".to_owned(),
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

fn nano_cpus(resources: &Resources) -> Option<i64> {
    resources.cpu.map(|cpu| (cpu * NANO).round() as i64)
}

fn memory(resources: &Resources) -> Option<i64> {
    resources.memory.and_then(|memory| i64::try_from(memory).ok())
}

fn policy(restart: Restart) -> RestartPolicy {
    let name = match restart {
        Restart::No => RestartPolicyNameEnum::NO,
        Restart::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
        Restart::Always => RestartPolicyNameEnum::ALWAYS,
        Restart::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: None,
    }
}

fn endpoint(aliases: &BTreeSet<String>) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(aliases.iter().cloned().collect()),
        ..EndpointSettings::default()
    }
}

/// Returns what the engine is told to make.
fn body(wanted: &Wanted, labels: HashMap<String, String>) -> ContainerCreateBody {
    let spec = &wanted.spec;
    let published: Vec<Published> = spec
        .publish
        .iter()
        .flatten()
        .filter_map(|text| text.parse().ok())
        .collect();
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &published {
        let binding = PortBinding {
            host_ip: Some(port.ip.clone()),
            host_port: Some(port.host.map(|port| port.to_string()).unwrap_or_default()),
        };
        bindings
            .entry(port.within())
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    // The engine takes one network here; the others are joined before the start.
    let network = wanted.networks.first();
    let aliases = spec.aliases.clone().unwrap_or_default();
    let host_config = HostConfig {
        nano_cpus: wanted.resources.as_ref().and_then(nano_cpus),
        memory: wanted.resources.as_ref().and_then(memory),
        port_bindings: Some(bindings),
        restart_policy: Some(policy(wanted.restart)),
        network_mode: network.cloned(),
        mounts: spec.mounts.as_ref().map(|mounts| mounts.iter().map(mount).collect()),
        tmpfs: spec.tmpfs.clone().map(|tmpfs| tmpfs.into_iter().collect()),
        readonly_rootfs: spec.read_only,
        cap_add: spec.cap_add.clone().map(Vec::from_iter),
        cap_drop: spec.cap_drop.clone().map(Vec::from_iter),
        devices: spec
            .devices
            .as_ref()
            .map(|devices| devices.iter().map(|device| mapping(device)).collect()),
        ulimits: spec.ulimits.as_ref().map(|limits| limits.iter().map(ulimit).collect()),
        log_config: spec.log.as_ref().map(|log| HostConfigLogConfig {
            typ: Some(log.driver.clone()),
            config: Some(log.options.clone().unwrap_or_default().into_iter().collect()),
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.command.clone(),
        env: spec
            .env
            .as_ref()
            .map(|env| env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        exposed_ports: Some(
            published
                .iter()
                .map(Published::within)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        ),
        healthcheck: spec.health_check.as_ref().and_then(health_config),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_grace.map(|seconds| seconds.ceil() as i64),
        labels: Some(labels),
        host_config: Some(host_config),
        networking_config: network.map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.clone(), endpoint(&aliases))])),
        }),
        ..ContainerCreateBody::default()
    }
}

fn mount(mount: &Mount) -> EngineMount {
    EngineMount {
        typ: Some(match mount.r#type {
            MountType::Volume => EngineMountType::VOLUME,
            MountType::Bind => EngineMountType::BIND,
        }),
        source: mount.source.clone(),
        target: Some(mount.target.clone()),
        read_only: mount.read_only,
        ..EngineMount::default()
    }
}

/// `HOST:CONTAINER:PERMISSIONS`, of which the last two can be left out.
fn mapping(device: &str) -> DeviceMapping {
    let mut parts = device.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    DeviceMapping {
        path_on_host: Some(host.to_owned()),
        path_in_container: Some(parts.next().unwrap_or(host).to_owned()),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
    }
}

/// `SOFT:HARD`, or one number for both.
fn ulimit((name, limit): (&String, &String)) -> ResourcesUlimits {
    let (soft, hard) = limit.split_once(':').unwrap_or((limit, limit));
    ResourcesUlimits {
        name: Some(name.clone()),
        soft: soft.parse().ok(),
        hard: hard.parse().ok(),
    }
}

/// Returns the check that the engine itself makes. Of other types it makes none.
fn health_config(check: &HealthCheck) -> Option<HealthConfig> {
    let test = match (&*check.r#type, &check.command) {
        ("command", Some(command)) => Some(["CMD".to_owned()].into_iter().chain(command.iter().cloned()).collect()),
        ("docker", _) => None,
        _ => return None,
    };
    let nanoseconds = |seconds: Option<f64>| seconds.map(|seconds| (seconds * NANO) as i64);
    Some(HealthConfig {
        test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        retries: check.unhealthy_threshold.and_then(|looks| i64::try_from(looks).ok()),
        start_period: nanoseconds(check.start_period),
        start_interval: None,
    })
}

fn seen(container: ContainerInspectResponse) -> SeenContainer {
    let state = container.state.unwrap_or_default();
    let config = container.config.unwrap_or_default();
    let host = container.host_config.unwrap_or_default();
    let settings = container.network_settings.unwrap_or_default();
    let networks = settings.networks.unwrap_or_default().into_iter();
    let published = settings
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(within, bindings)| {
            let first = bindings?.into_iter().next()?;
            Some((within, format!("{}:{}", first.host_ip?, first.host_port?)))
        });
    let unsigned = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
    SeenContainer {
        id: container.id.unwrap_or_default(),
        engine_name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image_id: container.image.unwrap_or_default(),
        labels: config.labels.clone().unwrap_or_default().into_iter().collect(),
        restart: match host.restart_policy.as_ref().and_then(|policy| policy.name) {
            Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => Restart::OnFailure,
            _ => Restart::No,
        },
        nano_cpus: unsigned(host.nano_cpus),
        memory: unsigned(host.memory),
        status: match state.status {
            Some(ContainerStateStatusEnum::RUNNING) => Status::Running,
            Some(ContainerStateStatusEnum::PAUSED) => Status::Paused,
            Some(ContainerStateStatusEnum::RESTARTING) => Status::Restarting,
            Some(ContainerStateStatusEnum::REMOVING) => Status::Removing,
            Some(ContainerStateStatusEnum::EXITED) => Status::Exited,
            Some(ContainerStateStatusEnum::DEAD) => Status::Dead,
            _ => Status::Created,
        },
        exit_code: state.exit_code,
        error: state.error.filter(|error| !error.is_empty()),
        restarts: unsigned(container.restart_count),
        health: state.health.and_then(|health| {
            let status = match health.status? {
                HealthStatusEnum::STARTING => "starting",
                HealthStatusEnum::HEALTHY => "healthy",
                HealthStatusEnum::UNHEALTHY => "unhealthy",
                HealthStatusEnum::NONE | HealthStatusEnum::EMPTY => return None,
            };
            let last = health.log.and_then(|looks| looks.into_iter().next_back()?.output);
            Some(Health { status, last })
        }),
        networks: networks
            .map(|(name, member)| {
                let network = member.network_id.unwrap_or_default();
                let member = Member {
                    network,
                    address: member.ip_address.unwrap_or_default(),
                    aliases: member.aliases.unwrap_or_default(),
                };
                (name, member)
            })
            .collect(),
        published: published.collect(),
        whole: whole(config, host),
    }
}

/// Returns what a container was made as, of what it and its image say together.
fn whole(config: ContainerConfig, host: HostConfig) -> Spec {
    let words = |words: Option<Vec<String>>| words.filter(|words| !words.is_empty());
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut publish = BTreeSet::new();
    for (within, bindings) in host.port_bindings.unwrap_or_default() {
        for binding in bindings.unwrap_or_default() {
            let ip = text(binding.host_ip).unwrap_or_else(|| "0.0.0.0".to_owned());
            publish.insert(format!("{ip}:{}:{within}", binding.host_port.unwrap_or_default()));
        }
    }
    let mounts = host.mounts.unwrap_or_default().into_iter().filter_map(|mount| {
        Some(Mount {
            r#type: match mount.typ? {
                EngineMountType::VOLUME => MountType::Volume,
                EngineMountType::BIND => MountType::Bind,
                _ => return None,
            },
            source: text(mount.source),
            target: mount.target?,
            read_only: Some(mount.read_only.unwrap_or_default()),
        })
    });
    // What `docker run -v` was told is kept in a form of its own.
    let binds = host.binds.unwrap_or_default();
    let binds = binds.iter().filter_map(|bind| {
        let mut parts = bind.split(':');
        let (source, target) = (parts.next()?, parts.next()?);
        let is_folder = source.starts_with('/');
        Some(Mount {
            r#type: if is_folder { MountType::Bind } else { MountType::Volume },
            source: Some(source.to_owned()),
            target: target.to_owned(),
            read_only: Some(
                parts
                    .next()
                    .is_some_and(|mode| mode.split(',').any(|word| word == "ro")),
            ),
        })
    });
    let mounts: BTreeSet<Mount> = mounts.chain(binds).collect();
    let set = |items: Option<Vec<String>>| items.filter(|items| !items.is_empty()).map(BTreeSet::from_iter);
    let device = |device: DeviceMapping| {
        let part = Option::unwrap_or_default;
        format!(
            "{}:{}:{}",
            part(device.path_on_host),
            part(device.path_in_container),
            part(device.cgroup_permissions)
        )
    };
    let limit = |limit: ResourcesUlimits| {
        let (soft, hard) = (limit.soft.unwrap_or(0), limit.hard.unwrap_or(0));
        (limit.name.unwrap_or_default(), format!("{soft}:{hard}"))
    };
    let log = host.log_config.and_then(|log| {
        Some(Log {
            driver: log.typ?,
            options: log
                .config
                .filter(|it| !it.is_empty())
                .map(|it| it.into_iter().collect()),
        })
    });
    Spec {
        image: config.image.unwrap_or_default(),
        pull: Some(Pull::Missing),
        entrypoint: words(config.entrypoint),
        command: words(config.cmd),
        env: config.env.map(|env| {
            let pair = |text: String| {
                let (name, value) = text.split_once('=').unwrap_or((&text, ""));
                (name.to_owned(), value.to_owned())
            };
            env.into_iter().map(pair).collect()
        }),
        user: text(config.user),
        working_dir: text(config.working_dir),
        hostname: text(config.hostname),
        publish: (!publish.is_empty()).then_some(publish),
        ports: None,
        aliases: None,
        mounts: (!mounts.is_empty()).then_some(mounts),
        tmpfs: host
            .tmpfs
            .filter(|it| !it.is_empty())
            .map(|it| it.into_iter().collect()),
        labels: config.labels.map(|labels| labels.into_iter().collect()),
        health_check: config.healthcheck.and_then(check),
        stop_signal: text(config.stop_signal),
        stop_grace: config.stop_timeout.map(|seconds| seconds as f64),
        read_only: host.readonly_rootfs,
        cap_add: set(host.cap_add).map(capabilities),
        cap_drop: set(host.cap_drop).map(capabilities),
        devices: host
            .devices
            .filter(|it| !it.is_empty())
            .map(|it| it.into_iter().map(device).collect()),
        ulimits: host
            .ulimits
            .filter(|it| !it.is_empty())
            .map(|it| it.into_iter().map(limit).collect()),
        // The engine's own way of keeping logs is no choice of anybody's.
        log: log.filter(|log| log.driver != "json-file" || log.options.is_some()),
    }
}

/// The docker client writes `CAP_NET_RAW` for what people write as `NET_RAW`.
fn capabilities(names: BTreeSet<String>) -> BTreeSet<String> {
    let short = |name: String| name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name);
    names.into_iter().map(short).collect()
}

fn check(health: HealthConfig) -> Option<HealthCheck> {
    let seconds = |nanoseconds: Option<i64>| nanoseconds.filter(|it| *it > 0).map(|it| it as f64 / NANO);
    let command = match health.test?.split_first() {
        Some((way, command)) if way == "CMD" => command.to_vec(),
        Some((way, [command])) if way == "CMD-SHELL" => ["/bin/sh".into(), "-c".into(), command.clone()].into(),
        _ => return None,
    };
    let retries = health.retries.and_then(|looks| u64::try_from(looks).ok());
    Some(HealthCheck {
        r#type: "command".to_owned(),
        command: Some(command),
        interval: seconds(health.interval).or(Some(INTERVAL)),
        timeout: seconds(health.timeout).or(Some(TIMEOUT)),
        start_period: seconds(health.start_period).or(Some(0.0)),
        healthy_threshold: Some(1),
        unhealthy_threshold: retries.filter(|looks| *looks > 0).or(Some(RETRIES)),
        ..HealthCheck::default()
    })
}
