//! `kill -9` with operations in flight: whatever Azure goes on with is taken up by the next run, once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use simfleet_azure_emulator::{Options, Pace};

use crate::cloud::{CREDENTIALS, Cloud};
use crate::machines::Machines;
use crate::support::crash::{APPLY, DESTROY, sweep};
use crate::support::{Fleet, every};

const MACHINES: Machines = Machines { nodes: 1, members: 2 };

/// A cloud whose operations take longer than it takes to kill a run and to start the next.
fn slow() -> Cloud {
    Cloud::with(Options {
        pace: Pace {
            network_ms: 100,
            compute_ms: 400,
            delete_ms: 200,
            ..Pace::default()
        },
        ..Options::default()
    })
}

/// Returns the names of all objects, sorted; a member that was made anew has another number.
fn names(cloud: &Cloud) -> Vec<String> {
    let without_number = |name: &String| {
        let (start, end) = name.split_once("agents-m")?;
        Some(format!(
            "{start}agents-m{}",
            end.trim_start_matches(|c: char| c.is_ascii_digit())
        ))
    };
    let mut names = cloud.names();
    for name in &mut names {
        *name = without_number(name).unwrap_or_else(|| name.clone());
    }
    names.sort();
    names
}

#[test]
fn killed_at_every_write_with_operations_in_flight() {
    let clouds: Mutex<BTreeMap<PathBuf, Arc<Cloud>>> = Mutex::default();
    let of = |fleet: &Fleet| clouds.lock().expect("no test panicked with it")[fleet.path()].clone();
    let fleet = || {
        let cloud = slow();
        let fleet = Fleet::new(&MACHINES.text(&cloud)).with_environment(CREDENTIALS);
        let mut clouds = clouds.lock().expect("no test panicked with it");
        clouds.insert(fleet.path().to_owned(), Arc::new(cloud));
        fleet
    };
    let undisturbed = fleet();
    undisturbed.ok(&APPLY);
    let whole = names(&of(&undisturbed));
    assert_eq!(whole.len(), MACHINES.objects(), "{whole:#?}");
    undisturbed.ok(&DESTROY);

    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let expected = if applied { whole.clone() } else { Vec::new() };
        assert_eq!(names(&of(fleet)), expected, "{case}");
    };
    sweep(every(40), &check, &fleet, &|_| ());
}
