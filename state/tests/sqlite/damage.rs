//! Damage: by bit, by length, by other files beside the state, by a disk that is full. A damaged state is never read as
//! another, and a refused one is not touched.
//!
//! The default takes some of every page, `SIMFLEET_TEST_SWEEP=all` sixteen times as many, and with `SIMFLEET_TEST_LONG=1`
//! every byte and every length is taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use simfleet_state::conformance::{create, every_event, failed, node};
use simfleet_state::{Event, LockSet, Remains, Snapshot, SqliteStore, State, StateError, StateStore};

use super::Bench;

/// Every how many cases one is taken, where that is `n` by default.
fn every(n: usize) -> usize {
    let is_set = |name| std::env::var_os(name).is_some();
    match (is_set("SIMFLEET_TEST_LONG"), is_set("SIMFLEET_TEST_SWEEP")) {
        (true, _) => 1,
        (false, true) => n.div_ceil(16),
        (false, false) => n,
    }
}

/// Reads a damaged state in every way there is. What is read must be what was recorded; where a read is refused, so is a
/// run that would write, and neither has touched the file. Returns whether a load was refused.
async fn examine(bench: &Bench, before: &Snapshot, case: &str) -> bool {
    let damaged = bench.bytes();
    let refused = match bench.load().await {
        Ok(snapshot) => {
            assert_eq!(
                (&snapshot.state, &snapshot.lineage),
                (&before.state, &before.lineage),
                "{case}"
            );
            false
        }
        Err(error) => {
            assert_tells(&error, bench, case);
            true
        }
    };
    if let Err(error) = bench.store().check().await {
        assert_tells(&error, bench, case);
    } else {
        assert!(!refused, "{case}: a check finds whatever a load finds");
    }
    if let Ok(entries) = bench.store().history(1..=u64::MAX).await {
        let serials: Vec<u64> = entries.iter().map(|entry| entry.stamp.serial).collect();
        assert_eq!(serials.first(), Some(&1), "{case}");
        assert!(serials.is_sorted(), "{case}");
    }
    assert!(bench.bytes() == damaged, "{case}: to look wrote to it");
    if refused {
        assert!(bench.open().await.is_err(), "{case}");
        assert!(bench.store().make("another").await.is_err(), "{case}");
        assert!(bench.bytes() == damaged, "{case}: a refused run wrote to it");
    }
    refused
}

/// An error names the file, and what to do about it.
fn assert_tells(error: &StateError, bench: &Bench, case: &str) {
    let expected = matches!(
        error,
        StateError::Damaged { .. }
            | StateError::Foreign { .. }
            | StateError::Newer { .. }
            | StateError::Log { .. }
            | StateError::Unreadable { .. }
            | StateError::Unwritable { .. }
    );
    assert!(expected, "{case}: {error:?}");
    assert!(error.hint().is_some(), "{case}: {error:?}");
    let name = bench.path().display().to_string();
    assert!(error.to_string().contains(&name), "{case}: {error}");
}

#[tokio::test]
async fn a_flipped_bit_never_shows_as_another_state() {
    let bench = Bench::with_every_event().await;
    let (sound, before) = (bench.bytes(), bench.load().await.expect("sound"));
    // The header of the file has what SQLite itself goes by.
    let header = (0..100).flat_map(|at| (0..8).step_by(every(8)).map(move |bit| (at, (at + bit) % 8)));
    let page = 4096;
    // The header of every page has where its cells are; the rest is taken here and there.
    let headers = (0..sound.len()).filter(|at| at % page < 12).map(|at| (at, at % 8));
    let rest = (100..sound.len()).step_by(every(197)).map(|at| (at, (at / 197) % 8));
    let flips: BTreeSet<(usize, usize)> = header.chain(headers).chain(rest).collect();
    let mut refused = 0;
    for &(at, bit) in &flips {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << bit;
        std::fs::write(bench.path(), &damaged).expect("writable");
        refused += usize::from(examine(&bench, &before, &format!("byte {at}, bit {bit}")).await);
    }
    // Free space, old groups that a snapshot covers: neither count may be small, or the test tests nothing.
    let harmless = flips.len() - refused;
    assert!(refused > 50 && harmless > 50, "{refused} refused, {harmless} harmless");
}

#[tokio::test]
async fn a_page_that_is_lost_never_shows_as_another_state() {
    let bench = Bench::with_every_event().await;
    let (sound, before) = (bench.bytes(), bench.load().await.expect("sound"));
    let pages = sound.len() / 4096;
    for page in 0..pages {
        let mut zeroes = sound.clone();
        zeroes[page * 4096..(page + 1) * 4096].fill(0);
        let mut twice = sound.clone();
        twice.copy_within(page * 4096..(page + 1) * 4096, (page + 1) % pages * 4096);
        for (damaged, how) in [(zeroes, "of zeroes"), (twice, "in another's place")] {
            std::fs::write(bench.path(), &damaged).expect("writable");
            examine(&bench, &before, &format!("page {page} {how}")).await;
        }
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    let bench = Bench::with_every_event().await;
    let (sound, before) = (bench.bytes(), bench.load().await.expect("sound"));
    let ends = [1, 15, 16, 17, 99, 100, 101, 4095, 4097, sound.len() - 1];
    for length in (0..sound.len()).step_by(every(509)).chain(ends) {
        std::fs::write(bench.path(), &sound[..length]).expect("writable");
        assert!(
            examine(&bench, &before, &format!("{length} bytes")).await,
            "{length} bytes"
        );
    }
    // What comes after the end is nobody's: the state is all there.
    for more in [1, 4096, 5000] {
        let mut longer = sound.clone();
        longer.resize(sound.len() + more, 0xAA);
        std::fs::write(bench.path(), &longer).expect("writable");
        examine(&bench, &before, &format!("{more} bytes more")).await;
    }
}

fn beside(bench: &Bench, suffix: &str) -> PathBuf {
    let mut path = bench.path().into_os_string();
    path.push(suffix);
    path.into()
}

/// A state in the middle of a transaction of several pages, as a crash leaves it: the file, half written, and the
/// rollback journal. Returns the two and the state before and after the transaction.
async fn torn() -> (Bench, Vec<u8>, Vec<u8>, [Snapshot; 2]) {
    let bench = Bench::with_every_event().await;
    let before = bench.load().await.expect("sound");
    let mut next = create(&node("torn"), 77);
    if let Event::Started {
        operation: simfleet_state::Operation::Create { declared },
        ..
    } = &mut next
    {
        declared.inputs.set("user_data", "x".repeat(40_000));
    }
    // What the group writes, by the store itself, on a copy.
    let whole = Bench::with_every_event().await;
    std::fs::copy(bench.path(), whole.path()).expect("a copy");
    let locks = LockSet::exclusive([node("torn")]);
    let mut journal = whole.store().open(&whole.host.holder(1), &locks).await.expect("free");
    journal.append(&[next]).await.expect("legal");
    journal.close().await.expect("open");
    let after = whole.load().await.expect("sound");

    // The same pages, written half: SQLite spills them into the file when its cache is small.
    let connection = Connection::open(bench.path()).expect("a file");
    connection
        .execute_batch("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; PRAGMA cache_spill = 1;")
        .expect("settings");
    connection
        .execute(
            "ATTACH DATABASE ?1 AS whole",
            [whole.path().to_str().expect("a plain path")],
        )
        .expect("a file");
    connection
        .execute_batch(
            "BEGIN IMMEDIATE; INSERT INTO main.journal SELECT * FROM whole.journal WHERE serial = (SELECT max(serial) FROM whole.journal); \
             DELETE FROM main.fleet; INSERT INTO main.fleet SELECT * FROM whole.fleet; \
             DELETE FROM main.snapshots; INSERT INTO main.snapshots SELECT * FROM whole.snapshots;",
        )
        .expect("the same rows");
    let file = bench.bytes();
    let rollback = std::fs::read(beside(&bench, "-journal")).expect("a rollback journal");
    connection.execute_batch("ROLLBACK").expect("it is open");
    drop(connection);
    assert!(rollback.len() > 1_000, "the rollback journal has pages");
    (bench, file, rollback, [before, after])
}

impl Bench {
    /// Puts files in place as a crash leaves them.
    fn crashed(&self, file: &[u8], rollback: &[u8]) {
        std::fs::write(self.path(), file).expect("writable");
        std::fs::write(beside(self, "-journal"), rollback).expect("writable");
    }
}

#[tokio::test]
async fn a_transaction_that_was_cut_off_is_rolled_back() {
    let (bench, file, rollback, [before, _]) = torn().await;
    bench.crashed(&file, &rollback);
    assert_eq!(bench.load().await.expect("sound").state, before.state);
    bench.open().await.expect("sound");
    bench.store().check().await.expect("sound");
}

/// A rollback journal that is damaged, cut off, gone or of another file leaves the state as it was before or after the
/// transaction, or refused.
#[tokio::test]
async fn a_damaged_rollback_journal_never_shows_as_another_state() {
    let (bench, file, rollback, states) = torn().await;
    let known = |case: &str, loaded: Result<Snapshot, StateError>| match loaded {
        Ok(snapshot) => {
            assert!(
                states.iter().any(|state| state.state == snapshot.state),
                "{case}: {:?}",
                snapshot.state
            );
            assert_eq!(snapshot.lineage, states[0].lineage, "{case}");
            0
        }
        Err(error) => {
            assert_tells(&error, &bench, case);
            1
        }
    };
    let mut refused = 0;
    for at in (0..rollback.len()).step_by(every(397)).chain(0..64) {
        let mut damaged = rollback.clone();
        damaged[at] ^= 1 << (at % 8);
        bench.crashed(&file, &damaged);
        refused += known(&format!("byte {at} of the rollback journal"), bench.load().await);
    }
    for length in (0..rollback.len()).step_by(every(997)) {
        bench.crashed(&file, &rollback[..length]);
        refused += known(&format!("{length} bytes of the rollback journal"), bench.load().await);
    }
    bench.crashed(&file, b"");
    std::fs::remove_file(beside(&bench, "-journal")).expect("it is there");
    refused += known("the rollback journal is gone", bench.load().await);
    bench.crashed(&file, &b"not a journal at all\n".repeat(50));
    refused += known("the rollback journal is text", bench.load().await);
    assert!(refused > 0, "some damage cannot be rolled back");
}

/// simfleet keeps no write-ahead log. One that lies beside the state is of another file, or a tool has changed the state
/// into one that needs it: SQLite would merge it into the file, and so it is refused before.
#[tokio::test]
async fn a_write_ahead_log_beside_the_state_is_refused_and_not_merged() {
    let bench = Bench::with_every_event().await;
    let before = bench.load().await.expect("sound");
    let sound = bench.bytes();
    // The log of an older copy of the same file, in which a tool has changed something.
    let copy = bench.folder.path().join("copy.db");
    std::fs::copy(bench.path(), &copy).expect("a copy");
    let connection = Connection::open(&copy).expect("a file");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; UPDATE journal SET events = '[]'; DELETE FROM snapshots;")
        .expect("writable");
    let log = std::fs::read(bench.folder.path().join("copy.db-wal")).expect("a log");
    let in_wal_mode = std::fs::read(&copy).expect("a file");
    assert!(log.len() > 4096);
    for (case, file) in [("of another file", &sound), ("of a tool", &in_wal_mode)] {
        for cut in [log.len(), log.len() / 2, 40] {
            std::fs::write(bench.path(), file).expect("writable");
            std::fs::write(beside(&bench, "-wal"), &log[..cut]).expect("writable");
            let case = format!("{cut} bytes of a log {case}");
            assert!(examine(&bench, &before, &case).await, "{case}");
            let left = std::fs::read(beside(&bench, "-wal")).expect("it is still there");
            assert!(left == log[..cut], "{case}: the log was written to");
        }
    }
    // Without the log, what is in the file is all there was: the change of the tool is found where it was checkpointed.
    drop(connection);
    std::fs::copy(&copy, bench.path()).expect("a copy");
    std::fs::remove_file(beside(&bench, "-wal")).expect("it is there");
    assert!(matches!(bench.load().await, Err(StateError::Damaged { .. })));
    // A state that a tool left in that mode, complete, is read, and goes back to the mode that it had.
    std::fs::write(bench.path(), &sound).expect("writable");
    bench.tamper("PRAGMA journal_mode = WAL");
    assert_eq!(bench.load().await.expect("complete").state, before.state);
    bench.open().await.expect("complete");
    assert_eq!(bench.bytes()[18..20], [1, 1], "a rollback journal again");
}

/// A file system of a few hundred kilobytes, where this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=320k", "simfleet-test"]).arg(at);
        let output = mount.output().ok()?;
        output.status.success().then(|| SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}", self.0.display());
        }
    }
}

/// A disk that gets full at any time loses nothing: the state is what was promised, and once there is space the same
/// events are recorded, once.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let bench = Bench::new();
    let Some(_disk) = SmallDisk::mount(bench.folder.path()) else {
        eprintln!("skipped: a full disk: this user may not mount a file system");
        return;
    };
    let ballast = bench.folder.path().join("ballast");
    let locks = LockSet::exclusive([node("a")]);
    let mut journal = bench.store().open(&bench.host.holder(1), &locks).await.expect("free");
    let (mut number, mut full) = (0, 0);
    let mut promised = 0;
    for round in 0_u64..24 {
        // What is left is a little more each time, so that the disk is full in another part of a transaction.
        fill(&ballast, (round * 1536) % 16_384);
        for _ in 0..3 {
            number += 1;
            for events in [
                [create(&node("a"), number)],
                [failed(&node("a"), number, Remains::AsBefore)],
            ] {
                let mut result = journal.append(&events).await;
                while let Err(error) = result {
                    assert!(matches!(error, StateError::Full { .. }), "round {round}: {error:?}");
                    full += 1;
                    let _ = bench.load().await.map(|snapshot| {
                        let serial = snapshot.state.serial;
                        assert!(serial == promised || serial == promised + 1, "round {round}");
                    });
                    std::fs::remove_file(&ballast).expect("it is there");
                    let found = bench.load().await.expect("there is space again").state.serial;
                    assert!(found == promised || found == promised + 1, "round {round}");
                    result = journal.append(&events).await;
                    fill(&ballast, (round * 1536) % 16_384);
                }
                promised = result.expect("it is recorded").serial;
            }
        }
        std::fs::remove_file(&ballast).expect("it is there");
        let checked = bench.store().check().await.expect("sound").expect("there");
        assert_eq!((checked.serial, checked.events), (promised, promised), "round {round}");
        assert_eq!(promised, number * 2, "round {round}: each group is recorded once");
    }
    assert!(full > 5, "the disk was full {full} times");
    journal.close().await.expect("there is space");
}

/// Takes all space of a file system but for so many bytes.
fn fill(ballast: &Path, left: u64) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).expect("a file");
    let block = [0_u8; 512];
    let mut length = 0_u64;
    while file.write_all(&block).is_ok() {
        length += 512;
    }
    file.set_len(length.saturating_sub(left)).expect("shorter");
}

/// A disk without space for a state makes none, and no draft of one.
#[tokio::test]
async fn a_full_disk_makes_no_half_a_state() {
    let bench = Bench::new();
    let Some(_disk) = SmallDisk::mount(bench.folder.path()) else {
        eprintln!("skipped: a full disk: this user may not mount a file system");
        return;
    };
    let ballast = bench.folder.path().join("ballast");
    for left in (0..32_768).step_by(4096) {
        fill(&ballast, left);
        let made = bench.open().await;
        if let Err(error) = &made {
            assert!(matches!(error, StateError::Full { .. }), "{left} bytes left: {error:?}");
            // None, or a whole one that is new.
            assert_eq!(bench.load().await.expect("sound").state, State::default());
        }
        std::fs::remove_file(&ballast).expect("it is there");
        let names: Vec<_> = std::fs::read_dir(bench.folder.path())
            .expect("a folder")
            .flatten()
            .map(|file| file.file_name())
            .collect();
        assert!(
            names.iter().all(|name| name.to_string_lossy().starts_with("state.db")),
            "{left} bytes left: {names:?}"
        );
        bench.open().await.expect("there is space");
        bench.store().check().await.expect("sound");
        for name in ["state.db", "state.db-journal"] {
            let _ = std::fs::remove_file(bench.folder.path().join(name));
        }
    }
}

/// Every event, one group at a time; between any two the state is loaded from a copy of the file that is made then.
#[tokio::test]
async fn a_copy_that_is_made_between_two_groups_is_a_state() {
    let bench = Bench::new();
    let locks = LockSet::exclusive(every_event().iter().flatten().flat_map(Event::addresses).cloned());
    let mut journal = bench.store().open(&bench.host.holder(1), &locks).await.expect("free");
    for group in every_event() {
        let serial = journal.append(&group).await.expect("legal").serial;
        let copy = bench.folder.path().join("copy.db");
        std::fs::copy(bench.path(), &copy).expect("a copy");
        let copied = SqliteStore::new(&copy).load().await.expect("sound");
        assert_eq!(copied.state.serial, serial);
        assert_eq!(copied.state, bench.load().await.expect("sound").state);
    }
}
