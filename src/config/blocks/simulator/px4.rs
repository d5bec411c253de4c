//! `simulator "px4"`: PX4 in a container.

use simfleet_provider_api::Value;

use super::vehicle::{self, Home};
use super::{Kind, Simulator};
use crate::config::blocks::Block;
use crate::config::blocks::container::{self, Container};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::Diagnostics;

/// What is particular to PX4.
#[derive(Debug, Clone, PartialEq)]
pub struct Px4 {
    /// The container that it is in.
    pub container: Container,
    /// What flies. Can be unknown.
    pub model: Option<Value>,
    /// Where it flies. Can be unknown.
    pub world: Option<Value>,
    /// Whether nothing is shown.
    pub headless: bool,
    /// Where it starts; PX4's own place where it is not set.
    pub home: Option<Home>,
}

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let types = &["copter", "plane", "vtol", "rover", "boat", "submarine"];
    container::schema(super::shared("px4", "PX4, simulated in a container.")).attributes([
        AttributeSchema::string("model", "what flies: PX4_SIM_MODEL"),
        AttributeSchema::string("world", "where it flies: PX4_GZ_WORLD"),
        AttributeSchema::one_of("vehicle_type", types, "what kind of vehicle that is, for people"),
        AttributeSchema::bool("headless", "nothing is shown").default(true),
        vehicle::home(),
    ])
}

pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Block, Diagnostics> {
    let mut reader = Reader::new(record);
    let container = Container::decode(&mut reader);
    let (model, world, headless) = (reader.maybe("model"), reader.maybe("world"), reader.take("headless"));
    let home = reader.object("home", vehicle::home_fields(), Home::decode);
    let px4 = || {
        Some(Px4 {
            container: container?,
            model: model?,
            world: world?,
            headless: headless?,
            home: home?,
        })
    };
    let kind = px4().map(|px4| Kind::Px4(Box::new(px4)));
    let simulator = Simulator::decode_shared(&mut reader, kind);
    reader.rule(vehicle::system_id);
    let block = simulator.map(|simulator| Block::Simulator(Box::new(simulator)));
    reader.finish(block)
}
