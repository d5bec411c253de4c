//! `simfleet vehicle`: the built-in vehicle, as the agent of a node starts it.

use std::net::SocketAddr;

use clap::Args;
use simfleet_vehicle::{Home, Model, Options, VehicleError, serve};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use crate::diagnostic::Diagnostic;
use crate::view::failure::chain;

/// Fly one built-in MAVLink vehicle
///
/// Agents start these for `simulator "vehicle"` blocks. MAVLink does not authenticate anybody: listen on loopback, or
/// on a network whose every host may fly the vehicle.
#[derive(Debug, Args)]
#[command(
    hide = true,
    after_help = "\
Examples:
  simfleet vehicle --listen 127.0.0.1:14550
  simfleet vehicle --listen 127.0.0.1:14551 --system-id 2 --latitude -33.95 --longitude 151.18 --altitude 6"
)]
pub(super) struct Vehicle {
    /// The UDP address and port that ground stations connect to
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The MAVLink system id, 1 to 255
    #[arg(long, value_name = "ID", default_value_t = 1)]
    system_id: u8,
    /// Where it stands at first, in degrees north
    #[arg(long, value_name = "DEGREES", default_value_t = Home::default().latitude, allow_negative_numbers = true)]
    latitude: f64,
    /// Where it stands at first, in degrees east
    #[arg(long, value_name = "DEGREES", default_value_t = Home::default().longitude, allow_negative_numbers = true)]
    longitude: f64,
    /// Where it stands at first, in metres above the sea
    #[arg(long, value_name = "METRES", default_value_t = Home::default().altitude_m, allow_negative_numbers = true)]
    altitude: f64,
    /// What it is: quad
    #[arg(long, default_value = "quad", value_parser = model)]
    model: Model,
}

fn model(name: &str) -> Result<Model, VehicleError> {
    name.parse()
}

impl Vehicle {
    pub(super) async fn run(&self, terminal: Terminal) -> Result<Exit, Failure> {
        let options = Options {
            system_id: self.system_id,
            bind: self.listen,
            home: Home {
                latitude: self.latitude,
                longitude: self.longitude,
                altitude_m: self.altitude,
            },
            model: self.model,
        };
        let signal = |kind| {
            signal(kind).map_err(|error| {
                Failure::io(
                    "Signals cannot be caught",
                    "Listening for SIGTERM failed".to_owned(),
                    &error,
                )
            })
        };
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let system_id = self.system_id;
        // Who starts it waits for this line; nobody reading it is no reason not to fly.
        let ready = |address| drop(terminal.print(&format!("vehicle {system_id} is ready on udp://{address}\n")));
        match serve(options, stop, ready).await {
            Ok(()) => Ok(Exit::Success),
            Err(error) => Err(Diagnostic::error("The vehicle ended", chain(&error)).into()),
        }
    }
}
