//! The schemas themselves.

use simfleet_provider_api::{Type, Value};

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

/// What stands for a list or a map in another form is told how it is written.
#[test]
fn lists_and_maps_in_other_forms() {
    for (ty, value, hint) in [
        (
            Type::list(Type::String),
            Value::from("sleep 1"),
            "a list is written in brackets: [\"one\", \"two\"]",
        ),
        (
            Type::map(Type::String),
            Value::list([Value::from("x")]),
            "a map is written in braces: { name = \"value\" }",
        ),
    ] {
        let wrong = conform(&value, &AttributeType::Value(ty)).expect_err("it does not fit");
        assert_eq!(wrong.hint.as_deref(), Some(hint));
    }
    let of_numbers = Value::list([Value::list([])]);
    let wrong = conform(&of_numbers, &AttributeType::Value(Type::list(Type::String))).expect_err("it does not fit");
    assert_eq!((wrong.path.as_str(), wrong.hint), ("[0]", None));
}

#[test]
fn every_attribute_is_documented() {
    attributes(&fleet_schema(&inputs().providers), &mut |block, attribute| {
        assert!(!attribute.doc.is_empty(), "{block}.{} has no words", attribute.name);
    });
}
