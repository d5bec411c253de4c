//! Where the values of variables come from, and what they must be.

use std::fs;
use std::path::{Path, PathBuf};

use simfleet_provider_api::Value;

use super::super::{Inputs, Setting, load};
use super::{inputs, load_text, render, snapshot};

/// What is set, in the order of precedence.
#[derive(Default)]
struct Set<'a> {
    environment: &'a [(&'a str, &'a str)],
    automatic: &'a [(&'a str, &'a str)],
    files: &'a [(&'a str, &'a str)],
    vars: &'a [(&'a str, &'a str)],
}

/// Loads a folder with a fleet and files of variables; returns the value of `var.v`, or what is told.
fn value(fleet: &str, set: &Set<'_>) -> Result<(Value, String), String> {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("fleet.hcl"), fleet).expect("writable");
    for (name, text) in set.automatic.iter().chain(set.files) {
        fs::write(at(name), text).expect("writable");
    }
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let files = set.files.iter().map(|(name, _)| Setting::File(at(name)));
    let vars = set
        .vars
        .iter()
        .map(|(name, text)| Setting::Text((*name).to_owned(), (*text).to_owned()));
    let inputs = Inputs {
        settings: files.chain(vars).collect(),
        environment: set.environment.iter().map(owned).collect(),
        ..inputs()
    };
    match load(folder.path(), &inputs) {
        Ok((config, warnings)) => Ok((config.variables["v"].value.clone(), render(&warnings, folder.path()))),
        Err(found) => Err(render(&found, folder.path())),
    }
}

const STRING: &str = "variable \"v\" {\n  type    = string\n  default = \"default\"\n}\n";

#[test]
fn what_comes_later_wins() {
    let environment: &[_] = &[("SIMFLEET_VAR_v", "environment"), ("SIMFLEET_VAR_other", "ignored")];
    let automatic: &[_] = &[("a.auto.vars.hcl", "v = \"a\""), ("b.auto.vars.hcl", "v = \"b\"")];
    let files: &[_] = &[("x.vars.hcl", "v = \"x\""), ("y.txt", "v = \"y\"")];
    let vars: &[_] = &[("v", "first"), ("v", "second")];
    for (case, set, expected) in [
        ("nothing", Set::default(), "default"),
        (
            "environment",
            Set {
                environment,
                ..Set::default()
            },
            "environment",
        ),
        (
            "automatic files",
            Set {
                environment,
                automatic,
                ..Set::default()
            },
            "b",
        ),
        (
            "files",
            Set {
                environment,
                automatic,
                files,
                ..Set::default()
            },
            "y",
        ),
        (
            "--var",
            Set {
                environment,
                automatic,
                files,
                vars,
            },
            "second",
        ),
    ] {
        assert_eq!(
            value(STRING, &set),
            Ok((Value::from(expected), String::new())),
            "{case}"
        );
    }
}

#[test]
fn texts_become_values_of_the_type() {
    for (ty, text, expected) in [
        ("string", "[1]", Ok("\"[1]\"")),
        ("number", "3", Ok("3")),
        ("bool", "true", Ok("true")),
        ("list(number)", "[1, 2]", Ok("list[1, 2]")),
        ("map(string)", "{ a = 1 }", Ok("map{\"a\": \"1\"}")),
        ("set(string)", "[\"b\", \"a\", \"b\"]", Ok("set[\"a\", \"b\"]")),
        ("any", "{ a = [true] }", Ok("{\"a\": [true]}")),
        ("tuple([string, number])", "[1, \"2\"]", Ok("[\"1\", 2]")),
        (
            "object({ a = number, b = optional(string, \"x\") })",
            "{ a = 1 }",
            Ok("{\"a\": 1, \"b\": \"x\"}"),
        ),
        (
            "object({ a = number, b = optional(string) })",
            "{ a = 1, c = 2 }",
            Ok("{\"a\": 1, \"b\": null}"),
        ),
        (
            "list(object({ a = optional(object({ n = optional(number, 7) }), {}) }))",
            "[{}, { a = { n = 1 } }]",
            Ok("list[{\"a\": {\"n\": 7}}, {\"a\": {\"n\": 1}}]"),
        ),
        ("number", "three", Err("does not fit its type, number")),
        ("list(number)", "[1", Err("Syntax error")),
        (
            "list(number)",
            "[\"x\"]",
            Err("does not fit its type, list(number): [0]"),
        ),
        ("list(number)", "[var.v]", Err("`var` cannot be used here")),
        ("object({ a = number })", "{}", Err("attribute \"a\" is required")),
    ] {
        let fleet = format!("variable \"v\" {{ type = {ty} }}");
        let set = Set {
            vars: &[("v", text)],
            ..Set::default()
        };
        match (value(&fleet, &set), expected) {
            (Ok((value, _)), Ok(expected)) => assert_eq!(format!("{value:?}"), expected, "{ty} {text}"),
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{ty} {text}: {told}"),
            (got, expected) => panic!("{ty} {text}: {got:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn mistakes_in_setting_variables() {
    let required = "variable \"v\" { type = number }";
    let mut report = String::new();
    for (case, fleet, set) in [
        ("required and not set", required, Set::default()),
        (
            "--var of no variable",
            STRING,
            Set {
                vars: &[("w", "1")],
                ..Set::default()
            },
        ),
        (
            "--var far from any",
            STRING,
            Set {
                vars: &[("something", "1")],
                ..Set::default()
            },
        ),
        (
            "a file with an unknown name",
            STRING,
            Set {
                files: &[("x.vars.hcl", "w = 1")],
                ..Set::default()
            },
        ),
        (
            "a file with a block",
            STRING,
            Set {
                files: &[("x.vars.hcl", "variable \"v\" {}")],
                ..Set::default()
            },
        ),
        (
            "a file with a mistake",
            STRING,
            Set {
                files: &[("x.vars.hcl", "v = ")],
                ..Set::default()
            },
        ),
        (
            "a file with another type",
            required,
            Set {
                automatic: &[("x.auto.vars.hcl", "v = []")],
                ..Set::default()
            },
        ),
        (
            "a file with a reference",
            required,
            Set {
                files: &[("x.vars.hcl", "v = local.x")],
                ..Set::default()
            },
        ),
        (
            "null for what must not be",
            "variable \"v\" {\n  type = number\n  nullable = false\n}",
            Set {
                files: &[("x.vars.hcl", "v = null")],
                ..Set::default()
            },
        ),
        (
            "a secret is not told",
            "variable \"v\" {\n  type = number\n  sensitive = true\n}",
            Set {
                vars: &[("v", "hunter2")],
                ..Set::default()
            },
        ),
        (
            "a secret with a mistake is not told",
            "variable \"v\" {\n  type = list(number)\n  sensitive = true\n}",
            Set {
                vars: &[("v", "[hunter2")],
                ..Set::default()
            },
        ),
        (
            "a secret in a file is not told",
            "variable \"v\" {\n  type = number\n  sensitive = true\n}",
            Set {
                files: &[("x.vars.hcl", "v = \"hunter2\"")],
                ..Set::default()
            },
        ),
        (
            "several validations",
            "variable \"v\" {\n  default = 5\n  validation {\n    condition = var.v < 3\n    error_message = \"Too many: ${var.v}.\"\n  }\n  validation {\n    condition = var.v % 2 == 0\n    error_message = \"Not even.\"\n  }\n}",
            Set::default(),
        ),
    ] {
        let told = match value(fleet, &set) {
            Ok((value, warnings)) => format!("{value:?}\n{warnings}"),
            Err(told) => told,
        };
        report.push_str(&format!("## {case}\n{told}\n"));
    }
    snapshot!(report);
}

#[test]
fn a_file_of_variables_that_is_missing_is_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    fs::write(folder.path().join("fleet.hcl"), STRING).expect("writable");
    let inputs = Inputs {
        settings: vec![Setting::File(PathBuf::from("no/such.vars.hcl"))],
        ..inputs()
    };
    let found = load(folder.path(), &inputs).expect_err("the file is missing");
    assert_eq!(found.0[0].detail, "There is no file or folder `no/such.vars.hcl`.");
}

#[test]
fn what_a_broken_file_of_variables_would_have_set_is_not_told_to_be_missing() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let file = folder.path().join("v.json");
    fs::write(folder.path().join("fleet.hcl"), "variable \"v\" {}\n").expect("writable");
    fs::write(&file, "{\"v\": 1}").expect("writable");
    for (path, told) in [
        (file, "Syntax error"),
        (folder.path().join("none.vars.hcl"), "File not found"),
    ] {
        let inputs = Inputs {
            settings: vec![Setting::File(path)],
            ..inputs()
        };
        let found = load(folder.path(), &inputs).expect_err("the file is broken");
        let summaries: Vec<_> = found.0.iter().map(|diagnostic| &*diagnostic.summary).collect();
        assert_eq!(summaries, [told]);
    }
}

#[test]
fn of_settings_the_later_one_wins_whatever_its_kind() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let file = folder.path().join("x.vars.hcl");
    fs::write(folder.path().join("fleet.hcl"), STRING).expect("writable");
    fs::write(&file, "v = \"file\"\n").expect("writable");
    let text = Setting::Text("v".to_owned(), "text".to_owned());
    let file = Setting::File(file);
    for (settings, expected) in [([text.clone(), file.clone()], "file"), ([file, text], "text")] {
        let settings = settings.to_vec();
        let (config, _) = load(folder.path(), &Inputs { settings, ..inputs() }).expect("valid");
        assert_eq!(config.variables["v"].value.as_str(), Some(expected));
    }
}

#[test]
fn sensitive_values_stay_sensitive() {
    let text = "variable \"v\" {\n  default = 1\n  sensitive = true\n}\nlocals { l = \"${var.v}!\" }\n";
    let (config, _) = load_text(text).expect("valid");
    assert!(config.variables["v"].value.is_sensitive());
    assert!(config.locals["l"].value.as_ref().is_some_and(Value::is_sensitive));
}

#[test]
fn a_secret_cannot_be_a_count() {
    let text = "variable \"v\" {\n  default = 2\n  sensitive = true\n}\nvalue \"a\" { count = var.v }\n";
    let found = load_text(text).expect_err("a mistake");
    assert_eq!(found.0[0].summary, "Sensitive value");
}

#[test]
fn every_type_that_is_none_is_told() {
    let mut report = String::new();
    for ty in [
        "strng",
        "list",
        "object",
        "tuple",
        "map(",
        "list(strin)",
        "list(string, number)",
        "object({ a = strin, b = lst(any) })",
        "object([])",
        "tuple(string)",
        "optional(string)",
        "object({ a = optional(number, \"x\") })",
        "\"string\"",
        "7",
        "foo(string)",
    ] {
        let told = match load_text(&format!("variable \"v\" {{\n  type = {ty}\n  default = null\n}}\n")) {
            Ok(_) => panic!("{ty} is no type"),
            Err(found) => render(&found, Path::new("nowhere")),
        };
        report.push_str(&told);
        report.push('\n');
    }
    snapshot!(report);
}

#[test]
fn automatic_files_lie_beside_a_fleet_of_one_file_too() {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let path: &Path = &folder.path().join("fleet.hcl");
    fs::write(path, STRING).expect("writable");
    fs::write(
        folder.path().join("x.auto.vars.hcl"),
        "v = \"auto\"\nof_another_fleet = 1\n",
    )
    .expect("writable");
    let (config, warnings) = load(path, &inputs()).expect("valid");
    assert_eq!(config.variables["v"].value, Value::from("auto"));
    assert_eq!(warnings.0, []);
}
