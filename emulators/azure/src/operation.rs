//! Operations that take their time, and the endpoints where they are followed.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::message::{Answer, ArmError, Request, Result};
use crate::resource::Power;
use crate::world::World;

/// Who follows an operation where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `Microsoft.Compute`: `operations/ID`, and the same with `monitor=true`.
    Compute,
    /// `Microsoft.Network`: `operations/ID` and `operationResults/ID`.
    Network,
    /// Resource groups: `operationresults/ID` of the subscription.
    Group,
}

/// What an operation does when its time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The target is as it was asked for.
    Settle,
    /// The target is gone.
    Delete,
    /// The target runs, or does not.
    Power(Power),
    /// These instances of the target are gone.
    DeleteInstances(Vec<String>),
    /// The group is gone, with all that is in it.
    DeleteGroup,
}

/// An operation that was begun.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Where it is followed.
    pub family: Family,
    /// Where it runs.
    pub location: String,
    /// The subscription.
    pub subscription: String,
    /// The key of what it is about.
    pub target: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ends, or ended.
    pub due: Timestamp,
    /// What it does then.
    pub effect: Effect,
    /// How it fails then, if it is to fail.
    pub fails: Option<ArmError>,
    /// How it ended.
    pub outcome: Option<Result<()>>,
}

impl Operation {
    /// Returns where it is followed: the URL of `Azure-AsyncOperation`, and that of `Location`.
    pub fn urls(&self, request: &Request) -> (String, String) {
        let Operation { id, location, .. } = self;
        let version = request.api_version();
        let base = format!("{}/subscriptions/{}", request.base, self.subscription);
        match self.family {
            Family::Compute => {
                let url = format!("{base}/providers/Microsoft.Compute/locations/{location}/operations/{id}?p=emulator");
                (
                    format!("{url}&api-version={version}"),
                    format!("{url}&monitor=true&api-version={version}"),
                )
            }
            Family::Network => {
                let url = format!("{base}/providers/Microsoft.Network/locations/{location}");
                (
                    format!("{url}/operations/{id}?api-version={version}"),
                    format!("{url}/operationResults/{id}?api-version={version}"),
                )
            }
            Family::Group => {
                let url = format!("{base}/operationresults/{id}?api-version={version}");
                (url.clone(), url)
            }
        }
    }

    fn status(&self) -> Value {
        let mut status = Map::new();
        let word = match &self.outcome {
            None => "InProgress",
            Some(Ok(())) => "Succeeded",
            Some(Err(_)) => "Failed",
        };
        if self.family == Family::Compute {
            status.insert("startTime".to_owned(), json!(self.started.to_string()));
            if self.outcome.is_some() {
                status.insert("endTime".to_owned(), json!(self.due.to_string()));
            }
            status.insert("name".to_owned(), json!(self.id));
        }
        status.insert("status".to_owned(), json!(word));
        if let Some(Err(error)) = &self.outcome {
            status.insert("error".to_owned(), error.envelope());
        }
        Value::Object(status)
    }
}

impl World {
    /// Answers at the URL of `Azure-AsyncOperation`, or at that of `Location`.
    pub(crate) fn follow(&self, request: &Request, id: &str, by_location: bool) -> Result<Answer> {
        let Some(operation) = self.operations.get(&id.to_lowercase()) else {
            return Err(ArmError::new(
                404,
                "NotFound",
                format!("The entity was not found in this Azure location: operation {id}."),
            ));
        };
        let again = |answer: Answer| match self.pace.retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        };
        if !by_location {
            let answer = Answer::json(200, operation.status());
            return Ok(if operation.outcome.is_none() {
                again(answer)
            } else {
                answer
            });
        }
        match &operation.outcome {
            None => {
                let (_, url) = operation.urls(request);
                Ok(again(Answer::empty(202)).with("location", url))
            }
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(())) => match self.resources.get(&operation.target) {
                Some(resource) if operation.effect == Effect::Settle => Ok(Answer::json(200, self.show(resource))),
                _ => Ok(Answer::empty(if operation.family == Family::Network {
                    204
                } else {
                    200
                })),
            },
        }
    }
}
