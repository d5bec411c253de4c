//! What is recorded of a fleet.

use serde_json::{Value as Json, json};
use simfleet_provider_api::{Address, Value};
use simfleet_state::{Allocation, HeldState, Hold, Resource, Snapshot, State};

use super::document::{Document, Line, Theme, Tone};
use super::values::{self, hcl};
use super::{FORMAT_VERSION, outputs};

/// Returns the addresses of all recorded objects, one a line.
pub fn list(state: &State) -> String {
    let mut document = Document::new();
    for address in state.resources.keys() {
        document.line(address.to_string());
    }
    for (address, objects) in &state.deposed {
        for key in objects.keys() {
            document.line(format!("{address} (deposed {})", key.0));
        }
    }
    document.render(Theme::Plain)
}

/// Returns all that is recorded, as text.
pub fn render(state: &State, theme: Theme) -> String {
    let mut document = Document::new();
    for (address, resource) in &state.resources {
        fill(state, address, resource, &mut document);
    }
    if !state.outputs.is_empty() {
        document.line(Line::new().tone(Tone::Strong, "Outputs:"));
        document.nest(2, |document| outputs::fill(&state.outputs, document));
    }
    if document.is_empty() {
        document.line("Nothing is recorded.");
    }
    document.render(theme)
}

/// Returns one recorded object, as text; `None` where there is none of that address.
pub fn render_one(state: &State, address: &Address, theme: Theme) -> Option<String> {
    let mut document = Document::new();
    fill(state, address, state.resources.get(address)?, &mut document);
    Some(document.render(theme).trim_end().to_owned() + "\n")
}

fn fill(state: &State, address: &Address, resource: &Resource, document: &mut Document) {
    let declared = &resource.declared;
    let mut head = Line::new().tone(Tone::Strong, address.to_string()).tone(
        Tone::Faint,
        format!("  {} of {}", declared.kind, declared.provider.name),
    );
    let status = status(state, address, resource);
    if let Some(host) = &declared.hosted_on {
        head = head.tone(Tone::Faint, format!(" on {host}"));
    }
    document.line(head.text(format!(", {status}")));
    document.nest(4, |document| {
        if let Some(why) = &resource.tainted {
            document.line(Line::new().tone(Tone::Bad, format!("to be replaced: {why}")));
        }
        let id = values::quote(&resource.object.id.0);
        let attributes = resource.object.attributes.iter();
        let attributes = attributes
            .filter(|(name, _)| &***name != "id")
            .map(|(name, value)| (&**name, hcl(value)));
        let fields: Vec<(&str, String)> = std::iter::once(("id", id)).chain(attributes).collect();
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in fields {
            document.line(format!("{name:<width$} = {value}"));
        }
    });
    document.blank();
}

/// Returns one word for how a recorded object is: what is being done to it, what is wrong with it, or its own status.
fn status(state: &State, address: &Address, resource: &Resource) -> String {
    if let Some(intent) = state.intents.get(address) {
        return match intent.operation.verb() {
            "create" => "creating",
            "update" => "updating",
            _ => "deleting",
        }
        .to_owned();
    }
    if resource.tainted.is_some() {
        return "tainted".to_owned();
    }
    if let Some(hold) = state.holds.get(address) {
        return match hold.state {
            HeldState::Stopped => "held stopped",
            HeldState::Paused => "held paused",
            HeldState::PoweredOff => "held powered off",
        }
        .to_owned();
    }
    let told = resource
        .object
        .attributes
        .get("status")
        .filter(|value| !value.is_sensitive());
    told.and_then(Value::as_str).unwrap_or("present").to_owned()
}

/// Returns a hold as JSON: as what something is held, by whom, since when and until when.
pub fn hold(hold: &Hold) -> Json {
    json!({
        "state": match hold.state {
            HeldState::Stopped => "stopped",
            HeldState::Paused => "paused",
            HeldState::PoweredOff => "powered_off",
        },
        "by": hold.by,
        "since": hold.since.to_string(),
        "until": hold.until.map(|until| until.to_string()),
    })
}

/// Returns whose something is as JSON: since when and until when.
pub fn allocation(allocation: &Allocation) -> Json {
    json!({
        "by": allocation.by,
        "since": allocation.since.to_string(),
        "until": allocation.until.map(|until| until.to_string()),
    })
}

/// Returns all that is recorded, as JSON. What is sensitive is `null`.
pub fn json(snapshot: &Snapshot) -> Json {
    let state = &snapshot.state;
    let resources: Vec<Json> = state
        .resources
        .iter()
        .map(|(address, resource)| one_json(state, address, resource))
        .collect();
    json!({
        "format_version": FORMAT_VERSION,
        "simfleet_version": env!("CARGO_PKG_VERSION"),
        "lineage": snapshot.lineage,
        "serial": state.serial,
        "resources": resources,
        "outputs": outputs::json(&state.outputs),
    })
}

fn one_json(state: &State, address: &Address, resource: &Resource) -> Json {
    let Resource { declared, object, .. } = resource;
    json!({
        "address": address,
        "kind": declared.kind,
        "provider": declared.provider.name,
        "id": object.id,
        "attributes": values::json(&object.attributes.to_value()),
        "depends_on": declared.depends_on,
        "hosted_on": declared.hosted_on,
        "status": status(state, address, resource),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::{at, fleet};

    #[test]
    fn what_is_recorded() {
        let fleet = fleet();
        let text = render(&fleet.state, Theme::Plain);
        let mut json = json(&fleet);
        assert_eq!(json["simfleet_version"], env!("CARGO_PKG_VERSION"));
        json["simfleet_version"] = "[version]".into();
        insta::assert_snapshot!("text", text);
        insta::assert_snapshot!("json", format!("{json:#}"));
        insta::assert_snapshot!("list", list(&fleet.state));
        assert!(!text.contains("hunter2") && !json.to_string().contains("hunter2"));
    }

    #[test]
    fn one_resource() {
        let fleet = fleet();
        let text = render_one(&fleet.state, &at("simulator.exec.web"), Theme::Plain);
        insta::assert_snapshot!("one", text.unwrap_or_default());
        assert_eq!(render_one(&fleet.state, &at("node.none"), Theme::Plain), None);
    }

    #[test]
    fn nothing_recorded() {
        assert_eq!(render(&State::default(), Theme::Plain), "Nothing is recorded.\n");
        assert_eq!(list(&State::default()), "");
    }
}
