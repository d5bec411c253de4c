//! `kill -9` with operations in flight: whatever Azure goes on with is taken up by the next run, once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use simfleet_azure_emulator::{Options, Pace};

use crate::balancers::{self, CHECKED, PLAIN, behind};
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
        let at = ["agents-m", "web-m"]
            .into_iter()
            .find_map(|it| Some(name.find(it)? + it.len()))?;
        let (start, end) = name.split_at(at);
        Some(format!(
            "{start}{}",
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

/// The clouds of fleets that are swept.
#[derive(Default)]
struct Clouds(Mutex<BTreeMap<PathBuf, Arc<Cloud>>>);

impl Clouds {
    /// Returns a fleet in a cloud of its own.
    fn fleet(&self, text: impl Fn(&Cloud) -> String) -> Fleet {
        let cloud = slow();
        let fleet = Fleet::new(&text(&cloud)).with_environment(CREDENTIALS);
        let mut clouds = self.0.lock().expect("no test panicked with it");
        clouds.insert(fleet.path().to_owned(), Arc::new(cloud));
        fleet
    }

    fn of(&self, fleet: &Fleet) -> Arc<Cloud> {
        self.0.lock().expect("no test panicked with it")[fleet.path()].clone()
    }
}

#[test]
fn killed_at_every_write_with_operations_in_flight() {
    let clouds = Clouds::default();
    let fleet = || clouds.fleet(|cloud| MACHINES.text(cloud));
    let undisturbed = fleet();
    undisturbed.ok(&APPLY);
    let whole = names(&clouds.of(&undisturbed));
    assert_eq!(whole.len(), MACHINES.objects(), "{whole:#?}");
    undisturbed.ok(&DESTROY);

    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let expected = if applied { whole.clone() } else { Vec::new() };
        assert_eq!(names(&clouds.of(fleet)), expected, "{case}");
    };
    sweep(every(40), &check, &fleet, &|_| ());
}

/// Sweeps what begins as a fleet of its own; demands that as many members as there are, and nobody else, are behind the load
/// balancer of the pool.
fn sweep_balanced(step: usize, clouds: &Clouds, members: usize, fleet: &(dyn Fn() -> Fleet + Sync)) {
    let undisturbed = fleet();
    undisturbed.ok(&APPLY);
    let whole = names(&clouds.of(&undisturbed));
    undisturbed.ok(&DESTROY);

    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let cloud = clouds.of(fleet);
        let expected = if applied { whole.clone() } else { Vec::new() };
        assert_eq!(names(&cloud), expected, "{case}");
        if applied {
            assert_eq!(behind(&cloud).len(), members, "{case}: {:?}", behind(&cloud));
        }
    };
    sweep(step, &check, fleet, &|_| ());
}

/// A member that is in the backend pool of nobody, or a load balancer that nobody knows of, would stay for ever.
#[test]
fn killed_at_every_write_a_load_balancer_has_its_members() {
    let clouds = Clouds::default();
    let fleet = || clouds.fleet(|cloud| balancers::text(cloud, 2, "Standard_B2ms", CHECKED));
    sweep_balanced(every(40), &clouds, 2, &fleet);
}

/// Members that go leave first, and one that is made anew leaves and enters.
#[test]
fn killed_at_every_write_members_leave_and_enter() {
    let clouds = Clouds::default();
    let fleet = || {
        let fleet = clouds.fleet(|cloud| balancers::text(cloud, 2, "Standard_B2ms", PLAIN));
        fleet.ok(&APPLY);
        fleet.write(&balancers::text(&clouds.of(&fleet), 1, "Standard_B4ms", CHECKED));
        fleet
    };
    sweep_balanced(every(40), &clouds, 1, &fleet);
}
