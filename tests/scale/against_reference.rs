//! What the reference in `reference/` decides, this decides, too.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value as Json;
use simfleet::scale::Vector;

/// What the reference decided and remembered.
#[derive(Deserialize)]
struct Expected {
    seed: u64,
    decision: Json,
    hist_after: Json,
}

/// Compares the decisions for vectors, one a line; returns how many there were.
#[track_caller]
fn agrees(vectors: impl BufRead) -> usize {
    let mut count = 0;
    for line in vectors.lines() {
        let line = line.expect("it can be read");
        let expected: Expected = serde_json::from_str(&line).expect("what is expected");
        let answer = Vector::parse(&line).expect("a vector").answer();
        let answer = serde_json::to_value(answer).expect("is JSON");
        let seed = expected.seed;
        for (what, expected) in [("decision", &expected.decision), ("hist_after", &expected.hist_after)] {
            let found = &answer[what];
            assert!(
                is_same(expected, found),
                "{what} of the seed {seed}:\nexpected {expected}\nfound    {found}"
            );
        }
        count += 1;
    }
    count
}

/// Whether two documents are the same, numbers to a billionth.
fn is_same(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().expect("finite"), b.as_f64().expect("finite"));
            (a - b).abs() <= 1e-9 * a.abs().max(1.0)
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| is_same(value, other)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn it_agrees_with_what_the_reference_once_said() {
    let mut text = Vec::new();
    let mut packed = flate2::read::GzDecoder::new(&include_bytes!("vectors.jsonl.gz")[..]);
    packed.read_to_end(&mut text).expect("it can be unpacked");
    assert_eq!(agrees(&text[..]), 400);
}

#[test]
#[ignore = "needs Python; scripts/test installs it"]
fn it_agrees_with_the_reference() {
    // The stored ones are the first 400.
    let count = if std::env::var_os("SIMFLEET_TEST_LONG").is_some() {
        200_000
    } else {
        4000
    };
    let mut reference = Command::new("python3");
    reference.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scale/reference/vectors.py"));
    let python = reference
        .args(["400", &count.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut python = python.stdout(Stdio::piped()).spawn().expect("Python runs");
    let printed = BufReader::new(python.stdout.take().expect("it is piped"));
    assert_eq!(agrees(printed), count);
    assert!(python.wait().expect("it ends").success());
}
