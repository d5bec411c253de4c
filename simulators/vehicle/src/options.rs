//! What a vehicle is told when it starts.

use std::net::SocketAddr;
use std::str::FromStr;

use crate::error::VehicleError;

/// Latitudes beyond this have no useful east direction for a flat local frame.
const MAX_LATITUDE: f64 = 89.0;

/// How to run one vehicle.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// MAVLink system id, 1 to 255.
    pub system_id: u8,
    /// UDP address on which ground stations reach the vehicle; port 0 takes
    /// a free port.
    pub bind: SocketAddr,
    /// Where the vehicle stands at start, and where it returns to.
    pub home: Home,
    /// What kind of vehicle it is.
    pub model: Model,
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), VehicleError> {
        // 0 is the broadcast address of MAVLink, never a sender.
        if self.system_id == 0 {
            return Err(VehicleError::InvalidSystemId);
        }
        let Home {
            latitude,
            longitude,
            altitude_m,
        } = self.home;
        let valid = (-MAX_LATITUDE..=MAX_LATITUDE).contains(&latitude)
            && (-180.0..=180.0).contains(&longitude)
            && (-1_000.0..=10_000.0).contains(&altitude_m);
        if valid {
            Ok(())
        } else {
            Err(VehicleError::InvalidHome(self.home))
        }
    }
}

/// A point on the WGS 84 ellipsoid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Home {
    /// Degrees north, within ±89.
    pub latitude: f64,
    /// Degrees east, within ±180.
    pub longitude: f64,
    /// Metres above mean sea level, from -1 000 to 10 000.
    pub altitude_m: f64,
}

impl Default for Home {
    /// The default home of PX4's simulators, an airfield near Zürich.
    fn default() -> Self {
        Self {
            latitude: 47.397_742,
            longitude: 8.545_594,
            altitude_m: 488.0,
        }
    }
}

/// The kind of vehicle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Model {
    /// A quadrotor, `quad`.
    #[default]
    Quad,
}

impl FromStr for Model {
    type Err = VehicleError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "quad" => Ok(Self::Quad),
            _ => Err(VehicleError::UnknownModel(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(system_id: u8, latitude: f64) -> Options {
        Options {
            system_id,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            home: Home {
                latitude,
                ..Home::default()
            },
            model: Model::Quad,
        }
    }

    #[test]
    fn options_outside_the_model_are_refused() {
        assert!(options(1, 47.0).validate().is_ok());
        assert!(matches!(
            options(0, 47.0).validate(),
            Err(VehicleError::InvalidSystemId)
        ));
        for latitude in [89.5, -90.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                options(1, latitude).validate(),
                Err(VehicleError::InvalidHome(_))
            ));
        }
    }

    #[test]
    fn models_are_known_by_name() {
        assert_eq!("quad".parse::<Model>().ok(), Some(Model::Quad));
        let error = "hexa".parse::<Model>().expect_err("unknown");
        assert_eq!(error.to_string(), "unknown vehicle model `hexa`, expected `quad`");
    }
}
