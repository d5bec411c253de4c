//! Where the values of checks come from. A source answers with what it has: what is missing, late or no number is no value,
//! and never zero.

mod http;
mod own;
mod prometheus;
mod simulators;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use simfleet_provider_api::{Address, Attributes, Kind, Metric, ObjectId};
use simfleet_state::ProviderConfig;

use self::http::Http;
pub(crate) use self::http::{builder, cause, client};
pub(super) use self::simulators::{Vehicle, vehicles};
use crate::placeholder;
use crate::providers::Providers;

/// Where a check's values come from, with all that is needed to ask there.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// What simfleet measures of the members by itself, in percent.
    Own(Metric),
    /// The vehicles on the members: how fast time passes for the slowest.
    RealTimeFactor,
    /// Nobody: so many were counted.
    Counted(usize),
    /// A URL that answers with JSON or a number, with where in it the value is.
    Http(String),
    /// A query of a Prometheus server.
    Prometheus {
        /// Where it is.
        url: String,
        /// The query.
        query: String,
        /// Which label has which value for which member: `instance={private_ip}:9100`.
        matching: Option<String>,
    },
    /// Whoever says how many members there should be.
    Webhook(String),
    /// Nothing has to be asked: what the check needs is recorded.
    Recorded,
    /// Nobody that this simfleet can ask.
    None(String),
}

/// What is asked of a source, for one check of one pool.
#[derive(Debug, Clone)]
pub struct Question {
    /// The pool.
    pub pool: Address,
    /// The check.
    pub check: Arc<str>,
    /// Where, and what.
    pub source: Source,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The members, by number; all checks of a pool share them.
    pub members: Arc<[Asked]>,
    /// The providers of the members, configured.
    pub providers: Arc<Providers>,
}

/// A member that something is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its number.
    pub number: u64,
    /// Its address in the fleet.
    pub address: Address,
    /// What is recorded of it.
    pub attributes: Attributes,
    /// The vehicles on it.
    pub vehicles: Vec<Vehicle>,
    /// What it is to its provider; `None` while it is being made.
    pub object: Option<AskedObject>,
}

/// An object of a provider that something is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedObject {
    /// The provider.
    pub provider: ProviderConfig,
    /// Its kind there.
    pub kind: Kind,
    /// Its name there.
    pub id: ObjectId,
}

/// The values of a check, in the unit of its source: by the number of the member that each is of, or one for the pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// Of members.
    pub members: BTreeMap<u64, f64>,
    /// Of the pool.
    pub pool: Option<f64>,
    /// Why members have none, by their number.
    pub missing: BTreeMap<u64, String>,
}

impl Values {
    /// Returns them, where there are any; where every member has none, why that is.
    fn or_why(self) -> Result<Self, String> {
        match self.missing.first_key_value() {
            Some((_, why)) if self.members.is_empty() && self.pool.is_none() => Err(why.clone()),
            _ => Ok(self),
        }
    }
}

/// Answers questions about pools.
#[async_trait]
pub trait Sources: fmt::Debug + Send + Sync {
    /// Asks one source.
    ///
    /// # Errors
    /// Why there is no answer at all.
    async fn ask(&self, question: &Question) -> Result<Values, String>;
}

/// The sources that there really are.
#[derive(Debug, Clone)]
pub struct Real {
    http: Http,
}

impl Real {
    /// Gets ready to ask.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new() -> Result<Self, String> {
        Ok(Real { http: Http::new()? })
    }
}

#[async_trait]
impl Sources for Real {
    async fn ask(&self, question: &Question) -> Result<Values, String> {
        let values = match &question.source {
            Source::Own(metric) => own::ask(*metric, question).await,
            Source::RealTimeFactor => simulators::ask(question).await,
            Source::Counted(count) => Values {
                pool: Some(*count as f64),
                ..Values::default()
            },
            Source::Http(query) => self.http.ask(query, question).await?,
            Source::Prometheus { url, query, matching } => {
                prometheus::ask(&self.http, url, query, matching.as_deref(), question).await?
            }
            Source::Webhook(url) => self.http.size(url, question).await?,
            Source::Recorded => Values::default(),
            Source::None(why) => return Err(why.clone()),
        };
        values.or_why()
    }
}

/// Fills in what stands for a value that only the run knows: `{private_ip}`, `{member}`, `{name}`, `{pool}`.
///
/// # Errors
/// The member has no address, and that is asked for.
pub(super) fn filled(text: &str, pool: &Address, member: Option<&Asked>) -> Result<String, String> {
    match member {
        Some(member) => placeholder::filled(text, &member.address, &member.attributes),
        None => Ok(text.replace("{pool}", pool.name())),
    }
}

/// Whether a text says something else for each member.
pub(super) fn is_per_member(text: &str) -> bool {
    ["{private_ip}", "{public_ip}", "{member}", "{name}"]
        .iter()
        .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::Values;

    #[test]
    fn where_no_member_has_a_value_it_is_said_why() {
        let missing = || [(2, "it has no agent".to_owned())].into();
        let none = Values {
            missing: missing(),
            ..Values::default()
        };
        assert_eq!(none.or_why(), Err("it has no agent".to_owned()));
        let some = Values {
            members: [(1, 0.5)].into(),
            missing: missing(),
            ..Values::default()
        };
        assert_eq!(some.clone().or_why(), Ok(some));
        assert_eq!(Values::default().or_why(), Ok(Values::default()), "nobody was asked");
    }
}
