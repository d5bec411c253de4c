//! An edit of each attribute of a service is an update or a replacement, as the plan says, and the plan after it is empty.

use crate::support::Fleet;
use crate::support::engine::{IMAGE, WAITS, docker, lineage, objects, provider};

/// What is added to the service, and what the plan says.
const EDITS: [(&str, &str); 29] = [
    ("restart = \"always\"", "update"),
    ("resources = { cpu = 0.5 }", "update"),
    ("resources = { cpu = 0.5, memory = \"64MiB\" }", "update"),
    ("resources = { memory = \"48MiB\" }", "update"),
    ("networks = [network.one.id]", "update"),
    ("networks = [network.one.id, network.two.id]", "update"),
    ("networks = [network.two.id]", "update"),
    ("networks = [network.two.id]\n  aliases = [\"www\"]", "update"),
    ("env = { A = \"1\" }", "replace"),
    ("env = { A = \"2\" }", "replace"),
    ("user = \"1000\"", "replace"),
    ("working_dir = \"/tmp\"", "replace"),
    ("hostname = \"ground\"", "replace"),
    ("entrypoint = [\"sh\", \"-c\", \"exec sleep 600\"]", "replace"),
    ("publish = [\"127.0.0.1::80\"]", "replace"),
    ("publish = [\"127.0.0.1::80\", \"127.0.0.1::81/udp\"]", "replace"),
    ("tmpfs = { \"/scratch\" = \"size=1m\" }", "replace"),
    ("labels = { team = \"red\" }", "replace"),
    ("stop_signal = \"SIGINT\"", "replace"),
    ("stop_grace = \"3s\"", "replace"),
    ("read_only = true", "replace"),
    ("cap_add = [\"NET_ADMIN\"]\n  cap_drop = [\"CAP_CHOWN\"]", "replace"),
    ("devices = [\"/dev/null:/dev/nothing\"]", "replace"),
    ("ulimits = { nofile = \"1024:2048\", core = \"0\" }", "replace"),
    (
        "log_driver = \"json-file\"\n  log_options = { max-size = \"1m\" }",
        "replace",
    ),
    (
        "file \"motd\" {\n    target  = \"/etc/motd\"\n    content = \"hello\"\n  }",
        "replace",
    ),
    ("volume \"data\" { target = \"/data\" }", "replace"),
    // Into what cannot write to its own files a file is put in a volume only.
    (
        "read_only = true\n  volume \"data\" { target = \"/data\" }\n  file \"seed\" {\n    target  = \"/data/seed\"\n    content = \"one\"\n  }",
        "replace",
    ),
    (
        "health_check {\n    command  = [\"true\"]\n    interval = \"1s\"\n  }",
        "replace",
    ),
];

#[test]
#[ignore = "needs a Docker engine"]
fn an_edit_of_any_attribute_does_what_the_plan_says() {
    let text = |edit: &str| {
        format!(
            "{}network \"one\" {{}}\nnetwork \"two\" {{}}\nservice \"web\" {{\n  image = \"{IMAGE}\"\n  command = {WAITS}\n  {edit}\n}}\n",
            provider()
        )
    };
    let fleet = Fleet::new(&text(""));
    fleet.applied();
    for (edit, expected) in EDITS {
        fleet.write(&text(edit));
        let changes = fleet.planned();
        let of_the_service: Vec<&String> = changes
            .iter()
            .filter(|change| change.ends_with(" service.web"))
            .collect();
        assert_eq!(
            of_the_service,
            [&format!("{expected} service.web")],
            "{edit}: {changes:?}"
        );
        fleet.applied();
    }
    let lineage = lineage(&fleet);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_image_that_is_made_anew_is_another_one_by_its_digest_only() {
    let tag = format!("simfleet-test/again:{}", std::process::id());
    docker(&["tag", IMAGE, &tag]);
    let fleet = Fleet::new(&format!(
        "{}service \"web\" {{\n  image = \"{tag}\"\n  command = {WAITS}\n}}\n",
        provider()
    ));
    fleet.applied();
    let id = docker(&["inspect", "--format", "{{.Id}}", IMAGE]);
    fleet.write(&format!(
        "{}service \"web\" {{\n  image = \"{id}\"\n  pull = \"never\"\n  command = {WAITS}\n}}\n",
        provider()
    ));
    assert_eq!(fleet.planned(), ["replace service.web"]);
    fleet.applied();
    fleet.ok(&["destroy", "--auto-approve"]);
    docker(&["rmi", &tag]);
}
