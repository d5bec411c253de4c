//! Requests to Microsoft.Compute, built by Microsoft's own library: the only file that sees its types.
//!
//! The library gives the models of the API's published description and the addresses of its calls. Its transport is replaced
//! by one that sends nothing and keeps the request, which then goes the way of all others: the library would retry by itself,
//! takes an operation that failed for one that ended well, and has no idea of our limits.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::auth::{AccessToken, Secret, TokenCredential};
use azure_core::{Body, HttpClient, Response, RetryOptions, StatusCode, TransportOptions};
use azure_mgmt_compute::package_2024_07_01::Client;
use azure_mgmt_compute::package_2024_07_01::models::{
    VirtualMachine, VirtualMachineScaleSet, VirtualMachineScaleSetUpdate, VirtualMachineUpdate,
};
use reqwest::Method;
use serde_json::Value as Json;
use simfleet_provider_api::ProviderError;

use crate::arm::{Condition, Request};
use crate::resource::{Call, Resource, plain_request, what};
use crate::wanted::without_nulls;

/// Where an object of a resource group is.
struct Place {
    subscription: String,
    group: String,
    name: String,
}

impl Place {
    /// Reads `/subscriptions/S/resourceGroups/G/providers/NAMESPACE/COLLECTION/NAME`.
    fn of(id: &str) -> Result<Self, ProviderError> {
        match id.split('/').collect::<Vec<_>>()[..] {
            ["", _, subscription, _, group, _, _, _, name] => Ok(Place {
                subscription: subscription.to_owned(),
                group: group.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(ProviderError::Broken {
                message: format!("`{id}` is no id of an object of Microsoft.Compute"),
            }),
        }
    }
}

/// Returns the request of a call for a virtual machine.
pub(crate) async fn machine(resource: &dyn Resource, id: &str, call: Call) -> Result<Request, ProviderError> {
    let what = what(&resource.kind(), call.verb(), id);
    let Place {
        subscription,
        group,
        name,
    } = Place::of(id)?;
    let recorder = Arc::new(Recorder::default());
    let machines = client(&recorder)?.virtual_machines_client();
    let (body, condition) = match call {
        call @ (Call::Get | Call::Post(..)) => return Ok(plain_request(resource, id, call)),
        Call::Put(body, condition) => {
            let machine: VirtualMachine = model(&what, &body)?;
            let built = machines.create_or_update(group, name, machine, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (Some(body), condition)
        }
        Call::Patch(body, condition) => {
            let update: VirtualMachineUpdate = model(&what, &body)?;
            let built = machines.update(group, name, update, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (Some(body), condition)
        }
        Call::Delete => {
            let built = machines.delete(group, name, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (None, Condition::None)
        }
    };
    recorder.request(what, body.as_ref(), condition)
}

/// Returns the request of a call for a scale set.
pub(crate) async fn scale_set(resource: &dyn Resource, id: &str, call: Call) -> Result<Request, ProviderError> {
    let what = what(&resource.kind(), call.verb(), id);
    let Place {
        subscription,
        group,
        name,
    } = Place::of(id)?;
    let recorder = Arc::new(Recorder::default());
    let sets = client(&recorder)?.virtual_machine_scale_sets_client();
    let (body, condition) = match call {
        call @ (Call::Get | Call::Post(..)) => return Ok(plain_request(resource, id, call)),
        Call::Put(body, condition) => {
            let set: VirtualMachineScaleSet = model(&what, &body)?;
            let built = sets.create_or_update(group, name, set, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (Some(body), condition)
        }
        Call::Patch(body, condition) => {
            let update: VirtualMachineScaleSetUpdate = model(&what, &body)?;
            let built = sets.update(group, name, update, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (Some(body), condition)
        }
        Call::Delete => {
            let built = sets.delete(group, name, subscription);
            built.send().await.map_err(|error| broken(&what, &error))?;
            (None, Condition::None)
        }
    };
    recorder.request(what, body.as_ref(), condition)
}

/// Reads a body as the model of the API: a field of a wrong type is found before anything is sent.
fn model<T: serde::de::DeserializeOwned>(what: &str, body: &Json) -> Result<T, ProviderError> {
    // Not `from_value`: the models are read with numbers of any length switched on, which flattened ones do not survive.
    serde_json::from_str(&body.to_string()).map_err(|error| ProviderError::Broken {
        // Without the text of the parser, which can show a secret.
        message: format!(
            "cannot {what}: the request is not as the API describes it, at column {}",
            error.column()
        ),
    })
}

fn broken(what: &str, error: &azure_core::Error) -> ProviderError {
    ProviderError::Broken {
        message: format!("cannot {what}: the request cannot be built: {error}"),
    }
}

fn client(recorder: &Arc<Recorder>) -> Result<Client, ProviderError> {
    let built = Client::builder(recorder.clone())
        .retry(RetryOptions::none())
        .transport(TransportOptions::new(recorder.clone()))
        .build();
    built.map_err(|error| broken("reach Microsoft.Compute", &error))
}

/// A transport that sends nothing: it keeps the request.
#[derive(Debug, Default)]
struct Recorder {
    request: Mutex<Option<azure_core::Request>>,
}

#[async_trait::async_trait]
impl HttpClient for Recorder {
    async fn execute_request(&self, request: &azure_core::Request) -> azure_core::Result<Response> {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        let nothing = Box::pin(azure_core::BytesStream::new_empty());
        Ok(Response::new(
            StatusCode::Ok,
            azure_core::headers::Headers::new(),
            nothing,
        ))
    }
}

/// The real token is added where the request is sent.
#[async_trait::async_trait]
impl TokenCredential for Recorder {
    async fn get_token(&self, _scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let never = azure_core::date::parse_rfc3339("2999-01-01T00:00:00Z")?;
        Ok(AccessToken::new(Secret::new("none"), never))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        Ok(())
    }
}

impl Recorder {
    /// Returns what was to be sent.
    fn request(&self, what: String, asked: Option<&Json>, condition: Condition) -> Result<Request, ProviderError> {
        let broken = |problem: &str| ProviderError::Broken {
            message: format!("cannot {what}: {problem}"),
        };
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let request = request.ok_or_else(|| broken("nothing was to be sent"))?;
        let body = match request.body() {
            Body::Bytes(bytes) if bytes.is_empty() => None,
            Body::Bytes(bytes) => {
                let body = serde_json::from_slice(bytes).map_err(|_| broken("the request has no JSON"))?;
                // They send the time of creation, which only Azure knows, as `null`.
                Some(with_identities(without_nulls(body), asked))
            }
            Body::SeekableStream(_) => return Err(broken("the request is a stream")),
        };
        let method = Method::from_bytes(request.method().as_ref().as_bytes());
        Ok(Request {
            method: method.map_err(|_| broken("the request has no known method"))?,
            target: request.path_and_query(),
            what,
            body,
            condition,
        })
    }
}

/// Puts the identities that were asked for back: their model has lost its fields, as they are a map with names of any kind.
fn with_identities(mut body: Json, asked: Option<&Json>) -> Json {
    const FIELD: &str = "userAssignedIdentities";
    let identities = asked.and_then(|asked| asked.get("identity")?.get(FIELD));
    if let (Some(identities), Some(Json::Object(identity))) = (identities, body.get_mut("identity")) {
        identity.insert(FIELD.to_owned(), identities.clone());
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds;
    use crate::schema::{SCALE_SET, VM};

    const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/x";

    /// What the library's models do not know they lose, without a word.
    #[tokio::test]
    async fn nothing_of_a_machine_is_lost_on_its_way_through_the_models() {
        let vm = kinds::resource(&VM).expect("it is a kind");
        let body = json!({
            "location": "eastus",
            "tags": { "a": "b" },
            "zones": ["1"],
            "identity": { "type": "UserAssigned", "userAssignedIdentities": { "/subscriptions/s/i": {} } },
            "properties": {
                "hardwareProfile": { "vmSize": "Standard_B4ms" },
                "storageProfile": {
                    "imageReference": { "publisher": "P", "offer": "O", "sku": "S", "version": "latest" },
                    "osDisk": {
                        "createOption": "FromImage", "deleteOption": "Delete", "diskSizeGB": 64,
                        "managedDisk": { "storageAccountType": "Premium_LRS" },
                    },
                    "dataDisks": [{
                        "lun": 0, "createOption": "Empty", "deleteOption": "Delete", "diskSizeGB": 8,
                        "managedDisk": { "storageAccountType": "Standard_LRS" },
                    }],
                },
                "osProfile": {
                    "computerName": "x", "adminUsername": "u", "customData": "aGk=",
                    "linuxConfiguration": {
                        "disablePasswordAuthentication": true,
                        "ssh": { "publicKeys": [{ "path": "/home/u/.ssh/authorized_keys", "keyData": "ssh-ed25519 A" }] },
                    },
                },
                "networkProfile": {
                    "networkInterfaces": [{ "id": "/n", "properties": { "primary": true, "deleteOption": "Detach" } }],
                },
                "priority": "Spot",
                "evictionPolicy": "Delete",
                "billingProfile": { "maxPrice": 0.25 },
                "virtualMachineScaleSet": { "id": "/v" },
                "platformFaultDomain": 1,
            },
        });
        let request = machine(vm, ID, Call::Put(body.clone(), Condition::IsNew))
            .await
            .expect("it is a body");
        assert_eq!(request.target, format!("{ID}?api-version=2024-07-01"));
        assert_eq!((request.method, request.condition), (Method::PUT, Condition::IsNew));
        assert_eq!(request.body, Some(body.clone()));

        let update = json!({ "tags": { "a": "c" }, "properties": { "hardwareProfile": { "vmSize": "B" } } });
        let request = machine(vm, ID, Call::Patch(update.clone(), Condition::None))
            .await
            .expect("it is a body");
        assert_eq!((request.method, request.body), (Method::PATCH, Some(update)));
        let request = machine(vm, ID, Call::Delete).await.expect("it has an id");
        assert_eq!((request.method, request.body), (Method::DELETE, None));

        let mut wrong = body;
        wrong["properties"]["osProfile"]["customData"] = json!(["a secret"]);
        let error = machine(vm, ID, Call::Put(wrong, Condition::IsNew))
            .await
            .expect_err("it is no body");
        assert!(error.to_string().contains("is not as the API describes it"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn nothing_of_a_scale_set_is_lost_on_its_way_through_the_models() {
        let set = kinds::resource(&SCALE_SET).expect("it is a kind");
        let body = json!({
            "location": "eastus",
            "tags": { "a": "b" },
            "zones": ["1", "2"],
            "properties": { "orchestrationMode": "Flexible", "singlePlacementGroup": false, "platformFaultDomainCount": 1 },
        });
        let request = scale_set(set, ID, Call::Put(body.clone(), Condition::IsNew))
            .await
            .expect("it is a body");
        assert_eq!(request.body, Some(body));
    }
}
