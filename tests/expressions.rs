//! Expressions, checked against what `terraform console` prints for them.
//!
//! `tests/expressions/cases.json` holds each expression with Terraform's answer. Where ours is another one on purpose, the
//! case says so, and why. Where there is a `terraform` on PATH, some are asked of it again;
//! `UPDATE_EXPRESSIONS=1 cargo test --test expressions` asks all and writes the answers down.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use simfleet::config::eval::{Expr, Reference, Scope, console};
use simfleet::diagnostic::Diagnostic;
use simfleet_provider_api::Value;

#[derive(Debug, Serialize, Deserialize)]
struct Case {
    expression: String,
    /// What Terraform prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// The summary of Terraform's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What we print, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expressions")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("cases.json")).expect("the cases can be read");
    serde_json::from_str(&text).expect("the cases are JSON")
}

/// A console without a fleet: no name stands for anything.
struct Console(PathBuf);

impl Scope for Console {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        Err(Diagnostic::error("Unknown reference", reference.root.to_string()))
    }

    fn folder(&self) -> &Path {
        &self.0
    }

    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

/// Returns what `console` prints, or `error`.
fn ours(expression: &str) -> String {
    let scope = Console(folder().join("files"));
    let Ok(expr) = Expr::parse("<console>", expression) else {
        return "error".to_owned();
    };
    match console(&expr, &scope) {
        Ok(text) => text,
        Err(found) => {
            for diagnostic in &found.0 {
                let span = diagnostic.span.as_ref().expect("an error of an expression says where");
                assert!(span.range.end <= span.file.text.len(), "{expression}: {diagnostic:?}");
            }
            "error".to_owned()
        }
    }
}

#[test]
fn every_expression_has_the_result_that_terraform_gives_it() {
    let cases = cases();
    assert!(cases.len() >= 500, "only {} cases", cases.len());
    let distinct: BTreeSet<_> = cases.iter().map(|case| &case.expression).collect();
    assert_eq!(distinct.len(), cases.len(), "a case is there twice");
    let mut wrong = Vec::new();
    for case in &cases {
        let terraform = case.result.as_deref().unwrap_or("error");
        let expected = case.ours.as_deref().unwrap_or(terraform);
        let found = ours(&case.expression);
        if found != expected {
            wrong.push(format!(
                "{}\n  expected: {expected}\n  found:    {found}",
                case.expression
            ));
        } else if case.ours.as_deref() == Some(terraform) {
            wrong.push(format!("{}\n  is no exception any more", case.expression));
        }
        assert_eq!(
            case.ours.is_some(),
            case.because.is_some(),
            "{}: an exception has a reason",
            case.expression
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
#[ignore = "needs terraform; scripts/test runs it where it is installed"]
fn terraform_still_gives_these_results() {
    let mut cases = cases();
    let update = std::env::var_os("UPDATE_EXPRESSIONS").is_some();
    // A process each, so that in an ordinary run every eighth has to do.
    let every = if update { 1 } else { 8 };
    let mut wrong = Vec::new();
    for case in cases.iter_mut().step_by(every) {
        let printed = terraform(&case.expression);
        let error = printed
            .split_once("Error: ")
            .map(|(_, rest)| rest.lines().next().unwrap_or("").trim().to_owned());
        let result = error.is_none().then(|| printed.trim_end_matches('\n').to_owned());
        if (&result, &error) != (&case.result, &case.error) {
            wrong.push(format!("{}: {printed}", case.expression));
            (case.result, case.error) = (result, error);
        }
    }
    if update {
        let text = serde_json::to_string_pretty(&cases).expect("cases are JSON");
        fs::write(folder().join("cases.json"), text + "\n").expect("the cases can be written");
    }
    assert!(
        update || wrong.is_empty(),
        "terraform prints something else:\n{}",
        wrong.join("\n")
    );
}

fn terraform(expression: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let files = self::folder().join("files");
    // Terraform finds the files by relative paths; its own files stay out of ours.
    for name in ["hello.txt", "list.tftpl", "nested.tftpl", "sub/deep.txt"] {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().expect("it has a parent")).expect("a folder");
        fs::copy(files.join(name), to).expect("a copy");
    }
    if expression.contains('\n') {
        let file = format!("locals {{\n  it = {expression}\n}}\n");
        fs::write(folder.path().join("main.tf"), file).expect("a file");
    }
    let config = folder.path().join("terraformrc");
    fs::write(&config, "").expect("a file");
    let mut child = Command::new("terraform")
        .arg("console")
        .current_dir(folder.path())
        .env("TF_CLI_CONFIG_FILE", config)
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("terraform runs");
    let mut stdin = child.stdin.take().expect("it has an input");
    // The console reads one line, so one of several stands in a file.
    let asked = if expression.contains('\n') {
        "local.it"
    } else {
        expression
    };
    writeln!(stdin, "{asked}").expect("terraform reads");
    drop(stdin);
    let output = child.wait_with_output().expect("terraform ends");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    plain(&text)
}

/// Takes colours and the frame of messages out.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => drop(chars.by_ref().find(|char| *char == 'm')),
            char => out.push(char),
        }
    }
    out
}
