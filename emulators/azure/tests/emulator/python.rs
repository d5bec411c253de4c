//! Microsoft's own clients drive the emulator.

use std::process::Stdio;

use simfleet_azure_emulator::{CLIENT, CLIENT_SECRET, Emulator, Options, SUBSCRIPTION, TENANT, Tls};

/// Runs a program of `tests/python` against an emulator with TLS.
async fn drive(program: &str, mut options: Options) {
    let python =
        std::env::var_os("SIMFLEET_TEST_AZURE_PYTHON").expect("scripts/test names a Python with Azure's clients");
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    options.tls = Some(Tls::SelfMade {
        ca_file: ca_file.clone(),
    });
    let emulator = Emulator::start(options).await.expect("it starts");
    let program = format!("{}/tests/python/{program}", env!("CARGO_MANIFEST_DIR"));
    let ran = tokio::process::Command::new(python)
        .arg(program)
        .env("EMULATOR_URL", emulator.tls_url.as_deref().expect("an address"))
        .env("EMULATOR_PLAIN_URL", &emulator.url)
        .env("EMULATOR_SUBSCRIPTION", SUBSCRIPTION)
        .env("EMULATOR_TENANT", TENANT)
        .env("EMULATOR_CLIENT", CLIENT)
        .env("EMULATOR_SECRET", CLIENT_SECRET)
        .env("REQUESTS_CA_BUNDLE", &ca_file)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{out}{err}");
    assert!(emulator.control().log().len() > 50);
}

#[tokio::test]
#[ignore = "needs azure-mgmt-compute, -network, -resource, -monitor and azure-identity; scripts/test installs them"]
async fn microsofts_python_clients_take_it_for_azure() {
    let options = Options {
        page: 2,
        ..Options::default()
    };
    drive("sdk.py", options).await;
}

#[tokio::test]
#[ignore = "needs azure-cli; scripts/test installs it"]
async fn azure_cli_takes_it_for_a_cloud() {
    let mut options = Options {
        page: 2,
        ..Options::default()
    };
    // Without one, azure-cli waits for 30 s between two looks at an operation.
    options.pace.retry_after = Some(1);
    drive("cli.py", options).await;
}
