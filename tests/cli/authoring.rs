//! init, validate, console.

use crate::lab::Lab;

#[test]
fn init_writes_a_fleet_that_is_valid() {
    let lab = Lab::empty();
    insta::assert_snapshot!("init", lab.run("init").exits(0));
    lab.run("validate").exits(0);
    let written = lab.read("fleet.hcl");
    insta::assert_snapshot!("init_again", lab.run("init").exits(1));
    insta::assert_snapshot!("init_over_a_file", lab.run("init fleet.hcl").exits(1));
    assert_eq!(lab.read("fleet.hcl"), written);
}

/// Whatever an example reads is written with it.
#[test]
fn every_example_of_init_is_valid_where_nothing_else_is() {
    let lab = Lab::empty();
    let known = lab.run("init --example nope").exits(64).stderr;
    let names = known
        .split_once("[possible values: ")
        .and_then(|(_, names)| names.split_once(']'));
    let names: Vec<&str> = names.expect("it tells them").0.split(", ").collect();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        lab.run(&format!("init {name} --example {name}")).exits(0);
        lab.run(&format!("validate {name}")).exits(0);
    }
    // A file of the user's own stays.
    lab.write("firmware", "");
    lab.run("init --example machine_server").exits(1);
    let own = Lab::empty();
    std::fs::create_dir(own.path().join("firmware")).expect("a folder");
    own.write("firmware/blinky.elf", "own");
    let wrote = own.run("init --example machine_server").exits(0).stdout;
    assert_eq!(wrote, "Wrote fleet.hcl, peripherals/lamp.repl.\n");
    assert_eq!(own.read("firmware/blinky.elf"), "own");
}

#[test]
fn init_of_another_example_elsewhere() {
    let lab = Lab::empty();
    lab.run("init lab --example tonypi").exits(0);
    assert!(lab.read("lab/fleet.hcl").contains("robot \"tonypi-01\""));
    lab.run("init lab/other.hcl").exits(0);
    assert!(lab.read("lab/other.hcl").contains("simulator \"vehicle\""));
}

const WRONG: &str = r#"
variable "size" { default = 2 }

value "a" {
  input = var.sise
  inputs = 1
}

output "b" {
  value = value.c.id
}
"#;

#[test]
fn validate_tells_every_mistake() {
    let lab = Lab::new("value \"a\" { input = 1 }\n");
    insta::assert_snapshot!("valid", lab.run("validate").exits(0));
    insta::assert_snapshot!("valid_json", lab.run("validate --json").exits(0));
    let lab = Lab::new(WRONG);
    insta::assert_snapshot!("wrong", lab.run("validate").exits(1));
    insta::assert_snapshot!("wrong_json", lab.run("validate --json").exits(1));
    let lab = Lab::new("value \"a\" {\n  input = [1, 2\n}\n");
    insta::assert_snapshot!("syntax", lab.run("validate").exits(1));
    insta::assert_snapshot!("no_fleet", Lab::empty().run("validate").exits(1));
    insta::assert_snapshot!("no_file", Lab::empty().run("validate nowhere.hcl").exits(1));
}

/// What every plan would tell is told, and what depends on values that are there later is not.
#[test]
fn validate_tells_what_no_plan_could_do() {
    let fleet = r#"
variable "size" { type = number }
node "a" {}
value "one" { count = var.size }
simulator "exec" "job" {
  count       = 3
  placement   = node.a
  command     = ["sleep", "1000"]
  working_dir = "somewhere"
}
"#;
    let lab = Lab::new(fleet);
    lab.run("validate").exits(0);
    insta::assert_snapshot!("no_provider", lab.run("validate --var size=1").exits(1));
    lab.write("fleet.hcl", &format!("provider \"local\" {{}}\n{fleet}"));
    insta::assert_snapshot!("no_plan", lab.run("validate --var size=1").exits(1));
    lab.write(
        "fleet.hcl",
        "provider \"local\" {}\nnode \"a\" {}\nvalue \"v\" { count = length(node.a.address) }\n",
    );
    lab.run("validate").exits(0);
    lab.run("plan").exits(1);
}

#[test]
fn console_evaluates_one_expression_a_line() {
    let lab = Lab::new(
        "variable \"size\" {\n  type = number\n  default = 2\n}\nlocals { names = [for i in range(var.size) : \"n${i}\"] }\n",
    );
    let input = "1 + 2\nlocal.names\n\nupper(\"a\")\nvar.sise\ntry(var.sise, 1)\n{ a = 1, b = null }\n1 +\nvar.size * 10\nexit\n1\n";
    insta::assert_snapshot!("console", lab.run_with("console", input).exits(0));
    let run = lab.run_with("console --var size=5", "var.size").exits(0);
    assert_eq!(run.stdout, "5\n", "{run}");
}

/// What an example reads of the environment.
const ENVIRONMENT: &[&str] = &[
    "AZURE_SUBSCRIPTION_ID",
    "CI_KEY_SHA256",
    "HOOK_SECRET",
    "SIMFLEET_NODE_KEY",
    "SIMFLEET_OPS_TOKEN",
    "SIMFLEET_STATE_URL",
    "SIMFLEET_VIEW_TOKEN",
    "WEBHOOK_URL",
];

/// Runs a command beside the examples, so that paths in what it tells are short on every machine.
fn beside_examples(lab: &Lab, line: &str, environment: &[&str]) -> std::process::Output {
    let mut command = lab.command(line);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.envs(environment.iter().map(|name| (name, "x")));
    command.output().expect("it runs")
}

#[test]
fn every_example_is_valid() {
    let lab = Lab::empty();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names = std::fs::read_dir(folder).expect("they are there");
    let names = names.map(|entry| entry.expect("it can be read").file_name());
    let names = names.map(|name| name.into_string().expect("it is UTF-8"));
    let mut fleets: Vec<_> = names.filter(|name| name.ends_with(".hcl")).collect();
    fleets.sort();
    assert!(fleets.len() >= 7, "{fleets:?}");
    let mut report = String::new();
    for fleet in fleets {
        // Neither variables nor the environment need to be set to check a fleet.
        let output = beside_examples(&lab, &format!("validate examples/{fleet}"), &[]);
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("it is UTF-8"));
        report.push_str(&format!("## {fleet}\n{}", told.concat()));
        assert_eq!(output.status.code(), Some(0), "{report}");
    }
    insta::assert_snapshot!("examples", report);
}

#[test]
fn a_plan_of_what_is_only_checked_is_refused() {
    let lab = Lab::empty();
    let state = lab.path().join("s.db");
    let variables = "--var influx_token=t --var pg_password=p";
    let line = format!("plan examples/tonypi.hcl {variables} --state '{}'", state.display());
    let output = beside_examples(&lab, &line, ENVIRONMENT);
    let told = String::from_utf8(output.stderr).expect("it is UTF-8");
    assert_eq!(output.status.code(), Some(1), "{told}");
    insta::assert_snapshot!("refused_tonypi", told);
    assert!(!state.exists(), "nothing was begun");
}

/// A fleet whose state is elsewhere must not be given an empty one here.
#[test]
fn a_state_in_a_database_is_not_taken_for_an_empty_one() {
    let lab = Lab::new("simfleet {\n  backend \"postgres\" { url = \"postgres://lab/fleet\" }\n}\nvalue \"a\" {}\n");
    insta::assert_snapshot!("valid_database", lab.run("validate").exits(0));
    insta::assert_snapshot!("valid_database_json", lab.run("validate --json").exits(0));
    for verb in ["plan", "state list", "status", "destroy"] {
        let run = lab.run(verb).exits(1);
        assert!(run.stderr.contains("The state is to be in PostgreSQL"), "{run}");
    }
}

/// What holds for every run in a folder lies in its `*.auto.vars.hcl`; a mistake there is told with its place, too.
#[test]
fn variables_of_a_folder() {
    let lab = Lab::new("variable \"size\" { type = number }\nvalue \"a\" { count = var.size }\n");
    lab.write("lab.auto.vars.hcl", "size = 2\n");
    assert_eq!(lab.run_with("console", "var.size").exits(0).stdout, "2\n");
    assert_eq!(lab.run_with("console --var size=3", "var.size").exits(0).stdout, "3\n");
    lab.write("z.auto.vars.hcl", "size = \"many\"\nsise = 1\n");
    insta::assert_snapshot!("automatic", lab.run("validate").exits(1));
    insta::assert_snapshot!("automatic_json", lab.run("validate --json").exits(1));
}
