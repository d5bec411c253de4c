//! `kill -9` while a member of a pool is emptied.

use std::collections::BTreeMap;

use simfleet_provider_fake::calls::Call;
use simfleet_provider_fake::faults::{Faults, Pattern};
use simfleet_provider_fake::gateway::{Hold, Moment};

use crate::APPLY;
use crate::cloud::Cloud;
use crate::support::Fleet;

/// A member that is being emptied when its run is killed is emptied again by the next one.
#[test]
fn killed_while_a_member_is_emptied() {
    let text = |provider: &str, size: usize| {
        format!(
            "{provider}pool \"p\" {{\n  node {{ max_simulators = 2 }}\n  autoscale {{\n    min = {size}\n    max = {size}\n  }}\n  \
             drain {{\n    timeout = \"10m\"\n    wait_for = \"simulators\"\n  }}\n}}\nsimulator \"exec\" \"job\" {{\n  count = 2\n  \
             placement = pool.p\n  command = [\"work\"]\n}}\n"
        )
    };
    let cloud = Cloud::new(Faults::default());
    let fleet = Fleet::new(&text(&cloud.provider(), 2));
    fleet.ok(&APPLY);
    fleet.write(&text(&cloud.provider(), 1));
    let job = "simulator.exec.job[1]";
    // Looks at the job: the first of the plan, the later ones of the drain.
    let look = || {
        let to = Pattern {
            call: Some(Call::Read),
            name: Some(job.to_owned()),
            ..Pattern::default()
        };
        let (nth, at) = (3, Moment::Before);
        cloud.gateway.hold(Hold { to, nth, at })
    };
    for _ in 0..2 {
        let held = look();
        let mut draining = fleet.start(&APPLY, &[]);
        cloud.wait_held(held);
        draining.kill().expect("it runs");
        draining.wait().expect("it ends");
        cloud.gateway.release(held);
        assert_eq!(cloud.objects().len(), 4, "nothing is removed yet");
    }
    let objects = cloud.gateway.objects();
    let object = objects
        .iter()
        .find(|object| object.fields["name"] == job)
        .expect("it is there");
    let exited = serde_json::from_str(r#"{ "status": "exited" }"#).expect("JSON");
    assert!(cloud.gateway.change(&object.id, &exited));
    fleet.ok(&APPLY);
    let expected = ["pool.p/m1", "simulator.exec.job[0]", job].map(|name| (name.to_owned(), 1));
    assert_eq!(cloud.objects(), BTreeMap::from(expected));
    assert!(fleet.ok(&["plan"]).out.contains("No changes."));
}
