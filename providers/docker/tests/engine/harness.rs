//! The engine of the tests.

use std::process::Command;

use simfleet_provider_api::{Attributes, Context};

/// An image with a shell and its tools.
pub const IMAGE: &str = "simfleet-test/busybox:1";

/// Returns where the engine is.
pub fn host() -> String {
    std::env::var("SIMFLEET_TEST_DOCKER").expect("SIMFLEET_TEST_DOCKER says where the Docker engine is")
}

/// Returns settings for the engine.
pub fn settings() -> Attributes {
    Attributes::from_iter([("host", host().as_str())])
}

/// Returns a context for a lineage.
pub fn context(lineage: &str) -> Context {
    Context {
        lineage: lineage.into(),
        folder: std::env::temp_dir().join(lineage),
        program: "simfleet".into(),
    }
}

/// Runs the docker client, as somebody else would; returns what it says.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(["-H", &host()])
        .args(arguments)
        .output()
        .expect("the docker client runs");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
