//! The parameters: PX4's names, and only those that move this vehicle.
//!
//! Values are encoded as PX4 does it, byte-wise: the 32 bits of an integer
//! travel in the float field of PARAM_VALUE and PARAM_SET
//! (<https://mavlink.io/en/services/parameter.html#parameter-encoding>).

use mavlink::dialects::common::MavParamType;

/// A parameter of this vehicle; its number is its index on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Id {
    BatteryCapacity,
    BatteryCells,
    BatteryCritical,
    BatteryEmergency,
    BatteryLow,
    DisarmAfterLanding,
    DisarmBeforeFlight,
    LowBatteryAction,
    OwnSystem,
    TakeoffAltitude,
    DownwardAcceleration,
    HorizontalAcceleration,
    UpwardAcceleration,
    LandSpeed,
    TakeoffSpeed,
    HorizontalSpeed,
    YawRate,
    DescentRate,
    ClimbRate,
    ReturnMinimumDistance,
    ReturnAltitude,
}

/// A value in the type of its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Real(f32),
    Integer(i32),
}

impl Value {
    /// The value as its bits travel in the float field of a message.
    pub(crate) fn to_wire(self) -> f32 {
        match self {
            Self::Real(value) => value,
            Self::Integer(value) => f32::from_bits(value.cast_unsigned()),
        }
    }

    fn from_wire(wire: f32, kind: MavParamType) -> Option<Self> {
        match kind {
            MavParamType::MAV_PARAM_TYPE_REAL32 => Some(Self::Real(wire)),
            MavParamType::MAV_PARAM_TYPE_INT32 => Some(Self::Integer(wire.to_bits().cast_signed())),
            _ => None,
        }
    }

    pub(crate) fn kind(self) -> MavParamType {
        match self {
            Self::Real(_) => MavParamType::MAV_PARAM_TYPE_REAL32,
            Self::Integer(_) => MavParamType::MAV_PARAM_TYPE_INT32,
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Real(value) => value.into(),
            Self::Integer(value) => value.into(),
        }
    }
}

/// Why a parameter was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetError {
    Unknown,
    ReadOnly,
    WrongType,
    OutOfRange,
}

struct Definition {
    id: Id,
    name: &'static str,
    default: Value,
    /// Inclusive; a parameter whose bounds are equal is read-only.
    bounds: (f64, f64),
}

const fn real(id: Id, name: &'static str, default: f32, min: f64, max: f64) -> Definition {
    Definition {
        id,
        name,
        default: Value::Real(default),
        bounds: (min, max),
    }
}

const fn integer(id: Id, name: &'static str, default: i32, min: f64, max: f64) -> Definition {
    Definition {
        id,
        name,
        default: Value::Integer(default),
        bounds: (min, max),
    }
}

/// Number of parameters.
pub(crate) const COUNT: u16 = DEFINITIONS.len() as u16;

/// Names, types, defaults and bounds follow the PX4 parameter reference
/// (<https://docs.px4.io/main/en/advanced_config/parameter_reference.html>),
/// in alphabetical order as PX4 lists them. Bounds are tightened where PX4
/// allows a value that means "unset" or that would make the model degenerate.
static DEFINITIONS: [Definition; 21] = [
    real(Id::BatteryCapacity, "BAT1_CAPACITY", 5000.0, 10.0, 100_000.0), // mAh
    integer(Id::BatteryCells, "BAT1_N_CELLS", 4, 1.0, 10.0),
    real(Id::BatteryCritical, "BAT_CRIT_THR", 0.07, 0.05, 0.5), // share
    real(Id::BatteryEmergency, "BAT_EMERGEN_THR", 0.05, 0.03, 0.5), // share
    real(Id::BatteryLow, "BAT_LOW_THR", 0.15, 0.12, 0.5),       // share
    real(Id::DisarmAfterLanding, "COM_DISARM_LAND", 2.0, -1.0, 20.0), // s, never if not positive
    real(Id::DisarmBeforeFlight, "COM_DISARM_PRFLT", 10.0, -1.0, 600.0), // s, never if not positive
    // 0 warns, 2 lands, 3 returns at critical and lands at emergency.
    integer(Id::LowBatteryAction, "COM_LOW_BAT_ACT", 0, 0.0, 3.0),
    // Identity is given at start and is read-only: a vehicle that changes its
    // id at runtime would be another one to who declared the fleet.
    integer(Id::OwnSystem, "MAV_SYS_ID", 1, 0.0, 0.0),
    real(Id::TakeoffAltitude, "MIS_TAKEOFF_ALT", 2.5, 0.5, 80.0), // m above home
    real(Id::DownwardAcceleration, "MPC_ACC_DOWN_MAX", 3.0, 2.0, 9.0), // m/s²
    real(Id::HorizontalAcceleration, "MPC_ACC_HOR", 3.0, 2.0, 15.0), // m/s²
    real(Id::UpwardAcceleration, "MPC_ACC_UP_MAX", 4.0, 2.0, 15.0), // m/s²
    real(Id::LandSpeed, "MPC_LAND_SPEED", 0.7, 0.6, 4.0),         // m/s
    real(Id::TakeoffSpeed, "MPC_TKO_SPEED", 1.5, 1.0, 5.0),       // m/s
    real(Id::HorizontalSpeed, "MPC_XY_VEL_MAX", 12.0, 0.5, 20.0), // m/s
    real(Id::YawRate, "MPC_YAWRAUTO_MAX", 60.0, 5.0, 360.0),      // deg/s
    real(Id::DescentRate, "MPC_Z_VEL_MAX_DN", 1.5, 0.5, 4.0),     // m/s
    real(Id::ClimbRate, "MPC_Z_VEL_MAX_UP", 3.0, 0.5, 8.0),       // m/s
    real(Id::ReturnMinimumDistance, "RTL_MIN_DIST", 10.0, 0.5, 100.0), // m
    real(Id::ReturnAltitude, "RTL_RETURN_ALT", 60.0, 0.0, 150.0), // m above home
];

/// The present values.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    values: [Value; DEFINITIONS.len()],
}

impl Parameters {
    pub(crate) fn new(system_id: u8) -> Self {
        let mut values = [Value::Integer(0); DEFINITIONS.len()];
        for (value, definition) in values.iter_mut().zip(&DEFINITIONS) {
            *value = definition.default;
        }
        values[Id::OwnSystem as usize] = Value::Integer(system_id.into());
        Self { values }
    }

    /// The value in its unit, whatever its type.
    pub(crate) fn get(&self, id: Id) -> f64 {
        self.values[id as usize].as_f64()
    }

    /// Name and value by index.
    pub(crate) fn by_index(&self, index: u16) -> Option<(&'static str, Value)> {
        let definition = DEFINITIONS.get(usize::from(index))?;
        Some((definition.name, self.values[usize::from(index)]))
    }

    /// Index by name.
    pub(crate) fn find(name: &str) -> Option<u16> {
        DEFINITIONS
            .iter()
            .find(|definition| definition.name == name)
            .map(|definition| definition.id as u16)
    }

    /// Sets a value as it came in a message.
    pub(crate) fn set(&mut self, name: &str, wire: f32, kind: MavParamType) -> Result<(), SetError> {
        let index = usize::from(Self::find(name).ok_or(SetError::Unknown)?);
        let definition = &DEFINITIONS[index];
        let (min, max) = definition.bounds;
        if min == max {
            return Err(SetError::ReadOnly);
        }
        let value = Value::from_wire(wire, kind)
            .filter(|value| value.kind() == definition.default.kind())
            .ok_or(SetError::WrongType)?;
        // Bounds are compared as f32, which is what the client could express;
        // NaN compares false and is thereby out of range.
        let number = value.as_f64();
        if number >= f64::from(min as f32) && number <= f64::from(max as f32) {
            self.values[index] = value;
            Ok(())
        } else {
            Err(SetError::OutOfRange)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_sits_at_the_index_of_its_id() {
        for (index, definition) in DEFINITIONS.iter().enumerate() {
            assert_eq!(definition.id as usize, index, "{}", definition.name);
            assert!(definition.name.len() <= 16, "{}", definition.name);
        }
        assert!(DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    }

    #[test]
    fn defaults_are_within_bounds() {
        for definition in &DEFINITIONS {
            let (min, max) = definition.bounds;
            let default = definition.default.as_f64();
            let inside = default >= f64::from(min as f32) && default <= f64::from(max as f32);
            assert!(min == max || inside, "{}", definition.name);
        }
    }

    #[test]
    fn set_validates_name_type_and_range() {
        const REAL: MavParamType = MavParamType::MAV_PARAM_TYPE_REAL32;
        const INT: MavParamType = MavParamType::MAV_PARAM_TYPE_INT32;
        let wire = |value: i32| Value::Integer(value).to_wire();
        let table = [
            ("MIS_TAKEOFF_ALT", 10.0, REAL, Ok(())),
            ("MIS_TAKEOFF_ALT", 0.5, REAL, Ok(())),
            ("BAT_CRIT_THR", 0.05, REAL, Ok(())),
            ("COM_LOW_BAT_ACT", wire(3), INT, Ok(())),
            ("MIS_TAKEOFF_ALT", 1000.0, REAL, Err(SetError::OutOfRange)),
            ("MIS_TAKEOFF_ALT", f32::NAN, REAL, Err(SetError::OutOfRange)),
            ("MIS_TAKEOFF_ALT", f32::INFINITY, REAL, Err(SetError::OutOfRange)),
            ("MIS_TAKEOFF_ALT", wire(10), INT, Err(SetError::WrongType)),
            ("COM_LOW_BAT_ACT", wire(-1), INT, Err(SetError::OutOfRange)),
            ("COM_LOW_BAT_ACT", 2.0, REAL, Err(SetError::WrongType)),
            ("MAV_SYS_ID", wire(2), INT, Err(SetError::ReadOnly)),
            ("NO_SUCH_PARAM", 1.0, REAL, Err(SetError::Unknown)),
            ("", 1.0, REAL, Err(SetError::Unknown)),
        ];
        for (name, value, kind, expected) in table {
            let mut parameters = Parameters::new(7);
            assert_eq!(parameters.set(name, value, kind), expected, "{name} {value}");
        }
    }

    #[test]
    fn a_refused_value_changes_nothing_and_an_accepted_one_is_read_back() {
        let mut parameters = Parameters::new(7);
        let kind = MavParamType::MAV_PARAM_TYPE_REAL32;
        assert!(parameters.set("MIS_TAKEOFF_ALT", -1.0, kind).is_err());
        assert_eq!(parameters.get(Id::TakeoffAltitude), 2.5);
        assert!(parameters.set("MIS_TAKEOFF_ALT", 12.0, kind).is_ok());
        assert_eq!(parameters.get(Id::TakeoffAltitude), 12.0);
        assert_eq!(parameters.get(Id::OwnSystem), 7.0);
    }

    #[test]
    fn integers_travel_as_bits() {
        assert_eq!(Value::Integer(7).to_wire().to_bits(), 7);
        assert_eq!(Value::Integer(-1).to_wire().to_bits(), u32::MAX);
    }
}
