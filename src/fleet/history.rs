//! What happened to a fleet: its runs, and what was recorded at a moment of the past.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use simfleet_provider_api::{Address, Token};
use simfleet_state::{Checked, ConfigDigest, Entry, Event, Snapshot, StateError, replay};

use super::intent::unknown_serial;
use super::{Fleet, FleetError};

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When the state had this serial.
    Serial(u64),
    /// This time.
    Time(Timestamp),
}

/// Reads a serial, a timestamp such as `2026-01-31T10:00:00Z`, or a time of the local clock without a zone.
impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(serial) = text.parse() {
            return Ok(Moment::Serial(serial));
        }
        let local = || {
            text.parse::<DateTime>()
                .ok()?
                .to_zoned(TimeZone::system())
                .ok()
                .map(|zoned| zoned.timestamp())
        };
        let time = text.parse().ok().or_else(local);
        time.map(Moment::Time)
            .ok_or_else(|| "it is neither a serial nor a time such as 2026-01-31T10:00:00Z".to_owned())
    }
}

/// What one run recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Its first serial. Those of a run at the same time can lie between it and the last.
    pub first: u64,
    /// Its last serial.
    pub last: u64,
    /// When it first recorded something.
    pub began: Timestamp,
    /// When it last did.
    pub ended: Timestamp,
    /// Who ran it, and the command.
    pub by: Option<(Arc<str>, Arc<str>)>,
    /// What it was to bring the fleet to, where that was new: a configuration, or nothing.
    pub intended: Option<Option<ConfigDigest>>,
    /// What it changed, in order.
    pub changes: Vec<Happened>,
}

/// Something that happened to a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// The serial at which it was recorded.
    pub serial: u64,
    /// When.
    pub at: Timestamp,
    /// What: `created`, `moved`.
    pub what: &'static str,
    /// To which resource.
    pub address: Option<Address>,
    /// What it is now, or why it happened.
    pub detail: Option<Arc<str>>,
}

impl Fleet {
    /// Reads what is recorded, or what was at a moment.
    ///
    /// # Errors
    /// Why the state cannot be read; a serial that it never had.
    pub async fn snapshot_at(&self, moment: Option<Moment>) -> Result<Snapshot, FleetError> {
        let snapshot = self.snapshot().await?;
        let last = snapshot.state.serial;
        let entries = match moment {
            None => return Ok(snapshot),
            Some(Moment::Serial(serial)) if serial > last => return Err(unknown_serial(serial, last).into()),
            Some(Moment::Serial(0)) => Vec::new(),
            Some(Moment::Serial(serial)) => self.store.history(1..=serial).await?,
            Some(Moment::Time(time)) => {
                let mut entries = self.store.history(1..=last).await?;
                // Not `retain`: should a clock have been set back, a later group can carry an earlier time.
                let end = entries
                    .iter()
                    .position(|entry| entry.stamp.at > time)
                    .unwrap_or(entries.len());
                entries.truncate(end);
                entries
            }
        };
        Ok(Snapshot {
            lineage: snapshot.lineage,
            state: replay(&entries).map_err(StateError::from)?,
            leases: Vec::new(),
        })
    }

    /// Goes through all that is kept. `None` where there is no state yet.
    ///
    /// # Errors
    /// Says what is damaged.
    pub async fn check(&self) -> Result<Option<Checked>, FleetError> {
        let check = async {
            let checked = self.store.check().await?;
            Ok((checked.as_ref().map(|checked| checked.lineage.clone()), checked))
        };
        self.not_lost(check).await
    }

    /// Reads what every run recorded, in the order of their beginnings.
    ///
    /// # Errors
    /// Why the state cannot be read.
    pub async fn history(&self) -> Result<Vec<RunRecord>, FleetError> {
        let entries = self.store.history(1..=u64::MAX).await?;
        if entries.is_empty() {
            // No history can be a lost one.
            self.snapshot().await?;
        }
        Ok(runs(&entries))
    }
}

/// Returns what each run recorded.
fn runs(entries: &[Entry]) -> Vec<RunRecord> {
    let mut runs: BTreeMap<&str, RunRecord> = BTreeMap::new();
    let mut open: BTreeMap<Token, &'static str> = BTreeMap::new();
    for Entry { stamp, events } in entries {
        let run = runs.entry(&stamp.holder.0).or_insert_with(|| RunRecord {
            first: stamp.serial,
            last: stamp.serial,
            began: stamp.at,
            ended: stamp.at,
            by: None,
            intended: None,
            changes: Vec::new(),
        });
        (run.last, run.ended) = (stamp.serial, stamp.at);
        for event in events {
            match event {
                Event::Began { by, command } => run.by = Some((by.clone(), command.clone())),
                Event::Intended { config, .. } => run.intended = Some(config.clone()),
                Event::Started { token, operation, .. } => {
                    open.insert(token.clone(), operation.verb());
                }
                _ => {}
            }
            run.changes
                .extend(happened(event, &mut open).map(|(what, address, detail)| Happened {
                    serial: stamp.serial,
                    at: stamp.at,
                    what,
                    address: address.cloned(),
                    detail,
                }));
        }
    }
    let mut runs: Vec<RunRecord> = runs.into_values().collect();
    runs.sort_by_key(|run| run.first);
    runs
}

type Told<'a> = (&'static str, Option<&'a Address>, Option<Arc<str>>);

/// Says what an event did, where a person would call it a change.
fn happened<'a>(event: &'a Event, open: &mut BTreeMap<Token, &'static str>) -> Option<Told<'a>> {
    let address = event.addresses().next();
    let (what, detail): (_, Option<Arc<str>>) = match event {
        Event::Succeeded { token, .. } => (done(open.remove(token)?), None),
        Event::Failed { token, reason, .. } => (failed(open.remove(token)?), Some(reason.clone())),
        Event::Abandoned { token, reason, .. } => {
            open.remove(token);
            ("given up", Some(reason.clone()))
        }
        Event::Adopted { object, .. } => ("imported", Some(object.id.0.clone())),
        Event::Redeclared { .. } => ("redeclared", None),
        Event::Observed { .. } => ("seen changed", None),
        Event::Tainted { reason, .. } => ("tainted", Some(reason.clone())),
        Event::Untainted { .. } => ("untainted", None),
        Event::Cordoned { .. } => ("cordoned", None),
        Event::Uncordoned { .. } => ("uncordoned", None),
        Event::Removed { reason, .. } => ("forgotten", Some(reason.clone())),
        Event::Held { by, .. } => ("held", Some(by.clone())),
        Event::Unheld { .. } => ("hold ended", None),
        Event::Allocated { address, by, .. } => return Some(("allocated", Some(address), Some(by.clone()))),
        Event::Deallocated { address, .. } => return Some(("released", Some(address), None)),
        Event::Scaled { size, .. } => ("sized", Some(size.to_string().into())),
        Event::Moved { to, .. } => ("moved", Some(to.to_string().into())),
        Event::Outputs { .. } => ("outputs set", None),
        Event::Pushed { .. } => return Some(("pushed", None, None)),
        Event::Began { .. }
        | Event::Intended { .. }
        | Event::Started { .. }
        | Event::Accepted { .. }
        | Event::Deposed { .. }
        | Event::Restored { .. }
        | Event::Reserved { .. }
        | Event::Released { .. } => return None,
    };
    Some((what, address, detail))
}

fn done(verb: &str) -> &'static str {
    match verb {
        "create" => "created",
        "update" => "updated",
        _ => "deleted",
    }
}

fn failed(verb: &str) -> &'static str {
    match verb {
        "create" => "not created",
        "update" => "not updated",
        _ => "not deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let time = |text: &str| Moment::Time(text.parse().expect("a time"));
        for (text, expected) in [
            ("7", Some(Moment::Serial(7))),
            ("2026-01-31T10:00:00Z", Some(time("2026-01-31T10:00:00Z"))),
            ("2026-01-31T10:00:00+02:00", Some(time("2026-01-31T08:00:00Z"))),
            ("-1", None),
            ("yesterday", None),
        ] {
            assert_eq!(text.parse::<Moment>().ok(), expected, "{text}");
        }
        assert!(
            matches!("2026-01-31 10:00".parse(), Ok(Moment::Time(_))),
            "a time of the local clock"
        );
    }
}
