//! The built-in `vehicle` simulator of simfleet: a point-mass quadrotor that
//! real ground stations fly over MAVLink 2.
//!
//! [`serve`] runs one vehicle on one UDP socket. Ground stations connect to
//! it (`udpout:` in pymavlink): the vehicle answers whoever sends it a valid
//! MAVLink frame, streams telemetry to up to 16 such peers, and forgets a peer
//! after ten seconds of silence. A new peer gets a HEARTBEAT at once, so one
//! heartbeat out and one in is a complete health check. MAVLink does not
//! authenticate anybody: bind to a loopback address, or to a network whose
//! every host may fly the vehicle.
//!
//! ```no_run
//! # async fn run() -> Result<(), simfleet_vehicle::VehicleError> {
//! use simfleet_vehicle::{Home, Model, Options, serve};
//!
//! let options = Options {
//!     system_id: 1,
//!     bind: ([127, 0, 0, 1], 14550).into(),
//!     home: Home::default(),
//!     model: Model::Quad,
//! };
//! let stop = std::future::pending();
//! serve(options, stop, |address| println!("vehicle on {address}")).await
//! # }
//! ```
//!
//! # What it is
//!
//! The vehicle presents itself as a PX4 quadrotor: PX4's flight modes,
//! parameter names and encoding, and PX4's reading of commands. In particular
//! the altitude of a `MAV_CMD_NAV_TAKEOFF` in a COMMAND_LONG counts from mean
//! sea level, and one below the minimum takeoff altitude is raised to it; a
//! COMMAND_INT in `MAV_FRAME_GLOBAL_RELATIVE_ALT` counts from home.
//!
//! | Service    | Support                                                        |
//! |------------|----------------------------------------------------------------|
//! | Telemetry  | HEARTBEAT, SYS_STATUS, EXTENDED_SYS_STATE, SYSTEM_TIME, ATTITUDE, ATTITUDE_QUATERNION, GLOBAL_POSITION_INT, LOCAL_POSITION_NED, VFR_HUD, GPS_RAW_INT, HOME_POSITION, BATTERY_STATUS; rates are per peer |
//! | Commands   | arm and disarm, takeoff, land, return to launch, loiter, reposition, set mode, reboot, message intervals, message requests |
//! | Parameters | read, list and set a small set, each of which moves the vehicle |
//! | Missions   | always empty; uploads are refused                              |
//! | Time       | TIMESYNC and PING are answered                                 |
//!
//! The world is a flat, windless plane at the altitude of home. Sensors have
//! no noise and the same orders give the same flight. The battery drains with
//! thrust and only while armed.

mod battery;
mod command;
mod dynamics;
mod error;
mod frame;
mod geodesy;
mod link;
mod mode;
mod options;
mod parameters;
mod peers;
mod protocol;
mod streams;
mod telemetry;
mod vector;
mod vehicle;

pub use error::VehicleError;
pub use link::serve;
pub use options::{Home, Model, Options};
