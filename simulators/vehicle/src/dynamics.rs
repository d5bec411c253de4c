//! The motion of the quadrotor: a point mass whose thrust vector points where
//! the acceleration asks it to.
//!
//! [`step`] is a pure function of state, setpoint and time step. Position is
//! controlled by the usual cascade of multicopter autopilots: a position error
//! asks for a velocity, a velocity error asks for an acceleration, both within
//! limits. The attitude follows from the acceleration, because a quadrotor is
//! differentially flat in position and heading (Mellinger and Kumar, "Minimum
//! snap trajectory generation and control for quadrotors", ICRA 2011).

use std::f64::consts::{PI, TAU};

use crate::vector::Vector;

/// Standard gravity in m/s².
pub(crate) const GRAVITY: f64 = 9.806_65;

/// Gain from position error to velocity, in 1/s.
const POSITION_GAIN: f64 = 1.0;
/// Gain from velocity error to acceleration, in 1/s. Four times the position
/// gain makes the linear cascade critically damped: s² + kv·s + kv·kp has a
/// double pole for kv = 4·kp.
const VELOCITY_GAIN: f64 = 4.0;
/// Share of the acceleration limit used to plan a stop; the rest absorbs the
/// lag of the velocity loop, so a stop does not overshoot.
const BRAKING_MARGIN: f64 = 0.5;
/// Linear drag per unit of mass, in 1/s. Small rotorcraft show rotor drag that
/// is linear in speed (Faessler et al., RA-L 2018); this value tilts the
/// vehicle by 20° at 12 m/s and lets it fall at 33 m/s.
const DRAG: f64 = 0.3;
/// Time constant with which the body takes a new tilt, in seconds.
const TILT_TIME_CONSTANT: f64 = 0.15;

/// Roll, pitch and yaw in radians (or rad/s), as MAVLink's ATTITUDE has them:
/// right wing down, nose up and clockwise from north are positive.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Attitude {
    pub(crate) roll: f64,
    pub(crate) pitch: f64,
    pub(crate) yaw: f64,
}

/// Everything that moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct State {
    /// Metres from home.
    pub(crate) position: Vector,
    /// m/s.
    pub(crate) velocity: Vector,
    /// Specific thrust, in m/s²: what the rotors give, gravity and drag
    /// included. Zero while the motors are off.
    pub(crate) thrust: Vector,
    /// rad.
    pub(crate) attitude: Attitude,
    /// rad/s.
    pub(crate) rates: Attitude,
    /// Whether the vehicle stands on the ground, the plane through home.
    pub(crate) on_ground: bool,
}

impl State {
    /// Standing at home, facing north.
    pub(crate) const AT_HOME: Self = Self {
        position: Vector::ZERO,
        velocity: Vector::ZERO,
        thrust: Vector::ZERO,
        attitude: Attitude {
            roll: 0.0,
            pitch: 0.0,
            yaw: 0.0,
        },
        rates: Attitude {
            roll: 0.0,
            pitch: 0.0,
            yaw: 0.0,
        },
        on_ground: true,
    };
}

/// What the vehicle is asked to do during a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Setpoint {
    /// No thrust: rest on the ground, fall in the air.
    MotorsOff,
    /// Motors spin, but do not lift a vehicle that stands on the ground.
    Idle,
    /// Fly to a position in metres, and stay there, with a heading in radians.
    Fly { position: Vector, heading: f64 },
    /// Go down at a rate in m/s over a point until the ground stops it.
    Descend { over: Vector, rate: f64, heading: f64 },
}

/// What the vehicle is able to do, in m/s, m/s² and rad/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) horizontal_speed: f64,
    pub(crate) climb_rate: f64,
    pub(crate) descent_rate: f64,
    pub(crate) horizontal_acceleration: f64,
    pub(crate) upward_acceleration: f64,
    pub(crate) downward_acceleration: f64,
    pub(crate) yaw_rate: f64,
}

/// The state `dt` seconds after `state`.
///
/// Semi-implicit Euler: velocity first, then position with the new velocity,
/// which does not gain energy over time as the explicit form does.
pub(crate) fn step(state: &State, setpoint: &Setpoint, limits: &Limits, dt: f64) -> State {
    let (velocity_wanted, heading) = match *setpoint {
        Setpoint::MotorsOff => return unpowered(state, dt),
        Setpoint::Idle if state.on_ground => return standing(state),
        // Idle in the air does not occur in flight logic; hovering is the
        // harmless meaning of it.
        Setpoint::Idle => (Vector::ZERO, state.attitude.yaw),
        Setpoint::Fly { position, heading } => (approach(position - state.position, limits), heading),
        Setpoint::Descend { over, rate, heading } => {
            let mut velocity = approach(over - state.position, limits);
            velocity.up = -rate;
            (velocity, heading)
        }
    };
    let mut acceleration =
        ((velocity_wanted - state.velocity) * VELOCITY_GAIN).limit_horizontal(limits.horizontal_acceleration);
    acceleration.up = acceleration
        .up
        .clamp(-limits.downward_acceleration, limits.upward_acceleration);

    let velocity = state.velocity + acceleration * dt;
    let position = state.position + velocity * dt;
    if position.up <= 0.0 && velocity.up <= 0.0 {
        return standing(&State { position, ..*state });
    }
    let thrust = acceleration + velocity * DRAG + Vector::new(0.0, 0.0, GRAVITY);
    let attitude = turn(&state.attitude, thrust, heading, limits.yaw_rate, dt);
    State {
        position,
        velocity,
        thrust,
        attitude,
        rates: rates(&state.attitude, &attitude, dt),
        on_ground: false,
    }
}

/// Displacement in metres that a vehicle at `velocity` needs to stop.
pub(crate) fn stopping_distance(velocity: Vector, limits: &Limits) -> Vector {
    let horizontal = BRAKING_MARGIN * limits.horizontal_acceleration;
    let vertical = BRAKING_MARGIN * limits.downward_acceleration.min(limits.upward_acceleration);
    let scale = |speed: f64, acceleration: f64| speed / (2.0 * acceleration) + 1.0 / VELOCITY_GAIN;
    let mut way = velocity * scale(velocity.horizontal(), horizontal);
    way.up = velocity.up * scale(velocity.up.abs(), vertical);
    way
}

/// The difference of two headings, in [-π, π).
pub(crate) fn heading_difference(to: f64, from: f64) -> f64 {
    (to - from + PI).rem_euclid(TAU) - PI
}

/// Velocity that closes a position error within the limits.
fn approach(error: Vector, limits: &Limits) -> Vector {
    let distance = error.horizontal();
    let speed = braking_speed(distance, limits.horizontal_acceleration);
    let scale = if distance > 0.0 {
        speed.min(limits.horizontal_speed) / distance
    } else {
        0.0
    };
    let vertical_acceleration = if error.up > 0.0 {
        limits.downward_acceleration
    } else {
        limits.upward_acceleration
    };
    let climb = braking_speed(error.up.abs(), vertical_acceleration).copysign(error.up);
    Vector::new(
        error.north * scale,
        error.east * scale,
        climb.clamp(-limits.descent_rate, limits.climb_rate),
    )
}

/// Speed at `distance` from a target from which a limited deceleration still
/// stops there: proportional when near, √(2·a·d) when far, joined smoothly
/// (the "square-root controller", ArduPilot `AP_Math/control.cpp`).
fn braking_speed(distance: f64, acceleration_limit: f64) -> f64 {
    let acceleration = BRAKING_MARGIN * acceleration_limit;
    let linear_distance = acceleration / POSITION_GAIN.powi(2);
    if distance <= linear_distance {
        distance * POSITION_GAIN
    } else {
        (2.0 * acceleration * (distance - linear_distance / 2.0)).sqrt()
    }
}

/// A body without thrust: it stands, or falls against drag.
fn unpowered(state: &State, dt: f64) -> State {
    if state.on_ground {
        return State {
            thrust: Vector::ZERO,
            ..standing(state)
        };
    }
    let acceleration = state.velocity * -DRAG - Vector::new(0.0, 0.0, GRAVITY);
    let velocity = state.velocity + acceleration * dt;
    let position = state.position + velocity * dt;
    let fallen = State {
        position,
        velocity,
        thrust: Vector::ZERO,
        rates: Attitude::default(),
        ..*state
    };
    if position.up <= 0.0 { standing(&fallen) } else { fallen }
}

/// The state at rest on the ground below `state`.
fn standing(state: &State) -> State {
    State {
        position: Vector {
            up: 0.0,
            ..state.position
        },
        velocity: Vector::ZERO,
        thrust: Vector::ZERO,
        attitude: Attitude {
            roll: 0.0,
            pitch: 0.0,
            yaw: state.attitude.yaw,
        },
        rates: Attitude::default(),
        on_ground: true,
    }
}

/// Attitude whose thrust axis points along `thrust`, reached with a lag.
fn turn(from: &Attitude, thrust: Vector, heading: f64, yaw_rate: f64, dt: f64) -> Attitude {
    let turn = heading_difference(heading, from.yaw).clamp(-yaw_rate * dt, yaw_rate * dt);
    let yaw = heading_difference(from.yaw + turn, 0.0);
    let (sin, cos) = yaw.sin_cos();
    let forward = thrust.north * cos + thrust.east * sin;
    let right = thrust.east * cos - thrust.north * sin;
    let pitch = (-forward).atan2(thrust.up);
    let roll = (right * pitch.cos()).atan2(thrust.up);
    let blend = dt / (TILT_TIME_CONSTANT + dt);
    Attitude {
        roll: from.roll + (roll - from.roll) * blend,
        pitch: from.pitch + (pitch - from.pitch) * blend,
        yaw,
    }
}

/// Mean angular rates of a change of attitude, in rad/s. Taken as Euler rates;
/// at the tilts of this vehicle body rates differ by a few percent.
fn rates(from: &Attitude, to: &Attitude, dt: f64) -> Attitude {
    Attitude {
        roll: (to.roll - from.roll) / dt,
        pitch: (to.pitch - from.pitch) / dt,
        yaw: heading_difference(to.yaw, from.yaw) / dt,
    }
}

#[cfg(test)]
mod tests;
