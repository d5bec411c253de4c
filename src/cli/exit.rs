//! How a run of the program ends.

use std::io;
use std::process::ExitCode;

use simfleet_state::StateError;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::FleetError;
use crate::view::failure;

/// How a verb ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well.
    Success,
    /// It is said already what went wrong.
    Failure,
    /// The plan has changes, and `--detailed-exitcode` was given.
    Changes,
    /// Operations ran into their time-outs; nothing else went wrong.
    TimedOut,
    /// `--fail-on` names something that the plan does.
    Refused,
    /// The user stopped it.
    Interrupted,
}

/// Why a verb could not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Whatever the fleet says.
    Fleet(FleetError),
    /// Something that a diagnostic tells.
    Diagnostic(Box<Diagnostic>),
    /// Flags or arguments that do not go together.
    Usage(Box<Diagnostic>),
    /// Nobody reads standard output any more, as in `simfleet plan | head`.
    Closed,
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        Failure::Fleet(error)
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Failure::Fleet(diagnostics.into())
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Failure::Diagnostic(Box::new(diagnostic))
    }
}

impl Failure {
    /// An error of which the detail is that of an operating system call.
    pub(super) fn io(summary: &'static str, tried: String, error: &io::Error) -> Self {
        Diagnostic::error(summary, format!("{tried}: {error}.")).into()
    }

    /// Wrong usage.
    pub(super) fn usage(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Usage(Box::new(Diagnostic::error("Wrong usage", detail).hint(hint)))
    }

    /// The exit code: a part of the interface, as scripts go by it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Fleet(FleetError::State(StateError::Locked(_))) => 3,
            Failure::Fleet(FleetError::Interrupted(_)) => INTERRUPTED,
            Failure::Usage(_) => USAGE,
            Failure::Fleet(_) | Failure::Diagnostic(_) => 1,
        }
    }
}

/// The exit code for wrong usage, EX_USAGE of sysexits.h; clap's own would be that of "the plan has changes".
pub(super) const USAGE: u8 = 64;

/// The exit code after Ctrl-C: that of a shell for a process that SIGINT ended.
pub(super) const INTERRUPTED: u8 = 130;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Changes => 2,
            Exit::TimedOut => 4,
            Exit::Refused => 5,
            Exit::Interrupted => INTERRUPTED,
        })
    }
}

impl Failure {
    /// What to tell the user; `None` where there is nobody to tell.
    pub(super) fn diagnostics(self) -> Option<Diagnostics> {
        match self {
            Failure::Fleet(error) => Some(failure::diagnostics(&error)),
            Failure::Diagnostic(diagnostic) | Failure::Usage(diagnostic) => Some((*diagnostic).into()),
            Failure::Closed => None,
        }
    }
}
