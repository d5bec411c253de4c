//! Wrong usage, help, and what needs no fleet.

use std::io::Read;

use crate::lab::Lab;

#[test]
fn wrong_usage_exits_with_64() {
    let lab = Lab::new("value \"a\" { input = 1 }\n");
    for line in [
        "",
        "bogus",
        "plan --bogus",
        "plan -bogus",
        "plan --parallelism 0",
        "plan --lock-timeout soon",
        "plan --replace node",
        "plan --var name",
        "plan --fail-on luck",
        "output --raw",
        "output a --raw --json",
        "state",
        "state show nonsense-x",
        "init --example nope",
        "completions tcsh",
        "graph --format svg",
        "schema pool --markdown",
    ] {
        let run = lab.run(line).exits(64);
        assert_eq!(run.stdout, "", "{run}");
        assert!(!run.stderr.is_empty(), "{run}");
    }
}

#[test]
fn help_goes_to_standard_output() {
    let lab = Lab::empty();
    for line in [
        "--help",
        "-h",
        "-help",
        "help",
        "plan --help",
        "help apply",
        "state show -help",
    ] {
        let run = lab.run(line).exits(0);
        assert!(run.stdout.contains("Usage: simfleet"), "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
    insta::assert_snapshot!(lab.run("--help"));
}

#[test]
fn every_verb_has_examples() {
    let lab = Lab::empty();
    for verb in [
        "init",
        "validate",
        "plan",
        "apply",
        "destroy",
        "show",
        "output",
        "status",
        "simulators",
        "nodes",
        "console",
        "fmt",
        "graph",
        "schema",
        "why",
        "state",
        "agent",
        "completions",
    ] {
        let run = lab.run(&format!("{verb} --help")).exits(0);
        assert!(run.stdout.contains("Examples:\n  "), "{run}");
    }
}

#[test]
fn versions() {
    let lab = Lab::empty();
    for line in ["version", "--version", "-V", "-version"] {
        let run = lab.run(line).exits(0);
        assert!(
            run.stdout.starts_with(concat!("simfleet ", env!("CARGO_PKG_VERSION"))),
            "{run}"
        );
    }
    let json = lab.run("version --json").exits(0).json();
    assert_eq!(json["simfleet_version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn completions_for_each_shell() {
    let lab = Lab::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = lab.run(&format!("completions {shell}")).exits(0);
        assert!(run.stdout.contains("auto-approve"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = Lab::empty();
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let mut child = lab
        .command("completions bash")
        .stdout(writer)
        .spawn()
        .expect("the program starts");
    let mut start = [0; 4];
    reader.read_exact(&mut start).expect("it writes");
    drop(reader);
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("it was piped");
    pipe.read_to_string(&mut stderr).expect("it writes UTF-8");
    let status = child.wait().expect("the program ends");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_folder_that_is_not_there() {
    insta::assert_snapshot!(Lab::empty().run("-chdir=nowhere plan").exits(1));
}

#[test]
fn a_log_filter_that_is_none() {
    let lab = Lab::empty();
    let output = lab
        .command("plan")
        .env("SIMFLEET_LOG", "///")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SIMFLEET_LOG"));
}

/// What a user is told who begins at the wrong end.
#[test]
fn verbs_over_a_fleet_that_was_never_applied() {
    let lab = Lab::new("value \"a\" {}\n");
    let mut told = String::new();
    for (line, code) in [
        ("state list", 0),
        ("state history", 0),
        ("state show value.a", 1),
        ("state check", 0),
        ("output", 0),
        ("output size", 1),
        ("undo", 1),
        ("undo 999", 1),
        ("status", 0),
        ("unlock", 0),
        ("import value.a", 64),
        ("import value.b x", 1),
    ] {
        told += &format!("{}\n", lab.run(line).exits(code));
    }
    insta::assert_snapshot!(told);
}
