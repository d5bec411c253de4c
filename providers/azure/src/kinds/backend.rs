//! The kind `backend`: that an interface takes part in the pool of a load balancer. In Azure that is a part of the interface, so the
//! interface is changed, on the condition that nobody else has changed it meanwhile.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use simfleet_provider_api::{Kind, ProviderError, Schema, Token};

use super::nic::Nic;
use super::{NETWORK_API, items, property, schema_without_name, text};
use crate::arm::operation::{Provisioning, provisioning};
use crate::arm::{Condition, Request};
use crate::names::Rule;
use crate::resource::{Call, Resource, Site, get, plain_request, put_changed};
use crate::wanted::{Wanted, folded};

/// An interface in the pool of a load balancer.
pub const BACKEND: Kind = Kind::new("backend");

const POOLS: &str = "loadBalancerBackendAddressPools";

/// Its id is made of those of the interface, the pool and the member that it is for: Azure has none for it.
pub(super) struct Backend;

/// What an id is made of.
struct Parts<'i> {
    nic: &'i str,
    pool: &'i str,
    member: &'i str,
}

impl<'i> Parts<'i> {
    fn of(id: &'i str) -> Result<Self, ProviderError> {
        match id.split('|').collect::<Vec<_>>()[..] {
            [nic, pool, member] => Ok(Parts { nic, pool, member }),
            _ => Err(ProviderError::Broken {
                message: format!("`{id}` is no id of a backend"),
            }),
        }
    }

    fn is_in(&self, pool: &Json) -> bool {
        let id = pool.get("id").and_then(Json::as_str);
        id.is_some_and(|id| folded(id) == self.pool)
    }
}

#[async_trait]
impl Resource for Backend {
    fn kind(&self) -> Kind {
        BACKEND
    }

    fn make_schema(&self) -> Schema {
        let own = vec![
            text("nic", "The id of the interface.").required().replaces(),
            text("pool", "The id of the pool of the load balancer.")
                .required()
                .replaces(),
            text(
                "member",
                "The id of what answers there: when that is made anew, it takes part anew.",
            )
            .required()
            .replaces(),
        ];
        let doc = "An interface that takes part in a load balancer.";
        schema_without_name(BACKEND, doc, own)
    }

    fn names(&self) -> Rule {
        Rule::usual(80)
    }

    fn collection(&self) -> &'static str {
        "Microsoft.Network/networkInterfaces"
    }

    fn api(&self) -> &'static str {
        NETWORK_API
    }

    fn is_tracked(&self) -> bool {
        false
    }

    fn is_part(&self) -> bool {
        true
    }

    fn id(&self, _site: &Site, wanted: &Wanted, _token: &Token) -> String {
        let part = |name: &str| wanted.str(name);
        format!("{}|{}|{}", part("nic"), part("pool"), part("member"))
    }

    fn body(&self, _wanted: &Wanted) -> Json {
        json!({})
    }

    fn change(&self, _current: &Json, _wanted: &Wanted) -> Call {
        Call::Get
    }

    fn attributes(&self, seen: &Json) -> Json {
        let id = seen.get("id").and_then(Json::as_str).unwrap_or_default();
        match Parts::of(id) {
            Ok(Parts { nic, pool, member }) => json!({ "nic": nic, "pool": pool, "member": member }),
            Err(_) => json!({}),
        }
    }

    async fn request(&self, id: &str, _call: Call) -> Result<Request, ProviderError> {
        Ok(plain_request(&Nic, Parts::of(id)?.nic, Call::Get))
    }

    /// The interface is there without it, too.
    async fn complete(&self, _site: &Site, id: &str, mut seen: Json) -> Result<Option<Json>, ProviderError> {
        let parts = Parts::of(id)?;
        let first = items(&seen, "ipConfigurations").next().unwrap_or(&Json::Null);
        let is_there = items(first, POOLS).any(|pool| parts.is_in(pool));
        if let Some(fields) = seen.as_object_mut() {
            fields.insert("id".to_owned(), id.into());
        }
        Ok(is_there.then_some(seen))
    }

    async fn as_part(&self, site: &Site, id: &str, is_there: bool) -> Result<Option<Request>, ProviderError> {
        let parts = Parts::of(id)?;
        let Some(nic) = get(site, &Nic, parts.nic).await? else {
            return Err(ProviderError::Conflict {
                message: format!("the nic `{}` is gone", parts.nic),
            });
        };
        if provisioning(&nic) == Provisioning::Running {
            return Err(ProviderError::NotSent {
                message: format!("cannot change the nic `{}`: another operation on it goes on", parts.nic),
                retry_after: Some(site.pause),
            });
        }
        let mut configurations = property(&nic, "ipConfigurations").clone();
        if let Some(Json::Object(first)) = configurations.pointer_mut("/0/properties") {
            let pools = first.remove(POOLS);
            let others = pools
                .iter()
                .filter_map(Json::as_array)
                .flatten()
                .filter(|pool| !parts.is_in(pool));
            let mut pools: Vec<Json> = others.cloned().collect();
            pools.extend(is_there.then(|| json!({ "id": parts.pool })));
            first.insert(POOLS.to_owned(), pools.into());
        }
        let etag = nic.get("etag").and_then(Json::as_str).map(str::to_owned);
        let call = match put_changed(&nic, json!({ "ipConfigurations": configurations })) {
            Call::Put(body, _) => Call::Put(body, etag.map_or(Condition::None, Condition::IsVersion)),
            other => other,
        };
        Ok(Some(plain_request(&Nic, parts.nic, call)))
    }
}
