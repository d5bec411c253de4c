//! The fleet that is killed: a pool whose members run a process each, with simulators on them, nodes, and a value that reads
//! those.

use std::collections::BTreeMap;

/// How large it is.
#[derive(Clone, Copy)]
pub struct Field {
    /// Members of the pool.
    pub members: usize,
    /// Simulators that run on them.
    pub jobs: usize,
    /// Nodes beside the pool.
    pub nodes: usize,
}

/// Twenty resources.
pub const TWENTY: Field = Field {
    members: 4,
    jobs: 8,
    nodes: 3,
};

/// Sixty resources.
pub const SIXTY: Field = Field {
    members: 4,
    jobs: 44,
    nodes: 7,
};

impl Field {
    /// Its text, after the block of its provider.
    pub fn text(self, provider: &str) -> String {
        let Field { members, jobs, nodes } = self;
        let of_one = jobs.div_ceil(members);
        format!(
            r#"
{provider}
pool "field" {{
  node {{
    max_simulators = {of_one}
    process "own" {{
      command    = ["sleep", "1000"]
      env        = {{ MEMBER = member.name }}
      stop_grace = "1s"
    }}
    port_range "any" {{
      protocol = "tcp"
      from     = 20000
      to       = 20030
    }}
  }}
  autoscale {{
    min = {members}
    max = {members}
  }}
}}
node "extra" {{
  count = {nodes}
}}
simulator "exec" "job" {{
  count      = {jobs}
  placement  = pool.field
  command    = ["sleep", "1000"]
  stop_grace = "1s"
  port "main" {{ range = "any" }}
}}
value "addresses" {{
  input = [for n in node.extra : n.address]
}}
"#
        )
    }

    /// How many objects there should be of each name, members by [`without_number`].
    pub fn objects(self) -> BTreeMap<String, usize> {
        let nodes = (0..self.nodes).map(|i| (format!("node.extra[{i}]"), 1));
        let jobs = (0..self.jobs).map(|i| (format!("simulator.exec.job[{i}]"), 1));
        let members = [MEMBER, OWN].map(|name| (name.to_owned(), self.members));
        nodes.chain(jobs).chain(members).collect()
    }

    /// How many agents there should be of it on this machine, and how many processes of members and simulators.
    pub fn processes(self) -> (usize, usize) {
        (self.members + self.nodes, self.members + self.jobs)
    }
}

const MEMBER: &str = "pool.field/m";
const OWN: &str = "pool.field/m/own";

/// The name of a member of the pool, or of its process, without its number, as a number is never used again; any other as it
/// is.
pub fn without_number(name: &str) -> &str {
    match name.strip_prefix(MEMBER) {
        Some(member) if member.ends_with("/own") => OWN,
        Some(_) => MEMBER,
        None => name,
    }
}

/// Counts names without numbers.
pub fn without_numbers<'a>(names: impl IntoIterator<Item = (&'a str, usize)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (name, count) in names {
        *counts.entry(without_number(name).to_owned()).or_default() += count;
    }
    counts
}
