//! `test`: what a simulator must do.

use crate::config::schema::{AttributeSchema, BlockSchema};

pub(super) fn schema() -> BlockSchema {
    BlockSchema::new("test", "What a simulator must do.")
        .labels(&["name"])
        .attributes([
            AttributeSchema::reference("simulator", &["simulator"], "the simulator").required(),
            AttributeSchema::duration("timeout", "in what time").default("60s"),
            AttributeSchema::one_of("on_failure", &["fail", "continue"], "what is done where it does not")
                .default("fail"),
        ])
        .once(BlockSchema::new("expect", "What shows that it does.").attributes([
            AttributeSchema::string("console", "the console that is read").required(),
            AttributeSchema::string("matches", "a regular expression that a line must match").required(),
        ]))
        .later()
}
