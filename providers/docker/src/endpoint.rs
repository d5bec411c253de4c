//! Which engine is meant, as the docker client finds it.
//!
//! Without `host` in the settings it is, in this order: `DOCKER_HOST`, the context that `DOCKER_CONTEXT` names, the current
//! context of the client's configuration, and the socket of this machine
//! (<https://docs.docker.com/engine/manage-resources/contexts/>).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use simfleet_provider_api::ssh::Ssh;
use simfleet_provider_api::{Attributes, ProviderError, Value};

/// The socket of an engine on this machine.
const SOCKET: &str = "/var/run/docker.sock";

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Over a socket of this machine.
    Unix(PathBuf),
    /// Through a login on its host.
    Ssh(Ssh),
    /// Over a network.
    Tcp {
        /// `host:port`.
        authority: String,
        /// How it is believed and believes; in the clear without.
        tls: Option<Tls>,
    },
}

/// The files of the certificates of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Who vouches for the engine.
    pub ca: PathBuf,
    /// The certificate of this side.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How a certificate and a key in PEM begin; of a key it can say more before.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const KEY: &str = "PRIVATE KEY-----";

impl Tls {
    /// Whether the files hold what they must; what the library makes of others is no help.
    ///
    /// # Errors
    /// What is wrong, in words for the user.
    pub fn check(&self) -> Result<(), String> {
        for (file, what) in [(&self.ca, CERTIFICATE), (&self.cert, CERTIFICATE), (&self.key, KEY)] {
            let read = std::fs::read_to_string(file);
            let text = read.map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
            if !text.contains(what) {
                let what = what
                    .trim_start_matches("-----BEGIN ")
                    .trim_end_matches("-----")
                    .to_lowercase();
                return Err(format!("`{}` holds no {what} in PEM", file.display()));
            }
        }
        Ok(())
    }

    /// The names that the docker client gives the files.
    fn in_folder(folder: &Path) -> Self {
        Tls {
            ca: folder.join("ca.pem"),
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        }
    }
}

/// What of the surroundings says which engine is meant.
pub struct Surroundings<'a> {
    /// Returns an environment variable that is not empty.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder of the docker client's configuration, `~/.docker` as a rule.
    pub folder: PathBuf,
}

impl Endpoint {
    /// Returns the engine that settings and surroundings lead to.
    ///
    /// # Errors
    /// `Rejected` where what they say cannot be used.
    pub fn of(settings: &Attributes, surroundings: &Surroundings<'_>) -> Result<Self, ProviderError> {
        if let Some(host) = settings.str("host") {
            let tls = settings.get("tls").filter(|tls| !tls.is_null()).map(tls).transpose()?;
            return match Endpoint::parse(host, tls, "`host`")? {
                Endpoint::Ssh(ssh) => Ok(Endpoint::Ssh(ssh.with(settings))),
                endpoint => Ok(endpoint),
            };
        }
        if let Some(host) = (surroundings.variable)("DOCKER_HOST") {
            let verified = (surroundings.variable)("DOCKER_TLS_VERIFY").is_some();
            let folder = (surroundings.variable)("DOCKER_CERT_PATH").map_or(surroundings.folder.clone(), PathBuf::from);
            return Endpoint::parse(&host, verified.then(|| Tls::in_folder(&folder)), "`DOCKER_HOST`");
        }
        match (surroundings.variable)("DOCKER_CONTEXT")
            .map_or_else(|| current_context(&surroundings.folder), |it| Ok(Some(it)))?
        {
            Some(name) if name != "default" => Endpoint::of_context(&name, &surroundings.folder),
            _ => Ok(Endpoint::Unix(SOCKET.into())),
        }
    }

    fn parse(host: &str, tls: Option<Tls>, said_by: &str) -> Result<Self, ProviderError> {
        match host.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Endpoint::Unix(path.into())),
            Some(("ssh", login)) => {
                let wrong = || {
                    rejected(format!(
                        "{said_by} is {host:?}, which is no ssh://user@host or ssh://user@host:port"
                    ))
                };
                Ssh::parse(login).map(Endpoint::Ssh).ok_or_else(wrong)
            }
            Some(("tcp" | "http" | "https", authority)) if !authority.trim_end_matches('/').is_empty() => {
                Ok(Endpoint::Tcp {
                    authority: with_port(authority.trim_end_matches('/'), tls.is_some()),
                    tls,
                })
            }
            _ => Err(rejected(format!(
                "{said_by} is {host:?}, which is no engine: it must be unix:///path, tcp://host:port or ssh://user@host"
            ))),
        }
    }

    fn of_context(name: &str, folder: &Path) -> Result<Self, ProviderError> {
        let id = Sha256::digest(name);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = folder.join("contexts/meta").join(&id).join("meta.json");
        let unknown =
            |error: &dyn std::fmt::Display| rejected(format!("the Docker context {name:?} cannot be read: {error}"));
        let text = std::fs::read(&file).map_err(|error| unknown(&error))?;
        let context: ContextFile = serde_json::from_slice(&text).map_err(|error| unknown(&error))?;
        let host = &context.endpoints.docker.host;
        let certificates = Tls::in_folder(&folder.join("contexts/tls").join(&id).join("docker"));
        let tls = certificates.ca.exists().then_some(certificates);
        Endpoint::parse(host, tls, &format!("the host of the Docker context {name:?}"))
    }

    /// The address at which what the engine publishes is reached.
    pub fn address(&self) -> &str {
        match self {
            Endpoint::Unix(_) => "127.0.0.1",
            Endpoint::Ssh(ssh) => ssh.host(),
            Endpoint::Tcp { authority, .. } => authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Ssh(Ssh {
                destination,
                port: Some(port),
                ..
            }) => write!(f, "ssh://{destination}:{port}"),
            Endpoint::Ssh(Ssh { destination, .. }) => write!(f, "ssh://{destination}"),
            Endpoint::Tcp { authority, .. } => write!(f, "tcp://{authority}"),
        }
    }
}

/// The ports that the docker client takes where none is given.
fn with_port(authority: &str, is_tls: bool) -> String {
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, is_tls) {
        (true, _) => authority.to_owned(),
        (false, true) => format!("{authority}:2376"),
        (false, false) => format!("{authority}:2375"),
    }
}

fn tls(value: &Value) -> Result<Tls, ProviderError> {
    let file = |name: &str| match value.get(name).and_then(Value::as_str) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(rejected(format!(
            "`tls` lacks `{name}`: it needs the files `ca`, `cert` and `key`"
        ))),
    };
    Ok(Tls {
        ca: file("ca")?,
        cert: file("cert")?,
        key: file("key")?,
    })
}

fn rejected(message: String) -> ProviderError {
    ProviderError::Rejected {
        message,
        attribute: None,
    }
}

#[derive(Deserialize)]
struct ClientFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Endpoints")]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextEndpoint,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: String,
}

fn current_context(folder: &Path) -> Result<Option<String>, ProviderError> {
    let file = folder.join("config.json");
    match std::fs::read(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(rejected(format!("`{}` cannot be read: {error}", file.display()))),
        Ok(text) => match serde_json::from_slice::<ClientFile>(&text) {
            Ok(client) => Ok(client.current_context.filter(|name| !name.is_empty())),
            Err(error) => Err(rejected(format!("`{}` cannot be read: {error}", file.display()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(settings: Attributes, variables: &[(&str, &str)], folder: &Path) -> Result<String, String> {
        let surroundings = Surroundings {
            variable: &|name| {
                variables
                    .iter()
                    .find(|(it, _)| *it == name)
                    .map(|(_, value)| (*value).to_owned())
            },
            folder: folder.into(),
        };
        let endpoint = Endpoint::of(&settings, &surroundings).map_err(|error| error.to_string())?;
        let tls = match &endpoint {
            Endpoint::Tcp { tls: Some(tls), .. } => format!(" by {}", tls.ca.display()),
            _ => String::new(),
        };
        Ok(format!("{endpoint}{tls} at {}", endpoint.address()))
    }

    #[test]
    fn the_engine_is_the_one_that_the_docker_client_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let context = |name: &str, host: &str| {
            let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            let meta = folder.path().join("contexts/meta").join(id);
            std::fs::create_dir_all(&meta).expect("a folder");
            let text = serde_json::json!({ "Name": name, "Endpoints": { "docker": { "Host": host } } });
            std::fs::write(meta.join("meta.json"), text.to_string()).expect("a file");
        };
        let host = |host: &str| Attributes::from_iter([("host", host)]);
        let found = |settings, variables: &[(&str, &str)]| found(settings, variables, folder.path());
        let none = Attributes::new;
        assert_eq!(
            found(none(), &[]).as_deref(),
            Ok("unix:///var/run/docker.sock at 127.0.0.1")
        );
        context("lab", "tcp://10.0.0.1:2375");
        std::fs::write(
            folder.path().join("config.json"),
            r#"{ "currentContext": "lab", "auths": {} }"#,
        )
        .expect("a file");
        assert_eq!(found(none(), &[]).as_deref(), Ok("tcp://10.0.0.1:2375 at 10.0.0.1"));
        context("rack", "unix:///rack.sock");
        let rack = [("DOCKER_CONTEXT", "rack")];
        assert_eq!(found(none(), &rack).as_deref(), Ok("unix:///rack.sock at 127.0.0.1"));
        let both = [
            ("DOCKER_CONTEXT", "rack"),
            ("DOCKER_HOST", "tcp://far"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/certs"),
        ];
        assert_eq!(
            found(none(), &both).as_deref(),
            Ok("tcp://far:2376 by /certs/ca.pem at far")
        );
        assert_eq!(
            found(host("unix:///own.sock"), &both).as_deref(),
            Ok("unix:///own.sock at 127.0.0.1")
        );
        assert_eq!(
            found(host("ssh://me@rack:2222"), &[]).as_deref(),
            Ok("ssh://me@rack:2222 at rack")
        );
        assert_eq!(found(host("ssh://rack/"), &[]).as_deref(), Ok("ssh://rack at rack"));
        let unknown = found(none(), &[("DOCKER_CONTEXT", "none")]).expect_err("there is none");
        assert!(
            unknown.contains("the Docker context \"none\" cannot be read"),
            "{unknown}"
        );
        let wrong = found(host("here"), &[]).expect_err("it is none");
        assert_eq!(
            wrong,
            "`host` is \"here\", which is no engine: it must be unix:///path, tcp://host:port or ssh://user@host"
        );
    }
}
