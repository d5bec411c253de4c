//! Plans as people and programs see them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::{Address, Attributes, Kind, Path, PathStep, Token, Value};
use simfleet_state::{Allocation, ProviderConfig};

use super::*;
use crate::apply::Estimate;
use crate::diagnostic::{SourceFile, Span};
use crate::plan::{
    Action, AttributeDrift, Change, Drift, DriftKind, Interrupt, Mode, OutputChange, Plan, PoolChange, Reason,
    Unfinished, Unplaced,
};
use crate::view::Theme;

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn provider(name: &str) -> Option<ProviderConfig> {
    Some(ProviderConfig {
        name: name.into(),
        settings: Attributes::new(),
    })
}

fn change(address: &str, action: Action, reason: Reason) -> Change {
    Change {
        address: at(address),
        kind: Kind::new("process"),
        action,
        reasons: vec![reason],
        before: None,
        after: None,
        replace_because: Vec::new(),
        sensitive: vec!["password".into()],
        provider_before: provider("agent"),
        provider: provider("agent"),
        wanted: None,
        depends_on: Vec::new(),
        depended_on: Vec::new(),
        hosted_on: None,
        was_hosted_on: None,
        schema_version: 1,
        moved_from: None,
        deposed: None,
        imported: None,
        prevent_destroy: false,
        create_before_destroy: false,
        drain: None,
        waits: false,
        health_check: None,
        agent: None,
        held: None,
        is_unproven: false,
        timeouts: Default::default(),
    }
}

fn plan(changes: Vec<Change>) -> Plan {
    let mut plan = Plan {
        moves: Vec::new(),
        imports: Default::default(),
        mode: Mode::Apply,
        is_partial: false,
        lineage: "0b1f6c1e-0000-4000-8000-000000000000".into(),
        serial: 7,
        changes,
        drift: Vec::new(),
        outputs: Default::default(),
        interrupts: Vec::new(),
        unfinished: Vec::new(),
        unplaced: Vec::new(),
        pools: Vec::new(),
        ports: Vec::new(),
        rolls: Vec::new(),
        unheld: Vec::new(),
        deallocated: Vec::new(),
        costs: Default::default(),
    };
    plan.changes.sort_by(|a, b| a.address.cmp(&b.address));
    plan
}

fn attributes<const N: usize>(fields: [(&str, Value); N]) -> Option<Attributes> {
    Some(fields.into_iter().collect())
}

fn text(plan: &Plan) -> String {
    view(plan, Detail::Folded, Purpose::Apply)
}

fn view(plan: &Plan, detail: Detail, purpose: Purpose) -> String {
    let view = View {
        plan,
        detail,
        purpose,
        estimate: None,
    };
    let text = view.render(Theme::Plain);
    assert!(
        text.lines().all(|line| line.trim_end() == line),
        "trailing white space:\n{text}"
    );
    text
}

fn span(line: &str) -> Option<Span> {
    let file = Arc::new(SourceFile {
        path: PathBuf::from("fleet.hcl"),
        text: format!("pool \"p\" {{}}\n\n{line}\n"),
    });
    Some(Span {
        range: 13..13 + line.len(),
        file,
    })
}

fn home(altitude: i64) -> Value {
    Value::object([
        ("altitude_m", Value::from(altitude)),
        ("latitude", 47i64.into()),
        ("longitude", 8i64.into()),
    ])
}

fn creates() -> Vec<Change> {
    let mut node = change(
        "pool.field/m1",
        Action::Create,
        Reason::Size {
            because: "2 members at least".into(),
        },
    );
    node.after = attributes([
        ("address", Value::unknown("pool.field/m1.address")),
        ("max_simulators", 4i64.into()),
        ("password", Value::from("hunter2")),
    ]);
    node.provider_before = None;
    let mut simulator = change("simulator.vehicle.quad[0]", Action::Create, Reason::New);
    simulator.hosted_on = Some(at("pool.field/m1"));
    simulator.provider_before = None;
    simulator.after = attributes([
        (
            "command",
            Value::list((0..12).map(|i| Value::string(format!("--argument={i}")))),
        ),
        (
            "env",
            Value::map([
                ("HOST", Value::unknown("pool.field/m1.address")),
                ("KEY", Value::from("k").mark(true)),
            ]),
        ),
        ("home", home(488)),
        ("script", "set -e\n\nrun \"$1\"\n".into()),
    ]);
    vec![node, simulator]
}

fn update(address: &str, to: i64) -> Change {
    let mut update = change(
        address,
        Action::Update,
        Reason::Declared {
            path: Path(vec![PathStep::Name("home".into()), PathStep::Name("altitude_m".into())]),
            span: span("  home = {}"),
        },
    );
    update.before = attributes([("home", home(488)), ("password", "old".into()), ("zone", "a".into())]);
    update.after = attributes([("home", home(to)), ("password", "new".into()), ("zone", "a".into())]);
    update
}

fn replace() -> Change {
    let mut replace = change("simulator.exec.web", Action::Replace, Reason::Provider);
    replace.reasons.push(Reason::Declared {
        path: Path::attribute("command"),
        span: None,
    });
    let command = |last: &str| Value::list(["serve", "--port", last].map(Value::from));
    replace.before = attributes([
        ("command", command("80")),
        ("pid", 12i64.into()),
        ("script", "a\nb\nc\n".into()),
    ]);
    replace.after = attributes([
        ("command", command("81")),
        ("pid", Value::unknown("simulator.exec.web.pid")),
        ("script", "a\nB\nc\n".into()),
    ]);
    replace.replace_because = vec![Path::attribute("command")];
    replace.provider_before = provider("docker");
    replace.hosted_on = Some(at("node.a"));
    replace.was_hosted_on = Some(at("node.a"));
    replace
}

fn everything() -> Plan {
    let mut delete = change("node.old", Action::Delete, Reason::NotDeclared);
    delete.before = attributes([("max_simulators", 4i64.into())]);
    delete.provider = None;
    let forget = change(
        "simulator.exec.gone",
        Action::Forget,
        Reason::Host { host: at("node.old") },
    );
    let check = change(
        "simulator.exec.away",
        Action::Check,
        Reason::Unreachable {
            reason: "its node is down".into(),
        },
    );
    let mut changes = creates();
    changes.extend([
        update("simulator.vehicle.quad[1]", 500),
        replace(),
        delete,
        forget,
        check,
    ]);
    let mut volume = change("service.db/data", Action::Delete, Reason::NotDeclared);
    volume.kind = Kind::new("volume");
    changes.push(change("node.same", Action::NoOp, Reason::New));
    changes.push(volume);
    changes[7].reasons.clear();
    let mut plan = plan(changes);
    plan.drift = vec![
        Drift {
            address: at("simulator.exec.web"),
            kind: Kind::new("process"),
            what: DriftKind::Changed(vec![
                AttributeDrift {
                    path: Path::attribute("labels"),
                    recorded: Some(Value::map([("a", Value::from("x"))])),
                    seen: Some(Value::map([("a", Value::from("y")), ("b", "z".into())])),
                },
                AttributeDrift {
                    path: Path::attribute("password"),
                    recorded: Some("old".into()),
                    seen: Some("guessed".into()),
                },
            ]),
        },
        Drift {
            address: at("simulator.vehicle.quad[0]"),
            kind: Kind::new("process"),
            what: DriftKind::Gone,
        },
        Drift {
            address: at("simulator.exec.away"),
            kind: Kind::new("process"),
            what: DriftKind::Unreachable {
                reason: "connection refused".into(),
            },
        },
    ];
    plan.outputs = [
        ("added", None, Some(Value::tuple([Value::unknown("node.a.id")])), false),
        ("kept", Some(Value::from(1i64)), Some(Value::from(1i64)), false),
        ("removed", Some(Value::from(1i64)), None, false),
        ("secret", Some(Value::from("a")), Some(Value::from("b")), true),
        (
            "vehicles",
            Some(Value::object([("quad-0", Value::from("udp://127.0.0.1:14560"))])),
            Some(Value::object([("quad-0", Value::from("udp://127.0.0.1:14561"))])),
            false,
        ),
    ]
    .into_iter()
    .map(|(name, before, after, sensitive)| {
        (
            name.to_owned(),
            OutputChange {
                before,
                after,
                sensitive,
            },
        )
    })
    .collect();
    plan.interrupts = vec![
        Interrupt {
            address: at("simulator.exec.web"),
            action: Action::Replace,
            allocation: Some(Allocation {
                by: "ann@lab".into(),
                since: Timestamp::UNIX_EPOCH,
                until: Some(Timestamp::constant(3600, 0)),
                serial: 7,
            }),
        },
        Interrupt {
            address: at("simulator.vehicle.quad[1]"),
            action: Action::Update,
            allocation: None,
        },
    ];
    plan.unfinished = vec![unfinished("node.b", false), unfinished("node.c", true)];
    plan.unplaced = vec![Unplaced {
        address: at("simulator.vehicle.quad[9]"),
        on: at("pool.field"),
        reason: "every place of pool.field is taken".into(),
    }];
    plan.pools = vec![
        PoolChange {
            address: at("pool.field"),
            before: Some(1),
            after: 2,
            is_declared: true,
            numbered: 2,
            because: "2 members at least".into(),
        },
        PoolChange {
            address: at("pool.new"),
            before: None,
            after: 3,
            is_declared: true,
            numbered: 3,
            because: "10 simulators need 3 members".into(),
        },
    ];
    plan
}

fn unfinished(address: &str, live: bool) -> Unfinished {
    Unfinished {
        address: at(address),
        action: "create",
        token: Token("0".repeat(32).into()),
        by: "ann@lab, process 4711".into(),
        live,
    }
}

#[test]
fn each_action() {
    insta::assert_snapshot!("creates", text(&plan(creates())));
    insta::assert_snapshot!("update", text(&plan(vec![update("simulator.vehicle.quad[1]", 500)])));
    insta::assert_snapshot!("replace", text(&plan(vec![replace()])));
    insta::assert_snapshot!("everything", text(&everything()));
}

#[test]
fn colours() {
    let plan = plan(vec![update("simulator.vehicle.quad[1]", 500)]);
    let view = View {
        plan: &plan,
        detail: Detail::Folded,
        purpose: Purpose::Apply,
        estimate: None,
    };
    insta::assert_snapshot!("colored", view.render(Theme::Colored).replace('\u{1b}', "␛"));
}

#[test]
fn instances_that_change_alike_are_folded() {
    let mut changes: Vec<Change> = (0..5)
        .map(|i| update(&format!("simulator.vehicle.quad[{i}]"), 500))
        .collect();
    changes[3] = update("simulator.vehicle.quad[3]", 600);
    let plan = plan(changes);
    insta::assert_snapshot!("folded", text(&plan));
    let expanded = view(&plan, Detail::Expanded, Purpose::Apply);
    assert_eq!(expanded.matches("will be updated in place").count(), 5, "{expanded}");
}

#[test]
fn nothing_to_do() {
    let nothing = plan(vec![change("node.a", Action::NoOp, Reason::New)]);
    let mut away = nothing.clone();
    away.drift = vec![Drift {
        address: at("node.a"),
        kind: Kind::new("node"),
        what: DriftKind::Unreachable {
            reason: "connection refused".into(),
        },
    }];
    let mut full = nothing.clone();
    full.unplaced = vec![Unplaced {
        address: at("simulator.exec.a"),
        on: at("node.a"),
        reason: "no node has room".into(),
    }];
    let summary = |plan, purpose| {
        view(plan, Detail::Folded, purpose)
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    for (name, plan, purpose, expected) in [
        (
            "as declared",
            &nothing,
            Purpose::Apply,
            "No changes. The fleet is as declared.",
        ),
        (
            "destroyed",
            &nothing,
            Purpose::Destroy,
            "No changes. There is nothing to destroy.",
        ),
        (
            "unreachable",
            &away,
            Purpose::Apply,
            "No changes. 1 resource cannot be reached.",
        ),
        (
            "unplaced",
            &full,
            Purpose::Apply,
            "No changes. 1 simulator without a place.",
        ),
    ] {
        assert_eq!(summary(plan, purpose), expected, "{name}");
    }
    assert_eq!(text(&nothing).lines().count(), 1);
}

#[test]
fn changes_of_other_things_than_resources() {
    let mut plan = plan(Vec::new());
    plan.outputs.insert(
        "a".to_owned(),
        OutputChange {
            before: None,
            after: Some("x".into()),
            sensitive: false,
        },
    );
    plan.unfinished = vec![unfinished("node.b", false)];
    insta::assert_snapshot!("others", text(&plan));
}

#[test]
fn json_document() {
    let mut document = json::document(&everything(), Some(Estimate::AtLeast(Duration::from_millis(4200))));
    assert_eq!(document["simfleet_version"], env!("CARGO_PKG_VERSION"));
    document["simfleet_version"] = "[version]".into();
    insta::assert_snapshot!("document", format!("{document:#}"));
}

#[test]
fn what_is_sensitive_is_nowhere() {
    let plan = everything();
    let all = text(&plan) + &json::document(&plan, None).to_string();
    for secret in ["hunter2", "\"old\"", "\"new\"", "guessed", "\"k\""] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn how_long_it_takes() {
    let plan = plan(vec![update("simulator.vehicle.quad[1]", 500)]);
    for (estimate, says) in [
        (None, "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete."),
        (
            Some(Estimate::About(Duration::from_secs(95))),
            "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete. It takes about 1 min 35 s.",
        ),
        (
            Some(Estimate::AtLeast(Duration::from_secs(5))),
            "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete. It takes at least 5.0 s.",
        ),
        (
            Some(Estimate::About(Duration::from_secs(4))),
            "Plan: 0 to create, 1 to update, 0 to replace, 0 to delete.",
        ),
    ] {
        let view = View {
            plan: &plan,
            detail: Detail::Folded,
            purpose: Purpose::Apply,
            estimate,
        };
        assert_eq!(view.summary(), says);
    }
}
