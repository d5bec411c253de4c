//! A pool behind an nginx: a real one, and members that run a server each.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng, SeedableRng};

use crate::clients::{Clients, head};
use crate::lab::Lab;
use crate::nginx::{Nginx, free_port, until};
use crate::running::Running;

/// A pool of servers behind an nginx. `{…}` is what differs.
fn fleet(nginx: &Nginx, listen: u16, port: u16) -> String {
    let program = std::env::current_exe().expect("this program");
    let program = program.display();
    let words = |words: Vec<String>| format!("{words:?}");
    let (file, test, reload) = (nginx.file(), words(nginx.test()), words(nginx.reload()));
    let file = file.display();
    format!(
        r#"
variable "size" {{ default = 2 }}
variable "version" {{ default = "one" }}
variable "listen" {{ default = {listen} }}

provider "local" {{}}

node "front" {{}}

pool "web" {{
  node {{
    process "server" {{
      command = ["{program}", "--exact", "balancing::serves", "--ignored", "--nocapture"]
      env     = {{ VERSION = var.version, PORT = {port}, NAME = member.name }}
      ready {{ pattern = "listens" }}
    }}
  }}
  autoscale {{
    min = var.size
    max = var.size
  }}
  load_balancer "nginx" {{
    node      = node.front
    listen    = var.listen
    algorithm = "least_conn"
    port      = {port}
    file      = "{file}"
    test      = {test}
    reload    = {reload}
    health_check {{ http = "/health" }}
  }}
}}
"#
    )
}

/// A server of a member: it says who it is, over connections that stay, after a while that is no other's business. When it is
/// told to end it ends, whoever waits for an answer.
#[test]
#[ignore = "a process of other tests"]
fn serves() {
    let variable = |name: &str| std::env::var(name).expect("the test sets it");
    let at = format!("{}:{}", variable("SIMFLEET_ADDRESS"), variable("PORT"));
    let listener = TcpListener::bind(&at).expect("its own address");
    println!("listens");
    let name = format!("{} {}", variable("NAME"), variable("VERSION"));
    for stream in listener.incoming().flatten() {
        let name = name.clone();
        std::thread::spawn(move || answer(stream, &name));
    }
}

fn answer(stream: TcpStream, name: &str) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let mut output = stream;
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    loop {
        let head = head(&mut input)?;
        let length = head.get("content-length").and_then(|length| length.parse().ok());
        input.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        std::thread::sleep(Duration::from_millis(random.random_range(0..30)));
        let length = name.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
        output.write_all(answer.as_bytes()).ok()?;
    }
}

/// The lines of an apply that say what was done, in order.
fn done(told: &str) -> Vec<&str> {
    let lines = told.lines().filter(|line| line.contains("ed after "));
    lines.map(|line| line.split(" after ").next().unwrap_or(line)).collect()
}

fn place(done: &[&str], line: &str) -> usize {
    let place = done.iter().position(|it| *it == line);
    place.unwrap_or_else(|| panic!("no {line:?} in {done:#?}"))
}

fn without_ports(text: &str, ports: [u16; 2]) -> String {
    let [listen, port] = ports.map(|port| port.to_string());
    text.replace(&listen, "[listen]").replace(&port, "[port]")
}

#[test]
#[ignore = "needs nginx"]
fn no_request_fails_while_a_pool_grows_rolls_and_shrinks() {
    let (nginx, listen, port) = (Nginx::start(), free_port(), free_port());
    let lab = Running::new(&fleet(&nginx, listen, port));
    lab.run("apply --auto-approve").exits(0);
    let load = Clients::on(listen);
    load.more(200);
    // Two enter.
    lab.run("apply --auto-approve --var size=4").exits(0);
    load.more(200);
    // Each of four leaves and enters.
    let rolled = lab.run("apply --auto-approve --var size=4 --var version=two").exits(0);
    load.more(200);
    // Three leave for good, and the one that stays leaves and enters.
    let shrunk = lab
        .run("apply --auto-approve --var size=1 --var version=three")
        .exits(0);
    load.more(200);
    lab.run("apply --auto-approve --var size=3 --var version=three")
        .exits(0);
    load.more(200);
    let count = load.end();
    let (failed, seen) = (&count.failed, count.answered.len());
    eprintln!(
        "{} requests, {} asked again, of {seen} servers",
        count.all(),
        count.asked_again
    );
    assert!(
        failed.is_empty(),
        "of {} requests {} failed: {failed:?}",
        count.all(),
        failed.len()
    );
    assert!(seen >= 11, "all of them were asked: {:?}", count.answered);

    let rolled = done(&rolled.stderr);
    for (member, next) in [("m1", "m2"), ("m2", "m3"), ("m3", "m4")] {
        let entered = place(&rolled, &format!("pool.web/nginx/{member}: created"));
        let left = place(&rolled, &format!("pool.web/nginx/{next}: deleted"));
        assert!(entered < left, "{next} leaves once {member} is back: {rolled:#?}");
    }
    let shrunk = done(&shrunk.stderr);
    for member in ["m2", "m3", "m4"] {
        let left = place(&shrunk, &format!("pool.web/nginx/{member}: deleted"));
        let stopped = place(&shrunk, &format!("pool.web/{member}/server: deleted"));
        assert!(left < stopped, "{member} leaves before it stops: {shrunk:#?}");
        assert!(
            place(&shrunk, "pool.web/nginx/m1: created") < left,
            "the one that comes is there: {shrunk:#?}"
        );
    }
}

/// Says how many members a pool is to have, and that all are healthy but one.
#[derive(Clone)]
struct Says {
    port: u16,
    size: Arc<AtomicU64>,
    ill: Arc<Mutex<String>>,
}

impl Says {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let says = Says {
            port: listener.local_addr().expect("it listens").port(),
            size: Arc::new(AtomicU64::new(1)),
            ill: Arc::default(),
        };
        let saying = says.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let saying = saying.clone();
                std::thread::spawn(move || saying.say(stream));
            }
        });
        says
    }

    fn say(&self, stream: TcpStream) -> Option<()> {
        let mut input = BufReader::new(stream.try_clone().ok()?);
        let mut output = stream;
        let head = head(&mut input)?;
        let length = head.get("content-length").and_then(|length| length.parse().ok());
        input.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        let ill = self.ill.lock().expect("no panic holds it").clone();
        let status = if !ill.is_empty() && head[""].contains(&ill) {
            503
        } else {
            200
        };
        let body = format!("{{\"size\": {}}}", self.size.load(Ordering::Relaxed));
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        output.write_all(answer.as_bytes()).ok()
    }
}

/// The scaler grows and shrinks a pool ten times, and takes a member out of service that is not healthy.
#[test]
#[ignore = "needs nginx"]
fn no_request_fails_while_the_scaler_is_at_work() {
    let (nginx, listen, port, says) = (Nginx::start(), free_port(), free_port(), Says::start());
    let at = says.port;
    let autoscale = format!(
        r#"autoscale {{
    min                 = 1
    max                 = 4
    evaluation_interval = "1s"
    check "size" {{
      strategy "webhook" {{
        url      = "http://127.0.0.1:{at}/size"
        insecure = true
      }}
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
"#
    );
    let text = fleet(&nginx, listen, port);
    let (from, to) = (
        text.find("autoscale {").expect("it scales"),
        text.find("  load_balancer").expect("it has one"),
    );
    let text = format!("{}{autoscale}{}", &text[..from], &text[to..]);
    let health = "process \"server\" {\n      command";
    let check = format!(
        "health_check {{\n      url = \"http://127.0.0.1:{at}/health/{{member}}\"\n      type = \"http\"\n      interval = \"1s\"\n      \
         unhealthy_threshold = 2\n    }}\n    {health}"
    );
    let lab = Running::new(&text.replace(health, &check));
    lab.run("apply --auto-approve").exits(0);
    let load = Clients::on(listen);
    load.more(100);
    let mut watch = lab.command("watch");
    watch
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut watch = watch.spawn().expect("it starts");
    let serving = |count: usize| {
        until(&format!("{count} are in service"), || {
            nginx.text().matches("max_fails=3").count() == count
        });
    };
    for size in [3, 1, 4, 2, 4, 1, 3, 2, 4, 1, 3] {
        says.size.store(size as u64, Ordering::Relaxed);
        serving(size);
        load.more(50);
    }
    let nodes = lab.run("nodes -o json").exits(0).json();
    let serves = |endpoint: &str| {
        let server = format!("{endpoint}:");
        let text = nginx.text();
        text.lines()
            .any(|line| line.contains(&server) && line.contains("max_fails=3"))
    };
    // One that is in service: of the members that are there, some may be on their way out.
    let nodes = nodes.as_array().into_iter().flatten();
    let mut members = nodes.filter_map(|node| {
        let member = node["address"].as_str()?.strip_prefix("pool.web/")?;
        Some((member, node["endpoint"].as_str()?))
    });
    let (member, endpoint) = members.find(|(_, endpoint)| serves(endpoint)).expect("a member");
    *says.ill.lock().expect("no panic holds it") = format!("web-{member}");
    until("it is out of service", || !serves(endpoint));
    says.ill.lock().expect("no panic holds it").clear();
    serving(3);
    let pid = rustix::process::Pid::from_raw(watch.id() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(watch.wait().expect("it ends").success());
    let count = load.end();
    eprintln!("{} requests, {} asked again", count.all(), count.asked_again);
    assert!(
        count.failed.is_empty(),
        "of {} requests failed: {:?}",
        count.all(),
        count.failed
    );
}

#[test]
#[ignore = "needs nginx"]
fn no_request_fails_because_an_apply_is_killed() {
    let (nginx, listen, port) = (Nginx::start(), free_port(), free_port());
    let lab = Running::new(&fleet(&nginx, listen, port));
    lab.run("apply --auto-approve --var size=3").exits(0);
    let load = Clients::on(listen);
    load.more(100);
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    for round in 0..8 {
        let mut apply = lab.command(&format!("apply --auto-approve --var size=3 --var version=v{round}"));
        apply
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut apply = apply.spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(random.random_range(100..2500)));
        let _ = apply.kill();
        apply.wait().expect("it ends");
    }
    lab.run("apply --auto-approve --var size=3 --var version=last --lock-timeout 120s")
        .exits(0);
    load.more(100);
    let count = load.end();
    assert!(
        count.failed.is_empty(),
        "of {} requests failed: {:?}",
        count.all(),
        count.failed
    );
    lab.run("plan --detailed-exitcode --var size=3 --var version=last")
        .exits(0);
    assert_eq!(nginx.files(), ["up.conf"], "nothing is left of what was killed");
    let servers = nginx.text().matches("max_fails=3").count();
    assert_eq!(servers, 3, "each is there once: {}", nginx.text());
}

#[test]
#[ignore = "needs nginx"]
fn what_is_planned_written_and_put_back() {
    let (nginx, ports) = (Nginx::start(), [free_port(), free_port()]);
    let lab = Running::new(&fleet(&nginx, ports[0], ports[1]));
    let told = |run: crate::lab::Run| {
        let text = without_ports(&run.to_string(), ports);
        text.replace(&nginx.conf().display().to_string(), "[conf.d]")
    };
    // How the commands of the servers are laid out depends on where this program is.
    let plan = told(lab.run("plan").exits(0));
    let created: Vec<&str> = plan
        .split("\n\n")
        .filter(|part| part.contains("pool.web/nginx"))
        .collect();
    insta::assert_snapshot!("created", created.join("\n\n"));
    lab.run("apply --auto-approve").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
    let right = nginx.text();

    std::fs::write(nginx.file(), right.replace("max_fails=3", "max_fails=3 down")).expect("written");
    insta::assert_snapshot!("servers_changed", told(lab.run("plan").exits(0)));
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(nginx.text(), right);

    std::fs::write(nginx.file(), right.replace("5s;", "50s;\n        proxy_buffering off;")).expect("written");
    insta::assert_snapshot!("upstream_changed", told(lab.run("plan").exits(0)));
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(nginx.text(), right);

    std::fs::remove_file(nginx.file()).expect("removed");
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(nginx.text().matches("max_fails=3").count(), 2);

    insta::assert_snapshot!("rolled", told(lab.run("plan --var version=two").exits(0)));
    insta::assert_snapshot!("moved", told(lab.run("plan --var listen=1").exits(0)));
}

#[test]
#[ignore = "needs nginx"]
fn who_is_not_healthy_takes_no_part() {
    let (nginx, listen, port) = (Nginx::start(), free_port(), free_port());
    let healthy = fleet(&nginx, listen, port);
    let checked = healthy.replace(
        "ready { pattern = \"listens\" }",
        "ready { pattern = \"listens\" }\n      health_check {\n        command  = [\"sh\", \"-c\", \
         \"! test -e ${abspath(path.root)}/ill-$NAME\"]\n        interval = \"1s\"\n        retries  = 1\n      }",
    );
    let lab = Running::new(&checked);
    lab.run("apply --auto-approve").exits(0);
    lab.write("ill-web-m2", "");
    until("it is seen", || {
        lab.run("plan").stdout.contains("pool.web/nginx/m2 will be deleted")
    });
    insta::assert_snapshot!(
        "ill",
        without_ports(&lab.run("plan").exits(0).to_string(), [listen, port])
    );
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(nginx.text().matches("max_fails=3").count(), 1);
    std::fs::remove_file(lab.path().join("ill-web-m2")).expect("it is there");
    until("it is seen", || {
        lab.run("plan").stdout.contains("pool.web/nginx/m2 will be created")
    });
    lab.run("apply --auto-approve").exits(0);
    assert_eq!(nginx.text().matches("max_fails=3").count(), 2);

    // Whoever never answers does not enter, and nobody leaves for that.
    let never = checked.replace(
        "http = \"/health\"",
        "http = \"http://127.0.0.1:1/\"\n      interval = \"1s\"\n      timeout = \"1s\"",
    );
    let never = never
        .replace("health_check { http", "health_check {\n      http")
        .replace("\"1s\" }", "\"1s\"\n    }");
    lab.write("fleet.hcl", &never);
    let run = lab.run("apply --auto-approve --var size=3").exits(1);
    assert!(run.stderr.contains("it is not healthy, so it does not enter"), "{run}");
    assert_eq!(nginx.text().matches("max_fails=3").count(), 2);
    lab.write("fleet.hcl", &checked);
}

#[test]
#[ignore = "needs nginx"]
fn what_nginx_refuses_stops_nobody() {
    let (mut nginx, listen, port) = (Nginx::start(), free_port(), free_port());
    let lab = Running::new(&fleet(&nginx, listen, port));
    lab.run("apply --auto-approve").exits(0);
    let right = nginx.text();
    std::fs::write(nginx.conf().join("other.conf"), "upstrem;\n").expect("written");
    let run = lab.run("apply --auto-approve --var size=1").exits(1);
    assert!(run.stderr.contains("unknown directive \"upstrem\""), "{run}");
    assert_eq!(nginx.text(), right);
    assert!(TcpStream::connect(("127.0.0.1", listen)).is_ok());
    let nodes = lab.run("nodes -o json").exits(0);
    assert_eq!(
        nodes.json().as_array().map(Vec::len),
        Some(3),
        "who could not leave is not stopped: {nodes}"
    );
    std::fs::remove_file(nginx.conf().join("other.conf")).expect("it is there");
    lab.run("apply --auto-approve --var size=1").exits(0);

    // An nginx that does not run keeps nobody from going.
    nginx.stop();
    let run = lab.run("apply --auto-approve --var size=2").exits(1);
    assert!(run.stderr.contains("was not reloaded"), "{run}");
    lab.run("destroy --auto-approve").exits(0);
    assert_eq!(nginx.files(), [""; 0]);
}

#[test]
fn mistakes() {
    let text = |inside: &str| {
        format!(
            "provider \"local\" {{}}\nprovider \"docker\" {{}}\nnode \"front\" {{}}\nnode \"far\" {{ runtime = \
             \"tcp://10.0.0.1:2375\" }}\npool \"web\" {{\n  node {{}}\n  autoscale {{\n    min = 1\n    max = 1\n  }}\n  \
             load_balancer \"nginx\" {{\n    port = 80\n    file = \"/tmp/up.conf\"\n{inside}\n  }}\n}}\n"
        )
    };
    let mut report = String::new();
    for inside in [
        "    node = node.far",
        "    node = node.front\n    fail_timeout = \"1500ms\"",
        "    node = node.front\n    reload = [\"true\"]",
        "    node = node.front\n    health_check { command = [\"true\"] }",
        "    node = pool.web",
    ] {
        let lab = Lab::new(&text(inside));
        report.push_str(&format!("{}\n", lab.run("plan")));
    }
    insta::assert_snapshot!(report);
}
