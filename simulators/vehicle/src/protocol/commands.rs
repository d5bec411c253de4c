//! The commands: COMMAND_LONG and COMMAND_INT to a MAV_RESULT.
//!
//! Parameters are those of <https://mavlink.io/en/messages/common.html#mav_commands>,
//! and where that leaves a choice, those of PX4.

use std::time::Duration;

use mavlink::MessageData as _;
use mavlink::dialects::common::*;

use super::{Outbox, Protocol};
use crate::command::{Altitude, Command};
use crate::mode::Mode;
use crate::streams::{Interval, Streams};
use crate::vehicle::Refusal;

/// Parameter 2 of MAV_CMD_COMPONENT_ARM_DISARM that overrides the checks.
const FORCE: u32 = 21196;

const ARM_DISARM: u16 = MavCmd::MAV_CMD_COMPONENT_ARM_DISARM as u16;
const TAKEOFF: u16 = MavCmd::MAV_CMD_NAV_TAKEOFF as u16;
const LAND: u16 = MavCmd::MAV_CMD_NAV_LAND as u16;
const RETURN_TO_LAUNCH: u16 = MavCmd::MAV_CMD_NAV_RETURN_TO_LAUNCH as u16;
const LOITER_UNLIMITED: u16 = MavCmd::MAV_CMD_NAV_LOITER_UNLIM as u16;
const REPOSITION: u16 = MavCmd::MAV_CMD_DO_REPOSITION as u16;
const SET_MODE: u16 = MavCmd::MAV_CMD_DO_SET_MODE as u16;
const REBOOT: u16 = MavCmd::MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN as u16;
const SET_MESSAGE_INTERVAL: u16 = MavCmd::MAV_CMD_SET_MESSAGE_INTERVAL as u16;
const GET_MESSAGE_INTERVAL: u16 = MavCmd::MAV_CMD_GET_MESSAGE_INTERVAL as u16;
const REQUEST_MESSAGE: u16 = MavCmd::MAV_CMD_REQUEST_MESSAGE as u16;
// Superseded by MAV_CMD_REQUEST_MESSAGE, and still sent.
const REQUEST_CAPABILITIES: u16 = MavCmd::MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES as u16;
const REQUEST_PROTOCOL_VERSION: u16 = MavCmd::MAV_CMD_REQUEST_PROTOCOL_VERSION as u16;
const GET_HOME_POSITION: u16 = MavCmd::MAV_CMD_GET_HOME_POSITION as u16;

impl Protocol {
    /// Executes a command and says how it went.
    pub(super) fn execute(&mut self, command: &Command, streams: &mut Streams, outbox: &mut Outbox) -> MavResult {
        let order = match command.id {
            ARM_DISARM => self.arm_or_disarm(command),
            TAKEOFF | REPOSITION if !command.has_global_frame() => {
                return MavResult::MAV_RESULT_COMMAND_UNSUPPORTED_MAV_FRAME;
            }
            TAKEOFF => {
                // Latitude and longitude are ignored: it climbs where it is.
                let height = self.height_above_home(command);
                self.vehicle.take_off(height)
            }
            REPOSITION => self.reposition(command),
            LAND => self.vehicle.land(),
            RETURN_TO_LAUNCH => self.vehicle.return_home(),
            LOITER_UNLIMITED => {
                self.vehicle.hold(Mode::Hold);
                Ok(())
            }
            SET_MODE => self.command_mode(command),
            REBOOT => match command.whole(1) {
                Some(0) => Ok(()),
                Some(1) => self.vehicle.reboot(),
                _ => return MavResult::MAV_RESULT_DENIED,
            },
            SET_MESSAGE_INTERVAL => return self.set_interval(command, streams),
            GET_MESSAGE_INTERVAL => return send_interval(command.whole(1), streams, outbox),
            REQUEST_MESSAGE if command.whole(1) == Some(MESSAGE_INTERVAL_DATA::ID) => {
                return send_interval(command.whole(2), streams, outbox);
            }
            REQUEST_MESSAGE => return self.send_message(command.whole(1), outbox),
            REQUEST_CAPABILITIES => {
                return self.send_message(Some(AUTOPILOT_VERSION_DATA::ID), outbox);
            }
            REQUEST_PROTOCOL_VERSION => {
                return self.send_message(Some(PROTOCOL_VERSION_DATA::ID), outbox);
            }
            GET_HOME_POSITION => return self.send_message(Some(HOME_POSITION_DATA::ID), outbox),
            _ => return MavResult::MAV_RESULT_UNSUPPORTED,
        };
        self.explain(order, outbox)
    }

    /// Changes the mode as DO_SET_MODE and SET_MODE ask for it.
    pub(super) fn set_mode(&mut self, base_mode: u8, main: u8, sub: u8) -> Result<(), Refusal> {
        let custom = MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED.bits();
        let mode = Mode::from_px4(main, sub).filter(|_| base_mode & custom != 0);
        match mode.ok_or(Refusal::Invalid("Mode change denied: unsupported mode"))? {
            Mode::Takeoff => self.vehicle.take_off(None),
            Mode::Land => self.vehicle.land(),
            Mode::Return => self.vehicle.return_home(),
            mode @ (Mode::Hold | Mode::Position) => {
                self.vehicle.hold(mode);
                Ok(())
            }
        }
    }

    fn arm_or_disarm(&mut self, command: &Command) -> Result<(), Refusal> {
        match command.whole(1) {
            Some(1) => self.vehicle.arm(),
            Some(0) => self.vehicle.disarm(command.whole(2) == Some(FORCE)),
            _ => Err(Refusal::Invalid("Arming denied: neither 0 nor 1")),
        }
    }

    fn command_mode(&mut self, command: &Command) -> Result<(), Refusal> {
        let byte = |number| command.whole(number).and_then(|value| u8::try_from(value).ok());
        let (Some(base), Some(main), Some(sub)) = (byte(1), byte(2), byte(3)) else {
            return Err(Refusal::Invalid("Mode change denied: unsupported mode"));
        };
        self.set_mode(base, main, sub)
    }

    fn reposition(&mut self, command: &Command) -> Result<(), Refusal> {
        let [speed, _, _, yaw] = command.params.map(f64::from);
        let flags = command.whole(2).unwrap_or(0);
        let has = |flag: MavDoRepositionFlags| flags & u32::from(flag.bits()) != 0;
        let change_mode = has(MavDoRepositionFlags::MAV_DO_REPOSITION_FLAGS_CHANGE_MODE);
        if !change_mode && self.vehicle.mode() != Mode::Hold {
            return Err(Refusal::NotNow("Reposition denied: not in Hold"));
        }
        let place = command.latitude_longitude();
        if place.is_some_and(|(latitude, longitude)| latitude.abs() > 90.0 || longitude.abs() > 180.0) {
            return Err(Refusal::Invalid("Reposition denied: no such place"));
        }
        let relative = has(MavDoRepositionFlags::MAV_DO_REPOSITION_FLAGS_RELATIVE_YAW);
        let reference = if relative {
            self.vehicle.state().attitude.yaw
        } else {
            0.0
        };
        let frame = self.vehicle.frame;
        let height = self.height_above_home(command);
        self.vehicle.reposition(
            place.map(|(latitude, longitude)| frame.to_local(latitude, longitude)),
            height,
            yaw.is_finite().then_some(yaw + reference),
            // -1 is the documented default; 0 would never arrive.
            (speed > 0.0).then_some(speed),
        )
    }

    /// Metres above home of the altitude of a command, unless left open.
    fn height_above_home(&self, command: &Command) -> Option<f64> {
        Some(match command.altitude()? {
            Altitude::AboveHome(height) => height,
            Altitude::AboveSeaLevel(altitude) => altitude - self.vehicle.frame.origin().altitude_m,
        })
    }

    fn set_interval(&self, command: &Command, streams: &mut Streams) -> MavResult {
        let micros = command.params[1];
        let interval = if micros == 0.0 {
            Interval::Default
        } else if micros == -1.0 {
            Interval::Off
        } else if let Some(micros) = command.whole(2) {
            Interval::Every(Duration::from_micros(micros.into()))
        } else {
            return MavResult::MAV_RESULT_DENIED;
        };
        let id = command.whole(1);
        if id.is_some_and(|id| streams.set(id, interval, self.now)) {
            MavResult::MAV_RESULT_ACCEPTED
        } else {
            MavResult::MAV_RESULT_DENIED
        }
    }

    fn send_message(&self, id: Option<u32>, outbox: &mut Outbox) -> MavResult {
        let Some(message) = id.and_then(|id| self.telemetry(id)) else {
            // Not UNSUPPORTED, which would deny the command itself.
            return MavResult::MAV_RESULT_DENIED;
        };
        outbox.replies.push(message);
        MavResult::MAV_RESULT_ACCEPTED
    }
}

/// Replies with MESSAGE_INTERVAL: microseconds, -1 for off, 0 for a message
/// that cannot be streamed.
fn send_interval(id: Option<u32>, streams: &Streams, outbox: &mut Outbox) -> MavResult {
    // The field holds 16 bits; no id beyond them is streamed.
    let Some(message_id) = id.and_then(|id| u16::try_from(id).ok()) else {
        return MavResult::MAV_RESULT_DENIED;
    };
    let interval_us = match streams.interval(message_id.into()) {
        Ok(Some(interval)) => i32::try_from(interval.as_micros()).unwrap_or(i32::MAX),
        Ok(None) => -1,
        Err(()) => 0,
    };
    outbox.reply(&MESSAGE_INTERVAL_DATA {
        interval_us,
        message_id,
    });
    MavResult::MAV_RESULT_ACCEPTED
}
