//! Nodes and members of pools that are containers.

use serde_json::Value as Json;

use crate::support::Fleet;
use crate::support::engine::{IMAGE, container, docker, lineage, objects, provider};

/// Serves a file over HTTP that says who it is and what it was told, and ends when it is told to.
const SERVES: &str =
    r#"["sh", "-c", "mkdir -p /www; echo $MEMBER $WORD > /www/index.html; exec httpd -f -p 8080 -h /www"]"#;

fn web(min: usize, word: &str, more: &str) -> String {
    format!(
        r#"
{}
network "lab" {{}}

pool "web" {{
  provider = docker
  node {{
    image      = "{IMAGE}"
    command    = {SERVES}
    env        = {{ MEMBER = member.name, WORD = "{word}" }}
    networks   = [network.lab.id]
    cpus       = 0.5
    memory     = "64MiB"
    labels     = {{ number = member.number }}
    stop_grace = "1s"
    health_check {{ http = "http://{{private_ip}}:8080/" }}
    {more}
  }}
  autoscale {{
    min = {min}
    max = 3
  }}
}}

output "members" {{
  value = {{ for m in pool.web.members : m.name => [m.number, m.private_ip, m.address, m.status] }}
}}
"#,
        provider()
    )
}

fn nodes(fleet: &Fleet) -> Vec<Json> {
    serde_json::from_str(&fleet.ok(&["nodes", "-o", "json"]).out).expect("JSON")
}

/// What a member serves, as another container of its network reads it by its name.
fn served(fleet: &Fleet, member: u64) -> String {
    let id = container(&lineage(fleet), &format!("pool.web/m{member}"));
    docker(&[
        "exec",
        &id,
        "wget",
        "-q",
        "-O",
        "-",
        &format!("http://web-m{member}:8080/"),
    ])
}

#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn members_are_containers_from_the_first_to_the_last() {
    let fleet = Fleet::new(&web(2, "one", ""));
    fleet.applied();
    let lineage = lineage(&fleet);
    assert_eq!(objects(&lineage), ["network.lab", "pool.web/m1", "pool.web/m2"]);
    assert_eq!(
        (served(&fleet, 1), served(&fleet, 2)),
        ("web-m1 one".to_owned(), "web-m2 one".to_owned())
    );
    let limits = "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}";
    let limits = docker(&["inspect", "-f", limits, &container(&lineage, "pool.web/m1")]);
    assert_eq!(limits, "500000000 67108864 unless-stopped");
    let outputs: Json = serde_json::from_str(&fleet.ok(&["output", "--json"]).out).expect("JSON");
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "-f", address, &container(&lineage, "pool.web/m2")]);
    let text = outputs.to_string();
    assert!(text.contains(&format!("2,\"{address}\"")), "{text}");

    // It grows by its bounds.
    fleet.write(&web(3, "one", ""));
    assert_eq!(fleet.planned(), ["create pool.web/m3"]);
    fleet.applied();

    // Limits change in place, a command makes it anew, one member after the other.
    fleet.write(&web(3, "one", "").replace("64MiB", "48MiB"));
    assert_eq!(
        fleet.planned(),
        ["update pool.web/m1", "update pool.web/m2", "update pool.web/m3"]
    );
    fleet.applied();
    fleet.write(&web(3, "two", ""));
    let plan = fleet.ok(&["plan"]).out;
    assert!(
        plan.contains("pool.web/m1..m3: rolls 1 at a time, each once the one before is back"),
        "{plan}"
    );
    let rolled = fleet.ok(&["apply", "--auto-approve"]).err;
    let at = |text: &str| rolled.find(text).unwrap_or_else(|| panic!("{text}: {rolled}"));
    assert!(at("pool.web/m1: healthy") < at("pool.web/m2: deleting"), "{rolled}");
    assert_eq!(fleet.planned(), Vec::<String>::new());
    assert_eq!(served(&fleet, 3), "web-m3 two");

    // What is killed, and what does not answer, is seen; what is gone is made anew.
    let two = container(&lineage, "pool.web/m2");
    docker(&["exec", &two, "rm", "/www/index.html"]);
    let seen = nodes(&fleet);
    assert_eq!(
        (&seen[0]["status"], &seen[1]["status"]),
        (&"running".into(), &"unhealthy".into()),
        "{seen:?}"
    );
    assert!(
        seen[1]["reason"]
            .as_str()
            .expect("it is told")
            .contains(":8080/ answers 404"),
        "{seen:?}"
    );
    docker(&["kill", &container(&lineage, "pool.web/m1")]);
    docker(&["rm", "-f", &two]);
    assert_eq!(fleet.planned(), ["update pool.web/m1", "create pool.web/m2"]);
    fleet.applied();

    // It shrinks, and nothing is left of it.
    fleet.write(&web(1, "two", "").replace("max = 3", "max = 1"));
    assert_eq!(fleet.planned(), ["delete pool.web/m2", "delete pool.web/m3"]);
    fleet.applied();
    assert_eq!(objects(&lineage), ["network.lab", "pool.web/m1"]);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
}

/// A look into a container is its engine's, and the apply waits for it: a member that never is healthy is not made.
#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn a_member_that_its_engine_does_not_find_healthy_is_not_made() {
    let check = |path: &str| {
        format!(
            "health_check {{\n      command   = [\"test\", \"-e\", \"{path}\"]\n      interval  = \"2s\"\n      timeout   = \"2s\"\n      \
             unhealthy_threshold = 2\n    }}"
        )
    };
    let text = |path: &str| {
        let http = "health_check { http = \"http://{private_ip}:8080/\" }";
        web(1, "one", "").replace(http, &check(path))
    };
    let fleet = Fleet::new(&text("/no/such/file"));
    let run = fleet.run(&["apply", "--auto-approve"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(
        run.out.contains("pool.web/m1: create") && run.out.contains("healthy"),
        "{}",
        run.out
    );
    assert_eq!(objects(&lineage(&fleet)), ["network.lab"]);
    fleet.write(&text("/www/index.html"));
    fleet.applied();
    assert_eq!(nodes(&fleet)[0]["status"], "healthy");
    fleet.ok(&["destroy", "--auto-approve"]);
}

/// One container as a node, which others read; and what cannot be said of one.
#[test]
#[ignore = "needs a Docker engine; scripts/test starts one"]
fn a_node_is_a_container() {
    let node = format!(
        "{}node \"cache\" {{\n  provider = docker\n  image    = \"{IMAGE}\"\n  command  = {SERVES}\n  publish  = [\"8080\"]\n}}\n\
         output \"cache\" {{ value = \"${{node.cache.address}} ${{node.cache.status}}\" }}\n",
        provider()
    );
    let fleet = Fleet::new(&node);
    fleet.applied();
    assert!(fleet.ok(&["output"]).out.contains("running"));
    let mut report = String::new();
    for wrong in [
        format!("{node}simulator \"exec\" \"job\" {{\n  placement = node.cache\n  command   = [\"work\"]\n}}\n"),
        format!("{node}simulator \"container\" \"job\" {{\n  placement = node.cache\n  image     = \"{IMAGE}\"\n}}\n"),
        node.replace("  publish", "  process \"web\" { command = [\"serve\"] }\n  publish"),
        node.replace("  publish", "  max_simulators = 2\n  publish"),
        node.replace("  publish", "  health_check { type = \"agent\" }\n  publish"),
        node.replace(&format!("  image    = \"{IMAGE}\"\n"), ""),
        "provider \"local\" {}\nnode \"a\" { publish = [\"80:80\"] }\n".to_owned(),
    ] {
        fleet.write(&wrong);
        let run = fleet.run(&["plan"]);
        assert_eq!(run.code, Some(1), "{wrong}: {}", run.out);
        report.push_str(&format!("{}\n", run.err));
    }
    fleet.write(&node);
    fleet.ok(&["destroy", "--auto-approve"]);
    insta::assert_snapshot!(report);
}
