//! The engine through a login on its host, by the system's own `ssh` and `sshd`.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use simfleet_provider_api::{Attributes, Provider, ProviderError, ProviderType, Value};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::CONTAINER;

use crate::harness::{context, host};

/// A login on this machine, with keys of its own. Whoever logs in gets to the engine and nowhere else.
struct Login {
    served: Child,
    folder: tempfile::TempDir,
    port: u16,
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("it runs");
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Login {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        for key in ["host", "key", "other"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
        }
        let public = std::fs::read_to_string(path("key.pub")).expect("a key");
        let dial = format!("command=\"docker -H {} system dial-stdio\" {public}", host());
        std::fs::write(path("keys"), dial).expect("a file");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|it| it.local_addr())
            .expect("a port")
            .port();
        let of_host = std::fs::read_to_string(path("host.pub")).expect("a key");
        std::fs::write(path("known"), format!("[127.0.0.1]:{port} {of_host}")).expect("a file");
        let of_other = std::fs::read_to_string(path("other.pub")).expect("a key");
        std::fs::write(path("changed"), format!("[127.0.0.1]:{port} {of_other}")).expect("a file");
        // Where sshd drops its rights; Debian makes it at boot.
        let _ = std::fs::create_dir_all("/run/sshd");
        let served = Command::new("/usr/sbin/sshd")
            .args([
                "-D",
                "-e",
                "-f",
                "/dev/null",
                "-h",
                &path("host"),
                "-p",
                &port.to_string(),
            ])
            .args([
                "-o",
                "ListenAddress=127.0.0.1",
                "-o",
                "StrictModes=no",
                "-o",
                "PidFile=none",
                "-o",
                "PermitRootLogin=yes",
            ])
            .args(["-o", &format!("AuthorizedKeysFile={}", path("keys"))])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd runs");
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Login { served, folder, port }
    }

    async fn provider(&self, key: &str, known: &str) -> std::sync::Arc<dyn Provider> {
        let file = |name: &str| Value::from(Path::new(self.folder.path()).join(name).to_string_lossy().into_owned());
        let mut settings = Attributes::from_iter([("host", format!("ssh://127.0.0.1:{}", self.port).as_str())]);
        settings.set("ssh", Value::object([("key", file(key)), ("known_hosts", file(known))]));
        DockerType
            .configure(&settings, &context("lineage"))
            .await
            .expect("the settings are sound")
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine and sshd"]
async fn an_engine_is_reached_by_ssh_where_the_host_is_known() {
    let login = Login::start();
    let provider = login.provider("key", "known").await;
    assert_eq!(provider.list(&CONTAINER).await, Ok(Some(Vec::new())));
    let at = format!("the Docker engine at ssh://127.0.0.1:{} cannot be reached", login.port);
    for (key, known, expected) in [
        ("other", "known", format!("{at}: ")),
        ("key", "changed", format!("{at}: Host key verification failed.")),
    ] {
        let error = login
            .provider(key, known)
            .await
            .list(&CONTAINER)
            .await
            .expect_err("it is not let in");
        assert!(matches!(error, ProviderError::NotSent { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
