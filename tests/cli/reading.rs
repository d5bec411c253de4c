//! show, output, state, status, nodes, simulators.

use crate::changing::applied;
use crate::lab::Lab;

#[test]
fn what_is_recorded() {
    let lab = applied();
    for (name, line) in [
        ("show", "show"),
        ("show_json", "show --json"),
        ("output", "output"),
        ("output_json", "output --json"),
        ("output_one", "output parts"),
        ("output_one_json", "output parts -json"),
        ("output_raw", "output -raw size"),
        ("output_of_a_path", "output . size"),
        ("state_list", "state list"),
        ("state_show", "state show 'value.part[1]'"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(0));
    }
}

#[test]
fn what_cannot_be_shown() {
    let lab = applied();
    for (name, line) in [
        ("unknown_output", "output part"),
        ("sensitive_output", "output --raw key"),
        ("sensitive_output_json", "output --json key"),
        ("structured_output", "output --raw parts"),
        ("unknown_resource", "state show value.bas"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(1));
    }
}

#[test]
fn outputs_that_are_not_recorded() {
    let lab = Lab::new("output \"later\" { value = 1 }\noutput \"size\" { value = 2 }\n");
    let hint = |line: &str, expected: &str| {
        let run = lab.run(line).exits(1);
        assert!(run.stderr.contains(expected), "{run}");
    };
    hint("output later", "it is declared; `simfleet apply` records it");
    hint("output nothing_like_it", "none is recorded");
    lab.run("apply --auto-approve").exits(0);
    hint("output nothing_like_it", "the outputs are later, size");
    hint("output sise", "did you mean `size`?");
}

#[test]
fn paths_that_lead_to_no_fleet() {
    let lab = Lab::empty();
    lab.write("garbage.json", "{\"a\": 1}\n");
    std::os::unix::fs::symlink("nowhere", lab.path().join("link.hcl")).expect("a link can be made");
    for (name, line) in [
        ("apply_of_garbage", "apply garbage.json"),
        ("show_of_garbage", "show garbage.json"),
        ("plan_of_garbage", "plan garbage.json"),
        ("dangling_link", "plan link.hcl"),
        ("dangling_link_in_a_folder", "plan"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(1));
    }
}

#[test]
fn nothing_is_recorded() {
    let lab = Lab::new("value \"a\" { input = 1 }\n");
    for (name, line) in [
        ("show_nothing", "show"),
        ("output_nothing", "output"),
        ("status_nothing", "status"),
        ("nodes_nothing", "nodes"),
        ("simulators_nothing", "simulators -o json"),
    ] {
        insta::assert_snapshot!(name, lab.run(line).exits(0));
    }
    assert!(!lab.path().join(".simfleet").exists(), "looking makes no state");
}

#[test]
fn no_colours_without_a_terminal() {
    let lab = applied();
    for line in ["plan -var size=3", "show", "status", "plan --bogus", "output nothing"] {
        let run = lab.run(line);
        assert!(
            !run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'),
            "{run}"
        );
    }
}

#[test]
fn what_is_recorded_needs_no_variables() {
    let lab = Lab::new(
        "variable \"size\" { type = number }\nvalue \"a\" {\n  count = var.size\n  input = var.size\n}\noutput \"size\" { value = var.size }\n",
    );
    lab.run("apply --auto-approve --var size=2").exits(0);
    assert_eq!(lab.run("output size").exits(0).stdout, "2\n");
    assert_eq!(lab.run("state list").exits(0).stdout, "value.a[0]\nvalue.a[1]\n");
    for line in ["show", "status", "nodes", "simulators", "validate"] {
        lab.run(line).exits(0);
    }
    assert_eq!(
        lab.run_with("console", "var.size").exits(0).stdout,
        "(known after apply)\n"
    );
    lab.run("plan").exits(1);
    lab.run("destroy --auto-approve").exits(0);
    assert_eq!(lab.run("state list").exits(0).stdout, "");
}
