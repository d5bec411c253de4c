use mavlink::dialects::common::MavParamType;

use super::*;

/// A vehicle and the clock that drives it.
struct Flight {
    vehicle: Vehicle,
    now: Duration,
}

impl Flight {
    fn new() -> Self {
        Self {
            vehicle: Vehicle::new(1, Home::default()),
            now: Duration::ZERO,
        }
    }

    /// An armed vehicle that hovers at `up` metres.
    fn hovering(up: f64) -> Self {
        let mut flight = Self::new();
        flight.vehicle.arm().expect("arm");
        flight.vehicle.take_off(Some(up)).expect("takeoff");
        flight.wait(60.0);
        assert_eq!(flight.vehicle.mode(), Mode::Hold);
        flight
    }

    fn wait(&mut self, seconds: f64) {
        self.wait_until(seconds, |_| false);
    }

    /// Advances in uneven wakes until the condition holds; whether it did.
    fn wait_until(&mut self, seconds: f64, condition: impl Fn(&Vehicle) -> bool) -> bool {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.now += Duration::from_millis(73);
            self.vehicle.advance(self.now);
            if condition(&self.vehicle) {
                return true;
            }
        }
        false
    }

    fn set(&mut self, name: &str, value: f32) {
        let kind = MavParamType::MAV_PARAM_TYPE_REAL32;
        self.vehicle.parameters.set(name, value, kind).expect("set");
    }

    fn texts(&mut self) -> Vec<&'static str> {
        let events = self.vehicle.take_events();
        events.iter().map(|event| event.text).collect()
    }
}

#[test]
fn takes_off_to_the_height_and_holds_it() {
    for up in [2.5, 10.0, 60.0] {
        let mut flight = Flight::hovering(up);
        for _ in 0..10 {
            flight.wait(1.0);
            let position = flight.vehicle.state().position;
            assert!((position.up - up).abs() < 0.05 && position.horizontal() < 0.01);
        }
    }
}

#[test]
fn a_low_takeoff_is_raised_to_the_minimum_and_says_so() {
    let mut flight = Flight::hovering(0.2);
    assert!((flight.vehicle.state().position.up - 2.5).abs() < 0.05);
    assert!(flight.texts().contains(&"Using minimum takeoff altitude"));
}

#[test]
fn lands_and_disarms_after_touchdown() {
    let mut flight = Flight::hovering(15.0);
    flight.vehicle.land().expect("land");
    assert!(flight.wait_until(60.0, |vehicle| vehicle.state().on_ground));
    assert!(flight.vehicle.armed());
    assert!(flight.wait_until(2.2, |vehicle| !vehicle.armed()));
    assert!(flight.vehicle.at_rest());
    assert_eq!(flight.texts().last(), Some(&"Disarmed by landing"));
}

#[test]
fn returns_home_within_a_metre_at_the_return_altitude() {
    for (north, east) in [(200.0, -150.0), (5.0, 0.0), (0.0, 0.0)] {
        let mut flight = Flight::hovering(10.0);
        flight.set("RTL_RETURN_ALT", 30.0);
        let order = flight.vehicle.reposition(Some((north, east)), None, None, None);
        order.expect("reposition");
        flight.wait(90.0);
        let away = flight.vehicle.state().position - Vector::new(north, east, 10.0);
        assert!(away.horizontal() < 0.1 && away.up.abs() < 0.1);

        flight.vehicle.return_home().expect("return");
        let mut highest: f64 = 0.0;
        while flight.vehicle.armed() {
            flight.wait(0.5);
            highest = highest.max(flight.vehicle.state().position.up);
            assert!(flight.now < Duration::from_secs(600));
        }
        assert!(flight.vehicle.state().position.horizontal() < 1.0);
        let expected = if north > 10.0 { 30.0 } else { 10.0 };
        assert!((highest - expected).abs() < 0.6, "{highest}");
    }
}

#[test]
fn the_flight_does_not_depend_on_when_it_is_computed() {
    let positions = [7, 20, 100, 999].map(|wake_ms| {
        let mut vehicle = Vehicle::new(1, Home::default());
        vehicle.arm().expect("arm");
        vehicle.take_off(Some(20.0)).expect("takeoff");
        let mut now = 0;
        while now < 6000 {
            now = (now + wake_ms).min(6000);
            vehicle.advance(Duration::from_millis(now));
        }
        vehicle.state().position
    });
    assert!(positions.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_long_sleep_is_not_caught_up_with() {
    let mut vehicle = Vehicle::new(1, Home::default());
    vehicle.arm().expect("arm");
    vehicle.take_off(Some(80.0)).expect("takeoff");
    vehicle.advance(Duration::from_secs(3600));
    assert!(vehicle.state().position.up < 10.0);
}

#[test]
fn orders_are_refused_in_the_wrong_situation() {
    let mut ground = Flight::new().vehicle;
    assert!(matches!(ground.take_off(None), Err(Refusal::NotNow(_))));
    assert!(matches!(ground.land(), Err(Refusal::NotNow(_))));
    assert!(matches!(ground.return_home(), Err(Refusal::NotNow(_))));
    let order = ground.reposition(None, Some(5.0), None, None);
    assert!(matches!(order, Err(Refusal::NotNow(_))));

    let mut air = Flight::hovering(10.0).vehicle;
    assert!(matches!(air.disarm(false), Err(Refusal::NotNow(_))));
    assert!(matches!(air.reboot(), Err(Refusal::NotNow(_))));
    for (place, height) in [(Some((1e6, 0.0)), None), (None, Some(-1.0)), (None, Some(1e9))] {
        let order = air.reposition(place, height, None, None);
        assert!(matches!(order, Err(Refusal::Invalid(_))));
    }
    assert!(matches!(air.take_off(Some(1e9)), Err(Refusal::Invalid(_))));
}

#[test]
fn forced_disarm_in_flight_lets_it_fall() {
    let mut flight = Flight::hovering(20.0);
    flight.vehicle.disarm(true).expect("forced");
    assert!(flight.wait_until(10.0, Vehicle::at_rest));
}

#[test]
fn an_armed_vehicle_left_alone_disarms_unless_told_not_to() {
    let mut flight = Flight::new();
    flight.vehicle.arm().expect("arm");
    assert!(!flight.wait_until(9.0, |vehicle| !vehicle.armed()));
    assert!(flight.wait_until(2.0, |vehicle| !vehicle.armed()));

    flight.set("COM_DISARM_PRFLT", -1.0);
    flight.vehicle.arm().expect("arm");
    assert!(!flight.wait_until(60.0, |vehicle| !vehicle.armed()));
}

#[test]
fn hold_stops_a_vehicle_on_its_way() {
    for (speed, expected) in [(Some(8.0), 8.0), (None, 12.0), (Some(99.0), 12.0)] {
        let mut flight = Flight::hovering(10.0);
        let far = Some((1000.0, 0.0));
        let order = flight.vehicle.reposition(far, None, None, speed);
        order.expect("reposition");
        flight.wait(20.0);
        let speed = flight.vehicle.state().velocity.horizontal();
        assert!((speed - expected).abs() < 0.1, "{speed}");
        let before = flight.vehicle.state().position.north;
        flight.vehicle.hold(Mode::Hold);
        flight.wait(30.0);
        assert!(flight.vehicle.state().velocity.horizontal() < 0.01);
        assert!(flight.vehicle.state().position.north - before < 60.0);
    }
}

#[test]
fn hold_just_above_the_ground_stays_in_the_air() {
    let mut flight = Flight::hovering(10.0);
    flight.vehicle.land().expect("land");
    assert!(flight.wait_until(60.0, |vehicle| vehicle.state().position.up < 0.3));
    flight.vehicle.hold(Mode::Hold);
    flight.wait(20.0);
    assert!((flight.vehicle.state().position.up - 0.5).abs() < 0.05);
}

#[test]
fn an_empty_battery_warns_then_acts() {
    let integer = MavParamType::MAV_PARAM_TYPE_INT32;
    for (action, expected) in [(0u32, Mode::Hold), (2, Mode::Land), (3, Mode::Return)] {
        let mut flight = Flight::hovering(40.0);
        let parameters = &mut flight.vehicle.parameters;
        let wire = f32::from_bits(action);
        parameters.set("COM_LOW_BAT_ACT", wire, integer).expect("set");
        let reached = flight.wait_until(2000.0, |vehicle| vehicle.charge_level() >= ChargeLevel::Critical);
        assert!(reached);
        assert_eq!(flight.vehicle.mode(), expected);
        assert!(flight.wait_until(300.0, Vehicle::at_rest));
        assert!(flight.texts().contains(&"Critical battery level"));
        assert!(matches!(flight.vehicle.arm(), Err(Refusal::NotNow(_))));

        flight.vehicle.reboot().expect("reboot");
        assert!(flight.vehicle.arm().is_ok());
    }
}
