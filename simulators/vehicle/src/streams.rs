//! Which messages a peer receives, and how often.
//!
//! Each peer has its own rates, as each link of an autopilot does: what one
//! ground station asks for does not change what another one gets.

use std::time::Duration;

use mavlink::MessageData as _;
use mavlink::dialects::common::{
    ATTITUDE_DATA, ATTITUDE_QUATERNION_DATA, BATTERY_STATUS_DATA, EXTENDED_SYS_STATE_DATA, GLOBAL_POSITION_INT_DATA,
    GPS_RAW_INT_DATA, HEARTBEAT_DATA, HOME_POSITION_DATA, LOCAL_POSITION_NED_DATA, SYS_STATUS_DATA, SYSTEM_TIME_DATA,
    VFR_HUD_DATA,
};

/// Shortest interval a stream may have: no new state comes faster than that.
const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// Time from the first contact to the first telemetry. A health probe that
/// waits for one heartbeat and closes its socket is gone by then.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Every message that can be streamed, with its default interval in
/// milliseconds; 0 is off. What moves comes often enough to look smooth, the
/// rest at the leisure of a telemetry link.
const DEFAULTS: [(u32, u64); 12] = [
    // First, so that of messages due together it leaves first.
    (HEARTBEAT_DATA::ID, 1000),
    (SYS_STATUS_DATA::ID, 1000),
    (EXTENDED_SYS_STATE_DATA::ID, 1000),
    (SYSTEM_TIME_DATA::ID, 1000),
    (ATTITUDE_DATA::ID, 100),
    (GLOBAL_POSITION_INT_DATA::ID, 200),
    (VFR_HUD_DATA::ID, 200),
    (GPS_RAW_INT_DATA::ID, 1000),
    (LOCAL_POSITION_NED_DATA::ID, 1000),
    (HOME_POSITION_DATA::ID, 2000),
    (BATTERY_STATUS_DATA::ID, 2000),
    (ATTITUDE_QUATERNION_DATA::ID, 0),
];

/// An interval as MAV_CMD_SET_MESSAGE_INTERVAL names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Interval {
    Default,
    Off,
    Every(Duration),
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    message_id: u32,
    /// None while the stream is off.
    interval: Option<Duration>,
    next: Duration,
}

/// The streams of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    streams: [Stream; DEFAULTS.len()],
}

impl Streams {
    /// The default streams of a peer first heard at `now`, which has been
    /// sent a HEARTBEAT right then.
    pub(crate) fn new(now: Duration) -> Self {
        let streams = DEFAULTS.map(|(message_id, _)| Stream {
            message_id,
            interval: default_interval(message_id),
            next: if message_id == HEARTBEAT_DATA::ID {
                now + Duration::from_secs(1)
            } else {
                now + FIRST_DELAY
            },
        });
        Self { streams }
    }

    /// Sets an interval; false if the message cannot be streamed.
    pub(crate) fn set(&mut self, message_id: u32, interval: Interval, now: Duration) -> bool {
        let Some(stream) = self.find(message_id) else {
            return false;
        };
        stream.interval = match interval {
            Interval::Default => default_interval(message_id),
            Interval::Off => None,
            Interval::Every(interval) => Some(interval.max(MIN_INTERVAL)),
        };
        stream.next = now;
        true
    }

    /// The interval of a message, none while it is off; `Err` if it cannot be
    /// streamed.
    pub(crate) fn interval(&self, message_id: u32) -> Result<Option<Duration>, ()> {
        let mut streams = self.streams.iter();
        let stream = streams.find(|stream| stream.message_id == message_id);
        stream.map(|stream| stream.interval).ok_or(())
    }

    /// Messages due at `now`, which are then due again an interval later.
    pub(crate) fn take_due(&mut self, now: Duration) -> impl Iterator<Item = u32> {
        self.streams.iter_mut().filter_map(move |stream| {
            let interval = stream.interval?;
            if stream.next > now {
                return None;
            }
            // Keep the phase, unless the process was held up: a burst of old
            // telemetry helps nobody.
            stream.next += interval;
            if stream.next <= now {
                stream.next = now + interval;
            }
            Some(stream.message_id)
        })
    }

    /// When the next message is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let active = self.streams.iter().filter(|stream| stream.interval.is_some());
        active.map(|stream| stream.next).min()
    }

    fn find(&mut self, message_id: u32) -> Option<&mut Stream> {
        let mut streams = self.streams.iter_mut();
        streams.find(|stream| stream.message_id == message_id)
    }
}

fn default_interval(message_id: u32) -> Option<Duration> {
    let (_, millis) = DEFAULTS.iter().find(|(id, _)| *id == message_id)?;
    (*millis > 0).then(|| Duration::from_millis(*millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    /// How often a message is due within ten seconds, woken exactly when due.
    fn count(streams: &mut Streams, message_id: u32) -> usize {
        let end = START + Duration::from_secs(10);
        let mut count = 0;
        while let Some(now) = streams.next_due().filter(|now| *now < end) {
            count += streams.take_due(now).filter(|id| *id == message_id).count();
        }
        count
    }

    #[test]
    fn default_rates_are_kept() {
        for (message_id, expected) in [
            (HEARTBEAT_DATA::ID, 9), // and the one sent on first contact
            (SYS_STATUS_DATA::ID, 10),
            (ATTITUDE_DATA::ID, 99),
            (GLOBAL_POSITION_INT_DATA::ID, 50),
            (HOME_POSITION_DATA::ID, 5),
            (ATTITUDE_QUATERNION_DATA::ID, 0),
        ] {
            assert_eq!(count(&mut Streams::new(START), message_id), expected);
        }
    }

    #[test]
    fn intervals_can_be_changed_bounded_and_restored() {
        let mut streams = Streams::new(START);
        let id = ATTITUDE_DATA::ID;
        let every = |millis| Interval::Every(Duration::from_millis(millis));
        assert!(streams.set(id, every(500), START));
        assert_eq!(count(&mut streams.clone(), id), 20);
        assert!(streams.set(id, every(0), START));
        assert_eq!(streams.interval(id), Ok(Some(MIN_INTERVAL)));
        assert!(streams.set(id, Interval::Off, START));
        assert_eq!(streams.interval(id), Ok(None));
        assert_eq!(count(&mut streams.clone(), id), 0);
        assert!(streams.set(id, Interval::Default, START));
        assert_eq!(streams.interval(id), Ok(Some(Duration::from_millis(100))));
        assert!(!streams.set(9999, Interval::Default, START));
        assert_eq!(streams.interval(9999), Err(()));
    }

    #[test]
    fn a_delay_is_not_made_up_for_by_a_burst() {
        let mut streams = Streams::new(START);
        let late = START + Duration::from_secs(60);
        let due = streams.take_due(late).filter(|id| *id == ATTITUDE_DATA::ID);
        assert_eq!(due.count(), 1);
        assert_eq!(streams.take_due(late).count(), 0);
    }
}
