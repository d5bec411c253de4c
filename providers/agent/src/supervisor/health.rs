//! Whether a process is healthy: what is tried, and what its results add up to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::record::{Record, seconds};
use super::run;
use crate::check::resolve;
use crate::layout::SimulatorFolder;
use crate::probe::Probe;
use crate::protocol::{HealthCheck, HealthCheckType, ProcessSpec, Ready};

/// What the results of a health check add up to. Pure: the time is given.
#[derive(Debug, Clone)]
pub(super) struct Health {
    rules: Option<Rules>,
    started: Option<Instant>,
    next: Option<Instant>,
    successes: u64,
    failures: u64,
    unhealthy: bool,
    /// What it found last.
    problem: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    healthy_after: u64,
    unhealthy_after: u64,
}

impl Health {
    pub fn new(check: Option<&HealthCheck>) -> Self {
        let rules = check.map(|check| {
            let interval = seconds(check.interval.unwrap_or(10.0));
            Rules {
                interval,
                timeout: check.timeout.map_or(interval.min(Duration::from_secs(5)), seconds),
                start_period: seconds(check.start_period.unwrap_or(0.0)),
                healthy_after: check.healthy_threshold.unwrap_or(1),
                unhealthy_after: check.unhealthy_threshold.unwrap_or(3),
            }
        });
        Health {
            rules,
            started: None,
            next: None,
            successes: 0,
            failures: 0,
            unhealthy: false,
            problem: None,
        }
    }

    /// The process is ready: its start period begins, and it is checked at once.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
        self.next = Some(now);
    }

    /// When it is checked next; `None` where there is no check.
    pub fn next_check(&self) -> Option<Instant> {
        self.rules.and(self.next)
    }

    pub fn timeout(&self) -> Duration {
        self.rules.map_or(Duration::ZERO, |rules| rules.timeout)
    }

    pub fn checked(&mut self, result: &Result<(), String>, now: Instant) {
        let Some(rules) = self.rules else {
            return;
        };
        self.next = Some(now + rules.interval);
        self.problem = result.as_ref().err().cloned().or(self.problem.take());
        if result.is_ok() {
            self.failures = 0;
            self.successes += 1;
            if self.successes >= rules.healthy_after {
                self.unhealthy = false;
            }
        } else {
            self.successes = 0;
            let starting = self.started.is_some_and(|started| now < started + rules.start_period);
            if starting {
                return;
            }
            self.failures += 1;
            if self.failures >= rules.unhealthy_after {
                self.unhealthy = true;
            }
        }
    }

    pub fn is_unhealthy(&self) -> bool {
        self.unhealthy
    }

    /// Why it is unhealthy: what the last check found that failed.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref().filter(|_| self.unhealthy)
    }
}

/// Returns what is tried to see whether a process is ready, besides its output.
pub(super) fn ready_probes(spec: &ProcessSpec, ready: &Ready, node: SocketAddr) -> Vec<Probe> {
    let tcp = ready.tcp.as_ref().and_then(|target| resolve(spec, target, node));
    let mavlink = ready.mavlink.as_ref().and_then(|target| resolve(spec, target, node));
    let http = ready.http.as_ref().and_then(|url| url.parse().ok());
    [tcp.map(Probe::Tcp), mavlink.map(Probe::Mavlink), http.map(Probe::Http)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns what is tried to see whether a process is healthy; `None` for a check that says nothing that can be tried.
pub(super) fn health_probe(
    record: &Record,
    check: &HealthCheck,
    shared: &Shared,
    folder: &SimulatorFolder,
) -> Option<Probe> {
    let spec = &record.spec;
    let port = || match &check.port {
        Some(port) => resolve(spec, port, shared.listen),
        None => {
            let port = spec.ports.as_ref()?.values().next()?;
            Some(SocketAddr::new(shared.listen.ip(), *port))
        }
    };
    match check.kind {
        HealthCheckType::Tcp => port().map(Probe::Tcp),
        HealthCheckType::MavlinkHeartbeat => port().map(|vehicle| match check.real_time_factor_min {
            Some(least) => Probe::Pace { vehicle, least },
            None => Probe::Mavlink(vehicle),
        }),
        HealthCheckType::Http => check.url.as_ref()?.parse().ok().map(Probe::Http),
        HealthCheckType::Command => {
            let (program, arguments) = check.command.as_ref()?.split_first()?;
            // Without its cookie: what a check leaves behind is not the simulator's.
            let env: BTreeMap<_, _> = run::environment(shared, record)
                .into_iter()
                .filter(|(name, _)| name != crate::shim::COOKIE)
                .collect();
            Some(Probe::Command {
                program: PathBuf::from(run::program(shared, program)),
                arguments: arguments.to_vec(),
                env,
                folder: run::working_folder(folder, spec),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> HealthCheck {
        HealthCheck {
            kind: HealthCheckType::Tcp,
            port: None,
            url: None,
            command: None,
            interval: Some(2.0),
            timeout: None,
            start_period: Some(5.0),
            healthy_threshold: Some(2),
            unhealthy_threshold: Some(2),
            real_time_factor_min: None,
        }
    }

    #[test]
    fn results_add_up_after_the_start_period() {
        let start = Instant::now();
        let mut health = Health::new(Some(&check()));
        assert_eq!(health.next_check(), None);
        health.started(start);
        assert_eq!(health.next_check(), Some(start));
        let failed = Err("no".to_owned());
        for (second, result, unhealthy) in [
            (1, &failed, false),
            (3, &failed, false),
            (5, &failed, false), // The first that counts.
            (7, &failed, true),
            (9, &Ok(()), true),
            (11, &failed, true),
            (13, &Ok(()), true),
            (15, &Ok(()), false),
            (17, &failed, false),
        ] {
            let now = start + Duration::from_secs(second);
            health.checked(result, now);
            assert_eq!(health.is_unhealthy(), unhealthy, "after {second} s");
            assert_eq!(health.problem(), unhealthy.then_some("no"), "after {second} s");
            assert_eq!(health.next_check(), Some(now + Duration::from_secs(2)));
        }
    }

    #[test]
    fn the_timeout_is_at_most_the_interval() {
        assert_eq!(Health::new(Some(&check())).timeout(), Duration::from_secs(2));
        let check = HealthCheck {
            interval: None,
            ..check()
        };
        assert_eq!(Health::new(Some(&check)).timeout(), Duration::from_secs(5));
    }
}
