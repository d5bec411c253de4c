//! Scaling vectors: a decision to be made, as a line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Decision, History, Observation, Spec, decide};

/// A decision to be made, with the names of the reference. What else a line has (what is expected, say) is left alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Vector {
    /// What is declared.
    pub spec: Spec,
    /// What is seen.
    #[serde(rename = "obs")]
    pub seen: Observation,
    /// What is remembered.
    #[serde(rename = "hist", default)]
    pub history: History,
}

/// What is decided for a vector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// What is to be remembered.
    #[serde(rename = "hist_after")]
    pub history: History,
}

/// Why a line is no vector.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// It is no JSON, or has not what a vector has.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A number is beyond what can be computed with.
    #[error("`{at}` is {number}: whole numbers go from {least} to {LARGEST}", least = -LARGEST)]
    Beyond {
        /// Where: `spec.quota`.
        at: String,
        /// The number.
        number: i64,
    },
    /// More members than there can be.
    #[error("`{at}` is {number}: a pool has at most {MOST} members")]
    TooMany {
        /// Where: `spec.max`.
        at: String,
        /// The number.
        number: i64,
    },
}

/// The largest whole number that a vector may have; sums of many of them are still exact.
const LARGEST: i64 = 1_000_000_000;
/// The most members of a pool.
const MOST: i64 = 1_000_000;

impl Vector {
    /// Reads a line.
    ///
    /// # Errors
    /// The line is no vector.
    pub fn parse(line: &str) -> Result<Self, VectorError> {
        let document: Json = serde_json::from_str(line)?;
        check_numbers(&document, "")?;
        let vector: Vector = serde_json::from_value(document)?;
        vector.check_sizes()?;
        Ok(vector)
    }

    /// Returns what is decided.
    pub fn answer(&self) -> Answer {
        let (decision, history) = decide(&self.spec, &self.seen, &self.history);
        Answer { decision, history }
    }

    fn check_sizes(&self) -> Result<(), VectorError> {
        let schedules = self.spec.schedules.iter().flat_map(|window| {
            let sizes = [("min", window.min), ("max", window.max), ("desired", window.desired)];
            let name = &window.name;
            sizes.map(|(attribute, size)| Some((format!("spec.schedules.{name}.{attribute}"), size?)))
        });
        let mut sizes = schedules.flatten().chain([("spec.max".to_owned(), self.spec.max)]);
        match sizes.find(|(_, size)| *size > MOST) {
            Some((at, number)) => Err(VectorError::TooMany { at, number }),
            None => Ok(()),
        }
    }
}

fn check_numbers(document: &Json, at: &str) -> Result<(), VectorError> {
    let join = |name: &str| {
        if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}.{name}")
        }
    };
    match document {
        Json::Number(number) => match number.as_i64() {
            Some(number) if !(-LARGEST..=LARGEST).contains(&number) => Err(VectorError::Beyond {
                at: at.to_owned(),
                number,
            }),
            _ => Ok(()),
        },
        Json::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_numbers(item, &join(&index.to_string()))),
        Json::Object(members) => members
            .iter()
            .try_for_each(|(name, member)| check_numbers(member, &join(name))),
        Json::Null | Json::Bool(_) | Json::String(_) => Ok(()),
    }
}
