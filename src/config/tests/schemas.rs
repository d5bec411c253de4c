//! The schemas themselves.

use super::super::blocks::fleet_schema;
use super::super::conform::conform;
use super::super::schema::{AttributeSchema, AttributeType, BlockSchema, Presence};
use super::inputs;

/// Calls `visit` with every attribute of a block, at any depth, and the name of its block.
fn attributes(block: &BlockSchema, visit: &mut dyn FnMut(&str, &AttributeSchema)) {
    let all = block.attributes.iter().chain(block.meta_attributes());
    for attribute in all {
        visit(block.name, attribute);
        if let AttributeType::Object(fields) = &attribute.ty {
            fields.iter().for_each(|field| visit(block.name, field));
        }
    }
    for nested in block.all_blocks() {
        attributes(&nested.schema, visit);
    }
}

#[test]
fn every_default_is_what_its_attribute_may_be_set_to() {
    let mut defaults = 0;
    attributes(&fleet_schema(&inputs().providers), &mut |block, attribute| {
        if let Presence::Default { written, value } = &attribute.presence {
            defaults += 1;
            assert_eq!(
                conform(written, &attribute.ty).as_ref(),
                Ok(value),
                "{block}.{}",
                attribute.name
            );
        }
    });
    assert!(defaults > 30, "{defaults} defaults were looked at");
}

#[test]
fn every_attribute_is_documented() {
    attributes(&fleet_schema(&inputs().providers), &mut |block, attribute| {
        assert!(!attribute.doc.is_empty(), "{block}.{} has no words", attribute.name);
    });
}
