//! A fleet of alike machines: a network, nodes, and a pool.

use crate::cloud::{Cloud, IMAGE, KEY};

/// The size of the machines.
pub const SIZE: &str = "Standard_B2ms";

/// How many machines.
#[derive(Clone, Copy)]
pub struct Machines {
    /// Nodes by themselves.
    pub nodes: usize,
    /// Members of the pool.
    pub members: usize,
}

impl Machines {
    /// Returns the text of the fleet.
    pub fn text(self, cloud: &Cloud) -> String {
        self.text_for(&cloud.provider())
    }

    /// Returns the text of the fleet, after the block of its provider.
    pub fn text_for(self, provider: &str) -> String {
        let Machines { nodes, members } = self;
        let machine = format!(
            r#"size   = "{SIZE}"
    image  = "{IMAGE}"
    subnet = network.sim.subnet.all.id
    ssh {{ public_key = "{KEY}" }}"#
        );
        format!(
            r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "all" {{ cidr = "10.0.0.0/20" }}
  rule "ssh" {{
    ports   = ["22"]
    sources = ["192.0.2.0/24"]
  }}
}}
node "single" {{
  count    = {nodes}
  provider = azure
    {machine}
}}
pool "agents" {{
  provider = azure
  node {{
    {machine}
  }}
  autoscale {{
    min = {members}
    max = {members}
  }}
}}
"#
        )
    }

    /// How many objects there are of it all, with the disks of machines.
    pub fn objects(self) -> usize {
        // A subnet is part of its network there.
        let (network, set, machine) = (2, 1, 4);
        network + set + machine * (self.nodes + self.members)
    }
}
