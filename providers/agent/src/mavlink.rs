//! The one MAVLink message that a health check needs: HEARTBEAT, as a ground station sends it.
//!
//! Frames: <https://mavlink.io/en/guide/serialization.html>; the message (id 0, CRC_EXTRA 50):
//! <https://mavlink.io/en/messages/common.html#HEARTBEAT>; the checksum, CRC-16/MCRF4XX ("X.25" in MAVLink):
//! <https://mavlink.io/en/guide/serialization.html#checksum>.

const MAGIC_V2: u8 = 0xFD;
const MAGIC_V1: u8 = 0xFE;
const HEARTBEAT_CRC_EXTRA: u8 = 50;
const INCOMPAT_SIGNED: u8 = 0x01;

/// Returns a MAVLink 2 HEARTBEAT of a ground station: system 255, component 190 (MAV_COMP_ID_MISSIONPLANNER).
pub(crate) fn heartbeat(sequence: u8) -> [u8; 21] {
    let mut frame = [0u8; 21];
    frame[0] = MAGIC_V2;
    frame[1] = 9;
    // Incompatibility and compatibility flags stay 0.
    frame[4] = sequence;
    frame[5] = 255;
    frame[6] = 190;
    // Message id 0, three bytes. Payload: custom_mode (4 bytes) 0, then
    frame[14] = 6; // type: MAV_TYPE_GCS
    frame[15] = 8; // autopilot: MAV_AUTOPILOT_INVALID
    frame[16] = 0; // base_mode
    frame[17] = 4; // system_status: MAV_STATE_ACTIVE
    frame[18] = 3; // mavlink_version
    let checksum = crc(&frame[1..19], HEARTBEAT_CRC_EXTRA);
    frame[19..].copy_from_slice(&checksum.to_le_bytes());
    frame
}

/// Whether a datagram holds a valid HEARTBEAT, of MAVLink 1 or 2.
pub(crate) fn has_heartbeat(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(&magic) = rest.first() {
        let length = match magic {
            MAGIC_V2 => heartbeat_v2(rest),
            MAGIC_V1 => heartbeat_v1(rest),
            _ => Frame::None,
        };
        match length {
            Frame::Heartbeat => return true,
            Frame::Other(length) => rest = &rest[length..],
            Frame::None => rest = &rest[1..],
        }
    }
    false
}

enum Frame {
    Heartbeat,
    /// Another message, of so many bytes.
    Other(usize),
    /// No frame, or one that is cut off.
    None,
}

fn heartbeat_v2(data: &[u8]) -> Frame {
    let (Some(&payload), Some(&flags)) = (data.get(1), data.get(2)) else {
        return Frame::None;
    };
    let end = 10 + usize::from(payload);
    let signature = if flags & INCOMPAT_SIGNED == 0 { 0 } else { 13 };
    let Some(frame) = data.get(..end + 2 + signature) else {
        return Frame::None;
    };
    if frame[7..10] != [0, 0, 0] {
        return Frame::Other(frame.len());
    }
    let checksum = u16::from_le_bytes([frame[end], frame[end + 1]]);
    if crc(&frame[1..end], HEARTBEAT_CRC_EXTRA) == checksum {
        Frame::Heartbeat
    } else {
        Frame::None
    }
}

fn heartbeat_v1(data: &[u8]) -> Frame {
    let Some(&payload) = data.get(1) else {
        return Frame::None;
    };
    let end = 6 + usize::from(payload);
    let Some(frame) = data.get(..end + 2) else {
        return Frame::None;
    };
    if frame[5] != 0 {
        return Frame::Other(frame.len());
    }
    let checksum = u16::from_le_bytes([frame[end], frame[end + 1]]);
    if crc(&frame[1..end], HEARTBEAT_CRC_EXTRA) == checksum {
        Frame::Heartbeat
    } else {
        Frame::None
    }
}

/// CRC-16/MCRF4XX of the bytes and then of the message's CRC_EXTRA.
fn crc(bytes: &[u8], extra: u8) -> u16 {
    bytes.iter().chain([&extra]).fold(0xFFFF, |crc: u16, byte| {
        let mut low = byte ^ (crc & 0xFF) as u8;
        low ^= low << 4;
        let low = u16::from(low);
        (crc >> 8) ^ (low << 8) ^ (low << 3) ^ (low >> 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // CRC-16/MCRF4XX of "123456789" is 0x6F91 (https://reveng.sourceforge.io/crc-catalogue/16.htm).
        assert_eq!(crc(b"12345678", b'9'), 0x6F91);
    }

    #[test]
    fn heartbeats_are_found_among_other_bytes() {
        let own = heartbeat(7);
        let mut other = own;
        other[7] = 1; // Message id 1; its checksum is not looked at.
        let mut damaged = own;
        damaged[14] ^= 1;
        let v1 = {
            let mut frame = vec![MAGIC_V1, 9, 0, 1, 1, 0, 0, 0, 0, 0, 2, 3, 0, 4, 3];
            let checksum = crc(&frame[1..], HEARTBEAT_CRC_EXTRA);
            frame.extend(checksum.to_le_bytes());
            frame
        };
        for (name, datagram, expected) in [
            ("its own", own.to_vec(), true),
            ("MAVLink 1", v1, true),
            ("after another", [other.to_vec(), own.to_vec()].concat(), true),
            ("after noise", [vec![0x55, MAGIC_V2], own.to_vec()].concat(), true),
            ("another alone", other.to_vec(), false),
            ("damaged", damaged.to_vec(), false),
            ("cut off", own[..20].to_vec(), false),
            ("empty", Vec::new(), false),
        ] {
            assert_eq!(has_heartbeat(&datagram), expected, "{name}");
        }
    }
}
