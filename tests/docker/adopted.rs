//! What others made, with what is in it.

use crate::support::Fleet;
use crate::support::engine::{IMAGE, WAITS, container, docker, lineage, provider};

/// A database that somebody ran by hand has its data in a volume without a name.
#[test]
#[ignore = "needs a Docker engine"]
fn a_container_that_was_run_by_hand_keeps_its_data() {
    let run = [
        "run",
        "-d",
        "-v",
        "/data",
        IMAGE,
        "sh",
        "-c",
        "test -e /data/rows || echo precious > /data/rows; sleep 600",
    ];
    let id = docker(&run);
    let fleet = Fleet::new(&format!(
        "{}service \"db\" {{\n  image   = \"{IMAGE}\"\n  command = {WAITS}\n  volume \"data\" {{ target = \"/data\" }}\n}}\n",
        provider()
    ));
    let imported = fleet.ok(&["import", "service.db", &id]).out;
    assert!(imported.contains("service.db/data is the object "), "{imported}");
    // It is made anew, as it was not made so; what is in the volume stays.
    assert_eq!(fleet.planned(), ["replace service.db"]);
    fleet.applied();
    let of_it = format!("label=simfleet.lineage={}", lineage(&fleet));
    let now = docker(&["ps", "-q", "--filter", &of_it]);
    assert_eq!(docker(&["exec", &now, "cat", "/data/rows"]), "precious");
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("id={id}")]), "");
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_service_that_was_forgotten_and_imported_keeps_its_data() {
    let fleet = Fleet::new(&format!(
        "{}service \"db\" {{\n  image   = \"{IMAGE}\"\n  command = {WAITS}\n  volume \"data\" {{ target = \"/data\" }}\n}}\n",
        provider()
    ));
    fleet.applied();
    let id = container(&lineage(&fleet), "service.db");
    docker(&["exec", &id, "sh", "-c", "echo precious > /data/rows"]);
    let forgotten = fleet.ok(&["state rm", "service.db"]).out;
    assert_eq!(forgotten, "Forgot service.db.\nForgot service.db/data.\n");
    fleet.ok(&["import", "service.db", &id]);
    assert_eq!(fleet.planned(), Vec::<String>::new());
    fleet.ok(&["apply", "--auto-approve", "--replace", "service.db"]);
    let now = container(&lineage(&fleet), "service.db");
    assert_ne!(now, id);
    assert_eq!(docker(&["exec", &now, "cat", "/data/rows"]), "precious");
    fleet.ok(&["destroy", "--auto-approve"]);
}
