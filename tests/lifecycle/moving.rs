//! `moved` blocks, and blocks that get or lose a `count`: the same objects with other addresses.

use std::fs;
use std::time::Duration;

use serde_json::json;
use simfleet::fleet::FleetError;
use simfleet::plan::{Mode, Plan};

use crate::support::bench::{Bench, Lab, changes};

#[tokio::test]
async fn what_moved_is_the_same_object_with_another_address() {
    let text = |node: &str, pool: &str, job: &str, more: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"{node}\" {{}}\npool \"{pool}\" {{\n  node {{\n    max_simulators = 4\n    port_range \"any\" {{\n      \
             from = 100\n      to = 110\n    }}\n  }}\n  autoscale {{\n    min = 1\n    max = 2\n  }}\n}}\nsimulator \"exec\" \"{job}\" {{\n  \
             count = 2\n  placement = pool.{pool}\n  command = [\"true\"]\n  port \"main\" {{ range = \"any\" }}\n}}\n{more}"
        )
    };
    let moved = "moved {\n  from = node.a\n  to = node.b\n}\nmoved {\n  from = node.b\n  to = node.c\n}\nmoved {\n  from = pool.p\n  to = pool.q\n}\n\
                 moved {\n  from = simulator.exec.job\n  to = simulator.exec.work\n}\n";
    let lab = Lab::new(&text("a", "p", "job", ""));
    let ids = || {
        let mut ids: Vec<String> = lab.cloud.objects().iter().map(|object| object.id.clone()).collect();
        ids.sort();
        ids
    };
    lab.complete(Mode::Apply).await;
    let before = ids();
    lab.bench.write(&text("c", "q", "work", moved));
    let plan = lab.complete(Mode::Apply).await;
    assert_eq!(changes(&plan), [""; 0], "nothing is made or deleted");
    assert_eq!(
        moves(&plan),
        [
            "node.a -> node.c",
            "pool.p -> pool.q",
            "pool.p/m1 -> pool.q/m1",
            "simulator.exec.job[0] -> simulator.exec.work[0]",
            "simulator.exec.job[1] -> simulator.exec.work[1]"
        ]
    );
    assert!(!plan.is_empty(), "it is to be agreed to");
    assert_eq!(ids(), before);
    let again = lab.complete(Mode::Apply).await;
    assert!(again.is_empty(), "{again:?}");

    // The old address can be used again beside it, though the object has the name that was made of that.
    lab.bench.write(&text("c", "q", "work", "node \"a\" {}\n"));
    assert_eq!(changes(&lab.complete(Mode::Apply).await), ["create node.a"]);
    let mut names: Vec<String> = lab
        .cloud
        .objects()
        .iter()
        .filter_map(|it| it.fields["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), lab.cloud.objects().len(), "{names:?}");
    assert!(lab.complete(Mode::Apply).await.is_empty());
}

#[tokio::test]
async fn a_block_that_gets_a_count_keeps_its_object() {
    let text = |count: &str| {
        format!("provider \"fake\" {{}}\nnode \"a\" {{ {count} }}\nvalue \"all\" {{ input = node.a[*].id }}\n")
    };
    let bench = Bench::new(&text(""));
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    bench.write(&text("count = 2"));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["create node.a[1]", "update value.all"]);
    assert_eq!(
        (plan.moves[0].from.to_string(), plan.moves[0].to.to_string()),
        ("node.a".into(), "node.a[0]".into())
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    bench.write(&text(""));
    assert_eq!(
        changes(&bench.plan(Mode::Apply, &[]).await),
        ["delete node.a[1]", "update value.all"]
    );
    assert!(bench.apply(Mode::Apply, &[]).await.is_complete());
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
    assert!(bench.apply(Mode::Destroy, &[]).await.is_complete());
}

/// Where both addresses have an object, neither takes the place of the other.
#[tokio::test]
async fn what_is_to_move_where_something_is_stays_and_goes() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\nnode \"b\" {}\n");
    lab.complete(Mode::Apply).await;
    let kept = lab.state().await.resources[&"node.b".parse().expect("an address")]
        .object
        .id
        .clone();
    lab.bench
        .write("provider \"fake\" {}\nnode \"b\" {}\nmoved {\n  from = node.a\n  to = node.b\n}\n");
    assert_eq!(changes(&lab.complete(Mode::Apply).await), ["delete node.a"]);
    let left: Vec<String> = lab.cloud.objects().into_iter().map(|object| object.id).collect();
    assert_eq!(left, [kept.to_string()]);
}

/// An object that an earlier run is changing, and nobody finished that, stays where it is found.
#[tokio::test(start_paused = true)]
async fn what_is_in_flight_does_not_move() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\n");
    lab.complete(Mode::Apply).await;
    lab.bench
        .write("provider \"fake\" {}\nnode \"a\" { size = \"large\" }\n");
    lab.set_rules(&json!([{ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } }]));
    let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    lab.bench
        .write("provider \"fake\" {}\nnode \"b\" {}\nmoved {\n  from = node.a\n  to = node.b\n}\n");
    match lab.open(Mode::Apply).plan().await {
        Err(FleetError::Diagnostics(problems)) => assert_eq!(problems.0[0].summary, "Cannot be moved yet"),
        other => panic!("a plan that is to be refused: {:?}", other.map(|planned| planned.plan)),
    }
}

/// What an earlier run began to delete need not become the first instance of a block that has a `count` now.
#[tokio::test(start_paused = true)]
async fn what_is_being_deleted_goes_while_its_block_gets_a_count() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" {}\n");
    lab.complete(Mode::Apply).await;
    lab.bench.write("provider \"fake\" {}\n");
    lab.set_rules(&json!([{ "fault": { "long_running": { "polls": 0, "ms": 60_000 } } }]));
    let outcome = lab.run_until(Mode::Apply, Duration::from_secs(5)).await;
    assert_eq!(outcome.open.len(), 1, "{outcome:?}");
    lab.bench.write("provider \"fake\" {}\nnode \"a\" { count = 1 }\n");
    let fleet = lab.open(Mode::Apply);
    let planned = fleet.plan().await.expect("it is not refused");
    assert!(planned.plan.moves.is_empty());
    assert_eq!(changes(&planned.plan), ["delete node.a", "create node.a[0]"]);
}

/// A fleet of the module `m`, in which there can be modules `k`.
struct Nested(Lab);

impl Nested {
    /// Applies the root's files and those of the modules.
    async fn applied(root: &str, m: &str) -> Self {
        let nested = Nested(Lab::new(""));
        nested.write("m/k", "node \"deep\" {}\n");
        nested.write("m", m);
        nested.write("", root);
        nested.0.complete(Mode::Apply).await;
        nested
    }

    fn write(&self, folder: &str, text: &str) {
        if folder.is_empty() {
            return self.0.bench.write(&format!("provider \"fake\" {{}}\n{text}"));
        }
        let folder = self.0.bench.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("module.hcl"), text).expect("a file");
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.0.cloud.objects().into_iter().map(|object| object.id).collect();
        ids.sort();
        ids
    }

    /// Applies what was written, and demands that the same objects are there after it. Returns what moved.
    async fn moved(&self) -> Vec<String> {
        let before = self.ids();
        let plan = self.0.complete(Mode::Apply).await;
        assert_eq!(changes(&plan), [""; 0], "nothing is made or deleted");
        assert_eq!(self.ids(), before);
        assert!(self.0.complete(Mode::Apply).await.is_empty());
        moves(&plan)
    }
}

fn moves(plan: &Plan) -> Vec<String> {
    let moves = plan.moves.iter();
    moves.map(|it| format!("{} -> {}", it.from, it.to)).collect()
}

const ONE: &str = "module \"one\" { source = \"./m\" }\n";
const MANY: &str = "module \"one\" {\n  source = \"./m\"\n  count = 2\n}\nmodule \"two\" {\n  source = \"./m\"\n  for_each = toset([\"x\"])\n}\n";
const INNER: &str = "node \"v\" {}\nmodule \"k\" { source = \"./k\" }\n";

#[tokio::test]
async fn what_moves_in_a_module_moves_in_each_of_its_instances() {
    let nested = Nested::applied(MANY, INNER).await;
    // Along two blocks, and out of a module that has another name itself.
    nested.write(
        "m",
        "node \"w\" {}\nmodule \"kk\" { source = \"./k\" }\nmoved {\n  from = node.v\n  to = node.vv\n}\nmoved {\n  from = node.vv\n  \
         to = node.w\n}\nmoved {\n  from = module.k\n  to = module.kk\n}\n",
    );
    nested.write(
        "m/k",
        "node \"deeper\" {}\nmoved {\n  from = node.deep\n  to = node.deeper\n}\n",
    );
    assert_eq!(
        nested.moved().await,
        [
            "module.one[0].node.v -> module.one[0].node.w",
            "module.one[0].module.k.node.deep -> module.one[0].module.kk.node.deeper",
            "module.one[1].node.v -> module.one[1].node.w",
            "module.one[1].module.k.node.deep -> module.one[1].module.kk.node.deeper",
            "module.two[\"x\"].node.v -> module.two[\"x\"].node.w",
            "module.two[\"x\"].module.k.node.deep -> module.two[\"x\"].module.kk.node.deeper",
        ]
    );
}

/// What names one thing in a module says more than what names the module, whichever is written first.
#[tokio::test]
async fn what_leaves_a_module_that_moves_does_not_go_with_it() {
    let nested = Nested::applied(ONE, INNER).await;
    nested.write("m", "module \"k\" { source = \"./k\" }\n");
    nested.write(
        "",
        "node \"out\" {}\nmodule \"uno\" { source = \"./m\" }\nmoved {\n  from = module.one\n  to = module.uno\n}\nmoved {\n  \
         from = module.one.node.v\n  to = node.out\n}\n",
    );
    assert_eq!(
        nested.moved().await,
        [
            "module.one.node.v -> node.out",
            "module.one.module.k.node.deep -> module.uno.module.k.node.deep",
        ]
    );
}

#[tokio::test]
async fn what_gets_a_count_in_a_module_keeps_its_objects() {
    let nested = Nested::applied(MANY, INNER).await;
    let counted = "node \"v\" { count = 1 }\nmodule \"k\" {\n  source = \"./k\"\n  count = 1\n}\n";
    nested.write("m", counted);
    let there = [
        "module.one[0].node.v -> module.one[0].node.v[0]",
        "module.one[0].module.k.node.deep -> module.one[0].module.k[0].node.deep",
        "module.one[1].node.v -> module.one[1].node.v[0]",
        "module.one[1].module.k.node.deep -> module.one[1].module.k[0].node.deep",
        "module.two[\"x\"].node.v -> module.two[\"x\"].node.v[0]",
        "module.two[\"x\"].module.k.node.deep -> module.two[\"x\"].module.k[0].node.deep",
    ];
    assert_eq!(nested.moved().await, there);
    nested.write("m", INNER);
    let back = there.map(|it| it.split(" -> ").collect::<Vec<_>>());
    let back = back.map(|it| format!("{} -> {}", it[1], it[0]));
    assert_eq!(nested.moved().await, back);
}

#[tokio::test]
async fn a_module_that_gets_a_count_keeps_its_objects() {
    let nested = Nested::applied(ONE, INNER).await;
    // What is in it gets one at the same time, and another name.
    nested.write(
        "m",
        "node \"w\" { count = 1 }\nmodule \"k\" { source = \"./k\" }\nmoved {\n  from = node.v\n  to = node.w\n}\n",
    );
    nested.write("", "module \"one\" {\n  source = \"./m\"\n  count = 1\n}\n");
    assert_eq!(
        nested.moved().await,
        [
            "module.one.node.v -> module.one[0].node.w[0]",
            "module.one.module.k.node.deep -> module.one[0].module.k.node.deep",
        ]
    );
    nested.write("", ONE);
    assert_eq!(
        nested.moved().await,
        [
            "module.one[0].node.w[0] -> module.one.node.w[0]",
            "module.one[0].module.k.node.deep -> module.one.module.k.node.deep",
        ]
    );
    // Where another instance is to stay, a `moved` block says so, and the first one goes.
    nested.write("", "module \"one\" {\n  source = \"./m\"\n  count = 2\n}\n");
    nested.0.complete(Mode::Apply).await;
    nested.write(
        "",
        &format!("{ONE}moved {{\n  from = module.one[1]\n  to = module.one\n}}\n"),
    );
    let plan = nested.0.complete(Mode::Apply).await;
    assert_eq!(
        changes(&plan),
        [
            "delete module.one[0].node.w[0]",
            "delete module.one[0].module.k.node.deep"
        ]
    );
    assert_eq!(
        moves(&plan),
        [
            "module.one[1].node.w[0] -> module.one.node.w[0]",
            "module.one[1].module.k.node.deep -> module.one.module.k.node.deep",
        ]
    );
}

/// A block without `count` has one object, and a `moved` block can say which: not always the first.
#[tokio::test]
async fn what_a_block_says_comes_before_what_a_count_means() {
    let lab = Lab::new("provider \"fake\" {}\nnode \"a\" { count = 2 }\n");
    lab.complete(Mode::Apply).await;
    let kept = lab.state().await.resources[&"node.a[1]".parse().expect("an address")]
        .object
        .id
        .clone();
    lab.bench
        .write("provider \"fake\" {}\nnode \"a\" {}\nmoved {\n  from = node.a[1]\n  to = node.a\n}\n");
    let plan = lab.complete(Mode::Apply).await;
    assert_eq!(changes(&plan), ["delete node.a[0]"]);
    assert_eq!(moves(&plan), ["node.a[1] -> node.a"]);
    let left: Vec<String> = lab.cloud.objects().into_iter().map(|object| object.id).collect();
    assert_eq!(left, [kept.to_string()]);
}
