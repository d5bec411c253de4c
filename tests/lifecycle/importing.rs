//! Objects that exist become those of resources: with `import` blocks and with the command.

use simfleet::config::Endpoint;
use simfleet::fleet::{Fleet, FleetError};
use simfleet::plan::{Mode, PlanFile};
use simfleet_provider_fake::cloud::Effect;
use tokio::sync::mpsc;

use crate::support::bench::{Lab, changes, on};

#[tokio::test]
async fn what_exists_becomes_the_object_of_a_resource() {
    let fleet = |size: &str, more: &str| {
        format!(
            "provider \"fake\" {{}}\nnode \"a\" {{ size = \"{size}\" }}\nnode \"b\" {{\n  count = 2\n  labels = {{ of = node.a.size }}\n}}\n{more}"
        )
    };
    let imports = |a: &str, b: &[String]| {
        let each: Vec<String> = b
            .iter()
            .enumerate()
            .map(|(index, id)| format!("\"{index}\" = \"{id}\""))
            .collect();
        format!(
            "import {{\n  to = node.a\n  id = \"{a}\"\n}}\nimport {{\n  for_each = {{ {} }}\n  to = node.b[tonumber(each.key)]\n  id = each.value\n}}\n",
            each.join(", ")
        )
    };
    let lab = Lab::new(&fleet("small", ""));
    let (progress, _told) = mpsc::unbounded_channel();
    let open = |mode| lab.open(mode);
    let run = async |mode| lab.complete(mode).await;
    let told = async || match open(Mode::Apply).plan().await {
        Err(FleetError::Diagnostics(problems)) => problems.0.iter().map(|it| it.detail.clone()).collect::<Vec<_>>(),
        other => panic!("a plan that is to be refused: {other:?}"),
    };
    run(Mode::Apply).await;
    let ids: Vec<String> = lab
        .state()
        .await
        .resources
        .values()
        .map(|it| it.object.id.to_string())
        .collect();
    let all: Vec<_> = lab
        .state()
        .await
        .resources
        .keys()
        .cloned()
        .map(Endpoint::Resource)
        .collect();
    open(Mode::Apply)
        .forget(&all, &progress)
        .await
        .expect("they are recorded");
    // With blocks: one differs from what is declared.
    lab.bench.write(&fleet("large", &imports(&ids[0], &ids[1..])));
    let calls = lab.cloud.log().len();
    let plan = run(Mode::Apply).await;
    let word = |change: &simfleet::plan::Change| format!("{} {}", change.word(), change.address);
    assert_eq!(
        plan.changes.iter().map(word).collect::<Vec<_>>(),
        ["update node.a", "update node.b[0]", "update node.b[1]"]
    );
    assert_eq!(plan.imports.len(), 3);
    let made = lab.cloud.log()[calls..]
        .iter()
        .flat_map(|entry| &entry.effects)
        .filter(|effect| matches!(effect, Effect::Made(_)))
        .count();
    assert_eq!(made, 0, "nothing is made");
    let now: Vec<String> = lab
        .state()
        .await
        .resources
        .values()
        .map(|it| it.object.id.to_string())
        .collect();
    assert_eq!(now, ids);
    let plan = open(Mode::Apply).plan().await.expect("it can be planned").plan;
    assert!(
        plan.is_empty() && plan.imports.is_empty(),
        "the blocks have done their work"
    );
    // As it is declared, only the record changes. A kept plan has what was seen of the object.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    let file = lab.bench.path().join("import.plan");
    let fleet_now = open(Mode::Apply);
    let planned = fleet_now.plan().await.expect("it can be planned");
    fleet_now.save_plan(&planned, &file).expect("it is kept");
    let kept = PlanFile::read(&file).expect("it is whole");
    let of_plan = Fleet::of_plan(&kept, lab.bench.options(Mode::Apply, &[])).expect("sound");
    let of_plan = on(of_plan, &lab.store, &lab.cloud);
    assert_eq!(of_plan.replan(&kept).await.expect("it is the same").plan, planned.plan);
    let plan = run(Mode::Apply).await;
    assert_eq!(plan.changes.iter().map(word).collect::<Vec<_>>()[0], "import node.a");
    assert_eq!(changes(&plan), [""; 0]);
    // With the command.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    lab.bench.write(&fleet("large", ""));
    let by_hand = async |address: &str, id: &str| {
        let fleet = open(Mode::Apply);
        fleet
            .import(&address.parse().expect("an address"), &id.into(), &progress)
            .await
    };
    for (address, id, problem) in [
        ("node.a", "node-none", "There is no node with the id `node-none`."),
        ("node.a", &*ids[1], "is that of node.b[0] already"),
        ("node.b[0]", &*ids[0], "node.b[0] has an object already"),
        ("node.c", &*ids[0], "It is not declared"),
    ] {
        match by_hand(address, id).await {
            Err(FleetError::Diagnostics(problems)) => assert!(problems.0[0].detail.contains(problem), "{problems:?}"),
            other => panic!("an import that is to be refused: {other:?}"),
        }
    }
    by_hand("node.a", &ids[0]).await.expect("it is there");
    assert!(
        open(Mode::Apply)
            .plan()
            .await
            .expect("it can be planned")
            .plan
            .is_empty()
    );
    // What is not there cannot be imported.
    open(Mode::Apply)
        .forget(&all[..1], &progress)
        .await
        .expect("it is recorded");
    lab.bench.write(&fleet("large", &imports("node-none", &[])));
    assert_eq!(told().await, ["There is no node with the id `node-none`."]);
    lab.bench.write(&fleet("large", &imports(&ids[1], &[])));
    assert_eq!(
        told().await,
        [format!("The object `{}` is that of node.b[0] already.", ids[1])]
    );
    lab.bench.write(&fleet("large", &imports(&ids[0], &[])));
    run(Mode::Apply).await;
    run(Mode::Destroy).await;
    assert!(lab.cloud.objects().is_empty());
}
