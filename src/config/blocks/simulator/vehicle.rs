//! `simulator "vehicle"`: the built-in MAVLink vehicle.

use std::sync::LazyLock;

use simfleet_provider_api::Value;

use super::{Kind, Simulator};
use crate::config::blocks::{Block, process};
use crate::config::decode::{Reader, words};
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

words! {
    /// What flies.
    Model {
        /// A quadrotor.
        Quad = "quad",
    }
}

/// What is particular to a vehicle.
#[derive(Debug, Clone, PartialEq)]
pub struct Vehicle {
    /// What flies.
    pub model: Model,
    /// Where it starts; the vehicle's own place where it is not set.
    pub home: Option<Home>,
}

/// A place on the earth. Each can be unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Home {
    /// Degrees north.
    pub latitude: Value,
    /// Degrees east.
    pub longitude: Value,
    /// Metres above mean sea level.
    pub altitude_m: Value,
}

/// The highest number of a vehicle: its MAVLink system id is one more, and the last one is 255.
const LAST_INSTANCE: u64 = 254;

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    super::shared("vehicle", "The built-in MAVLink vehicle: a point-mass quadrotor.")
        .attributes([
            AttributeSchema::one_of("model", Model::WORDS, "what flies").default("quad"),
            home(),
        ])
        .optional(process::log_schema())
        .rule(super::port_of_the_agent)
}

/// Where a vehicle starts.
pub(super) fn home() -> AttributeSchema {
    AttributeSchema::object("home", home_fields().to_vec(), "where it starts")
}

pub(super) fn home_fields() -> &'static [AttributeSchema] {
    static FIELDS: LazyLock<Vec<AttributeSchema>> = LazyLock::new(|| {
        vec![
            AttributeSchema::number("latitude", -90.0, 90.0, "degrees north").required(),
            AttributeSchema::number("longitude", -180.0, 180.0, "degrees east").required(),
            AttributeSchema::number("altitude_m", -1_000.0, 100_000.0, "metres above mean sea level").default(0u64),
        ]
    });
    &FIELDS
}

pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Block, Diagnostics> {
    let mut reader = Reader::new(record);
    let (model, home) = (reader.take("model"), reader.object("home", home_fields(), Home::decode));
    let vehicle = || {
        Some(Vehicle {
            model: model?,
            home: home?,
        })
    };
    let kind = vehicle().map(Kind::Vehicle);
    let simulator = Simulator::decode_shared(&mut reader, kind);
    reader.rule(system_id);
    let block = simulator.map(|simulator| Block::Simulator(Box::new(simulator)));
    reader.finish(block)
}

/// Reports an instance that has no MAVLink system id.
pub(super) fn system_id(record: &Record, found: &mut Diagnostics) {
    let instance = record.get("instance").and_then(Value::as_u64);
    if let Some(instance) = instance.filter(|instance| *instance > LAST_INSTANCE) {
        let detail = format!(
            "`instance` is {instance}, so its MAVLink system id would be {}; the last one is 255.",
            instance + 1
        );
        let span = record.attribute_span("instance").cloned();
        found.push(Diagnostic::error("E14 instance too high", detail).at(span));
    }
}

impl Home {
    pub(super) fn decode(record: &Record) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(record);
        let (latitude, longitude) = (reader.take("latitude"), reader.take("longitude"));
        let altitude_m = reader.take("altitude_m");
        let home = || {
            Some(Home {
                latitude: latitude?,
                longitude: longitude?,
                altitude_m: altitude_m?,
            })
        };
        let home = home();
        reader.finish(home)
    }
}
