use super::*;

const LIMITS: Limits = Limits {
    horizontal_speed: 12.0,
    climb_rate: 3.0,
    descent_rate: 1.5,
    horizontal_acceleration: 3.0,
    upward_acceleration: 4.0,
    downward_acceleration: 3.0,
    yaw_rate: 1.0,
};
const DT: f64 = 0.02;

/// Steps for `seconds`, calling `check` with every state.
fn fly(mut state: State, setpoint: Setpoint, seconds: f64, mut check: impl FnMut(&State)) -> State {
    for _ in 0..(seconds / DT) as usize {
        state = step(&state, &setpoint, &LIMITS, DT);
        check(&state);
    }
    state
}

fn to(north: f64, east: f64, up: f64) -> Setpoint {
    Setpoint::Fly {
        position: Vector::new(north, east, up),
        heading: 0.0,
    }
}

#[test]
fn reaches_targets_within_the_limits_and_without_overshoot() {
    let table = [
        (0.0, 0.0, 2.5),
        (0.0, 0.0, 100.0),
        (30.0, -40.0, 20.0),
        (500.0, 0.0, 5.0),
        (1.0, 1.0, 1.0),
    ];
    for (north, east, up) in table {
        let target = Vector::new(north, east, up);
        let end = fly(State::AT_HOME, to(north, east, up), 120.0, |state| {
            assert!(state.velocity.horizontal() <= LIMITS.horizontal_speed + 1e-9);
            assert!(state.velocity.up <= LIMITS.climb_rate + 1e-9);
            assert!(state.position.up <= up + 0.1, "{target:?}: {state:?}");
            assert!(state.position.horizontal() <= target.horizontal() + 0.1);
        });
        let miss = end.position - target;
        assert!(miss.horizontal() < 0.01 && miss.up.abs() < 0.01, "{end:?}");
        assert!(end.velocity.horizontal() < 0.01 && end.velocity.up.abs() < 0.01);
    }
}

#[test]
fn descent_ends_on_the_ground_at_rest() {
    let high = fly(State::AT_HOME, to(5.0, 5.0, 20.0), 60.0, |_| ());
    let over = high.position;
    let descend = Setpoint::Descend {
        over,
        rate: 1.0,
        heading: 0.0,
    };
    let end = fly(high, descend, 30.0, |state| {
        assert!(state.velocity.up >= -1.0 - 1e-9);
    });
    assert!(end.on_ground);
    assert_eq!(end.position.up, 0.0);
    assert_eq!(end.velocity, Vector::ZERO);
    assert!((end.position - over).horizontal() < 0.01);
}

#[test]
fn motors_off_in_the_air_is_a_fall() {
    let high = fly(State::AT_HOME, to(0.0, 0.0, 50.0), 60.0, |_| ());
    let mut fastest: f64 = 0.0;
    let end = fly(high, Setpoint::MotorsOff, 10.0, |state| {
        fastest = fastest.min(state.velocity.up);
    });
    assert!(end.on_ground);
    // Without drag it would be -31 m/s; terminal velocity is -33 m/s.
    assert!((-31.0..-15.0).contains(&fastest), "{fastest}");
}

#[test]
fn idle_motors_leave_it_on_the_ground() {
    let end = fly(State::AT_HOME, Setpoint::Idle, 5.0, |_| ());
    assert_eq!(end, State::AT_HOME);
}

#[test]
fn tilt_follows_acceleration() {
    let hover = fly(State::AT_HOME, to(0.0, 0.0, 10.0), 30.0, |_| ());
    assert!(hover.attitude.pitch.abs() < 1e-3 && hover.attitude.roll.abs() < 1e-3);

    // Heading north: forward is nose down, right is right wing down.
    let forward = fly(hover, to(100.0, 0.0, 10.0), 1.0, |_| ());
    assert!(forward.attitude.pitch < -0.2 && forward.attitude.roll.abs() < 1e-3);
    let right = fly(hover, to(0.0, 100.0, 10.0), 1.0, |_| ());
    assert!(right.attitude.roll > 0.2 && right.attitude.pitch.abs() < 1e-3);
}

#[test]
fn heading_turns_the_short_way_at_the_limited_rate() {
    let mut state = fly(State::AT_HOME, to(0.0, 0.0, 10.0), 30.0, |_| ());
    state.attitude.yaw = 3.0;
    let turn = Setpoint::Fly {
        position: state.position,
        heading: -3.0,
    };
    let end = fly(state, turn, 1.0, |state| {
        assert!(state.rates.yaw <= LIMITS.yaw_rate + 1e-9 && state.rates.yaw >= -1e-9);
        assert!((-PI..PI).contains(&state.attitude.yaw));
    });
    assert!((end.attitude.yaw + 3.0).abs() < 1e-6);
}

#[test]
fn the_stopping_point_is_where_it_stops() {
    let mut moving = fly(State::AT_HOME, to(500.0, 0.0, 20.0), 15.0, |_| ());
    moving.velocity.north = 10.0;
    let target = moving.position + stopping_distance(moving.velocity, &LIMITS);
    let stop = Setpoint::Fly {
        position: target,
        heading: 0.0,
    };
    let end = fly(moving, stop, 30.0, |state| {
        assert!(state.position.north <= target.north + 0.3, "{state:?}");
    });
    assert!((end.position - target).horizontal() < 0.01);
}
