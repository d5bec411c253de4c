//! `simulator "exec"`: any program.

use simfleet_provider_api::Value;

use super::{Kind, Simulator};
use crate::config::blocks::Block;
use crate::config::blocks::process::{self, Ready};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::BlockSchema;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// What is particular to a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec {
    /// The program and its arguments: a list of strings. Can be unknown.
    pub command: Value,
    /// The folder that it runs in. Can be unknown.
    pub working_dir: Option<Value>,
    /// What shows that it has started.
    pub ready: Option<Ready>,
}

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    super::shared("exec", "Any program.")
        .attributes([process::command(), process::working_dir()])
        .optional(process::ready_schema())
        .optional(process::log_schema())
        .rule(super::port_of_the_agent)
}

pub(in crate::config::blocks) fn decode(record: &Record) -> Result<Block, Diagnostics> {
    let mut reader = Reader::new(record);
    let kind = Exec::decode(&mut reader).map(Kind::Exec);
    let simulator = Simulator::decode_shared(&mut reader, kind);
    let block = simulator.map(|simulator| Block::Simulator(Box::new(simulator)));
    reader.finish(block)
}

impl Exec {
    /// Reads what a program has, whether it is a simulator or of a node.
    pub(in crate::config::blocks) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let (command, working_dir) = (reader.take::<Value>("command"), reader.maybe("working_dir"));
        let ready = reader.block("ready", Ready::decode);
        let elements = command.as_ref().and_then(Value::as_slice);
        if elements.is_some_and(<[Value]>::is_empty) {
            let detail = "`command` is empty; its first element must be a program.";
            reader.error(Diagnostic::error("Invalid value", detail), "command");
        }
        Some(Exec {
            command: command?,
            working_dir: working_dir?,
            ready: ready?,
        })
    }
}
