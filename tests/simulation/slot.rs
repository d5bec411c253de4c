//! A fleet as text, by dice.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// A declaration that can be there or not. All that it says follows from its dice and from what it can read.
pub struct Slot {
    pub kind: &'static str,
    pub name: &'static str,
    pub is_there: bool,
    pub dice: u64,
}

/// Returns all slots, none of them there.
pub fn all() -> Vec<Slot> {
    let slot = |(kind, name)| Slot {
        kind,
        name,
        is_there: false,
        dice: 0,
    };
    let slots = [
        ("node", "a"),
        ("node", "b"),
        ("pool", "p"),
        ("simulator.exec", "s"),
        ("simulator.exec", "t"),
        ("simulator.vehicle", "v"),
        ("value", "x"),
        ("value", "y"),
        ("value", "z"),
    ];
    slots.into_iter().map(slot).collect()
}

/// Returns a fleet of the slots that are there. Each can read those before it.
pub fn text(slots: &[Slot], seed: u64) -> String {
    let mut text = "provider \"fake\" {}\n".to_owned();
    let mut below: Vec<&Slot> = Vec::new();
    for slot in slots.iter().filter(|slot| slot.is_there) {
        if let Some(block) = slot.block(&below) {
            text += &block;
            below.push(slot);
        }
    }
    let mut dice = StdRng::seed_from_u64(seed);
    let read: Vec<String> = below.iter().map(|slot| slot.read(&mut dice)).collect();
    text + &format!("output \"all\" {{ value = [{}] }}\n", read.join(", "))
}

impl Slot {
    /// How many instances it has by `count`; 0 for one without a count.
    fn count(&self) -> u64 {
        match self.kind {
            "pool" => 0,
            _ => (self.dice >> 8) % 4,
        }
    }

    fn address(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }

    /// Returns an expression that reads it.
    fn read(&self, dice: &mut StdRng) -> String {
        let address = self.address();
        let field = match self.kind {
            "node" => *["address", "id", "cpus"].choose(dice).expect("some"),
            "pool" if dice.random_bool(0.3) => return format!("pool.{}.size", self.name),
            "pool" => return format!("join(\",\", [for m in {address}.members : m.address])"),
            "value" => "output",
            _ => *["id", "node.address", "endpoints.gcs"].choose(dice).expect("some"),
        };
        match self.count() {
            0 => format!("{address}.{field}"),
            _ if dice.random_bool(0.5) => format!("{address}[0].{field}"),
            _ => format!("[for one in {address} : one.{field}]"),
        }
    }

    /// Returns its block; `None` where it needs something that is not there.
    fn block(&self, below: &[&Slot]) -> Option<String> {
        let dice = &mut StdRng::seed_from_u64(self.dice);
        let mut text = match self.count() {
            0 => String::new(),
            count => format!("count = {count}\n"),
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
        let image = |dice: &mut StdRng| match dice.random_bool(0.2) {
            true => format!("image = {}\n", expression(dice)),
            false => String::new(),
        };
        let range = |dice: &mut StdRng| {
            let from = dice.random_range(100..104);
            format!("port_range \"mavlink\" {{\nfrom = {from}\nto = {}\n}}\n", from + 20)
        };
        text += &match self.kind {
            "value" if dice.random_bool(0.5) => format!("input = {}\n", expression(dice)),
            "value" => format!(
                "input = {}\ntriggers_replace = {}\n",
                expression(dice),
                expression(dice)
            ),
            "node" => {
                let (cpus, label) = (8 + dice.random_range(0..2), expression(dice));
                format!(
                    "cpus = {cpus}\nlabels = {{ x = {label} }}\n{}{}",
                    image(dice),
                    range(dice)
                )
            }
            "pool" => {
                let (most, min) = (dice.random_range(2..5), dice.random_range(0..6));
                let max = dice.random_range(min.max(5)..7);
                let (label, image, range) = (expression(dice), image(dice), range(dice));
                format!(
                    "node {{\nmax_simulators = {most}\nlabels = {{ x = {label} }}\n{image}{range}}}\nautoscale {{\nmin = {min}\n\
                     max = {max}\ncheck \"free_slots\" {{\nstrategy \"buffer\" {{ min_ready = 1 }}\n}}\n}}\n"
                )
            }
            kind => {
                let is_host = |slot: &&&Slot| matches!(slot.kind, "node" | "pool");
                let hosts: Vec<_> = below.iter().filter(is_host).collect();
                let host = hosts.choose(dice)?;
                let index = if host.count() > 0 { "[0]" } else { "" };
                let what = match (kind, self.count()) {
                    ("simulator.exec", _) => "command = [\"run\"]\n",
                    (_, 0) => "",
                    _ => "instance = count.index\n",
                };
                let env = expression(dice);
                format!(
                    "placement = {}{index}\n{what}env = {{ X = {env} }}\nport \"gcs\" {{ range = \"mavlink\" }}\n",
                    host.address()
                )
            }
        };
        let (block, kind) = self
            .kind
            .split_once('.')
            .map_or((self.kind, String::new()), |(block, kind)| {
                (block, format!("\"{kind}\" "))
            });
        Some(format!("{block} {kind}\"{}\" {{\n{text}}}\n", self.name))
    }
}
