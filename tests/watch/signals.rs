//! Pools that are sized by what their simulators tell: how many there are, and how fast time passes for them.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::sizes::recorded;
use crate::support::Fleet;
use crate::watcher::Watcher;

/// A vehicle that answers whoever speaks to it with a HEARTBEAT and an ATTITUDE. Time passes for it as fast as a file says.
#[test]
#[ignore = "a process of other tests"]
fn flies() {
    let variable = |name: &str| std::env::var(name).expect("the test sets it");
    let at = format!("{}:{}", variable("SIMFLEET_ADDRESS"), variable("SIMFLEET_PORT_GCS"));
    let socket = UdpSocket::bind(&at).expect("its own port");
    let file = variable("PACE");
    let (mut since_boot, mut last) = (0.0, Instant::now());
    loop {
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("it can be set");
        let station = socket.recv_from(&mut [0; 300]).map(|(_, station)| station);
        let pace: f64 = std::fs::read_to_string(&file)
            .expect("a file")
            .trim()
            .parse()
            .unwrap_or(1.0);
        since_boot += last.elapsed().as_secs_f64() * 1000.0 * pace;
        last = Instant::now();
        if let Ok(station) = station {
            let mut attitude = [0; 28];
            attitude[..4].copy_from_slice(&(since_boot as u32).to_le_bytes());
            attitude[27] = 1;
            let heartbeat = [0, 0, 0, 0, 2, 12, 0, 4, 3];
            let sent = [frame(0, 50, &heartbeat), frame(30, 39, &attitude)].concat();
            _ = socket.send_to(&sent, station);
        }
    }
}

/// Returns a frame of MAVLink 2: <https://mavlink.io/en/guide/serialization.html>.
fn frame(id: u8, extra: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xFD, payload.len() as u8, 0, 0, 0, 1, 1, id, 0, 0];
    frame.extend(payload);
    let crc = frame[1..].iter().chain([&extra]).fold(0xFFFF, |crc: u16, byte| {
        let mut low = byte ^ (crc & 0xFF) as u8;
        low ^= low << 4;
        let low = u16::from(low);
        (crc >> 8) ^ (low << 8) ^ (low << 3) ^ (low >> 4)
    });
    frame.extend(crc.to_le_bytes());
    frame
}

/// A pool of the local provider with this check, that is decided on every second.
fn pool(check: &str) -> String {
    format!(
        r#"
provider "local" {{}}
pool "field" {{
  node {{
    cpus           = 1
    memory         = "256MiB"
    max_simulators = 4
    port_range "mavlink" {{
      protocol = "udp"
      from     = 14560
      to       = 14570
    }}
  }}
  autoscale {{
    min                 = 1
    max                 = 3
    evaluation_interval = "1s"
    {check}
    behavior {{
      scale_up {{ stabilization_window = "0s" }}
      scale_down {{
        stabilization_window = "2s"
        cooldown             = "1s"
        policy {{
          type   = "percent"
          value  = 100
          period = "1s"
        }}
      }}
    }}
  }}
}}
"#
    )
}

fn vehicle(pace: &Path) -> String {
    let program = std::env::current_exe().expect("this program");
    format!(
        r#"
simulator "exec" "quad" {{
  placement = pool.field
  command   = [{program:?}, "--ignored", "--exact", "--nocapture", "signals::flies"]
  env       = {{ PACE = {pace:?} }}
  port "gcs" {{ range = "mavlink" }}
  health_check {{
    type                 = "mavlink_heartbeat"
    interval             = "2s"
    timeout              = "2s"
    unhealthy_threshold  = 1
    real_time_factor_min = 0.8
  }}
}}
"#
    )
}

fn members(fleet: &Fleet) -> usize {
    let recorded = recorded(fleet);
    recorded.iter().filter(|name| name.starts_with("pool.")).count()
}

/// Waits until as many members are recorded as there should be.
#[track_caller]
fn wait_for_members(fleet: &Fleet, expected: usize) {
    let until = Instant::now() + Duration::from_secs(120);
    while members(fleet) != expected {
        assert!(Instant::now() < until, "{:?}", recorded(fleet));
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_pool_grows_where_time_passes_too_slowly_for_its_vehicles() {
    let folder = tempfile::tempdir().expect("a folder");
    let pace = folder.path().join("pace");
    std::fs::write(&pace, "1").expect("written");
    let check = "check \"real_time_factor\" {\n window = \"3s\"\n timeout = \"5s\"\n strategy \"threshold\" {\n  upper = 0.95\n  \
                 lower = 0.8\n }\n}";
    let fleet = Fleet::new(&format!("{}{}", pool(check), vehicle(&pace)));
    fleet.applied();
    let simulator = || -> Json {
        let out = fleet.ok(&["simulators", "-o", "json"]).out;
        serde_json::from_str::<Json>(&out).expect("JSON")[0].clone()
    };
    assert_eq!(simulator()["status"], "running");

    std::fs::write(&pace, "0.5").expect("written");
    let mut watcher = Watcher::start(&fleet, &[]);
    let decided = watcher.wait_for("growth", |event| event["decision"]["desired"] == 2);
    assert_eq!(decided["decision"]["reasons"][0], "real_time_factor=2", "{decided}");
    wait_for_members(&fleet, 3);
    let until = Instant::now() + Duration::from_secs(60);
    while simulator()["status"] != "unhealthy" {
        assert!(Instant::now() < until, "{}", simulator());
        std::thread::sleep(Duration::from_millis(200));
    }
    // What it measured of the time before is part of the first factor that is too small.
    let reason = simulator()["reason"].to_string();
    let below = "less than real_time_factor_min = 0.8";
    assert!(
        reason.contains("its real-time factor is 0.") && reason.contains(below),
        "{reason}"
    );

    std::fs::write(&pace, "1").expect("written");
    wait_for_members(&fleet, 1);
    assert_eq!(simulator()["node"], "pool.field/m1", "who has a vehicle stays");
    watcher.end();
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn a_pool_has_as_many_members_as_its_simulators_need_and_empty_ones_go() {
    let check = "check \"simulators\" {\n strategy \"queue\" { target = 2 }\n}";
    let simulators = |count: usize| {
        let simulators = format!(
            "simulator \"exec\" \"sim\" {{\n  count = {count}\n  placement = pool.field\n  command = [\"sleep\", \"1000\"]\n}}\n"
        );
        format!("{}{simulators}", pool(check))
    };
    let fleet = Fleet::new(&simulators(6));
    fleet.applied();
    assert_eq!(members(&fleet), 2, "four of them have room on a member");
    let watcher = Watcher::start(&fleet, &["--follow", "--allow", "destroy"]);
    wait_for_members(&fleet, 3);
    fleet.write(&simulators(1));
    wait_for_members(&fleet, 1);
    let there = recorded(&fleet);
    assert!(there.contains(&"simulator.exec.sim[0]".to_owned()), "{there:?}");
    watcher.end();
    fleet.ok(&["destroy", "--auto-approve"]);
}
