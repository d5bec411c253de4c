//! What can go wrong with a vehicle.

use std::io;
use std::net::SocketAddr;

use crate::options::Home;

/// Why a vehicle did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VehicleError {
    /// The UDP socket could not be opened.
    #[error("cannot bind {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The UDP socket failed while the vehicle was running.
    #[error("cannot receive on {address}")]
    Receive {
        /// The address the vehicle listens on.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// System id 0 addresses every system and cannot name one.
    #[error("system id 0 is MAVLink's broadcast address, expected 1 to 255")]
    InvalidSystemId,
    /// The home point is not a place the model can fly at.
    #[error(
        "home {}, {}, {} m is outside latitude ±89, longitude ±180, altitude -1000 to 10000 m",
        .0.latitude, .0.longitude, .0.altitude_m
    )]
    InvalidHome(Home),
    /// No such vehicle model.
    #[error("unknown vehicle model `{0}`, expected `quad`")]
    UnknownModel(String),
}
