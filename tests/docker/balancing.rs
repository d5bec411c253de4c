//! An nginx in a container, before members in containers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::support::Fleet;
use crate::support::engine::{IMAGE, container, docker, lineage, provider};

const NGINX: &str = "simfleet-test/nginx:1";

/// Makes an image with the nginx of this machine, what busybox lacks of what is needed, and what they are linked with.
fn image() {
    let id = docker(&["create", IMAGE, "true"]);
    let programs = ["/usr/sbin/nginx", "/usr/bin/flock"];
    let linked = Command::new("ldd").args(programs).output().expect("ldd runs");
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    let is_library = |word: &&str| word.starts_with('/') && !word.ends_with(':');
    let libraries = linked.split_whitespace().filter(is_library);
    let etc = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];
    let root = tempfile::tempdir().expect("a folder");
    for file in libraries.chain(etc).chain(programs) {
        let to = root.path().join(file.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a folder");
        std::fs::copy(file, to).expect("it is there");
    }
    std::fs::create_dir_all(root.path().join("srv/conf.d")).expect("a folder");
    let conf = "error_log error.log;\npid nginx.pid;\nevents {}\nhttp {\n  access_log off;\n  client_body_temp_path body;\n  \
                proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n  \
                include conf.d/*;\n}\n";
    std::fs::write(root.path().join("srv/nginx.conf"), conf).expect("a file");
    docker(&["cp", &format!("{}/.", root.path().display()), &format!("{id}:/")]);
    docker(&["commit", &id, NGINX]);
    docker(&["rm", &id]);
}

fn declared(size: usize, word: &str) -> String {
    format!(
        r#"
{}
network "lab" {{}}

node "front" {{
  provider = docker
  image    = "{NGINX}"
  command  = ["nginx", "-p", "/srv", "-c", "/srv/nginx.conf", "-g", "daemon off;"]
  networks = [network.lab.id]
}}

pool "web" {{
  provider = docker
  node {{
    image        = "{IMAGE}"
    command      = ["sh", "-c", "mkdir -p /www; echo $MEMBER $WORD > /www/index.html; exec httpd -f -p 8080 -h /www"]
    env          = {{ MEMBER = member.name, WORD = "{word}" }}
    networks     = [network.lab.id]
    stop_grace   = "1s"
    health_check {{ http = "http://{{private_ip}}:8080/" }}
  }}
  autoscale {{
    min = {size}
    max = {size}
  }}
  load_balancer "nginx" {{
    node   = node.front
    listen = 80
    port   = 8080
    file   = "/srv/conf.d/web.conf"
    test   = ["nginx", "-p", "/srv", "-c", "/srv/nginx.conf", "-t"]
    reload = ["nginx", "-p", "/srv", "-c", "/srv/nginx.conf", "-s", "reload"]
  }}
}}

output "front" {{ value = node.front.private_ip }}
"#,
        provider()
    )
}

/// Asks nginx for a page.
fn get(front: &str) -> String {
    let mut stream = TcpStream::connect((front, 80)).expect("somebody listens");
    let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim())
        .to_owned()
}

#[test]
#[ignore = "needs a Docker engine and nginx; scripts/test starts one"]
fn an_nginx_in_a_container_spreads_requests_over_containers() {
    image();
    let fleet = Fleet::new(&declared(2, "one"));
    fleet.applied();
    let front = fleet.ok(&["output", "--raw", "front"]).out;
    let all = |word: &str| {
        let said: std::collections::BTreeSet<String> = (0..20).map(|_| get(front.trim())).collect();
        assert!(said.iter().all(|said| said.ends_with(word)), "{said:?}");
        said.len()
    };
    assert_eq!(all("one"), 2);
    fleet.write(&declared(3, "two"));
    fleet.applied();
    assert_eq!(all("two"), 3);
    fleet.write(&declared(1, "two"));
    fleet.applied();
    assert_eq!(all("two"), 1);

    // Somebody removes the container: what was in it goes with it, and is made anew.
    docker(&["rm", "-f", &container(&lineage(&fleet), "node.front")]);
    fleet.applied();
    let front = fleet.ok(&["output", "--raw", "front"]).out;
    assert_eq!(get(front.trim()), "web-m1 two");
}
