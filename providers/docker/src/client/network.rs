//! Networks.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};

use super::{CallError, Engine, Why};
use crate::labels;

/// The driver of networks that are bridges of the host.
const BRIDGE: &str = "bridge";
/// The option that names the interface of a bridge. An engine before 25 makes several networks of a name, but no two bridges
/// with an interface of a name.
const INTERFACE: &str = "com.docker.network.bridge.name";

/// A network as it is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewNetwork {
    pub(crate) engine_name: String,
    pub(crate) driver: String,
    pub(crate) cidr: Option<String>,
    pub(crate) internal: bool,
    /// The interface of the host that a bridge is.
    pub(crate) interface: String,
    pub(crate) labels: HashMap<String, String>,
}

/// A network as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenNetwork {
    pub(crate) id: String,
    pub(crate) engine_name: String,
    pub(crate) driver: String,
    pub(crate) cidr: Option<String>,
    pub(crate) internal: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a network; returns its id.
    pub(crate) async fn create_network(&self, network: NewNetwork) -> Result<String, CallError> {
        let ipam = network.cidr.map(|cidr| Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(cidr),
                ..IpamConfig::default()
            }]),
            ..Ipam::default()
        });
        let is_bridge = network.driver == BRIDGE;
        let interface = is_bridge.then(|| HashMap::from([(INTERFACE.to_owned(), network.interface)]));
        let request = NetworkCreateRequest {
            name: network.engine_name,
            options: interface,
            driver: Some(network.driver),
            internal: Some(network.internal),
            ipam,
            labels: Some(network.labels),
            ..NetworkCreateRequest::default()
        };
        let made = self.late().await?.create_network(request).await;
        Ok(made.map_err(|error| self.error(error))?.id)
    }

    /// Returns a network by id or name; `None` where there is none.
    pub(crate) async fn network(&self, id: &str) -> Result<Option<SeenNetwork>, CallError> {
        match self
            .soon()
            .await?
            .inspect_network(id, None::<InspectNetworkOptions>)
            .await
        {
            Ok(network) => Ok(Some(seen(network))),
            Err(error) => match self.error(error) {
                error if error.why == Why::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Returns the networks with a label.
    pub(crate) async fn networks_with(&self, label: &str, value: &str) -> Result<Vec<SeenNetwork>, CallError> {
        let options = ListNetworksOptions {
            filters: Some(labels::with(label, value)),
        };
        let networks = self
            .soon()
            .await?
            .list_networks(Some(options))
            .await
            .map_err(|error| self.error(error))?;
        let inspect = |network: bollard::models::Network| NetworkInspect {
            name: network.name,
            id: network.id,
            driver: network.driver,
            ipam: network.ipam,
            internal: network.internal,
            labels: network.labels,
            ..NetworkInspect::default()
        };
        Ok(networks.into_iter().map(inspect).map(seen).collect())
    }

    /// Deletes a network; one that is gone is no error.
    pub(crate) async fn remove_network(&self, id: &str) -> Result<(), CallError> {
        match self
            .late()
            .await?
            .remove_network(id)
            .await
            .map_err(|error| self.error(error))
        {
            Err(error) if error.why == Why::NotFound => Ok(()),
            other => other,
        }
    }

    /// Returns the names of the containers that are in a network.
    pub(crate) async fn members_of_network(&self, id: &str) -> Result<Vec<String>, CallError> {
        let network = self
            .soon()
            .await?
            .inspect_network(id, None::<InspectNetworkOptions>)
            .await;
        let members = network
            .map_err(|error| self.error(error))?
            .containers
            .unwrap_or_default();
        let mut names: Vec<String> = members.into_values().filter_map(|member| member.name).collect();
        names.sort();
        Ok(names)
    }
}

fn seen(network: NetworkInspect) -> SeenNetwork {
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    SeenNetwork {
        id: network.id.unwrap_or_default(),
        engine_name: network.name.unwrap_or_default(),
        driver: network.driver.unwrap_or_default(),
        cidr: configs.into_iter().find_map(|config| config.subnet),
        internal: network.internal.unwrap_or_default(),
        labels: network.labels.unwrap_or_default().into_iter().collect(),
    }
}
