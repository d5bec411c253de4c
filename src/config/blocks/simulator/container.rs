//! `simulator "container"`: any image.

use super::{Kind, Simulator};
use crate::config::blocks::Block;
use crate::config::blocks::container::{self, Container};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::BlockSchema;
use crate::diagnostic::Diagnostics;

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    container::schema(super::shared("container", "Any image."))
}

pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Block, Diagnostics> {
    let mut reader = Reader::new(record);
    let kind = Container::decode(&mut reader).map(|container| Kind::Container(Box::new(container)));
    let simulator = Simulator::decode_shared(&mut reader, kind);
    let block = simulator.map(|simulator| Block::Simulator(Box::new(simulator)));
    reader.finish(block)
}
