//! Addressing, parameters, missions, time, and noise.

use super::*;
use crate::link::tests::Random;

#[test]
fn only_what_is_addressed_to_the_vehicle_is_answered() {
    for (target, answered) in [
        ((MINE, 1), true),
        ((MINE, 0), true),
        ((0, 0), true),
        ((0, 1), true),
        ((MINE, 154), false),
        ((MINE + 1, 1), false),
        ((MINE + 1, 0), false),
    ] {
        let mut session = Session::new();
        let (target_system, target_component) = target;
        let command = session.send_long(400, [1.0, 0.0, 0.0, 0.0], [0.0; 3], target);
        assert_eq!(!command.is_empty(), answered, "{target:?}");
        assert_eq!(session.protocol.next_motion().is_some(), answered, "armed");
        let list = session.send(&PARAM_REQUEST_LIST_DATA {
            target_system,
            target_component,
        });
        assert_eq!(!list.is_empty(), answered, "{target:?}");
        let missions = session.send(&MISSION_REQUEST_LIST_DATA {
            target_system,
            target_component,
            mission_type: MavMissionType::MAV_MISSION_TYPE_RALLY,
        });
        assert_eq!(!missions.is_empty(), answered, "{target:?}");
    }
}

fn param_set(name: &str, value: f32, kind: MavParamType) -> PARAM_SET_DATA {
    PARAM_SET_DATA {
        param_value: value,
        target_system: MINE,
        target_component: 1,
        param_id: name.into(),
        param_type: kind,
    }
}

#[test]
fn parameters_are_listed_read_and_set() {
    let mut session = Session::new();
    let list = session.send(&PARAM_REQUEST_LIST_DATA {
        target_system: MINE,
        target_component: 1,
    });
    assert_eq!(list.len(), usize::from(parameters::COUNT));
    for (index, message) in list.iter().enumerate() {
        let MavMessage::PARAM_VALUE(value) = message else {
            panic!("{message:?}");
        };
        assert_eq!(usize::from(value.param_index), index);
        assert_eq!(value.param_count, parameters::COUNT);
        for (param_index, param_id) in [(-1, value.param_id), (index as i16, "".into())] {
            let read = session.send(&PARAM_REQUEST_READ_DATA {
                param_index,
                target_system: MINE,
                target_component: 1,
                param_id,
            });
            assert_eq!(read, std::slice::from_ref(message));
        }
    }

    let real = MavParamType::MAV_PARAM_TYPE_REAL32;
    let set = Payload::of(&param_set("MIS_TAKEOFF_ALT", 20.0, real));
    let (replies, broadcasts) = session.exchange(&set);
    assert!(replies.is_empty());
    let [MavMessage::PARAM_VALUE(value)] = &broadcasts[..] else {
        panic!("{broadcasts:?}");
    };
    assert_eq!(value.param_value, 20.0);
}

#[test]
fn refused_parameters_echo_the_value_in_force_and_name_the_reason() {
    use MavParamError::*;
    let real = MavParamType::MAV_PARAM_TYPE_REAL32;
    let int = MavParamType::MAV_PARAM_TYPE_INT32;
    for (name, value, kind, expected) in [
        ("MIS_TAKEOFF_ALT", 1e6, real, MAV_PARAM_ERROR_VALUE_OUT_OF_RANGE),
        ("MIS_TAKEOFF_ALT", 1.0, int, MAV_PARAM_ERROR_TYPE_MISMATCH),
        ("MAV_SYS_ID", 0.0, int, MAV_PARAM_ERROR_READ_ONLY),
        ("NO_SUCH_PARAM", 0.0, real, MAV_PARAM_ERROR_DOES_NOT_EXIST),
    ] {
        let mut session = Session::new();
        let (replies, echo) = session.exchange(&Payload::of(&param_set(name, value, kind)));
        let [MavMessage::PARAM_ERROR(error)] = &replies[..] else {
            panic!("{replies:?}");
        };
        assert_eq!(error.error, expected);
        assert_eq!((error.target_system, error.target_component), GCS);
        let known = expected != MAV_PARAM_ERROR_DOES_NOT_EXIST;
        assert_eq!(echo.len(), usize::from(known));
    }
}

#[test]
fn missions_are_empty_and_uploads_end() {
    let mut session = Session::new();
    let mission_type = MavMissionType::MAV_MISSION_TYPE_MISSION;
    let replies = session.send(&MISSION_REQUEST_LIST_DATA {
        target_system: MINE,
        target_component: 1,
        mission_type,
    });
    let [MavMessage::MISSION_COUNT(count)] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert_eq!((count.count, count.mission_type), (0, mission_type));
    for (count, expected) in [
        (0, MavMissionResult::MAV_MISSION_ACCEPTED),
        (3, MavMissionResult::MAV_MISSION_UNSUPPORTED),
    ] {
        let replies = session.send(&MISSION_COUNT_DATA {
            count,
            target_system: MINE,
            target_component: 1,
            mission_type,
            opaque_id: 0,
        });
        let [MavMessage::MISSION_ACK(ack)] = &replies[..] else {
            panic!("{replies:?}");
        };
        assert_eq!(ack.mavtype, expected);
    }
}

#[test]
fn time_requests_are_answered_and_answers_are_not() {
    let mut session = Session::new();
    session.wait(3);
    let timesync = |tc1| TIMESYNC_DATA {
        tc1,
        ts1: 42,
        target_system: 0,
        target_component: 0,
    };
    let replies = session.send(&timesync(0));
    let [MavMessage::TIMESYNC(answer)] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert_eq!((answer.tc1, answer.ts1), (3_000_000_000, 42));
    assert!(session.send(&timesync(1)).is_empty());

    let ping = |target_system| PING_DATA {
        time_usec: 5,
        seq: 6,
        target_system,
        target_component: target_system,
    };
    let replies = session.send(&ping(0));
    let [MavMessage::PING(answer)] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert_eq!((answer.time_usec, answer.seq), (5, 6));
    assert_eq!((answer.target_system, answer.target_component), GCS);
    assert!(session.send(&ping(MINE)).is_empty());
}

#[test]
fn arbitrary_payloads_with_valid_checksums_never_panic() {
    let mut random = Random::new(1);
    let mut session = Session::flying();
    let ids = [4, 11, 20, 21, 23, 43, 44, 45, 66, 75, 76, 111, 0, 69, 84, 86, 110];
    for round in 0..50_000 {
        use mavlink::Message as _;
        let id = ids[round % ids.len()];
        let length = random.below(256);
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let payload = Payload::from_bytes(id, MavMessage::extra_crc(id), &bytes);
        let mut outbox = session.deliver(&payload);
        session.now += Duration::from_millis(random.below(40) as u64);
        session.protocol.advance(session.now);
        session.protocol.report_events(&mut outbox);
    }
    // Random commands rarely hit a real one: all of them, with odd values.
    let odd = [f32::NAN, f32::INFINITY, -1.0, 0.0, 1.0, 3.0, 4.0, 1e30, 30.0];
    for id in (0..600).chain([65_535]) {
        for _ in 0..20 {
            let value = |random: &mut Random| odd[random.below(odd.len())];
            let params = std::array::from_fn(|_| value(&mut random));
            let place = std::array::from_fn(|_| value(&mut random));
            session.long(id, params, place);
            session.now += Duration::from_millis(50);
            session.protocol.advance(session.now);
            for message_id in 0..512 {
                let _ = session.protocol.telemetry(message_id);
            }
        }
    }
}
