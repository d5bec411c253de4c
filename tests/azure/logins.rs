//! Agents behind logins that go wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use simfleet_provider_agent::identity::ProcessIdentity;

use crate::cloud::{Cloud, IMAGE, KEY};
use crate::lab::Lab;
use crate::support::{Ended, Fleet, every};

/// A login that a server refuses, as it does at random where it has many.
const REFUSED: &str = "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255";
/// One that ends after so long, or in the middle of the first answer.
const CUT_OFF: &str = "[ $((n % 16)) = 0 ] || exec timeout -s KILL 0.0$((n % 10)) $dial\n\
     $dial | { dd bs=1 count=90 2>/dev/null; kill $$; }";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}: not within 30 s and more");
}

fn text(cloud: &Cloud, simulators: u32) -> String {
    let provider = cloud.provider();
    let sha256 = "ab".repeat(32);
    format!(
        r#"{provider}
network "sim" {{
  provider = azure
  cidr     = "10.0.0.0/16"
  subnet "benches" {{ cidr = "10.0.1.0/24" }}
}}
node "bench" {{
  provider = azure
  size     = "Standard_B2ms"
  image    = "{IMAGE}"
  subnet   = network.sim.subnet.benches.id
  ssh {{ public_key = "{KEY}" }}
  bootstrap {{
    agent_url    = "https://files.example/simfleet"
    agent_sha256 = "{sha256}"
  }}
  health_check {{
    type         = "agent"
    interval     = "1s"
    start_period = "1m"
  }}
}}
simulator "exec" "job" {{
  count     = {simulators}
  placement = node.bench
  command   = ["sh", "-c", "echo begun; exec sleep 1000"]
}}
"#
    )
}

/// Returns the names that the agent should have.
fn jobs(count: u32) -> Vec<String> {
    let mut names: Vec<String> = (0..count).map(|it| format!("simulator.exec.job%5B{it}%5D")).collect();
    names.sort();
    names
}

#[test]
fn what_runs_there_is_made_looked_at_and_deleted() {
    let lab = Lab::start();
    let fleet = Fleet::new(&text(&lab.cloud, 3));
    lab.applied(&fleet);
    assert_eq!(lab.there(), jobs(3));
    let status: Value = serde_json::from_str(&lab.cloud.ok(&fleet, &["status", "-o", "json"]).out).expect("JSON");
    assert_eq!(status["simulators"].as_array().map(Vec::len), Some(3), "{status:#}");
    assert_eq!(
        (&status["simulators"][2]["status"], &status["open"]),
        (&json!("running"), &json!([]))
    );
    lab.cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(lab.cloud.names(), Vec::<String>::new());
}

/// A server that has many logins at once refuses some of them, at random.
#[test]
fn logins_that_are_refused_at_random_are_tried_again() {
    let lab = Lab::start();
    lab.ssh(&format!("[ $((n % 3)) = 0 ] || exec $dial; {REFUSED}"));
    let fleet = Fleet::new(&text(&lab.cloud, 12));
    lab.applied(&fleet);
    assert_eq!(lab.there(), jobs(12));
    lab.cloud.ok(&fleet, &["destroy", "--auto-approve"]);
}

/// A login that ends in the middle of an answer leaves open what it did.
#[test]
fn logins_that_are_cut_off_make_nothing_twice() {
    let lab = Lab::start();
    lab.ssh(&format!("[ $((n % 3)) = 0 ] || exec $dial; {CUT_OFF}"));
    let fleet = Fleet::new(&text(&lab.cloud, 12));
    lab.applied(&fleet);
    assert_eq!(lab.there(), jobs(12));
    assert_eq!(lab.running(), 12);
    lab.cloud.ok(&fleet, &["destroy", "--auto-approve"]);
}

/// An agent that ends while it makes something, and is started anew, makes it once.
#[test]
fn an_agent_that_is_started_anew_meanwhile_makes_nothing_twice() {
    let lab = Lab::start();
    let fleet = Fleet::new(&text(&lab.cloud, 12));
    let mut run = fleet.command(&["apply", "--auto-approve"]);
    run.envs(lab.cloud.environment.iter().map(|(name, text)| (*name, text)));
    let mut run = run.spawn().expect("it runs");
    let mut killed = 0;
    while run.try_wait().expect("it can be asked").is_none() {
        if !lab.agents().is_empty() && !lab.there().is_empty() && killed < 4 {
            lab.kill_agents();
            killed += 1;
            std::thread::sleep(std::time::Duration::from_millis(700));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let ended = Ended::from(run.wait_with_output().expect("it ended"));
    assert_eq!(ended.code, Some(0), "{killed}: {}{}", ended.out, ended.err);
    lab.applied(&fleet);
    assert_eq!(lab.there(), jobs(12));
    assert_eq!(lab.running(), 12);
}

/// Who stops a run at a terminal stops all that it has started too; a login that makes something goes on to its end.
#[test]
fn a_run_that_is_stopped_at_a_terminal_ends_what_it_has_begun() {
    let lab = Lab::start();
    let fleet = Fleet::new(&text(&lab.cloud, 0));
    lab.applied(&fleet);
    lab.ssh("sleep 2; exec $dial");
    fleet.write(&text(&lab.cloud, 4));
    let before = lab.lines("logins").len();
    let mut run = fleet.command(&["apply", "--auto-approve", "--parallelism", "2"]);
    run.envs(lab.cloud.environment.iter().map(|(name, text)| (*name, text)));
    let run = run.process_group(0).spawn().expect("it runs");
    until("something is being made", || lab.lines("logins").len() > before + 3);
    let group = i32::try_from(run.id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process_group(group.expect("it is one"), rustix::process::Signal::INT).expect("it is there");
    let ended = Ended::from(run.wait_with_output().expect("it ended"));
    assert_eq!(ended.code, Some(130), "{}\n{}", ended.out, ended.err);
    assert!(!ended.err.contains("failed"), "{}\n{}", ended.out, ended.err);
    lab.ssh("exec $dial");
    lab.applied(&fleet);
    assert_eq!(lab.there(), jobs(4));
}

/// A run that is killed leaves no login behind, and the next one goes on.
#[test]
fn a_run_that_is_killed_leaves_no_login_behind() {
    let lab = Lab::start();
    let fleet = Fleet::new(&text(&lab.cloud, 8));
    let mut run = fleet.command(&["apply", "--auto-approve"]);
    run.envs(lab.cloud.environment.iter().map(|(name, text)| (*name, text)));
    let mut run = run.stdout(Stdio::null()).spawn().expect("it runs");
    until("something is being made", || {
        !lab.agents().is_empty() && lab.there().len() > 1
    });
    run.kill().expect("it is killed");
    run.wait().expect("it ended");
    until("no login is left", || lab.logged_in().is_empty());
    lab.applied(&fleet);
    assert_eq!((lab.there(), lab.running()), (jobs(8), 8));
}

/// Who follows a log, and goes, is not waited for over there.
#[test]
fn a_log_that_is_followed_ends_with_who_follows_it() {
    let lab = Lab::start();
    let fleet = Fleet::new(&text(&lab.cloud, 1));
    lab.applied(&fleet);
    let followed = || {
        let mut run = fleet.command(&["simulator logs", "simulator.exec.job[0]", "--follow"]);
        run.envs(lab.cloud.environment.iter().map(|(name, text)| (*name, text)));
        let mut run = run.spawn().expect("it runs");
        let mut begun = [0; 5];
        std::io::Read::read_exact(&mut run.stdout.as_mut().expect("it is piped"), &mut begun).expect("it is written");
        assert_eq!(&begun, b"begun");
        assert_eq!(lab.logged_in().len(), 1);
        run
    };
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let mut run = followed();
        ProcessIdentity::of(run.id())
            .expect("it runs")
            .signal(signal)
            .expect("it is there");
        run.wait().expect("it ended");
        until("no login is left", || lab.logged_in().is_empty());
    }
    // An agent that ends in the middle of it is told of.
    let run = followed();
    lab.kill_agents();
    let ended = Ended::from(run.wait_with_output().expect("it ended"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("no answer from the agent of azureuser@"),
        "{}",
        ended.err
    );
}

/// What runs on a machine goes with it: it is forgotten, whether its agent can still be asked or not, and made on the new one.
#[test]
fn what_ran_on_a_machine_goes_with_it() {
    let lab = Lab::start();
    let cloud = &lab.cloud;
    let machine = || {
        let ids = cloud.ids("bench").into_iter();
        let mut ids = ids.filter(|it| it.contains("/virtualMachines/"));
        ids.next().expect("it is there")
    };
    let fleet = Fleet::new(&text(cloud, 2));
    lab.applied(&fleet);
    // Another program, another machine.
    let replaced = [
        "replace node.bench",
        "replace simulator.exec.job[0]",
        "replace simulator.exec.job[1]",
    ];
    let other = text(cloud, 2).replace("abab", "cdcd");
    fleet.write(&other);
    assert_eq!(cloud.planned(&fleet), replaced);
    lab.applied(&fleet);
    assert_eq!((lab.there(), lab.agents().len()), (jobs(2), 2));
    fleet.write(&other.replace("cdcd", "CDCD"));
    assert_eq!(cloud.planned(&fleet), Vec::<String>::new(), "it is the same program");

    cloud.az("DELETE", &machine(), "2024-07-01", &json!({}));
    until("it is gone", || {
        cloud.ids("bench").iter().all(|it| !it.contains("/virtualMachines/"))
    });
    lab.applied(&fleet);
    assert_eq!((lab.there(), lab.agents().len()), (jobs(2), 3));

    cloud.az("POST", &format!("{}/deallocate", machine()), "2024-07-01", &json!({}));
    lab.ssh("echo \"ssh: connect to host $host port 22: Connection timed out\" >&2; exit 255");
    let status = cloud.ok(&fleet, &["status"]).out;
    assert!(
        status.contains("deallocated") && status.contains("port 22: Connection timed out"),
        "{status}"
    );
    cloud.ok(&fleet, &["destroy", "--auto-approve"]);
    assert_eq!(cloud.names(), Vec::<String>::new());
}

/// Where a program is fetched from can let whoever knows it fetch it.
#[test]
fn where_the_program_is_fetched_from_can_be_a_secret() {
    const SECRET: &str = "hush5f2c91";
    let lab = Lab::start();
    let declared = "variable \"url\" {\n  type      = string\n  sensitive = true\n}\n";
    let fleet = text(&lab.cloud, 1).replace("\"https://files.example/simfleet\"", "var.url");
    let url = format!("https://files.example/simfleet?sig={SECRET}");
    let fleet = Fleet::new(&format!("{declared}{fleet}")).with_environment([("SIMFLEET_VAR_url", &*url)]);
    lab.applied(&fleet);
    let told = std::fs::read_to_string(lab.agents().pop().expect("a machine").with_file_name("custom-data"));
    assert!(told.expect("it was told").contains(SECRET));
    for verb in [
        &["show", "--json"][..],
        &["plan", "--replace", "node.bench"],
        &["plan", "--replace", "node.bench", "--json"],
    ] {
        let ended = lab.cloud.ok(&fleet, verb);
        assert!(!ended.out.contains(SECRET) && !ended.err.contains(SECRET), "{verb:?}");
    }
    let found = std::process::Command::new("grep")
        .args(["-rl", SECRET])
        .arg(fleet.path())
        .output();
    assert_eq!(String::from_utf8_lossy(&found.expect("grep runs").stdout), "");
}

/// The console of a machine is a connection that goes both ways, and its program is a large request.
#[test]
#[ignore = "needs QEMU and assemblers; scripts/test installs them"]
fn a_console_is_read_and_typed_at_until_it_is_left() {
    let lab = Lab::start();
    let machine = "program \"count\" { path = \"arm.elf\" }\nsimulator \"qemu\" \"arm\" {\n  placement = node.bench\n  binary    = \"qemu-system-arm\"\n  machine   = \"lm3s6965evb\"\n  cpu       = \"cortex-m3\"\n  program   = program.count\n  console \"uart0\" {}\n}\n";
    let fleet = Fleet::new(&(text(&lab.cloud, 0) + machine));
    let at = |name: &str| fleet.path().join(name).display().to_string();
    std::fs::write(at("arm.s"), include_str!("../qemu/firmware/arm.s")).expect("a file");
    for words in [
        &["arm-none-eabi-as", "-o", &at("arm.o"), &at("arm.s")][..],
        &[
            "arm-none-eabi-ld",
            "-Ttext=0",
            "-e",
            "0",
            "-o",
            &at("arm.elf"),
            &at("arm.o"),
        ],
    ] {
        let made = std::process::Command::new(words[0]).args(&words[1..]).status();
        assert!(made.expect("it runs").success(), "{words:?}");
    }
    // No pipe holds that.
    let mut program = std::fs::read(at("arm.elf")).expect("it is made");
    program.resize(8 << 20, 0);
    std::fs::write(at("arm.elf"), program).expect("a file");
    lab.applied(&fleet);

    for leaves in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let mut run = fleet.command(&["simulator console", "simulator.qemu.arm"]);
        run.envs(lab.cloud.environment.iter().map(|(name, text)| (*name, text)));
        let mut run = run.stdin(Stdio::piped()).spawn().expect("it runs");
        let mut typed = run.stdin.take().expect("a pipe");
        let mut shown = BufReader::new(run.stdout.take().expect("a pipe")).lines();
        shown.next().expect("a line").expect("text");
        typed.write_all(b"x").expect("it is typed");
        let answer = shown.map_while(Result::ok).find(|line| line.starts_with('<'));
        assert_eq!(answer.as_deref(), Some("<x>"));
        assert_eq!(lab.logged_in().len(), 1);
        ProcessIdentity::of(run.id())
            .expect("it runs")
            .signal(leaves)
            .expect("it is there");
        run.wait().expect("it ended");
        until("no login is left", || lab.logged_in().is_empty());
    }
    lab.cloud.ok(&fleet, &["destroy", "--auto-approve"]);
}

/// Wherever a run is killed, and though logins are refused and cut off, nothing is made twice and nothing is left behind.
#[cfg(feature = "fake")]
#[test]
fn killed_at_every_write_what_runs_there_is_made_once() {
    use crate::support::crash::sweep;

    let labs: Mutex<BTreeMap<PathBuf, Arc<Lab>>> = Mutex::default();
    let of = |fleet: &Fleet| labs.lock().expect("no test panicked with it")[fleet.path()].clone();
    let fleet = || {
        let lab = Lab::start();
        lab.ssh(&format!(
            "[ $((n % 4)) = 0 ] || exec $dial; [ $((n % 8)) = 0 ] || {{ {REFUSED}; }}; {CUT_OFF}"
        ));
        let environment = lab.cloud.environment.iter().map(|(name, text)| (*name, text.as_str()));
        let fleet = Fleet::new(&text(&lab.cloud, 3)).with_environment(environment);
        let mut labs = labs.lock().expect("no test panicked with it");
        labs.retain(|folder, _| folder.exists());
        labs.insert(fleet.path().to_owned(), Arc::new(lab));
        fleet
    };
    let check = |fleet: &Fleet, applied: bool, case: &str| {
        let lab = of(fleet);
        if applied {
            assert_eq!((lab.there(), lab.running()), (jobs(3), 3), "{case}");
        } else {
            assert_eq!(lab.cloud.names(), Vec::<String>::new(), "{case}");
        }
    };
    sweep(every(40), &check, &fleet, &|_| ());
}
