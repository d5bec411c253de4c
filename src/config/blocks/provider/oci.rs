//! `provider "oci"`.

use crate::config::forms;
use crate::config::schema::AttributeSchema;

pub(super) fn settings() -> Vec<AttributeSchema> {
    let auth = &["api_key", "instance_principal", "resource_principal"];
    vec![
        AttributeSchema::string("region", "the region").required(),
        AttributeSchema::one_of("auth", auth, "how it is told who asks").default("api_key"),
        AttributeSchema::string("profile", "the profile of the configuration file, for api_key").default("DEFAULT"),
        AttributeSchema::text("endpoint", &forms::URL, "where the API is, where that is not OCI's own"),
        super::retry(),
    ]
}
