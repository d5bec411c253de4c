//! Tokens from where they are usually had, and what is said where there is none.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::json;
use simfleet_provider_api::{Attributes, Context, Observed, Provider, ProviderError, ProviderType, Value};
use simfleet_provider_azure::AzureType;
use simfleet_provider_azure::schema::VM;

/// Servers of an authority, of a machine's own identity, and of Resource Manager, all in one.
#[derive(Default)]
struct Servers {
    /// What was asked: method, path and query, headers that count, body.
    asked: Mutex<Vec<String>>,
    /// How long a token holds, in seconds.
    life: u64,
    /// Whether the authority refuses.
    is_closed: bool,
    /// The tokens that Resource Manager refuses.
    refused: Vec<&'static str>,
}

impl Servers {
    async fn start(self) -> (String, Arc<Self>) {
        let servers = Arc::new(self);
        let app = Router::new().fallback(any(answer)).with_state(servers.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move { axum::serve(listener, app).await });
        (format!("http://{address}"), servers)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

async fn answer(State(servers): State<Arc<Servers>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("-")
            .to_owned()
    };
    let path = parts.uri.to_string();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
    let body = String::from_utf8_lossy(&body).into_owned();
    let host = header("host");
    let line = match path.split('?').next() {
        Some("/metadata/endpoints") => "metadata".to_owned(),
        Some("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/x") => {
            format!("arm {}", header("authorization"))
        }
        _ => format!(
            "{} {path} {} {} {body}",
            parts.method,
            header("metadata"),
            header("x-identity-header")
        ),
    };
    let number = {
        let mut asked = servers.asked.lock().expect("no test panics with it");
        asked.push(line.clone());
        asked
            .iter()
            .filter(|line| !line.starts_with("arm") && *line != "metadata")
            .count()
    };
    if line == "metadata" {
        return Json(json!({
            "resourceManager": format!("http://{host}"),
            "authentication": { "loginEndpoint": format!("http://{host}/"), "audiences": ["https://management.test/"] },
        }))
        .into_response();
    }
    if let Some(token) = line.strip_prefix("arm Bearer ") {
        let (status, code) = match servers.refused.contains(&token) {
            true => (StatusCode::UNAUTHORIZED, "ExpiredAuthenticationToken"),
            false => (StatusCode::NOT_FOUND, "ResourceNotFound"),
        };
        return (status, Json(json!({ "error": { "code": code, "message": "No." } }))).into_response();
    }
    if servers.is_closed {
        let refusal = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret.\r\nTrace ID: 1" });
        return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
    }
    Json(
        json!({ "access_token": format!("t{number}"), "expires_in": servers.life.to_string(), "token_type": "Bearer" }),
    )
    .into_response()
}

async fn provider(endpoint: &str, tenant: Option<&str>, variables: &[(&str, &str)]) -> Arc<dyn Provider> {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = Attributes::from_iter([
        ("subscription_id", "s"),
        ("resource_group", "g"),
        ("endpoint", endpoint),
    ]);
    settings.set("tenant_id", tenant.map_or(Value::NULL, Value::from));
    let context = Context {
        lineage: "l".into(),
        folder: PathBuf::new(),
        root: PathBuf::new(),
        program: PathBuf::new(),
    };
    AzureType::with_variables(variables)
        .configure(&settings, &context)
        .await
        .expect("the settings are sound")
}

async fn look(provider: &dyn Provider) -> Result<Observed, ProviderError> {
    let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/x";
    provider.read(&VM, &simfleet_provider_api::ObjectId(id.into())).await
}

#[tokio::test]
async fn a_secret_of_the_environment_gives_a_token_that_is_kept() {
    let (endpoint, servers) = Servers {
        life: 3600,
        ..Servers::default()
    }
    .start()
    .await;
    let variables = [
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "s3cret"),
        ("AZURE_TENANT_ID", "t"),
    ];
    let provider = provider(&endpoint, None, &variables).await;
    for _ in 0..3 {
        assert_eq!(look(&*provider).await, Ok(Observed::Absent));
    }
    let form = "grant_type=client_credentials&client_id=app&scope=https%3A%2F%2Fmanagement.test%2F.default&client_secret=s3cret";
    assert_eq!(
        servers.asked(),
        [
            "metadata".to_owned(),
            format!("POST /t/oauth2/v2.0/token - - {form}"),
            "arm Bearer t1".to_owned(),
            "arm Bearer t1".to_owned(),
            "arm Bearer t1".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_token_at_its_end_and_one_that_is_refused_are_renewed() {
    let variables = [("AZURE_CLIENT_ID", "app"), ("AZURE_CLIENT_SECRET", "s3cret")];
    let (endpoint, servers) = Servers::default().start().await;
    let short = provider(&endpoint, Some("t"), &variables).await;
    for _ in 0..2 {
        assert_eq!(look(&*short).await, Ok(Observed::Absent));
    }
    let sent = |servers: &Servers| {
        servers
            .asked()
            .into_iter()
            .filter(|line| line.starts_with("arm"))
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(&servers), ["arm Bearer t1", "arm Bearer t2"]);

    let (endpoint, servers) = Servers {
        life: 3600,
        refused: vec!["t1"],
        ..Servers::default()
    }
    .start()
    .await;
    let revoked = provider(&endpoint, Some("t"), &variables).await;
    assert_eq!(look(&*revoked).await, Ok(Observed::Absent));
    assert_eq!(sent(&servers), ["arm Bearer t1", "arm Bearer t2"]);

    let (endpoint, _) = Servers {
        life: 3600,
        refused: vec!["t1", "t2"],
        ..Servers::default()
    }
    .start()
    .await;
    let denied = look(&*provider(&endpoint, Some("t"), &variables).await).await;
    assert!(matches!(denied, Err(ProviderError::Denied { .. })), "{denied:?}");
}

#[tokio::test]
async fn workload_and_managed_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "federated\n").expect("a file");
    let (endpoint, servers) = Servers {
        life: 3600,
        ..Servers::default()
    }
    .start()
    .await;
    let file = file.display().to_string();
    let variables = [
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_FEDERATED_TOKEN_FILE", &file),
    ];
    assert_eq!(
        look(&*provider(&endpoint, None, &variables).await).await,
        Ok(Observed::Absent)
    );
    let asked = servers.asked().remove(1);
    assert!(
        asked.starts_with("POST /t/oauth2/v2.0/token - - grant_type=client_credentials&client_id=app"),
        "{asked}"
    );
    assert!(asked.ends_with("jwt-bearer&client_assertion=federated"), "{asked}");

    let service = format!("{endpoint}/msi/token");
    let variables = [("IDENTITY_ENDPOINT", service.as_str()), ("IDENTITY_HEADER", "mine")];
    assert_eq!(
        look(&*provider(&endpoint, None, &variables).await).await,
        Ok(Observed::Absent)
    );
    let machine = [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", endpoint.as_str()),
        ("AZURE_CLIENT_ID", "app"),
    ];
    assert_eq!(
        look(&*provider(&endpoint, None, &machine).await).await,
        Ok(Observed::Absent)
    );
    let asked: Vec<String> = servers
        .asked()
        .into_iter()
        .filter(|line| line.starts_with("GET"))
        .collect();
    let resource = "resource=https%3A%2F%2Fmanagement.test%2F";
    assert_eq!(
        asked,
        [
            format!("GET /msi/token?{resource}&api-version=2019-08-01 - mine "),
            format!("GET /metadata/identity/oauth2/token?{resource}&client_id=app&api-version=2018-02-01 true - "),
        ]
    );
}

#[tokio::test]
async fn the_azure_cli_is_asked_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("az");
    let script = "#!/bin/sh\necho \"$@\" > \"$0.asked\"\necho '{\"accessToken\": \"t9\", \"expiresOn\": \"x\", \"expires_on\": 9999999999}'\n";
    std::fs::write(&program, script).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let (endpoint, servers) = Servers {
        is_closed: true,
        ..Servers::default()
    }
    .start()
    .await;
    let path = folder.path().display().to_string();
    let variables = [
        ("PATH", path.as_str()),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", endpoint.as_str()),
    ];
    let provider = provider(&endpoint, Some("t"), &variables).await;
    for _ in 0..2 {
        assert_eq!(look(&*provider).await, Ok(Observed::Absent));
    }
    assert_eq!(servers.asked().last().map(String::as_str), Some("arm Bearer t9"));
    let asked = std::fs::read_to_string(folder.path().join("az.asked")).expect("it was asked");
    assert_eq!(
        asked,
        "account get-access-token --output json --resource https://management.test/ --tenant t\n"
    );
}

/// Where a machine's own identity is asked for, nobody listens.
const NOBODY: (&str, &str) = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9");

#[tokio::test]
async fn what_was_tried_is_said() {
    let (endpoint, _) = Servers {
        is_closed: true,
        ..Servers::default()
    }
    .start()
    .await;
    let message =
        async |variables: &[(&str, &str)], tenant| match look(&*provider(&endpoint, tenant, variables).await).await {
            Err(ProviderError::Denied { message }) => message.replace(&endpoint, "ENDPOINT"),
            other => panic!("{other:?}"),
        };
    assert_eq!(
        message(&[NOBODY], None).await,
        "cannot look at the vm `x`: no credentials for Azure; tried the environment: AZURE_CLIENT_ID is not set; \
         workload identity: AZURE_FEDERATED_TOKEN_FILE is not set; \
         managed identity: http://127.0.0.1:9/metadata/identity/oauth2/token does not answer: Connection refused (os error 111); \
         the Azure CLI: `az` is not on the PATH"
    );
    // One that is set up on purpose ends the search; the secret is not shown.
    let secret = [("AZURE_CLIENT_ID", "app"), ("AZURE_CLIENT_SECRET", "s3cret"), NOBODY];
    assert_eq!(
        message(&secret, Some("t")).await,
        "cannot look at the vm `x`: no credentials for Azure; tried the environment: \
         ENDPOINT/t/oauth2/v2.0/token answered 401 Unauthorized: invalid_client AADSTS7000215: Invalid client secret."
    );
    let missing = [
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere.pem"),
        NOBODY,
    ];
    assert_eq!(
        message(&missing, Some("t")).await,
        "cannot look at the vm `x`: no credentials for Azure; tried the environment: /nowhere.pem cannot be read: \
         No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_certificate_proves_the_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let pem = folder.path().join("client.pem");
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=simfleet",
            "-keyout",
        ])
        .arg(&pem)
        .arg("-out")
        .arg(folder.path().join("cert.pem"))
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("skipped: there is no openssl");
        return;
    }
    let certificate = std::fs::read(folder.path().join("cert.pem")).expect("a certificate");
    let mut both = std::fs::read(&pem).expect("a key");
    both.extend(certificate);
    std::fs::write(&pem, both).expect("a file");
    let (endpoint, servers) = Servers {
        life: 3600,
        ..Servers::default()
    }
    .start()
    .await;
    let pem = pem.display().to_string();
    let variables = [
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", pem.as_str()),
    ];
    assert_eq!(
        look(&*provider(&endpoint, Some("t"), &variables).await).await,
        Ok(Observed::Absent)
    );

    let asked = servers.asked().remove(1);
    let assertion = asked.rsplit("client_assertion=").next().expect("an assertion");
    let (signed, signature) = assertion.trim().rsplit_once('.').expect("three parts");
    let decode = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .expect("base64url")
    };
    std::fs::write(folder.path().join("signed"), signed).expect("a file");
    std::fs::write(folder.path().join("signature"), decode(signature)).expect("a file");
    let shell = "openssl x509 -in cert.pem -pubkey -noout > public.pem && openssl dgst -sha256 -sigopt rsa_padding_mode:pss \
                 -verify public.pem -signature signature signed";
    let verified = std::process::Command::new("sh")
        .args(["-c", shell])
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let (header, claims) = signed.split_once('.').expect("two parts");
    let json = |part: &str| serde_json::from_slice::<serde_json::Value>(&decode(part)).expect("JSON");
    assert_eq!(json(header)["alg"], "PS256");
    let claims = json(claims);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app"), &json!("app")));
    assert_eq!(claims["aud"], format!("{endpoint}/t/oauth2/v2.0/token"));
}
