//! `access`: who may do what over HTTP.

use crate::config::forms;
use crate::config::schema::{AttributeSchema, AttributeType, BlockSchema};

const ROLES: &[&str] = &["viewer", "operator", "admin"];

pub(super) fn schema() -> BlockSchema {
    let role = || AttributeSchema::one_of("role", ROLES, "what its owner may do").required();
    let roles = AttributeType::Map(Box::new(AttributeType::Enum(ROLES)));
    BlockSchema::new("access", "Who may do what over HTTP.")
        .any(
            BlockSchema::new("token", "Someone who is known by a secret.")
                .labels(&["name"])
                .attributes([
                    role(),
                    AttributeSchema::string("secret", "the secret").sensitive().required(),
                ]),
        )
        .any(
            BlockSchema::new(
                "api_key",
                "Someone who is known by a key, of which only the hash is kept.",
            )
            .labels(&["name"])
            .attributes([
                role(),
                AttributeSchema::text("sha256", &forms::SHA256, "the hash of the key").required(),
            ]),
        )
        .optional(BlockSchema::new("jwt", "Those whom someone else knows.").attributes([
            AttributeSchema::text("issuer", &forms::URL, "who that is").required(),
            AttributeSchema::string("audience", "for whom the tokens must be").required(),
            AttributeSchema::text("jwks_url", &forms::URL, "where its keys are").required(),
            AttributeSchema::new("roles", roles, "roles by the values of the claim"),
        ]))
        .later()
}
