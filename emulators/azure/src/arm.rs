//! What ARM does with every request before a kind has its say: tokens, versions, throttling, faults, paths.

use axum::http::Method;
use serde_json::{Value, json};

use crate::fault::CallFault;
use crate::kind::Kind;
use crate::message::{Answer, ArmError, Request, Result};
use crate::world::{Asked, Place, World};

/// What becomes of a call.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer, none where the connection is closed without one.
    pub answer: Option<Answer>,
    /// The status of what was done, also where nobody is told.
    pub status: u16,
    /// How many milliseconds of real time it comes later.
    pub delay_ms: u64,
}

impl World {
    /// Answers a request.
    pub fn answer(&mut self, request: &Request) -> Reply {
        let target = match request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
        {
            query if query.is_empty() => request.path.clone(),
            query => format!("{}?{}", request.path, query.join("&")),
        };
        let fault = self.faults.meet(&request.method, &target, &mut self.draw);
        let CallFault {
            loses_reply,
            loses_request,
            refuses,
            delay_ms,
        } = fault;
        if loses_request {
            return Reply {
                answer: None,
                status: 0,
                delay_ms,
            };
        }
        let answer = match refuses {
            Some(error) => error.into(),
            None => self.carry_out(request).unwrap_or_else(Answer::from),
        };
        Reply {
            status: answer.status,
            answer: (!loses_reply).then(|| self.with_headers(answer, request)),
            delay_ms,
        }
    }

    fn carry_out(&mut self, request: &Request) -> Result<Answer> {
        if let Some(answer) = self.before_arm(request) {
            return answer;
        }
        self.check_token(request)?;
        let version = request.api_version();
        if version.is_empty() {
            return Err(ArmError::bad(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        }
        let date = version.get(..10).unwrap_or_default();
        if date.parse::<jiff::civil::Date>().is_err() || !matches!(version.get(10..), Some("" | "-preview" | "-beta")) {
            return Err(ArmError::bad(
                "InvalidApiVersionParameter",
                format!("The api-version '{version}' is invalid. The format is yyyy-MM-dd with an optional -preview."),
            ));
        }
        let known = self
            .options
            .subscriptions
            .keys()
            .any(|id| id.eq_ignore_ascii_case(request.step(1).as_str()));
        if request.step(0) == "subscriptions" && request.steps.len() > 1 {
            if !known {
                let id = &request.steps[1];
                return Err(ArmError::new(
                    404,
                    "SubscriptionNotFound",
                    format!("The subscription '{id}' could not be found."),
                ));
            }
            self.throttle(request)?;
        }
        self.route(request)
    }

    fn route(&mut self, request: &Request) -> Result<Answer> {
        let steps: Vec<String> = request.steps.iter().map(|step| step.to_lowercase()).collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let get = request.method == Method::GET;
        match steps.as_slice() {
            ["subscriptions"] if get => Ok(self.subscriptions()),
            ["tenants"] if get => Ok(self.tenants()),
            ["subscriptions", id] if get => self.subscription(id),
            ["subscriptions", id, "locations"] if get => Ok(self.locations(id)),
            ["subscriptions", id, "providers"] if get => Ok(self.providers(id)),
            ["subscriptions", id, "providers", namespace] if get => self.provider(id, namespace),
            ["subscriptions", id, "providers", namespace, "register"] if request.method == Method::POST => {
                self.register(id, namespace)
            }
            ["subscriptions", _, "operationresults", id] if get => self.follow(request, id, true),
            ["subscriptions", _, "resourcegroups"] if get => Ok(self.list_groups(request)),
            ["subscriptions", _, "resourcegroups", _] => self.on_group(request),
            ["subscriptions", _, "resources"] | ["subscriptions", _, "resourcegroups", _, "resources"] if get => {
                self.list_resources(request)
            }
            [.., "providers", "microsoft.insights", what] if steps.len() > 5 && get => self.insights(request, what),
            ["subscriptions", _, "providers", "microsoft.insights", "metrics"]
                if get || request.method == Method::POST =>
            {
                self.metrics_of_many(request)
            }
            ["subscriptions", _, "providers", "microsoft.compute", "skus"] if get => Ok(self.skus(request)),
            [
                "subscriptions",
                id,
                "providers",
                namespace,
                "locations",
                location,
                rest @ ..,
            ] if get => match rest {
                ["operations", operation] => self.follow(request, operation, request.query.contains_key("monitor")),
                ["operationresults", operation] => self.follow(request, operation, true),
                ["usages"] => Ok(self.usages(id, namespace, location)),
                ["vmsizes"] => Ok(self.vm_sizes()),
                ["virtualmachines"] => self.list(request, Kind::Machine, None),
                ["publishers", image @ ..] => self.images(request, location, image),
                _ => Err(nothing_at(request)),
            },
            ["subscriptions", _, "providers", namespace, kind] if get => match Kind::find(namespace, kind) {
                Some(kind) => self.list(request, kind, None),
                None => Err(no_kind(namespace, kind)),
            },
            [
                "subscriptions",
                id,
                "resourcegroups",
                group,
                "providers",
                namespace,
                kind,
                rest @ ..,
            ] => {
                let kind = Kind::find(namespace, kind).ok_or_else(|| no_kind(namespace, kind))?;
                self.in_group(request, id, group, kind, rest)
            }
            _ => Err(nothing_at(request)),
        }
    }

    fn in_group(&mut self, request: &Request, id: &str, group: &str, kind: Kind, rest: &[&str]) -> Result<Answer> {
        let found = self.group(id, group)?.clone();
        if rest.is_empty() {
            return match request.method {
                Method::GET => self.list(request, kind, Some(&found)),
                _ => Err(nothing_at(request)),
            };
        }
        let name = request.steps[7].clone();
        let id = format!("{}/providers/{}/{name}", found.id, kind.name());
        let existing = self.resources.get(&id.to_lowercase());
        let asked = Asked {
            request,
            place: Place {
                subscription: request.steps[1].clone(),
                group: found.name.clone(),
                location: existing.map_or_else(|| found.location.clone(), |existing| existing.location.clone()),
            },
            kind,
            id: existing.map_or(id, |existing| existing.id.clone()),
            name,
        };
        match (&request.method, &rest[1..]) {
            (&Method::GET, []) => self.get(&asked),
            (&Method::HEAD, []) => self.get(&asked).map(|_| Answer::empty(204)),
            (&Method::PUT, []) => self.put(&asked),
            (&Method::PATCH, []) => self.patch(&asked),
            (&Method::DELETE, []) => self.delete(&asked),
            (_, inside) if kind == Kind::Machine => self.on_machine(&asked, inside),
            (_, inside) if kind == Kind::ScaleSet => self.on_scale_set(&asked, inside),
            (_, inside) => self.on_child(&asked, inside),
        }
    }

    /// Adds the headers that every answer has.
    fn with_headers(&mut self, mut answer: Answer, request: &Request) -> Answer {
        let id = self.draw.guid();
        let correlation = request
            .header("x-ms-correlation-request-id")
            .map_or_else(|| id.clone(), str::to_owned);
        let routing = format!("EMULATED:{}:{correlation}", self.now.strftime("%Y%m%dT%H%M%SZ"));
        answer = answer
            .with("x-ms-request-id", id)
            .with("x-ms-correlation-request-id", correlation)
            .with("x-ms-routing-request-id", routing)
            .with("cache-control", "no-cache")
            .with("pragma", "no-cache")
            .with("strict-transport-security", "max-age=31536000; includeSubDomains")
            .with("x-content-type-options", "nosniff");
        if let Some(id) = request.header("x-ms-client-request-id") {
            answer = answer.with("x-ms-client-request-id", id);
        }
        if answer.status == 401 && request.header("metadata").is_none() {
            let tenant = &self.options.tenant;
            let challenge = format!(
                "Bearer authorization_uri=\"{}/{tenant}\", error=\"invalid_token\", error_description=\"The access token is missing, \
                 invalid or expired.\"",
                request.base
            );
            answer = answer.with("www-authenticate", challenge);
        }
        self.remaining(answer, request)
    }
}

/// 404: there is no such path.
pub(crate) fn nothing_at(request: &Request) -> ArmError {
    ArmError::new(
        404,
        "InvalidResourceType",
        format!(
            "There is nothing at {} {} in the emulator.",
            request.method, request.path
        ),
    )
}

fn no_kind(namespace: &str, kind: &str) -> ArmError {
    ArmError::new(
        404,
        "InvalidResourceType",
        format!("The resource type '{kind}' could not be found in the namespace '{namespace}'."),
    )
}

/// Makes the body of a list.
pub(crate) fn value(items: Vec<Value>) -> Answer {
    Answer::json(200, json!({ "value": items }))
}
