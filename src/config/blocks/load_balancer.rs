//! `load_balancer`: what spreads requests over the members of a pool.

use super::health_check;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Returns the schema of each kind.
pub(super) fn schemas() -> [BlockSchema; 3] {
    let shared = |kind: &str, doc, algorithms| {
        BlockSchema::new("load_balancer", doc)
            .kind(kind)
            .labels(&["kind"])
            .attributes([
                AttributeSchema::one_of("algorithm", algorithms, "which member gets a request"),
                AttributeSchema::port("port", "the port of each member").required(),
            ])
            .optional(health_check::schema())
            .later()
    };
    let nginx = shared(
        "nginx",
        "An nginx on a node spreads requests over the members.",
        &["round_robin", "least_conn", "ip_hash"],
    );
    let oci = shared(
        "oci",
        "A load balancer of OCI spreads requests over the members.",
        &["round_robin", "least_connections", "ip_hash"],
    );
    let azure = shared(
        "azure",
        "A load balancer of Azure spreads requests over the members.",
        &["default", "source_ip", "source_ip_protocol"],
    );
    [
        nginx
            .attributes([
                AttributeSchema::reference("node", &["node"], "the node that it runs on").required(),
                AttributeSchema::port("listen", "the port at which it listens").required(),
                AttributeSchema::string("file", "the file of its upstream").required(),
                AttributeSchema::strings("test", "the command that tests the file"),
                AttributeSchema::strings("reload", "the command that has it read the file"),
                AttributeSchema::count("max_fails", 0, "after how many failures a member is left out").default(3u64),
                AttributeSchema::duration("fail_timeout", "for how long").default("10s"),
            ])
            .rule(tested),
        azure,
        oci.attributes([
            AttributeSchema::string("id", "its identity at OCI").required(),
            AttributeSchema::string("backend_set", "the set that members are in").required(),
        ]),
    ]
}

fn tested(record: &Record, found: &mut Diagnostics) {
    if record.get("reload").is_some() && record.get("test").is_none() {
        let detail = "`reload` is set and `test` is not: a file with a mistake would take nginx down.";
        let span = record.attribute_span("reload").cloned();
        let diagnostic = Diagnostic::error("E27 nginx reload without a test", detail).at(span);
        found.push(diagnostic.hint("for example test = [\"nginx\", \"-t\"]"));
    }
}
