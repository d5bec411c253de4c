//! The fake cloud as a process of its own. It prints `{"endpoint":"http://127.0.0.1:PORT"}` and ends when its standard
//! input does, so that it never outlives the test that started it.

use std::io::{self, Read, Write};

use simfleet_provider_fake::faults::Faults;
use simfleet_provider_fake::gateway::Gateway;
use simfleet_provider_fake::server::Server;

#[tokio::main]
async fn main() -> io::Result<()> {
    let server = Server::bind(Gateway::new(Faults::default())).await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", serde_json::json!({ "endpoint": server.endpoint() }))?;
    stdout.flush()?;

    // A thread of its own: a read of standard input cannot be cancelled.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let read = io::stdin().read_to_end(&mut Vec::new());
        ended.send(read)
    });
    tokio::select! {
        served = server.run() => served,
        _ = end => Ok(()),
    }
}
