//! The provider: calls become changes of the file, and those that come at the same time become one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use simfleet_provider_api::{
    Attribute, Attributes, Context, Found, Handle, Kind, Object, ObjectId, Observed, Path, Problem, Provider,
    ProviderError, ProviderType, Schema, Step, Token, Value, progress,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connections;
use crate::edit::{Edit, is_of};
use crate::file::{ALGORITHMS, File, Line, Owner, ROUND_ROBIN, Server, Upstream};
use crate::schema::{self, SERVER, UPSTREAM};
use crate::script::{self, Write};
use crate::settings::{Health, Settings};

/// How often the file may be another one than it was when it was read, in a row.
const ATTEMPTS: usize = 5;
/// How soon the connections of a server are counted again.
const COUNT_AFTER: Duration = Duration::from_millis(500);
/// How soon a server that is not healthy yet is tried again, at the latest.
const TRY_AFTER: Duration = Duration::from_secs(1);

/// The provider before it is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NginxType;

#[async_trait]
impl ProviderType for NginxType {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn settings(&self) -> &[Attribute] {
        schema::settings()
    }

    fn schemas(&self) -> &[Schema] {
        schema::schemas()
    }

    fn check(&self, kind: &Kind, desired: &Attributes) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |name: &'static str, message: &str| {
            problems.push(Problem {
                path: Path::attribute(name),
                message: message.to_owned(),
                hint: None,
            });
        };
        let is_word = |text: &str| {
            let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
            !text.is_empty() && text.chars().all(is_plain)
        };
        if desired.str("name").is_some_and(|name| !is_word(name)) {
            wrong("name", "must be of letters, digits, `.`, `_` and `-`");
        }
        if *kind == SERVER && desired.str("address").is_some_and(|address| !is_endpoint(address)) {
            wrong("address", "must be an address and a port, such as 10.0.0.5:80");
        }
        let algorithm = desired.str("algorithm");
        if algorithm.is_some_and(|it| it != ROUND_ROBIN && !ALGORITHMS.contains(&it)) {
            wrong("algorithm", "must be round_robin, least_conn or ip_hash");
        }
        let is_number = |name: &str| {
            desired
                .get(name)
                .is_none_or(|it| !it.is_known() || it.is_null() || it.as_u64().is_some())
        };
        for name in ["listen", "max_fails", "fail_timeout"] {
            if !is_number(name) {
                wrong(name, "must be a whole number");
            }
        }
        problems
    }

    async fn configure(&self, settings: &Attributes, context: &Context) -> Result<Arc<dyn Provider>, ProviderError> {
        Ok(Arc::new(NginxProvider {
            settings: Settings::of(settings)?,
            lineage: context.lineage.to_string(),
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }))
    }
}

/// What became of an edit: the file with it.
type Edited = Result<Option<File>, ProviderError>;

/// One file of one nginx.
///
/// nginx has no version of an object that a change could be made conditional on, and a file forgets the token of what left it:
/// a create that arrives after its server left enters it again. What keeps that from happening is the lease of the run that
/// sends it.
#[derive(Debug)]
struct NginxProvider {
    settings: Settings,
    lineage: String,
    /// What waits for the write that goes on to end: the next one is for all of it.
    waiting: Mutex<Vec<(Edit, oneshot::Sender<Edited>)>>,
    writing: tokio::sync::Mutex<()>,
}

/// A server that left and to which something is connected, as it is kept in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Leaving {
    address: String,
    /// Milliseconds since 1970.
    until: u64,
}

/// The file as it was seen.
struct Seen {
    /// Whether a write was cut off: what the file says may not be what nginx does.
    is_unfinished: bool,
    text: Option<String>,
}

impl Seen {
    /// Returns what the file says. One with nothing in it is none.
    fn file(&self) -> Option<File> {
        let text = self.text.as_deref().filter(|text| !text.trim().is_empty());
        text.map(File::parse)
    }
}

impl NginxProvider {
    fn file_name(&self) -> String {
        format!("`{}`", self.settings.file.display())
    }

    async fn look(&self) -> Result<Seen, ProviderError> {
        let ended = self.settings.place.run(&script::read(&self.settings.file), "").await?;
        let (first, text) = ended.output.split_once('\n').unwrap_or_default();
        let is_unfinished = match first {
            script::UNFINISHED => true,
            script::SETTLED => false,
            _ => {
                let message = format!("{} cannot be read: {}", self.file_name(), ended.said);
                return Err(ProviderError::Ambiguous { message });
            }
        };
        let text = match ended.code {
            Some(0) => Some(text.to_owned()),
            _ if ended.said.contains("No such file or directory") => None,
            _ => {
                let message = format!("{} cannot be read: {}", self.file_name(), ended.said);
                return Err(ProviderError::Ambiguous { message });
            }
        };
        Ok(Seen { is_unfinished, text })
    }

    /// Makes a change, together with all that wait for the same.
    async fn edit(&self, edit: Edit) -> Edited {
        loop {
            let (done, mut told) = oneshot::channel();
            self.waiting().push((edit.clone(), done));
            let _turn = self.writing.lock().await;
            if let Ok(edited) = told.try_recv() {
                return edited;
            }
            // Who took it along and was dropped since has not told: then it is not there any more, and waits anew.
            let batch = std::mem::take(&mut *self.waiting());
            let edits: Vec<Edit> = batch.iter().map(|(edit, _)| edit.clone()).collect();
            let edited = self.write_all(&edits).await;
            for ((_, done), edited) in batch.into_iter().zip(edited) {
                // Who was dropped does not wait.
                let _ = done.send(edited);
            }
            if let Ok(edited) = told.try_recv() {
                return edited;
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(Edit, oneshot::Sender<Edited>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes at once; where nginx refuses them together, each by itself.
    async fn write_all(&self, edits: &[Edit]) -> Vec<Edited> {
        let together = self.write(edits).await;
        if edits.len() == 1 || together.iter().all(Result::is_ok) {
            return together;
        }
        let mut all = Vec::with_capacity(edits.len());
        for edit in edits {
            all.extend(self.write(std::slice::from_ref(edit)).await);
        }
        all
    }

    /// Makes changes in one write.
    async fn write(&self, edits: &[Edit]) -> Vec<Edited> {
        let all = |error: ProviderError| edits.iter().map(|_| Err(error.clone())).collect();
        for _ in 0..ATTEMPTS {
            let seen = match self.look().await {
                Ok(seen) => seen,
                Err(error) => return all(error),
            };
            let mut file = seen.file();
            let mut refused: Vec<Option<ProviderError>> = Vec::new();
            for edit in edits {
                let edited = edit
                    .apply(file.clone(), &self.lineage)
                    .map_err(|error| self.named(error));
                refused.push(match edited {
                    Ok(edited) => {
                        file = edited;
                        None
                    }
                    Err(error) => Some(error),
                });
            }
            if refused.iter().any(Option::is_none) {
                match self.put(&seen, file.as_ref(), edits).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => return all(error),
                }
            }
            let told = refused
                .into_iter()
                .map(|refused| refused.map_or_else(|| Ok(file.clone()), Err));
            return told.collect();
        }
        all(ProviderError::NotSent {
            message: format!("{} is changed by others all the time", self.file_name()),
            retry_after: None,
        })
    }

    fn named(&self, error: ProviderError) -> ProviderError {
        let name = |message| format!("{}: {message}", self.file_name());
        match error {
            ProviderError::Rejected { message, attribute } => ProviderError::Rejected {
                message: name(message),
                attribute,
            },
            ProviderError::Conflict { message } => ProviderError::Conflict { message: name(message) },
            other => other,
        }
    }

    /// Puts a file in the place of the one that was seen; returns whether that was still there.
    async fn put(&self, seen: &Seen, file: Option<&File>, edits: &[Edit]) -> Result<bool, ProviderError> {
        let is_same = seen.file().as_ref() == file;
        if is_same && !seen.is_unfinished {
            return Ok(true);
        }
        let text = match is_same {
            true => seen.text.clone(),
            false => file.map(File::text),
        };
        let Settings {
            place,
            file: path,
            test,
            reload,
            ..
        } = &self.settings;
        let script = script::write(&Write {
            file: path,
            before: seen.text.as_deref(),
            after: text.as_deref(),
            test: test.as_deref(),
            reload: reload.as_deref(),
            listen: file.and_then(|file| file.upstream.listen),
            removes: edits.iter().all(Edit::removes),
        });
        let ended = place.run(&script, text.as_deref().unwrap_or_default()).await?;
        let rejected = |message| ProviderError::Rejected {
            message,
            attribute: None,
        };
        let (name, said) = (self.file_name(), ended.said);
        Err(match ended.code {
            Some(0) => return Ok(true),
            Some(script::MOVED) => return Ok(false),
            Some(script::CUT_OFF) => ProviderError::Ambiguous {
                message: format!("{name}: the new text did not arrive whole"),
            },
            Some(script::UNTESTED) => rejected(format!("{name} does not pass its test, and is as it was: {said}")),
            Some(script::NOT_RELOADED) => rejected(format!("nginx was not reloaded, and {name} is as it was: {said}")),
            Some(script::NOT_LIVE) => {
                let port = file.and_then(|file| file.upstream.listen);
                let listens = port.map_or_else(String::new, |port| format!(", or does not listen at {port}"));
                let included = format!("its error log says more, unless its configuration does not include {name}");
                let said = if said.is_empty() { said } else { format!(" ({said})") };
                rejected(format!(
                    "nginx took no notice of the reload{listens}; {name} is as it was. {included}{said}"
                ))
            }
            Some(1) => ProviderError::Broken {
                message: format!("{name} could not be put back: {said}"),
            },
            _ => rejected(format!("{name} cannot be written: {said}")),
        })
    }

    fn owner(&self, token: &str) -> Owner {
        Owner {
            lineage: self.lineage.clone(),
            token: token.to_owned(),
        }
    }

    /// Returns an object that is in a file.
    fn object(&self, kind: &Kind, token: &str, file: &File) -> Option<Object> {
        let attributes = if *kind == UPSTREAM {
            is_of(file, &self.owner(token)).then(|| upstream_attributes(file, token))?
        } else {
            let is_ours = file.owner.as_ref().is_none_or(|owner| owner.lineage == self.lineage);
            file.server(token).filter(|_| is_ours).map(server_attributes)?
        };
        Some(Object {
            id: ObjectId(token.into()),
            attributes,
            token: Some(Token(token.into())),
            version: None,
        })
    }

    /// Returns what was made or changed, as it is in the file now.
    fn done(&self, kind: &Kind, token: &str, file: Option<File>) -> Result<Step, ProviderError> {
        let object = file.and_then(|file| self.object(kind, token, &file));
        object.map(Step::Done).ok_or_else(|| ProviderError::Broken {
            message: format!("{} lacks what was just written", self.file_name()),
        })
    }

    /// Waits until a server is healthy.
    async fn await_health(&self, address: &str, health: &Health) -> Result<(), ProviderError> {
        let deadline = Instant::now() + health.patience;
        let mut good = 0;
        loop {
            let looked = match health.probe(address).await {
                Ok(probe) => probe.run(health.timeout).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(()) => good += 1,
                Err(error) if Instant::now() >= deadline => {
                    return Err(ProviderError::Rejected {
                        message: format!("it is not healthy, so it does not enter: {error}"),
                        attribute: None,
                    });
                }
                Err(error) => {
                    good = 0;
                    progress::tell(format!("waits until it is healthy: {error}"));
                }
            }
            if good >= health.good {
                return Ok(());
            }
            tokio::time::sleep(health.interval.min(TRY_AFTER)).await;
        }
    }

    /// Returns how many connections go to a server.
    async fn connected(&self, address: &str) -> Result<usize, ProviderError> {
        // Of what has no address now, none is known.
        let Ok(to) = tokio::net::lookup_host(address).await else {
            return Ok(0);
        };
        let ended = self.settings.place.run(script::CONNECTIONS, "").await?;
        match ended.code {
            Some(0) => Ok(connections::count(&ended.output, &to.collect::<Vec<_>>())),
            _ => Err(ProviderError::Ambiguous {
                message: format!("the connections cannot be counted: {}", ended.said),
            }),
        }
    }

    /// Returns how far a server that left is: gone once nothing is connected to it, or its time is over.
    async fn leave(&self, leaving: Leaving) -> Result<Step, ProviderError> {
        if now() >= leaving.until {
            return Ok(Step::Gone);
        }
        match self.connected(&leaving.address).await? {
            0 => Ok(Step::Gone),
            open => {
                progress::tell(format!("waits for {open} connections to {}", leaving.address));
                Ok(Step::Running {
                    handle: Handle::of(&leaving)?,
                    poll_after: COUNT_AFTER,
                })
            }
        }
    }
}

#[async_trait]
impl Provider for NginxProvider {
    async fn read(&self, kind: &Kind, id: &ObjectId) -> Result<Observed, ProviderError> {
        let seen = match self.look().await {
            Ok(seen) => seen,
            Err(error) => {
                return Ok(Observed::Unreachable {
                    reason: error.to_string(),
                });
            }
        };
        let object = seen.file().and_then(|file| self.object(kind, &id.0, &file));
        Ok(object.map_or(Observed::Absent, Observed::Present))
    }

    async fn list(&self, kind: &Kind) -> Result<Option<Vec<Object>>, ProviderError> {
        let Some(file) = self.look().await?.file() else {
            return Ok(Some(Vec::new()));
        };
        let tokens: Vec<&str> = match &file.owner {
            Some(owner) if owner.lineage != self.lineage => Vec::new(),
            Some(owner) if *kind == UPSTREAM => vec![&owner.token],
            None if *kind == UPSTREAM => return Ok(None),
            _ => file.servers.iter().map(|server| &*server.token).collect(),
        };
        let objects = tokens.into_iter().filter_map(|token| self.object(kind, token, &file));
        Ok(Some(objects.collect()))
    }

    async fn find(&self, kind: &Kind, token: &Token, _: &Attributes) -> Result<Found, ProviderError> {
        let seen = self.look().await?;
        let file = seen.file().filter(|file| !seen.is_unfinished && file.owner.is_some());
        let object = file.and_then(|file| self.object(kind, &token.0, &file));
        Ok(object.map_or(Found::Nothing, Found::Ready))
    }

    async fn create(&self, kind: &Kind, token: &Token, planned: &Attributes) -> Result<Step, ProviderError> {
        let edit = if *kind == UPSTREAM {
            Edit::Make {
                owner: self.owner(&token.0),
                upstream: upstream(planned)?,
            }
        } else {
            let server = server(planned, &token.0)?;
            if let (Some(health), Some(address)) = (&self.settings.health, &server.line.address) {
                self.await_health(address, health).await?;
            }
            Edit::Enter(server)
        };
        let file = self.edit(edit).await?;
        self.done(kind, &token.0, file)
    }

    async fn update(
        &self,
        kind: &Kind,
        prior: &Object,
        planned: &Attributes,
        _: &Token,
    ) -> Result<Step, ProviderError> {
        let edit = if *kind == UPSTREAM {
            Edit::Change {
                owner: self.owner(&prior.id.0),
                upstream: upstream(planned)?,
            }
        } else {
            Edit::Alter(server(planned, &prior.id.0)?)
        };
        let file = self.edit(edit).await?;
        self.done(kind, &prior.id.0, file)
    }

    async fn delete(&self, kind: &Kind, object: &Object, _: &Token) -> Result<Step, ProviderError> {
        if *kind == UPSTREAM {
            let owner = self.owner(&object.id.0);
            self.edit(Edit::Remove { owner }).await?;
            return Ok(Step::Gone);
        }
        let token = object.id.0.to_string();
        self.edit(Edit::Leave { token }).await?;
        match object.attributes.str("address") {
            Some(address) if !self.settings.drain.is_zero() => {
                let drain = u64::try_from(self.settings.drain.as_millis()).unwrap_or(u64::MAX);
                let leaving = Leaving {
                    address: address.to_owned(),
                    until: now().saturating_add(drain),
                };
                self.leave(leaving).await
            }
            _ => Ok(Step::Gone),
        }
    }

    async fn poll(&self, _: &Kind, handle: &Handle) -> Result<Step, ProviderError> {
        self.leave(handle.read()?).await
    }
}

fn upstream(planned: &Attributes) -> Result<Upstream, ProviderError> {
    Ok(Upstream {
        name: required(planned, "name")?,
        algorithm: planned.str("algorithm").unwrap_or(ROUND_ROBIN).to_owned(),
        listen: planned
            .get("listen")
            .and_then(Value::as_u64)
            .and_then(|port| port.try_into().ok()),
    })
}

fn required(planned: &Attributes, name: &'static str) -> Result<String, ProviderError> {
    let text = planned.str(name).map(str::to_owned);
    text.ok_or_else(|| ProviderError::Rejected {
        message: format!("`{name}` is missing"),
        attribute: Some(Path::attribute(name)),
    })
}

fn upstream_attributes(file: &File, token: &str) -> Attributes {
    let Upstream {
        name,
        algorithm,
        listen,
    } = &file.upstream;
    let mut attributes = Attributes::new();
    attributes.set("name", name.as_str());
    attributes.set("algorithm", algorithm.as_str());
    attributes.set("listen", listen.map_or(Value::NULL, |port| u64::from(port).into()));
    attributes.set("by_hand", file.by_hand.as_deref().map_or(Value::NULL, Value::from));
    attributes.set("id", token);
    attributes
}

fn server(planned: &Attributes, token: &str) -> Result<Server, ProviderError> {
    let number = |name, default| planned.get(name).and_then(Value::as_u64).unwrap_or(default);
    Ok(Server {
        name: required(planned, "name")?,
        token: token.to_owned(),
        member: required(planned, "member")?,
        line: Line {
            address: Some(required(planned, "address")?),
            max_fails: Some(number("max_fails", 3)),
            fail_timeout: Some(number("fail_timeout", 10)),
            by_hand: None,
        },
    })
}

fn server_attributes(server: &Server) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set("name", server.name.as_str());
    attributes.set("member", server.member.as_str());
    let Line {
        address,
        max_fails,
        fail_timeout,
        by_hand,
    } = &server.line;
    let text = |text: &Option<String>| text.as_deref().map_or(Value::NULL, Value::from);
    attributes.set("address", text(address));
    attributes.set("max_fails", max_fails.map_or(Value::NULL, Value::from));
    attributes.set("fail_timeout", fail_timeout.map_or(Value::NULL, Value::from));
    attributes.set("by_hand", text(by_hand));
    attributes.set("id", server.token.as_str());
    attributes
}

/// Whether a text is a host and a port, and nothing that nginx would read as something else.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-[]:".contains(char);
    port.parse::<u16>().is_ok_and(|port| port != 0) && !host.is_empty() && host.chars().all(is_plain)
}

/// Returns milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
