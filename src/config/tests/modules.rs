//! Modules: what they see, what is seen of them, and what a user sees of mistakes.

use std::collections::BTreeMap;

use simfleet_provider_api::{Address, Value};

use super::{inputs, load_texts, snapshot};
use crate::config::eval::{Expr, evaluate};
use crate::config::{Config, Instance, Names, NoResources, Resources, load_sources};
use crate::view::{Theme, diagnostics};

/// A module with one of everything.
const LAB: &str = r#"
variable "size" {
  type = number
  validation {
    condition     = var.size < 10
    error_message = "${var.size} is too many"
  }
}
variable "name" {
  type    = string
  default = "lab"
}
locals { names = [for i in range(var.size) : "${var.name}-${i}"] }
value "part" {
  count = var.size
  input = local.names[count.index]
}
output "names" { value = local.names }
output "ids" { value = value.part[*].id }
output "folder" { value = "${path.module} in ${path.root}" }
output "secret" {
  value     = "s3"
  sensitive = true
}
"#;

fn load(files: &[(&str, &str)]) -> Config {
    match load_texts(files, &inputs()) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{}", diagnostics::render(&errors, Theme::Plain)),
    }
}

/// Loads a fleet that calls the module.
fn lab(fleet: &str) -> Config {
    load(&[("fleet.hcl", fleet), ("lab/lab.hcl", LAB)])
}

fn eval(config: &Config, resources: &dyn Resources, text: &str) -> Value {
    let names = Names::new(config, resources);
    let expr = Expr::parse("test", text).expect("an expression");
    evaluate(&expr, &names.scope(Instance::default())).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn shown(config: &Config, text: &str) -> String {
    crate::config::eval::render(&eval(config, &NoResources, text))
}

#[test]
fn a_module_takes_inputs_and_gives_outputs() {
    let config = lab("module \"a\" {\n  source = \"./lab\"\n  size = \"2\"\n}\n");
    assert_eq!(shown(&config, "module.a.names"), "[\n  \"lab-0\",\n  \"lab-1\",\n]");
    assert_eq!(shown(&config, "module.a.folder"), "\"lab in .\"");
    assert!(eval(&config, &NoResources, "module.a.secret").is_sensitive());
    assert!(eval(&config, &NoResources, "module.a.ids").unknown_origin().is_some());
    assert_eq!(shown(&config, "length(module.a.names)"), "2");
    assert_eq!(
        shown(&config, "keys(module.a)"),
        "[\n  \"folder\",\n  \"ids\",\n  \"names\",\n  \"secret\",\n]"
    );
}

#[test]
fn each_instance_of_a_module_has_inputs_of_its_own() {
    let config = lab("locals { sites = { eu = 1, us = 2 } }\n\
         module \"site\" {\n  source = \"./lab\"\n  for_each = local.sites\n  size = each.value\n  name = each.key\n}\n\
         module \"row\" {\n  source = \"./lab\"\n  count = 2\n  size = count.index + 1\n}\n");
    assert_eq!(
        shown(&config, "module.site[\"us\"].names"),
        "[\n  \"us-0\",\n  \"us-1\",\n]"
    );
    assert_eq!(
        shown(&config, "{ for k, m in module.site : k => length(m.names) }"),
        "{\n  \"eu\" = 1\n  \"us\" = 2\n}"
    );
    assert_eq!(
        shown(&config, "module.row[*].names"),
        "[\n  [\n    \"lab-0\",\n  ],\n  [\n    \"lab-0\",\n    \"lab-1\",\n  ],\n]"
    );
    assert_eq!(shown(&config, "module.row[1].names[1]"), "\"lab-1\"");
    let names = Names::new(&config, &NoResources);
    let instances = |name: &str| {
        let paths = names.instances_of(&[name.into()]).expect("they are known");
        paths
            .iter()
            .map(|path| Address::new("value", ["x"]).in_module(path).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        instances("site"),
        ["module.site[\"eu\"].value.x", "module.site[\"us\"].value.x"]
    );
    assert_eq!(instances("row"), ["module.row[0].value.x", "module.row[1].value.x"]);
}

#[test]
fn the_resources_of_an_instance_are_its_own() {
    struct Known(BTreeMap<String, Value>);
    impl Resources for Known {
        fn value(&self, block: &Address) -> Option<Value> {
            self.0.get(&block.to_string()).cloned()
        }
    }
    let config = lab("module \"a\" {\n  count = 2\n  source = \"./lab\"\n  size = 1\n}\n");
    let part = |id: &'static str| Value::tuple([Value::object([("id", Value::from(id))])]);
    let known = Known(BTreeMap::from([
        ("module.a[0].value.part".to_owned(), part("first")),
        ("module.a[1].value.part".to_owned(), part("second")),
    ]));
    assert_eq!(eval(&config, &known, "module.a[0].ids[0]"), Value::from("first"));
    assert_eq!(eval(&config, &known, "module.a[1].ids[0]"), Value::from("second"));
}

#[test]
fn modules_feed_each_other_however_many_there_are() {
    let stage =
        "variable \"in\" { type = number }\nlocals { next = var.in + 1 }\noutput \"out\" { value = local.next }\n";
    let mut fleet = "module \"m0\" {\n  source = \"./stage\"\n  in = 0\n}\n".to_owned();
    for i in 1..1_000 {
        fleet.push_str(&format!(
            "module \"m{i}\" {{\n  source = \"./stage\"\n  in = module.m{}.out\n}}\n",
            i - 1
        ));
    }
    let config = load(&[("fleet.hcl", &fleet), ("stage/stage.hcl", stage)]);
    assert_eq!(shown(&config, "module.m999.out"), "1000");
}

#[test]
fn a_module_lies_in_a_module() {
    let outer = "variable \"n\" {}\nmodule \"inner\" {\n  source = \"../inner\"\n  count = var.n\n  i = count.index\n}\n\
                 output \"all\" { value = module.inner[*].double }\n";
    let inner =
        "variable \"i\" { type = number }\nvalue \"v\" { input = var.i }\noutput \"double\" { value = var.i * 2 }\n";
    let config = load(&[
        ("fleet.hcl", "module \"outer\" {\n  source = \"./outer\"\n  n = 3\n}\n"),
        ("outer/o.hcl", outer),
        ("inner/i.hcl", inner),
    ]);
    assert_eq!(shown(&config, "module.outer.all"), "[\n  0,\n  2,\n  4,\n]");
    let addresses: Vec<String> = config
        .modules()
        .iter()
        .flat_map(|module| &module.declarations)
        .map(|declaration| declaration.address.to_string())
        .collect();
    assert_eq!(addresses, ["module.outer.module.inner.value.v"]);
    let again = load_sources(&config.sources(), &inputs()).expect("it loads from its sources");
    assert_eq!(shown(&again.0, "module.outer.all"), "[\n  0,\n  2,\n  4,\n]");
}

#[test]
fn what_a_resource_needs_is_found_through_modules() {
    let config = lab("value \"first\" {}\n\
         value \"size\" { input = 2 }\n\
         module \"a\" {\n  source = \"./lab\"\n  size = 2\n  name = value.first.id\n}\n\
         module \"b\" {\n  source = \"./lab\"\n  count = length(value.size.id)\n  size = 1\n}\n\
         value \"reads\" { input = module.a.ids }\n\
         value \"names\" { input = module.a.names }\n\
         value \"after\" { depends_on = [module.a] }\n\
         value \"folder\" { input = module.a.folder }\n");
    let needs = |module: &str, name: &str| {
        let path: Vec<_> = module.split_terminator('.').map(Into::into).collect();
        let declaration = config
            .module(&path)
            .and_then(|module| module.declaration("value", &[name]));
        let declaration = declaration.expect("it is declared");
        let needs = config.needs(declaration, &declaration.references());
        let mut needs: Vec<_> = needs.iter().map(|need| need.declaration.address.to_string()).collect();
        needs.sort();
        needs.join(" ")
    };
    assert_eq!(needs("a", "part"), "value.first");
    assert_eq!(needs("b", "part"), "value.size");
    assert_eq!(needs("", "reads"), "module.a.value.part");
    assert_eq!(needs("", "names"), "value.first");
    // What its outputs need too: they are part of it.
    assert_eq!(needs("", "after"), "module.a.value.part value.first");
    assert_eq!(needs("", "folder"), "");
}

#[test]
fn a_provider_is_handed_over_or_inherited() {
    let config = load(&[
        (
            "fleet.hcl",
            "provider \"local\" {}\n\
             provider \"local\" {\n  alias = \"other\"\n  data_dir = \"/other\"\n}\n\
             module \"plain\" { source = \"./m\" }\n\
             module \"other\" {\n  source = \"./m\"\n  providers = { local = local.other, local.spare = local }\n}\n",
        ),
        ("m/m.hcl", "module \"in\" { source = \"../n\" }\n"),
        ("n/n.hcl", "value \"v\" {}\n"),
    ]);
    let dir = |module: &str, alias: Option<&str>| {
        let path: Vec<_> = module.split('.').map(Into::into).collect();
        let found = config.provider_in(&path, "local", alias)?;
        Some(found.alias.as_deref().unwrap_or("").to_owned())
    };
    assert_eq!(dir("plain", None).as_deref(), Some(""));
    assert_eq!(dir("plain.in", None).as_deref(), Some(""));
    assert_eq!(dir("other", None).as_deref(), Some("other"));
    assert_eq!(dir("other.in", None).as_deref(), Some("other"));
    assert_eq!(dir("other", Some("spare")).as_deref(), Some(""));
    assert_eq!(dir("plain", Some("other")), None);
}

/// Returns what a user sees of each fleet and module with a mistake.
fn broken(cases: &[(&str, &str, &str)]) -> String {
    let mut report = String::new();
    for (name, fleet, module) in cases {
        let files = [("fleet.hcl", *fleet), ("m/m.hcl", *module)];
        let told = match load_texts(&files, &inputs()) {
            Err(found) => diagnostics::render(&found, Theme::Plain),
            Ok(_) => panic!("{name} is no mistake"),
        };
        report.push_str(&format!("## {name}\n{told}\n"));
    }
    report
}

#[test]
fn mistakes_in_calls_of_modules() {
    let m = "variable \"size\" { type = number }\noutput \"out\" { value = var.size }\n";
    snapshot!(broken(&[
        ("no source", "module \"a\" { size = 1 }", m),
        (
            "a source of a registry",
            "module \"a\" {\n  source = \"hashicorp/lab\"\n  size = 1\n}",
            m
        ),
        (
            "a source that is no string",
            "module \"a\" {\n  source = 5\n  size = 1\n}",
            m
        ),
        (
            "a source that is no constant",
            "module \"a\" {\n  source = local.x\n  size = 1\n}",
            m
        ),
        ("itself", "module \"a\" { source = \"./\" }", m),
        ("a variable is missing", "module \"a\" { source = \"./m\" }", m),
        (
            "an unknown variable",
            "module \"a\" {\n  source = \"./m\"\n  sise = 1\n  size = 2\n}",
            m
        ),
        (
            "a version",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n  version = \"1.0\"\n}",
            m
        ),
        ("another type", "module \"a\" {\n  source = \"./m\"\n  size = [1]\n}", m),
        (
            "an unknown module",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n}\noutput \"o\" { value = module.b.out }",
            m
        ),
        (
            "an unknown output",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n}\noutput \"o\" { value = module.a.oud }",
            m
        ),
        (
            "a module with count",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n  count = 2\n}\noutput \"o\" { value = module.a.out }",
            m
        ),
        (
            "a module without count",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n}\noutput \"o\" { value = module.a[0].out }",
            m
        ),
        (
            "both",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n  count = 2\n  for_each = {}\n}",
            m
        ),
        (
            "count.index without count",
            "module \"a\" {\n  source = \"./m\"\n  size = count.index\n}",
            m
        ),
        (
            "no map of providers",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n  providers = local\n}",
            m
        ),
        (
            "a provider that is not there",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n  providers = { local = local.east }\n}",
            m
        ),
        (
            "twice",
            "module \"a\" {\n  source = \"./m\"\n  size = 2\n}\nmodule \"a\" {\n  source = \"./m\"\n  size = 2\n}",
            m
        ),
    ]));
}

#[test]
fn mistakes_in_modules() {
    let call = "module \"a\" { source = \"./m\" }\nvalue \"outer\" {}\nvariable \"top\" { default = 1 }";
    snapshot!(broken(&[
        ("syntax", call, "value \"v\" {\n  input = \n}"),
        ("a variable of the fleet", call, "value \"v\" { input = var.top }"),
        (
            "a resource of the fleet",
            call,
            "value \"v\" { input = value.outer.id }"
        ),
        ("a provider of its own", call, "provider \"local\" {}"),
        ("a provider by alias", call, "node \"n\" { provider = local.east }"),
        (
            "an import",
            call,
            "value \"v\" {}\nimport {\n  to = value.v\n  id = \"x\"\n}"
        ),
        ("an unknown attribute", call, "value \"v\" { inputs = 1 }"),
        (
            "an error of an expression",
            call,
            "locals { x = [1][3] }\nvalue \"v\" { input = local.x }"
        ),
        (
            "a validation",
            call,
            "variable \"n\" {\n  default = 3\n  validation {\n    condition = var.n < 3\n    error_message = \"too many\"\n  }\n}"
        ),
        ("a secret output", call, "output \"o\" { value = sensitive(1) }"),
        (
            "a version that is not this one",
            call,
            "simfleet { required_version = \">= 9\" }"
        ),
        (
            "moved that is still there",
            call,
            "value \"v\" {}\nmoved {\n  from = value.v\n  to = value.w\n}"
        ),
        (
            "moved to two places",
            call,
            "value \"v\" {}\nmoved {\n  from = value.a\n  to = value.v\n}\nmoved {\n  from = value.a\n  to = value.b\n}"
        ),
        (
            "moved in a circle",
            call,
            "moved {\n  from = module.a\n  to = module.b\n}\nmoved {\n  from = module.b\n  to = module.a\n}"
        ),
    ]));
}

#[test]
fn modules_that_need_themselves() {
    let m = "variable \"in\" {}\nvalue \"v\" { input = var.in }\noutput \"out\" { value = value.v.output }\n";
    snapshot!(broken(&[
        (
            "an output as input",
            "module \"a\" {\n  source = \"./m\"\n  in = module.a.out\n}",
            m
        ),
        (
            "through a resource",
            "module \"a\" {\n  source = \"./m\"\n  in = value.x.id\n}\nvalue \"x\" { input = module.a.out }",
            m
        ),
        (
            "through a count",
            "module \"a\" {\n  source = \"./m\"\n  in = 1\n  count = length(value.x.input)\n}\nvalue \"x\" { input = module.a[0].out }",
            m
        ),
        (
            "through depends_on",
            "module \"a\" {\n  source = \"./m\"\n  in = 1\n  depends_on = [value.x]\n}\nvalue \"x\" { depends_on = [module.a] }",
            m
        ),
    ]));
}
