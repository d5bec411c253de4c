//! `provider "azure"`.

use crate::config::forms;
use crate::config::schema::AttributeSchema;

pub(super) fn settings() -> Vec<AttributeSchema> {
    vec![
        AttributeSchema::string("subscription_id", "the subscription").required(),
        AttributeSchema::string("tenant_id", "the tenant"),
        AttributeSchema::string("resource_group", "the resource group that everything is in").required(),
        AttributeSchema::string("region", "the region").required(),
        AttributeSchema::text(
            "endpoint",
            &forms::URL,
            "where the API is, where that is not Azure's own",
        ),
        AttributeSchema::text(
            "authority",
            &forms::URL,
            "who gives tokens, where that is not Azure's own",
        ),
        super::retry(),
    ]
}
