//! Flight modes, in the numbers of PX4.
//!
//! The vehicle announces MAV_AUTOPILOT_PX4. MAV_AUTOPILOT_GENERIC would give
//! `custom_mode` no meaning: QGroundControl then offers no guided actions, and
//! pymavlink falls back to ArduPilot's mode numbers. With PX4 each of them
//! names the modes right, as does MAVSDK. The numbers are from PX4's
//! `px4_custom_mode.h`: main mode in bits 16-23, sub mode in bits 24-31.

use mavlink::dialects::common::MavModeFlag;

const MAIN_MODE_POSCTL: u8 = 3;
const MAIN_MODE_AUTO: u8 = 4;
const SUB_MODE_AUTO_TAKEOFF: u8 = 2;
const SUB_MODE_AUTO_LOITER: u8 = 3;
const SUB_MODE_AUTO_RTL: u8 = 5;
const SUB_MODE_AUTO_LAND: u8 = 6;

/// A flight mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Position control; without a pilot's sticks it holds position.
    Position,
    /// Climbing to the takeoff altitude.
    Takeoff,
    /// Holding position, or flying to a commanded one.
    Hold,
    /// Returning home and landing there.
    Return,
    /// Landing here.
    Land,
}

impl Mode {
    /// The mode as HEARTBEAT reports it.
    pub(crate) fn custom_mode(self) -> u32 {
        let (main, sub) = match self {
            Self::Position => (MAIN_MODE_POSCTL, 0),
            Self::Takeoff => (MAIN_MODE_AUTO, SUB_MODE_AUTO_TAKEOFF),
            Self::Hold => (MAIN_MODE_AUTO, SUB_MODE_AUTO_LOITER),
            Self::Return => (MAIN_MODE_AUTO, SUB_MODE_AUTO_RTL),
            Self::Land => (MAIN_MODE_AUTO, SUB_MODE_AUTO_LAND),
        };
        u32::from_le_bytes([0, 0, main, sub])
    }

    /// The mode of a main and sub mode, if the vehicle has it.
    pub(crate) fn from_px4(main: u8, sub: u8) -> Option<Self> {
        match (main, sub) {
            (MAIN_MODE_POSCTL, 0) => Some(Self::Position),
            (MAIN_MODE_AUTO, SUB_MODE_AUTO_TAKEOFF) => Some(Self::Takeoff),
            (MAIN_MODE_AUTO, SUB_MODE_AUTO_LOITER) => Some(Self::Hold),
            (MAIN_MODE_AUTO, SUB_MODE_AUTO_RTL) => Some(Self::Return),
            (MAIN_MODE_AUTO, SUB_MODE_AUTO_LAND) => Some(Self::Land),
            _ => None,
        }
    }

    /// The flags PX4 sets for the mode.
    pub(crate) fn base_mode(self, armed: bool) -> MavModeFlag {
        let mut flags = MavModeFlag::MAV_MODE_FLAG_CUSTOM_MODE_ENABLED
            | MavModeFlag::MAV_MODE_FLAG_STABILIZE_ENABLED
            | MavModeFlag::MAV_MODE_FLAG_GUIDED_ENABLED
            | match self {
                Self::Position => MavModeFlag::MAV_MODE_FLAG_MANUAL_INPUT_ENABLED,
                _ => MavModeFlag::MAV_MODE_FLAG_AUTO_ENABLED,
            };
        flags.set(MavModeFlag::MAV_MODE_FLAG_SAFETY_ARMED, armed);
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_round_trip_through_their_numbers() {
        for mode in [Mode::Position, Mode::Takeoff, Mode::Hold, Mode::Return, Mode::Land] {
            let [_, _, main, sub] = mode.custom_mode().to_le_bytes();
            assert_eq!(Mode::from_px4(main, sub), Some(mode));
        }
        assert_eq!(Mode::from_px4(6, 0), None, "offboard");
        assert_eq!(Mode::from_px4(4, 4), None, "mission");
    }

    #[test]
    fn flags_tell_armed_and_custom_mode() {
        assert_eq!(Mode::Hold.base_mode(false).bits(), 1 | 4 | 8 | 16);
        assert_eq!(Mode::Hold.base_mode(true).bits(), 1 | 4 | 8 | 16 | 128);
        assert_eq!(Mode::Position.base_mode(false).bits(), 1 | 8 | 16 | 64);
    }
}
