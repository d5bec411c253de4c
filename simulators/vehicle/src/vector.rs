//! A vector of the local frame: metres (or m/s, m/s²) north, east and up.

use std::ops::{Add, Mul, Sub};

/// North, east, up. MAVLink itself counts down; the sign changes once, where
/// messages are filled, and a height stays a positive number everywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Vector {
    pub(crate) north: f64,
    pub(crate) east: f64,
    pub(crate) up: f64,
}

impl Vector {
    pub(crate) const ZERO: Self = Self::new(0.0, 0.0, 0.0);

    pub(crate) const fn new(north: f64, east: f64, up: f64) -> Self {
        Self { north, east, up }
    }

    /// Length of the horizontal part.
    pub(crate) fn horizontal(self) -> f64 {
        self.north.hypot(self.east)
    }

    /// Direction of the horizontal part, in radians clockwise from north.
    pub(crate) fn bearing(self) -> f64 {
        self.east.atan2(self.north)
    }

    /// The vector with its horizontal part no longer than `limit`.
    pub(crate) fn limit_horizontal(self, limit: f64) -> Self {
        let length = self.horizontal();
        let scale = if length > limit { limit / length } else { 1.0 };
        Self::new(self.north * scale, self.east * scale, self.up)
    }
}

impl Add for Vector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.north + other.north, self.east + other.east, self.up + other.up)
    }
}

impl Sub for Vector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul<f64> for Vector {
    type Output = Self;
    fn mul(self, scale: f64) -> Self {
        Self::new(self.north * scale, self.east * scale, self.up * scale)
    }
}
