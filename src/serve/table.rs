//! All that can be asked: one table, of which the router, who may ask what, and the OpenAPI document are made.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::{Map, Value as Json, json};
use simfleet_state::Role;

use super::{App, console, locks, operations, page, programs, routes, simulators};

/// Something that can be asked.
pub(super) struct Route {
    method: &'static str,
    path: String,
    /// The role that is needed; `None` where nobody has to be known.
    needs: Option<Role>,
    summary: String,
    query: Vec<Parameter>,
    body: Option<Content>,
    answers: Vec<(u16, &'static str, Content)>,
    handler: MethodRouter<App>,
}

/// A parameter of a query: its name, what it is, and its type.
type Parameter = (&'static str, &'static str, &'static str);

/// What is sent or answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// JSON of a schema.
    Json(&'static str),
    /// A list of it.
    Many(&'static str),
    /// Something else, by its type.
    Other(&'static str),
    /// Nothing.
    Nothing,
}

impl Route {
    fn new(method: &'static str, path: impl Into<String>, handler: MethodRouter<App>, needs: Option<Role>) -> Self {
        Route {
            method,
            path: path.into(),
            needs,
            summary: String::new(),
            query: Vec::new(),
            body: None,
            answers: Vec::new(),
            handler,
        }
    }

    fn open<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("get", path, get(handler), None)
    }

    fn get<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("get", path, get(handler), Some(Role::Viewer))
    }

    fn post<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("post", path, post(handler), Some(Role::Operator))
    }

    fn put<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("put", path, put(handler), Some(Role::Operator))
    }

    fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H, needs: Role) -> Self {
        Self::new("delete", path, delete(handler), Some(needs))
    }

    fn says(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    fn query(mut self, name: &'static str, says: &'static str, kind: &'static str) -> Self {
        self.query.push((name, says, kind));
        self
    }

    fn takes(mut self, body: Content) -> Self {
        self.body = Some(body);
        self
    }

    fn answers(mut self, status: u16, says: &'static str, content: Content) -> Self {
        self.answers.push((status, says, content));
        self
    }

    /// What is begun, and can be waited for.
    fn begins(self) -> Self {
        self.query("wait", "for how long to wait for its end at the most: 10s", "string")
            .query(
                "lock_timeout",
                "for how long to wait for others who are at work on the same addresses; 30s without it",
                "string",
            )
            .answers(
                202,
                "It has begun. `Location` says where it is told of.",
                Content::Json("Operation"),
            )
            .answers(
                200,
                "It has ended within the time that was waited.",
                Content::Json("Operation"),
            )
    }
}

/// Returns all that can be asked.
fn table() -> Vec<Route> {
    use Content::{Json, Many, Nothing, Other};
    const HEALTH: &str = "200 while it is so, 503 with the reason otherwise.";
    const TOLD: &str = "What it is now.";
    let mut table = vec![
        Route::open("/", page::page).says("The status page.").answers(200, "The page.", Other("text/html")),
        Route::open("/healthz", routes::health)
            .says("Whether laps are made.")
            .answers(200, HEALTH, Json("Health")),
        Route::open("/health", routes::health)
            .says("The same, for load balancers that ask here.")
            .answers(200, HEALTH, Json("Health")),
        Route::open("/readyz", routes::ready)
            .says("Whether all that is recorded was looked at, and the fleet is kept.")
            .answers(200, HEALTH, Json("Health")),
        Route::get("/metrics", routes::prometheus)
            .says("Metrics, for Prometheus.")
            .answers(200, "Text in the format 0.0.4.", Other("text/plain")),
        Route::get("/v1/openapi.json", document)
            .says("This document.")
            .answers(200, "OpenAPI 3.1.", Json("Document")),
        Route::get("/v1/whoami", routes::whoami)
            .says("Who asks, as what, and from where.")
            .answers(200, TOLD, Json("WhoAmI")),
        Route::get("/v1/watch", routes::loop_itself)
            .says("The loop itself: its last lap, what it is at work on, what is pending.")
            .answers(200, TOLD, Json("Watch")),
        Route::get("/v1/state", routes::recorded)
            .says("What is recorded, as `simfleet show --json` prints it.")
            .answers(200, TOLD, Json("State")),
        Route::get("/v1/nodes", routes::nodes)
            .says("The nodes, as `simfleet nodes --json` prints them.")
            .answers(200, TOLD, Many("Node")),
        Route::get("/v1/pools", routes::all_pools)
            .says("The pools: their size, their last decision and why.")
            .answers(200, TOLD, Many("Pool")),
        Route::get("/v1/pools/{pool}/history", routes::history)
            .says("How large a pool was, how large it was to be, and why.")
            .query("window", "how far back: 30m, 24h", "string")
            .answers(200, "As `simfleet pool history --json` prints it.", Json("History")),
        Route::get("/v1/alerts", routes::alerts)
            .says("What fires: alerts that are declared, and what has failed again and again.")
            .answers(200, TOLD, Many("Alert")),
        Route::get("/v1/overview", routes::overview)
            .says("The loop, pools with their history, nodes, simulators and alerts in one answer: what the status page shows.")
            .query("window", "how far back the histories go: 30m, 24h", "string")
            .answers(200, TOLD, Json("Overview")),
        Route::get("/v1/events", routes::events)
            .says("What happens, as it happens. Who gives `Last-Event-ID` hears what came after it.")
            .query("laps", "whether laps are told, too, at most every second", "boolean")
            .answers(200, "Server-sent events, as `simfleet watch --json` prints them.", Other("text/event-stream")),
        Route::get("/v1/simulators", routes::simulators)
            .says("The simulators, as `simfleet simulators --json` prints them.")
            .answers(200, TOLD, Many("Simulator")),
        Route::get("/v1/simulators/{address}", routes::simulator)
            .says("One simulator.")
            .answers(200, TOLD, Json("Simulator")),
        Route::get("/v1/simulators/{address}/console", console::console)
            .says(
                "What a simulator writes: the last lines as text, or as server-sent events what it writes from now on, with \
                 `Accept: text/event-stream` or `follow`. Of a machine that is its console, of others their log.",
            )
            .query("follow", "whether to go on with what is written", "boolean")
            .query("tail", "how many lines of what was written before; 100 without it, 0 where it goes on", "integer")
            .query("name", "which console of a machine; the first one without it", "string")
            .answers(200, "What it wrote.", Other("text/plain"))
            .answers(200, "What it writes.", Other("text/event-stream")),
        Route::get("/v1/simulators/{address}/snapshots", simulators::snapshots)
            .says("The snapshots of a simulator, oldest first.")
            .answers(200, TOLD, Many("Snapshot")),
        Route::get("/v1/holds", simulators::holds)
            .says("What was stopped or paused by hand, and is held so.")
            .answers(200, TOLD, Many("Hold")),
        Route::delete("/v1/holds/{address}", simulators::end_hold, Role::Operator)
            .says("Ends a hold: the simulator is started.")
            .begins(),
        Route::get("/v1/programs", programs::all)
            .says("The programs that were uploaded, to be loaded into machines.")
            .answers(200, TOLD, Many("Program")),
        Route::post("/v1/programs", programs::upload)
            .says("Uploads a program.")
            .takes(Other("application/octet-stream"))
            .answers(201, "It is kept.", Json("Program"))
            .answers(200, "It was there already.", Json("Program")),
        Route::put("/v1/programs/{sha256}", programs::upload_as)
            .says("Uploads a program of which the SHA-256 is known.")
            .takes(Other("application/octet-stream"))
            .answers(201, "It is kept.", Json("Program"))
            .answers(200, "It was there already.", Json("Program")),
        Route::delete("/v1/programs/{sha256}", programs::forget, Role::Operator)
            .says("Removes a program. What has loaded it may need it when it starts anew.")
            .answers(204, "It is gone.", Nothing),
        Route::get("/v1/operations", operations::all)
            .says("What was asked for, newest first; the newest 1,000 are kept.")
            .answers(200, TOLD, Many("Operation")),
        Route::get("/v1/operations/{id}", operations::one)
            .says("What was asked for, and what became of it.")
            .query("wait", "for how long to wait for its end at the most: 10s", "string")
            .answers(200, TOLD, Json("Operation")),
        Route::get("/v1/locks", locks::all)
            .says("Who holds addresses.")
            .answers(200, TOLD, Many("Lock")),
        Route::delete("/v1/locks/{holder}", locks::unlock, Role::Admin)
            .says("Drops the locks of a run that nobody can wait for, as `simfleet unlock` does. It can record nothing more.")
            .answers(204, "They are dropped.", Nothing),
    ];
    table.extend(simulators::VERBS.iter().map(|verb| {
        let path = format!("/v1/simulators/{{address}}/{}", verb.name);
        Route::new("post", path, simulators::order(verb.name), Some(Role::Operator))
            .says(format!(
                "{} The address can be that of a block with all its instances.",
                verb.says
            ))
            .takes(Json(verb.body))
            .begins()
    }));
    table
}

/// Returns the router.
pub(super) fn router() -> Router<App> {
    table()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(&route.path, route.handler))
}

/// Returns the role that somebody needs: `None` where nobody has to be known. What is not in the table needs one that reads.
pub(super) fn needs(method: &str, path: Option<&str>) -> Option<Role> {
    type Needs = HashMap<(&'static str, String), Option<Role>>;
    static NEEDS: LazyLock<Needs> = LazyLock::new(|| {
        let routes = table().into_iter();
        routes.map(|route| ((route.method, route.path), route.needs)).collect()
    });
    let method = match method {
        "GET" | "HEAD" => "get",
        "POST" => "post",
        "PUT" => "put",
        "DELETE" => "delete",
        _ => "",
    };
    let found = path.and_then(|path| NEEDS.get(&(method, path.to_owned())));
    found.copied().unwrap_or(Some(Role::Viewer))
}

async fn document() -> axum::Json<Json> {
    axum::Json(openapi())
}

/// Returns the OpenAPI document.
pub(super) fn openapi() -> Json {
    let mut paths: Map<String, Json> = Map::new();
    for route in table() {
        let item = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        item[route.method] = operation(&route);
    }
    let schemas: Json = serde_json::from_str(include_str!("schemas.json")).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "simfleet watch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a running `simfleet watch` shows of its fleet, and what can be done with simulators. What cannot be \
                answered has a status of 400 or more and says why. Once there is a token, every request needs one but those that say \
                otherwise; what changes something always does.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "." }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route) -> Json {
    let in_path = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let query = route.query.iter().map(
        |(name, says, kind)| json!({ "name": name, "in": "query", "description": says, "schema": { "type": kind } }),
    );
    let parameters: Vec<Json> = in_path.chain(query).collect();
    let mut answers: Map<String, Json> = Map::new();
    for (status, says, content) in &route.answers {
        let known = answers
            .entry(status.to_string())
            .or_insert_with(|| json!({ "description": says }));
        if let Some((kind, schema)) = content.media() {
            known["content"][kind] = schema;
        }
    }
    let error = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    answers.insert(
        "default".to_owned(),
        json!({ "description": "Why there is no answer.", "content": error }),
    );
    let name: String = route
        .path
        .split(['/', '{', '}', '.'])
        .filter(|part| !part.is_empty())
        .flat_map(|part| ["_", part])
        .collect();
    let mut operation = json!({
        "operationId": format!("{}{name}", route.method),
        "summary": route.summary,
        "responses": answers,
    });
    match route.needs {
        None => operation["security"] = json!([]),
        Some(Role::Viewer) => {}
        Some(role) => operation["description"] = json!(format!("Needs a token of role {role} or above.")),
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((kind, schema)) = route.body.and_then(|body| body.media()) {
        let is_needed = kind != "application/json" || matches!(route.body, Some(Content::Json("Load" | "Named")));
        operation["requestBody"] = json!({ "required": is_needed, "content": { kind: schema } });
    }
    operation
}

impl Content {
    fn media(self) -> Option<(&'static str, Json)> {
        let named = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        match self {
            Content::Json(name) => Some(("application/json", json!({ "schema": named(name) }))),
            Content::Many(name) => {
                let schema = json!({ "type": "array", "items": named(name) });
                Some(("application/json", json!({ "schema": schema })))
            }
            Content::Other("application/octet-stream") => Some(("application/octet-stream", json!({}))),
            Content::Other(kind) => Some((kind, json!({ "schema": { "type": "string" } }))),
            Content::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_needs_more_than_to_read_and_what_is_not_known_at_least_that() {
        for route in table() {
            let path = route.path.as_str();
            let is_change = route.method != "get";
            assert_eq!(route.needs > Some(Role::Viewer), is_change, "{} {path}", route.method);
            assert_eq!(needs(&route.method.to_uppercase(), Some(path)), route.needs);
        }
        assert_eq!(needs("HEAD", Some("/healthz")), None);
        assert_eq!(needs("POST", Some("/healthz")), Some(Role::Viewer));
        assert_eq!(needs("GET", None), Some(Role::Viewer));
        assert_eq!(needs("BREW", Some("/")), Some(Role::Viewer));
    }

    #[test]
    fn every_schema_is_used_and_every_one_that_is_used_is_there() {
        let document = openapi();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        assert!(!schemas.is_empty());
        let text = document.to_string();
        for name in schemas.keys() {
            assert!(
                text.contains(&format!("\"#/components/schemas/{name}\"")),
                "{name} is not used"
            );
        }
        for used in text.split("#/components/schemas/").skip(1) {
            let name = used.split('"').next().expect("a name");
            assert!(schemas.contains_key(name), "{name} is not there");
        }
    }
}
