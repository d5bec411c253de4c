//! `simulator "px4"`: PX4 in a container.

use crate::config::blocks::service;
use crate::config::schema::{AttributeSchema, BlockSchema};

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let types = &["copter", "plane", "vtol", "rover", "boat", "submarine"];
    super::shared("px4", "PX4, simulated in a container.")
        .attributes([
            AttributeSchema::string("image", "the image"),
            AttributeSchema::string("model", "what flies: PX4_SIM_MODEL"),
            AttributeSchema::string("world", "where it flies"),
            AttributeSchema::one_of("vehicle_type", types, "what kind of vehicle that is"),
            AttributeSchema::bool("headless", "nothing is shown").default(true),
            super::vehicle::home(),
        ])
        .rule(super::vehicle::system_id)
        .rule(service::latest)
        .later()
}
