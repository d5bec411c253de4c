//! Images that are pulled: by tag and digest, with and without a login, from Debian's `docker-registry` on loopback.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::engine::{IMAGE, WAITS, docker, lineage, objects, provider};
use crate::support::{Ended, Fleet};

/// A registry that lets `me` in with `word`.
struct Registry {
    served: Child,
    folder: tempfile::TempDir,
    address: String,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|it| it.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let users = folder.path().join("users");
        let made = Command::new("htpasswd")
            .args(["-Bbc"])
            .arg(&users)
            .args(["me", "word"])
            .output();
        assert!(made.expect("htpasswd runs").status.success());
        let config = serde_json::json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": folder.path().join("images") }, "delete": { "enabled": true } },
            "http": { "addr": address },
            "auth": { "htpasswd": { "realm": "test", "path": users } },
        });
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config.to_string()).expect("a file");
        let served = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let registry = Registry {
            served: served.expect("docker-registry runs"),
            folder,
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&registry.address).is_err() {
            assert!(Instant::now() < deadline, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    /// Puts the image of the tests there; returns its digest.
    fn push(&self, name: &str) -> String {
        let image = format!("{}/{name}", self.address);
        docker(&["tag", IMAGE, &image]);
        let login = [
            "--config",
            &self.folder.path().to_string_lossy(),
            "login",
            "-u",
            "me",
            "-p",
            "word",
            &self.address,
        ]
        .map(str::to_owned);
        docker(&login.each_ref().map(String::as_str));
        docker(&["--config", &self.folder.path().to_string_lossy(), "push", "-q", &image]);
        let digest = docker(&["inspect", "--format", "{{index .RepoDigests 0}}", &image]);
        docker(&["rmi", &image]);
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}

#[test]
#[ignore = "needs a Docker engine and docker-registry"]
fn images_are_pulled_by_who_is_logged_in() {
    let registry = Registry::start();
    let digest = registry.push("team/app:1");
    let text = |image: &str, pull: &str| {
        format!(
            "{}service \"app\" {{\n  image = \"{image}\"\n  pull = \"{pull}\"\n  command = {WAITS}\n}}\n",
            provider()
        )
    };
    let tag = format!("{}/team/app:1", registry.address);
    let fleet = Fleet::new(&text(&tag, "missing"));
    let nobody = tempfile::tempdir().expect("a folder");
    let apply = |config: &std::path::Path| -> Ended {
        let mut command = fleet.command(&["apply", "--auto-approve"]);
        command
            .env("DOCKER_CONFIG", config)
            .output()
            .expect("simfleet runs")
            .into()
    };
    let refused = apply(nobody.path());
    assert_eq!(refused.code, Some(1), "{}", refused.out);
    assert!(
        refused.err.contains(&format!("there is no image \"{tag}\""))
            && refused.err.contains("no basic auth credentials"),
        "{}",
        refused.err
    );
    for (image, pull) in [(&tag, "missing"), (&tag, "always"), (&digest, "missing")] {
        fleet.write(&text(image, pull));
        let applied = apply(registry.folder.path());
        assert_eq!(
            applied.code,
            Some(0),
            "{image} {pull}: {}\n{}",
            applied.out,
            applied.err
        );
    }
    let missing = format!("{}/team/app:2", registry.address);
    fleet.write(&text(&missing, "missing"));
    let refused = apply(registry.folder.path());
    assert!(refused.err.contains("manifest unknown"), "{}", refused.err);
    let lineage = lineage(&fleet);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
    docker(&["rmi", &digest, &tag]);
}
