//! Commands and their results.

use super::*;

const ACCEPTED: u32 = MavResult::MAV_RESULT_ACCEPTED as u32;
const NOT_NOW: u32 = MavResult::MAV_RESULT_TEMPORARILY_REJECTED as u32;
const DENIED: u32 = MavResult::MAV_RESULT_DENIED as u32;
const UNSUPPORTED: u32 = MavResult::MAV_RESULT_UNSUPPORTED as u32;
const WRONG_FRAME: u32 = MavResult::MAV_RESULT_COMMAND_UNSUPPORTED_MAV_FRAME as u32;

#[test]
fn commands_on_the_ground_have_their_documented_results() {
    let table = [
        (400, [0.0, 0.0, 0.0, 0.0], ACCEPTED), // disarm, already disarmed
        (400, [2.0, 0.0, 0.0, 0.0], DENIED),
        (22, [0.0; 4], NOT_NOW),               // takeoff, not armed
        (21, [0.0; 4], NOT_NOW),               // land
        (20, [0.0; 4], NOT_NOW),               // return
        (192, [-1.0, 1.0, 0.0, 0.0], NOT_NOW), // reposition
        (17, [0.0; 4], ACCEPTED),              // loiter
        (176, [1.0, 4.0, 3.0, 0.0], ACCEPTED), // mode Hold
        (176, [1.0, 3.0, 0.0, 0.0], ACCEPTED), // mode Position
        (176, [1.0, 4.0, 6.0, 0.0], NOT_NOW),  // mode Land
        (176, [1.0, 6.0, 0.0, 0.0], DENIED),   // mode Offboard
        (176, [80.0, 4.0, 3.0, 0.0], DENIED),  // no custom mode
        (176, [1.0, 260.0, 3.0, 0.0], DENIED), // no such number
        (246, [1.0, 0.0, 0.0, 0.0], ACCEPTED), // reboot
        (246, [2.0, 0.0, 0.0, 0.0], DENIED),   // shutdown
        (511, [30.0, 50_000.0, 0.0, 0.0], ACCEPTED),
        (511, [30.0, -1.0, 0.0, 0.0], ACCEPTED),
        (511, [30.0, -2.0, 0.0, 0.0], DENIED),
        (511, [9999.0, 50_000.0, 0.0, 0.0], DENIED),
        (512, [9999.0, 0.0, 0.0, 0.0], DENIED),
        (512, [f32::NAN, 0.0, 0.0, 0.0], DENIED),
        (241, [0.0; 4], UNSUPPORTED),    // preflight calibration
        (42_424, [0.0; 4], UNSUPPORTED), // ArduPilot's
        (65_000, [0.0; 4], UNSUPPORTED), // nobody's
    ];
    for (id, params, expected) in table {
        assert_eq!(Session::new().long(id, params, [0.0; 3]), expected, "{id} {params:?}");
    }
}

#[test]
fn a_flight_by_commands() {
    let mut session = Session::flying();
    let disarm = |session: &mut Session, force| session.long(400, [0.0, force, 0.0, 0.0], [0.0; 3]);
    assert_eq!(disarm(&mut session, 0.0), NOT_NOW);
    assert_eq!(session.long(246, [1.0, 0.0, 0.0, 0.0], [0.0; 3]), NOT_NOW);
    assert_eq!(session.long(21, [0.0; 4], [0.0; 3]), ACCEPTED);
    session.wait(40);
    assert_eq!(session.relative_altitude_m(), 0.0);
    assert!(session.protocol.next_motion().is_none(), "disarmed");

    let mut session = Session::flying();
    assert_eq!(disarm(&mut session, 21196.0), ACCEPTED);
    session.wait(5);
    assert_eq!(session.relative_altitude_m(), 0.0);
}

#[test]
fn takeoff_altitude_counts_from_what_its_frame_says() {
    use MavFrame::*;
    let nan = [f32::NAN; 4];
    for (frame, z, expected) in [
        (MAV_FRAME_GLOBAL, 508.0, 20.0),
        (MAV_FRAME_GLOBAL_INT, 508.0, 20.0),
        (MAV_FRAME_GLOBAL_RELATIVE_ALT, 12.0, 12.0),
        (MAV_FRAME_GLOBAL_RELATIVE_ALT_INT, 12.0, 12.0),
        (MAV_FRAME_GLOBAL_RELATIVE_ALT, f32::NAN, 2.5),
        (MAV_FRAME_GLOBAL, 12.0, 2.5), // 476 m below home
    ] {
        let mut session = Session::new();
        session.long(400, [1.0, 0.0, 0.0, 0.0], [0.0; 3]);
        let place = (i32::MAX, i32::MAX, z);
        let answer = session.int(MavCmd::MAV_CMD_NAV_TAKEOFF, nan, frame, place);
        assert_eq!(answer, ACCEPTED);
        session.wait(40);
        assert_eq!(session.relative_altitude_m(), expected, "{frame:?}");
    }
    let mut session = Session::new();
    let place = (0, 0, 5.0);
    let answer = session.int(MavCmd::MAV_CMD_NAV_TAKEOFF, nan, MAV_FRAME_LOCAL_NED, place);
    assert_eq!(answer, WRONG_FRAME);
}

#[test]
fn reposition_flies_there() {
    let mut session = Session::flying();
    let reposition = MavCmd::MAV_CMD_DO_REPOSITION;
    let frame = MavFrame::MAV_FRAME_GLOBAL_RELATIVE_ALT;
    let params = [-1.0, 1.0, 0.0, f32::NAN];
    let target = (473_980_000, 85_460_000, 25.0);
    assert_eq!(session.int(reposition, params, frame, target), ACCEPTED);
    session.wait(60);
    let payload = session.protocol.telemetry(GLOBAL_POSITION_INT_DATA::ID);
    let MavMessage::GLOBAL_POSITION_INT(position) = decode(&payload.expect("position")) else {
        panic!("not a position");
    };
    assert!((position.lat - target.0).abs() < 5 && (position.lon - target.1).abs() < 5);
    assert_eq!(session.relative_altitude_m(), 25.0);

    for (place, expected) in [
        ((i32::MAX, i32::MAX, f32::NAN), ACCEPTED), // stay
        ((0, 0, 25.0), DENIED),                     // the Atlantic
        ((910_000_000, 0, 25.0), DENIED),           // beyond the pole
        ((473_980_000, 85_460_000, -5.0), DENIED),  // below ground
    ] {
        assert_eq!(session.int(reposition, params, frame, place), expected);
    }
    session.long(20, [0.0; 4], [0.0; 3]);
    let keep_mode = [-1.0, 0.0, 0.0, f32::NAN];
    assert_eq!(session.int(reposition, keep_mode, frame, target), NOT_NOW);
}

#[test]
fn messages_are_sent_on_request() {
    for (id, param, expected) in [
        (512, 148.0, AUTOPILOT_VERSION_DATA::ID),
        (512, 242.0, HOME_POSITION_DATA::ID),
        (512, 31.0, ATTITUDE_QUATERNION_DATA::ID),
        (520, 1.0, AUTOPILOT_VERSION_DATA::ID),
        (519, 1.0, PROTOCOL_VERSION_DATA::ID),
        (410, 0.0, HOME_POSITION_DATA::ID),
        (510, 30.0, MESSAGE_INTERVAL_DATA::ID),
    ] {
        use mavlink::Message as _;
        let mut session = Session::new();
        let replies = session.send_long(id, [param, 0.0, 0.0, 0.0], [0.0; 3], (MINE, 1));
        assert_eq!(result(&replies), ACCEPTED);
        assert_eq!(replies[1].message_id(), expected);
        assert_eq!(replies.len(), 2);
    }
}

#[test]
fn message_intervals_are_reported() {
    let mut session = Session::new();
    let interval = |session: &mut Session, message_id: f32| {
        let replies = session.send_long(512, [244.0, message_id, 0.0, 0.0], [0.0; 3], (MINE, 1));
        match &replies[1] {
            MavMessage::MESSAGE_INTERVAL(interval) => interval.interval_us,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(interval(&mut session, 30.0), 100_000);
    session.long(511, [30.0, 50_000.0, 0.0, 0.0], [0.0; 3]);
    assert_eq!(interval(&mut session, 30.0), 50_000);
    session.long(511, [30.0, -1.0, 0.0, 0.0], [0.0; 3]);
    assert_eq!(interval(&mut session, 30.0), -1);
    assert_eq!(interval(&mut session, 9999.0), 0);
}

#[test]
fn refusals_give_their_reason_as_text() {
    let mut session = Session::new();
    let command = Payload::of(&COMMAND_LONG_DATA {
        command: MavCmd::MAV_CMD_NAV_TAKEOFF,
        target_system: MINE,
        ..COMMAND_LONG_DATA::DEFAULT
    });
    let (_, broadcasts) = session.exchange(&command);
    let [MavMessage::STATUSTEXT(text)] = &broadcasts[..] else {
        panic!("{broadcasts:?}");
    };
    assert_eq!(text.text.to_str(), Ok("Takeoff denied: not armed"));
}
