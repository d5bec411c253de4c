//! Processes that die, or stop and wake up late. Each test runs this program again as the process that it is about.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_state::conformance::{create, failed, made, node};
use simfleet_state::{
    Holder, Host, Journal, LEASE, Liveness, LockSet, Process, Remains, SqliteStore, StateError, StateStore, System,
};

/// The path of the state, for the process that is started.
const PATH: &str = "SIMFLEET_TEST_STATE";

/// A process that writes to a journal. It is ended with the test.
struct Writer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Writer {
    fn start(test: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Writer { child, input, output }
    }

    /// Returns the next line that starts with `word`, without it; the harness writes lines too.
    fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).expect("text"),
                0,
                "it ended without `{word}`"
            );
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Reads what it still wrote before it ended.
    fn last(&mut self, word: &str) -> Option<String> {
        let lines = (&mut self.output).lines().map_while(Result::ok);
        let with_word = lines.filter_map(|line| line.split_once(word).map(|(_, rest)| rest.trim().to_owned()));
        with_word.last()
    }

    fn tell(&mut self) {
        self.input.write_all(b"go\n").expect("it listens");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This machine, some time later.
#[derive(Debug)]
struct Later(Duration);

impl Host for Later {
    fn now(&self) -> Timestamp {
        System.now() + self.0
    }

    fn liveness(&self, process: &Process) -> Liveness {
        System.liveness(process)
    }

    fn random(&self) -> [u8; 16] {
        System.random()
    }
}

async fn open(path: &Path) -> Box<dyn Journal> {
    let holder = Holder::this_process("a test", &System);
    let store = SqliteStore::new(path).with_snapshot_every(10);
    store
        .open(&holder, &LockSet::exclusive([node("a")]))
        .await
        .expect("free")
}

fn state() -> PathBuf {
    std::env::var_os(PATH).expect("it is run by another test").into()
}

#[ignore = "a process of `a_writer_that_is_killed_loses_and_damages_nothing`"]
#[tokio::test]
async fn writes_on_and_on() {
    let mut journal = open(&state()).await;
    let mut number = journal.epoch() * 1_000_000;
    loop {
        number += 1;
        for events in [
            [create(&node("a"), number)],
            [failed(&node("a"), number, Remains::AsBefore)],
        ] {
            let stamp = journal.append(&events).await.expect("legal");
            println!("recorded {}", stamp.serial);
        }
    }
}

#[tokio::test]
async fn a_writer_that_is_killed_loses_and_damages_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let rounds = 12;
    let mut last = 0;
    for round in 0..rounds {
        let mut writer = Writer::start("writes_on_and_on", &path);
        // It is killed somewhere in what comes after a different number of groups each time.
        for _ in 0..=(round * 7) % 25 {
            last = writer.line("recorded ").parse().expect("a serial");
        }
        writer.child.kill().expect("it runs");
        writer.child.wait().expect("it ends");
        last = writer
            .last("recorded ")
            .map_or(last, |serial| serial.parse().expect("a serial"));

        let store = SqliteStore::new(&path);
        let snapshot = store.load().await.expect("sound");
        let found = snapshot.state.serial;
        assert!(
            found == last || found == last + 1,
            "round {round}: {last} were promised, {found} are there"
        );
        let checked = store.check().await.expect("sound").expect("there");
        assert_eq!(checked.serial, found, "round {round}");

        // Its locks fall at once, and what it had begun is ended with its token.
        let mut journal = open(&path).await;
        if let Some(intent) = snapshot.state.intents.get(&node("a")) {
            let number = u64::from_str_radix(&intent.token.0, 16).expect("a number");
            journal
                .append(&[failed(&node("a"), number, Remains::AsBefore)])
                .await
                .expect("its token");
        }
        assert!(
            store.load().await.expect("sound").state.intents.is_empty(),
            "round {round}"
        );
        journal.close().await.expect("open");
    }
}

#[ignore = "a process of `a_writer_that_wakes_up_late_is_fenced`"]
#[tokio::test]
async fn writes_when_it_is_told() {
    let mut journal = open(&state()).await;
    journal.append(&[create(&node("a"), 1)]).await.expect("legal");
    println!("started");
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    match journal.append(&[made(&node("a"), 1, "late", 1)]).await {
        Err(StateError::Fenced { .. }) => println!("result fenced"),
        other => println!("result {other:?}"),
    }
}

#[tokio::test]
async fn a_writer_that_wakes_up_late_is_fenced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let mut writer = Writer::start("writes_when_it_is_told", &path);
    writer.line("started");
    writer.signal(rustix::process::Signal::STOP);

    let locks = LockSet::exclusive([node("a")]);
    let holder = Holder::this_process("a test", &System);
    let soon = SqliteStore::new(&path).with_host(Arc::new(Later(LEASE / 2)));
    let error = soon
        .open(&holder, &locks)
        .await
        .expect_err("it is alive, and its lease is not over");
    assert!(
        matches!(&error, StateError::Locked(by) if by.by[0].0.process.as_ref().is_some_and(|p| p.pid == writer.child.id()))
    );

    let later = SqliteStore::new(&path).with_host(Arc::new(Later(LEASE * 2)));
    let mut journal = later.open(&holder, &locks).await.expect("its lease is over");
    journal
        .append(&[made(&node("a"), 1, "followed", 1)])
        .await
        .expect("the token of the stopped one");

    writer.tell();
    writer.signal(rustix::process::Signal::CONT);
    assert_eq!(writer.line("result "), "fenced");
    let state = later.load().await.expect("sound").state;
    assert_eq!(&*state.resources[&node("a")].object.id.0, "followed");
    assert_eq!(state.serial, 2);
}
