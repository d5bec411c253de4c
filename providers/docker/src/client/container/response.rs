//! What an engine tells of a container.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerStateStatusEnum, DeviceMapping, HealthConfig, HealthStatusEnum,
    HostConfig, MountPoint, MountType as EngineMountType, ResourcesUlimits, RestartPolicyNameEnum,
};

use super::NANO;
use crate::container::wanted::{HealthCheck, Log, Mount, MountType, Pull, Restart, Spec};

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
    /// When it was last started; an engine has a year long ago for one that never was.
    pub(crate) started_at: Option<String>,
    pub(crate) exit_code: Option<i64>,
    /// Whether the kernel ended it, as it wanted more memory than it may have.
    pub(crate) is_out_of_memory: bool,
    /// Why it did not start, in the words of the engine.
    pub(crate) error: Option<String>,
    pub(crate) restarts: u64,
    pub(crate) health: Option<Health>,
    /// The networks that it is in: name and id.
    pub(crate) networks: BTreeMap<String, Member>,
    /// Where its published ports are: `80/tcp` to `0.0.0.0:8080`.
    pub(crate) published: BTreeMap<String, String>,
    /// The volumes in it by place, those without a name of their own too.
    pub(crate) volumes: BTreeMap<String, String>,
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

pub(super) fn seen(container: ContainerInspectResponse) -> SeenContainer {
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
        started_at: state.started_at.filter(|at| !at.starts_with("0001-")),
        exit_code: state.exit_code,
        is_out_of_memory: state.oom_killed.unwrap_or_default(),
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
        volumes: container
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(volume)
            .collect(),
        whole: whole(config, host),
    }
}

/// Returns where a volume is in a container, and its name.
fn volume(mount: MountPoint) -> Option<(String, String)> {
    let place = mount.destination.filter(|_| mount.typ.as_deref() == Some("volume"))?;
    Some((place.trim_end_matches('/').to_owned(), mount.name?))
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
