//! What is done with a machine beside putting it: started, stopped, looked at.

use axum::http::Method;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::message::{Answer, ArmError, Result};
use crate::operation::{Effect, Family};
use crate::resource::{Power, Resource, State};
use crate::world::{Asked, MachineLogin, World};

impl World {
    /// Answers at `…/virtualMachines/{name}/{what}`.
    pub(crate) fn on_machine(&mut self, asked: &Asked, inside: &[&str]) -> Result<Answer> {
        let resource = self.find(asked)?.clone();
        match (&asked.request.method, inside) {
            (&Method::GET, ["instanceview"]) => Ok(Answer::json(200, self.instance_view(&resource))),
            (&Method::GET, ["vmsizes"]) => Ok(self.vm_sizes()),
            (&Method::GET, ["extensions"]) => Ok(crate::arm::value(Vec::new())),
            (&Method::POST, ["simulateeviction"]) => {
                self.evict(&resource.key())?;
                Ok(Answer::empty(204))
            }
            (&Method::POST, [action]) => self.act(asked, &resource, action),
            _ => Err(crate::arm::nothing_at(asked.request)),
        }
    }

    /// Begins to change whether a machine runs.
    pub(crate) fn act(&mut self, asked: &Asked, resource: &Resource, action: &str) -> Result<Answer> {
        let power = match action {
            "start" | "restart" | "redeploy" | "reimage" | "reapply" => Power::Running,
            "poweroff" => Power::Stopped,
            "deallocate" => Power::Deallocated,
            _ => return Err(crate::arm::nothing_at(asked.request)),
        };
        if resource.state == State::Deleting {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                format!(
                    "Operation '{action}' is not allowed on VM '{}' since the VM is marked for deletion.",
                    resource.name
                ),
            ));
        }
        if action == "restart" && resource.power != Power::Running {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                format!(
                    "Operation 'restart' is not allowed on VM '{}' since the VM is not running.",
                    resource.name
                ),
            ));
        }
        let key = resource.key();
        self.preempt(&key);
        if let Some(resource) = self.resources.get_mut(&key) {
            resource.state = State::Updating;
            if power == Power::Running && resource.power != Power::Running {
                resource.power = Power::Starting;
            }
        }
        let operation = self.begin(
            Family::Compute,
            &asked.place,
            &key,
            self.pace.compute_ms,
            Effect::Power(power),
        );
        Ok(self.with_operation(Answer::empty(202), &operation, asked, true))
    }

    /// Takes a spot machine away: by its eviction policy it is deallocated or deleted.
    ///
    /// # Errors
    /// There is no such machine, or it is not one that can be evicted.
    pub fn evict(&mut self, key: &str) -> Result<()> {
        let key = key.to_lowercase();
        let missing = || ArmError::new(404, "ResourceNotFound", format!("The Resource '{key}' was not found."));
        let resource = self.resources.get(&key).ok_or_else(missing)?;
        if !resource
            .text("/properties/priority")
            .is_some_and(|priority| priority.eq_ignore_ascii_case("Spot"))
        {
            return Err(ArmError::new(
                409,
                "OperationNotAllowed",
                format!(
                    "Operation 'simulateEviction' is not allowed on VM '{}' since it is not a Spot VM.",
                    resource.name
                ),
            ));
        }
        if resource
            .text("/properties/evictionPolicy")
            .is_some_and(|policy| policy.eq_ignore_ascii_case("Delete"))
        {
            self.remove(&key);
            return Ok(());
        }
        self.machines
            .push(crate::world::MachineEvent::Stopped { key: key.clone() });
        if let Some(resource) = self.resources.get_mut(&key) {
            resource.power = Power::Deallocated;
        }
        Ok(())
    }

    /// Returns who may log in to a machine, and where it is.
    pub(crate) fn login_of(&self, key: &str) -> MachineLogin {
        let Some(machine) = self.resources.get(key) else {
            return MachineLogin::default();
        };
        let owned = |found: Option<&str>| found.unwrap_or_default().to_owned();
        let at = |id: Option<&str>| self.resources.get(&id?.to_lowercase());
        let keys = machine.at("/properties/osProfile/linuxConfiguration/ssh/publicKeys");
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        let interface = at(machine.text("/properties/networkProfile/networkInterfaces/0/id"));
        let configuration = |name: &str| interface?.text(&format!("/properties/ipConfigurations/0/properties/{name}"));
        let public = at(configuration("publicIPAddress/id"));
        MachineLogin {
            user: owned(machine.text("/properties/osProfile/adminUsername")),
            keys: keys
                .filter_map(|key| Some(format!("{}\n", key.get("keyData")?.as_str()?.trim())))
                .collect(),
            private_ip: owned(configuration("privateIPAddress")),
            public_ip: owned(public.and_then(|public| public.text("/properties/ipAddress"))),
        }
    }

    /// Returns what a machine is like right now.
    pub(crate) fn instance_view(&self, resource: &Resource) -> Value {
        let time = self.now.to_string();
        let provisioning = match (&resource.failure, resource.state) {
            (Some((code, message)), State::Failed) => json!({
                "code": format!("ProvisioningState/failed/{code}"), "level": "Error", "displayStatus": "Provisioning failed",
                "message": message, "time": time,
            }),
            (_, state) => json!({
                "code": format!("ProvisioningState/{}", state.name().to_lowercase()), "level": "Info",
                "displayStatus": match state {
                    State::Succeeded => "Provisioning succeeded",
                    State::Failed => "Provisioning failed",
                    State::Creating => "Creating",
                    State::Updating => "Updating",
                    State::Deleting => "Deleting",
                },
                "time": time,
            }),
        };
        let mut statuses = vec![provisioning];
        let booted = resource.failure.is_none() && resource.power != Power::Starting;
        let (code, displayed) = resource.power.status();
        if resource.state != State::Creating || booted {
            statuses.push(json!({"code": code, "level": "Info", "displayStatus": displayed}));
        }
        let mut view = json!({ "statuses": statuses });
        if resource.power == Power::Running {
            view["computerName"] = resource
                .at("/properties/osProfile/computerName")
                .cloned()
                .unwrap_or(json!(resource.name));
            view["osName"] = json!("ubuntu");
            view["osVersion"] = json!("24.04");
            view["vmAgent"] = json!({
                "vmAgentVersion": "2.15.0.1", "extensionHandlers": [],
                "statuses": [{"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Ready",
                    "message": "Guest Agent is running", "time": time}],
            });
            view["hyperVGeneration"] = json!("V2");
        }
        if let Some(name) = resource.text("/properties/storageProfile/osDisk/name") {
            view["disks"] = json!([{"name": name, "statuses": [{
                "code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded", "time": time,
            }]}]);
        }
        if resource.kind == Kind::Machine
            && resource
                .properties()
                .is_some_and(|it| it.contains_key("virtualMachineScaleSet"))
        {
            view["platformFaultDomain"] = resource
                .at("/properties/platformFaultDomain")
                .cloned()
                .unwrap_or(json!(0));
        }
        view
    }
}
