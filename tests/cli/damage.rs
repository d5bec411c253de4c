//! States that cannot be used: what every verb says of them, and that none touches them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::changing::applied;
use crate::lab::Lab;

/// Every verb that reads the state. Those before the first that cannot do without it say the same of it.
const VERBS: [&str; 16] = [
    "plan",
    "apply --auto-approve",
    "destroy --auto-approve",
    "undo --auto-approve",
    "show",
    "output",
    "status",
    "nodes",
    "simulators",
    "unlock",
    "state list",
    "state pull",
    "state history",
    "state check",
    "state rm value.base",
    "state mv value.base value.b",
];

fn state_of(lab: &Lab) -> PathBuf {
    lab.path().join(".simfleet/state.db")
}

/// A folder or a file with everything that is in it.
fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    match fs::read_dir(path) {
        Err(_) => vec![(path.to_owned(), fs::read(path).unwrap_or_default())],
        Ok(entries) => {
            let mut all: Vec<_> = entries.flatten().flat_map(|entry| content(&entry.path())).collect();
            all.sort();
            all
        }
    }
}

/// Damages a state that has seen something.
type Damage = fn(&Path);

#[test]
fn a_state_that_cannot_be_used_is_told_by_every_verb_and_left_alone() {
    let damages: [(&str, Damage); 8] = [
        ("an empty file", |state| fs::write(state, "").expect("writable")),
        ("a text file", |state| {
            fs::write(state, "node \"a\" {}\n".repeat(100)).expect("writable")
        }),
        ("a folder", |state| {
            fs::remove_file(state).expect("it is there");
            fs::create_dir(state).expect("a folder");
        }),
        ("a database of another program", |state| {
            fs::remove_file(state).expect("it is there");
            let database = Connection::open(state).expect("a file");
            database.execute_batch("CREATE TABLE t (a)").expect("writable");
        }),
        ("a newer format", |state| {
            let database = Connection::open(state).expect("a file");
            database.execute_batch("PRAGMA user_version = 9").expect("writable");
        }),
        ("half a file", |state| {
            let whole = fs::read(state).expect("it is there");
            fs::write(state, &whole[..whole.len() / 2]).expect("writable");
        }),
        ("a write-ahead log beside it", |state| {
            fs::write(state.with_extension("db-wal"), "a log").expect("writable");
        }),
        ("a link to nothing", |state| {
            fs::remove_file(state).expect("it is there");
            std::os::unix::fs::symlink("nowhere", state).expect("a link");
        }),
    ];
    for (case, damage) in damages {
        let lab = applied();
        let state = state_of(&lab);
        damage(&state);
        let before = content(&lab.path().join(".simfleet"));
        insta::assert_snapshot!(
            format!("damage_{}", case.replace([' ', '-'], "_")),
            lab.run("plan").exits(1)
        );
        let told = lab.run("plan").stderr;
        for verb in VERBS {
            let run = lab.run(verb);
            assert_eq!(run.code, Some(1), "{case}: {run}");
            assert!(run.stderr.contains("state.db"), "{case}: {run}");
            assert!(run.stderr.contains("hint: "), "{case}: {run}");
            if matches!(verb, "state list" | "status" | "show") {
                assert_eq!(run.stderr, told, "{case}: every verb says the same");
            }
        }
        assert!(
            content(&lab.path().join(".simfleet")) == before,
            "{case}: a refused command wrote"
        );
    }
}

/// A person who deletes `state.db` by mistake, or restores another one: nothing is made a second time.
#[test]
fn a_lost_state_is_asked_for_and_nothing_is_made_twice() {
    let lab = applied();
    let state = state_of(&lab);
    let kept = fs::read(&state).expect("a state");
    lab.write("pulled.json", &lab.run("state pull").exits(0).stdout);
    fs::remove_file(&state).expect("it is there");
    insta::assert_snapshot!("lost", lab.run("apply --auto-approve").exits(1));
    for verb in VERBS.iter().filter(|verb| **verb != "unlock") {
        let run = lab.run(verb).exits(1);
        assert!(run.stderr.contains("error: The state is missing"), "{run}");
        assert!(!state.exists(), "{verb} made a new state");
    }

    // A copy brings it back, and so does what was pulled.
    fs::write(&state, &kept).expect("writable");
    lab.run("plan --detailed-exitcode").exits(0);
    fs::remove_file(&state).expect("it is there");
    lab.run("state push pulled.json").exits(0);
    lab.run("plan --detailed-exitcode").exits(0);

    // The state of another fleet in its place.
    let other = applied();
    fs::copy(state_of(&other), &state).expect("a copy");
    let run = lab.run("apply --auto-approve").exits(1);
    insta::assert_snapshot!("another_state", run);
    other.write("pulled.json", &other.run("state pull").exits(0).stdout);
    fs::remove_file(&state).expect("it is there");
    fs::copy(other.path().join("pulled.json"), lab.path().join("theirs.json")).expect("a copy");
    let run = lab.run("state push theirs.json").exits(1);
    assert!(run.stderr.contains("error: Another lineage"), "{run}");
    assert!(!state.exists());

    // Once nothing is recorded any more, nobody asks for it.
    fs::write(&state, &kept).expect("writable");
    lab.run("destroy --auto-approve").exits(0);
    assert!(!state.with_extension("d").exists(), "nothing is left beside it");
    fs::remove_file(&state).expect("it is there");
    lab.run("apply --auto-approve").exits(0);
}

/// Where a state cannot be written, it can still be read, and nothing is begun.
#[test]
fn a_state_that_cannot_be_written_is_read_and_nothing_is_begun() {
    let lab = applied();
    let states = lab.path().join(".simfleet");
    let user = Unprivileged::of(&lab);
    let Some(user) = user else {
        eprintln!("skipped: a state that may not be written: there is no user to whom that can be forbidden");
        return;
    };
    for (case, folder, file) in [
        ("a file that may not be written", 0o777, 0o444),
        ("a folder that may not be written", 0o555, 0o666),
        ("a file that may not be read", 0o777, 0o000),
        ("a folder that may not be entered", 0o000, 0o666),
    ] {
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        // Where SQLite's own file is there and may be written, it needs no more than that.
        let _ = fs::remove_file(state_of(&lab).with_extension("db-journal"));
        set(&state_of(&lab), file);
        set(&states, folder);
        let reads = file == 0o444 || folder == 0o555;
        let plan = user.run(&lab, "plan --detailed-exitcode");
        let apply = user.run(&lab, "apply --auto-approve --var size=3");
        set(&states, 0o777);
        set(&state_of(&lab), 0o666);
        assert_eq!(plan.0, Some(if reads { 0 } else { 1 }), "{case}: {}", plan.1);
        assert_eq!(apply.0, Some(1), "{case}: {}", apply.1);
        let name = format!("unwritable_{}", case.replace(' ', "_"));
        insta::assert_snapshot!(name, apply.1.trim_start());
        assert_eq!(
            lab.run("state list").exits(0).stdout.matches("value.part").count(),
            2,
            "{case}"
        );
    }
    let run = user.run(&lab, "apply --auto-approve --var size=3");
    assert_eq!(run.0, Some(0), "the cause is gone: {}", run.1);
}

/// A user who may be forbidden something; root may not.
struct Unprivileged {
    id: Option<u32>,
    program: PathBuf,
}

impl Unprivileged {
    fn of(lab: &Lab) -> Option<Self> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_simfleet"));
        if !rustix::process::getuid().is_root() {
            return Some(Unprivileged { id: None, program });
        }
        // Where the program was built may be closed to others, so a copy of it lies beside the fleet.
        let copy = lab.path().join("simfleet-of-all");
        fs::copy(&program, &copy).ok()?;
        for (path, mode) in [(lab.path(), 0o777), (&copy, 0o755)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).ok()?;
        }
        let user = Unprivileged {
            id: Some(65_534),
            program: copy,
        };
        user.command(lab, "--version").status().ok()?.success().then_some(user)
    }

    fn command(&self, lab: &Lab, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split_whitespace()).current_dir(lab.path());
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command.env("SIMFLEET_VAR_key", crate::lab::SECRET);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs a command; returns its exit code and what it said.
    fn run(&self, lab: &Lab, line: &str) -> (Option<i32>, String) {
        let output = self
            .command(lab, line)
            .stderr(Stdio::piped())
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr).replace(&*lab.path().to_string_lossy(), "[folder]");
        (output.status.code(), text)
    }
}
