//! What reads something of something else, and in which order it is changed.

use simfleet::plan::Mode;

use crate::apply_in_turn;
use crate::support::bench::{Bench, changes};

#[tokio::test]
async fn what_reads_an_unknown_value_is_made_once_it_is_known() {
    let bench = Bench::new(
        r#"
provider "fake" {}
node "a" {
  cpus = 2
}
value "copy" {
  input = { address = node.a.address, cpus = node.a.cpus }
}
value "each" {
  for_each = toset(["x", "y"])
  input    = "${each.key} on ${value.copy.output.address}"
}
output "all" { value = [for v in value.each : v.output] }
"#,
    );
    let plan = bench.plan(Mode::Apply, &[]).await;
    let copy = plan
        .changes
        .iter()
        .find(|change| change.address.to_string() == "value.copy")
        .expect("declared");
    let input = copy
        .after
        .as_ref()
        .and_then(|after| after.get("input"))
        .expect("it has an input");
    assert!(
        input.get("address").is_some_and(|address| address.is_unknown()),
        "{input:?}"
    );
    assert_eq!(input.get("cpus").and_then(|cpus| cpus.as_u64()), Some(2));
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let all = plan.outputs["all"]
        .after
        .as_ref()
        .and_then(|all| all.as_slice())
        .expect("a list")
        .to_vec();
    assert!(
        all[0].as_str().is_some_and(|text| text.starts_with("x on 10.")),
        "{all:?}"
    );
}

#[tokio::test]
async fn what_reads_something_else_than_before_is_changed_in_an_order_that_can_be() {
    let x = |trigger: u64| format!("value \"x\" {{\n  triggers_replace = {trigger}\n}}\n");
    let value = |name: &str, input: &str| format!("value \"{name}\" {{\n  input = {input}\n}}\n");
    for (case, before, after) in [
        (
            "a link between two is taken out while the first is made anew",
            x(1) + &value("y", "value.x.id") + &value("z", "value.y.output"),
            x(2) + &value("z", "value.x.id"),
        ),
        (
            "a link is put between two while the first is made anew",
            x(1) + &value("z", "value.x.id"),
            x(2) + &value("y", "value.x.id") + &value("z", "value.y.output"),
        ),
    ] {
        println!("{case}");
        apply_in_turn(&[&before, &after]).await;
    }
}

#[tokio::test]
async fn what_does_not_change_still_stands_between_what_does() {
    let text = |trigger: u64, more: &str| {
        format!(
            "value \"w\" {{\n  triggers_replace = {trigger}\n}}\nvalue \"u\" {{\n  input = join(\",\", [value.w.id])\n}}\n\
             value \"x\" {{\n  input = value.u.id\n}}\n{more}"
        )
    };
    let more = "value \"v\" {}\nvalue \"t\" {\n  input = [value.x.output, value.v.id]\n}\n";
    apply_in_turn(&[&text(1, ""), &text(2, more)]).await;
}

#[tokio::test]
async fn a_block_that_gets_a_count_is_made_before_what_reads_it() {
    let text = |count: &str, all: &str| {
        format!("provider \"fake\" {{}}\nnode \"a\" {{\n{count}\n}}\nvalue \"all\" {{\ninput = {all}\n}}\n")
    };
    let (one, many) = ("node.a.address", "[for node in node.a : node.address]");
    apply_in_turn(&[&text("", one), &text("count = 2", many), &text("", one)]).await;
}

#[tokio::test]
async fn a_change_of_a_value_reaches_all_that_read_it_at_once() {
    let text =
        |input: u64| format!("value \"a\" {{\n  input = {input}\n}}\nvalue \"b\" {{\n  input = value.a.output\n}}\n");
    let bench = apply_in_turn(&[&text(1)]).await;
    bench.write(&text(2));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["update value.a", "update value.b"]);
    apply_in_turn(&[&text(1), &text(2)]).await;
}

/// Others are planned with what is ignored: what is made anew keeps it, also where only the walk knows why it is made anew.
#[tokio::test]
async fn what_is_ignored_is_kept_by_what_is_made_anew() {
    let text = |trigger: u64, input: &str| {
        format!(
            "value \"w\" {{\n  triggers_replace = {trigger}\n}}\nvalue \"x\" {{\n  input = {input}\n  triggers_replace = \
             value.w.id\n  lifecycle {{ ignore_changes = [input] }}\n}}\nvalue \"y\" {{\n  input = value.x.output\n}}\n"
        )
    };
    let bench = apply_in_turn(&[&text(1, "\"first\"")]).await;
    bench.write(&text(2, "\"second\""));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(changes(&plan), ["replace value.w", "replace value.x"]);
    apply_in_turn(&[&text(1, "\"first\""), &text(2, "\"second\"")]).await;
}

#[tokio::test]
async fn each_value_is_what_it_is_once_that_is_known() {
    let fleet = |keys: &str| {
        format!(
            r#"
provider "fake" {{}}
node "n" {{
  for_each = toset([{keys}])
}}
value "of_each" {{
  for_each = node.n
  input    = each.value.address
}}
value "of_map" {{
  for_each = {{ a = value.of_each["x"].id, b = "known" }}
  input    = each.value
}}
locals {{
  all = {{ for key, value in value.of_each : key => value.output }}
}}
value "of_local" {{
  for_each = local.all
  input    = each.value
}}
output "all" {{ value = [for value in value.of_local : value.output] }}
"#
        )
    };
    let bench = Bench::new(&fleet("\"x\", \"y\""));
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "{plan:#?}");
    let all = plan.outputs["all"].after.as_ref().and_then(|all| all.as_slice());
    let all = all.expect("a list").to_vec();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|one| one.as_str().is_some_and(|address| address.starts_with("10."))),
        "{all:?}"
    );
    // One that comes later: what is there already stays as it is.
    bench.write(&fleet("\"x\", \"y\", \"z\""));
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert_eq!(
        changes(&plan),
        [
            "create node.n[\"z\"]",
            "create value.of_each[\"z\"]",
            "create value.of_local[\"z\"]"
        ]
    );
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(bench.plan(Mode::Apply, &[]).await.is_empty());
}

#[tokio::test]
async fn a_secret_that_is_read_of_a_value_is_the_same_in_the_next_plan() {
    let bench = Bench::new(
        r#"
value "a" { input = sensitive("hunter2") }
value "list" { input = [value.a.output] }
value "text" { input = "x${value.a.output}" }
value "whole" { input = sensitive([value.text.output]) }
output "direct" {
  value     = value.a.output
  sensitive = true
}
output "nested" {
  value     = { all = [value.whole.output, value.a] }
  sensitive = true
}
"#,
    );
    let outcome = bench.apply(Mode::Apply, &[]).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let plan = bench.plan(Mode::Apply, &[]).await;
    assert!(plan.is_empty(), "{plan:#?}");
}
