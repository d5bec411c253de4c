//! The MAVLink services of the vehicle: a message in, messages out.
//!
//! Nothing here reads a clock or a socket. Time is counted from the start of
//! the vehicle and is passed in; replies are collected in an [`Outbox`].

#![expect(deprecated, reason = "ground stations still send what the protocol has superseded")]

mod commands;

use std::time::Duration;

use mavlink::MessageData;
use mavlink::dialects::common::*;

use crate::command::{self, Command};
use crate::frame::{Frame, Payload};
use crate::options::Home;
use crate::parameters::{self, Parameters, SetError};
use crate::streams::Streams;
use crate::telemetry::{self, Context};
use crate::vehicle::{Refusal, Severity, Vehicle};

/// Component id of the vehicle: MAV_COMP_ID_AUTOPILOT1.
pub(crate) const COMPONENT_ID: u8 = MavComponent::MAV_COMP_ID_AUTOPILOT1 as u8;

/// Longest time between two looks at a vehicle in motion: the delay with which
/// an event is told.
const MOTION_INTERVAL: Duration = Duration::from_millis(100);

/// Messages on their way out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// For the peer whose message is answered.
    pub(crate) replies: Vec<Payload>,
    /// For every peer.
    pub(crate) broadcasts: Vec<Payload>,
}

impl Outbox {
    fn reply<M: MessageData>(&mut self, message: &M) {
        self.replies.push(Payload::of(message));
    }

    fn broadcast<M: MessageData>(&mut self, message: &M) {
        self.broadcasts.push(Payload::of(message));
    }
}

/// A vehicle behind its MAVLink services.
#[derive(Debug)]
pub(crate) struct Protocol {
    system_id: u8,
    vehicle: Vehicle,
    /// Unix time at which the vehicle started.
    unix_start: Duration,
    now: Duration,
    damaged_frames: u16,
}

impl Protocol {
    pub(crate) fn new(system_id: u8, home: Home, unix_start: Duration) -> Self {
        Self {
            system_id,
            vehicle: Vehicle::new(system_id, home),
            unix_start,
            now: Duration::ZERO,
            damaged_frames: 0,
        }
    }

    pub(crate) fn system_id(&self) -> u8 {
        self.system_id
    }

    /// Moves the vehicle on to `now`.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.now = now;
        self.vehicle.advance(now);
    }

    /// Latest time at which the vehicle wants to be advanced again; none while
    /// it rests.
    pub(crate) fn next_motion(&self) -> Option<Duration> {
        (!self.vehicle.at_rest()).then(|| self.now + MOTION_INTERVAL)
    }

    /// Counts frames that arrived damaged; SYS_STATUS reports them.
    pub(crate) fn count_damaged(&mut self, frames: u16) {
        self.damaged_frames = self.damaged_frames.saturating_add(frames);
    }

    /// The current message of an id, for a stream.
    pub(crate) fn telemetry(&self, message_id: u32) -> Option<Payload> {
        let context = Context {
            since_boot: self.now,
            unix_time: self.unix_start + self.now,
            damaged_frames: self.damaged_frames,
        };
        telemetry::message(message_id, &self.vehicle, &context)
    }

    /// Events since the last call, as STATUSTEXT to everyone.
    pub(crate) fn report_events(&mut self, outbox: &mut Outbox) {
        for event in self.vehicle.take_events() {
            outbox.broadcast(&STATUSTEXT_DATA {
                severity: match event.severity {
                    Severity::Critical => MavSeverity::MAV_SEVERITY_CRITICAL,
                    Severity::Warning => MavSeverity::MAV_SEVERITY_WARNING,
                    Severity::Info => MavSeverity::MAV_SEVERITY_INFO,
                },
                text: event.text.into(),
                id: 0,
                chunk_seq: 0,
            });
        }
    }

    /// Handles a frame of a peer with the given streams.
    pub(crate) fn receive(&mut self, frame: &Frame<'_>, streams: &mut Streams, outbox: &mut Outbox) {
        if let Some(command) = Command::of(frame) {
            if self.is_addressed(command.target_system, command.target_component) {
                self.command(&command, frame, streams, outbox);
            }
            return;
        }
        // A value this dialect does not know leaves nothing to act on, and of
        // the messages below none promises an answer to it.
        let Ok(message) = frame.message() else { return };
        match message {
            MavMessage::PARAM_REQUEST_LIST(request)
                if self.is_addressed(request.target_system, request.target_component) =>
            {
                let indices = 0..parameters::COUNT;
                outbox.replies.extend(indices.filter_map(|index| self.parameter(index)));
            }
            MavMessage::PARAM_REQUEST_READ(request)
                if self.is_addressed(request.target_system, request.target_component) =>
            {
                self.read_parameter(&request, frame, outbox);
            }
            MavMessage::PARAM_SET(request) if self.is_addressed(request.target_system, request.target_component) => {
                self.set_parameter(&request, frame, outbox);
            }
            MavMessage::MISSION_REQUEST_LIST(request)
                if self.is_addressed(request.target_system, request.target_component) =>
            {
                outbox.reply(&MISSION_COUNT_DATA {
                    count: 0,
                    target_system: frame.system_id,
                    target_component: frame.component_id,
                    mission_type: request.mission_type,
                    opaque_id: 0,
                });
            }
            MavMessage::MISSION_CLEAR_ALL(request)
                if self.is_addressed(request.target_system, request.target_component) =>
            {
                outbox.reply(&mission_ack(frame, request.mission_type, true));
            }
            MavMessage::MISSION_COUNT(request)
                if self.is_addressed(request.target_system, request.target_component) =>
            {
                // An upload. That of no items clears, which is no work here.
                outbox.reply(&mission_ack(frame, request.mission_type, request.count == 0));
            }
            MavMessage::SET_MODE(request) if self.is_addressed(request.target_system, 0) => {
                // Deprecated, not acknowledged by definition, and still sent.
                let [_, _, main, sub] = request.custom_mode.to_le_bytes();
                let result = self.set_mode(request.base_mode.bits(), main, sub);
                self.explain(result, outbox);
            }
            MavMessage::TIMESYNC(request)
                if request.tc1 == 0 && self.is_addressed(request.target_system, request.target_component) =>
            {
                outbox.reply(&TIMESYNC_DATA {
                    tc1: self.now.as_nanos() as i64,
                    ts1: request.ts1,
                    target_system: frame.system_id,
                    target_component: frame.component_id,
                });
            }
            // Only a PING to nobody is a request; one with a target is the
            // answer to somebody's.
            MavMessage::PING(request) if request.target_system == 0 && request.target_component == 0 => {
                outbox.reply(&PING_DATA {
                    target_system: frame.system_id,
                    target_component: frame.component_id,
                    ..request
                });
            }
            // Everything else, REQUEST_DATA_STREAM of old ground stations
            // among it, asks for nothing the vehicle has.
            _ => {}
        }
    }

    /// Whether a message to this address concerns the vehicle. 0 is broadcast.
    fn is_addressed(&self, system: u8, component: u8) -> bool {
        (system == 0 || system == self.system_id) && (component == 0 || component == COMPONENT_ID)
    }

    fn command(&mut self, command: &Command, frame: &Frame<'_>, streams: &mut Streams, outbox: &mut Outbox) {
        // The acknowledgement goes first, and what was asked for behind it.
        let mut produced = Outbox::default();
        let result = self.execute(command, streams, &mut produced);
        let ack = command::acknowledge(command.id, result, frame.system_id, frame.component_id);
        outbox.replies.push(ack);
        outbox.replies.append(&mut produced.replies);
        outbox.broadcasts.append(&mut produced.broadcasts);
    }

    /// The MAV_RESULT of an order; the reason of a refusal is told as
    /// STATUSTEXT, which ground stations show and speak.
    fn explain(&self, order: Result<(), Refusal>, outbox: &mut Outbox) -> MavResult {
        let (result, text) = match order {
            Ok(()) => return MavResult::MAV_RESULT_ACCEPTED,
            Err(Refusal::NotNow(text)) => (MavResult::MAV_RESULT_TEMPORARILY_REJECTED, text),
            Err(Refusal::Invalid(text)) => (MavResult::MAV_RESULT_DENIED, text),
        };
        outbox.broadcast(&STATUSTEXT_DATA {
            severity: MavSeverity::MAV_SEVERITY_CRITICAL,
            text: text.into(),
            id: 0,
            chunk_seq: 0,
        });
        result
    }

    fn parameter(&self, index: u16) -> Option<Payload> {
        let (name, value) = self.vehicle.parameters.by_index(index)?;
        Some(Payload::of(&PARAM_VALUE_DATA {
            param_value: value.to_wire(),
            param_count: parameters::COUNT,
            param_index: index,
            param_id: name.into(),
            param_type: value.kind(),
        }))
    }

    fn read_parameter(&self, request: &PARAM_REQUEST_READ_DATA, frame: &Frame<'_>, outbox: &mut Outbox) {
        let index = match request.param_index {
            -1 => request.param_id.to_str().ok().and_then(Parameters::find),
            index => u16::try_from(index).ok(),
        };
        if let Some(value) = index.and_then(|index| self.parameter(index)) {
            outbox.replies.push(value);
        } else {
            outbox.reply(&PARAM_ERROR_DATA {
                param_index: request.param_index,
                target_system: frame.system_id,
                target_component: frame.component_id,
                param_id: request.param_id,
                error: MavParamError::MAV_PARAM_ERROR_DOES_NOT_EXIST,
            });
        }
    }

    /// Sets a parameter. The value in force afterwards is broadcast, so that
    /// every ground station stays up to date; a refusal additionally names its
    /// reason to the sender.
    fn set_parameter(&mut self, request: &PARAM_SET_DATA, frame: &Frame<'_>, outbox: &mut Outbox) {
        let name = request.param_id.to_str().unwrap_or_default();
        let parameters = &mut self.vehicle.parameters;
        let result = parameters.set(name, request.param_value, request.param_type);
        let value = Parameters::find(name).and_then(|index| self.parameter(index));
        outbox.broadcasts.extend(value);
        if let Err(error) = result {
            outbox.reply(&PARAM_ERROR_DATA {
                param_index: -1,
                target_system: frame.system_id,
                target_component: frame.component_id,
                param_id: request.param_id,
                error: match error {
                    SetError::Unknown => MavParamError::MAV_PARAM_ERROR_DOES_NOT_EXIST,
                    SetError::ReadOnly => MavParamError::MAV_PARAM_ERROR_READ_ONLY,
                    SetError::WrongType => MavParamError::MAV_PARAM_ERROR_TYPE_MISMATCH,
                    SetError::OutOfRange => MavParamError::MAV_PARAM_ERROR_VALUE_OUT_OF_RANGE,
                },
            });
        }
    }
}

/// MISSION_ACK: the vehicle flies no missions, but has no missions to clear
/// either.
fn mission_ack(frame: &Frame<'_>, mission_type: MavMissionType, clear: bool) -> MISSION_ACK_DATA {
    MISSION_ACK_DATA {
        target_system: frame.system_id,
        target_component: frame.component_id,
        mavtype: if clear {
            MavMissionResult::MAV_MISSION_ACCEPTED
        } else {
            MavMissionResult::MAV_MISSION_UNSUPPORTED
        },
        mission_type,
        opaque_id: 0,
    }
}

#[cfg(test)]
mod tests;
