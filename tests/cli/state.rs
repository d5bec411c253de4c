//! state history, check, mv, rm, pull, push; undo; unlock; keys.

use std::fs;

use crate::changing::{FLEET, applied};
use crate::lab::{Lab, SECRET};

/// A fleet with a past: applied twice, moved.
fn lived() -> Lab {
    let lab = applied();
    lab.run("apply --auto-approve -var size=3").exits(0);
    lab.run("state mv value.part value.piece").exits(0);
    lab
}

#[test]
fn history() {
    let lab = lived();
    insta::assert_snapshot!("history", lab.run("state history").exits(0));
    let json = lab.run("state history --json").exits(0).json();
    let runs = json["runs"].as_array().expect("runs").clone();
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0]["command"], "simfleet apply --auto-approve");
    assert_eq!(runs[1]["command"], "simfleet apply --auto-approve --var size=…");
    assert_eq!(runs[0]["by"].as_str().expect("a name").split('@').next(), Some("ann"));
    assert_ne!(runs[0]["configuration"]["digest"], runs[1]["configuration"]["digest"]);
    assert!(runs[2]["configuration"].is_null(), "a move intends nothing new");
    let moved = &runs[2]["changes"][0];
    assert_eq!(
        (&moved["what"], &moved["address"]),
        (&"moved".into(), &"value.part[0]".into())
    );
    assert_eq!(moved["detail"], "value.piece[0]");
    insta::assert_snapshot!("history_of_nothing", Lab::new(FLEET).run("state history").exits(0));
}

#[test]
fn what_was_recorded_then() {
    let lab = lived();
    let runs = lab.run("state history --json").exits(0).json();
    let last_of_first = runs["runs"][0]["last_serial"].as_u64().expect("a serial");
    let time = runs["runs"][0]["ended"].as_str().expect("a time").to_owned();
    for at in [last_of_first.to_string(), time] {
        let run = lab.run(&format!("state list --at {at}")).exits(0);
        assert_eq!(
            run.stdout, "value.base\nvalue.part[0]\nvalue.part[1]\nvalue.secret\n",
            "{run}"
        );
        lab.run(&format!("state show --at {at} value.part[1]")).exits(0);
        let shown = lab.run(&format!("show --at {at} --json")).exits(0).json();
        assert_eq!(shown["serial"], last_of_first);
    }
    insta::assert_snapshot!("show_at", lab.run(&format!("state show --at {last_of_first}")).exits(0));
    insta::assert_snapshot!(
        "show_at_none",
        lab.run(&format!("state show --at {last_of_first} value.piece[0]"))
            .exits(1)
    );
    insta::assert_snapshot!("show_at_later", lab.run("state show --at 99").exits(1));
    insta::assert_snapshot!("show_at_never", lab.run("state show --at noon").exits(64));
    assert_eq!(lab.run("state list --at 0").exits(0).stdout, "");
}

#[test]
fn moving() {
    let lab = applied();
    insta::assert_snapshot!("moved", lab.run("state mv value.part value.piece").exits(0));
    insta::assert_snapshot!(
        "moved_one",
        lab.run("state mv . value.piece[1] value.piece[7]").exits(0)
    );
    lab.write(
        "fleet.hcl",
        &FLEET
            .replace("value \"part\"", "value \"piece\"")
            .replace("value.part[", "value.piece["),
    );
    let plan = lab.run("plan -json -var size=1").exits(0).json();
    assert_eq!(
        (&plan["summary"]["create"], &plan["summary"]["delete"]),
        (&0.into(), &1.into())
    );
    for (name, line) in [
        ("move_unknown", "state mv value.pieces value.x"),
        ("move_onto", "state mv value.base value.secret"),
        ("move_to_another_kind", "state mv value.base node.base"),
        ("move_many_to_one", "state mv value.piece value.x[0]"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(1));
    }
    lab.run("state mv value.base").exits(64);
    lab.run("state mv value.base '...'").exits(64);
}

#[test]
fn forgetting() {
    let lab = applied();
    insta::assert_snapshot!("forgot", lab.run("state rm value.part value.secret").exits(0));
    assert_eq!(lab.run("state list").exits(0).stdout, "value.base\n");
    insta::assert_snapshot!("forget_unknown", lab.run("state rm value.base value.bass").exits(1));
    assert_eq!(lab.run("state list").exits(0).stdout, "value.base\n", "all or none");
    let plan = lab.run("plan -json").exits(0).json();
    assert_eq!(plan["summary"]["create"], 3);
}

const SITES: &str = "module \"site\" {\n  source = \"./site\"\n  for_each = toset([\"eu\", \"us\"])\n}\n";

/// Two instances of a module, with two values each, of which one reads both instances of the other.
fn sites() -> Lab {
    let lab = Lab::new(SITES);
    let site = "value \"part\" {\n  count = 1\n  input = 1\n}\nvalue \"sum\" { input = value.part[*].output }\n";
    fs::create_dir(lab.path().join("site")).expect("a folder");
    lab.write("site/site.hcl", site);
    lab.run("apply --auto-approve").exits(0);
    lab
}

#[test]
fn moving_modules() {
    let lab = sites();
    insta::assert_snapshot!(
        "moved_module",
        lab.run("state mv 'module.site[\"us\"]' module.lab").exits(0)
    );
    // All instances, into a module, with their keys.
    insta::assert_snapshot!(
        "moved_modules",
        lab.run("state mv module.site module.all.module.site").exits(0)
    );
    for (name, line) in [
        ("move_module_unknown", "state mv module.labs module.x"),
        (
            "move_module_onto",
            "state mv module.lab 'module.all.module.site[\"eu\"]'",
        ),
        ("move_module_to_resource", "state mv module.lab value.x"),
        ("move_modules_to_one", "state mv module.all.module.site module.x[0]"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(1));
    }
    lab.run("state mv module.lab module").exits(64);
    lab.run("state mv . 'module.all.module.site[\"eu\"]' 'module.site[\"eu\"]'")
        .exits(0);
    lab.run("state mv . module.lab 'module.site[\"us\"]'").exits(0);
    let plan = lab.run("plan -json").exits(0).json();
    for what in ["create", "update", "replace", "delete"] {
        assert_eq!(plan["summary"][what], 0, "{what}: {plan}");
    }
}

#[test]
fn forgetting_modules() {
    let lab = sites();
    insta::assert_snapshot!("forgot_module", lab.run("state rm 'module.site[\"us\"]'").exits(0));
    insta::assert_snapshot!("forget_unknown_module", lab.run("state rm module.sites").exits(1));
    lab.run("state rm . module.site").exits(0);
    assert_eq!(lab.run("state list").exits(0).stdout, "");
}

#[test]
fn pulling_and_pushing() {
    let lab = applied();
    let pulled = lab.run("state pull").exits(0);
    assert!(!pulled.stdout.contains(SECRET), "{pulled}");
    lab.write("old.json", &pulled.stdout);
    let edited = pulled.stdout.replace("value.base", "value.root");
    lab.write("edited.json", &edited);
    insta::assert_snapshot!("pushed", lab.run("state push edited.json").exits(0));
    assert!(
        lab.run("state list")
            .exits(0)
            .stdout
            .starts_with("value.part[0]\nvalue.part[1]\nvalue.root\n")
    );
    insta::assert_snapshot!("push_older", lab.run("state push old.json").exits(1));
    lab.run_with("state push -force . -", &pulled.stdout).exits(0);
    assert!(lab.run("state list").exits(0).stdout.starts_with("value.base\n"));
    lab.run("plan --detailed-exitcode").exits(0);
    let another = applied();
    another.write("theirs.json", &pulled.stdout);
    insta::assert_snapshot!("push_of_another", another.run("state push theirs.json").exits(1));
    another.run("state push --force theirs.json").exits(1);
    lab.write("bad.json", "{\"simfleet_state\": 1}");
    insta::assert_snapshot!("push_no_state", lab.run("state push bad.json").exits(1));
    lab.run("state push missing.json").exits(1);
    lab.run("state check").exits(0);
    let nothing = Lab::new(FLEET);
    insta::assert_snapshot!("pull_nothing", nothing.run("state pull").exits(1));
}

#[test]
fn a_lost_state_is_pushed_back() {
    let lab = applied();
    let pulled = lab.run("state pull").exits(0);
    fs::remove_dir_all(lab.path().join(".simfleet")).expect("it was made");
    lab.write("kept.json", &pulled.stdout);
    lab.run("state push kept.json").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);
    assert_eq!(
        lab.run("state pull").exits(0).json()["lineage"],
        pulled.json()["lineage"]
    );
}

#[test]
fn checking() {
    let lab = applied();
    insta::assert_snapshot!("checked", lab.run("state check").exits(0));
    assert_eq!(
        lab.run("state check --json").exits(0).json()["snapshots"],
        serde_json::json!([])
    );
    insta::assert_snapshot!("checked_nothing", Lab::new(FLEET).run("state check").exits(0));
    let file = lab.path().join(".simfleet/state.db");
    let mut bytes = fs::read(&file).expect("a state");
    let needle = b"simfleet apply --auto-approve";
    let at = bytes
        .windows(needle.len())
        .rposition(|window| window == needle)
        .expect("recorded");
    bytes[at] ^= 1;
    fs::write(&file, &bytes).expect("writable");
    insta::assert_snapshot!("check_damaged", lab.run("state check").exits(1));
    for line in [
        "apply --auto-approve",
        "destroy --auto-approve",
        "state rm value.base",
        "state mv value.base value.b",
        "plan",
        "unlock",
    ] {
        let run = lab.run(line).exits(1);
        assert!(run.stderr.contains("is damaged"), "{run}");
    }
    assert!(
        fs::read(&file).expect("a state") == bytes,
        "a refused command changes nothing"
    );
}

#[test]
fn going_back() {
    let lab = applied();
    let first = lab.run("state history --json").exits(0).json()["runs"][0]["configuration"]["digest"].clone();
    lab.write("fleet.hcl", &FLEET.replace("default = 2", "default = 4"));
    lab.run("apply --auto-approve").exits(0);
    insta::assert_snapshot!("undo", lab.run("undo --auto-approve").exits(0));
    let runs = lab.run("state history --json").exits(0).json();
    let last = runs["runs"].as_array().expect("runs").last().expect("a run").clone();
    assert_eq!(
        last["configuration"]["digest"], first,
        "undo returns to the same intent"
    );
    assert_eq!(lab.run("state list").exits(0).stdout.matches("value.part").count(), 2);
    insta::assert_snapshot!("undo_is_taken_back", lab.run("undo --auto-approve").exits(0));
    assert_eq!(lab.run("state list").exits(0).stdout.matches("value.part").count(), 4);
    lab.run("undo 1 --auto-approve").exits(0);
    assert_eq!(lab.run("state list").exits(0).stdout.matches("value.part").count(), 2);
    lab.run("undo 99 --auto-approve").exits(1);
    // What is wrong with the serial comes before who could agree to it.
    let unknown = lab.run("undo 99").exits(1);
    assert!(unknown.stderr.contains("99"), "{unknown}");
    insta::assert_snapshot!("undo_nobody_to_ask", lab.run("undo").exits(64));
    lab.run("destroy --auto-approve").exits(0);
    lab.run("undo --auto-approve").exits(0);
    assert_eq!(lab.run("state list").exits(0).stdout.matches("value.part").count(), 2);
    lab.run("undo --auto-approve").exits(0);
    assert_eq!(
        lab.run("state list").exits(0).stdout,
        "",
        "back to when everything was removed"
    );
}

#[test]
fn going_back_to_nothing_is_refused() {
    insta::assert_snapshot!("undo_the_first", applied().run("undo --auto-approve").exits(1));
    Lab::new(FLEET).run("undo --auto-approve").exits(1);
}

#[test]
fn going_back_needs_the_secrets_of_that_time() {
    let lab = applied();
    lab.run("apply --auto-approve --var key=other --var size=3").exits(0);
    insta::assert_snapshot!(
        "undo_other_secret",
        lab.run("undo --auto-approve --var key=third").exits(1)
    );
    let mut command = lab.command("undo --auto-approve");
    let missing = command.env_remove("SIMFLEET_VAR_key").output().expect("it starts");
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("`key` is needed"),
        "{missing:?}"
    );
    // The environment has the first one.
    lab.run("undo --auto-approve").exits(0);
}

#[test]
fn a_new_configuration_that_changes_nothing_is_intended_all_the_same() {
    let lab = applied();
    lab.write("fleet.hcl", &format!("# A comment.\n{FLEET}"));
    lab.run("apply --auto-approve").exits(0);
    let runs = lab.run("state history --json").exits(0).json();
    let runs = runs["runs"].as_array().expect("runs").clone();
    assert_eq!(runs.len(), 2);
    assert_ne!(runs[0]["configuration"]["digest"], runs[1]["configuration"]["digest"]);
    lab.run("apply --auto-approve").exits(0);
    let again = lab.run("state history --json").exits(0).json();
    assert_eq!(
        again["runs"].as_array().map(Vec::len),
        Some(2),
        "nothing new is intended"
    );
}

/// A key as `age-keygen` makes them.
const KEY: &str = "AGE-SECRET-KEY-1A4UFM33XUZFNYEGT033SR8YADKE08FTFCLYVJMYJY6389AG0T7EQYWWEQS";

#[test]
fn with_a_key_secrets_come_back() {
    let lab = Lab::new(FLEET);
    let keyed = |line: &str, key: &str| {
        let mut command = lab.command(line);
        command.env("SIMFLEET_STATE_KEY", key).env_remove("SIMFLEET_VAR_key");
        let output = command.output().expect("it starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, text) = keyed("apply --auto-approve --var key=hunter2", KEY);
    assert_eq!(code, Some(0), "{text}");
    let bytes = fs::read(lab.path().join(".simfleet/state.db")).expect("a state");
    assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    let (code, text) = keyed("apply --auto-approve --var key=other --var size=3", KEY);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = keyed("undo --auto-approve", KEY);
    assert_eq!(code, Some(0), "the state has the secret: {text}");
    // Without the key it is a digest, and the state can still be read.
    lab.run("plan --detailed-exitcode").exits(0);
    let before = fs::read(lab.path().join(".simfleet/state.db")).expect("a state");
    let other = "AGE-SECRET-KEY-1NONSENSE";
    let (code, text) = keyed("state list", other);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("SIMFLEET_STATE_KEY: line 1 is not an age key") && !text.contains("NONSENSE"),
        "{text}"
    );
    assert!(fs::read(lab.path().join(".simfleet/state.db")).expect("a state") == before);
}
