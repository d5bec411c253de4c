//! What simulators write, of several at once.

use simfleet_provider_api::Address;
use simfleet_provider_api::runtime::LogSource;

/// What each line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Nothing: pieces are passed on as they come.
    None,
    /// The address of the simulator.
    Address,
}

/// The lines of one simulator.
#[derive(Debug)]
pub struct Prefixed {
    prefix: Option<String>,
    begun: [Vec<u8>; 2],
}

/// The longest line that is waited for, in bytes.
const LONGEST: usize = 64 << 10;

impl Prefixed {
    /// The lines of a simulator, of which nothing is there yet.
    pub fn new(prefix: Prefix, address: &Address) -> Self {
        Prefixed {
            prefix: (prefix == Prefix::Address).then(|| format!("{address}: ")),
            begun: Default::default(),
        }
    }

    /// Takes a piece, and returns what can be shown now: whole lines, where each gets a prefix.
    pub fn take(&mut self, source: LogSource, piece: &[u8]) -> Vec<u8> {
        let Some(prefix) = &self.prefix else {
            return piece.to_vec();
        };
        let begun = &mut self.begun[place(source)];
        let mut shown = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(part);
            if begun.ends_with(b"\n") || begun.len() > LONGEST {
                show(prefix, begun, &mut shown);
            }
        }
        shown
    }

    /// Returns the lines that were begun and not ended.
    pub fn rest(&mut self) -> Vec<(LogSource, Vec<u8>)> {
        let prefix = self.prefix.clone().unwrap_or_default();
        let mut rest = Vec::new();
        for source in [LogSource::Output, LogSource::Error] {
            let begun = &mut self.begun[place(source)];
            if !begun.is_empty() {
                let mut shown = Vec::new();
                show(&prefix, begun, &mut shown);
                rest.push((source, shown));
            }
        }
        rest
    }
}

fn show(prefix: &str, line: &mut Vec<u8>, shown: &mut Vec<u8>) {
    shown.extend_from_slice(prefix.as_bytes());
    shown.append(line);
    if !shown.ends_with(b"\n") {
        shown.push(b'\n');
    }
}

fn place(source: LogSource) -> usize {
    match source {
        LogSource::Output => 0,
        LogSource::Error => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_come_in_pieces_get_one_prefix_each() {
        let address: Address = "simulator.exec.a[0]".parse().expect("an address");
        let mut lines = Prefixed::new(Prefix::Address, &address);
        let mut shown = Vec::new();
        for (source, piece) in [
            (LogSource::Output, "one\ntw"),
            (LogSource::Error, "oh"),
            (LogSource::Output, "o\n\nthr"),
        ] {
            shown.extend(lines.take(source, piece.as_bytes()));
        }
        shown.extend(lines.rest().into_iter().flat_map(|(_, rest)| rest));
        let shown = String::from_utf8(shown).expect("UTF-8");
        let at = "simulator.exec.a[0]: ";
        assert_eq!(shown, format!("{at}one\n{at}two\n{at}\n{at}thr\n{at}oh\n"));
    }

    #[test]
    fn of_one_simulator_pieces_are_passed_on() {
        let address: Address = "simulator.exec.a".parse().expect("an address");
        let mut lines = Prefixed::new(Prefix::None, &address);
        assert_eq!(lines.take(LogSource::Output, b"a prompt> "), b"a prompt> ");
        assert_eq!(lines.rest(), []);
    }
}
