//! The settings of the provider, and the names of its kinds.

use std::sync::LazyLock;

use simfleet_provider_api::{Attribute, Type};

use crate::prices::PRICES;

pub use crate::kinds::{
    BACKEND, INSTANCE, LOAD_BALANCER, NETWORK, NIC, PUBLIC_IP, RESOURCE_GROUP, SCALE_SET, SECURITY_GROUP, SUBNET,
    UNIFORM_SET, VM,
};

/// Returns the settings of a `provider "azure"` block.
pub(crate) fn settings() -> &'static [Attribute] {
    static SETTINGS: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        let text = |name, doc| Attribute::new(name, Type::String, doc);
        vec![
            text("subscription_id", "The subscription.").required().replaces(),
            text(
                "tenant_id",
                "The tenant that identities are of; without it AZURE_TENANT_ID, or the one of the Azure CLI.",
            ),
            text("resource_group", "The resource group that objects are in.")
                .required()
                .replaces(),
            text(
                "region",
                "The region of objects that do not say, in its short form: `eastus`.",
            ),
            text(
                "endpoint",
                "Azure Resource Manager; without it the one of the public cloud.",
            )
            .replaces(),
            Attribute::new(
                PRICES,
                Type::map(Type::Number),
                "What machines cost an hour by their size, in USD, where that is not what is listed: `{ Standard_B4ms = 0.15 }`.",
            ),
            text(
                "authority",
                "Where tokens are had; without it what the endpoint says: `https://login.microsoftonline.com`.",
            ),
        ]
    });
    &SETTINGS
}
