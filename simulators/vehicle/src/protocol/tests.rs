//! The vehicle as a ground station meets it.

mod commands;
mod services;

use mavlink::MavlinkVersion;

use super::*;
use crate::frame::Frames;

const GCS: (u8, u8) = (255, 190);
const MINE: u8 = 7;

/// A vehicle, a ground station's streams, and the time.
struct Session {
    protocol: Protocol,
    streams: Streams,
    now: Duration,
}

impl Session {
    fn new() -> Self {
        Self {
            protocol: Protocol::new(MINE, Home::default(), Duration::from_secs(1_700_000_000)),
            streams: Streams::new(Duration::ZERO),
            now: Duration::ZERO,
        }
    }

    /// A session with a vehicle hovering at ten metres.
    fn flying() -> Self {
        let mut session = Self::new();
        assert_eq!(session.long(400, [1.0, 0.0, 0.0, 0.0], [0.0; 3]), 0);
        assert_eq!(session.long(22, [f32::NAN; 4], [f32::NAN, f32::NAN, 498.0]), 0);
        session.wait(30);
        assert_eq!(session.relative_altitude_m(), 10.0);
        session
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.protocol.advance(self.now);
        }
    }

    fn relative_altitude_m(&self) -> f64 {
        let payload = self.protocol.telemetry(GLOBAL_POSITION_INT_DATA::ID);
        let MavMessage::GLOBAL_POSITION_INT(position) = decode(&payload.expect("position")) else {
            panic!("not a position");
        };
        (f64::from(position.relative_alt) / 1e3 * 10.0).round() / 10.0
    }

    /// Sends what `payload` holds.
    fn deliver(&mut self, payload: &Payload) -> Outbox {
        let mut datagram = Vec::new();
        payload.write_frame(GCS.0, GCS.1, 0, &mut datagram);
        let frame = Frames::of(&datagram).next().expect("frame");
        let mut outbox = Outbox::default();
        self.protocol.receive(&frame, &mut self.streams, &mut outbox);
        outbox
    }

    /// Sends what `payload` holds; replies and broadcasts, decoded.
    fn exchange(&mut self, payload: &Payload) -> (Vec<MavMessage>, Vec<MavMessage>) {
        let outbox = self.deliver(payload);
        let decoded = |payloads: Vec<Payload>| payloads.iter().map(decode).collect();
        (decoded(outbox.replies), decoded(outbox.broadcasts))
    }

    fn send<M: MessageData>(&mut self, message: &M) -> Vec<MavMessage> {
        self.exchange(&Payload::of(message)).0
    }

    /// Sends a COMMAND_LONG; the number of the MAV_RESULT.
    ///
    /// Reads the acknowledgement from its bytes, for the types of the
    /// `mavlink` crate have no commands they do not know.
    fn long(&mut self, id: u16, params: [f32; 4], place: [f32; 3]) -> u32 {
        let outbox = self.deliver(&long(id, params, place, (MINE, 1)));
        let ack = &outbox.replies[0];
        assert_eq!(ack.message_id, COMMAND_ACK_DATA::ID);
        assert_eq!(ack.bytes[..2], id.to_le_bytes());
        assert_eq!(ack.bytes[8..], [GCS.0, GCS.1]);
        ack.bytes[2].into()
    }

    fn send_long(&mut self, id: u16, params: [f32; 4], place: [f32; 3], target: (u8, u8)) -> Vec<MavMessage> {
        self.exchange(&long(id, params, place, target)).0
    }

    /// Sends a COMMAND_INT; the number of the MAV_RESULT.
    fn int(&mut self, command: MavCmd, params: [f32; 4], frame: MavFrame, xyz: (i32, i32, f32)) -> u32 {
        let [param1, param2, param3, param4] = params;
        let (x, y, z) = xyz;
        result(&self.send(&COMMAND_INT_DATA {
            param1,
            param2,
            param3,
            param4,
            x,
            y,
            z,
            command,
            target_system: MINE,
            target_component: 1,
            frame,
            current: 0,
            autocontinue: 0,
        }))
    }
}

/// A COMMAND_LONG with any number.
fn long(id: u16, params: [f32; 4], place: [f32; 3], target: (u8, u8)) -> Payload {
    let mut bytes = Vec::new();
    for value in params.iter().chain(&place) {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(id.to_le_bytes());
    bytes.extend([target.0, target.1, 0]);
    Payload::from_bytes(COMMAND_LONG_DATA::ID, COMMAND_LONG_DATA::EXTRA_CRC, &bytes)
}

fn decode(payload: &Payload) -> MavMessage {
    use mavlink::Message as _;
    MavMessage::parse(MavlinkVersion::V2, payload.message_id, &payload.bytes).expect("decodes")
}

/// The result in the acknowledgement that must come first, and to the sender.
fn result(replies: &[MavMessage]) -> u32 {
    let Some(MavMessage::COMMAND_ACK(ack)) = replies.first() else {
        panic!("no acknowledgement in {replies:?}");
    };
    assert_eq!((ack.target_system, ack.target_component), GCS);
    ack.result as u32
}
