//! What a machine does when it first boots: cloud-init.

use simfleet_provider_agent::layout::{DATA, HOME};
use simfleet_provider_api::Value;

use super::super::Lowering;
use crate::config::Record;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Where the program of the agent is put, and what it is called as a service.
const PROGRAM: &str = "/usr/local/bin/simfleet";
const UNIT: &str = "simfleet-agent.service";

/// What is installed.
#[derive(Debug, PartialEq, Eq)]
struct Boot<'a> {
    /// Who logs in.
    user: &'a str,
    docker: bool,
    /// The packages that are installed, besides what is needed anyway.
    packages: Vec<&'a str>,
    /// The images that are pulled.
    images: Vec<&'a str>,
    agent: Option<Program<'a>>,
}

/// Where the program of the agent is found.
#[derive(Debug, PartialEq, Eq)]
struct Program<'a> {
    url: &'a str,
    sha256: &'a str,
}

/// Whether a machine has an agent.
pub(in crate::lower) fn has_agent(record: &Record) -> bool {
    let bootstrap = record.blocks("bootstrap").next();
    bootstrap.is_some_and(|bootstrap| {
        let is_wanted = bootstrap.get("agent").and_then(Value::as_bool);
        is_wanted != Some(false) && bootstrap.get("agent_url").is_some_and(|url| !url.is_null())
    })
}

/// Returns what cloud-init is told; `null` where a node has no `bootstrap`.
pub(super) fn user_data(lowering: &Lowering<'_>, record: &Record, user: &Value) -> Result<Value, Diagnostics> {
    let Some(bootstrap) = record.blocks("bootstrap").next() else {
        return Ok(Value::NULL);
    };
    let span = |name: &str| bootstrap.attribute_span(name).unwrap_or(bootstrap.span()).clone();
    let given = |name: &str| bootstrap.get(name).filter(|value| !value.is_null());
    let is = |name: &str| given(name).and_then(Value::as_bool).unwrap_or_default();
    let has_agent = has_agent(record);
    if !has_agent && is("agent") && bootstrap.attribute_span("agent").is_some() {
        let detail = "Where a machine finds the program of the agent is not said.".to_owned();
        let hint = "agent_url = \"https://…/simfleet\" and agent_sha256 = \"…\" lead to the program of simfleet for that machine";
        return Err(wrong(lowering, "Missing attribute", detail, span("agent"))
            .hint(hint)
            .into());
    }
    let (url, sha256) = (given("agent_url"), given("agent_sha256"));
    if has_agent && sha256.is_none() {
        let detail = "`agent_url` needs `agent_sha256`: a machine runs nothing that it cannot tell from anything else.";
        let diagnostic = wrong(lowering, "Missing attribute", detail.to_owned(), span("agent_url"));
        return Err(diagnostic.hint("sha256sum of the program prints it").into());
    }
    let own = given("user_data");
    let list = |name: &str| given(name).and_then(Value::as_slice).unwrap_or_default();
    let (images, packages) = (list("prepull"), list("packages"));
    let docker = is("docker") || !images.is_empty();
    let is_ours = docker || has_agent || !packages.is_empty();
    match own {
        Some(own) if !is_ours => return Ok(own.clone()),
        None if !is_ours => return Ok(Value::NULL),
        Some(_) => {
            let detail = "A machine is told either `user_data` or what `docker`, `prepull`, `packages` and the agent make of it."
                .to_owned();
            return Err(wrong(lowering, "Conflicting attributes", detail, span("user_data")).into());
        }
        None => {}
    }
    let lists = [given("prepull"), given("packages")];
    let parts = || {
        let items = images.iter().chain(packages).chain([user]);
        items.chain(lists.into_iter().flatten()).chain(url).chain(sha256)
    };
    if let Some(unknown) = parts().find_map(Value::unknown_origin) {
        return Ok(Value::unknown(unknown));
    }
    let is_secret = parts().any(Value::has_sensitive);
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let (user, url, sha256) = (text(user), url.map(text), sha256.map(text));
    let boot = Boot {
        user: &user,
        docker,
        packages: packages.iter().filter_map(Value::as_str).collect(),
        images: images.iter().filter_map(Value::as_str).collect(),
        agent: match (&url, &sha256) {
            (Some(url), Some(sha256)) if has_agent => Some(Program { url, sha256 }),
            _ => None,
        },
    };
    Ok(Value::from(boot.cloud_config()).mark(is_secret))
}

impl Boot<'_> {
    /// Returns the cloud-init of it. JSON is YAML: nothing in it has to be quoted otherwise.
    fn cloud_config(&self) -> String {
        let mut config = "#cloud-config\n".to_owned();
        let mut commands = Vec::new();
        let needed = [(self.docker, "docker.io"), (self.agent.is_some(), "curl")];
        let needed = needed
            .into_iter()
            .filter_map(|(is_needed, name)| is_needed.then_some(name));
        let packages: Vec<&str> = needed.chain(self.packages.iter().copied()).collect();
        if !packages.is_empty() {
            let packages = serde_json::json!(packages);
            config.push_str(&format!("package_update: true\npackages: {packages}\n"));
        }
        if self.docker {
            commands.push(serde_json::json!(["systemctl", "enable", "--now", "docker"]));
            commands.push(serde_json::json!(["usermod", "-aG", "docker", self.user]));
        }
        if let Some(Program { url, sha256 }) = &self.agent {
            let unit = serde_json::json!({
                "path": format!("/etc/systemd/system/{UNIT}"),
                "content": self.unit(),
            });
            config.push_str(&format!("write_files:\n  - {unit}\n"));
            // What the machine is told comes as arguments, so that nothing of it is read by the shell. Its network can come
            // up later than this is run.
            let fetch = format!(
                "set -e; n=0; until curl -gfsSL -o {PROGRAM}.new --url \"$1\"; do n=$((n+1)); test $n -lt 60; sleep 5; done; \
                 echo \"$2  {PROGRAM}.new\" | sha256sum -c -; chmod 755 {PROGRAM}.new; mv {PROGRAM}.new {PROGRAM}; \
                 systemctl daemon-reload; systemctl enable --now {UNIT}"
            );
            commands.push(serde_json::json!([
                "sh",
                "-c",
                fetch,
                "sh",
                url,
                sha256.to_ascii_lowercase()
            ]));
        }
        // They come last: a pull can take minutes, and nothing else waits for it.
        let pulls = self.images.iter();
        commands.extend(pulls.map(|image| serde_json::json!(["docker", "pull", image])));
        if !commands.is_empty() {
            config.push_str("runcmd:\n");
        }
        for command in commands {
            config.push_str(&format!("  - {command}\n"));
        }
        config
    }

    /// Returns the service that the agent is. It is whoever logs in, so that they, and nobody else, can reach it; and what it runs
    /// goes on while it is started anew. However often it ends, it is; and a simulator that takes all memory does not end it.
    fn unit(&self) -> String {
        let user = self.user;
        let data = DATA.trim_start_matches("/var/lib/");
        format!(
            "[Unit]\nDescription=The agent of simfleet\nWants=network-online.target\nAfter=network-online.target\n\
             StartLimitIntervalSec=0\n\n\
             [Service]\nUser={user}\nStateDirectory=simfleet {data}\nStateDirectoryMode=0700\nWorkingDirectory={HOME}\n\
             ExecStart={PROGRAM} agent --listen 127.0.0.1:0 --address 0.0.0.0 --data {DATA}\nKillMode=process\nOOMPolicy=continue\n\
             Restart=always\nRestartSec=1\n\n[Install]\nWantedBy=multi-user.target\n"
        )
    }
}

fn wrong(lowering: &Lowering<'_>, summary: &'static str, detail: String, span: Span) -> Diagnostic {
    Diagnostic::error(summary, detail).on(lowering.address.clone()).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_installed_and_images_are_pulled() {
        let boot = Boot {
            user: "ann",
            docker: true,
            packages: Vec::new(),
            images: vec!["busybox:1", "a\": b"],
            agent: None,
        };
        insta::assert_snapshot!(boot.cloud_config(), @r##"
        #cloud-config
        package_update: true
        packages: ["docker.io"]
        runcmd:
          - ["systemctl","enable","--now","docker"]
          - ["usermod","-aG","docker","ann"]
          - ["docker","pull","busybox:1"]
          - ["docker","pull","a\": b"]
        "##);
    }

    #[test]
    fn the_agent_is_fetched_checked_and_started() {
        let boot = Boot {
            user: "ann",
            docker: false,
            packages: vec!["qemu-system-arm"],
            images: Vec::new(),
            agent: Some(Program {
                url: "https://x.example/simfleet?a='$(b)\"",
                sha256: "AB12",
            }),
        };
        insta::assert_snapshot!(boot.cloud_config(), @r##"
        #cloud-config
        package_update: true
        packages: ["curl","qemu-system-arm"]
        write_files:
          - {"content":"[Unit]\nDescription=The agent of simfleet\nWants=network-online.target\nAfter=network-online.target\nStartLimitIntervalSec=0\n\n[Service]\nUser=ann\nStateDirectory=simfleet simfleet/agent\nStateDirectoryMode=0700\nWorkingDirectory=/var/lib/simfleet\nExecStart=/usr/local/bin/simfleet agent --listen 127.0.0.1:0 --address 0.0.0.0 --data /var/lib/simfleet/agent\nKillMode=process\nOOMPolicy=continue\nRestart=always\nRestartSec=1\n\n[Install]\nWantedBy=multi-user.target\n","path":"/etc/systemd/system/simfleet-agent.service"}
        runcmd:
          - ["sh","-c","set -e; n=0; until curl -gfsSL -o /usr/local/bin/simfleet.new --url \"$1\"; do n=$((n+1)); test $n -lt 60; sleep 5; done; echo \"$2  /usr/local/bin/simfleet.new\" | sha256sum -c -; chmod 755 /usr/local/bin/simfleet.new; mv /usr/local/bin/simfleet.new /usr/local/bin/simfleet; systemctl daemon-reload; systemctl enable --now simfleet-agent.service","sh","https://x.example/simfleet?a='$(b)\"","ab12"]
        "##);
    }
}
