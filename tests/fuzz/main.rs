//! Short runs of what `fuzz/` runs for long: seeds, mutated at random. 300 of each target by default, 3,000 with
//! `SIMFLEET_TEST_SWEEP=all`, 100,000 with `SIMFLEET_TEST_LONG=1`; `SIMFLEET_TEST_SEED=N` takes the same mutations again.

#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

use self::targets::{TARGETS, Target};

/// What is mutated, for each target in its order.
fn seeds() -> [Vec<Vec<u8>>; 5] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = std::fs::read_dir(root.join("examples")).expect("examples").flatten();
    let examples = examples.filter_map(|entry| std::fs::read(entry.path()).ok()).collect();
    let cases = std::fs::read_to_string(root.join("tests/expressions/cases.json")).expect("cases");
    let cases: serde_json::Value = serde_json::from_str(&cases).expect("JSON");
    let mut expressions = Vec::new();
    strings(&cases, &mut expressions);

    let fleet = support::Fleet::new(
        "value \"a\" {\n  count = 2\n  input = [count.index, { b = \"c\" }]\n}\noutput \"o\" { value = value.a[0].output }\n",
    );
    fleet.ok(&["apply", "--auto-approve"]);
    fleet.write("value \"a\" { input = 1 }\n");
    fleet.ok(&["plan", "--out", "saved.plan"]);
    let plan = std::fs::read(fleet.path().join("saved.plan")).expect("a plan");
    let pulled: serde_json::Value = serde_json::from_str(&fleet.ok(&["state pull"]).out).expect("JSON");
    let mut texts = vec![pulled["state"].to_string().into_bytes()];
    let journal = Connection::open(fleet.states().join("fleet.db")).expect("a state");
    let mut groups = journal.prepare("SELECT events FROM journal").expect("a table");
    let groups = groups.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    texts.extend(groups.map(|text| text.expect("text").into_bytes()));
    let edits = (0..20)
        .map(|i: u8| vec![i, i.wrapping_mul(7), i % 3, 0, 1 << (i % 8)])
        .collect();
    [examples, expressions, vec![plan], texts, edits]
}

/// Collects the texts of a document.
fn strings(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone().into_bytes()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        serde_json::Value::Object(values) => values.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

/// Changes bytes: some are set, some parts cut out, doubled, or taken from another seed.
fn mutated(seeds: &[Vec<u8>], dice: &mut StdRng) -> Vec<u8> {
    let mut data = seeds.choose(dice).expect("seeds").clone();
    for _ in 0..dice.random_range(1..6) {
        let other = seeds.choose(dice).expect("seeds");
        let (at, end) = part(&data, dice);
        let (from, to) = part(other, dice);
        match dice.random_range(0..6) {
            0 if at < data.len() => data[at] ^= 1 << dice.random_range(0..8),
            1 if at < data.len() => data[at] = *b"{}[]()\"$%\\\n,:0-.".choose(dice).expect("some"),
            2 => drop(data.drain(at..end)),
            3 => drop(data.splice(at..at, data[at..end].to_vec())),
            _ => drop(data.splice(at..end, other[from..to].iter().copied())),
        }
    }
    data
}

fn part(data: &[u8], dice: &mut StdRng) -> (usize, usize) {
    let at = dice.random_range(0..=data.len());
    (at, (at + dice.random_range(0..40)).min(data.len()))
}

fn run(name: &str, target: Target, seeds: &[Vec<u8>]) {
    let is_set = |name| std::env::var_os(name).is_some();
    let runs = match (is_set("SIMFLEET_TEST_LONG"), is_set("SIMFLEET_TEST_SWEEP")) {
        (true, _) => 100_000,
        (false, true) => 3_000,
        (false, false) => 300,
    };
    let seed = match std::env::var("SIMFLEET_TEST_SEED") {
        Ok(seed) => seed.parse().expect("SIMFLEET_TEST_SEED is a number"),
        Err(_) => rand::random::<u32>().into(),
    };
    let mut dice = StdRng::seed_from_u64(seed);
    for run in 0..runs {
        let data = mutated(seeds, &mut dice);
        if let Err(panic) = std::panic::catch_unwind(|| target(&data)) {
            println!(
                "{name}: SIMFLEET_TEST_SEED={seed}, run {run}:\n{}",
                String::from_utf8_lossy(&data)
            );
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn no_bytes_panic_or_are_read_as_what_they_are_not() {
    let seeds = seeds();
    // Each seed itself, first; then what is made of it.
    for ((name, target), seeds) in TARGETS.into_iter().zip(&seeds) {
        seeds.iter().for_each(|seed| target(seed));
        run(name, target, seeds);
    }
}
