//! MAVLink framing: frames out of a datagram, payloads into frames.
//!
//! The reader of the `mavlink` crate works on streams and drops what it cannot
//! decode. Here a datagram is the unit, damaged frames are counted, and a
//! frame whose enumerations this dialect does not know must survive, so that a
//! command from a newer ground station is still answered. Layouts are from
//! <https://mavlink.io/en/guide/serialization.html>.

use mavlink::dialects::common::MavMessage;
use mavlink::{MAV_STX, MAV_STX_V2, MavlinkVersion, Message as _, MessageData, calculate_crc, error::ParserError};

const HEADER_V1: usize = 6;
const HEADER_V2: usize = 10;
const CHECKSUM: usize = 2;
const SIGNATURE: usize = 13;
/// Incompatibility flag of a signed frame, the only one a receiver may meet
/// without having agreed to it. Signatures are not verified.
const FLAG_SIGNED: u8 = 0x01;

/// Longest payload of a frame.
pub(crate) const MAX_PAYLOAD: usize = 255;

/// A frame that arrived intact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame<'a> {
    pub(crate) version: MavlinkVersion,
    pub(crate) system_id: u8,
    pub(crate) component_id: u8,
    pub(crate) message_id: u32,
    /// As sent, that is without the trailing zeros MAVLink 2 cuts off.
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// The message, unless it has a value this dialect does not know.
    pub(crate) fn message(&self) -> Result<MavMessage, ParserError> {
        MavMessage::parse(self.version, self.message_id, self.payload)
    }

    /// The payload with its trailing zeros restored.
    pub(crate) fn padded(&self) -> [u8; MAX_PAYLOAD] {
        let mut padded = [0; MAX_PAYLOAD];
        padded[..self.payload.len()].copy_from_slice(self.payload);
        padded
    }
}

/// The intact frames of a datagram, and the number of damaged ones.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
    damaged: u16,
}

impl<'a> Frames<'a> {
    pub(crate) fn of(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            damaged: 0,
        }
    }

    /// Number of frame markers passed so far that led to no intact frame.
    pub(crate) fn damaged(&self) -> u16 {
        self.damaged
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            let is_marker = |byte: &u8| matches!(*byte, MAV_STX | MAV_STX_V2);
            let start = self.rest.iter().position(is_marker)?;
            self.rest = &self.rest[start..];
            match parse(self.rest) {
                Parsed::Intact(frame, length) => {
                    self.rest = &self.rest[length..];
                    return Some(frame);
                }
                Parsed::Foreign(length) => self.rest = &self.rest[length..],
                Parsed::Damaged => {
                    // The marker may have been payload of something else: look
                    // for the next one right behind it.
                    self.damaged = self.damaged.saturating_add(1);
                    self.rest = &self.rest[1..];
                }
            }
        }
    }
}

enum Parsed<'a> {
    Intact(Frame<'a>, usize),
    /// A message of another dialect, whose checksum cannot be verified.
    Foreign(usize),
    Damaged,
}

/// Parses the frame at the start of `bytes`, which begin with a marker.
fn parse(bytes: &[u8]) -> Parsed<'_> {
    try_parse(bytes).unwrap_or(Parsed::Damaged)
}

fn try_parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    let (version, header, signature) = match *bytes {
        [MAV_STX, ..] => (MavlinkVersion::V1, HEADER_V1, 0),
        [MAV_STX_V2, _, 0, ..] => (MavlinkVersion::V2, HEADER_V2, 0),
        [MAV_STX_V2, _, FLAG_SIGNED, ..] => (MavlinkVersion::V2, HEADER_V2, SIGNATURE),
        _ => return None,
    };
    let payload_end = header + usize::from(*bytes.get(1)?);
    let frame_end = payload_end + CHECKSUM;
    let checksum = bytes.get(payload_end..frame_end)?;
    bytes.get(frame_end..frame_end + signature)?;
    let head = &bytes[..header];
    let (ids, message_id) = match version {
        MavlinkVersion::V1 => (&head[3..5], u32::from(head[5])),
        MavlinkVersion::V2 => (&head[5..7], u32::from_le_bytes([head[7], head[8], head[9], 0])),
    };
    let length = frame_end + signature;
    if MavMessage::default_message_from_id(message_id).is_none() {
        // Its length is unverified too; believe it only if a frame, or
        // nothing, follows.
        let plausible = matches!(bytes.get(length), None | Some(&(MAV_STX | MAV_STX_V2)));
        return plausible.then_some(Parsed::Foreign(length));
    }
    let extra = MavMessage::extra_crc(message_id);
    if calculate_crc(&bytes[1..payload_end], extra).to_le_bytes() != *checksum {
        return None;
    }
    let frame = Frame {
        version,
        system_id: ids[0],
        component_id: ids[1],
        message_id,
        payload: &bytes[header..payload_end],
    };
    Some(Parsed::Intact(frame, length))
}

/// A message ready to be framed for any number of peers.
///
/// Peers differ in sequence number only, so the payload is encoded once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payload {
    pub(crate) message_id: u32,
    extra_crc: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Payload {
    pub(crate) fn of<M: MessageData>(message: &M) -> Self {
        let mut bytes = [0; MAX_PAYLOAD];
        let length = message.ser(MavlinkVersion::V2, &mut bytes);
        Self::from_bytes(M::ID, M::EXTRA_CRC, &bytes[..length])
    }

    /// A payload whose trailing zeros are already cut off.
    pub(crate) fn from_bytes(message_id: u32, extra_crc: u8, bytes: &[u8]) -> Self {
        Self {
            message_id,
            extra_crc,
            bytes: bytes.to_vec(),
        }
    }

    /// Length of the frame in bytes.
    pub(crate) fn frame_length(&self) -> usize {
        HEADER_V2 + self.bytes.len() + CHECKSUM
    }

    /// Appends the MAVLink 2 frame to `datagram`.
    pub(crate) fn write_frame(&self, system_id: u8, component_id: u8, sequence: u8, datagram: &mut Vec<u8>) {
        let start = datagram.len();
        let [id_0, id_1, id_2, _] = self.message_id.to_le_bytes();
        let length = self.bytes.len() as u8;
        datagram.extend([MAV_STX_V2, length, 0, 0]);
        datagram.extend([sequence, system_id, component_id, id_0, id_1, id_2]);
        datagram.extend(&self.bytes);
        let checksum = calculate_crc(&datagram[start + 1..], self.extra_crc);
        datagram.extend(checksum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
