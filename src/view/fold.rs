//! Many addresses in few words: `simulator.vehicle.quad[0..2, 5]`, `pool.field/m1..m4`.

use simfleet_provider_api::{Address, Key};

/// What addresses must share to be named together: the same block, or the same parent and kind of child.
pub fn family(address: &Address) -> (Address, String) {
    match member(address) {
        Some(Member { stem, part, .. }) => (address.parent(), format!("{stem}{part}")),
        None if address.child_name().is_some() => (address.clone(), String::new()),
        None => (address.declaration(), String::new()),
    }
}

/// A child with a number, `m10`, or a part of one, `m10/web`.
struct Member<'a> {
    stem: &'a str,
    number: u64,
    /// `/web`, or nothing.
    part: &'a str,
}

fn member(address: &Address) -> Option<Member<'_>> {
    let child = address.child_name()?;
    let (child, part) = child.split_at(child.find('/').unwrap_or(child.len()));
    let stem = child.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = child[stem.len()..].parse().ok()?;
    Some(Member { stem, number, part })
}

/// Returns a name for addresses of one [`family`], in their order.
pub fn name(addresses: &[&Address]) -> String {
    let [first, _, ..] = addresses else {
        return addresses.iter().map(ToString::to_string).collect();
    };
    if let Some(Member { stem, part, .. }) = member(first) {
        let numbers = addresses.iter().filter_map(|address| Some(member(address)?.number));
        return format!("{}/{}", first.parent(), ranges(numbers, stem, part));
    }
    let indexes: Option<Vec<u64>> = addresses
        .iter()
        .map(|address| match address.key() {
            Some(Key::Index(index)) => Some(*index),
            _ => None,
        })
        .collect();
    match indexes {
        Some(indexes) => format!("{}[{}]", first.declaration(), ranges(indexes.into_iter(), "", "")),
        None => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Returns a name for addresses of any families, in their order.
pub fn names(addresses: &[&Address]) -> String {
    let families = addresses.chunk_by(|a, b| family(a) == family(b));
    families.map(name).collect::<Vec<_>>().join(", ")
}

/// Returns ascending numbers with runs of three and more as ranges, each number between `stem` and `part`.
fn ranges(numbers: impl Iterator<Item = u64>, stem: &str, part: &str) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(from, to)| match to - from {
            0 => format!("{stem}{from}{part}"),
            1 => format!("{stem}{from}{part}, {stem}{to}{part}"),
            _ => format!("{stem}{from}..{stem}{to}{part}"),
        })
        .collect();
    runs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_family() {
        for (addresses, expected) in [
            (vec!["node.a"], "node.a"),
            (vec!["node.a[3]"], "node.a[3]"),
            (vec!["node.a[0]", "node.a[1]"], "node.a[0, 1]"),
            (
                vec!["node.a[0]", "node.a[1]", "node.a[2]", "node.a[5]"],
                "node.a[0..2, 5]",
            ),
            (vec!["node.a[\"x\"]", "node.a[\"y\"]"], "node.a[\"x\"], node.a[\"y\"]"),
            (vec!["pool.p[1]/m1", "pool.p[1]/m2", "pool.p[1]/m3"], "pool.p[1]/m1..m3"),
            (vec!["pool.p/m1/web", "pool.p/m2/web"], "pool.p/m1/web, m2/web"),
            (
                vec!["pool.p/m1/web", "pool.p/m2/web", "pool.p/m3/web", "pool.p/m7/web"],
                "pool.p/m1..m3/web, m7/web",
            ),
        ] {
            let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let families: std::collections::BTreeSet<_> = addresses.iter().map(family).collect();
            assert_eq!(families.len(), 1, "{expected}");
            assert_eq!(name(&addresses.iter().collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn other_blocks_and_children_are_other_families() {
        let families: Vec<_> = [
            "node.a[0]",
            "node.b[0]",
            "node.a/nic",
            "node.a/ip",
            "pool.p/m1",
            "pool.p/m1/web",
            "pool.p/m1/store",
            "pool.q/m1",
        ]
        .iter()
        .map(|text| family(&text.parse().unwrap()))
        .collect();
        let distinct: std::collections::BTreeSet<_> = families.iter().collect();
        assert_eq!(distinct.len(), families.len());
    }
}
