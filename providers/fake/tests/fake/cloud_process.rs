//! The fake cloud as a process that ends with the test.

use std::process::{ExitStatus, Stdio};

use simfleet_provider_fake::control::Control;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running cloud.
pub struct CloudProcess {
    /// Its process; it runs for as long as its standard input is open.
    child: Child,
    /// Where it is.
    pub endpoint: String,
    /// How to rule over it.
    pub control: Control,
}

impl CloudProcess {
    /// Starts a cloud and waits until it tells where it is.
    pub async fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simfleet-fake-cloud"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program is built");
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let line = lines
            .next_line()
            .await
            .expect("it can be read")
            .expect("it prints a line");
        let printed: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
        let endpoint = printed["endpoint"].as_str().expect("it names the endpoint").to_owned();
        let control = Control::new(&endpoint).expect("the endpoint has the form that clients know");
        CloudProcess {
            child,
            endpoint,
            control,
        }
    }

    /// Closes its standard input and waits until it has ended.
    pub async fn end(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().await.expect("it is a child of this process")
    }
}
