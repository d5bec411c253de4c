//! Members that wait, and simulators that run at their times: watches over the fake cloud, with a clock of their own.

use std::time::Duration;

use serde_json::json;

use crate::world::{Does, World, fleet_text};

#[tokio::test(start_paused = true)]
async fn members_wait_and_are_back_before_new_ones_are_made() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let mut world = World::new(0);
    world.bench.write(&fleet_text(1, 0, 2));
    world.apply().await;
    let ids = |world: &World| (world.working("pool.a/"), world.waiting("pool.a/"));
    let (one, two) = ids(&world);
    assert_eq!((one.len(), two.len()), (1, 2), "an apply makes them");

    world.script.set("b", Does::Answer(20.0));
    world.script.set("a", Does::Answer(140.0));
    world.watch(Duration::from_secs(10)).await;
    let (three, others) = ids(&world);
    assert_eq!(three, &one | &two, "those that waited work");
    assert_eq!(others.len(), 2, "and others wait");

    world.script.set("a", Does::Answer(400.0));
    world.watch(HOUR).await;
    let (six, none) = ids(&world);
    assert_eq!((six.len(), none.len()), (6, 0), "nobody waits who could not be needed");
    assert!(others.is_subset(&six));

    world.script.set("a", Does::Answer(190.0));
    world.watch(HOUR).await;
    let (four, two) = ids(&world);
    assert_eq!((four.len(), &four | &two), (4, six.clone()), "who leaves waits");

    // One that is lost while it waits is made anew, and waits.
    let lost = two.first().expect("two wait").clone();
    world.cloud.destroy(&lost);
    world.watch(HOUR).await;
    let (again, two) = ids(&world);
    assert_eq!((again, two.len(), two.contains(&lost)), (four, 2, false));

    world.script.set("a", Does::Answer(20.0));
    world.watch(HOUR).await;
    let (one, waiting) = ids(&world);
    assert_eq!((one.len(), waiting), (1, two), "no more of them wait than is declared");
}

#[tokio::test(start_paused = true)]
async fn a_simulator_runs_when_its_schedule_says() {
    // It is eight o'clock when it begins.
    let schedule =
        "  schedule \"day\" {\n    timezone = \"UTC\"\n    start    = \"09:00\"\n    end      = \"10:00\"\n  }\n";
    let text = |schedule: &str| {
        fleet_text(1, 1, 0).replace("  placement = pool.a\n", &format!("  placement = pool.a\n{schedule}"))
    };
    let mut world = World::new(0);
    world.bench.write(&text(schedule));
    world.apply().await;
    let runs = |world: &World| {
        let objects = world.cloud.objects();
        let simulator = objects
            .iter()
            .find(|object| object.kind == "process")
            .expect("it is made");
        simulator.fields["state"] == "running"
    };
    assert!(!runs(&world), "it is made, and waits for its time");
    let fleet = world.fleet();
    let planned = fleet.plan().await.expect("it can be planned");
    assert!(planned.plan.is_empty(), "that is as it should be");

    // The sources say nothing, so that only the clock has something be done.
    for (minutes, is_running) in [(59, false), (2, true), (57, true), (3, false)] {
        world.watch(Duration::from_secs(minutes * 60)).await;
        assert_eq!(runs(&world), is_running, "after {minutes} more minutes");
    }
    world.bench.write(&text(""));
    world.apply().await;
    assert!(runs(&world), "without a schedule it always runs");
}

/// Who is made to wait is nobody that the pool can count on, however long that takes.
#[tokio::test(start_paused = true)]
async fn who_is_being_made_to_wait_is_not_counted() {
    let mut world = World::new(0);
    world.bench.write(&fleet_text(1, 0, 1));
    world.apply().await;
    let slow = json!({ "rules": [
        { "fault": { "long_running": { "polls": 0, "ms": 60_000 } }, "to": { "call": "create" }, "when": { "rate": 1.0 } },
    ] });
    world.cloud.set_faults(serde_json::from_value(slow).expect("faults"));
    world.script.set("b", Does::Answer(20.0));
    world.script.set("a", Does::Answer(90.0));
    world.watch(Duration::from_secs(300)).await;
    let sizes = (world.working("pool.a/").len(), world.waiting("pool.a/").len());
    // The load asks for two or three; a fourth would stand in for one that is only being made to wait.
    assert_eq!(sizes, (3, 1));
}
