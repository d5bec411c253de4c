//! Whether a node does what it is there for, as its `health_check` says: looked at from here, over the network.
//!
//! A look needs nothing but the check and what is recorded of the node, so whoever wants to know can look at any time, at each
//! member of a pool by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use simfleet_provider_agent::{AgentClient, Probe};
use simfleet_provider_api::{Address, Attributes, Observed};
use simfleet_state::{HealthCheck, Login, Look, State};
use tokio::time::Instant;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower;
use crate::placeholder::{self, filled, in_url, private_ip};
use crate::refresh::Observations;

/// How often a node is looked at whose health is waited for, where its check does not look more often.
const PACE: Duration = Duration::from_secs(1);

/// How many nodes are looked at at once.
const AT_ONCE: usize = 64;

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does what it is there for.
    Healthy,
    /// It does not, and why: `http://10.0.0.7/health answers 503 Service Unavailable`.
    Unhealthy(String),
}

/// Looks once. `node` is its address, `attributes` are what is recorded or seen of it. Takes no longer than the time-out of
/// the check, and leaves nothing behind when dropped.
pub async fn look(check: &HealthCheck, node: &Address, attributes: &Attributes) -> Verdict {
    let looked = match &check.look {
        Look::Agent => agent(check, attributes).await,
        Look::Ssh { login } => logged_in(check, login, &["true"], node, attributes).await.map(drop),
        Look::Docker { login } => docker(check, login, node, attributes).await,
        Look::Cloud => cloud(attributes),
        look => match probe(look, node, attributes).await {
            Ok(probe) => probe.run(check.timeout).await,
            Err(problem) => Err(problem),
        },
    };
    match looked {
        Ok(()) => Verdict::Healthy,
        Err(problem) => Verdict::Unhealthy(problem),
    }
}

/// Waits until a node is healthy: so many good looks in a row as its check wants.
///
/// # Errors
/// What the last look found, where it is not healthy when the start period is over, and the time after it in which as many
/// looks as its check bears would have failed.
pub async fn wait(check: &HealthCheck, node: &Address, attributes: &Attributes) -> Result<(), String> {
    let patience = check
        .interval
        .saturating_mul(u32::try_from(check.unhealthy_threshold).unwrap_or(u32::MAX));
    let patience = check.start_period.saturating_add(patience);
    let began = Instant::now();
    let mut good = 0;
    loop {
        match look(check, node, attributes).await {
            Verdict::Healthy => good += 1,
            Verdict::Unhealthy(problem) if began.elapsed() >= patience => {
                let seconds = patience.as_secs_f64();
                return Err(format!("it is not healthy after {seconds} s: {problem}"));
            }
            Verdict::Unhealthy(_) => good = 0,
        }
        if good >= check.healthy_threshold {
            return Ok(());
        }
        tokio::time::sleep(check.interval.min(PACE)).await;
    }
}

/// Looks at every recorded node that was seen and has a check.
pub async fn of_all(state: &State, seen: &Observations) -> BTreeMap<Address, Verdict> {
    let checked = state.resources.iter().filter_map(|(address, resource)| {
        let check = resource.declared.health_check.as_ref()?;
        match seen.get(address)? {
            Observed::Present(object) => Some((address, check, lower::with_parts(address, &object.attributes, state))),
            Observed::Absent | Observed::Unreachable { .. } => None,
        }
    });
    stream::iter(checked)
        .map(|(address, check, attributes)| async move { (address.clone(), look(check, address, &attributes).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Returns a warning for each node that is not healthy. That is no change of a plan: no call to its provider would mend it.
pub fn warnings(verdicts: BTreeMap<Address, Verdict>) -> Diagnostics {
    let mut warnings = Diagnostics::new();
    for (address, verdict) in verdicts {
        if let Verdict::Unhealthy(problem) = verdict {
            let warning = Diagnostic::warning("Not healthy", format!("its check says: {problem}"));
            let hint = format!("`simfleet apply --replace {address}` makes it anew");
            warnings.push(warning.on(address).hint(hint));
        }
    }
    warnings
}

async fn probe(look: &Look, node: &Address, attributes: &Attributes) -> Result<Probe, String> {
    match look {
        Look::Http { url } => Probe::http(&filled(url, node, attributes)?),
        Look::Tcp { port } => {
            // A machine in a cloud is not reached from here at the address that it has there.
            let at = match attributes.str("public_ip") {
                Some(address) => format!("{}:{port}", in_url(address)),
                None => format!("{}:{port}", private_ip(attributes)?),
            };
            let mut found = tokio::net::lookup_host(&at)
                .await
                .map_err(|error| format!("{at}: {error}"))?;
            found
                .next()
                .map(Probe::Tcp)
                .ok_or_else(|| format!("{at} has no address"))
        }
        Look::Command { command } => {
            let words = command.iter().map(|word| filled(word, node, attributes));
            let mut words: Vec<String> = words.collect::<Result<_, _>>()?;
            if words.is_empty() {
                return Err("its command is empty".to_owned());
            }
            Ok(Probe::Command {
                program: PathBuf::from(words.remove(0)),
                arguments: words,
                env: BTreeMap::new(),
                folder: PathBuf::from("."),
            })
        }
        Look::Agent | Look::Ssh { .. } | Look::Docker { .. } | Look::Cloud => Err("it is no probe".to_owned()),
    }
}

/// What a machine says of itself that does what it is there for. Some clouds tell it with a look at one only.
fn cloud(attributes: &Attributes) -> Result<(), String> {
    match attributes.str("status") {
        None | Some("running") => Ok(()),
        Some(status) => Err(format!("its provider says {status:?}")),
    }
}

/// Asks the engine of a node for its version, as somebody who is logged in there.
async fn docker(check: &HealthCheck, login: &Login, node: &Address, attributes: &Attributes) -> Result<(), String> {
    let version = ["docker", "version", "--format", "'{{.Server.Version}}'"];
    match logged_in(check, login, &version, node, attributes).await {
        Ok(version) if !version.trim().is_empty() => Ok(()),
        Ok(_) => Err("its Docker engine says nothing".to_owned()),
        Err(problem) => Err(format!("its Docker engine does not answer: {problem}")),
    }
}

/// Runs a command on a node, and returns what it prints.
async fn logged_in(
    check: &HealthCheck,
    login: &Login,
    words: &[&str],
    node: &Address,
    attributes: &Attributes,
) -> Result<String, String> {
    let ssh = placeholder::login(login, node, attributes)?;
    let host = ssh.host();
    let mut command = ssh.command(words.iter().copied());
    command.stdin(Stdio::null());
    let output = match tokio::time::timeout(check.timeout, command.output()).await {
        Ok(output) => output.map_err(|error| format!("`ssh` cannot be run: {error}"))?,
        Err(_) => return Err(format!("{host} says nothing for {} s", check.timeout.as_secs_f64())),
    };
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().lines().next_back().unwrap_or_default();
            match said {
                "" => Err(format!("{host}: {}", output.status)),
                said => Err(format!("{host}: {said}")),
            }
        }
    }
}

async fn agent(check: &HealthCheck, attributes: &Attributes) -> Result<(), String> {
    if attributes.str("runtime").is_none() {
        return Err("it has no `runtime`".to_owned());
    }
    let client = AgentClient::of_settings(attributes).map_err(|error| error.to_string())?;
    let health = client.with_timeout(check.timeout).health().await;
    match health.map_err(|error| error.to_string())?.status.as_str() {
        "ok" => Ok(()),
        status => Err(format!("its agent says {status:?}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn check(look: Look) -> HealthCheck {
        HealthCheck {
            look,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            start_period: Duration::ZERO,
            healthy_threshold: 1,
            unhealthy_threshold: 3,
        }
    }

    fn member() -> (Address, Attributes) {
        let attributes = Attributes::from_iter([("address", "127.0.0.1")]);
        ("pool.web/m3".parse().expect("an address"), attributes)
    }

    async fn of(look: Look) -> Verdict {
        let (address, attributes) = member();
        super::look(&check(look), &address, &attributes).await
    }

    /// Answers each request with its path, which is the status.
    async fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]);
                let status = request.split(['/', ' ']).nth(2).unwrap_or("400");
                let answer = format!("HTTP/1.1 {status} It\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn what_is_looked_at() {
        let port = server().await;
        let http = |status: u16| Look::Http {
            url: format!("http://{{private_ip}}:{port}/{status}"),
        };
        let command = |script: &str| Look::Command {
            command: ["sh", "-c", script].map(str::to_owned).into(),
        };
        for look in [
            http(204),
            Look::Tcp { port },
            command("test {member} = web-m3"),
            command("test {pool} = web"),
        ] {
            assert_eq!(of(look.clone()).await, Verdict::Healthy, "{look:?}");
        }
        let https = Look::Http {
            url: "https://{private_ip}/".to_owned(),
        };
        for (look, problem) in [
            (http(503), "/503 answers 503"),
            (https, "is no URL of the form"),
            (command("exit 3"), "exit status: 3"),
            (Look::Agent, "it has no `runtime`"),
        ] {
            match of(look.clone()).await {
                Verdict::Unhealthy(found) => assert!(found.contains(problem), "{look:?}: {found}"),
                Verdict::Healthy => panic!("{look:?} is healthy"),
            }
        }
    }

    /// A start period is waited for as well, and the error has the last look.
    #[tokio::test(start_paused = true)]
    async fn health_is_waited_for_as_long_as_the_check_bears() {
        let (address, _) = member();
        let check = HealthCheck {
            start_period: Duration::from_secs(60),
            ..check(Look::Tcp { port: 1 })
        };
        let began = Instant::now();
        let problem = wait(&check, &address, &Attributes::new())
            .await
            .expect_err("it has no address");
        assert_eq!(problem, "it is not healthy after 90 s: it has no address");
        assert_eq!(began.elapsed(), Duration::from_secs(90));
    }
}
