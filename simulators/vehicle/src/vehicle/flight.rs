//! What the vehicle does by itself: flying its mode, leg by leg, and keeping
//! watch over ground and battery.

use super::{ReturnLeg, Severity, TURN_DISTANCE_M, Vehicle};
use crate::battery::{ChargeLevel, Thresholds};
use crate::dynamics::{self, Limits, Setpoint};
use crate::mode::Mode;
use crate::parameters::Id;
use crate::vector::Vector;

/// Height error at which a takeoff is complete, in metres.
const TAKEOFF_TOLERANCE_M: f64 = 0.3;
/// Distance at which a leg of a return is complete, in metres.
const RETURN_TOLERANCE_M: f64 = 0.5;
/// Heights between which a landing slows down, in metres (PX4's
/// `MPC_LAND_ALT1` and `MPC_LAND_ALT2`).
const LAND_SLOWDOWN_M: (f64, f64) = (10.0, 5.0);

impl Vehicle {
    pub(super) fn limits(&self) -> Limits {
        let get = |id| self.parameters.get(id);
        let maximum = get(Id::HorizontalSpeed);
        Limits {
            horizontal_speed: self.speed.map_or(maximum, |speed| speed.min(maximum)),
            climb_rate: match self.mode {
                Mode::Takeoff => get(Id::TakeoffSpeed).min(get(Id::ClimbRate)),
                _ => get(Id::ClimbRate),
            },
            descent_rate: get(Id::DescentRate),
            horizontal_acceleration: get(Id::HorizontalAcceleration),
            upward_acceleration: get(Id::UpwardAcceleration),
            downward_acceleration: get(Id::DownwardAcceleration),
            yaw_rate: get(Id::YawRate).to_radians(),
        }
    }

    fn setpoint(&self) -> Setpoint {
        let heading = self.heading;
        if !self.armed {
            Setpoint::MotorsOff
        } else if self.state.on_ground && self.mode != Mode::Takeoff {
            Setpoint::Idle
        } else if self.landing() {
            Setpoint::Descend {
                over: self.target,
                rate: self.landing_rate(),
                heading,
            }
        } else {
            Setpoint::Fly {
                position: self.target,
                heading,
            }
        }
    }

    /// Descent rate of a landing: fast while high, `MPC_LAND_SPEED` near the
    /// ground, linear in between.
    fn landing_rate(&self) -> f64 {
        let slow = self.parameters.get(Id::LandSpeed);
        let fast = self.parameters.get(Id::DescentRate).max(slow);
        let (high, low) = LAND_SLOWDOWN_M;
        let share = ((self.state.position.up - low) / (high - low)).clamp(0.0, 1.0);
        slow + (fast - slow) * share
    }

    pub(super) fn step(&mut self, dt: f64) {
        let (setpoint, limits) = (self.setpoint(), self.limits());
        self.state = dynamics::step(&self.state, &setpoint, &limits, dt);
        let thrust = self.state.thrust;
        let thrust = thrust.horizontal().hypot(thrust.up);
        self.battery.draw(self.armed, thrust, dt);
        self.follow_mode();
        self.watch_ground(dt);
        self.watch_battery();
    }

    /// Moves on to the next leg when the present one is complete.
    fn follow_mode(&mut self) {
        let error = self.target - self.state.position;
        match (self.mode, self.return_leg) {
            (Mode::Takeoff, _) if error.up.abs() < TAKEOFF_TOLERANCE_M => self.mode = Mode::Hold,
            (Mode::Return, ReturnLeg::Climb) if error.up.abs() < RETURN_TOLERANCE_M => {
                self.target = Vector::new(0.0, 0.0, self.target.up);
                let way = self.target - self.state.position;
                if way.horizontal() > TURN_DISTANCE_M {
                    self.heading = way.bearing();
                }
                self.return_leg = ReturnLeg::Cruise;
            }
            (Mode::Return, ReturnLeg::Cruise) if error.horizontal() < RETURN_TOLERANCE_M => {
                self.return_leg = ReturnLeg::Descend;
            }
            _ => {}
        }
    }

    /// Disarms a vehicle that has landed, or that was armed and left alone.
    fn watch_ground(&mut self, dt: f64) {
        if !self.state.on_ground {
            self.flown = true;
            self.grounded_s = 0.0;
            return;
        }
        if !self.armed {
            return;
        }
        self.grounded_s += dt;
        let ordered_down = matches!(self.mode, Mode::Land | Mode::Return);
        let (delay, text) = if self.flown || ordered_down {
            (Id::DisarmAfterLanding, "Disarmed by landing")
        } else {
            (Id::DisarmBeforeFlight, "Disarmed by auto preflight disarming")
        };
        let delay = self.parameters.get(delay);
        if delay > 0.0 && self.grounded_s >= delay {
            self.stop_motors();
            self.tell(Severity::Info, text);
        }
    }

    /// Warns of a battery that runs low, and acts as `COM_LOW_BAT_ACT` says.
    fn watch_battery(&mut self) {
        let get = |id| self.parameters.get(id);
        let thresholds = Thresholds {
            low: get(Id::BatteryLow),
            critical: get(Id::BatteryCritical),
            emergency: get(Id::BatteryEmergency),
        };
        let action = get(Id::LowBatteryAction) as u8;
        let level = self.battery.level(get(Id::BatteryCapacity), thresholds);
        let worse = level > self.level;
        self.level = level;
        if !worse {
            return;
        }
        match level {
            ChargeLevel::Ok => {}
            ChargeLevel::Low => self.tell(Severity::Warning, "Low battery level"),
            ChargeLevel::Critical => self.tell(Severity::Critical, "Critical battery level"),
            ChargeLevel::Emergency => self.tell(Severity::Critical, "Emergency battery level"),
            ChargeLevel::Empty => self.tell(Severity::Critical, "Battery empty, motors stopped"),
        }
        // The orders below are refused only to a disarmed vehicle, which has
        // nothing left to protect.
        let _ = match (level, action) {
            (ChargeLevel::Empty, _) => {
                self.stop_motors();
                Ok(())
            }
            (ChargeLevel::Critical, 2) | (ChargeLevel::Emergency, 2 | 3) => self.land(),
            (ChargeLevel::Critical, 3) => self.return_home(),
            _ => Ok(()),
        };
    }
}
