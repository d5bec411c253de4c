//! What only a file can suffer: damage, strangers, newer versions, missing rights; and what only it does: snapshots.

mod damage;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use simfleet_state::conformance::{VirtualHost, create, every_event, failed, node};
use simfleet_state::{Event, LockSet, Remains, Snapshot, SqliteStore, StateError, StateStore};
use tempfile::TempDir;

struct Bench {
    host: Arc<VirtualHost>,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Bench {
            host: Arc::default(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// With a state that has every event, and a snapshot in the middle of them.
    async fn with_every_event() -> Self {
        let bench = Bench::new();
        let locks = LockSet::exclusive(every_event().iter().flatten().flat_map(Event::addresses).cloned());
        let mut journal = bench.store().open(&bench.host.holder(1), &locks).await.expect("free");
        for group in every_event() {
            journal.append(&group).await.expect("legal");
        }
        journal.close().await.expect("open");
        bench
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::new(self.path())
            .with_host(self.host.clone())
            .with_snapshot_every(12)
    }

    async fn load(&self) -> Result<Snapshot, StateError> {
        self.store().load().await
    }

    /// Has SQLite change the file behind the store's back.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).expect("a file");
        connection.execute_batch(sql).expect(sql);
    }

    /// Opens it for writing.
    async fn open(&self) -> Result<(), StateError> {
        let journal = self
            .store()
            .open(&self.host.holder(1), &LockSet::exclusive([node("a")]))
            .await?;
        journal.close().await
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("a file")
    }
}

/// The file as it is when nothing uses it; `-journal` is empty between transactions.
fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file"))
        .map(|file| {
            (
                file.file_name().to_string_lossy().into_owned(),
                file.metadata().expect("its size").len(),
            )
        })
        .filter(|(name, size)| !(name.ends_with("-journal") && *size == 0))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_file_and_its_folder_are_made_when_it_is_first_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/.simfleet/state.db");
    let store = SqliteStore::new(&path);
    assert_eq!(store.load().await.expect("nothing"), Snapshot::default());
    assert_eq!(store.check().await.expect("nothing"), None);
    assert!(files(folder.path()).is_empty(), "to look makes nothing");
    let host = VirtualHost::default();
    store
        .open(&host.holder(1), &LockSet::default())
        .await
        .expect("free")
        .close()
        .await
        .expect("open");
    let made = files(path.parent().expect("a folder"));
    let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["state.db"]);
    for file in std::fs::read_dir(path.parent().expect("a folder")).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("a mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_make_the_file_at_once_share_one() {
    for round in 0..5 {
        let bench = Bench::new();
        let runs: Vec<_> = (0..8)
            .map(|pid| {
                let (store, holder) = (bench.store(), bench.host.holder(pid));
                tokio::spawn(async move {
                    let address = node(&format!("n{pid}"));
                    let mut journal = store.open(&holder, &LockSet::exclusive([address.clone()])).await?;
                    journal.append(&[create(&address, u64::from(pid))]).await?;
                    Ok::<_, StateError>(journal.lineage().clone())
                })
            })
            .collect();
        let mut lineages = Vec::new();
        for run in runs {
            lineages.push(run.await.expect("no panic").expect("a share"));
        }
        lineages.dedup();
        assert_eq!(lineages.len(), 1, "round {round}");
        let snapshot = bench.load().await.expect("sound");
        assert_eq!(
            (
                snapshot.state.intents.len(),
                snapshot.leases.len(),
                snapshot.state.serial
            ),
            (8, 8, 8)
        );
        assert_eq!(files(bench.folder.path()).len(), 1, "no draft is left");
    }
}

#[tokio::test]
async fn rows_that_are_not_as_they_were_written_are_found() {
    // What is after the snapshot is found by every load, what is before by a check.
    for (name, sql, by_load) in [
        (
            "the last group is missing",
            "DELETE FROM journal WHERE serial = (SELECT max(serial) FROM journal)",
            true,
        ),
        ("a group is missing", "DELETE FROM journal WHERE serial = 22", true),
        ("an old group is missing", "DELETE FROM journal WHERE serial = 3", false),
        (
            "a group is added",
            "INSERT INTO journal SELECT serial + 1, at, holder, epoch, version, events, checksum FROM journal WHERE serial = (SELECT max(serial) FROM journal)",
            true,
        ),
        (
            "an event is changed",
            "UPDATE journal SET events = replace(events, 'a test', 'a tesT') WHERE serial > 21",
            true,
        ),
        (
            "an old event is changed",
            "UPDATE journal SET events = replace(events, 'i-b', 'i-c') WHERE serial = 3",
            false,
        ),
        (
            "a time is changed",
            "UPDATE journal SET at = '2020-01-01T00:00:00Z' WHERE serial = (SELECT max(serial) FROM journal)",
            true,
        ),
        (
            "a time is none",
            "UPDATE journal SET at = 'noon' WHERE serial = (SELECT max(serial) FROM journal)",
            true,
        ),
        (
            "a checksum is cut",
            "UPDATE journal SET checksum = x'00' WHERE serial = (SELECT max(serial) FROM journal)",
            true,
        ),
        (
            "the end is put back",
            "DELETE FROM journal WHERE serial = (SELECT max(serial) FROM journal); UPDATE fleet SET serial = serial - 1",
            true,
        ),
        ("an epoch is put back", "UPDATE fleet SET epoch = 0", true),
        ("another lineage", "UPDATE fleet SET lineage = 'x'", true),
        ("no first row", "DELETE FROM fleet", true),
        ("no table", "DROP TABLE journal", true),
        (
            "a column has another name",
            "ALTER TABLE journal RENAME COLUMN at TO since",
            true,
        ),
    ] {
        let bench = Bench::with_every_event().await;
        let before = bench.load().await.expect("sound");
        bench.tamper(sql);
        let damaged = |error: StateError| matches!(error, StateError::Damaged { .. });
        assert!(damaged(bench.store().check().await.expect_err(name)), "{name}");
        match bench.load().await {
            Ok(snapshot) => assert!(!by_load && snapshot.state == before.state, "{name}"),
            Err(error) => {
                assert!(by_load, "{name}: {error:?}");
                assert!(damaged(error), "{name}");
                assert!(damaged(bench.open().await.expect_err(name)), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn locks_that_are_not_as_they_were_written_are_found() {
    let bench = Bench::new();
    let journal = bench
        .store()
        .open(&bench.host.holder(1), &LockSet::exclusive([node("a")]))
        .await
        .expect("free");
    bench.tamper("UPDATE locks SET addresses = replace(addresses, 'node.a', 'node.b')");
    assert!(matches!(bench.load().await, Err(StateError::Damaged { .. })));
    assert!(matches!(bench.open().await, Err(StateError::Damaged { .. })));
    drop(journal);
}

#[tokio::test]
async fn a_snapshot_that_is_not_as_it_was_written_is_passed_over() {
    for (name, sql) in [
        (
            "the newest is changed",
            "UPDATE snapshots SET state = replace(state, 'i-b', 'i-c') WHERE serial = (SELECT max(serial) FROM snapshots)",
        ),
        (
            "all are changed",
            "UPDATE snapshots SET state = replace(state, 'i-b', 'i-c')",
        ),
        ("they are of another version", "UPDATE snapshots SET version = 99"),
        ("they are gone", "DELETE FROM snapshots"),
    ] {
        let bench = Bench::with_every_event().await;
        let before = bench.load().await.expect("sound");
        bench.tamper(sql);
        assert_eq!(bench.load().await.expect(name), before, "{name}");
        bench.open().await.expect(name);
        assert_eq!(bench.store().check().await.is_err(), name != "they are gone", "{name}");
    }
}

#[tokio::test]
async fn a_snapshot_is_written_now_and_then_and_two_are_kept() {
    let bench = Bench::new();
    let mut journal = bench
        .store()
        .open(&bench.host.holder(1), &LockSet::exclusive([node("a")]))
        .await
        .expect("free");
    let snapshots = || -> Vec<u64> {
        let connection = Connection::open(bench.path()).expect("a file");
        let mut query = connection
            .prepare("SELECT serial FROM snapshots ORDER BY serial")
            .expect("a table");
        let rows = query.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("numbers")
    };
    for number in 1..=40 {
        journal.append(&[create(&node("a"), number)]).await.expect("legal");
        journal
            .append(&[failed(&node("a"), number, Remains::AsBefore)])
            .await
            .expect("legal");
        let due = (2 * number / 12) * 12;
        let kept: Vec<u64> = [due.saturating_sub(12), due]
            .into_iter()
            .filter(|serial| *serial > 0)
            .collect();
        assert_eq!(snapshots(), kept);
    }
    let checked = bench.store().check().await.expect("sound").expect("there");
    assert_eq!((checked.serial, checked.events), (80, 80));
}

#[tokio::test]
async fn what_is_no_state_is_refused_and_left_alone() {
    let bench = Bench::new();
    for (name, content) in [
        ("text", "node \"a\" {}\n".repeat(100).into_bytes()),
        ("a few bytes", b"SQL".to_vec()),
        ("zeroes", vec![0; 8192]),
    ] {
        std::fs::write(bench.path(), &content).expect("writable");
        let error = bench.load().await.expect_err(name);
        assert!(matches!(error, StateError::Foreign { .. }), "{name}: {error:?}");
        assert!(bench.open().await.is_err(), "{name}");
        assert_eq!(bench.bytes(), content, "{name}");
    }
    std::fs::remove_file(bench.path()).expect("a file");
    bench.tamper("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let content = bench.bytes();
    assert!(matches!(bench.load().await, Err(StateError::Foreign { .. })));
    assert!(matches!(bench.open().await, Err(StateError::Foreign { .. })));
    assert_eq!(bench.bytes(), content);
    std::fs::write(bench.path(), "").expect("writable");
    let error = bench.load().await.expect_err("an empty file");
    assert!(error.to_string().contains("is damaged: the file is empty"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let bench = Bench::with_every_event().await;
    bench.tamper("PRAGMA user_version = 2");
    for error in [
        bench.load().await.expect_err("newer"),
        bench.open().await.expect_err("newer"),
    ] {
        assert!(
            matches!(error, StateError::Newer { found: 2, known: 1, .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_one_is_an_error_that_names_it() {
    let bench = Bench::new();
    std::fs::write(bench.folder.path().join("file"), "x").expect("writable");
    std::os::unix::fs::symlink("nowhere", bench.folder.path().join("link")).expect("a link");
    std::fs::create_dir(bench.folder.path().join("folder")).expect("a folder");
    for name in ["file/state.db", "link", "folder"] {
        let store = SqliteStore::new(bench.folder.path().join(name));
        let error = store
            .open(&bench.host.holder(1), &LockSet::default())
            .await
            .expect_err(name);
        assert!(matches!(error, StateError::Unwritable { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.hint().is_some());
    }
}

/// A state that was replaced under a run, by a backup say, is not written to by it.
#[tokio::test]
async fn a_file_that_was_replaced_is_not_written_to() {
    let bench = Bench::new();
    let locks = LockSet::exclusive([node("a")]);
    let mut journal = bench.store().open(&bench.host.holder(1), &locks).await.expect("free");
    let copy = bench.folder.path().join("copy");
    std::fs::copy(bench.path(), &copy).expect("a copy");
    std::fs::rename(&copy, bench.path()).expect("in its place");
    let error = journal.append(&[create(&node("a"), 1)]).await.expect_err("replaced");
    assert!(matches!(error, StateError::Unwritable { .. }), "{error:?}");
    assert_eq!(bench.load().await.expect("sound").state.serial, 0);
}
