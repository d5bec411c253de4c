//! The MAVLink messages that health checks need: HEARTBEAT, as a ground station sends it, and those that tell how much time
//! has passed for a vehicle.
//!
//! Frames: <https://mavlink.io/en/guide/serialization.html>; the messages, HEARTBEAT (id 0, CRC_EXTRA 50), SYSTEM_TIME (2, 137)
//! and ATTITUDE (30, 39): <https://mavlink.io/en/messages/common.html>; the checksum, CRC-16/MCRF4XX ("X.25" in MAVLink):
//! <https://mavlink.io/en/guide/serialization.html#checksum>.

use std::time::Duration;

const MAGIC_V2: u8 = 0xFD;
const MAGIC_V1: u8 = 0xFE;
const HEARTBEAT: u32 = 0;
const HEARTBEAT_CRC_EXTRA: u8 = 50;
const SYSTEM_TIME: u32 = 2;
const SYSTEM_TIME_CRC_EXTRA: u8 = 137;
const ATTITUDE: u32 = 30;
const ATTITUDE_CRC_EXTRA: u8 = 39;
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
    Messages(datagram).any(|message| message.id == HEARTBEAT)
}

/// Returns how much time has passed for a vehicle since it booted, by the last message of a datagram that tells that.
pub(crate) fn since_boot(datagram: &[u8]) -> Option<Duration> {
    let told = Messages(datagram).filter_map(|message| {
        let at = match message.id {
            SYSTEM_TIME => 8,
            ATTITUDE => 0,
            _ => return None,
        };
        // Zeros at the end of a payload are left out in MAVLink 2.
        let byte = |place: usize| message.payload.get(at + place).copied().unwrap_or_default();
        let millis = u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
        Some(Duration::from_millis(millis.into()))
    });
    told.last()
}

/// A message whose checksum is right.
struct Message<'a> {
    id: u32,
    payload: &'a [u8],
}

/// The messages of a datagram that this module knows, other bytes left out.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        while let Some(&magic) = self.0.first() {
            let frame = match magic {
                MAGIC_V2 => Frame::v2(self.0),
                MAGIC_V1 => Frame::v1(self.0),
                _ => None,
            };
            let (length, message) = frame.map_or((1, None), |frame| frame.read());
            self.0 = &self.0[length..];
            if message.is_some() {
                return message;
            }
        }
        None
    }
}

/// A whole frame at the beginning of some bytes.
struct Frame<'a> {
    id: u32,
    payload: &'a [u8],
    /// What the checksum is of.
    checked: &'a [u8],
    checksum: u16,
    length: usize,
}

impl<'a> Frame<'a> {
    fn v2(data: &'a [u8]) -> Option<Self> {
        let (&payload, &flags) = (data.get(1)?, data.get(2)?);
        let signature = if flags & INCOMPAT_SIGNED == 0 { 0 } else { 13 };
        let id = |data: &[u8]| u32::from_le_bytes([data[7], data[8], data[9], 0]);
        Frame::new(data, 10, payload, signature, id)
    }

    fn v1(data: &'a [u8]) -> Option<Self> {
        Frame::new(data, 6, *data.get(1)?, 0, |data| u32::from(data[5]))
    }

    fn new(data: &'a [u8], header: usize, payload: u8, signature: usize, id: impl Fn(&[u8]) -> u32) -> Option<Self> {
        let end = header + usize::from(payload);
        let length = end + 2 + signature;
        data.get(..length)?;
        Some(Frame {
            id: id(data),
            payload: &data[header..end],
            checked: &data[1..end],
            checksum: u16::from_le_bytes([data[end], data[end + 1]]),
            length,
        })
    }

    /// Returns how many bytes are done with, and the message, if it is one that is known. One that is damaged may be none at
    /// all, so that the next one can begin within it.
    fn read(self) -> (usize, Option<Message<'a>>) {
        let extra = match self.id {
            HEARTBEAT => HEARTBEAT_CRC_EXTRA,
            SYSTEM_TIME => SYSTEM_TIME_CRC_EXTRA,
            ATTITUDE => ATTITUDE_CRC_EXTRA,
            _ => return (self.length, None),
        };
        let Frame { id, payload, .. } = self;
        match crc(self.checked, extra) == self.checksum {
            true => (self.length, Some(Message { id, payload })),
            false => (1, None),
        }
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
pub(crate) mod tests {
    use super::*;

    fn frame(id: u8, extra: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![MAGIC_V2, payload.len() as u8, 0, 0, 0, 1, 1, id, 0, 0];
        frame.extend(payload);
        let checksum = crc(&frame[1..], extra);
        frame.extend(checksum.to_le_bytes());
        frame
    }

    /// An ATTITUDE of a vehicle, so long after it booted.
    pub(crate) fn attitude(since_boot: Duration) -> Vec<u8> {
        let mut payload = [0; 28];
        payload[..4].copy_from_slice(&(since_boot.as_millis() as u32).to_le_bytes());
        payload[27] = 1;
        frame(30, ATTITUDE_CRC_EXTRA, &payload)
    }

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // CRC-16/MCRF4XX of "123456789" is 0x6F91 (https://reveng.sourceforge.io/crc-catalogue/16.htm).
        assert_eq!(crc(b"12345678", b'9'), 0x6F91);
    }

    #[test]
    fn the_time_of_a_vehicle_is_that_of_its_last_message() {
        // 1,000 ms, of which the zeros at the end are left out.
        let time = frame(2, SYSTEM_TIME_CRC_EXTRA, &[0, 0, 0, 0, 0, 0, 0, 0, 0xE8, 0x03]);
        let attitude = attitude(Duration::from_secs(2));
        let other = heartbeat(1).to_vec();
        let mut damaged = attitude.clone();
        damaged[10] ^= 1;
        for (name, datagram, expected) in [
            ("SYSTEM_TIME", time.clone(), Some(1000)),
            ("ATTITUDE", attitude.clone(), Some(2000)),
            (
                "the last one",
                [time.clone(), other.clone(), attitude].concat(),
                Some(2000),
            ),
            ("before one that is damaged", [time, damaged].concat(), Some(1000)),
            ("none", other, None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(since_boot(&datagram), expected, "{name}");
        }
    }

    #[test]
    fn heartbeats_are_found_among_other_bytes() {
        let own = heartbeat(7);
        let mut other = own;
        other[7] = 1; // Message id 1, which is not known: its checksum is not looked at.
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
