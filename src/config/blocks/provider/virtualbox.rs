//! `provider "virtualbox"`.

use crate::config::schema::AttributeSchema;

pub(super) fn settings() -> Vec<AttributeSchema> {
    vec![
        AttributeSchema::string("binary", "the program").default("VBoxManage"),
        AttributeSchema::count("parallelism", 1, "how many machines start or stop at once").default(2u64),
        AttributeSchema::one_of("start_type", &["headless", "gui", "separate"], "how machines start")
            .default("headless"),
        AttributeSchema::duration("timeout", "how long a start or stop may take").default("10m"),
    ]
}
