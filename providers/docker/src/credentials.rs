//! Who pulls an image, as the docker client's configuration says.
//!
//! `auths` of `config.json` holds names and passwords; `credHelpers` and `credsStore` name a program that is asked for them
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What the docker client calls Docker's own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The name with which a helper says that the secret is a token.
const TOKEN: &str = "<token>";

/// Who pulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A user.
    Password {
        /// The registry.
        registry: String,
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has a token.
    Token {
        /// The registry.
        registry: String,
        /// The token.
        token: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClientFile {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    #[serde(rename = "identitytoken")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Helped {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Returns who pulls an image; nobody in particular where nothing is said of its registry.
///
/// # Errors
/// What is said cannot be read, or the program that knows it fails.
pub(crate) async fn of(reference: &str, folder: &Path) -> Result<Option<Credentials>, String> {
    let file = folder.join("config.json");
    let client: ClientFile = match std::fs::read(&file) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("`{}` cannot be read: {error}", file.display())),
    };
    let registry = registry(reference);
    if let Some(helper) = client.helpers.get(registry).or(client.store.as_ref()) {
        return ask(helper, registry).await;
    }
    // Older clients wrote the address as a URL.
    let bare = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        key.split('/').next().unwrap_or(key).to_owned()
    };
    let auth = client.auths.get(registry);
    let auth = auth.or_else(|| {
        client
            .auths
            .iter()
            .find(|(key, _)| bare(key) == registry)
            .map(|(_, auth)| auth)
    });
    match auth {
        Some(Auth { token: Some(token), .. }) => Ok(Some(Credentials::Token {
            registry: registry.to_owned(),
            token: token.clone(),
        })),
        Some(Auth { auth: Some(auth), .. }) => {
            let broken = || {
                format!(
                    "the login for {registry} in `{}` is broken: run `docker login` again",
                    file.display()
                )
            };
            let text = STANDARD.decode(auth).map_err(|_| broken())?;
            let text = String::from_utf8(text).map_err(|_| broken())?;
            let (user, password) = text.split_once(':').ok_or_else(broken)?;
            Ok(Some(Credentials::Password {
                registry: registry.to_owned(),
                user: user.to_owned(),
                password: password.to_owned(),
            }))
        }
        _ => Ok(None),
    }
}

/// Returns the registry of an image, in the words of the client's configuration.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" => DOCKER_HUB,
            first => first,
        },
        _ => DOCKER_HUB,
    }
}

/// Asks the program that knows the secrets of registries.
async fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, String> {
    let program = PathBuf::from(format!("docker-credential-{helper}"));
    let failed = |error: &dyn std::fmt::Display| format!("`{} get` failed for {registry}: {error}", program.display());
    let mut asked = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut input) = asked.stdin.take() {
        // One that ends without reading says why itself.
        let _ = input.write_all(registry.as_bytes()).await;
    }
    let answer = asked.wait_with_output().await.map_err(|error| failed(&error))?;
    let said = String::from_utf8_lossy(&answer.stdout);
    if !answer.status.success() {
        // The words that all helpers have for a registry that they do not know.
        return match said.contains("credentials not found") {
            true => Ok(None),
            false => Err(failed(&said.trim())),
        };
    }
    let helped: Helped = serde_json::from_slice(&answer.stdout).map_err(|error| failed(&error))?;
    let registry = registry.to_owned();
    Ok(Some(match helped.user.as_str() {
        TOKEN => Credentials::Token {
            registry,
            token: helped.secret,
        },
        _ => Credentials::Password {
            registry,
            user: helped.user,
            password: helped.secret,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_login_is_found_by_the_registry_of_the_image() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = async |reference: &str| of(reference, folder.path()).await;
        assert_eq!(found("nginx").await, Ok(None), "there is no file");
        let login = |text: &str| serde_json::json!({ "auth": STANDARD.encode(text) });
        let file = serde_json::json!({ "auths": {
            "https://index.docker.io/v1/": login("hub:secret"),
            "registry.example:5000": login("me:pass:word"),
            "https://old.example/v1/": login("old:word"),
            "broken.example": { "auth": "?" },
            "token.example": { "identitytoken": "t" },
        } });
        std::fs::write(folder.path().join("config.json"), file.to_string()).expect("a file");
        let password = |registry: &str, user: &str, password: &str| {
            Ok(Some(Credentials::Password {
                registry: registry.to_owned(),
                user: user.to_owned(),
                password: password.to_owned(),
            }))
        };
        for image in ["nginx", "team/nginx:1", "docker.io/nginx"] {
            assert_eq!(found(image).await, password(DOCKER_HUB, "hub", "secret"), "{image}");
        }
        let at = "registry.example:5000";
        assert_eq!(
            found("registry.example:5000/a/b:1").await,
            password(at, "me", "pass:word")
        );
        assert_eq!(found("old.example/a").await, password("old.example", "old", "word"));
        assert_eq!(found("other.example/a").await, Ok(None));
        let token = Credentials::Token {
            registry: "token.example".to_owned(),
            token: "t".to_owned(),
        };
        assert_eq!(found("token.example/a").await, Ok(Some(token)));
        let broken = found("broken.example/a").await.expect_err("it is no login");
        assert!(broken.starts_with("the login for broken.example in"), "{broken}");
        std::fs::write(
            folder.path().join("config.json"),
            r#"{ "credsStore": "no-such-helper" }"#,
        )
        .expect("a file");
        let missing = found("nginx").await.expect_err("there is no such program");
        assert!(
            missing.starts_with("`docker-credential-no-such-helper get` failed for"),
            "{missing}"
        );
    }
}
