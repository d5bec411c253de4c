//! What is fuzzed: each takes any bytes, and neither panics nor reads something as what it is not. Shared by the short runs
//! of the test suite and by the long ones of `fuzz/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use simfleet::config::eval::{Expr, Reference, Scope, evaluate, render};
use simfleet::config::{self, Inputs, Sources};
use simfleet::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use simfleet::fleet::with_providers;
use simfleet::plan::PlanFile;
use simfleet_provider_api::Value;
use simfleet_state::{Entry, HolderId, SqliteStore, Stamp, State, StateStore, invariants, replay, stored};

/// A target.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 5] = [
    ("config", config),
    ("expression", expression),
    ("plan_file", plan_file),
    ("state_text", state_text),
    ("state_file", state_file),
];

/// A fleet: it is loaded or refused, and what the formatter makes of it, it leaves alone.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources = Sources {
        folder: ".".into(),
        files: vec![("fleet.hcl".into(), text.to_owned())],
        variables: BTreeMap::new(),
    };
    let loaded = config::load_sources(&sources, &with_providers(&Inputs::default()));
    if let Err(problems) = &loaded {
        assert!(!problems.0.is_empty(), "it is refused for a reason");
    }
    let format = |text: &str| {
        let file = Arc::new(SourceFile {
            path: "fleet.hcl".into(),
            text: text.to_owned(),
        });
        simfleet::format::format(&file)
    };
    if let Ok(once) = format(text) {
        assert_eq!(
            format(&once).expect("it is still a fleet"),
            once,
            "to format twice is to format once"
        );
    }
}

/// Names without values.
struct Nothing;

impl Scope for Nothing {
    fn resolve(&self, _reference: &Reference) -> Result<(Value, usize), Diagnostic> {
        Ok((Value::unknown("a name"), 0))
    }

    fn folder(&self) -> &Path {
        Path::new("/nonexistent")
    }

    fn environment(&self, _name: &str) -> Option<String> {
        None
    }
}

/// An expression: it has a value, which can be shown, or an error with a place.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(parsed) = Expr::parse("fleet.hcl", text) else {
        return;
    };
    match evaluate(&parsed, &Nothing) {
        Ok(value) => drop(render(&value)),
        Err(Diagnostics(problems)) => assert!(problems.iter().all(|problem| problem.span.is_some()), "{problems:?}"),
    }
}

/// A saved plan: it is read or refused, and what is read can be used.
pub fn plan_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(file) = PlanFile::parse(text, Path::new("saved.plan")) {
        file.observations();
        // Secrets that are missing or others are an error.
        let _ = file.sources(&BTreeMap::new(), &BTreeSet::new());
    }
}

/// The text of a state, as `state push` takes it, and of events, as the journal has them: what is read is written as it
/// was, and whatever order events are in, a state that they lead to holds together.
pub fn state_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(state) = serde_json::from_str::<State>(text) {
        let _ = invariants::check(&state);
        let written = serde_json::to_string(&state).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<State>(&written).expect("it was written"), state);
    }
    let Ok(events) = stored::read(stored::VERSION, text) else {
        return;
    };
    let stamp = Stamp {
        serial: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        holder: HolderId("run".into()),
        epoch: 1,
    };
    let pushes = events.iter().any(|event| event.name() == "pushed");
    let entry = Entry { stamp, events };
    if let Ok(state) = replay(std::slice::from_ref(&entry))
        // Who pushes a state checks it before.
        && !pushes
    {
        invariants::check(&state).unwrap_or_else(|problem| panic!("{problem}: {entry:?}"));
    }
}

/// A state file with bytes changed: five bytes say where, modulo its length, and what. It is read as it was, or refused.
pub fn state_file(data: &[u8]) {
    thread_local! {
        static BENCH: (tokio::runtime::Runtime, tempfile::TempDir, Vec<u8>, State) = sound();
    }
    BENCH.with(|(runtime, folder, sound, state)| {
        let mut bytes = sound.clone();
        for edit in data.chunks_exact(5).take(64) {
            let at = u32::from_le_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize % bytes.len();
            bytes[at] ^= edit[4];
        }
        let path = folder.path().join("state.db");
        std::fs::write(&path, &bytes).expect("writable");
        let store = SqliteStore::new(&path);
        if let Ok(snapshot) = runtime.block_on(store.load()) {
            assert_eq!(snapshot.state, *state, "it is read as it was");
        }
        // A check can find more than a load.
        let _ = runtime.block_on(store.check());
        assert!(std::fs::read(&path).expect("readable") == bytes, "to look wrote to it");
    });
}

/// Makes a state with a few groups, and returns the file and what it says.
fn sound() -> (tokio::runtime::Runtime, tempfile::TempDir, Vec<u8>, State) {
    use simfleet_provider_api::Address;
    use simfleet_state::{Event, Holder, LockSet, System};
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::new(folder.path().join("state.db")).with_snapshot_every(10);
    let state = runtime.block_on(async {
        let pool = Address::new("pool", ["p"]);
        let holder = Holder::this_process("a test", &System);
        let locks = LockSet::exclusive([pool.clone()]);
        let mut journal = store.open(&holder, &locks).await.expect("free");
        for size in 1..15 {
            let event = Event::Scaled {
                address: pool.clone(),
                size,
                numbered: size,
                reason: "x".repeat(300).into(),
            };
            journal.append(&[event]).await.expect("legal");
        }
        journal.close().await.expect("open");
        store.load().await.expect("sound").state
    });
    let bytes = std::fs::read(folder.path().join("state.db")).expect("a state");
    (runtime, folder, bytes, state)
}
