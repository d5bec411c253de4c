//! A pool of containers behind an nginx, that the scaler grows and shrinks under load.

use crate::clients::Clients;
use crate::load::Load;
use crate::nginx::{Nginx, free_port, until};
use crate::own::run;
use crate::support::Fleet;
use crate::support::engine::{docker, objects, provider};
use crate::watcher::Watcher;

/// An image with the worker of the examples, and nothing else.
const WORKER: &str = "simfleet-test/worker:1";

/// Makes it.
fn image() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/web/worker.rs");
    let options = ["--edition", "2024", "-O", "-C", "target-feature=+crt-static"];
    run("rustc", &[&options[..], &["-o", &at("worker"), source]].concat());
    run("tar", &["-C", &at(""), "-cf", &at("worker.tar"), "worker"]);
    docker(&["import", "-c", "CMD [\"/worker\"]", &at("worker.tar"), WORKER]);
}

/// A pool that has as many members as the source says that there is work for.
fn fleet(nginx: &Nginx, listen: u16, load: &Load) -> String {
    let words = |words: Vec<String>| format!("{words:?}");
    let (file, test, reload) = (nginx.file(), words(nginx.test()), words(nginx.reload()));
    format!(
        r#"
{}
provider "local" {{}}
node "front" {{ provider = local }}

pool "web" {{
  provider = docker
  node {{
    image      = "{WORKER}"
    env        = {{ NAME = member.name }}
    stop_grace = "1s"
    health_check {{
      http     = "http://{{private_ip}}:8000/health"
      interval = "1s"
    }}
  }}
  autoscale {{
    min                 = 1
    max                 = 4
    evaluation_interval = "1s"
    check "work" {{
      source = "http"
      query  = "{}#$.busy_percent"
      window = "1s"
      strategy "queue" {{ target = 1 }}
    }}
    behavior {{
      scale_up {{ stabilization_window = "0s" }}
      scale_down {{
        stabilization_window = "1s"
        cooldown             = "1s"
        policy {{
          type   = "percent"
          value  = 100
          period = "1s"
        }}
      }}
    }}
  }}
  load_balancer "nginx" {{
    node      = node.front
    listen    = {listen}
    algorithm = "least_conn"
    port      = 8000
    file      = "{}"
    test      = {test}
    reload    = {reload}
  }}
}}
"#,
        provider(),
        load.url(),
        file.display()
    )
}

#[test]
#[ignore = "needs a Docker engine and nginx; scripts/test starts one"]
fn no_request_fails_while_containers_come_and_go() {
    image();
    let (nginx, listen, load) = (Nginx::start(), free_port(), Load::of(1.0));
    let fleet = Fleet::new(&fleet(&nginx, listen, &load));
    fleet.applied();
    let clients = Clients::on(listen);
    clients.more(50);
    let mut watcher = Watcher::start(&fleet, &[]);
    watcher.wait_for_type("watching");
    let sizes = [3, 1, 4, 2, 4, 1, 3, 2, 4, 1, 3];
    for size in sizes {
        load.set(f64::from(size));
        until(&format!("{size} are in service"), || {
            nginx.text().matches("max_fails=3").count() == size as usize
        });
        clients.more(50);
        watcher.wait_for_type("scaled");
    }
    let ended = watcher.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let count = clients.end();
    let changes = ended.out.matches("\"type\":\"scaled\"").count();
    eprintln!(
        "{} requests over {changes} changes, {} asked again",
        count.all(),
        count.asked_again
    );
    assert!(
        count.failed.is_empty(),
        "of {} requests failed: {:?}",
        count.all(),
        count.failed
    );
    assert!(changes >= sizes.len(), "{}", ended.out);
    assert!(count.answered.len() >= 4, "{:?}", count.answered);
    let lineage = crate::support::engine::lineage(&fleet);
    fleet.ok(&["destroy", "--auto-approve"]);
    assert_eq!(objects(&lineage), Vec::<String>::new());
}
