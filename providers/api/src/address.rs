//! Addresses: the names by which a fleet's resources are known, in files, plans, state and messages.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod rank;

/// The key of one instance of a block with `count` or `for_each`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An index of `count`, from 0.
    Index(u64),
    /// A key of `for_each`.
    Name(Arc<str>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Index(index) => write!(f, "[{index}]"),
            Key::Name(name) => write!(f, "[{}]", quote(name)),
        }
    }
}

/// One step into a module: its name and, where the module has `count` or `for_each`, its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleStep {
    /// The label of the `module` block.
    pub name: Arc<str>,
    /// The instance of that block.
    pub key: Option<Key>,
}

/// The address of a resource: `node.a`, `node.a[0]`, `simulator.px4.iris["x"]`, `module.m.node.a`, or a child of one,
/// `pool.p/m7`, `node.a/nic`, and what that has itself: `pool.p/m7/web`.
///
/// Cheap to clone and to compare. The order is that of people: indexes by number, member `m2` before `m10`.
#[derive(Clone)]
pub struct Address(Arc<Ranked>);

/// The parts of an address, and what it is compared by.
struct Ranked {
    parts: Parts,
    rank: Box<[u8]>,
}

#[derive(Clone)]
struct Parts {
    modules: Vec<ModuleStep>,
    block: Arc<str>,
    labels: Vec<Arc<str>>,
    key: Option<Key>,
    child: Option<Arc<str>>,
}

/// An address that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {problem}")]
pub struct AddressError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Returns how many labels a block of this type has: `simulator "kind" "name"` has two, every other one.
pub fn label_count(block: &str) -> usize {
    if block == "simulator" { 2 } else { 1 }
}

impl Address {
    /// Makes the address of a block in the root module, without a key: `Address::new("simulator", ["px4", "iris"])`.
    pub fn new<L: Into<Arc<str>>>(block: impl Into<Arc<str>>, labels: impl IntoIterator<Item = L>) -> Self {
        Self::of(Parts {
            modules: Vec::new(),
            block: block.into(),
            labels: labels.into_iter().map(Into::into).collect(),
            key: None,
            child: None,
        })
    }

    fn of(parts: Parts) -> Self {
        let rank = rank::of(&parts);
        Address(Arc::new(Ranked { parts, rank }))
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Returns the same address inside a module.
    pub fn in_module(&self, modules: &[ModuleStep]) -> Self {
        if self.modules() == modules {
            return self.clone();
        }
        self.with(|parts| parts.modules = modules.to_vec())
    }

    /// Returns the address of one instance of this block.
    pub fn with_key(&self, key: Key) -> Self {
        self.with(|parts| parts.key = Some(key))
    }

    /// Returns the address of something that this resource expands to, such as member `m7` of a pool.
    pub fn child(&self, name: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.child = Some(name.into()))
    }

    /// Returns the address of something that this resource itself has: `node.a/web`, or `pool.p/m7/web` of a member.
    pub fn part(&self, name: &str) -> Self {
        match self.child_name() {
            Some(child) => self.child(format!("{child}/{name}")),
            None => self.child(name),
        }
    }

    /// Returns the address of what this is a part of: `pool.p/m7` of `pool.p/m7/web`, `pool.p` of that.
    pub fn whole(&self) -> Option<Self> {
        Some(match self.child_name()?.rsplit_once('/') {
            Some((child, _)) => self.child(child),
            None => self.parent(),
        })
    }

    /// Whether this is a child of a block's instance, or a part of one. In the order of addresses they follow it at once.
    pub fn is_child_of(&self, parent: &Address) -> bool {
        self.parts().child.is_some() && parent.parts().child.is_none() && self.0.rank.starts_with(&parent.0.rank)
    }

    /// Returns the address of the block's instance that this one is a child of, or of itself.
    pub fn parent(&self) -> Self {
        if self.parts().child.is_none() {
            return self.clone();
        }
        self.with(|parts| parts.child = None)
    }

    /// Returns the address of the block that declares this resource: no key, no child.
    pub fn declaration(&self) -> Self {
        if self.parts().key.is_none() && self.parts().child.is_none() {
            return self.clone();
        }
        self.with(|parts| {
            parts.key = None;
            parts.child = None;
        })
    }

    fn with(&self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = self.parts().clone();
        change(&mut parts);
        Self::of(parts)
    }

    /// The modules that lead to the resource, outermost first.
    pub fn modules(&self) -> &[ModuleStep] {
        &self.parts().modules
    }

    /// The names of the modules that lead to the resource, outermost first, whichever instances of them they are.
    pub fn module_path(&self) -> Vec<Arc<str>> {
        self.parts().modules.iter().map(|step| Arc::clone(&step.name)).collect()
    }

    /// The type of the block: `node`, `pool`, `simulator` …
    pub fn block(&self) -> &str {
        &self.parts().block
    }

    /// The labels of the block: one, or two for a simulator.
    pub fn labels(&self) -> &[Arc<str>] {
        &self.parts().labels
    }

    /// The last label of the block: its name.
    pub fn name(&self) -> &str {
        self.parts().labels.last().map_or("", |label| label)
    }

    /// The instance, where the block has `count` or `for_each`.
    pub fn key(&self) -> Option<&Key> {
        self.parts().key.as_ref()
    }

    /// The name of the child, where this is one: `m7`, and `m7/web` of what that has.
    pub fn child_name(&self) -> Option<&str> {
        self.parts().child.as_deref()
    }

    /// Returns a name made of the address that fits where only letters, digits and `-` do: `simulator-px4-iris-0`.
    /// Two addresses can have the same one, so never use it as an identity.
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for c in self.to_string().chars() {
            if c.is_ascii_alphanumeric() {
                slug.push(c);
            } else if !slug.ends_with('-') && !slug.is_empty() {
                slug.push('-');
            }
        }
        slug.trim_end_matches('-').to_owned()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for module in &self.parts().modules {
            write!(f, "module.{}", module.name)?;
            if let Some(key) = &module.key {
                write!(f, "{key}")?;
            }
            f.write_str(".")?;
        }
        f.write_str(&self.parts().block)?;
        for label in &self.parts().labels {
            write!(f, ".{label}")?;
        }
        if let Some(key) = &self.parts().key {
            write!(f, "{key}")?;
        }
        if let Some(child) = &self.parts().child {
            write!(f, "/{child}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        match Arc::ptr_eq(&self.0, &other.0) {
            true => Ordering::Equal,
            false => self.0.rank.cmp(&other.0.rank),
        }
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.rank.hash(state);
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Reader { text, rest: text }.address()
    }
}

/// Reads an address from left to right.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn address(mut self) -> Result<Address, AddressError> {
        let mut modules = Vec::new();
        let mut block = self.name()?;
        while block == "module" {
            self.expect('.')?;
            let name = self.name()?.into();
            let key = self.key()?;
            self.expect('.')?;
            modules.push(ModuleStep { name, key });
            block = self.name()?;
        }
        let mut labels: Vec<Arc<str>> = Vec::new();
        for _ in 0..label_count(block) {
            self.expect('.')?;
            labels.push(self.name()?.into());
        }
        let block = block.into();
        let key = self.key()?;
        let child = match self.rest.strip_prefix('/') {
            Some(rest) => {
                self.rest = rest;
                Some(self.child()?.into())
            }
            None => None,
        };
        if !self.rest.is_empty() {
            return self.fail("there is text after its end");
        }
        Ok(Address::of(Parts {
            modules,
            block,
            labels,
            key,
            child,
        }))
    }

    fn fail<T>(&self, problem: &'static str) -> Result<T, AddressError> {
        Err(AddressError {
            text: self.text.to_owned(),
            problem,
        })
    }

    fn expect(&mut self, c: char) -> Result<(), AddressError> {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => self.fail("a part is missing; the form is BLOCK.NAME, simulator.KIND.NAME"),
        }
    }

    fn name<'a>(&mut self) -> Result<&'a str, AddressError>
    where
        Self: 'a,
    {
        let rest: &str = self.rest;
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len());
        if end == 0 {
            return self.fail("a name is missing");
        }
        let (name, rest) = rest.split_at(end);
        self.rest = rest;
        Ok(name)
    }

    fn child(&mut self) -> Result<String, AddressError> {
        let mut child = self.name()?.to_owned();
        while let Some(rest) = self.rest.strip_prefix('/') {
            self.rest = rest;
            child.push('/');
            child.push_str(self.name()?);
        }
        Ok(child)
    }

    fn key(&mut self) -> Result<Option<Key>, AddressError> {
        let Some(inside) = self.rest.strip_prefix('[') else {
            return Ok(None);
        };
        if inside.starts_with('"') {
            let Some((name, rest)) = unquote(inside) else {
                return self.fail("a quoted key does not end");
            };
            let Some(rest) = rest.strip_prefix(']') else {
                return self.fail("a key lacks its `]`");
            };
            self.rest = rest;
            return Ok(Some(Key::Name(name.into())));
        }
        let Some((digits, rest)) = inside.split_once(']') else {
            return self.fail("a key lacks its `]`");
        };
        let Ok(index) = digits.parse() else {
            return self.fail("a key is neither a whole number nor a quoted string");
        };
        self.rest = rest;
        Ok(Some(Key::Index(index)))
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads a quoted string from the start of `text`; returns it and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices().skip(1);
    let mut name = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => name.push('\n'),
                c => name.push(c),
            },
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_was_written() {
        for text in [
            "node.a",
            "node.a[0]",
            "pool.web",
            "simulator.px4.iris",
            "simulator.px4.iris[\"x\"]",
            "simulator.px4.iris[\"a\\\"b\\\\c]\"]",
            "module.m.node.a",
            "module.m[2].module.k[\"eu\"].simulator.px4.iris[3]",
            "pool.p/m7",
            "node.a[1]/nic",
            "pool.p/m7/web",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn children_are_known_and_follow_their_parent() {
        let parent: Address = "pool.p[1]".parse().expect("an address");
        for (text, expected) in [
            ("pool.p[1]/m7", true),
            ("pool.p[1]/m7/web", true),
            ("pool.p[1]", false),
            ("pool.p[10]/m7", false),
            ("pool.p/m7", false),
            ("pool.pp[1]/m7", false),
            ("module.m.pool.p[1]/m7", false),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.is_child_of(&parent), expected, "{text}");
            assert_eq!(
                expected,
                address.child_name().is_some() && address.parent() == parent,
                "{text}"
            );
            let next: Address = "pool.p[2]".parse().expect("an address");
            assert!(!expected || parent < address && address < next, "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_an_error_that_says_why() {
        for (text, problem) in [
            ("", "a name is missing"),
            ("node", "a part is missing"),
            ("simulator.px4", "a part is missing"),
            ("node.a[", "lacks its `]`"),
            ("node.a[x]", "neither a whole number"),
            ("node.a[\"x]", "does not end"),
            ("node.a.b", "text after its end"),
            ("node.a/", "a name is missing"),
            ("pool.p/m1/", "a name is missing"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn the_order_is_by_number() {
        let sorted = [
            "node.a",
            "node.a[2]",
            "node.a[10]",
            "node.a[\"\"]",
            "node.a[\"\0\"]",
            "node.a[\"\u{1}\"]",
            "node.a[\"x\"]",
            "node.a-b",
            "node.ab",
            "pool.p",
            "pool.p/m",
            "pool.p/m0",
            "pool.p/m00",
            "pool.p/m02",
            "pool.p/m2",
            "pool.p/m2/a",
            "pool.p/m2/web",
            "pool.p/m10",
            "pool.p/m10/web",
            "pool.p/n",
            "pool.p[0]",
            "simulator.px4.b",
            "simulator.vehicle.a",
            "module.m.node.z",
            "module.m.module.k.node.a",
            "module.m[0].node.a",
            "module.m[\"a\"].node.a",
            "module.mm.node.a",
        ];
        let mut addresses: Vec<Address> = sorted.iter().rev().map(|t| t.parse().expect(t)).collect();
        addresses.sort();
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn a_part_has_a_whole() {
        let address = |text: &str| text.parse::<Address>().expect(text);
        for (part, name, whole) in [
            ("node.a/web", "web", "node.a"),
            ("pool.p/m7/web", "web", "pool.p/m7"),
            ("pool.p[0]/m7", "m7", "pool.p[0]"),
        ] {
            assert_eq!(address(part).whole(), Some(address(whole)));
            assert_eq!(address(whole).part(name), address(part));
        }
        assert_eq!(address("node.a[1]").whole(), None);
    }

    #[test]
    fn a_slug_has_letters_digits_and_dashes_only() {
        let address: Address = "simulator.px4.iris[\"a b\"]".parse().expect("valid");
        assert_eq!(address.slug(), "simulator-px4-iris-a-b");
    }
}
