//! A fleet as text, by dice.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use simfleet_provider_api::Address;

/// A declaration that can be there or not. All that it says follows from its dice and from what it can read.
#[derive(Clone)]
pub struct Slot {
    pub kind: &'static str,
    pub name: String,
    /// The names that it had before.
    pub was: Vec<String>,
    pub is_there: bool,
    pub is_protected: bool,
    pub dice: u64,
}

/// Returns all slots, none of them there.
pub fn all() -> Vec<Slot> {
    let slot = |(kind, name): (&'static str, &str)| Slot {
        kind,
        name: name.to_owned(),
        was: Vec::new(),
        is_there: false,
        is_protected: false,
        dice: 0,
    };
    let slots = [
        ("node", "a"),
        ("node", "b"),
        ("node", KEPT),
        ("pool", "p"),
        ("simulator.exec", "s"),
        ("simulator.exec", "t"),
        ("simulator.vehicle", "v"),
        ("value", "x"),
        ("value", "y"),
        ("value", "z"),
        ("value", KEPT),
        ("module", "m"),
    ];
    slots.into_iter().map(slot).collect()
}

/// What can be protected from deletion. It has one instance, so that none goes while its block stays.
const KEPT: &str = "kept";

/// What a `for_each` goes through.
const KEYS: [&str; 3] = ["k0", "k1", "k2"];

/// A module with resources of each kind that read one another, and an output that reads them.
const MODULE: &str = r#"
variable "x" {}
node "n" {
  labels = { x = var.x }
  port_range "mavlink" {
    from = 200
    to   = 220
  }
}
simulator "exec" "e" {
  placement = node.n
  command   = ["run"]
  env       = { N = node.n.id }
  port "gcs" { range = "mavlink" }
}
value "w" { input = [node.n.address, simulator.exec.e.id] }
output "o" { value = value.w.output }
"#;

/// The files of a fleet of the slots that are there. Each can read those before it. `removed` are addresses that are no
/// longer managed; their objects stay.
pub fn files(slots: &[Slot], removed: &BTreeSet<String>, seed: u64) -> Vec<(PathBuf, String)> {
    let mut text = "provider \"fake\" {}\n".to_owned();
    let below = declared(slots, &mut text);
    let mut dice = StdRng::seed_from_u64(seed);
    let read: Vec<String> = below.iter().map(|slot| slot.read(&mut dice)).collect();
    text += &format!("output \"all\" {{ value = [{}] }}\n", read.join(", "));
    for from in removed {
        text += &format!("removed {{\nfrom = {from}\nlifecycle {{ destroy = false }}\n}}\n");
    }
    vec![("fleet.hcl".into(), text), ("m/module.hcl".into(), MODULE.to_owned())]
}

/// Writes the blocks of the slots that are there; returns those that have what they need.
pub fn declared<'s>(slots: &'s [Slot], text: &mut String) -> Vec<&'s Slot> {
    let mut below: Vec<&Slot> = Vec::new();
    // What has ports, and what reads that: it cannot be made before the old one goes.
    let mut with_ports: Vec<&Slot> = Vec::new();
    for slot in slots.iter().filter(|slot| slot.is_there) {
        let Some(block) = slot.block(&below, &with_ports) else {
            continue;
        };
        if matches!(slot.kind, "module" | "simulator.exec" | "simulator.vehicle") || slot.names(&with_ports, &block) {
            with_ports.push(slot);
        }
        *text += &block;
        for (was, then) in slot.was.iter().zip(slot.was.iter().skip(1).chain([&slot.name])) {
            let kind = slot.kind;
            *text += &format!("moved {{\nfrom = {kind}.{was}\nto = {kind}.{then}\n}}\n");
        }
        below.push(slot);
    }
    below
}

/// How many instances a block has.
enum Instances {
    One,
    Count(u64),
    Keys(Vec<&'static str>),
}

impl Slot {
    pub fn can_be_protected(&self) -> bool {
        self.name.starts_with(KEPT)
    }

    /// Whether an address is that of an instance of it, or was.
    pub fn is_or_was(&self, address: &Address) -> bool {
        let declaration = address.declaration().to_string();
        let mut names = self.was.iter().chain([&self.name]);
        names.any(|name| format!("{}.{name}", self.kind) == declaration)
    }

    /// Gives it another name.
    pub fn rename(&mut self, number: usize) {
        let first = self.was.first().unwrap_or(&self.name);
        let name = format!("{first}{number}");
        self.was.push(std::mem::replace(&mut self.name, name));
    }

    pub fn address(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }

    fn instances(&self) -> Instances {
        let (count, keys) = ((self.dice >> 8) % 4, (self.dice >> 12) % 8);
        let chosen = KEYS.into_iter().enumerate().filter(|(bit, _)| keys >> bit & 1 == 1);
        match self.kind {
            "pool" => Instances::One,
            _ if self.can_be_protected() || count == 0 => Instances::One,
            _ if (self.dice >> 16).is_multiple_of(3) && keys > 0 => {
                Instances::Keys(chosen.map(|(_, key)| key).collect())
            }
            _ => Instances::Count(count),
        }
    }

    /// Returns the key of its first instance, as it is written behind its address.
    fn first(&self) -> String {
        match self.instances() {
            Instances::One => String::new(),
            Instances::Count(_) => "[0]".to_owned(),
            Instances::Keys(keys) => format!("[\"{}\"]", keys[0]),
        }
    }

    /// Returns an expression that reads it.
    fn read(&self, dice: &mut StdRng) -> String {
        let address = self.address();
        let field = match self.kind {
            "node" => *["address", "id", "cpus"].choose(dice).expect("some"),
            "pool" if dice.random_bool(0.3) => return format!("{address}.size"),
            "pool" => return format!("join(\",\", [for m in {address}.members : m.address])"),
            "value" => "output",
            "module" => "o",
            _ => *["id", "node.address", "endpoints.gcs"].choose(dice).expect("some"),
        };
        match self.instances() {
            Instances::One => format!("{address}.{field}"),
            _ if dice.random_bool(0.5) => format!("{address}{}.{field}", self.first()),
            Instances::Count(_) => format!("[for one in {address} : one.{field}]"),
            Instances::Keys(_) => format!("{{ for key, one in {address} : key => one.{field} }}"),
        }
    }

    /// Whether its block names one of these, or something that begins as one of them does.
    fn names(&self, slots: &[&Slot], block: &str) -> bool {
        slots.iter().any(|slot| block.contains(&slot.address()))
    }

    /// Returns its block; `None` where it needs something that is not there.
    fn block(&self, below: &[&Slot], with_ports: &[&Slot]) -> Option<String> {
        let dice = &mut StdRng::seed_from_u64(self.dice);
        let mut text = match self.instances() {
            Instances::One => String::new(),
            Instances::Count(count) => format!("count = {count}\n"),
            Instances::Keys(keys) => format!("for_each = toset({keys:?})\n"),
        };
        let expression = |dice: &mut StdRng| match below.choose(dice) {
            Some(slot) if dice.random_bool(0.8) => format!("jsonencode({})", slot.read(dice)),
            _ => format!("\"{}\"", dice.random_range(0..3)),
        };
        if dice.random_bool(0.2)
            && let Some(slot) = below.choose(dice)
        {
            text += &format!("depends_on = [{}]\n", slot.address());
        }
        text += &match self.kind {
            "value" if dice.random_bool(0.5) => format!("input = {}\n", expression(dice)),
            "value" => format!(
                "input = {}\ntriggers_replace = {}\n",
                expression(dice),
                expression(dice)
            ),
            "module" => format!("source = \"./m\"\nx = {}\n", expression(dice)),
            "node" => {
                let (cpus, label) = (8 + dice.random_range(0..2), expression(dice));
                let (image, range) = (image(dice, &expression), range(dice));
                format!("cpus = {cpus}\nlabels = {{ x = {label} }}\n{image}{range}")
            }
            "pool" => {
                let (most, min) = (dice.random_range(2..5), dice.random_range(0..6));
                let max = dice.random_range(min.max(5)..7);
                let (label, image, range) = (expression(dice), image(dice, &expression), range(dice));
                format!(
                    "node {{\nmax_simulators = {most}\nlabels = {{ x = {label} }}\n{image}{range}}}\nautoscale {{\nmin = {min}\n\
                     max = {max}\ncheck \"free_slots\" {{\nstrategy \"buffer\" {{ min_ready = 1 }}\n}}\n}}\n"
                )
            }
            kind => {
                let is_host = |slot: &&&Slot| matches!(slot.kind, "node" | "pool");
                let hosts: Vec<_> = below.iter().filter(is_host).collect();
                let host = hosts.choose(dice)?;
                let what = match (kind, self.instances()) {
                    ("simulator.exec", _) => "command = [\"run\"]\n".to_owned(),
                    (_, Instances::One) => String::new(),
                    (_, Instances::Count(_)) => "instance = count.index\n".to_owned(),
                    (_, Instances::Keys(_)) => format!("instance = index({KEYS:?}, each.key)\n"),
                };
                let env = expression(dice);
                format!(
                    "placement = {}{}\n{what}env = {{ X = {env} }}\nport \"gcs\" {{ range = \"mavlink\" }}\n",
                    host.address(),
                    host.first()
                )
            }
        };
        text += &self.lifecycle(!self.names(with_ports, &text), dice);
        let (block, kind) = self
            .kind
            .split_once('.')
            .map_or((self.kind, String::new()), |(block, kind)| {
                (block, format!("\"{kind}\" "))
            });
        let one_for_each = match self.instances() {
            Instances::Keys(_) if dice.random_bool(0.5) => self.one_for_each(),
            _ => String::new(),
        };
        Some(format!("{block} {kind}\"{}\" {{\n{text}}}\n{one_for_each}", self.name))
    }

    /// Returns a block with one instance for each of it, that reads that one.
    fn one_for_each(&self) -> String {
        let (address, name) = (self.address(), &self.name);
        let (block, attribute, field) = match self.kind {
            "node" => ("node", "image", "id"),
            "value" => ("value", "input", "output"),
            "module" => ("node", "image", "o"),
            _ => ("node", "image", "node.address"),
        };
        format!("{block} \"each_{name}\" {{\nfor_each = {address}\n{attribute} = jsonencode(each.value.{field})\n}}\n")
    }

    fn lifecycle(&self, can_be_made_first: bool, dice: &mut StdRng) -> String {
        let mut text = String::new();
        if matches!(self.kind, "node" | "pool" | "value") && can_be_made_first && dice.random_bool(0.3) {
            text += "create_before_destroy = true\n";
        }
        let ignored = match self.kind {
            "node" => *["[labels]", "[cpus]", "all"].choose(dice).expect("some"),
            "value" => "[input]",
            "simulator.exec" => "[env]",
            _ => "",
        };
        if !ignored.is_empty() && dice.random_bool(0.15) {
            text += &format!("ignore_changes = {ignored}\n");
        }
        if self.is_protected {
            text += "prevent_destroy = true\n";
        }
        match &*text {
            "" => text,
            _ => format!("lifecycle {{\n{text}}}\n"),
        }
    }
}

fn image(dice: &mut StdRng, expression: &dyn Fn(&mut StdRng) -> String) -> String {
    match dice.random_bool(0.2) {
        true => format!("image = {}\n", expression(dice)),
        false => String::new(),
    }
}

fn range(dice: &mut StdRng) -> String {
    let from = dice.random_range(100..104);
    format!("port_range \"mavlink\" {{\nfrom = {from}\nto = {}\n}}\n", from + 20)
}
