//! The local tangent frame: metres around the home point to degrees and back.

use crate::options::Home;

/// WGS 84 equatorial radius in metres (NIMA TR8350.2).
const SEMI_MAJOR_AXIS_M: f64 = 6_378_137.0;
/// WGS 84 first eccentricity squared (NIMA TR8350.2).
const ECCENTRICITY_SQUARED: f64 = 6.694_379_990_14e-3;

/// A flat-earth frame tangent to the ellipsoid at its origin.
///
/// North and east are scaled by the meridian and prime-vertical radii of
/// curvature at the origin (Groves, *Principles of GNSS, Inertial, and
/// Multisensor Integrated Navigation Systems*, 2nd ed., chapter 2).
/// Within [`MAX_RANGE_M`] the error stays far below what a flight of a
/// multicopter could notice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalFrame {
    origin: Home,
    metres_per_degree_north: f64,
    metres_per_degree_east: f64,
}

/// Farthest point from the origin that the frame is used for, in metres.
pub(crate) const MAX_RANGE_M: f64 = 50_000.0;

impl LocalFrame {
    pub(crate) fn new(origin: Home) -> Self {
        let latitude = origin.latitude.to_radians();
        let w_squared = 1.0 - ECCENTRICITY_SQUARED * latitude.sin().powi(2);
        let meridian_m = SEMI_MAJOR_AXIS_M * (1.0 - ECCENTRICITY_SQUARED) / w_squared.powf(1.5);
        let prime_vertical_m = SEMI_MAJOR_AXIS_M / w_squared.sqrt();
        Self {
            origin,
            metres_per_degree_north: meridian_m.to_radians(),
            metres_per_degree_east: (prime_vertical_m * latitude.cos()).to_radians(),
        }
    }

    pub(crate) fn origin(&self) -> Home {
        self.origin
    }

    /// Latitude and longitude in degrees of a point `north`, `east` metres
    /// from the origin.
    pub(crate) fn to_geodetic(self, north: f64, east: f64) -> (f64, f64) {
        let latitude = self.origin.latitude + north / self.metres_per_degree_north;
        let longitude = self.origin.longitude + east / self.metres_per_degree_east;
        (latitude, wrap_degrees(longitude))
    }

    /// Metres north and east of the origin of a latitude and longitude in
    /// degrees.
    pub(crate) fn to_local(self, latitude: f64, longitude: f64) -> (f64, f64) {
        let north = (latitude - self.origin.latitude) * self.metres_per_degree_north;
        let east = wrap_degrees(longitude - self.origin.longitude) * self.metres_per_degree_east;
        (north, east)
    }
}

/// Degrees as MAVLink's degE7.
pub(crate) fn deg_e7(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

/// Wraps an angle to [-180, 180), so a frame may straddle the antimeridian.
fn wrap_degrees(degrees: f64) -> f64 {
    (degrees + 180.0).rem_euclid(360.0) - 180.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(latitude: f64, longitude: f64) -> LocalFrame {
        LocalFrame::new(Home {
            latitude,
            longitude,
            altitude_m: 0.0,
        })
    }

    #[test]
    fn a_degree_has_the_published_length() {
        // Lengths of a degree at 45° on WGS 84: 111 131.8 m of latitude,
        // 78 846.8 m of longitude (to the decimetre).
        let frame = frame(45.0, 7.0);
        assert!((frame.metres_per_degree_north - 111_131.8).abs() < 0.1);
        assert!((frame.metres_per_degree_east - 78_846.8).abs() < 0.1);
    }

    #[test]
    fn conversion_round_trips_also_over_the_antimeridian() {
        for (latitude, longitude) in [(47.4, 8.5), (-36.8, 179.9999), (0.0, -180.0), (70.0, 0.0)] {
            let frame = frame(latitude, longitude);
            for (north, east) in [(0.0, 0.0), (1234.5, -987.6), (-20_000.0, 20_000.0)] {
                let (lat, lon) = frame.to_geodetic(north, east);
                assert!((-180.0..180.0).contains(&lon));
                let (n, e) = frame.to_local(lat, lon);
                assert!((n - north).abs() < 1e-6 && (e - east).abs() < 1e-6);
            }
        }
    }
}
