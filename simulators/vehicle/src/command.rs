//! COMMAND_LONG and COMMAND_INT as one thing, and their acknowledgement.
//!
//! Both are read from the bytes, not through the types of the `mavlink` crate:
//! those fail on a command or frame number they do not list, and a command
//! that is not understood must still be answered, as unsupported. Layouts are
//! from <https://mavlink.io/en/messages/common.html#COMMAND_LONG>.

use mavlink::MessageData as _;
use mavlink::dialects::common::{COMMAND_ACK_DATA, COMMAND_INT_DATA, COMMAND_LONG_DATA, MavFrame, MavResult};

use crate::frame::{Frame, Payload};

/// A command addressed to somebody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Command {
    /// Number of the MAV_CMD.
    pub(crate) id: u16,
    pub(crate) target_system: u8,
    pub(crate) target_component: u8,
    /// Parameters 1 to 4.
    pub(crate) params: [f32; 4],
    place: Place,
    z: f32,
}

/// Parameters 5 and 6.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Of a COMMAND_LONG: degrees, and altitude above mean sea level, which is
    /// how PX4 takes a command without a frame.
    Degrees { latitude: f32, longitude: f32 },
    /// Of a COMMAND_INT: degE7 in global frames.
    Scaled { frame: u8, x: i32, y: i32 },
}

/// An altitude in metres, and what it is counted from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Altitude {
    AboveSeaLevel(f64),
    AboveHome(f64),
}

impl Command {
    /// The command in a frame, if it holds one.
    pub(crate) fn of(frame: &Frame<'_>) -> Option<Self> {
        let bytes = frame.padded();
        let word = |at: usize| -> [u8; 4] { std::array::from_fn(|i| bytes[at + i]) };
        let float = |at| f32::from_le_bytes(word(at));
        let integer = |at| i32::from_le_bytes(word(at));
        let params = [float(0), float(4), float(8), float(12)];
        let z = float(24);
        let id = u16::from_le_bytes([bytes[28], bytes[29]]);
        let place = match frame.message_id {
            COMMAND_LONG_DATA::ID => Place::Degrees {
                latitude: float(16),
                longitude: float(20),
            },
            COMMAND_INT_DATA::ID => Place::Scaled {
                frame: bytes[32],
                x: integer(16),
                y: integer(20),
            },
            _ => return None,
        };
        Some(Self {
            id,
            target_system: bytes[30],
            target_component: bytes[31],
            params,
            place,
            z,
        })
    }

    /// Whether the coordinates are in a frame a global position can be read
    /// from.
    pub(crate) fn has_global_frame(&self) -> bool {
        match self.place {
            Place::Degrees { .. } => true,
            Place::Scaled { frame, .. } => is_above_sea_level(frame) || is_above_home(frame),
        }
    }

    /// Latitude and longitude in degrees, unless left open. In degE7,
    /// `INT32_MAX` is what NaN is in floats.
    pub(crate) fn latitude_longitude(&self) -> Option<(f64, f64)> {
        let (latitude, longitude) = match self.place {
            Place::Degrees { latitude, longitude } => (latitude.into(), longitude.into()),
            Place::Scaled { x, y, .. } if x != i32::MAX && y != i32::MAX => (f64::from(x) / 1e7, f64::from(y) / 1e7),
            Place::Scaled { .. } => return None,
        };
        (f64::is_finite(latitude) && f64::is_finite(longitude)).then_some((latitude, longitude))
    }

    /// The altitude, unless left open.
    pub(crate) fn altitude(&self) -> Option<Altitude> {
        let z = f64::from(self.z);
        z.is_finite().then_some(match self.place {
            Place::Scaled { frame, .. } if is_above_home(frame) => Altitude::AboveHome(z),
            _ => Altitude::AboveSeaLevel(z),
        })
    }

    /// A parameter that is a whole number, such as an id. `number` counts
    /// from 1, as the documentation of the commands does.
    pub(crate) fn whole(&self, number: usize) -> Option<u32> {
        let value = self.params[number - 1];
        (value >= 0.0 && value < u32::MAX as f32).then_some(value as u32)
    }
}

// The `_INT` frames are superseded, mean the same, and are still sent.
#[expect(deprecated)]
fn is_above_sea_level(frame: u8) -> bool {
    frame == MavFrame::MAV_FRAME_GLOBAL as u8 || frame == MavFrame::MAV_FRAME_GLOBAL_INT as u8
}

#[expect(deprecated)]
fn is_above_home(frame: u8) -> bool {
    frame == MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT as u8 || frame == MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT_INT as u8
}

/// COMMAND_ACK for any command number, known to the dialect or not.
pub(crate) fn acknowledge(command: u16, result: MavResult, system: u8, component: u8) -> Payload {
    let [low, high] = command.to_le_bytes();
    // After the result: progress and result_param2, unused here.
    let bytes = [low, high, result as u8, 0, 0, 0, 0, 0, system, component];
    let length = mavlink::utils::remove_trailing_zeroes(&bytes);
    Payload::from_bytes(COMMAND_ACK_DATA::ID, COMMAND_ACK_DATA::EXTRA_CRC, &bytes[..length])
}

#[cfg(test)]
mod tests {
    use mavlink::MavlinkVersion;
    use mavlink::dialects::common::MavCmd;

    use super::*;

    fn frame(message_id: u32, payload: &[u8]) -> Frame<'_> {
        Frame {
            version: MavlinkVersion::V2,
            system_id: 255,
            component_id: 190,
            message_id,
            payload,
        }
    }

    #[test]
    fn fields_are_where_the_mavlink_crate_puts_them() {
        let long = Payload::of(&COMMAND_LONG_DATA {
            param1: 1.0,
            param2: 2.0,
            param3: 3.0,
            param4: 4.0,
            param5: 47.5,
            param6: 8.5,
            param7: 500.0,
            command: MavCmd::MAV_CMD_NAV_TAKEOFF,
            target_system: 9,
            target_component: 1,
            confirmation: 0,
        });
        let command = Command::of(&frame(COMMAND_LONG_DATA::ID, &long.bytes)).expect("command");
        assert_eq!((command.id, command.target_system), (22, 9));
        assert_eq!(command.target_component, 1);
        assert_eq!(command.params, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(command.latitude_longitude(), Some((47.5, 8.5)));
        assert_eq!(command.altitude(), Some(Altitude::AboveSeaLevel(500.0)));

        let int = Payload::of(&COMMAND_INT_DATA {
            x: 475_000_000,
            y: -85_000_000,
            z: 20.0,
            command: MavCmd::MAV_CMD_DO_REPOSITION,
            target_system: 9,
            target_component: 1,
            frame: MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT,
            ..COMMAND_INT_DATA::DEFAULT
        });
        let command = Command::of(&frame(COMMAND_INT_DATA::ID, &int.bytes)).expect("command");
        assert_eq!((command.id, command.target_system), (192, 9));
        assert!(command.has_global_frame());
        assert_eq!(command.latitude_longitude(), Some((47.5, -8.5)));
        assert_eq!(command.altitude(), Some(Altitude::AboveHome(20.0)));
    }

    #[test]
    fn open_values_are_none_and_odd_numbers_are_no_ids() {
        let int = Payload::of(&COMMAND_INT_DATA {
            param1: f32::NAN,
            param2: -1.0,
            param3: 1e30,
            param4: 12.0,
            x: i32::MAX,
            z: f32::NAN,
            frame: MavFrame::MAV_FRAME_LOCAL_NED,
            ..COMMAND_INT_DATA::DEFAULT
        });
        let command = Command::of(&frame(COMMAND_INT_DATA::ID, &int.bytes)).expect("command");
        assert_eq!(command.latitude_longitude(), None);
        assert_eq!(command.altitude(), None);
        assert!(!command.has_global_frame());
        let ids = [1, 2, 3, 4].map(|number| command.whole(number));
        assert_eq!(ids, [None, None, None, Some(12)]);
    }

    #[test]
    fn the_acknowledgement_equals_that_of_the_mavlink_crate() {
        for (system, component) in [(255, 190), (1, 0), (0, 0)] {
            let expected = Payload::of(&COMMAND_ACK_DATA {
                command: MavCmd::MAV_CMD_NAV_LAND,
                result: MavResult::MAV_RESULT_DENIED,
                progress: 0,
                result_param2: 0,
                target_system: system,
                target_component: component,
            });
            let written = acknowledge(21, MavResult::MAV_RESULT_DENIED, system, component);
            assert_eq!(written, expected);
        }
    }
}
