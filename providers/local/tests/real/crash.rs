//! Runs that are stopped or killed in the middle of a create.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use simfleet_provider_api::{Attributes, Found, Observed, ProviderError, ProviderType};
use simfleet_provider_local::LocalType;

use crate::harness::{Fleet, NODE, PROGRAM, create, delete, is_alive, node, pid, read, signal, token, until};

/// A run in a process of its own that has configured the provider and is about to make node `a` with `token(1)`.
fn run(fleet: &Fleet) -> Child {
    let mut run = Command::new(PROGRAM)
        .arg("create")
        .arg(fleet.folder())
        .args(["a", &token(1).to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    let output = run.stdout.as_mut().expect("is piped");
    BufReader::new(output).read_line(&mut line).expect("reads");
    assert_eq!(line, "configured\n");
    run
}

fn go_on(run: &mut Child) {
    run.stdin.as_mut().expect("is piped").write_all(b"\n").expect("writes");
}

/// Lets a run end and returns what it says.
fn end(run: Child) -> (bool, String) {
    let output = run.wait_with_output().expect("ends");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn a_create_that_arrives_after_the_destroy_makes_nothing() {
    let fleet = Fleet::new();
    let mut late = run(&fleet);
    signal(late.id(), Signal::STOP);
    go_on(&mut late);
    let provider = fleet.provider().await;
    // Another run finishes what the first one began, and then everything is destroyed.
    let made = create(provider.as_ref(), &NODE, &token(1), &node("a"))
        .await
        .expect("is made");
    delete(provider.as_ref(), &NODE, &made).await.expect("is removed");
    drop(provider);
    assert_eq!(fleet.agents(), [0u32; 0]);
    assert_eq!(fleet.data_folders(), [""; 0].map(std::path::PathBuf::from));

    signal(late.id(), Signal::CONT);
    let (made, message) = end(late);
    assert!(!made && message.contains("has been deleted since"), "{message}");
    assert_eq!(fleet.agents(), [0u32; 0]);
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn a_create_into_a_folder_that_was_removed_makes_nothing() {
    let fleet = Fleet::new();
    let mut late = run(&fleet);
    std::fs::remove_dir_all(fleet.folder()).expect("removes");
    // Even where another run has made it anew.
    let other = fleet.provider().await;
    go_on(&mut late);
    let (made, message) = end(late);
    assert!(!made && message.contains("was removed"), "{message}");
    assert_eq!(fleet.agents(), [0u32; 0]);
    drop(other);
    assert!(!fleet.folder().exists());
}

#[tokio::test]
async fn creates_of_several_processes_at_a_time_make_one_node() {
    let fleet = Fleet::new();
    let mut runs: Vec<Child> = (0..3).map(|_| run(&fleet)).collect();
    runs.iter_mut().for_each(go_on);
    for run in runs {
        let (made, message) = end(run);
        assert!(made, "{message}");
    }
    until("one agent runs", || fleet.agents().len() == 1).await;
    // It outlives who made it.
    let provider = fleet.provider().await;
    let Ok(Found::Ready(made)) = provider.find(&NODE, &token(1), &node("a")).await else {
        panic!("is not found");
    };
    delete(provider.as_ref(), &NODE, &made).await.expect("is removed");
}

/// A run that is killed or stopped at any moment of a create: the next one with the same token ends with one node, the
/// delete with none, and the stopped run, continued after that, makes nothing.
#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_leaves_nothing_that_is_not_found() {
    for (number, microseconds) in [0, 500, 1000, 2000, 4000, 7000, 11000, 16000, 30000, 60000]
        .into_iter()
        .enumerate()
    {
        for how in [Signal::KILL, Signal::STOP] {
            let case = format!("{how:?} after {microseconds} us");
            let fleet = Fleet::new();
            let mut cut = run(&fleet);
            go_on(&mut cut);
            // What is swept here is time itself.
            std::thread::sleep(std::time::Duration::from_micros(microseconds + number as u64));
            signal(cut.id(), how);
            let provider = fleet.provider().await;
            let made = create(provider.as_ref(), &NODE, &token(1), &node("a"))
                .await
                .expect(&case);
            // A second one may have been started, and is about to find out.
            until("one agent runs", || fleet.agents().len() == 1).await;
            assert_eq!(
                read(provider.as_ref(), &NODE, &made).await,
                Observed::Present(made.clone()),
                "{case}"
            );
            delete(provider.as_ref(), &NODE, &made).await.expect(&case);
            drop(provider);
            signal(cut.id(), Signal::CONT);
            let (done, message) = end(cut);
            // A run that was stopped after its create had succeeded has nothing to complain of.
            assert!(
                done || how == Signal::KILL || message.contains("deleted"),
                "{case}: {message}"
            );
            until("no agent is left", || fleet.agents().is_empty()).await;
            assert!(fleet.data_folders().is_empty(), "{case}");
            if how == Signal::STOP {
                assert!(!fleet.folder().exists(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_cannot_start_is_rejected_with_what_its_agent_said() {
    let fleet = Fleet::new();
    let mut context = fleet.context();
    context.program = "/bin/false".into();
    let provider = LocalType
        .configure(&Attributes::new(), &context)
        .await
        .expect("configures");
    let error = create(provider.as_ref(), &NODE, &token(1), &node("a"))
        .await
        .expect_err("cannot");
    assert!(matches!(error, ProviderError::Rejected { .. }), "{error:?}");
    assert!(error.to_string().contains("exit status: 1"), "{error}");
    let again = create(provider.as_ref(), &NODE, &token(1), &node("a")).await;
    assert_eq!(again, Err(error));
    assert!(fleet.data_folders().is_empty());
    drop(provider);
    assert!(!fleet.folder().exists());
    // Another attempt is another create.
    let provider = fleet.provider().await;
    let made = create(provider.as_ref(), &NODE, &token(2), &node("a"))
        .await
        .expect("is made");
    assert!(is_alive(pid(&made)));
    delete(provider.as_ref(), &NODE, &made).await.expect("is removed");
}
