//! Secrets reach the container that needs them, and nobody else.

use crate::support::Fleet;
use crate::support::engine::{IMAGE, container, docker, lineage, provider};

#[test]
#[ignore = "needs a Docker engine"]
fn no_log_however_detailed_has_a_secret() {
    let fleet = Fleet::new(&format!(
        "{}variable \"token\" {{\n  type = string\n  sensitive = true\n}}\n\
         service \"web\" {{\n  image = \"{IMAGE}\"\n  command = [\"sleep\", \"600\"]\n  stop_grace = \"1s\"\n  \
         env = {{ TOKEN = var.token }}\n}}\n",
        provider()
    ));
    let runs: [&[&str]; 3] = [&["apply", "--auto-approve"], &["plan"], &["status"]];
    for arguments in runs {
        let arguments = [arguments, &["-var", "token=hunter2"]].concat();
        for format in ["text", "json"] {
            let mut command = fleet.command(&[arguments.as_slice(), &["--log-format", format]].concat());
            let logged = "trace,bollard=trace,bollard::docker=trace";
            let output = command.env("SIMFLEET_LOG", logged).output().expect("simfleet runs");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{arguments:?}: {said}");
            assert!(said.contains("TRACE"), "{arguments:?} logs all that it may: {said}");
            assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
        }
    }
    let id = container(&lineage(&fleet), "service.web");
    assert_eq!(docker(&["exec", &id, "sh", "-c", "echo $TOKEN"]), "hunter2");
    fleet.ok(&["destroy", "--auto-approve", "-var", "token=hunter2"]);
}
