//! What a user sees of each mistake.

use super::{QUICKSTART, inputs, load_text, load_texts, snapshot};
use crate::view::{Theme, diagnostics};

/// Loads texts with mistakes and returns what a user sees of each.
pub(super) fn report<'a>(cases: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut report = String::new();
    for (name, text) in cases {
        let told = match load_text(&text) {
            Err(found) => diagnostics::render(&found, Theme::Plain),
            Ok(_) => panic!("{name} is no mistake"),
        };
        report.push_str(&format!("## {name}\n{told}\n"));
    }
    report
}

/// Each is the quickstart with one text of it replaced by another.
fn edited(edits: &[(&'static str, &'static str, &'static str)]) -> String {
    report(edits.iter().map(|(name, from, to)| {
        assert!(QUICKSTART.contains(from), "{name}: the quickstart has no {from:?}");
        (*name, QUICKSTART.replacen(from, to, 1))
    }))
}

#[test]
fn limits_of_a_provider() {
    snapshot!(edited(&[
        (
            "none at once",
            "provider \"local\" {}",
            "provider \"local\" { parallelism = 0 }"
        ),
        (
            "no rate",
            "provider \"local\" {}",
            "provider \"local\" { rate_limit = { burst = 5 } }"
        ),
        (
            "a rate of nothing",
            "provider \"local\" {}",
            "provider \"local\" { rate_limit = { per_second = 0, burts = 5 } }"
        ),
    ]));
}

#[test]
fn one_mistake_of_syntax() {
    snapshot!(edited(&[
        ("a brace is missing", "    max = 4\n", "    max = 4 }\n"),
        ("a block is not closed", "  drain {\n", "  drain {\n  {\n"),
        (
            "the last brace is missing",
            "udp://${v.node.address}:${v.ports.gcs}\" }\n}",
            "udp://${v.node.address}:${v.ports.gcs}\" }\n"
        ),
        ("single quotes", "pool \"field\"", "pool 'field'"),
        ("single quotes around a value", "\"30s\"", "'30s'"),
        (
            "a colon for an equals sign",
            "type     = \"mavlink_heartbeat\"",
            "type: \"mavlink_heartbeat\""
        ),
        (
            "a string that does not end",
            "\"mavlink_heartbeat\"",
            "\"mavlink_heartbeat"
        ),
        (
            "two attributes on a line",
            "    min = 2\n    max = 4",
            "    min = 2 max = 4"
        ),
        ("an attribute twice", "    max = 4\n", "    max = 4\n    max = 5\n"),
        ("a value is missing", "provider = local", "provider ="),
        (
            "two attributes in one line's block",
            "port \"gcs\" { range = \"mavlink\" }",
            "port \"gcs\" { range = \"mavlink\", protocol = \"udp\" }"
        ),
        (
            "a bracket is missing",
            "{ latitude = 47.397742",
            "{ latitude = (47.397742"
        ),
        ("a template does not end", "${v.node.address}", "${v.node.address"),
        ("an unknown operator", "var.vehicles >= 1", "var.vehicles => 1"),
        ("a comment does not end", "# A whole fleet", "/* A whole fleet"),
        (
            "a comment in a block does not end",
            "  provider = local",
            "  /* provider = local"
        ),
        (
            "a string on one line does not end",
            "port \"gcs\" { range = \"mavlink\" }",
            "port \"gcs\" { range = \"mavlink }"
        ),
        (
            "a string in a template does not end",
            "\"How many vehicles to fly\"",
            "\"${1 + \""
        ),
        (
            "a directive does not end",
            "\"How many vehicles to fly\"",
            "\"%{ if true }a\""
        ),
        (
            "a directive in a heredoc does not end",
            "\"How many vehicles to fly\"",
            "<<EOT\n%{ if true }\nEOT\n"
        ),
        ("a heredoc does not end", "\"How many vehicles to fly\"", "<<EOT\nfly"),
        ("an unknown escape", "\"How many vehicles to fly\"", "\"C:\\quick\""),
        (
            "an escape without its digits",
            "\"How many vehicles to fly\"",
            "\"\\u00zz\""
        ),
        ("a semicolon", "    max = 4\n", "    max = 4;\n"),
        (
            "a word for an operator",
            "var.vehicles >= 1 && ",
            "var.vehicles >= 1 and "
        ),
        (
            "a comma is missing in a list",
            "value       = {",
            "value       = [1 2] == {"
        ),
        (
            "a bracket too many",
            "  max_simulators = 4\n",
            "  max_simulators = 4\n}\n}\n}\n"
        ),
        ("curly quotes", "provider \"local\"", "provider “local”"),
    ]));
}

#[test]
fn one_mistake_in_names_of_blocks_and_attributes() {
    snapshot!(edited(&[
        ("provider: unknown", "provider \"local\" {}", "provider \"lokal\" {}"),
        ("provider: no label", "provider \"local\" {}", "provider {}"),
        (
            "provider: unknown setting",
            "provider \"local\" {}",
            "provider \"local\" { datadir = \"x\" }"
        ),
        ("block: unknown", "pool \"field\"", "pol \"field\""),
        ("block: of Terraform", "provider \"local\" {}", "terraform {}"),
        ("block: no label", "pool \"field\"", "pool"),
        ("block: too many labels", "pool \"field\"", "pool \"field\" \"two\""),
        ("block: a label that is no name", "pool \"field\"", "pool \"my field\""),
        ("block: an empty label", "variable \"vehicles\"", "variable \"\""),
        (
            "simulator: unknown kind",
            "simulator \"vehicle\"",
            "simulator \"vehicel\""
        ),
        (
            "simulator: one label",
            "simulator \"vehicle\" \"quad\"",
            "simulator \"quad\""
        ),
        ("attribute: unknown", "max_simulators = 4", "max_simulator = 4"),
        ("attribute: far from any", "max_simulators = 4", "wheels = 4"),
        (
            "attribute: belongs into the block within",
            "provider = local\n",
            "provider = local\n  max_simulators = 4\n"
        ),
        ("attribute: is a block", "autoscale {", "node = 1\n  autoscale {"),
        ("block: is an attribute", "home      = {", "home {"),
        ("attribute: missing", "    max = 4\n", "\n"),
        ("attribute: missing in a block within", "      from     = 14560\n", ""),
        ("attribute: required and null", "    max = 4\n", "    max = null\n"),
        ("block: missing", "  node {\n", "  nodes {\n"),
        ("block: twice", "  drain {\n", "  drain {}\n  drain {\n"),
        ("block: two with one label", "check \"cpu\"", "check \"free_slots\""),
        (
            "block: two strategies",
            "strategy \"target\" { target = 70 }",
            "strategy \"target\" { target = 70 }\n      strategy \"buffer\" { min_ready = 1 }"
        ),
        ("strategy: unknown", "strategy \"buffer\"", "strategy \"bufer\""),
        (
            "declared twice",
            "provider \"local\" {}",
            "pool \"field\" {}\nprovider \"local\" {}"
        ),
        (
            "provider declared twice",
            "provider \"local\" {}",
            "provider \"local\" {}\nprovider \"local\" {}"
        ),
        (
            "attribute outside of blocks",
            "provider \"local\" {}",
            "provider \"local\" {}\nvehicles = 3"
        ),
        ("unknown block in a block", "  drain {\n", "  darin {\n"),
    ]));
}

#[test]
fn one_mistake_in_values() {
    snapshot!(edited(&[
        ("wrong type", "max_simulators = 4", "max_simulators = \"four\""),
        ("negative", "max_simulators = 4", "max_simulators = -1"),
        ("a fraction", "max_simulators = 4", "max_simulators = 1.5"),
        ("more than there can be", "max = 4", "max = 1e9"),
        ("a list", "max_simulators = 4", "max_simulators = [4]"),
        ("not one of the words", "protocol = \"udp\"", "protocol = \"upd\""),
        ("a number for a word", "protocol = \"udp\"", "protocol = 17"),
        ("a duration without a unit", "\"30s\"", "\"30\""),
        ("a duration that is a number", "\"30s\"", "30"),
        ("a duration with another unit", "\"30s\"", "\"30 seconds\""),
        ("a port out of range", "= 14570", "= 145700"),
        ("an empty range of ports", "= 14570", "= 14500"),
        ("a size without a unit", "max_simulators = 4", "memory = 512"),
        ("a size with another unit", "max_simulators = 4", "memory = \"512mb\""),
        ("an unknown field", "altitude_m = 488", "altitude = 488"),
        ("a missing field", "latitude = 47.397742, ", ""),
        ("a field out of range", "latitude = 47.397742", "latitude = 147.397742"),
        (
            "placement on an address as a string",
            "placement = pool.field",
            "placement = \"pool.field\""
        ),
        ("placement on something else", "placement = pool.field", "placement = 7"),
        (
            "placement by a misspelt word",
            "placement = pool.field",
            "placement = \"locl\""
        ),
        ("provider as a string", "provider = local\n", "provider = \"local\"\n"),
        (
            "provider that is not configured",
            "provider = local\n",
            "provider = lokal\n"
        ),
        (
            "provider by an alias that is not there",
            "provider = local\n",
            "provider = local.two\n"
        ),
        (
            "a port range that the pool lacks",
            "range = \"mavlink\"",
            "range = \"mavlnik\"",
        ),
        (
            "a vehicle on a range of another protocol",
            "protocol = \"udp\"",
            "protocol = \"tcp\""
        ),
        (
            "a port without a source",
            "port \"gcs\" { range = \"mavlink\" }",
            "port \"gcs\" { protocol = \"udp\" }"
        ),
        (
            "a port with two sources",
            "port \"gcs\" { range = \"mavlink\" }",
            "port \"gcs\" {\n    range = \"mavlink\"\n    host = 80\n  }"
        ),
        ("a type of variable", "= number", "= numbr"),
        (
            "a default of another type",
            "default     = 3",
            "default     = \"three\""
        ),
        ("a validation that does not hold", "default     = 3", "default     = 17"),
        (
            "a condition that is no truth value",
            "var.vehicles >= 1 && var.vehicles <= 16",
            "\"${var.vehicles} vehicles\""
        ),
        (
            "a validation without its variable",
            "var.vehicles >= 1 && var.vehicles <= 16",
            "true"
        ),
        (
            "a default that is no constant",
            "default     = 3",
            "default     = var.other"
        ),
        (
            "a version that this is not",
            "provider \"local\" {}",
            "simfleet { required_version = \">= 99\" }\nprovider \"local\" {}"
        ),
        (
            "a version that is none",
            "provider \"local\" {}",
            "simfleet { required_version = \"new\" }\nprovider \"local\" {}"
        ),
        ("count: a string", "count     = var.vehicles", "count     = \"many\""),
        ("count: negative", "count     = var.vehicles", "count     = -1"),
        ("count: too many", "count     = var.vehicles", "count     = 1e18"),
        ("count: null", "count     = var.vehicles", "count     = null"),
        ("for_each: a list", "count     = var.vehicles", "for_each  = [\"a\"]"),
        (
            "for_each: numbers",
            "count     = var.vehicles",
            "for_each  = toset([1, 2])"
        ),
        (
            "count and for_each",
            "count     = var.vehicles",
            "count     = 1\n  for_each  = {}"
        ),
        ("a division by zero", "count.index", "1 / 0"),
        (
            "an unknown function",
            "count     = var.vehicles",
            "count     = lenght([1])"
        ),
        (
            "depends_on: a string",
            "instance  = count.index",
            "instance  = count.index\n  depends_on = [\"pool.field\"]"
        ),
        (
            "depends_on: no list",
            "instance  = count.index",
            "instance  = count.index\n  depends_on = pool.field"
        ),
        (
            "ignore_changes: an unknown name",
            "instance  = count.index",
            "instance  = count.index\n  lifecycle { ignore_changes = [instanse] }"
        ),
    ]));
}

#[test]
fn one_mistake_in_references() {
    snapshot!(edited(&[
        ("a variable", "count     = var.vehicles", "count     = var.vehicle"),
        (
            "a variable far from any",
            "count     = var.vehicles",
            "count     = var.n"
        ),
        ("a resource", "placement = pool.field", "placement = pool.feild"),
        (
            "a resource of another block",
            "placement = pool.field",
            "placement = node.field"
        ),
        (
            "a block that is not available",
            "placement = pool.field",
            "placement = network.field"
        ),
        ("a root", "placement = pool.field", "placement = pol.field"),
        ("a bare word", "range = \"mavlink\"", "range = mavlink"),
        ("a bare variable", "count     = var.vehicles", "count     = vehicles"),
        ("an unfinished reference", "placement = pool.field", "placement = pool"),
        (
            "an unfinished reference to a simulator",
            "in simulator.vehicle.quad",
            "in simulator.vehicle"
        ),
        (
            "a local that is not declared",
            "count     = var.vehicles",
            "count     = local.vehicles"
        ),
        (
            "count.index without count",
            "count     = var.vehicles",
            "state     = \"running\""
        ),
        (
            "count.index in count",
            "count     = var.vehicles",
            "count     = count.index"
        ),
        ("count without a name", "count.index", "count"),
        ("each without for_each", "count.index", "each.key"),
        (
            "an instance is missing",
            "in simulator.vehicle.quad :",
            "in [simulator.vehicle.quad.name] :"
        ),
        (
            "an instance of a single resource",
            "placement = pool.field",
            "placement = pool.field[0]"
        ),
        (
            "a key for an index",
            "in simulator.vehicle.quad :",
            "in [simulator.vehicle.quad[\"a\"]] :"
        ),
        (
            "an attribute that a resource lacks",
            "in simulator.vehicle.quad :",
            "in [pool.field.siez] :"
        ),
        ("self", "instance  = count.index", "instance  = self.instance"),
        (
            "member outside of a pool",
            "instance  = count.index",
            "instance  = member.number"
        ),
        ("path", "range = \"mavlink\"", "range = path.modul"),
        (
            "terraform.workspace",
            "range = \"mavlink\"",
            "range = terraform.workspace"
        ),
        (
            "a name in a dead branch",
            "count     = var.vehicles",
            "count     = true ? 1 : var.nothing"
        ),
    ]));
}

#[test]
fn schedules_at_no_time_and_on_no_day() {
    let schedule = |inside: &str| {
        let schedule = format!("  autoscale {{\n    schedule \"s\" {{\n{inside}\n    }}");
        QUICKSTART.replacen("  autoscale {", &schedule, 1)
    };
    snapshot!(report([
        (
            "a schedule at no time of day",
            schedule("timezone = \"UTC\"\nstart = \"9am\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a schedule on no day",
            schedule("timezone = \"UTC\"\ndays = [\"mond\"]\nstart = \"09:00\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a cron expression of four fields",
            schedule("timezone = \"UTC\"\ncron = \"0 9 * *\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a schedule on none of the days",
            schedule("timezone = \"UTC\"\ndays = []\nstart = \"09:00\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a schedule that starts in two ways",
            schedule(
                "timezone = \"UTC\"\ncron = \"0 9 * * *\"\ndays = [\"mon\"]\nstart = \"09:00\"\nend = \"10:00\"\nmin = 3",
            ),
        ),
        (
            "a cron expression of a day that never comes",
            schedule("timezone = \"UTC\"\ncron = \"0 9 30 2 *\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a cron expression of no hour",
            schedule("timezone = \"UTC\"\ncron = \"0 24 * * *\"\nend = \"10:00\"\nmin = 3"),
        ),
        (
            "a schedule in no time zone",
            schedule("timezone = \"Berlin\"\nstart = \"09:00\"\nend = \"10:00\"\nmin = 3"),
        ),
    ]));
}

#[test]
fn cycles_show_each_edge() {
    snapshot!(report([
        ("a local and itself", "locals { a = local.a }".to_owned()),
        (
            "locals in a ring",
            "locals {\n  a = local.b + 1\n  b = [for x in [1] : x + local.c]\n  c = local.a\n  d = local.c\n}"
                .to_owned(),
        ),
        (
            "resources through a local",
            "value \"a\" { input = local.b }\nvalue \"b\" { depends_on = [value.a] }\nlocals { b = value.b.output }"
                .to_owned(),
        ),
    ]));
}

#[test]
fn all_mistakes_of_a_fleet_are_told_at_once() {
    let files = [
        (
            "a.hcl",
            "pool \"p\" {\n  autoscale {\n    min = 3\n    max = 2\n    cooldown = 1\n  }\n}\nlocals { n = var.no }\n",
        ),
        ("b.hcl", "pool \"p\" {\n}\nvalue \"v\" {\n  input = local.no\n}\n"),
        ("c.hcl", "value \"w\" {\n  input = [\n}\n"),
    ];
    let found = load_texts(&files, &inputs()).expect_err("it has mistakes");
    snapshot!(diagnostics::render(&found, Theme::Plain));
}
