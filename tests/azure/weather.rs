//! A cloud in which one call in three meets something: apply again until nothing is left to do, and nothing is left over.

use std::time::{Duration, Instant};

use simfleet_azure_emulator::{Fault, FaultEffect, Options, Pace};

use crate::cloud::Cloud;
use crate::machines::Machines;
use crate::support::Fleet;

const MACHINES: Machines = Machines { nodes: 2, members: 2 };
/// More runs than this are no convergence.
const MOST_RUNS: usize = 40;

fn status(status: u16, code: &str) -> FaultEffect {
    FaultEffect::Status {
        status,
        code: Some(code.to_owned()),
        message: None,
    }
}

fn late(code: &str) -> FaultEffect {
    FaultEffect::FailOperation {
        code: code.to_owned(),
        message: None,
        details: Vec::new(),
        inner: None,
    }
}

/// Everything that a cloud is known to answer, to three calls in ten.
fn storm(cloud: &Cloud) {
    let any = [
        (FaultEffect::LoseReply, 0.06),
        (FaultEffect::LoseRequest, 0.05),
        (FaultEffect::Throttle { retry_after: Some(0) }, 0.06),
        (status(500, "InternalServerError"), 0.04),
        (status(502, ""), 0.02),
        (status(503, "ServiceUnavailable"), 0.02),
    ];
    for (effect, chance) in any {
        let mut fault = Fault::new(effect).chance(chance);
        fault.path = Some("/subscriptions/".to_owned());
        cloud.control().fault(fault);
    }
    for (method, effect, chance) in [
        ("PUT", status(409, "Conflict"), 0.04),
        ("PUT", status(409, "AnotherOperationInProgress"), 0.03),
        ("PUT", status(412, "PreconditionFailed"), 0.03),
        ("PUT", late("InternalExecutionError"), 0.04),
        ("PUT", late("AllocationFailed"), 0.02),
        ("DELETE", status(409, "Conflict"), 0.04),
        ("DELETE", late("InternalExecutionError"), 0.05),
    ] {
        cloud
            .control()
            .fault(Fault::new(effect).chance(chance).on(method, "/subscriptions/"));
    }
}

/// Applies it until nothing is left to do.
#[track_caller]
fn until_empty(cloud: &Cloud, fleet: &Fleet, case: &str) {
    for _ in 0..MOST_RUNS {
        storm(cloud);
        until_done(cloud, fleet, &["apply", "--auto-approve"], case);
        cloud.control().clear_faults();
        // What could not be looked at was left as it was.
        if cloud.planned(fleet).is_empty() {
            return;
        }
    }
    panic!("{case}: the plan does not get empty: {:?}", cloud.planned(fleet));
}

/// Runs it until it ends well.
#[track_caller]
fn until_done(cloud: &Cloud, fleet: &Fleet, arguments: &[&str], case: &str) {
    let mut last = String::new();
    for _ in 0..MOST_RUNS {
        let ended = cloud.run(fleet, arguments);
        if ended.code == Some(0) {
            return;
        }
        assert_eq!(ended.code, Some(1), "{case}: {}\n{}", ended.err, ended.out);
        last = ended.err;
    }
    panic!("{case}: {arguments:?} does not converge: {last}");
}

#[test]
fn it_converges_with_three_faults_in_ten_calls() {
    let seeds = match std::env::var("SIMFLEET_TEST_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SIMFLEET_TEST_SEED is a number");
            seed..seed + 1
        }
        Err(_) if std::env::var_os("SIMFLEET_TEST_LONG").is_some() => 0..60,
        Err(_) if std::env::var_os("SIMFLEET_TEST_SWEEP").is_some() => 0..8,
        Err(_) => 0..2,
    };
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let seeds = seeds.clone().filter(move |seed: &u64| seed % 2 == half);
            scope.spawn(move || seeds.for_each(converges));
        }
    });
}

fn converges(seed: u64) {
    let case = format!("SIMFLEET_TEST_SEED={seed}");
    let began = Instant::now();
    let cloud = Cloud::with(Options {
        seed,
        page: 3,
        pace: Pace {
            retry_after: Some(0),
            ..Pace::default()
        },
        ..Options::default()
    });
    let fleet = Fleet::new(&MACHINES.text(&cloud));
    until_empty(&cloud, &fleet, &case);
    assert_eq!(cloud.names().len(), MACHINES.objects(), "{case}: {:#?}", cloud.names());

    // A machine is to have another size, and another one was deleted by somebody else.
    let machine = cloud
        .ids("single-1-")
        .into_iter()
        .find(|id| id.contains("/virtualMachines/"));
    let machine = machine.expect("it is there");
    cloud.az("DELETE", &machine, "2024-07-01", &serde_json::json!({}));
    let edited = MACHINES.text(&cloud).replacen("Standard_B2ms", "Standard_B4ms", 1);
    fleet.write(&edited);
    until_empty(&cloud, &fleet, &case);
    assert_eq!(cloud.names().len(), MACHINES.objects(), "{case}: {:#?}", cloud.names());

    storm(&cloud);
    until_done(&cloud, &fleet, &["destroy", "--auto-approve"], &case);
    assert_eq!(cloud.names(), Vec::<String>::new(), "{case}");
    eprintln!("{case}: {:?}", began.elapsed().min(Duration::MAX));
}
