//! Runs one vehicle until Ctrl-C: `cargo run --example vehicle [ADDRESS [ID]]`.

use std::error::Error;
use std::net::SocketAddr;

use simfleet_vehicle::{Home, Model, Options, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bind: SocketAddr = match arguments.next() {
        Some(address) => address.parse()?,
        None => ([127, 0, 0, 1], 14550).into(),
    };
    let system_id = match arguments.next() {
        Some(id) => id.parse()?,
        None => 1,
    };
    let options = Options {
        system_id,
        bind,
        home: Home::default(),
        model: Model::Quad,
    };
    let stop = async {
        // Without a signal handler the default one still ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    let ready = |address| println!("vehicle {system_id} listens on {address}");
    serve(options, stop, ready).await?;
    Ok(())
}
