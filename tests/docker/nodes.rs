//! Hosts with an engine each, as nodes that containers are placed on.

use crate::own::OwnEngine;
use crate::support::Fleet;
use crate::support::engine::{IMAGE, WAITS, docker, host};

#[test]
#[ignore = "needs a Docker engine, and root"]
fn containers_run_on_the_hosts_of_their_nodes() {
    let own = OwnEngine::start(&[]);
    let text = |placement: &str| {
        format!(
            r#"
node "one" {{
  runtime        = "{}"
  max_simulators = 3
}}
node "two" {{ runtime = "{}" }}
simulator "container" "fixed" {{
  placement = node.one
  image     = "{IMAGE}"
  command   = {WAITS}
  restart   = "always"
}}
simulator "container" "rover" {{
  count     = 2
  placement = {placement}
  image     = "{IMAGE}"
  command   = {WAITS}
  restart   = "always"
  volume "data" {{ target = "/data" }}
}}
"#,
            own.host(),
            host()
        )
    };
    let fleet = Fleet::new(&text("node.one"));
    fleet.applied();
    let lineage = crate::support::engine::lineage(&fleet);
    let of_it = format!("label=simfleet.lineage={lineage}");
    let there = |list: &[&str]| docker(&[list, &["--filter", &of_it]].concat()).lines().count();
    assert_eq!(own.docker(&["ps", "-q"]).lines().count(), 3);
    assert_eq!((there(&["ps", "-q"]), there(&["volume", "ls", "-q"])), (0, 0));
    let nodes = fleet.ok(&["nodes"]).out;
    assert!(nodes.contains("node.one") && nodes.contains("running"), "{nodes}");

    // What moves is made anew there, with its volumes, and nothing of it stays behind.
    fleet.write(&text("node.two"));
    let moves = [
        "replace simulator.container.rover[0]",
        "replace simulator.container.rover[0]/data",
    ];
    assert_eq!(fleet.planned()[..2], moves);
    fleet.applied();
    assert_eq!(own.docker(&["ps", "-q"]).lines().count(), 1);
    assert_eq!(own.docker(&["volume", "ls", "-q"]), "");
    assert_eq!((there(&["ps", "-q"]), there(&["volume", "ls", "-q"])), (2, 2));

    // A host that does not answer is told, and nothing on it is taken for gone or made elsewhere.
    own.hang(true);
    let plan = fleet.ok(&["plan"]);
    own.hang(false);
    let count = plan.out.matches("cannot be reached: the Docker engine at").count();
    assert!(count >= 2 && plan.out.contains("No changes."), "{}", plan.out);

    let ended = fleet.ok(&["destroy", "--auto-approve"]);
    assert!(ended.out.contains("2 forgotten"), "{}\n{}", ended.out, ended.err);
    assert_eq!((own.docker(&["ps", "-aq"]), there(&["ps", "-aq"])), (String::new(), 0));
}
