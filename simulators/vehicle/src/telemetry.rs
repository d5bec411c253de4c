//! The state of the vehicle as MAVLink messages.
//!
//! Units and fields are those of
//! <https://mavlink.io/en/messages/common.html>; this is the one place where
//! heights become "down" and metres become millimetres.

#![expect(deprecated, reason = "PROTOCOL_VERSION is deprecated, and still asked for")]

use std::time::Duration;

use mavlink::MessageData as _;
use mavlink::dialects::common::*;

use crate::battery::ChargeLevel;
use crate::dynamics::{Attitude, GRAVITY};
use crate::frame::Payload;
use crate::geodesy::deg_e7;
use crate::mode::Mode;
use crate::parameters::Id;
use crate::vehicle::Vehicle;

/// Ratio of the greatest to the hovering thrust, which only sets the throttle
/// shown in VFR_HUD.
const THRUST_TO_WEIGHT: f64 = 2.0;
/// The PX4 release whose interface this vehicle imitates, 1.15.0, as
/// `flight_sw_version` packs it: major, minor, patch, release type.
const IMITATED_PX4: u32 = u32::from_be_bytes([1, 15, 0, 255]);
/// MAVLink 1.0 and 2.0 in PROTOCOL_VERSION.
const MAVLINK_1: u16 = 100;
const MAVLINK_2: u16 = 200;

/// What a message needs besides the vehicle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) since_boot: Duration,
    pub(crate) unix_time: Duration,
    /// Damaged frames received so far.
    pub(crate) damaged_frames: u16,
}

/// The current message of an id, if it is one the vehicle sends of itself or
/// on request.
pub(crate) fn message(id: u32, vehicle: &Vehicle, context: &Context) -> Option<Payload> {
    Some(match id {
        HEARTBEAT_DATA::ID => Payload::of(&heartbeat(vehicle)),
        SYS_STATUS_DATA::ID => Payload::of(&sys_status(vehicle, context)),
        EXTENDED_SYS_STATE_DATA::ID => Payload::of(&extended_sys_state(vehicle)),
        SYSTEM_TIME_DATA::ID => Payload::of(&SYSTEM_TIME_DATA {
            time_unix_usec: context.unix_time.as_micros() as u64,
            time_boot_ms: boot_ms(context),
        }),
        ATTITUDE_DATA::ID => Payload::of(&attitude(vehicle, context)),
        ATTITUDE_QUATERNION_DATA::ID => Payload::of(&attitude_quaternion(vehicle, context)),
        GLOBAL_POSITION_INT_DATA::ID => Payload::of(&global_position_int(vehicle, context)),
        LOCAL_POSITION_NED_DATA::ID => Payload::of(&local_position_ned(vehicle, context)),
        GPS_RAW_INT_DATA::ID => Payload::of(&gps_raw_int(vehicle, context)),
        VFR_HUD_DATA::ID => Payload::of(&vfr_hud(vehicle)),
        HOME_POSITION_DATA::ID => Payload::of(&home_position(vehicle, context)),
        BATTERY_STATUS_DATA::ID => Payload::of(&battery_status(vehicle)),
        AUTOPILOT_VERSION_DATA::ID => Payload::of(&autopilot_version(vehicle)),
        PROTOCOL_VERSION_DATA::ID => Payload::of(&PROTOCOL_VERSION_DATA {
            version: MAVLINK_2,
            min_version: MAVLINK_1,
            max_version: MAVLINK_2,
            ..PROTOCOL_VERSION_DATA::DEFAULT
        }),
        _ => return None,
    })
}

fn boot_ms(context: &Context) -> u32 {
    context.since_boot.as_millis() as u32
}

fn heartbeat(vehicle: &Vehicle) -> HEARTBEAT_DATA {
    let critical = vehicle.charge_level() >= ChargeLevel::Critical;
    HEARTBEAT_DATA {
        custom_mode: vehicle.mode().custom_mode(),
        mavtype: MavType::MAV_TYPE_QUADROTOR,
        autopilot: MavAutopilot::MAV_AUTOPILOT_PX4,
        base_mode: vehicle.mode().base_mode(vehicle.armed()),
        system_status: match vehicle.armed() {
            false => MavState::MAV_STATE_STANDBY,
            true if critical => MavState::MAV_STATE_CRITICAL,
            true => MavState::MAV_STATE_ACTIVE,
        },
        mavlink_version: MINOR_MAVLINK_VERSION,
    }
}

fn sys_status(vehicle: &Vehicle, context: &Context) -> SYS_STATUS_DATA {
    type Sensor = MavSysStatusSensor;
    let present = Sensor::MAV_SYS_STATUS_SENSOR_3D_GYRO
        | Sensor::MAV_SYS_STATUS_SENSOR_3D_ACCEL
        | Sensor::MAV_SYS_STATUS_SENSOR_3D_MAG
        | Sensor::MAV_SYS_STATUS_SENSOR_ABSOLUTE_PRESSURE
        | Sensor::MAV_SYS_STATUS_SENSOR_GPS
        | Sensor::MAV_SYS_STATUS_SENSOR_ANGULAR_RATE_CONTROL
        | Sensor::MAV_SYS_STATUS_SENSOR_ATTITUDE_STABILIZATION
        | Sensor::MAV_SYS_STATUS_SENSOR_YAW_POSITION
        | Sensor::MAV_SYS_STATUS_SENSOR_Z_ALTITUDE_CONTROL
        | Sensor::MAV_SYS_STATUS_SENSOR_XY_POSITION_CONTROL
        | Sensor::MAV_SYS_STATUS_SENSOR_MOTOR_OUTPUTS
        | Sensor::MAV_SYS_STATUS_AHRS
        | Sensor::MAV_SYS_STATUS_SENSOR_BATTERY
        | Sensor::MAV_SYS_STATUS_PREARM_CHECK;
    let mut health = present;
    if vehicle.charge_level() >= ChargeLevel::Critical {
        health -= Sensor::MAV_SYS_STATUS_SENSOR_BATTERY | Sensor::MAV_SYS_STATUS_PREARM_CHECK;
    }
    SYS_STATUS_DATA {
        onboard_control_sensors_present: present,
        onboard_control_sensors_enabled: present,
        onboard_control_sensors_health: health,
        load: 0,
        voltage_battery: (cell_millivolt(vehicle) * vehicle.parameters.get(Id::BatteryCells)) as u16,
        current_battery: centiampere(vehicle),
        drop_rate_comm: 0,
        errors_comm: context.damaged_frames,
        errors_count1: 0,
        errors_count2: 0,
        errors_count3: 0,
        errors_count4: 0,
        battery_remaining: remaining_percent(vehicle),
        onboard_control_sensors_present_extended: MavSysStatusSensorExtended::empty(),
        onboard_control_sensors_enabled_extended: MavSysStatusSensorExtended::empty(),
        onboard_control_sensors_health_extended: MavSysStatusSensorExtended::empty(),
    }
}

fn extended_sys_state(vehicle: &Vehicle) -> EXTENDED_SYS_STATE_DATA {
    EXTENDED_SYS_STATE_DATA {
        vtol_state: MavVtolState::MAV_VTOL_STATE_UNDEFINED,
        landed_state: if vehicle.state().on_ground {
            MavLandedState::MAV_LANDED_STATE_ON_GROUND
        } else if vehicle.landing() {
            MavLandedState::MAV_LANDED_STATE_LANDING
        } else if vehicle.mode() == Mode::Takeoff {
            MavLandedState::MAV_LANDED_STATE_TAKEOFF
        } else {
            MavLandedState::MAV_LANDED_STATE_IN_AIR
        },
    }
}

fn attitude(vehicle: &Vehicle, context: &Context) -> ATTITUDE_DATA {
    let Attitude { roll, pitch, yaw } = vehicle.state().attitude;
    let rates = vehicle.state().rates;
    ATTITUDE_DATA {
        time_boot_ms: boot_ms(context),
        roll: roll as f32,
        pitch: pitch as f32,
        yaw: yaw as f32,
        rollspeed: rates.roll as f32,
        pitchspeed: rates.pitch as f32,
        yawspeed: rates.yaw as f32,
    }
}

fn attitude_quaternion(vehicle: &Vehicle, context: &Context) -> ATTITUDE_QUATERNION_DATA {
    let [q1, q2, q3, q4] = quaternion(&vehicle.state().attitude);
    let rates = vehicle.state().rates;
    ATTITUDE_QUATERNION_DATA {
        time_boot_ms: boot_ms(context),
        q1,
        q2,
        q3,
        q4,
        rollspeed: rates.roll as f32,
        pitchspeed: rates.pitch as f32,
        yawspeed: rates.yaw as f32,
        repr_offset_q: [0.0; 4],
    }
}

/// Hamilton quaternion, w first, of the yaw-pitch-roll sequence (Diebel,
/// "Representing Attitude", 2006).
fn quaternion(attitude: &Attitude) -> [f32; 4] {
    let (sr, cr) = (attitude.roll / 2.0).sin_cos();
    let (sp, cp) = (attitude.pitch / 2.0).sin_cos();
    let (sy, cy) = (attitude.yaw / 2.0).sin_cos();
    [
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    ]
    .map(|component| component as f32)
}

/// Latitude and longitude in degE7, altitude above mean sea level and above
/// home in mm.
fn position(vehicle: &Vehicle) -> (i32, i32, i32, i32) {
    let position = vehicle.state().position;
    let (latitude, longitude) = vehicle.frame.to_geodetic(position.north, position.east);
    let above_home = (position.up * 1e3).round();
    let altitude = vehicle.frame.origin().altitude_m * 1e3 + above_home;
    (
        deg_e7(latitude),
        deg_e7(longitude),
        altitude.round() as i32,
        above_home as i32,
    )
}

/// A direction in radians as degrees in [0, 360).
fn compass_degrees(radians: f64) -> f64 {
    // A tiny negative angle is rounded to 360 by `rem_euclid`.
    radians.to_degrees().rem_euclid(360.0) % 360.0
}

fn global_position_int(vehicle: &Vehicle, context: &Context) -> GLOBAL_POSITION_INT_DATA {
    let (lat, lon, alt, relative_alt) = position(vehicle);
    let velocity = vehicle.state().velocity;
    let centimetres = |speed: f64| (speed * 100.0).round() as i16;
    GLOBAL_POSITION_INT_DATA {
        time_boot_ms: boot_ms(context),
        lat,
        lon,
        alt,
        relative_alt,
        vx: centimetres(velocity.north),
        vy: centimetres(velocity.east),
        vz: centimetres(-velocity.up),
        hdg: (compass_degrees(vehicle.state().attitude.yaw) * 100.0) as u16,
    }
}

fn local_position_ned(vehicle: &Vehicle, context: &Context) -> LOCAL_POSITION_NED_DATA {
    let (position, velocity) = (vehicle.state().position, vehicle.state().velocity);
    LOCAL_POSITION_NED_DATA {
        time_boot_ms: boot_ms(context),
        x: position.north as f32,
        y: position.east as f32,
        z: -position.up as f32,
        vx: velocity.north as f32,
        vy: velocity.east as f32,
        vz: -velocity.up as f32,
    }
}

fn gps_raw_int(vehicle: &Vehicle, context: &Context) -> GPS_RAW_INT_DATA {
    let (lat, lon, alt, _) = position(vehicle);
    let velocity = vehicle.state().velocity;
    GPS_RAW_INT_DATA {
        time_usec: context.since_boot.as_micros() as u64,
        lat,
        lon,
        alt,
        // Dilution of precision, hundredfold, and accuracies in mm, of a good
        // receiver under an open sky.
        eph: 70,
        epv: 110,
        vel: (velocity.horizontal() * 100.0).round() as u16,
        cog: (compass_degrees(velocity.bearing()) * 100.0) as u16,
        fix_type: GpsFixType::GPS_FIX_TYPE_3D_FIX,
        satellites_visible: 14,
        // Without a model of the geoid, sea level is the ellipsoid.
        alt_ellipsoid: alt,
        h_acc: 500,
        v_acc: 800,
        vel_acc: 100,
        hdg_acc: 0,
        yaw: 0,
    }
}

fn vfr_hud(vehicle: &Vehicle) -> VFR_HUD_DATA {
    let state = vehicle.state();
    let groundspeed = state.velocity.horizontal();
    let thrust = state.thrust.horizontal().hypot(state.thrust.up);
    VFR_HUD_DATA {
        // The air stands still.
        airspeed: groundspeed as f32,
        groundspeed: groundspeed as f32,
        alt: (vehicle.frame.origin().altitude_m + state.position.up) as f32,
        climb: state.velocity.up as f32,
        heading: compass_degrees(state.attitude.yaw) as i16,
        throttle: (thrust / GRAVITY / THRUST_TO_WEIGHT * 100.0).clamp(0.0, 100.0) as u16,
    }
}

fn home_position(vehicle: &Vehicle, context: &Context) -> HOME_POSITION_DATA {
    let home = vehicle.frame.origin();
    HOME_POSITION_DATA {
        latitude: deg_e7(home.latitude),
        longitude: deg_e7(home.longitude),
        altitude: (home.altitude_m * 1e3).round() as i32,
        // Home is the origin of the local frame, on level ground facing north.
        q: [1.0, 0.0, 0.0, 0.0],
        time_usec: context.since_boot.as_micros() as u64,
        ..HOME_POSITION_DATA::DEFAULT
    }
}

fn battery_status(vehicle: &Vehicle) -> BATTERY_STATUS_DATA {
    let capacity = vehicle.parameters.get(Id::BatteryCapacity);
    let cells = vehicle.parameters.get(Id::BatteryCells) as usize;
    let mut voltages = [u16::MAX; 10];
    for voltage in voltages.iter_mut().take(cells) {
        *voltage = cell_millivolt(vehicle) as u16;
    }
    BATTERY_STATUS_DATA {
        current_consumed: vehicle.battery().used_mah as i32,
        energy_consumed: -1,
        temperature: i16::MAX,
        voltages,
        current_battery: centiampere(vehicle),
        id: 0,
        battery_function: MavBatteryFunction::MAV_BATTERY_FUNCTION_ALL,
        mavtype: MavBatteryType::MAV_BATTERY_TYPE_LIPO,
        battery_remaining: remaining_percent(vehicle),
        time_remaining: vehicle.battery().seconds_left(capacity).unwrap_or(0.0) as i32,
        charge_state: match vehicle.charge_level() {
            ChargeLevel::Ok => MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_OK,
            ChargeLevel::Low => MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_LOW,
            ChargeLevel::Critical => MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_CRITICAL,
            ChargeLevel::Emergency => MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_EMERGENCY,
            ChargeLevel::Empty => MavBatteryChargeState::MAV_BATTERY_CHARGE_STATE_FAILED,
        },
        voltages_ext: [0; 4],
        mode: MavBatteryMode::MAV_BATTERY_MODE_UNKNOWN,
        fault_bitmask: MavBatteryFault::empty(),
    }
}

fn cell_millivolt(vehicle: &Vehicle) -> f64 {
    let capacity = vehicle.parameters.get(Id::BatteryCapacity);
    vehicle.battery().cell_voltage(capacity) * 1e3
}

fn centiampere(vehicle: &Vehicle) -> i16 {
    (vehicle.battery().current_a * 100.0) as i16
}

/// Rounded up, so that 0 % means empty and nothing else.
fn remaining_percent(vehicle: &Vehicle) -> i8 {
    (vehicle.remaining_charge() * 100.0).ceil() as i8
}

fn autopilot_version(vehicle: &Vehicle) -> AUTOPILOT_VERSION_DATA {
    type Capability = MavProtocolCapability;
    AUTOPILOT_VERSION_DATA {
        capabilities: Capability::MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
            | Capability::MAV_PROTOCOL_CAPABILITY_COMMAND_INT
            | Capability::MAV_PROTOCOL_CAPABILITY_MAVLINK2,
        flight_sw_version: IMITATED_PX4,
        // Unique within a fleet, as hardware ids are.
        uid: vehicle.parameters.get(Id::OwnSystem) as u64,
        ..AUTOPILOT_VERSION_DATA::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quaternions_of_single_axes() {
        let half = std::f64::consts::FRAC_1_SQRT_2 as f32;
        let quarter_turn = std::f64::consts::FRAC_PI_2;
        let of = |roll, pitch, yaw| quaternion(&Attitude { roll, pitch, yaw });
        for (actual, expected) in [
            (of(0.0, 0.0, 0.0), [1.0, 0.0, 0.0, 0.0]),
            (of(quarter_turn, 0.0, 0.0), [half, half, 0.0, 0.0]),
            (of(0.0, quarter_turn, 0.0), [half, 0.0, half, 0.0]),
            (of(0.0, 0.0, quarter_turn), [half, 0.0, 0.0, half]),
        ] {
            for (a, e) in actual.iter().zip(expected) {
                assert!((a - e).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn compass_degrees_are_never_negative() {
        assert_eq!(compass_degrees(-std::f64::consts::FRAC_PI_2), 270.0);
        assert_eq!(compass_degrees(0.0), 0.0);
    }
}
