//! What is inside of another object and has a path of its own: subnets, rules, pools.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::kind::Kind;
use crate::message::{Answer, ArmError, Result};
use crate::operation::{Effect, Family};
use crate::resource::{Resource, State, items, object, text};
use crate::world::{Asked, World};

impl World {
    /// Answers at `…/{list}` and `…/{list}/{name}`.
    pub(crate) fn on_child(&mut self, asked: &Asked, inside: &[&str]) -> Result<Answer> {
        let wanted = inside.first().copied().unwrap_or_default();
        let Some(list) = asked
            .kind
            .children()
            .iter()
            .find(|list| list.eq_ignore_ascii_case(wanted))
        else {
            return Err(crate::arm::nothing_at(asked.request));
        };
        let parent = self
            .resources
            .get(&asked.key())
            .ok_or_else(|| crate::objects::not_found(asked))?
            .clone();
        let method = &asked.request.method;
        let writable = asked.kind.puttable().contains(list);
        match (method, inside.len()) {
            (&Method::GET, 1) => {
                let shown = self.show(&parent);
                let children = shown
                    .pointer(&format!("/properties/{list}"))
                    .cloned()
                    .unwrap_or(json!([]));
                Ok(Answer::json(200, json!({ "value": children })))
            }
            (&Method::GET, 2) => {
                let name = &asked.request.steps[9];
                let child = self.child(&parent, list, name);
                let child = child.ok_or_else(|| no_child(&parent, list, name))?;
                Ok(Answer::json(200, child).with("etag", parent.etag()))
            }
            (&Method::PUT, 2) if writable => self.put_child(asked, parent, list),
            (&Method::DELETE, 2) if writable => self.delete_child(asked, parent, list),
            _ => Err(crate::arm::nothing_at(asked.request)),
        }
    }

    fn child(&self, parent: &Resource, list: &str, name: &str) -> Option<Value> {
        let shown = self.show(parent);
        let children = shown.pointer(&format!("/properties/{list}"))?.as_array()?;
        let is_it = |child: &&Value| {
            child["name"]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        children.iter().find(is_it).cloned()
    }

    fn put_child(&mut self, asked: &Asked, parent: Resource, list: &str) -> Result<Answer> {
        let name = asked.request.steps[9].clone();
        let Value::Object(mut child) = asked.request.body.clone() else {
            return Err(ArmError::bad(
                "InvalidRequestContent",
                "The request content was invalid: an object is expected.",
            ));
        };
        self.check_free(asked, &parent)?;
        child.insert("name".to_owned(), json!(name));
        let mut body = parent.body.clone();
        let properties = object(&mut body, "properties");
        let existed = replace(properties, list, &name, Some(child));
        let child_asked = Asked {
            id: parent.id.clone(),
            name: parent.name.clone(),
            ..asked.clone()
        };
        let made = match asked.kind {
            Kind::VirtualNetwork => self.make_virtual_network(&child_asked, body, Some(&parent))?,
            Kind::SecurityGroup => crate::network::security_group::make(body)?,
            _ => self.make_load_balancer(&child_asked, body, Some(&parent))?,
        };
        self.check_references(&child_asked, &made)?;
        let operation = self.change_parent(&child_asked, parent, made.body);
        let shown = self
            .resources
            .get(&asked.key())
            .and_then(|parent| self.child(parent, list, &name));
        let answer = Answer::json(if existed { 200 } else { 201 }, shown.unwrap_or(Value::Null));
        Ok(self.with_operation(answer, &operation, asked, false))
    }

    fn delete_child(&mut self, asked: &Asked, parent: Resource, list: &str) -> Result<Answer> {
        let name = asked.request.steps[9].clone();
        let mut body = parent.body.clone();
        if !replace(object(&mut body, "properties"), list, &name, None) {
            return Ok(Answer::empty(204));
        }
        self.check_free(asked, &parent)?;
        match asked.kind {
            Kind::VirtualNetwork => self.check_subnet_unused(&parent, &name)?,
            Kind::LoadBalancer => self.check_pool_unused(&parent, &name)?,
            _ => {}
        }
        let operation = self.change_parent(asked, parent, body);
        Ok(self.with_operation(Answer::empty(202), &operation, asked, true))
    }

    /// One change of a parent at a time: the network refuses a second.
    fn check_free(&self, asked: &Asked, parent: &Resource) -> Result<()> {
        if parent.state == State::Deleting {
            return Err(crate::objects::not_found(asked));
        }
        let Some(other) = self.under_way_on(&parent.key()).filter(|_| parent.state.is_under_way()) else {
            return Ok(());
        };
        let mut error = ArmError::new(
            409,
            "AnotherOperationInProgress",
            format!(
                "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: \
                 {}.",
                other.urls(asked.request).0
            ),
        );
        error.retry_after = self.pace.retry_after;
        Err(error)
    }

    fn change_parent(
        &mut self,
        asked: &Asked,
        mut parent: Resource,
        body: Map<String, Value>,
    ) -> crate::operation::Operation {
        parent.body = body;
        parent.version += 1;
        parent.state = State::Updating;
        let key = parent.key();
        self.keep(parent);
        self.begin(
            Family::Network,
            &asked.place,
            &key,
            self.pace.network_ms,
            Effect::Settle,
        )
    }
}

fn no_child(parent: &Resource, list: &str, name: &str) -> ArmError {
    ArmError::new(
        404,
        "NotFound",
        format!("Resource {}/{list}/{name} not found.", parent.id),
    )
}

/// Replaces, adds or removes the member of a list with a name. Returns whether there was one.
fn replace(properties: &mut Map<String, Value>, list: &str, name: &str, with: Option<Map<String, Value>>) -> bool {
    let existed =
        items(properties, list).any(|item| text(item, "name").is_some_and(|known| known.eq_ignore_ascii_case(name)));
    let entry = properties.entry(list.to_owned()).or_insert_with(|| json!([]));
    let Value::Array(items) = entry else {
        return existed;
    };
    let place = items.iter().position(|item| {
        item["name"]
            .as_str()
            .is_some_and(|known| known.eq_ignore_ascii_case(name))
    });
    match (place, with) {
        (Some(place), Some(with)) => items[place] = Value::Object(with),
        (None, Some(with)) => items.push(Value::Object(with)),
        (Some(place), None) => {
            items.remove(place);
        }
        (None, None) => {}
    }
    existed
}
