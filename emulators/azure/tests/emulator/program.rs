//! The emulator as a program of its own.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn it_tells_where_it_listens_and_ends_when_it_is_asked_to() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    let mut program = Command::new(env!("CARGO_BIN_EXE_simfleet-azure-emulator"))
        .args(["--time-on-demand", "--seed", "7", "--ca-file"])
        .arg(&ca_file)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(program.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("a line").expect("a line");
    let told: Value = serde_json::from_str(&line).expect("JSON");
    assert!(ca_file.exists());
    let url = told["url"].as_str().expect("an address");
    let clock: Value = reqwest::get(format!("{url}/_emulator/clock"))
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(clock["now"], "2026-01-01T00:00:00Z");
    assert!(told["tls_url"].as_str().is_some_and(|url| url.starts_with("https://")));
    let id = program.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill");
    assert!(told.success());
    let ended = tokio::time::timeout(Duration::from_secs(20), program.wait()).await;
    assert!(ended.expect("it ends").expect("a status").success());
}
