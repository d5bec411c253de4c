//! `simulator "renode"`: a board under Renode.

use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    let coverage = BlockSchema::new("coverage", "Which of the program's lines ran.").attributes([
        AttributeSchema::some_of("format", &["lcov", "html"], "in which forms it is written").required(),
        AttributeSchema::string("path", "where to").required(),
    ]);
    super::shared("renode", "A board under Renode.")
        .attributes([
            AttributeSchema::string("platform", "the description of the board, a file").required(),
            AttributeSchema::reference("program", &["program"], "what it runs"),
            AttributeSchema::references("peripherals", &["peripheral"], "further devices"),
            AttributeSchema::object(
                "monitor",
                [
                    AttributeSchema::string("bind", "the address at which it listens").default("127.0.0.1"),
                    AttributeSchema::new(
                        "port",
                        AttributeType::Integer(0, 65_535),
                        "the port; 0 is any that is free",
                    )
                    .default(0u64),
                ],
                "Renode's own console",
            ),
            AttributeSchema::duration("quantum", "how long its parts run before they are synchronized"),
            AttributeSchema::count("seed", 0, "what chance starts from"),
            AttributeSchema::duration("autosave", "how often a snapshot is made"),
        ])
        .optional(super::qemu::gdb())
        .optional(coverage)
        .later()
}
