//! What a machine does when it first boots: cloud-init.

use simfleet_provider_api::Value;

use super::super::Lowering;
use crate::config::Record;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Returns what cloud-init is told; `null` where a node has no `bootstrap`.
pub(super) fn user_data(lowering: &Lowering<'_>, record: &Record, user: &Value) -> Result<Value, Diagnostics> {
    let Some(bootstrap) = record.blocks("bootstrap").next() else {
        return Ok(Value::NULL);
    };
    let span = |name: &str| bootstrap.attribute_span(name).unwrap_or(bootstrap.span()).clone();
    let is = |name: &str| bootstrap.get(name).and_then(Value::as_bool).unwrap_or_default();
    if is("agent") && bootstrap.attribute_span("agent").is_some() {
        let detail = "The simfleet agent is not installed on machines by this version.".to_owned();
        return Err(wrong(lowering, "Not available yet", detail, span("agent"))
            .hint("docker = true installs Docker")
            .into());
    }
    let own = bootstrap.get("user_data").filter(|own| !own.is_null());
    let prepull = bootstrap.get("prepull").filter(|list| !list.is_null());
    let images = prepull.and_then(Value::as_slice).unwrap_or_default();
    match (own, is("docker") || !images.is_empty()) {
        (Some(own), false) => Ok(own.clone()),
        (None, false) => Ok(Value::NULL),
        (Some(_), true) => {
            let detail = "A machine is told either `user_data` or what `docker` and `prepull` make of it.".to_owned();
            Err(wrong(lowering, "Conflicting attributes", detail, span("user_data")).into())
        }
        (None, true) => {
            let parts = images.iter().chain([user]);
            if let Some(unknown) = parts.into_iter().chain(prepull).find_map(Value::unknown_origin) {
                return Ok(Value::unknown(unknown));
            }
            let images = images.iter().filter_map(Value::as_str);
            Ok(cloud_config(user.as_str().unwrap_or_default(), images).into())
        }
    }
}

/// Returns the cloud-init that installs Docker and pulls images. JSON is YAML: nothing in it has to be quoted otherwise.
fn cloud_config<'i>(user: &str, images: impl Iterator<Item = &'i str>) -> String {
    let mut commands = vec![
        serde_json::json!(["systemctl", "enable", "--now", "docker"]),
        serde_json::json!(["usermod", "-aG", "docker", user]),
    ];
    commands.extend(images.map(|image| serde_json::json!(["docker", "pull", image])));
    let commands: String = commands.iter().map(|command| format!("  - {command}\n")).collect();
    format!("#cloud-config\npackage_update: true\npackages: [\"docker.io\"]\nruncmd:\n{commands}")
}

fn wrong(lowering: &Lowering<'_>, summary: &'static str, detail: String, span: Span) -> Diagnostic {
    Diagnostic::error(summary, detail).on(lowering.address.clone()).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_installed_and_images_are_pulled() {
        insta::assert_snapshot!(cloud_config("ann", ["busybox:1", "a\": b"].into_iter()), @r##"
        #cloud-config
        package_update: true
        packages: ["docker.io"]
        runcmd:
          - ["systemctl","enable","--now","docker"]
          - ["usermod","-aG","docker","ann"]
          - ["docker","pull","busybox:1"]
          - ["docker","pull","a\": b"]
        "##);
    }
}
