//! What an engine is told of a container.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    Mount as EngineMount, MountType as EngineMountType, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::NANO;
use crate::container::publish::Published;
use crate::container::wanted::{HealthCheck, Mount, MountType, Resources, Restart, Wanted};

pub(super) fn nano_cpus(resources: &Resources) -> Option<i64> {
    resources.cpu.map(|cpu| (cpu * NANO).round() as i64)
}

pub(super) fn memory(resources: &Resources) -> Option<i64> {
    resources.memory.and_then(|memory| i64::try_from(memory).ok())
}

pub(super) fn policy(restart: Restart) -> RestartPolicy {
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

pub(super) fn endpoint(aliases: &BTreeSet<String>) -> EndpointSettings {
    EndpointSettings {
        aliases: Some(aliases.iter().cloned().collect()),
        ..EndpointSettings::default()
    }
}

/// Returns what the engine is told to make.
pub(super) fn body(wanted: &Wanted, labels: HashMap<String, String>) -> ContainerCreateBody {
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
            endpoints_config: Some(HashMap::from([(network.clone(), endpoint(&wanted.aliases))])),
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
