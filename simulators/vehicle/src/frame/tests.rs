use mavlink::dialects::common::{ATTITUDE_DATA, HEARTBEAT_DATA, MavAutopilot, MavType};
use mavlink::{MAVLinkV1MessageRaw, MAVLinkV2MessageRaw, MavHeader};

use super::*;

const HEADER: MavHeader = MavHeader {
    system_id: 255,
    component_id: 190,
    sequence: 42,
};

fn heartbeat() -> HEARTBEAT_DATA {
    HEARTBEAT_DATA {
        mavtype: MavType::MAV_TYPE_GCS,
        autopilot: MavAutopilot::MAV_AUTOPILOT_INVALID,
        ..HEARTBEAT_DATA::DEFAULT
    }
}

/// A heartbeat as the `mavlink` crate frames it.
fn reference(version: MavlinkVersion) -> Vec<u8> {
    match version {
        MavlinkVersion::V1 => {
            let mut raw = MAVLinkV1MessageRaw::new();
            raw.serialize_message_data(HEADER, &heartbeat());
            raw.raw_bytes().to_vec()
        }
        MavlinkVersion::V2 => {
            let mut raw = MAVLinkV2MessageRaw::new();
            raw.serialize_message_data(HEADER, &heartbeat());
            raw.raw_bytes().to_vec()
        }
    }
}

#[test]
fn frames_equal_those_of_the_mavlink_crate() {
    let mut written = Vec::new();
    Payload::of(&heartbeat()).write_frame(255, 190, 42, &mut written);
    assert_eq!(written, reference(MavlinkVersion::V2));
    assert_eq!(written.len(), Payload::of(&heartbeat()).frame_length());
}

#[test]
fn both_versions_are_read_also_between_noise() {
    let mut datagram = vec![0x00, MAV_STX, 0x01, MAV_STX_V2];
    datagram.extend(reference(MavlinkVersion::V1));
    datagram.extend([MAV_STX_V2, 9]);
    datagram.extend(reference(MavlinkVersion::V2));
    let mut frames = Frames::of(&datagram);
    for version in [MavlinkVersion::V1, MavlinkVersion::V2] {
        let frame = frames.next().expect("frame");
        assert_eq!(frame.version, version);
        assert_eq!((frame.system_id, frame.component_id), (255, 190));
        assert!(matches!(frame.message(), Ok(MavMessage::HEARTBEAT(_))));
    }
    assert_eq!(frames.next(), None);
    assert_eq!(frames.damaged(), 3);
}

#[test]
fn a_flipped_bit_is_a_damaged_frame() {
    let intact = reference(MavlinkVersion::V2);
    for index in 3..intact.len() {
        let mut bytes = intact.clone();
        bytes[index] ^= 0x10;
        let mut frames = Frames::of(&bytes);
        assert_eq!(frames.next(), None, "byte {index}");
    }
}

#[test]
fn signed_frames_are_read_and_other_flags_refused() {
    let mut signed = reference(MavlinkVersion::V2);
    signed[2] = FLAG_SIGNED;
    let end = signed.len() - CHECKSUM;
    let checksum = calculate_crc(&signed[1..end], HEARTBEAT_DATA::EXTRA_CRC);
    signed[end..].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(Frames::of(&signed).next(), None, "signature is missing");
    signed.extend([0; SIGNATURE]);
    let second = reference(MavlinkVersion::V2);
    signed.extend(&second);
    assert_eq!(Frames::of(&signed).count(), 2);

    let mut unknown = second;
    unknown[2] = 0x80;
    assert_eq!(Frames::of(&unknown).next(), None);
}

#[test]
fn messages_of_other_dialects_are_skipped_without_blame() {
    let mut datagram = Vec::new();
    Payload::from_bytes(0xFF_FFFF, 0, &[1]).write_frame(255, 190, 0, &mut datagram);
    Payload::of(&ATTITUDE_DATA::DEFAULT).write_frame(255, 190, 1, &mut datagram);
    let mut frames = Frames::of(&datagram);
    assert_eq!(frames.next().map(|frame| frame.message_id), Some(ATTITUDE_DATA::ID));
    assert_eq!((frames.next(), frames.damaged()), (None, 0));
}

#[test]
fn truncated_datagrams_hold_no_frame() {
    for version in [MavlinkVersion::V1, MavlinkVersion::V2] {
        let intact = reference(version);
        for length in 0..intact.len() {
            assert_eq!(Frames::of(&intact[..length]).next(), None);
        }
    }
}
