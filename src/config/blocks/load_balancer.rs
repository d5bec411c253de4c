//! `load_balancer`: what spreads requests over the members of a pool.

use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{Address, Value};

use super::Placement;
use super::health_check::{self, HealthCheck, HealthCheckType};
use crate::config::decode::Reader;
use crate::config::record::Record;
use crate::config::schema::{AttributeSchema, BlockSchema};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// The label of one that is an nginx.
pub const NGINX: &str = "nginx";

/// An nginx that spreads requests over the members of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Nginx {
    /// The node that it runs on.
    pub node: Address,
    /// Where each member answers.
    pub port: u16,
    /// Where nginx listens; without it something else of its configuration leads to the upstream.
    pub listen: Option<u16>,
    /// Which member gets a request.
    pub algorithm: Option<Arc<str>>,
    /// The file of the upstream. Can be unknown.
    pub file: Value,
    /// The command that tests the configuration: a list. Can be unknown.
    pub test: Option<Value>,
    /// The command that has nginx read it: a list. Can be unknown.
    pub reload: Option<Value>,
    /// After how many failures a member is left out.
    pub max_fails: u64,
    /// For how long: whole seconds.
    pub fail_timeout: Duration,
    /// What a member must answer before it takes part.
    pub health_check: Option<HealthCheck>,
}

/// The label of one that is a load balancer of Azure.
pub const AZURE: &str = "azure";

/// A load balancer of Azure before the members of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct AzureBalancer {
    /// Where it listens, and where each member answers.
    pub port: u16,
    /// What of a client goes to one member.
    pub algorithm: Option<Arc<str>>,
    /// How Azure asks whether a member answers.
    pub health_check: Option<HealthCheck>,
}

impl AzureBalancer {
    /// Returns what of a client goes to one member; nothing where each of its connections may go to another.
    pub fn distribution(&self) -> Option<&str> {
        self.algorithm.as_deref().filter(|algorithm| *algorithm != "default")
    }

    /// Reads a `load_balancer`; `None` where it is none of Azure.
    pub(super) fn decode(record: &Record) -> Result<Option<Self>, Diagnostics> {
        if &*record.label(0) != AZURE {
            return Ok(None);
        }
        let mut reader = Reader::new(record);
        let (port, algorithm) = (reader.take("port"), reader.maybe("algorithm"));
        let health_check = reader.block("health_check", answered);
        let balancer = || {
            Some(Some(AzureBalancer {
                port: port?,
                algorithm: algorithm?,
                health_check: health_check?,
            }))
        };
        let balancer = balancer();
        reader.finish(balancer)
    }
}

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
    };
    let nginx = shared(
        NGINX,
        "An nginx on a node spreads requests over the members.",
        &["round_robin", "least_conn", "ip_hash"],
    );
    let oci = shared(
        "oci",
        "A load balancer of OCI spreads requests over the members.",
        &["round_robin", "least_connections", "ip_hash"],
    );
    let azure = shared(
        AZURE,
        "A load balancer of Azure spreads requests over the members.",
        &["default", "source_ip", "source_ip_protocol"],
    );
    [
        nginx
            .attributes([
                AttributeSchema::reference("node", &["node"], "the node that it runs on").required(),
                AttributeSchema::port(
                    "listen",
                    "the port at which it listens; without it, lead to the upstream by a `server` of your own",
                ),
                AttributeSchema::string("file", "the file of its upstream, which its configuration must include")
                    .required(),
                AttributeSchema::strings("test", "the command that tests its configuration"),
                AttributeSchema::strings("reload", "the command that has it read its configuration"),
                AttributeSchema::count("max_fails", 0, "after how many failures a member is left out").default(3u64),
                AttributeSchema::duration("fail_timeout", "for how long").default("10s"),
            ])
            .rule(tested),
        azure,
        oci.later().attributes([
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

impl Nginx {
    /// Reads a `load_balancer`; `None` where it is no nginx.
    pub(super) fn decode(record: &Record) -> Result<Option<Self>, Diagnostics> {
        if &*record.label(0) != NGINX {
            return Ok(None);
        }
        let mut reader = Reader::new(record);
        let node = node(&mut reader);
        let (port, listen) = (reader.take("port"), reader.maybe("listen"));
        let (algorithm, file) = (reader.maybe("algorithm"), reader.take("file"));
        let (test, reload) = (reader.maybe("test"), reader.maybe("reload"));
        let (max_fails, fail_timeout) = (reader.take("max_fails"), reader.take::<Duration>("fail_timeout"));
        if fail_timeout.is_some_and(|timeout| timeout.subsec_nanos() != 0) {
            let detail = "nginx counts `fail_timeout` in whole seconds.";
            reader.error(Diagnostic::error("Invalid value", detail), "fail_timeout");
        }
        let health_check = reader.block("health_check", answered);
        let nginx = || {
            Some(Some(Nginx {
                node: node?,
                port: port?,
                listen: listen?,
                algorithm: algorithm?,
                file: file?,
                test: test?,
                reload: reload?,
                max_fails: max_fails?,
                fail_timeout: fail_timeout?,
                health_check: health_check?,
            }))
        };
        let nginx = nginx();
        reader.finish(nginx)
    }
}

fn node(reader: &mut Reader<'_>) -> Option<Address> {
    match reader.take::<Placement>("node")? {
        Placement::On(node) => Some(node),
        Placement::Local => None,
    }
}

/// Reads a check that is made over the network.
fn answered(record: &Record) -> Result<HealthCheck, Diagnostics> {
    let check = HealthCheck::decode(record)?;
    match check.kind {
        HealthCheckType::Http | HealthCheckType::Tcp => Ok(check),
        other => {
            let detail = format!(
                "A member of a load balancer answers http or tcp, and not {:?}.",
                other.as_str()
            );
            let span = record.attribute_span("type").unwrap_or(record.span()).clone();
            let hint = "a process of the member can have a `health_check` of its own, of any type";
            Err(Diagnostic::error("Invalid value", detail).at(span).hint(hint).into())
        }
    }
}
