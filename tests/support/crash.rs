//! `kill -9` at every write to the journal, over whatever a fleet is made of.

use super::{Ended, Fleet};

/// An apply, as it is killed.
pub const APPLY: [&str; 4] = ["apply", "--auto-approve", "--parallelism", "4"];
/// A destroy, as it is killed.
pub const DESTROY: [&str; 4] = ["destroy", "--auto-approve", "--parallelism", "4"];

/// Runs with a crash at a write; returns whether the run got that far.
pub fn crashes(fleet: &Fleet, arguments: &[&str], crash: &str) -> bool {
    let mut command = fleet.command(arguments);
    let ended: Ended = command
        .env("SIMFLEET_TEST_CRASH", crash)
        .output()
        .expect("simfleet runs")
        .into();
    match ended.code {
        None => true,
        Some(0) => false,
        Some(code) => panic!("crash {crash}: exit code {code}\n{}\n{}", ended.out, ended.err),
    }
}

/// Runs to its end, by another run where all answers to one call were lost: of some hundred thousand calls with one answer of
/// four lost, that happens to some.
#[track_caller]
fn ends(fleet: &Fleet, arguments: &[&str]) {
    let ended = fleet.run(arguments);
    let is_bad_luck = ended.code == Some(1) && ended.err.contains("so the next run finds out");
    if is_bad_luck {
        fleet.ok(arguments);
        return;
    }
    let Ended { code, out, err } = ended;
    assert_eq!(code, Some(0), "{arguments:?}: {err}\n{out}");
}

/// Kills an apply at every `step`-th write, and a destroy; after each, one more apply ends with what there should be, and
/// one more destroy with nothing. The four kinds of crash are swept at once: most of the time is waiting.
///
/// `meanwhile` is what happens between the crash and the next run.
pub fn sweep(
    step: usize,
    check: &(dyn Fn(&Fleet, bool, &str) + Sync),
    fleet: &(dyn Fn() -> Fleet + Sync),
    meanwhile: &(dyn Fn(&Fleet) + Sync),
) {
    let one = |first: usize, when: &str, verb: &[&str]| {
        for write in (first..).step_by(step) {
            let case = format!("{} killed {when} write {write}", verb[0]);
            let fleet = fleet();
            if verb[0] == "destroy" {
                ends(&fleet, &APPLY);
            }
            if !crashes(&fleet, verb, &format!("{when}:{write}")) {
                assert!(write > 5, "{case}: a run writes more often than that");
                ends(&fleet, &DESTROY);
                check(&fleet, false, &case);
                return;
            }
            meanwhile(&fleet);
            // A destroy goes on as well as an apply does.
            if write % 2 == 0 {
                ends(&fleet, &DESTROY);
                check(&fleet, false, &case);
            }
            ends(&fleet, &APPLY);
            check(&fleet, true, &case);
            let again = fleet.run(&["plan", "--detailed-exitcode"]);
            assert_eq!(
                again.code,
                Some(0),
                "{case}: the plan after the apply\n{}\n{}",
                again.out,
                again.err
            );
            ends(&fleet, &DESTROY);
            check(&fleet, false, &case);
        }
    };
    let kinds = [
        ("before", &APPLY),
        ("after", &APPLY),
        ("before", &DESTROY),
        ("after", &DESTROY),
    ];
    std::thread::scope(|scope| {
        for (kind, (when, verb)) in kinds.into_iter().enumerate() {
            // Where only some writes are taken, each kind takes others.
            scope.spawn(move || one(1 + kind * step / kinds.len(), when, verb));
        }
    });
}
