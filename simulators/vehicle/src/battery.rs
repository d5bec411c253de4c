//! The battery: charge drawn by the rotors, voltage under load.

use crate::dynamics::GRAVITY;

/// Current in hover, in ampere; a 5 Ah pack lasts about 18 minutes with it.
const HOVER_CURRENT_A: f64 = 16.0;
/// Current of spinning motors without lift, in ampere.
const IDLE_CURRENT_A: f64 = 1.0;
/// Open-circuit voltage of a lithium-polymer cell, empty and full, taken as
/// linear in between (the model of PX4's battery estimator).
const CELL_EMPTY_V: f64 = 3.6;
const CELL_FULL_V: f64 = 4.05;
/// Internal resistance of one cell, in ohm.
const CELL_RESISTANCE_OHM: f64 = 0.005;

/// How far a battery is discharged, against the thresholds of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ChargeLevel {
    Ok,
    Low,
    Critical,
    Emergency,
    Empty,
}

/// Remaining charge, 0..=1, at which each level begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) low: f64,
    pub(crate) critical: f64,
    pub(crate) emergency: f64,
}

/// Charge used since full, and the present load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Battery {
    pub(crate) used_mah: f64,
    pub(crate) current_a: f64,
}

impl Battery {
    /// Draws charge for `dt` seconds. `thrust` is the specific thrust in m/s².
    ///
    /// By momentum theory the induced power, and at a constant voltage the
    /// current, grows with thrust to the power 3/2 (Leishman, *Principles of
    /// Helicopter Aerodynamics*, 2nd ed., chapter 2).
    ///
    /// A vehicle without running motors draws nothing: one that is left alone
    /// for a week must still be able to fly.
    pub(crate) fn draw(&mut self, motors: bool, thrust: f64, dt: f64) {
        self.current_a = if motors {
            IDLE_CURRENT_A.max(HOVER_CURRENT_A * (thrust / GRAVITY).powf(1.5))
        } else {
            0.0
        };
        self.used_mah += self.current_a * dt / 3.6;
    }

    /// Remaining share of `capacity_mah`, 0..=1.
    pub(crate) fn remaining(&self, capacity_mah: f64) -> f64 {
        (1.0 - self.used_mah / capacity_mah).clamp(0.0, 1.0)
    }

    /// Seconds until empty at the present load; none without load.
    pub(crate) fn seconds_left(&self, capacity_mah: f64) -> Option<f64> {
        (self.current_a > 0.0).then(|| self.remaining(capacity_mah) * capacity_mah * 3.6 / self.current_a)
    }

    /// Voltage of one cell under the present load.
    pub(crate) fn cell_voltage(&self, capacity_mah: f64) -> f64 {
        let open = CELL_EMPTY_V + (CELL_FULL_V - CELL_EMPTY_V) * self.remaining(capacity_mah);
        open - CELL_RESISTANCE_OHM * self.current_a
    }

    pub(crate) fn level(&self, capacity_mah: f64, thresholds: Thresholds) -> ChargeLevel {
        let remaining = self.remaining(capacity_mah);
        if remaining <= 0.0 {
            ChargeLevel::Empty
        } else if remaining < thresholds.emergency {
            ChargeLevel::Emergency
        } else if remaining < thresholds.critical {
            ChargeLevel::Critical
        } else if remaining < thresholds.low {
            ChargeLevel::Low
        } else {
            ChargeLevel::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hover_empties_the_pack_in_the_expected_time() {
        let mut battery = Battery::default();
        let mut seconds = 0.0;
        while battery.remaining(5000.0) > 0.0 {
            battery.draw(true, GRAVITY, 1.0);
            seconds += 1.0;
        }
        // 5 Ah at 16 A.
        assert!((seconds - 1125.0f64).abs() <= 1.0);
    }

    #[test]
    fn a_vehicle_at_rest_keeps_its_charge() {
        let mut battery = Battery::default();
        battery.draw(false, 0.0, 1e6);
        assert_eq!(battery.remaining(5000.0), 1.0);
        assert_eq!(battery.seconds_left(5000.0), None);
    }

    #[test]
    fn levels_follow_the_thresholds() {
        let thresholds = Thresholds {
            low: 0.15,
            critical: 0.07,
            emergency: 0.05,
        };
        for (remaining, level) in [
            (1.0, ChargeLevel::Ok),
            (0.14, ChargeLevel::Low),
            (0.06, ChargeLevel::Critical),
            (0.04, ChargeLevel::Emergency),
            (0.0, ChargeLevel::Empty),
        ] {
            let battery = Battery {
                used_mah: 1000.0 * (1.0 - remaining),
                current_a: 0.0,
            };
            assert_eq!(battery.level(1000.0, thresholds), level);
        }
    }
}
