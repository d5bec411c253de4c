//! What an engine tells by itself of its objects.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use simfleet_provider_api::{Notice, ObjectId};

use super::{CallError, Engine, Why};

/// How often an engine that tells nothing is asked whether it is still there. A connection that was lost does not always end.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long that answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The kinds of object that are listened for, and what can happen to them that a look would see.
const TYPES: [&str; 4] = ["container", "network", "volume", "image"];
const ACTIONS: [&str; 16] = [
    "connect",
    "delete",
    "destroy",
    "die",
    "disconnect",
    "health_status",
    "oom",
    "pause",
    "remove",
    "rename",
    "restart",
    "start",
    "stop",
    "unpause",
    "untag",
    "update",
];

impl Engine {
    /// Returns what the engine tells from now on, until it ends or does not answer any more.
    pub(crate) fn notices(&self) -> impl Stream<Item = Result<Notice, CallError>> + Send + '_ {
        stream::once(self.listen()).try_flatten()
    }

    async fn listen(&self) -> Result<impl Stream<Item = Result<Notice, CallError>> + Send + '_, CallError> {
        let docker = self.soon().await?;
        let info = docker.info().await.map_err(|error| self.error(error))?;
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let options = EventsOptions {
            // By its own clock: what happens from now until it hears of this is told as well.
            since: info.system_time.as_deref().and_then(seconds),
            filters: Some(HashMap::from([
                ("type".to_owned(), texts(&TYPES)),
                ("event".to_owned(), texts(&ACTIONS)),
            ])),
            ..EventsOptions::default()
        };
        let told = docker.events(Some(options)).map(|event| match event {
            Ok(event) => Ok(notice(event)),
            Err(error) => Err(self.error(error)),
        });
        let ended = stream::once(async {
            Err(CallError {
                why: Why::Unknown,
                message: format!("the Docker engine at {} ended", self.endpoint),
            })
        });
        let alive = stream::unfold((), async |()| {
            tokio::time::sleep(SIGN_OF_LIFE).await;
            Some((self.is_there().await.map(|()| None), ()))
        });
        let told = stream::select(told.chain(ended), alive);
        let told = told.try_filter_map(async |notice| Ok(notice));
        Ok(stream::once(async { Ok(Notice::Listening) }).chain(told))
    }

    async fn is_there(&self) -> Result<(), CallError> {
        let answer = self.soon().await?.with_timeout(PATIENCE).ping().await;
        answer.map(|_| ()).map_err(|error| self.error(error))
    }
}

/// Returns an instant as an engine takes it: seconds, with nine digits after the point.
fn seconds(time: &str) -> Option<String> {
    let time: Timestamp = time.parse().ok()?;
    Some(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
}

/// Returns whose event it is: one of a network is that of the container that comes into it or leaves it.
fn notice(event: EventMessage) -> Option<Notice> {
    let actor = event.actor?;
    let of_container = actor
        .attributes
        .and_then(|mut attributes| attributes.remove("container"));
    let id = match event.typ {
        Some(EventMessageTypeEnum::NETWORK) => of_container.or(actor.id)?,
        _ => actor.id?,
    };
    Some(Notice::Happened(ObjectId(id.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_an_engine_takes_them() {
        for (time, expected) in [
            ("2026-01-02T03:04:05.000000006Z", Some("1767323045.000000006")),
            ("2026-01-02T04:04:05+01:00", Some("1767323045.000000000")),
            ("", None),
        ] {
            assert_eq!(seconds(time).as_deref(), expected, "{time}");
        }
    }
}
