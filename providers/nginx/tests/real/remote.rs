//! An nginx of another host, reached by the system's own `ssh` and `sshd`.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use simfleet_provider_api::{Attributes, Observed, ProviderError, Step, Value};
use simfleet_provider_nginx::schema::{SERVER, UPSTREAM};

use crate::rig::{Nginx, answering, configured, create, free_port, get, server, settings, token, until, upstream};

/// A login on this machine, with keys of its own.
struct Login {
    served: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Login {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "key", "other"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)])
                .status();
            assert!(made.is_ok_and(|it| it.success()), "keys are made");
        }
        fs::copy(path("key.pub"), path("keys")).expect("a key");
        let port = free_port();
        let of_host = fs::read_to_string(path("host.pub")).expect("a key");
        fs::write(path("known"), format!("[127.0.0.1]:{port} {of_host}")).expect("a file");
        // Where sshd drops its rights; Debian makes it at boot.
        let _ = fs::create_dir_all("/run/sshd");
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args([
            "-D",
            "-e",
            "-f",
            "/dev/null",
            "-h",
            &path("host"),
            "-p",
            &port.to_string(),
        ]);
        for option in [
            "ListenAddress=127.0.0.1",
            "StrictModes=no",
            "PidFile=none",
            "PermitRootLogin=yes",
        ] {
            sshd.args(["-o", option]);
        }
        sshd.args(["-o", &format!("AuthorizedKeysFile={}", path("keys"))]);
        let served = sshd.stderr(Stdio::null()).spawn().expect("sshd runs");
        until("sshd answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Login { served, folder, port }
    }

    fn settings(&self, nginx: &Nginx, key: &str) -> Attributes {
        let file = |name: &str| Value::from(self.folder.path().join(name).display().to_string());
        let mut settings = settings(nginx);
        settings.set("host", format!("ssh://127.0.0.1:{}", self.port));
        settings.set(
            "ssh",
            Value::object([("key", file(key)), ("known_hosts", file("known"))]),
        );
        settings.set("drain", 60u64);
        settings
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx and sshd"]
async fn an_nginx_is_reached_by_ssh() {
    let (login, nginx, port) = (Login::start(), Nginx::start(), free_port());
    let provider = configured(&login.settings(&nginx, "key")).await;
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let one = create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    assert_eq!(get(port, "/"), (200, "one".to_owned()));
    fs::write(nginx.conf().join("it's wrong.conf"), "upstrem;\n").expect("written");
    let error = create(&*provider, &SERVER, &server("web-m2", answering("two")))
        .await
        .expect_err("nginx refuses it");
    assert!(error.to_string().contains("unknown directive \"upstrem\""), "{error}");
    fs::remove_file(nginx.conf().join("it's wrong.conf")).expect("removed");

    // Somebody else has another key.
    let other = configured(&login.settings(&nginx, "other")).await;
    let seen = other.read(&SERVER, &one.id).await.expect("it is asked");
    let Observed::Unreachable { reason } = seen else {
        panic!("{seen:?}")
    };
    assert!(
        reason.starts_with("127.0.0.1 cannot be asked: ") && reason.contains("Permission denied"),
        "{reason}"
    );
    let error = other
        .delete(&SERVER, &one, &token())
        .await
        .expect_err("it is not let in");
    assert!(matches!(error, ProviderError::NotSent { .. }), "{error:?}");

    assert_eq!(provider.delete(&SERVER, &one, &token()).await, Ok(Step::Gone));
    assert_eq!(provider.delete(&UPSTREAM, &up, &token()).await, Ok(Step::Gone));
    assert_eq!(nginx.files(), [""; 0]);
}
