//! Images that are pulled: by tag and digest, with and without a login, from Debian's `docker-registry` on loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
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
        self.push_as(IMAGE, name)
    }

    /// Puts an image there by a name; returns its digest.
    fn push_as(&self, image: &str, name: &str) -> String {
        let source = image;
        let image = format!("{}/{name}", self.address);
        docker(&["tag", source, &image]);
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

/// Hands on what goes to an address, and what comes from there no faster than a slow line does. Returns where.
fn slow_line_to(address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("it has one").to_string();
    let address = address.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection");
            let server = TcpStream::connect(&address).expect("the registry answers");
            let (mut from_client, mut to_client) = (client.try_clone().expect("a copy"), client);
            let (mut from_server, mut to_server) = (server.try_clone().expect("a copy"), server);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let mut piece = [0; 8 << 10];
                while let Ok(read @ 1..) = from_server.read(&mut piece) {
                    std::thread::sleep(Duration::from_millis(100));
                    if to_client.write_all(&piece[..read]).is_err() {
                        break;
                    }
                }
                let _ = to_client.shutdown(Shutdown::Write);
            });
        }
    });
    at
}

#[test]
#[ignore = "needs a Docker engine and docker-registry"]
fn it_is_told_how_far_a_long_pull_is() {
    let registry = Registry::start();
    // Nothing that compresses, and nothing that the engine has.
    let layer = format!("FROM {IMAGE}\nRUN dd if=/dev/urandom of=/noise bs=64k count=16\n");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Dockerfile"), layer).expect("a file");
    let noise = format!("simfleet-test/noise:{}", std::process::id());
    docker(&[
        "build",
        "-q",
        "--no-cache",
        "-t",
        &noise,
        &folder.path().to_string_lossy(),
    ]);
    let address = slow_line_to(&registry.address);
    registry.push_as(&noise, "team/noise:1");
    docker(&["rmi", &noise]);
    let config = std::fs::read_to_string(registry.folder.path().join("config.json")).expect("a login");
    std::fs::write(
        registry.folder.path().join("config.json"),
        config.replace(&registry.address, &address),
    )
    .expect("a file");
    let fleet = Fleet::new(&format!(
        "{}service \"app\" {{\n  image = \"{address}/team/noise:1\"\n  command = {WAITS}\n}}\n",
        provider()
    ));
    let mut apply = fleet.command(&["apply", "--auto-approve"]);
    let applied: Ended = apply
        .env("DOCKER_CONFIG", registry.folder.path())
        .output()
        .expect("simfleet runs")
        .into();
    assert_eq!(applied.code, Some(0), "{}\n{}", applied.out, applied.err);
    let lines = applied.err.lines();
    let told = lines.filter(|line| line.starts_with(&format!("service.app: creating… pulls {address}/team/noise:1: ")));
    let told: Vec<&str> = told.collect();
    let last = told
        .last()
        .unwrap_or_else(|| panic!("nothing is told: {}", applied.err));
    assert!(last.contains(" of 2 layers, ") && last.ends_with(" MB"), "{last}");
    fleet.ok(&["destroy", "--auto-approve"]);
    docker(&["rmi", &format!("{address}/team/noise:1")]);
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
