//! Every verb is in a transcript: those that no other test shows are here.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::lab::Lab;
use crate::running::Running;

/// A pool that grows once it is watched, and a simulator.
const FLEET: &str = r#"
provider "local" {}
pool "web" {
  node { max_simulators = 1 }
  autoscale {
    min = 1
    max = 2
    check "free_slots" {
      strategy "buffer" { min_ready = 1 }
    }
  }
}
simulator "exec" "job" {
  placement = pool.web
  command   = ["sleep", "1000"]
}
"#;

#[test]
fn what_happened() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!("events_of_nothing", lab.run("events").exits(0));
    insta::assert_snapshot!(
        "history_of_a_pool_that_was_never_sized",
        lab.run("pool history web").exits(0)
    );
    insta::assert_snapshot!("watch_once", lab.run("watch --once").exits(0));
    insta::assert_snapshot!("history_of_a_pool", lab.run("pool history web").exits(0));
    // Its one member has all the simulators that it may have, so another one is free.
    assert_eq!(
        lab.run("nodes -o json").exits(0).json().as_array().map(Vec::len),
        Some(2)
    );
    insta::assert_snapshot!("history_of_no_pool", lab.run("pool history wbe").exits(1));
    insta::assert_snapshot!("events_of_the_pool", lab.run("events --event pool.*").exits(0));
    insta::assert_snapshot!("audit_of_nothing", lab.run("audit").exits(0));
    lab.run("simulator stop simulator.exec.job").exits(0);
    insta::assert_snapshot!("audit", lab.run("audit").exits(0));
}

#[test]
fn what_a_process_has_not() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!(
        "console_of_a_process",
        lab.run("simulator console simulator.exec.job").exits(1)
    );
    insta::assert_snapshot!(
        "snapshots_of_a_process",
        lab.run("simulator snapshots simulator.exec.job").exits(1)
    );
}

#[test]
fn who_may_ask() {
    let lab = Lab::new("value \"v\" {}\n");
    insta::assert_snapshot!("no_tokens", lab.run("token list").exits(0));
    insta::assert_snapshot!(
        "token_before_the_first_apply",
        lab.run("token create ops --role viewer").exits(1)
    );
    lab.run("apply --auto-approve").exits(0);
    lab.run("token create ops --role operator").exits(0);
    insta::assert_snapshot!("tokens", lab.run("token list").exits(0));
    insta::assert_snapshot!("token_revoked", lab.run("token revoke ops").exits(0));
    insta::assert_snapshot!("token_unknown", lab.run("token revoke ops").exits(1));
}

#[test]
fn an_agent_is_reached_through_its_folder() {
    let lab = Running::new(FLEET);
    lab.run("apply --auto-approve").exits(0);
    let shown = lab.run("show --json").exits(0).json();
    let mut resources = shown["resources"].as_array().expect("a list").iter();
    let node = resources.find(|it| it["kind"] == "node").expect("it has a member");
    let folder = node["attributes"]["data_dir"].as_str().expect("a text");
    let mut dial = Command::new(env!("CARGO_BIN_EXE_simfleet"))
        .args(["agent", "dial", "--data", folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut output = BufReader::new(dial.stdout.take().expect("it is piped"));
    let mut greeting = String::new();
    while greeting.trim().is_empty() {
        output.read_line(&mut greeting).expect("a line");
    }
    let token = greeting.trim().strip_prefix("simfleet-agent ").expect("a greeting");
    let mut input = dial.stdin.take().expect("it is piped");
    let request = format!(
        "GET /v1/simulators HTTP/1.1\r\nhost: agent\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    input.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    output.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("simulator.exec.job"),
        "{answer}"
    );
    // The agent has ended the connection, and nobody waits for more to be sent.
    assert!(dial.wait().expect("it ends").success());
    drop(input);
}

#[test]
fn what_needs_no_fleet() {
    let lab = Lab::empty();
    insta::assert_snapshot!("agent_of_nothing", lab.run("agent").exits(64));
    insta::assert_snapshot!(
        "agent_for_everybody",
        lab.run("agent --listen 0.0.0.0:8443 --data .").exits(1)
    );
    insta::assert_snapshot!("dial_of_nobody", lab.run("agent dial --data nowhere").exits(1));
    insta::assert_snapshot!(
        "dial_and_listen",
        lab.run("agent --listen 127.0.0.1:0 --data . dial").exits(64)
    );
    insta::assert_snapshot!("version", lab.run("version").exits(0));
    insta::assert_snapshot!("completions_for_no_shell", lab.run("completions tcsh").exits(64));
    let bash = lab.run("completions bash").exits(0).stdout;
    assert!(bash.contains("complete -F _simfleet"), "{bash}");
}

#[test]
fn a_trace_that_cannot_be_rehearsed() {
    let lab = Lab::new(FLEET);
    lab.write("load.csv", "time,busy\nnoon,1\n");
    insta::assert_snapshot!("rehearse", lab.run("rehearse --trace load.csv --pool web").exits(1));
}

/// Returns the verbs under one, as its help lists them.
fn verbs(lab: &Lab, of: &str) -> Vec<String> {
    let help = lab.run(&format!("{of} --help")).exits(0).stdout;
    let Some((_, listed)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let verb = Regex::new("(?m)^  ([a-z]+) ").expect("a pattern");
    let listed = listed.split("\n\n").next().unwrap_or_default();
    let names = verb.captures_iter(listed).map(|found| found[1].to_owned());
    names.filter(|name| name != "help").collect()
}

/// The transcripts of a folder and those below.
fn transcripts(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            transcripts(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "snap") {
            *text += &std::fs::read_to_string(&path).expect("it can be read");
        }
    }
}

#[test]
fn every_verb_is_shown() {
    let lab = Lab::empty();
    let mut shown = String::new();
    transcripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut shown);
    let all = verbs(&lab, "");
    assert!(all.len() > 25, "{all:?}");
    let mut missing: Vec<String> = Vec::new();
    for verb in all {
        let inner = verbs(&lab, &verb);
        let lines = match inner.is_empty() {
            true => vec![verb],
            false => inner.iter().map(|inner| format!("{verb} {inner}")).collect(),
        };
        missing.extend(
            lines
                .into_iter()
                .filter(|line| !shown.contains(&format!("$ simfleet {line}"))),
        );
    }
    assert!(missing.is_empty(), "no transcript shows {missing:?}");
}
