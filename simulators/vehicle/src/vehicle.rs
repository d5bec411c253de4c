//! The vehicle: arming, flight modes, and the failsafes of its battery.
//!
//! Orders come in as method calls and are refused with a [`Refusal`]; time
//! comes in as [`Vehicle::advance`]. Nothing here knows of messages or clocks.

mod flight;

use std::time::Duration;

use crate::battery::{Battery, ChargeLevel};
use crate::dynamics::{self, State};
use crate::geodesy::{self, LocalFrame};
use crate::mode::Mode;
use crate::options::Home;
use crate::parameters::{Id, Parameters};
use crate::vector::Vector;

/// Physics step.
const STEP: Duration = Duration::from_millis(20);
/// Longest time that is caught up with. A machine that slept for an hour must
/// not compute an hour of flight before it answers again; the vehicle's flight
/// then pauses instead.
const MAX_CATCH_UP: Duration = Duration::from_secs(5);

/// A target nearer than this does not turn the vehicle's nose, in metres.
const TURN_DISTANCE_M: f64 = 1.0;
/// Lowest height at which a vehicle that is told to stop does so, in metres.
const MIN_HOVER_M: f64 = 0.5;

/// Why an order was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The order may succeed in another situation.
    NotNow(&'static str),
    /// The order can never succeed as given.
    Invalid(&'static str),
}

/// How grave an [`Event`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Critical,
    Warning,
    Info,
}

/// Something an operator wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) severity: Severity,
    /// At most 50 bytes, the size of a STATUSTEXT.
    pub(crate) text: &'static str,
}

/// Legs of a return to home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReturnLeg {
    Climb,
    Cruise,
    Descend,
}

/// A vehicle and its flight logic.
#[derive(Debug)]
pub(crate) struct Vehicle {
    pub(crate) parameters: Parameters,
    pub(crate) frame: LocalFrame,
    state: State,
    battery: Battery,
    level: ChargeLevel,
    mode: Mode,
    armed: bool,
    /// Where the present mode flies to, or over which point it lands.
    target: Vector,
    heading: f64,
    /// Ground speed of a reposition, if it asked for one, in m/s.
    speed: Option<f64>,
    return_leg: ReturnLeg,
    /// Whether the vehicle has been in the air since it was armed.
    flown: bool,
    /// Seconds on the ground with motors running.
    grounded_s: f64,
    /// Time up to which the motion is computed.
    time: Duration,
    events: Vec<Event>,
}

impl Vehicle {
    pub(crate) fn new(system_id: u8, home: Home) -> Self {
        Self {
            parameters: Parameters::new(system_id),
            frame: LocalFrame::new(home),
            state: State::AT_HOME,
            battery: Battery::default(),
            level: ChargeLevel::Ok,
            mode: Mode::Hold,
            armed: false,
            target: Vector::ZERO,
            heading: 0.0,
            speed: None,
            return_leg: ReturnLeg::Climb,
            flown: false,
            grounded_s: 0.0,
            time: Duration::ZERO,
            events: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn battery(&self) -> &Battery {
        &self.battery
    }

    pub(crate) fn charge_level(&self) -> ChargeLevel {
        self.level
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn armed(&self) -> bool {
        self.armed
    }

    /// Whether the vehicle is coming down to land.
    pub(crate) fn landing(&self) -> bool {
        let descending = self.mode == Mode::Return && self.return_leg == ReturnLeg::Descend;
        !self.state.on_ground && (self.mode == Mode::Land || descending)
    }

    /// Whether time changes nothing about the vehicle.
    pub(crate) fn at_rest(&self) -> bool {
        !self.armed && self.state.on_ground
    }

    /// What happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Computes the motion up to `now`, counted from start.
    ///
    /// Always in steps of [`STEP`], so the flight does not depend on how often
    /// or when this is called.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.time = self.time.max(now.saturating_sub(MAX_CATCH_UP));
        while self.time + STEP <= now {
            if self.at_rest() {
                self.time = now;
                return;
            }
            self.step(STEP.as_secs_f64());
            self.time += STEP;
        }
    }

    pub(crate) fn arm(&mut self) -> Result<(), Refusal> {
        if self.armed {
            return Ok(());
        }
        if !self.state.on_ground {
            return Err(Refusal::NotNow("Arming denied: in the air"));
        }
        if self.level >= ChargeLevel::Critical {
            return Err(Refusal::NotNow("Arming denied: battery critical"));
        }
        self.armed = true;
        self.flown = false;
        self.grounded_s = 0.0;
        self.stay();
        self.tell(Severity::Info, "Armed by external command");
        Ok(())
    }

    pub(crate) fn disarm(&mut self, force: bool) -> Result<(), Refusal> {
        if !self.armed {
            return Ok(());
        }
        if !self.state.on_ground && !force {
            return Err(Refusal::NotNow("Disarming denied: not landed"));
        }
        self.stop_motors();
        self.tell(Severity::Info, "Disarmed by external command");
        Ok(())
    }

    /// Takes off to a height in metres above home, or the default height. In
    /// the air it climbs to the height, but never sinks to it.
    pub(crate) fn take_off(&mut self, height: Option<f64>) -> Result<(), Refusal> {
        self.require_armed("Takeoff denied: not armed")?;
        let minimum = self.parameters.get(Id::TakeoffAltitude);
        let mut height = height.unwrap_or(minimum);
        if height > geodesy::MAX_RANGE_M {
            return Err(Refusal::Invalid("Takeoff denied: too high"));
        }
        if height < minimum {
            // As PX4 does: a height below the minimum is raised to it, for a
            // multicopter that takes off to a decimetre is a danger.
            self.tell(Severity::Warning, "Using minimum takeoff altitude");
            height = minimum;
        }
        self.stay();
        self.target.up = self.target.up.max(height);
        self.mode = Mode::Takeoff;
        self.tell(Severity::Info, "Taking off");
        Ok(())
    }

    /// Lands here.
    pub(crate) fn land(&mut self) -> Result<(), Refusal> {
        self.require_armed("Landing denied: not armed")?;
        self.stay();
        self.mode = Mode::Land;
        self.tell(Severity::Info, "Landing at current position");
        Ok(())
    }

    /// Returns home and lands there.
    pub(crate) fn return_home(&mut self) -> Result<(), Refusal> {
        self.require_armed("Return denied: not armed")?;
        self.stay();
        if self.target.horizontal() > self.parameters.get(Id::ReturnMinimumDistance) {
            let height = self.parameters.get(Id::ReturnAltitude);
            self.target.up = self.target.up.max(height);
        }
        self.return_leg = ReturnLeg::Climb;
        self.mode = Mode::Return;
        self.tell(Severity::Info, "Returning to launch");
        Ok(())
    }

    /// Stops and holds position.
    pub(crate) fn hold(&mut self, mode: Mode) {
        self.stay();
        self.mode = mode;
    }

    /// Flies to a position; what is not given stays as it is.
    pub(crate) fn reposition(
        &mut self,
        place: Option<(f64, f64)>,
        height: Option<f64>,
        heading: Option<f64>,
        speed: Option<f64>,
    ) -> Result<(), Refusal> {
        if self.state.on_ground {
            return Err(Refusal::NotNow("Reposition denied: not flying"));
        }
        let here = self.state.position + dynamics::stopping_distance(self.state.velocity, &self.limits());
        let (north, east) = place.unwrap_or((here.north, here.east));
        let target = Vector::new(north, east, height.unwrap_or(here.up));
        if target.horizontal() > geodesy::MAX_RANGE_M || target.up > geodesy::MAX_RANGE_M {
            return Err(Refusal::Invalid("Reposition denied: too far away"));
        }
        if target.up <= 0.0 {
            return Err(Refusal::Invalid("Reposition denied: below ground"));
        }
        let way = target - self.state.position;
        self.heading = match heading {
            Some(heading) => heading,
            None if way.horizontal() > TURN_DISTANCE_M => way.bearing(),
            None => self.state.attitude.yaw,
        };
        self.mode = Mode::Hold;
        self.target = target;
        self.speed = speed;
        Ok(())
    }

    /// Starts over at home with a full battery, keeping the parameters.
    pub(crate) fn reboot(&mut self) -> Result<(), Refusal> {
        if !self.at_rest() {
            return Err(Refusal::NotNow("Reboot denied: armed"));
        }
        let system_id = self.parameters.get(Id::OwnSystem) as u8;
        let fresh = Self::new(system_id, self.frame.origin());
        *self = Self {
            parameters: self.parameters.clone(),
            time: self.time,
            events: std::mem::take(&mut self.events),
            ..fresh
        };
        Ok(())
    }

    pub(crate) fn remaining_charge(&self) -> f64 {
        self.battery.remaining(self.parameters.get(Id::BatteryCapacity))
    }

    fn require_armed(&self, reason: &'static str) -> Result<(), Refusal> {
        if self.armed {
            Ok(())
        } else {
            Err(Refusal::NotNow(reason))
        }
    }

    /// Makes the nearest point at which the vehicle can stop its target.
    fn stay(&mut self) {
        self.target = self.state.position + dynamics::stopping_distance(self.state.velocity, &self.limits());
        self.target.up = self.target.up.max(MIN_HOVER_M);
        self.heading = self.state.attitude.yaw;
        self.speed = None;
    }

    fn stop_motors(&mut self) {
        self.armed = false;
        self.mode = Mode::Hold;
    }

    fn tell(&mut self, severity: Severity, text: &'static str) {
        self.events.push(Event { severity, text });
    }
}

#[cfg(test)]
mod tests;
