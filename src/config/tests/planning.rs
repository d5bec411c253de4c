//! What the planner asks of declarations, with values that only it has.

use std::collections::BTreeMap;
use std::time::Duration;

use simfleet_provider_api::{Address, Value};

use super::super::blocks::{Block, Kind, Placement, Simulator};
use super::super::{Config, IgnoreChanges, Instance, Instances, Names, Resources};
use super::load_text;
use crate::diagnostic::Diagnostics;

/// Resources by their addresses; every other one is not evaluated yet.
struct Known(BTreeMap<String, Value>);

impl Resources for Known {
    fn value(&self, block: &Address) -> Option<Value> {
        self.0.get(&block.to_string()).cloned()
    }
}

fn known<const N: usize>(values: [(&str, Value); N]) -> Known {
    Known(
        values
            .into_iter()
            .map(|(address, value)| (address.to_owned(), value))
            .collect(),
    )
}

fn config(text: &str) -> Config {
    match load_text(text) {
        Ok((config, _)) => config,
        Err(found) => panic!("{:?}", found.0),
    }
}

fn simulator(config: &Config, resources: &Known) -> Result<Simulator, Diagnostics> {
    let declaration = config.declarations.last().expect("declared");
    let record = declaration.evaluate(&Names::new(config, resources).scope(Instance::default()))?;
    match declaration.decode(&record)? {
        Block::Simulator(simulator) => Ok(*simulator),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_placement_is_found_through_locals_and_conditions() {
    for (case, placement, expected) in [
        (
            "directly",
            "node.a",
            Placement::On("node.a".parse().expect("an address")),
        ),
        (
            "through a local",
            "local.place",
            Placement::On("node.b".parse().expect("an address")),
        ),
        (
            "through a condition",
            "node.a.max_simulators > 3 ? node.b : node.a",
            Placement::On("node.b".parse().expect("an address")),
        ),
        ("here", "\"local\"", Placement::Local),
    ] {
        let config = config(&format!(
            "node \"a\" {{}}\nnode \"b\" {{}}\nlocals {{ place = node.b }}\n\
             simulator \"vehicle\" \"v\" {{ placement = {placement} }}\n"
        ));
        let node = |name: &str| {
            let address = format!("node.{name}").parse().expect("an address");
            let fields = [
                ("max_simulators", Value::from(4u64)),
                ("address", Value::unknown("address")),
            ];
            Value::object(fields).with_origin(address)
        };
        let resources = known([("node.a", node("a")), ("node.b", node("b"))]);
        let simulator = simulator(&config, &resources).expect(case);
        assert_eq!(simulator.placement, expected, "{case}");
    }
}

#[test]
fn what_a_provider_carries_may_be_unknown_and_what_is_planned_with_may_not() {
    let text = |inside: &str| {
        format!("value \"v\" {{}}\nsimulator \"exec\" \"e\" {{\n  placement = \"local\"\n  {inside}\n}}\n")
    };
    let unknown = known([("value.v", Value::object([("output", Value::unknown("value.v.output"))]))]);
    let fine = config(&text(
        "command = [\"sleep\", value.v.output]\n  env = { A = value.v.output }\n  labels = value.v.output",
    ));
    let simulator_of = simulator(&fine, &unknown).expect("all of these may be unknown");
    let Kind::Exec(exec) = simulator_of.kind else {
        panic!("a program");
    };
    assert_eq!(exec.command.unknown_origin(), Some("value.v.output"));
    assert!(simulator_of.workload.labels.is_some_and(|labels| labels.is_unknown()));

    let wrong = config(&text("command = [\"sleep\"]\n  instance = value.v.output"));
    let told = simulator(&wrong, &unknown).expect_err("an instance is planned with");
    assert_eq!(told.0[0].summary, "Value not known yet");
    assert_eq!(
        told.0[0].detail,
        "`instance` depends on `value.v.output`, which is known after apply only."
    );
}

#[test]
fn a_secret_that_plans_would_show_is_refused() {
    let config = config(
        "variable \"v\" {\n  default = 3\n  sensitive = true\n}\n\
         simulator \"exec\" \"e\" {\n  placement = \"local\"\n  command = [\"sleep\", \"${var.v}\"]\n  env = { A = var.v }\n}\n",
    );
    let simulator = simulator(&config, &known([])).expect("a provider can carry a secret");
    assert!(simulator.workload.env.is_some_and(|env| env.has_sensitive()));
    let told =
        load_text("variable \"v\" {\n  default = 3\n  sensitive = true\n}\nnode \"n\" { max_simulators = var.v }\n");
    assert_eq!(told.expect_err("a mistake").0[0].summary, "Sensitive value");
}

#[test]
fn instances_come_from_count_and_for_each() {
    let unknown = || Value::object([("output", Value::unknown("value.v.output"))]);
    let each = |pairs: &[(&str, Value)]| {
        Instances::Each(
            pairs
                .iter()
                .map(|(key, value)| ((*key).into(), value.clone()))
                .collect(),
        )
    };
    for (case, argument, expected) in [
        ("none", "", Ok(Instances::Single)),
        ("count", "count = 1 + 1", Ok(Instances::Count(2))),
        ("count as a string", "count = \"3\"", Ok(Instances::Count(3))),
        ("no instance", "count = 0", Ok(Instances::Count(0))),
        (
            "a set",
            "for_each = toset([\"b\", \"a\", \"b\"])",
            Ok(each(&[("a", "a".into()), ("b", "b".into())])),
        ),
        ("a map", "for_each = { a = 1 }", Ok(each(&[("a", Value::from(1u64))]))),
        (
            "a map of what is not known",
            "for_each = { a = value.v.output }",
            Ok(each(&[("a", Value::unknown("value.v.output"))])),
        ),
        (
            "not known",
            "count = value.v.output",
            Err("`count` depends on `value.v.output`, which is known after apply only."),
        ),
        (
            "a set of what is not known",
            "for_each = toset([value.v.output])",
            Err("`for_each` depends on `value.v.output`, which is known after apply only."),
        ),
    ] {
        let config = config(&format!("value \"v\" {{}}\nvalue \"w\" {{\n  {argument}\n}}\n"));
        let resources = known([("value.v", unknown())]);
        let names = Names::new(&config, &resources);
        let instances = config.declarations[1].instances(&names.scope(Instance::default()));
        let instances = instances.map_err(|told| told.0[0].detail.clone());
        assert_eq!(instances, expected.map_err(str::to_owned), "{case}");
    }
}

#[test]
fn each_instance_sees_its_key_and_value() {
    let config = config("value \"w\" {\n  for_each = { a = 1 }\n  input = \"${each.key}=${each.value}\"\n}\n");
    let resources = known([]);
    let names = Names::new(&config, &resources);
    let record = config.declarations[0].evaluate(&names.scope(Instance::each("a", Value::from(1u64))));
    assert_eq!(record.expect("it evaluates").get("input"), Some(&Value::from("a=1")));
}

#[test]
fn the_members_of_a_pool_see_themselves() {
    let config = config(
        "pool \"p\" {\n  node {\n    labels = { number = member.number, name = member.name }\n  }\n  autoscale {\n    min = 1\n    max = 2\n  }\n}\n",
    );
    let resources = known([]);
    let names = Names::new(&config, &resources);
    let labels = |member: Option<Value>| {
        let instance = Instance {
            member,
            ..Instance::default()
        };
        let record = config.declarations[0]
            .evaluate(&names.scope(instance))
            .expect("it evaluates");
        match config.declarations[0].decode(&record) {
            Ok(Block::Pool(pool)) => pool.node.labels.expect("set"),
            other => panic!("{other:?}"),
        }
    };
    assert!(!labels(None).is_known());
    let member = Value::object([("number", Value::from(7u64)), ("name", Value::from("m7"))]);
    assert_eq!(labels(Some(member)).get("number"), Some(&Value::from("7")));
}

#[test]
fn meta_arguments_are_read_and_count_as_needs() {
    let config = config(
        "value \"a\" {}\nvalue \"b\" {}\nvalue \"c\" {\n  depends_on = [value.a]\n  timeouts { create = \"5m\" }\n  lifecycle {\n    \
         prevent_destroy = true\n    ignore_changes = [input]\n    replace_triggered_by = [value.b.output]\n    precondition {\n      \
         condition = 1 < 2\n      error_message = \"never\"\n    }\n    postcondition {\n      condition = self.output == null\n      \
         error_message = \"never\"\n    }\n  }\n}\n",
    );
    let meta = &config.declarations[2].meta;
    assert_eq!(meta.timeouts.create, Some(Duration::from_secs(300)));
    assert!(meta.lifecycle.prevent_destroy && !meta.lifecycle.create_before_destroy);
    assert_eq!(meta.lifecycle.ignore_changes, IgnoreChanges::Only(vec!["input".into()]));
    assert_eq!(
        (meta.lifecycle.preconditions.len(), meta.lifecycle.postconditions.len()),
        (1, 1)
    );
    let needs = config.dependencies(&[], &config.declarations[2].references());
    let needs: Vec<_> = needs.iter().map(|need| need.declaration.address.to_string()).collect();
    assert_eq!(needs, ["value.a", "value.b"]);
}

#[test]
fn the_spans_of_a_record_lead_to_the_lines_of_its_attributes() {
    let config = config("value \"a\" {\n  input = 1\n}\n");
    let resources = known([]);
    let names = Names::new(&config, &resources);
    let record = config.declarations[0]
        .evaluate(&names.scope(Instance::default()))
        .expect("it evaluates");
    let spans: Vec<_> = record
        .spans()
        .iter()
        .map(|(name, span)| format!("{name} {span:?}"))
        .collect();
    assert_eq!(spans, ["input fleet.hcl:2:11"]);
}
