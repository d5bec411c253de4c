//! Mistakes in what runs in containers.

use super::broken::report;
use super::{load_text, snapshot};
use crate::config::{Block, Instance, Names, NoResources};
use crate::diagnostic::Diagnostics;

/// A service with one line or block more.
fn service(inside: &str) -> String {
    format!("provider \"docker\" {{}}\nservice \"web\" {{\n  image = \"nginx:1.27\"\n{inside}\n}}\n")
}

fn simulator(kind: &str, inside: &str) -> String {
    format!("simulator \"{kind}\" \"s\" {{\n  placement = \"local\"\n{inside}\n}}\n")
}

#[test]
fn mistakes_in_containers() {
    snapshot!(report([
        ("a port of no number", service("  publish = [\"web:80\"]")),
        ("ranges of different lengths", service("  publish = [\"8000-8010:80\"]")),
        ("another protocol", service("  publish = [\"80:80/sctp\"]")),
        ("ports as numbers with a typo", service("  publsh = [80]")),
        ("when it is pulled", service("  pull = \"allways\"")),
        ("a device by its name", service("  devices = [\"kvm\"]")),
        (
            "a soft limit above the hard one",
            service("  ulimits = { nofile = \"2048:1024\" }")
        ),
        ("no capability", service("  cap_add = [\"NET ADMIN\"]")),
        (
            "options of no driver",
            service("  log_options = { max-size = \"10m\" }")
        ),
        ("a relative place", service("  volume \"data\" { target = \"data\" }")),
        (
            "two at one place",
            service("  volume \"data\" { target = \"/data\" }\n  volume \"more\" { target = \"/data/\" }"),
        ),
        (
            "a file at the place of a volume",
            service(
                "  volume \"data\" { target = \"/data\" }\n  file \"f\" {\n    target  = \"/data\"\n    content = \"\"\n  }"
            ),
        ),
        (
            "a volume by its path",
            service("  volume \"./data\" { target = \"/data\" }")
        ),
        (
            "a volume twice",
            service("  volume \"d\" { target = \"/a\" }\n  volume \"d\" { target = \"/b\" }")
        ),
        ("the log of a process", service("  log { max_size = \"10MiB\" }")),
        (
            "a port twice",
            service("  publish = [\"8080:80\", \"127.0.0.1:8080:81\"]"),
        ),
        (
            "a port of two services",
            service("  publish = [\"8000-8002:80-82\"]")
                + "service \"other\" {\n  image = \"nginx:1.27\"\n  publish = [\"8001:80\"]\n}\n",
        ),
        (
            "a port of several instances",
            service("  count = 2\n  publish = [\"8080:80\"]")
        ),
        ("no image", simulator("px4", "  model = \"sihsim_quadx\"")),
        (
            "a command that is a text",
            simulator("container", "  image   = \"busybox:1\"\n  command = \"sleep 1\""),
        ),
        (
            "a port in no container",
            simulator(
                "exec",
                "  command = [\"true\"]\n  port \"web\" {\n    host      = 80\n    container = 80\n  }"
            ),
        ),
        (
            "a port of the node and none",
            simulator(
                "container",
                "  image = \"busybox:1\"\n  port \"web\" { container = 80 }"
            ),
        ),
    ]));
}

/// What looks like a mistake and is none.
#[test]
fn ports_that_do_not_meet() {
    for kept in [
        "  publish = [\"53:53/tcp\", \"53:53/udp\"]",
        "  publish = [\"127.0.0.1:80:80\", \"127.0.0.2:80:80\"]",
        "  publish = [\"80\", \"80\"]",
        "  count = 2\n  publish = [\"${8080 + count.index}:80\", \"81\"]",
    ] {
        let found = load_text(&service(kept)).map(|(_, warnings)| warnings);
        assert_eq!(found, Ok(Diagnostics::new()), "{kept}");
    }
    let elsewhere = "provider \"docker\" {\n  alias = \"b\"\n}\nservice \"other\" {\n  provider = docker.b\n  image = \
                     \"nginx:1.27\"\n  publish = [\"80:80\"]\n}\n";
    assert!(load_text(&(service("  publish = [\"80:80\"]") + elsewhere)).is_ok());
}

#[test]
fn what_a_plan_must_know_of_a_container_is_told_by_the_check() {
    let text = service("  volume \"data\" { target = \"/data\" }\n  publish = [\"8000-8001:80-81\"]");
    let (config, _) = load_text(&text).expect("it is valid");
    let declaration = config.declarations.last().expect("declared");
    let names = Names::new(&config, &NoResources);
    let record = declaration
        .evaluate(&names.scope(Instance::default()))
        .expect("it is known");
    let Ok(Block::Service(service)) = declaration.decode(&record) else {
        panic!("it is no service");
    };
    assert_eq!(
        service.workload.restart.map(|restart| restart.as_str()),
        Some("unless-stopped")
    );
    let [volume] = service.container.volumes.as_slice() else {
        panic!("{:?}", service.container.volumes);
    };
    assert_eq!(
        (&*volume.name, &*volume.target, &volume.source),
        ("data", "/data", &None)
    );
}

/// A service of an image that is built.
fn built(inside: &str) -> String {
    format!("provider \"docker\" {{}}\nservice \"web\" {{\n{inside}\n}}\n")
}

#[test]
fn mistakes_in_builds() {
    snapshot!(report([
        ("neither an image nor a build", built("  command = [\"true\"]")),
        ("no context", built("  build { dockerfile = \"Dockerfile\" }")),
        ("a context that is missing", built("  build { context = \"nowhere\" }")),
        (
            "a context elsewhere",
            built("  build { context = \"https://example.org/app.git\" }")
        ),
        ("no Dockerfile", built("  build { context = \"examples\" }")),
        (
            "a Dockerfile outside of the context",
            built("  build {\n    context    = \"examples\"\n    dockerfile = \"../Cargo.toml\"\n  }")
        ),
        (
            "pulled and built",
            built(
                "  pull = \"always\"\n  build {\n    context    = \"examples\"\n    dockerfile = \"quickstart.hcl\"\n  }"
            )
        ),
        (
            "a volume of that name",
            built(
                "  volume \"image\" { target = \"/data\" }\n  build {\n    context    = \"examples\"\n    dockerfile = \"quickstart.hcl\"\n  }"
            )
        ),
        (
            "two builds",
            built("  build { context = \"examples\" }\n  build { context = \"examples\" }")
        ),
    ]));
}
