//! What the machines of a plan cost, for people.

use std::collections::BTreeMap;

use super::human::{heading, of};
use crate::plan::Costs;
use crate::view::document::{Document, Line, Tone};

/// Shows what machines cost an hour, and of which no price is known.
pub(super) fn show(costs: &Costs, document: &mut Document) {
    if costs.is_empty() {
        return;
    }
    heading("What machines cost an hour:", document);
    for (currency, (before, after)) in &costs.hourly {
        let (sign, tone, text) = match before == after {
            true => ("", Tone::Plain, format!("{} {currency}", amount(*after))),
            false => (
                "~",
                Tone::Change,
                format!("{} -> {} {currency}", amount(*before), amount(*after)),
            ),
        };
        document.line(Line::new().tone(tone, format!("{sign:>3} ")).text(text));
    }
    let mut unpriced: BTreeMap<&str, usize> = BTreeMap::new();
    for of in costs.unpriced.values() {
        *unpriced.entry(of).or_default() += 1;
    }
    for (what, count) in unpriced {
        let text = format!("{}, of which no price is known: {what}", of(count, "machine"));
        document.line(Line::new().tone(Tone::Change, format!("{:>3} ", "?")).text(text));
    }
    document.blank();
}

/// Returns an amount of money, with two places or as many more as it has.
fn amount(amount: f64) -> String {
    let text = format!("{amount:.6}");
    let short = text.trim_end_matches('0');
    let places = short.split_once('.').map_or(0, |(_, places)| places.len());
    match places < 2 {
        true => format!("{amount:.2}"),
        false => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_have_two_places_or_more() {
        let shown = [0.0, 1.0, 0.5, 0.166, 0.0104, 12.345_678].map(amount);
        assert_eq!(shown, ["0.00", "1.00", "0.50", "0.166", "0.0104", "12.345678"]);
    }
}
