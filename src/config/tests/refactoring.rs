//! `moved`, `removed`, `import` and `check`: what they say, and what a user sees of mistakes in them.

use simfleet_provider_api::{Address, Key};

use super::broken::report;
use super::{load_text, snapshot};
use crate::config::blocks::{Adoption, Check};
use crate::config::{Config, Instance, Names, NoResources};
use crate::view::{Theme, diagnostics};

/// Loads a fleet that is sound.
fn load(text: &str) -> Config {
    load_text(text)
        .unwrap_or_else(|errors| panic!("{}", diagnostics::render(&errors, Theme::Plain)))
        .0
}

fn cases(cases: &[(&'static str, &'static str)]) -> String {
    report(
        cases
            .iter()
            .map(|(name, text)| (*name, format!("value \"here\" {{}}\n{text}\n"))),
    )
}

#[test]
fn mistakes_in_moved() {
    snapshot!(cases(&[
        ("a side is missing", "moved { from = value.a }"),
        ("quotes", "moved {\n  from = \"value.a\"\n  to = value.here\n}"),
        ("no address", "moved {\n  from = 1 + 2\n  to = value.here\n}"),
        ("a name alone", "moved {\n  from = value\n  to = value.here\n}"),
        (
            "a kind is missing",
            "moved {\n  from = simulator.vehicle\n  to = value.here\n}"
        ),
        ("an unknown block", "moved {\n  from = vlue.a\n  to = value.here\n}"),
        (
            "an attribute behind it",
            "moved {\n  from = value.a.output\n  to = value.here\n}"
        ),
        ("a splat", "moved {\n  from = value.a[*]\n  to = value.here\n}"),
        (
            "a key that is no constant",
            "moved {\n  from = value.a[local.k]\n  to = value.here\n}"
        ),
        ("nothing moves", "moved {\n  from = value.a\n  to = value.a\n}"),
        ("another block", "moved {\n  from = node.a\n  to = value.here\n}"),
        (
            "another kind",
            "moved {\n  from = simulator.px4.a\n  to = simulator.vehicle.a\n}"
        ),
        (
            "a module to a resource",
            "moved {\n  from = module.a\n  to = value.here\n}"
        ),
        (
            "a resource to a module",
            "moved {\n  from = value.a\n  to = module.b\n}"
        ),
        (
            "it is still declared",
            "moved {\n  from = value.here\n  to = value.b\n}"
        ),
        (
            "to two places",
            "moved {\n  from = value.a\n  to = value.here\n}\nmoved {\n  from = value.a\n  to = value.b\n}"
        ),
        (
            "from two places",
            "moved {\n  from = value.a\n  to = value.here\n}\nmoved {\n  from = value.b\n  to = value.here\n}"
        ),
        (
            "in a circle",
            "moved {\n  from = value.a\n  to = value.b\n}\nmoved {\n  from = value.b\n  to = value.a\n}"
        ),
    ]));
}

#[test]
fn mistakes_in_removed() {
    snapshot!(cases(&[
        ("the address is missing", "removed {}"),
        ("a key", "removed { from = value.a[0] }"),
        ("a key of a module", "removed { from = module.m[0].value.a }"),
        ("it is still declared", "removed { from = value.here }"),
        ("twice", "removed { from = value.a }\nremoved { from = value.a }"),
        (
            "no truth value",
            "removed {\n  from = value.a\n  lifecycle { destroy = \"later\" }\n}"
        ),
        (
            "an unknown attribute",
            "removed {\n  from = value.a\n  lifecycle { prevent_destroy = true }\n}"
        ),
    ]));
}

#[test]
fn mistakes_in_import() {
    snapshot!(cases(&[
        ("an attribute is missing", "import { to = value.here }"),
        ("it is not declared", "import {\n  to = value.her\n  id = \"x\"\n}"),
        ("a module", "import {\n  to = module.m\n  id = \"x\"\n}"),
        ("an empty id", "import {\n  to = value.here\n  id = \"\"\n}"),
        (
            "an id that is no string",
            "import {\n  to = value.here\n  id = [\"a\"]\n}"
        ),
        (
            "a sensitive id",
            "import {\n  to = value.here\n  id = sensitive(\"a\")\n}"
        ),
        (
            "twice",
            "import {\n  to = value.here\n  id = \"x\"\n}\nimport {\n  to = value.here\n  id = \"y\"\n}"
        ),
        (
            "two elements to one",
            "import {\n  for_each = toset([\"x\", \"y\"])\n  to = value.here\n  id = each.key\n}"
        ),
        (
            "a list",
            "import {\n  for_each = [\"x\", \"y\"]\n  to = value.here[each.key]\n  id = each.key\n}"
        ),
        (
            "each without for_each",
            "import {\n  to = value.here\n  id = each.key\n}"
        ),
        ("an unknown name", "import {\n  to = value.here\n  id = var.id\n}"),
    ]));
}

#[test]
fn mistakes_in_check() {
    snapshot!(cases(&[
        ("no assert", "check \"c\" {}"),
        (
            "no name",
            "check {\n  assert {\n    condition = true\n    error_message = \"m\"\n  }\n}"
        ),
        ("no message", "check \"c\" {\n  assert { condition = true }\n}"),
        (
            "an unknown name",
            "check \"c\" {\n  assert {\n    condition = value.her.output == 1\n    error_message = \"m\"\n  }\n}"
        ),
        (
            "self",
            "check \"c\" {\n  assert {\n    condition = self.output == 1\n    error_message = \"m\"\n  }\n}"
        ),
        (
            "twice",
            "check \"c\" {\n  assert {\n    condition = true\n    error_message = \"m\"\n  }\n}\ncheck \"c\" {\n  assert {\n    condition = true\n    error_message = \"m\"\n  }\n}"
        ),
    ]));
}

#[test]
fn imports_name_each_object_and_what_it_becomes() {
    let config = load(
        "value \"one\" {}\n\
         value \"many\" { count = 2 }\n\
         value \"named\" { for_each = toset([\"x\"]) }\n\
         variable \"ids\" { default = { x = \"id-x\", y = \"id-y\" } }\n\
         import {\n  to = value.one\n  id = \"id-${1 + 1}\"\n}\n\
         import {\n  to = value.many[1]\n  id = 17\n}\n\
         import {\n  for_each = var.ids\n  to = value.named[each.key]\n  id = each.value\n}\n",
    );
    let names = Names::new(&config, &NoResources);
    let found: Vec<String> = config
        .imports
        .iter()
        .flat_map(|import| import.adoptions(&names).expect("all is known"))
        .map(|Adoption { to, id, .. }| format!("{to} = {id}"))
        .collect();
    assert_eq!(
        found,
        [
            "value.one = id-2",
            "value.many[1] = 17",
            "value.named[\"x\"] = id-x",
            "value.named[\"y\"] = id-y"
        ]
    );
}

#[test]
fn an_id_that_is_not_known_yet_passes_a_check_and_not_a_plan() {
    let config = load("value \"a\" {}\nvalue \"b\" {}\nimport {\n  to = value.a\n  id = value.b.id\n}");
    let found = config.imports[0].adoptions(&Names::new(&config, &NoResources));
    let told = diagnostics::render(&found.expect_err("it is not known"), Theme::Plain);
    assert!(
        told.contains("`id` depends on `value.b.id`, which is known after apply only."),
        "{told}"
    );
}

#[test]
fn removed_covers_all_instances_and_what_they_expand_to() {
    let text = "value \"b\" {}\nremoved { from = module.m.node.a }\n\
                removed {\n  from = module.x\n  lifecycle { destroy = false }\n}";
    let config = load(text);
    let covers = |i: usize, address: &str| config.removed[i].covers(&address.parse().expect("an address"));
    for (address, resource, module) in [
        ("module.m.node.a", true, false),
        ("module.m[\"k\"].node.a[3]/nic", true, false),
        ("node.a", false, false),
        ("module.m.node.b", false, false),
        ("module.m.module.n.node.a", false, false),
        ("module.x.node.a", false, true),
        ("module.x[0].module.y.pool.p/m1", false, true),
        ("module.xx.node.a", false, false),
    ] {
        assert_eq!(
            (covers(0, address), covers(1, address)),
            (resource, module),
            "{address}"
        );
    }
    assert!(config.removed[0].destroy && !config.removed[1].destroy);
}

#[test]
fn a_check_that_does_not_hold_is_a_warning() {
    let config = load(
        "variable \"n\" { default = 3 }\n\
         value \"a\" {}\n\
         check \"size\" {\n\
           assert {\n  condition = var.n < 3\n  error_message = \"n is ${var.n}\"\n  }\n\
           assert {\n  condition = var.n > 0\n  error_message = \"holds\"\n  }\n\
           assert {\n  condition = value.a.output == 1\n  error_message = \"only the apply can tell\"\n  }\n\
           assert {\n  condition = [1][var.n] == 1\n  error_message = \"cannot be evaluated\"\n  }\n\
         }\n",
    );
    let names = Names::new(&config, &NoResources);
    let checks: &[Check] = &config.checks;
    snapshot!(diagnostics::render(
        &checks[0].warnings(&names.scope(Instance::default())),
        Theme::Plain
    ));
}

#[test]
fn a_key_of_a_move_is_an_index_or_a_name() {
    let config = load("value \"here\" {}\nmoved {\n  from = value.a[0]\n  to = value.here[\"x y\"]\n}");
    let moved = &config.moved[0];
    assert_eq!(moved.from.key(), Some(&Key::Index(0)));
    let address: Address = "value.a[0]".parse().expect("an address");
    assert_eq!(
        moved.apply(&address).map(|address| address.to_string()).as_deref(),
        Some("value.here[\"x y\"]")
    );
}
