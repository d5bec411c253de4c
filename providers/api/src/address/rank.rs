//! What addresses are compared by: bytes whose order is that of the addresses, and which no two addresses have in common.
//!
//! A fleet of many resources is held in maps by address, so one comparison of bytes takes the place of one of each part.

use super::{Key, Parts};

/// Ends a text, so that one comes before all that it is the start of.
const END: [u8; 2] = [0, 0];
/// Stands for a zero in a text.
const ZERO: [u8; 2] = [0, 1];

/// Returns the rank of an address: modules, block, labels, key, child.
pub(super) fn of(parts: &Parts) -> Box<[u8]> {
    let mut rank = Vec::with_capacity(48);
    for module in &parts.modules {
        rank.push(1);
        text(&mut rank, &module.name);
        key(&mut rank, module.key.as_ref());
    }
    rank.push(0);
    text(&mut rank, &parts.block);
    for label in &parts.labels {
        rank.push(1);
        text(&mut rank, label);
    }
    rank.push(0);
    key(&mut rank, parts.key.as_ref());
    for child in parts.child.iter().flat_map(|child| child.split('/')) {
        let (stem, number) = numbered(child);
        text(&mut rank, stem);
        rank.extend(number.to_be_bytes());
        text(&mut rank, child);
    }
    rank.into()
}

fn text(rank: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            0 => rank.extend(ZERO),
            byte => rank.push(byte),
        }
    }
    rank.extend(END);
}

fn key(rank: &mut Vec<u8>, key: Option<&Key>) {
    match key {
        None => rank.push(0),
        Some(Key::Index(index)) => {
            rank.push(1);
            rank.extend(index.to_be_bytes());
        }
        Some(Key::Name(name)) => {
            rank.push(2);
            text(rank, name);
        }
    }
}

/// Splits `m10` into `("m", 10)`, so that members sort by number.
fn numbered(child: &str) -> (&str, u64) {
    let stem = child.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, child[stem.len()..].parse().unwrap_or(0))
}
