//! What goes wrong, on demand.

use axum::http::Method;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::message::ArmError;

/// Something that goes wrong with the calls that it matches.
///
/// As JSON: `{"method": "PUT", "path": "virtualMachines/a", "skip": 1, "times": 1, "effect": "lose_reply"}`, where an effect
/// with more to say is an object, such as `{"throttle": {"retry_after": 2}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Which method; any without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What is in the path and query, in any case; anything without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many matching calls go well before.
    #[serde(default)]
    pub skip: u32,
    /// How many it meets then; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// With which chance it meets each, by the seed; surely without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// What happens.
    pub effect: FaultEffect,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// The call is carried out, and the connection closed without an answer.
    LoseReply,
    /// The connection is closed and nothing is carried out.
    LoseRequest,
    /// 429 `TooManyRequests`, with a `Retry-After` where one is given.
    Throttle {
        /// In seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// An answer with this status and nothing carried out.
    Status {
        /// Such as 500 or 503.
        status: u16,
        /// A code of ARM.
        #[serde(default)]
        code: Option<String>,
        /// A message.
        #[serde(default)]
        message: Option<String>,
    },
    /// The operation that the call begins fails when it ends.
    FailOperation {
        /// A code of ARM.
        code: String,
        /// A message.
        #[serde(default)]
        message: Option<String>,
        /// What is inside: code and message of each detail.
        #[serde(default)]
        details: Vec<(String, String)>,
        /// What lies behind it: `innererror`.
        #[serde(default)]
        inner: Option<String>,
    },
    /// The machine does not boot: its operation fails with `OSProvisioningTimedOut` when it gives up.
    NeverBoot,
    /// The operation takes longer.
    SlowOperation {
        /// By how many milliseconds of the emulator's time.
        milliseconds: u64,
    },
    /// The answer comes later.
    Delay {
        /// By how many milliseconds of real time.
        milliseconds: u64,
    },
}

impl Fault {
    /// Makes a fault that meets every call.
    pub fn new(effect: FaultEffect) -> Self {
        Fault {
            method: None,
            path: None,
            skip: 0,
            times: None,
            chance: None,
            effect,
        }
    }

    /// Meets only calls with this method and with this in their path.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// Meets only the nth matching call, counted from one.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.skip = nth.saturating_sub(1);
        self.times = Some(1);
        self
    }

    /// Meets so many matching calls, and no more.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Meets each matching call with this chance.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        (self.method.as_ref()).is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()))
            && (self.path.as_ref()).is_none_or(|wanted| path.contains(&wanted.to_lowercase()))
    }
}

/// What is done to the operation that the current call begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperationFault {
    pub fails: Option<ArmError>,
    pub never_boots: bool,
    pub slower_ms: u64,
}

/// What is done to the current call.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallFault {
    pub loses_reply: bool,
    pub loses_request: bool,
    pub refuses: Option<ArmError>,
    pub delay_ms: u64,
}

/// All that goes wrong.
#[derive(Debug, Default)]
pub struct Faults {
    faults: Vec<Fault>,
    operation: OperationFault,
}

impl Faults {
    /// Adds one.
    pub fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Ends all.
    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// Returns those that may still happen.
    pub fn all(&self) -> &[Fault] {
        &self.faults
    }

    /// Works out what is done to a call, and counts it.
    pub(crate) fn meet(&mut self, method: &Method, path: &str, draw: &mut Draw) -> CallFault {
        let path = path.to_lowercase();
        let mut call = CallFault::default();
        self.operation = OperationFault::default();
        for fault in &mut self.faults {
            if !fault.matches(method, &path) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.times == Some(0) || fault.chance.is_some_and(|chance| !draw.happens(chance)) {
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            match &fault.effect {
                FaultEffect::LoseReply => call.loses_reply = true,
                FaultEffect::LoseRequest => call.loses_request = true,
                FaultEffect::Throttle { retry_after } => {
                    let mut error = ArmError::new(
                        429,
                        "TooManyRequests",
                        "The request is being throttled as the limit has been reached for operation type - Write.",
                    );
                    error.retry_after = *retry_after;
                    call.refuses = Some(error);
                }
                FaultEffect::Status { status, code, message } => {
                    let code = code.as_deref().unwrap_or(match status {
                        503 => "ServiceUnavailable",
                        500 => "InternalServerError",
                        504 => "GatewayTimeout",
                        409 => "Conflict",
                        _ => "Error",
                    });
                    let message = message
                        .clone()
                        .unwrap_or_else(|| "Encountered internal server error.".to_owned());
                    call.refuses = Some(ArmError::new(*status, code, message));
                }
                FaultEffect::FailOperation {
                    code,
                    message,
                    details,
                    inner,
                } => {
                    let message = message
                        .clone()
                        .unwrap_or_else(|| format!("The operation failed: {code}."));
                    let mut error = ArmError::new(409, code, message);
                    error.details.clone_from(details);
                    error.inner.clone_from(inner);
                    self.operation.fails = Some(error);
                }
                FaultEffect::NeverBoot => self.operation.never_boots = true,
                FaultEffect::SlowOperation { milliseconds } => self.operation.slower_ms += milliseconds,
                FaultEffect::Delay { milliseconds } => call.delay_ms += milliseconds,
            }
        }
        self.faults.retain(|fault| fault.times != Some(0));
        call
    }

    /// Returns what is done to the operation that the current call begins.
    pub(crate) fn take_operation(&mut self) -> OperationFault {
        std::mem::take(&mut self.operation)
    }

    /// Keeps what is done to the operation that the current call is yet to begin.
    pub(crate) fn give_back(&mut self, fault: OperationFault) {
        self.operation = fault;
    }
}
