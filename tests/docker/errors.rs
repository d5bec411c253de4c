//! What is told where something is wrong with an engine, or with what it is asked for: what a user reads, word by word.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::own::OwnEngine;
use crate::support::engine::{IMAGE, WAITS, docker, lineage, objects, provider};
use crate::support::{Ended, Fleet};

/// Returns what an apply says, without what differs from run to run.
fn told(ended: &Ended, replaced: &[(&str, &str)]) -> String {
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
    let mut text = ended.err.clone();
    for (part, name) in replaced {
        text = text.replace(part, name);
    }
    // What came before are retries, with pauses that are drawn.
    let from = text.find("service.web: create failed").expect("it says that it failed");
    let mut text = text[from..].trim_end().to_owned();
    for (pattern, name) in [(r"after [\d.]+ s", "after [duration]"), (r"\d+ times", "N times")] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, name).into_owned();
    }
    text
}

fn apply(fleet: &Fleet) -> Ended {
    fleet.run(&["apply", "--auto-approve"])
}

fn service(lines: &str) -> String {
    format!("service \"web\" {{\n  image   = \"{IMAGE}\"\n  {lines}\n}}\n")
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_is_wrong_with_a_container() {
    let other = Fleet::new(&format!(
        "{}service \"first\" {{\n  image   = \"{IMAGE}\"\n  command = {WAITS}\n  publish = [\"127.0.0.1::80\"]\n}}\n",
        provider()
    ));
    other.ok(&["apply", "--auto-approve"]);
    let by = lineage(&other);
    let id = crate::support::engine::container(&by, "service.first");
    let port = docker(&["port", &id, "80/tcp"]);
    let port = port.rsplit_once(':').expect("a port").1;
    let name = docker(&["inspect", "--format", "{{slice .Name 1}}", &id]);
    for (what, lines) in [
        ("image_missing", "command = [\"true\"]\n  pull    = \"never\"".replace("true", "x")),
        ("network_missing", format!("command = {WAITS}\n  networks = [\"nope\"]")),
        ("port_taken", format!("command = {WAITS}\n  publish = [\"127.0.0.1:{port}:80\"]")),
        (
            "out_of_memory",
            "command = [\"sh\", \"-c\", \"echo begins; tail /dev/zero\"]\n  restart = \"no\"\n  resources = { memory = \"16MiB\" }".to_owned(),
        ),
        (
            "disk_full",
            "command = [\"sh\", \"-c\", \"dd if=/dev/zero of=/data/log bs=64k count=64\"]\n  tmpfs = { \"/data\" = \"size=1m\" }\n  restart = \"no\"".to_owned(),
        ),
        (
            "restart_loop",
            "command = [\"sh\", \"-c\", \"test -e /tmp/told || echo no config; touch /tmp/told; exit 7\"]".to_owned(),
        ),
        (
            "unhealthy",
            format!("command = {WAITS}\n  health_check {{\n    command = [\"sh\", \"-c\", \"echo not yet; false\"]\n    interval = \"1s\"\n    unhealthy_threshold = 2\n  }}"),
        ),
    ] {
        let mut text = service(&lines);
        if what == "image_missing" {
            text = text.replace(IMAGE, "simfleet-test/none:1");
        }
        let fleet = Fleet::new(&format!("{}{text}", provider()));
        let told = told(&apply(&fleet), &[(&name, "[owner]"), (port, "[port]")]);
        insta::assert_snapshot!(what, told);
        assert_eq!(objects(&lineage(&fleet)), Vec::<String>::new(), "{what}: it leaves nothing");
    }
    other.ok(&["destroy", "--auto-approve"]);
}

#[test]
#[ignore = "needs a Docker engine"]
fn no_engine() {
    let fleet = Fleet::new(&format!(
        "provider \"docker\" {{ host = \"unix:///nowhere/docker.sock\" }}\n{}",
        service("command = [\"true\"]")
    ));
    insta::assert_snapshot!("no_engine", told(&apply(&fleet), &[]));
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn no_permission() {
    let engine = OwnEngine::start(&[]);
    std::fs::set_permissions(engine.socket(), PermissionsExt::from_mode(0o600)).expect("it is ours");
    std::fs::set_permissions(engine.folder(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let fleet = Fleet::new(&format!(
        "provider \"docker\" {{ host = \"{}\" }}\n{}",
        engine.host(),
        service("command = [\"true\"]")
    ));
    std::fs::set_permissions(fleet.path(), PermissionsExt::from_mode(0o777)).expect("it is ours");
    let inner = fleet.command(&["apply", "--auto-approve"]);
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    nobody
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(fleet.path());
    let ended: Ended = nobody.stdin(Stdio::null()).output().expect("it runs").into();
    insta::assert_snapshot!("no_permission", told(&ended, &[(&engine.host(), "[engine]")]));
}

/// Authorities, and what they vouch for: the engine at 127.0.0.1, a client, and a client of somebody else.
fn certificates(folder: &std::path::Path) {
    let make = "set -e
        for ca in ca other; do
          openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=$ca -keyout $ca-key.pem -out $ca.pem
        done
        sign() { # sign NAME AUTHORITY EXTENSIONS
          openssl req -newkey rsa:2048 -nodes -subj /CN=$1 -keyout $1-key.pem -out $1.csr
          printf \"$3\" > $1.ext
          openssl x509 -req -days 30 -in $1.csr -CA $2.pem -CAkey $2-key.pem -CAcreateserial -extfile $1.ext -out $1.pem
        }
        sign server ca 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n'
        sign client ca 'extendedKeyUsage=clientAuth\\n'
        sign stranger other 'extendedKeyUsage=clientAuth\\n'";
    let made = Command::new("sh").args(["-c", make]).current_dir(folder).output();
    let made = made.expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
#[ignore = "needs a Docker engine, openssl, and root"]
fn certificates_right_and_wrong() {
    let keys = tempfile::tempdir().expect("a folder");
    certificates(keys.path());
    let file = |name: &str| keys.path().join(name).to_string_lossy().into_owned();
    let (ca, cert, key) = (file("ca.pem"), file("server.pem"), file("server-key.pem"));
    let engine = OwnEngine::start(&[
        "-H=tcp://127.0.0.1:2376",
        "--tlsverify",
        &format!("--tlscacert={ca}"),
        &format!("--tlscert={cert}"),
        &format!("--tlskey={key}"),
    ]);
    let text = |tls: &str| {
        format!(
            "provider \"docker\" {{\n  host = \"tcp://127.0.0.1:2376\"\n{tls}}}\n{}",
            service(&format!("command = {WAITS}"))
        )
    };
    let tls = |ca: &str, of: &str| {
        let (ca, cert, key) = (file(ca), file(&format!("{of}.pem")), file(&format!("{of}-key.pem")));
        format!("  tls  = {{ ca = \"{ca}\", cert = \"{cert}\", key = \"{key}\" }}\n")
    };
    for (what, tls) in [
        ("tls_wrong_authority", tls("other.pem", "client")),
        ("tls_client_of_somebody_else", tls("ca.pem", "stranger")),
        ("tls_no_certificate", tls("ca.pem", "nobody")),
        ("tls_not_a_certificate", tls("client-key.pem", "client")),
        ("tls_not_asked_for", String::new()),
    ] {
        let fleet = Fleet::new(&text(&tls));
        let ended = engine.simfleet(&fleet, &["apply", "--auto-approve"]);
        insta::assert_snapshot!(what, told(&ended, &[(&*keys.path().to_string_lossy(), "[keys]")]));
    }
    let fleet = Fleet::new(&text(&tls("ca.pem", "client")));
    let right = engine.simfleet(&fleet, &["apply", "--auto-approve"]);
    assert_eq!(right.code, Some(0), "{}\n{}", right.out, right.err);
    assert_eq!(engine.docker(&["ps", "-q"]).lines().count(), 1);
    let again = engine.simfleet(&fleet, &["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}\n{}", again.out, again.err);
    let gone = engine.simfleet(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(gone.code, Some(0), "{}\n{}", gone.out, gone.err);
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn an_engine_that_is_restarted_in_the_middle_of_an_apply() {
    let mut engine = OwnEngine::start(&[]);
    let text = format!(
        "provider \"docker\" {{ host = \"{}\" }}\nnetwork \"lab\" {{}}\nservice \"web\" {{\n  count    = 12\n  image    = \"{IMAGE}\"\n  \
         command  = {WAITS}\n  networks = [network.lab.id]\n  volume \"data\" {{ target = \"/data\" }}\n}}\n",
        engine.host()
    );
    let fleet = Fleet::new(&text);
    let mut applying = fleet.start(&["apply", "--auto-approve"], &[]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while engine.docker(&["ps", "-aq"]).lines().count() < 3 {
        assert!(Instant::now() < deadline, "nothing is made");
        assert_eq!(applying.try_wait().expect("it can be asked"), None, "it is at work");
    }
    engine.stop();
    engine.serve();
    let ended: Ended = applying.wait_with_output().expect("it ends").into();
    if ended.code != Some(0) {
        // It says what to do, and that is enough.
        let said = format!("{}\n{}", ended.out, ended.err);
        assert!(said.contains("To go on: simfleet apply"), "{said}");
        fleet.ok(&["apply", "--auto-approve"]);
    }
    let again = fleet.run(&["plan"]);
    // What the engine had stopped it starts again, but for what it had not come to start.
    if !again.out.contains("No changes") {
        fleet.ok(&["apply", "--auto-approve"]);
    }
    assert_eq!(fleet.planned(), Vec::<String>::new());
    let shape = "{{.ID}} {{.Names}} {{.Status}} {{.Labels}}";
    let there = engine.docker(&["ps", "--all", "--no-trunc", "--format", shape]);
    assert_eq!(there.lines().count(), 12, "{there}\n{}\n{}", ended.out, ended.err);
    assert_eq!(engine.docker(&["ps", "-q"]).lines().count(), 12, "{there}");
    assert_eq!(engine.docker(&["volume", "ls", "-q"]).lines().count(), 12);
    fleet.ok(&["destroy", "--auto-approve"]);
    for list in [
        &["ps", "-aq"][..],
        &["volume", "ls", "-q"],
        &["network", "ls", "-q", "--filter", "label=simfleet.lineage"],
    ] {
        assert_eq!(engine.docker(list), "", "{list:?}");
    }
}

#[test]
#[ignore = "needs a Docker engine, and root"]
fn an_engine_that_hangs_is_told_by_the_plan() {
    let engine = OwnEngine::start(&[]);
    let fleet = Fleet::new(&format!(
        "provider \"docker\" {{ host = \"{}\" }}\n{}",
        engine.host(),
        service(&format!("command = {WAITS}"))
    ));
    fleet.ok(&["apply", "--auto-approve"]);
    engine.hang(true);
    let plan = fleet.run(&["plan"]);
    engine.hang(false);
    assert_eq!(plan.code, Some(0), "{}\n{}", plan.out, plan.err);
    let said = format!(
        "service.web cannot be reached: the Docker engine at {} does not answer",
        engine.host()
    );
    assert!(plan.out.contains(&said), "{}\n{}", plan.out, plan.err);
    assert_eq!(fleet.planned(), Vec::<String>::new());
    fleet.ok(&["destroy", "--auto-approve"]);
}
