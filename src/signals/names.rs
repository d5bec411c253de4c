//! The names of events: what `events` of a `webhook` and `event` of an `alert` say, and what each event of a watch carries.

use serde::{Deserialize, Serialize};

use crate::config::decode::words;

words! {
    /// The name of an event.
    EventName {
        /// A watch began.
        WatchStarted = "watch.started",
        /// A watch that can wait leads: at once, or after another one.
        WatchLeading = "watch.leading",
        /// A watch waits until the one that leads does not any more. No webhook is sent it.
        WatchStandby = "watch.standby",
        /// No lap could be made.
        LapFailed = "lap.failed",
        /// The files are other than what was last applied.
        FleetPending = "fleet.pending",
        /// They are not any more.
        FleetSettled = "fleet.settled",
        /// The files have mistakes.
        FleetInvalid = "fleet.invalid",
        /// What was last applied cannot be enforced.
        FleetRefused = "fleet.refused",
        /// A pool was decided on, other than before.
        PoolDecided = "pool.decided",
        /// Members were made.
        PoolScaledUp = "pool.scaled_up",
        /// Members were removed.
        PoolScaledDown = "pool.scaled_down",
        /// Members could not be made or removed.
        PoolScaleFailed = "pool.scale_failed",
        /// A pool would be larger than it may be.
        PoolAtMax = "pool.at_max",
        /// It would not be any more.
        PoolBelowMax = "pool.below_max",
        /// The source of a check has no value.
        CheckNoData = "check.no_data",
        /// It has one again.
        CheckAnswers = "check.answers",
        /// A node is unhealthy.
        NodeUnhealthy = "node.unhealthy",
        /// It is healthy again.
        NodeHealthy = "node.healthy",
        /// A node or a member of a pool cannot be reached.
        NodeUnreachable = "node.unreachable",
        /// It can be again.
        NodeReachable = "node.reachable",
        /// A node is gone, and nobody asked for that.
        NodeLost = "node.lost",
        /// It is there again.
        NodeFound = "node.found",
        /// A member of a pool is gone.
        MemberLost = "member.lost",
        /// It is there again.
        MemberFound = "member.found",
        /// A simulator is gone.
        SimulatorLost = "simulator.lost",
        /// It is there again.
        SimulatorFound = "simulator.found",
        /// A simulator that somebody has for themselves is not changed before it is released.
        SimulatorKept = "simulator.kept",
        /// A change was made.
        ChangeDone = "change.done",
        /// A change failed.
        ChangeFailed = "change.failed",
        /// A run ended, and did all that it was to do.
        RunEnded = "run.ended",
        /// A run did not do all that it was to do, or could not be made.
        RunFailed = "run.failed",
        /// A change has failed again and again.
        PartStuck = "part.stuck",
        /// It works again, or is not asked for any more.
        PartRecovered = "part.recovered",
        /// An alert fires.
        AlertFiring = "alert.firing",
        /// It does not any more.
        AlertResolved = "alert.resolved",
        /// A robot is offline. No robot is acted on yet.
        RobotOffline = "robot.offline",
        /// A webhook takes nothing.
        WebhookFailed = "webhook.failed",
        /// It takes events again.
        WebhookDelivers = "webhook.delivers",
        /// More happened than it took: the oldest events are not sent.
        WebhookDropped = "webhook.dropped",
        /// The watch ended before everything was sent.
        WebhookUndelivered = "webhook.undelivered",
    }
}

/// How bad something is, for who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is as it should be.
    Info,
    /// Somebody should know.
    Warning,
    /// Somebody should act.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl EventName {
    /// Every name that a webhook can be sent: not what webhooks themselves are at, so that two that fail do not tell each other.
    pub fn sent() -> impl Iterator<Item = &'static str> {
        let words = Self::WORDS.iter().copied();
        words.filter(|word| !word.starts_with("webhook."))
    }

    /// Whether webhooks are sent it.
    pub fn is_sent(self) -> bool {
        !self.as_str().starts_with("webhook.")
    }

    /// How bad it is, where nothing else says so.
    pub fn severity(self) -> Severity {
        use EventName as E;
        match self {
            E::LapFailed
            | E::FleetInvalid
            | E::FleetRefused
            | E::PoolScaleFailed
            | E::PoolAtMax
            | E::CheckNoData
            | E::NodeUnhealthy
            | E::NodeUnreachable
            | E::NodeLost
            | E::MemberLost
            | E::SimulatorLost
            | E::ChangeFailed
            | E::RunFailed
            | E::RobotOffline
            | E::WebhookFailed
            | E::WebhookDropped
            | E::WebhookUndelivered
            | E::AlertFiring => Severity::Warning,
            E::PartStuck => Severity::Critical,
            _ => Severity::Info,
        }
    }

    /// The event that says that this one is over; `None` for what is over when it is told.
    pub fn end(self) -> Option<EventName> {
        use EventName as E;
        Some(match self {
            E::FleetPending => E::FleetSettled,
            E::PoolAtMax => E::PoolBelowMax,
            E::CheckNoData => E::CheckAnswers,
            E::NodeUnhealthy => E::NodeHealthy,
            E::NodeUnreachable => E::NodeReachable,
            E::NodeLost => E::NodeFound,
            E::MemberLost => E::MemberFound,
            E::SimulatorLost => E::SimulatorFound,
            E::PartStuck => E::PartRecovered,
            _ => return None,
        })
    }
}

/// Whether a pattern stands for a name: `pool.scaled_up`, `pool.*`, `*`.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(begin) => name.starts_with(begin),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_names_by_their_parts() {
        for (pattern, name, expected) in [
            ("*", "pool.at_max", true),
            ("pool.*", "pool.at_max", true),
            ("pool.*", "poolx.at_max", false),
            ("pool.at_max", "pool.at_max", true),
            ("pool.at", "pool.at_max", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_name_is_documented() {
        let documented = include_str!("../../docs/events.md");
        for word in EventName::WORDS {
            assert!(
                documented.contains(&format!("| `{word}` |")),
                "docs/events.md lacks `{word}`"
            );
        }
    }
}
