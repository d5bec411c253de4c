//! Hosts that are reached by the `ssh` of this machine, with its configuration, its agent and its known hosts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::attributes::Attributes;
use crate::{Presence, Type, Value};

/// What `ssh` says where it did not get as far as to run anything over there.
const NEVER_THERE: [&str; 8] = [
    "Permission denied",
    "Host key verification failed",
    "Could not resolve",
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Identity file",
    // A server that has many logins at once hangs up on some (MaxStartups of sshd_config(5)).
    "kex_exchange_identification",
];

/// A login on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// `user@host`, or what the configuration of `ssh` has for it.
    pub destination: String,
    /// The port, where it is not that of the configuration.
    pub port: Option<u16>,
    /// The file of the key, where it is not one of the agent or the configuration.
    pub key: Option<PathBuf>,
    /// The file of the hosts that are known, where it is not the user's.
    pub known_hosts: Option<PathBuf>,
    /// What the key of the host is known by, where that is not its address: of a host that was just made nobody knows a key
    /// yet, so the first one is believed, and no other after it.
    pub host_key_alias: Option<String>,
}

impl Ssh {
    /// What `ssh` ends with where it is not what ran over there that ended.
    pub const FAILED: i32 = 255;

    /// Reads `user@host:port`, what stands after the scheme of a URL; `None` where it is no login.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let (destination, port) = match text.rsplit_once(':') {
            Some((destination, port)) => (destination, Some(port.parse().ok()?)),
            None => (text, None),
        };
        // It would be an option of `ssh`.
        let is_login = !destination.is_empty() && !destination.starts_with('-');
        is_login.then(|| Ssh {
            destination: destination.to_owned(),
            port,
            key: None,
            known_hosts: None,
            host_key_alias: None,
        })
    }

    /// Returns the type of the setting `ssh` that [`Ssh::with`] reads.
    #[must_use]
    pub fn setting() -> Type {
        let text = |name| (name, Type::String, Presence::Optional);
        Type::object([text("key"), text("known_hosts"), text("host_key_alias")])
    }

    /// Returns what [`Ssh::with`] reads.
    #[must_use]
    pub fn settings(&self) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::NULL, Value::from);
        let file = |path: &Option<PathBuf>| text(path.as_deref().and_then(Path::to_str));
        Value::object([
            ("key", file(&self.key)),
            ("known_hosts", file(&self.known_hosts)),
            ("host_key_alias", text(self.host_key_alias.as_deref())),
        ])
    }

    /// Takes what `ssh = { key, known_hosts, host_key_alias }` of some settings says.
    #[must_use]
    pub fn with(self, settings: &Attributes) -> Self {
        let text = |name| Some(settings.get("ssh")?.get(name)?.as_str()?.to_owned());
        Ssh {
            key: text("key").map(PathBuf::from),
            known_hosts: text("known_hosts").map(PathBuf::from),
            host_key_alias: text("host_key_alias"),
            ..self
        }
    }

    /// Returns the host, without the user.
    #[must_use]
    pub fn host(&self) -> &str {
        self.destination
            .rsplit_once('@')
            .map_or(&self.destination, |(_, host)| host)
    }

    /// Returns what runs a command over there, given as words that its shell reads. It ends with the value that is returned.
    #[must_use]
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("ssh");
        // Nobody is asked for a password in the middle of an apply.
        command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]);
        // Nor does who follows something on a machine that is switched off wait for ever.
        command.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]);
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(key) = &self.key {
            command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        if let Some(hosts) = &self.known_hosts {
            let hosts = format!("UserKnownHostsFile=\"{}\"", hosts.display());
            command.args(["-o", &hosts, "-o", "StrictHostKeyChecking=yes"]);
        }
        if let Some(alias) = &self.host_key_alias {
            command.args(["-o", &format!("HostKeyAlias=\"{alias}\"")]);
            if self.known_hosts.is_none() {
                command.args(["-o", "StrictHostKeyChecking=accept-new"]);
            }
        }
        command.arg("--").arg(&self.destination).args(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Who stops a run at a terminal stops its whole process group; what has been begun over there goes on to its end.
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Whether `ssh` did not get as far as to run anything over there, by what it said.
    #[must_use]
    pub fn was_never_there(said: &str) -> bool {
        NEVER_THERE.iter().any(|words| said.contains(words))
    }
}

/// What [`Ssh::parse`] reads.
impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.destination)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_a_host_and_may_have_a_port() {
        let ssh = Ssh::parse("lab@bench-3:2222/").expect("a login");
        assert_eq!(
            (&*ssh.destination, ssh.port, ssh.host()),
            ("lab@bench-3", Some(2222), "bench-3")
        );
        assert_eq!(ssh.to_string(), "lab@bench-3:2222");
        assert_eq!(
            Ssh::parse("bench").map(|ssh| (ssh.destination, ssh.port)),
            Some(("bench".to_owned(), None))
        );
        for wrong in ["", "/", "-oProxyCommand=x", ":22", "host:port", "host:70000"] {
            assert_eq!(Ssh::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_of_it_can_be_an_option_of_ssh() {
        let ssh = Ssh {
            key: Some("/keys/lab".into()),
            known_hosts: Some("/a b".into()),
            ..Ssh::parse("lab@bench:2222").expect("a login")
        };
        let command = ssh.command(["exec", "true"]);
        let words: Vec<_> = command.as_std().get_args().map(|word| word.to_string_lossy()).collect();
        let expected = "-T -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -p 2222 \
                        -i /keys/lab -o IdentitiesOnly=yes -o UserKnownHostsFile=\"/a b\" -o StrictHostKeyChecking=yes -- lab@bench exec true";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn who_was_not_let_in_has_run_nothing() {
        for said in [
            "ann@lab: Permission denied (publickey).",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.7 port 22",
            "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.0.2.7 port 22",
        ] {
            assert!(Ssh::was_never_there(said), "{said}");
        }
        for said in [
            "",
            "Connection to 192.0.2.7 closed by remote host.",
            "client_loop: send disconnect: Broken pipe",
        ] {
            assert!(!Ssh::was_never_there(said), "{said}");
        }
    }

    #[test]
    fn the_first_key_of_a_host_that_was_made_is_believed() {
        let ssh = Ssh {
            host_key_alias: Some("agents-m1-0123456789ab".to_owned()),
            ..Ssh::parse("ann@192.0.2.7").expect("a login")
        };
        let command = ssh.command(["true"]);
        let words: Vec<_> = command.as_std().get_args().map(|word| word.to_string_lossy()).collect();
        let expected = "-T -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -o \
                        HostKeyAlias=\"agents-m1-0123456789ab\" -o StrictHostKeyChecking=accept-new -- ann@192.0.2.7 true";
        assert_eq!(words.join(" "), expected);
    }
}
