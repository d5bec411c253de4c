//! What is done with simulators by hand: which ones are meant, and what has to happen to each. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use simfleet_provider_api::{Ability, Act, Address, Attributes};
use simfleet_state::{HeldState, Hold, Resource, State};

use crate::config::Config;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::plan::{Pattern, STATE, STOPPED_BECAUSE};

/// What is done with simulators by hand.
#[derive(Debug, Clone, PartialEq)]
pub enum Control {
    /// They become what is declared: a hold ends.
    Start,
    /// They are stopped, and held so.
    Stop {
        /// For how long; without it, until they are started.
        length: Option<Duration>,
    },
    /// They are paused, and held so.
    Pause {
        /// For how long; without it, until they are resumed.
        length: Option<Duration>,
    },
    /// They go on where they were paused: a hold ends.
    Resume,
    /// Something that leaves what is wanted of them as it is.
    Act(Act),
}

/// What has to happen to a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What its attribute `state` is to be, where it is another.
    pub state: Option<&'static str>,
    /// How it is held from now on.
    pub held: Option<HeldState>,
}

/// What was done with a simulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The simulator.
    pub address: Address,
    /// How it is now, or why nothing was done.
    pub result: Result<Now, Diagnostic>,
}

/// How a simulator is, after something was done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// Whether it is otherwise than before.
    pub is_news: bool,
    /// Until when it is held, where it is held until a time.
    pub until: Option<Timestamp>,
    /// What else there is to know of it, in words: why it is not so for long, what is gone because of it.
    pub remark: Option<String>,
}

impl Control {
    /// Its verb.
    pub fn verb(&self) -> &'static str {
        match self {
            Control::Start => "start",
            Control::Stop { .. } => "stop",
            Control::Pause { .. } => "pause",
            Control::Resume => "resume",
            Control::Act(Act::Reset) => "reset",
            Control::Act(Act::Load { .. }) => "load",
            Control::Act(Act::Snapshot { .. }) => "snapshot",
            Control::Act(Act::Restore { .. }) => "restore",
        }
    }

    /// What a simulator must be able to do.
    pub fn ability(&self) -> Ability {
        match self {
            Control::Start | Control::Stop { .. } => Ability::Stop,
            Control::Pause { .. } | Control::Resume => Ability::Pause,
            Control::Act(act) => act.ability(),
        }
    }

    /// For how long it lasts, where that is said.
    pub fn length(&self) -> Option<Duration> {
        match self {
            Control::Stop { length } | Control::Pause { length } => *length,
            Control::Start | Control::Resume | Control::Act(_) => None,
        }
    }

    /// Returns what has to happen to a simulator that was seen like this. To start one that is declared as stopped is the
    /// user's right: the next apply stops it.
    ///
    /// # Errors
    /// It is in a state in which this cannot be done.
    pub fn change(&self, address: &Address, seen: &Attributes) -> Result<Change, Diagnostic> {
        let state = seen.str(STATE).unwrap_or_default();
        // What ends when its work is done is `running` as it should be, and does not run.
        let has_ended = state == "running" && seen.str("status") == Some("exited");
        let wrong = |detail: String, hint: String| {
            Err(Diagnostic::error("Not in this state", detail)
                .on(address.clone())
                .hint(hint))
        };
        let start = format!("simfleet simulator start {address}");
        let held = match self {
            Control::Stop { .. } => Some(HeldState::Stopped),
            Control::Pause { .. } => Some(HeldState::Paused),
            Control::Start | Control::Resume | Control::Act(_) => None,
        };
        let wanted = match self {
            Control::Start | Control::Pause { .. } if has_ended => {
                let reset = format!("simfleet simulator reset {address}");
                return wrong("It has done its work, and ended by itself.".to_owned(), reset);
            }
            Control::Pause { .. } | Control::Resume if !matches!(state, "running" | "paused") => {
                return wrong(format!("It does not run: it is {state}."), start);
            }
            // What ended by itself can be reset.
            Control::Act(Act::Reset) if state == "stopped" => {
                return wrong("It does not run: it is stopped.".to_owned(), start);
            }
            Control::Stop { .. } => "stopped",
            Control::Pause { .. } => "paused",
            Control::Start | Control::Resume => "running",
            Control::Act(_) => return Ok(Change { state: None, held }),
        };
        // One that was idle is to run, and does not.
        let is_asleep = seen.str(STOPPED_BECAUSE).is_some() && wanted != "stopped";
        let state = (wanted != state || is_asleep).then_some(wanted);
        Ok(Change { state, held })
    }
}

/// Refuses what a simulator cannot do, and says what it can.
///
/// # Errors
/// It is not among its abilities.
pub fn able(address: &Address, verb: &str, ability: Ability, abilities: &[Ability]) -> Result<(), Diagnostic> {
    if abilities.contains(&ability) {
        return Ok(());
    }
    let kind = address.labels().first().map(ToString::to_string).unwrap_or_default();
    let detail = format!("A `simulator \"{kind}\"` has no `{verb}`.");
    let diagnostic = Diagnostic::error("Cannot be done", detail).on(address.clone());
    let can: Vec<&str> = abilities.iter().flat_map(|ability| ability.verbs()).copied().collect();
    Err(diagnostic.hint(match can.is_empty() {
        true => "nothing can be done with it by hand: change its block, and apply".to_owned(),
        false => format!("what can be done with it: {}", can.join(", ")),
    }))
}

/// Returns the recorded simulators that patterns stand for, each once, by address.
///
/// # Errors
/// One stands for nothing, for something that is no simulator, or for what is not made yet.
pub fn simulators(config: &Config, state: &State, patterns: &[Pattern]) -> Result<Vec<Address>, Diagnostics> {
    meant(config, state, patterns, |address, _| is_simulator(address))
}

/// Returns what is recorded that patterns stand for and that writes: simulators, services, and what nodes run themselves.
///
/// # Errors
/// As those of [`simulators`].
pub fn writers(config: &Config, state: &State, patterns: &[Pattern]) -> Result<Vec<Address>, Diagnostics> {
    meant(config, state, patterns, |address, resource| {
        is_simulator(address) || matches!(resource.declared.kind.as_str(), "process" | "container")
    })
}

fn meant(
    config: &Config,
    state: &State,
    patterns: &[Pattern],
    is_one: impl Fn(&Address, &Resource) -> bool,
) -> Result<Vec<Address>, Diagnostics> {
    let recorded = || {
        let all = state
            .resources
            .iter()
            .filter(|(address, resource)| is_one(address, resource));
        all.map(|(address, _)| address)
    };
    let mut diagnostics = Diagnostics::new();
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let meant: Vec<&Address> = recorded().filter(|address| pattern.matches(address)).collect();
        if meant.is_empty() {
            diagnostics.push(missing(config, state, pattern));
        }
        found.extend(meant.into_iter().cloned());
    }
    diagnostics.or(found.into_iter().collect()).map(|(found, _)| found)
}

/// Whether an address is that of a simulator, or of one of its instances.
pub fn is_simulator(address: &Address) -> bool {
    address.block() == "simulator" && address.child_name().is_none()
}

/// Says why a pattern stands for no simulator.
fn missing(config: &Config, state: &State, pattern: &Pattern) -> Diagnostic {
    let declared: Vec<&Address> = config
        .modules()
        .into_iter()
        .flat_map(|module| &module.declarations)
        .map(|declaration| &declaration.address)
        .collect();
    let text = pattern.to_string();
    let address: Option<Address> = text.parse().ok();
    let block = address.as_ref().map(Address::declaration);
    let is_meant = |declared: &&&Address| pattern.matches(declared) || block.as_ref() == Some(**declared);
    let others = state.resources.keys().filter(|address| !is_simulator(address));
    let simulators: Vec<&Address> = state.resources.keys().filter(|address| is_simulator(address)).collect();
    if let Some(found) = declared.iter().find(is_meant) {
        if !is_simulator(found) {
            return no_simulator(&text);
        }
        let instances = simulators.iter().filter(|address| address.declaration() == **found);
        let names: Vec<String> = instances.map(ToString::to_string).collect();
        if names.is_empty() {
            let detail = format!("{text} is declared, and not made yet.");
            return Diagnostic::error("Not made yet", detail).hint("`simfleet apply` makes it");
        }
        let detail = format!("{text} is not recorded.");
        let diagnostic = Diagnostic::error("Unknown simulator", detail);
        return diagnostic.hint(format!("there are {}", list(&names)));
    }
    if others.into_iter().any(|address| pattern.matches(address)) {
        return no_simulator(&text);
    }
    let names = simulators.iter().copied().chain(declared).flat_map(|address| {
        let names = [address.declaration().to_string(), address.to_string()];
        names.into_iter().filter(|_| is_simulator(address))
    });
    let names: BTreeSet<String> = names.collect();
    let diagnostic = Diagnostic::error("Unknown simulator", format!("{text} is neither declared nor recorded."));
    diagnostic.nearest(&text, names.iter().map(String::as_str))
}

fn no_simulator(text: &str) -> Diagnostic {
    let detail = format!("{text} is no simulator.");
    Diagnostic::error("Not a simulator", detail).hint("`simfleet simulators` shows them")
}

/// Returns names as a list, of which there can be many.
fn list(names: &[String]) -> String {
    const MANY: usize = 5;
    match names {
        [first, .., last] if names.len() > MANY => format!("{first} to {last}"),
        names => names.join(", "),
    }
}

/// Returns until when something is held that is held for so long; `None` without an end.
///
/// # Errors
/// There is no such time, or it is over at once.
pub fn until(at: Timestamp, length: Option<Duration>) -> Result<Option<Timestamp>, Diagnostic> {
    let end = |length: Duration| {
        if length < Duration::from_millis(1) {
            return Err(Diagnostic::error("Not a time", "That is over at once.").hint("say for how long: --for 10m"));
        }
        at.checked_add(length).map_err(|_| {
            Diagnostic::error("Not a time", "That is longer than there are years.").hint("leave --for out")
        })
    };
    length.map(end).transpose()
}

/// Whether a hold is one that was asked for again, and nothing is to be recorded.
pub fn is_same(hold: Option<&Hold>, change: Change, until: Option<Timestamp>) -> bool {
    match (hold, change.held) {
        (Some(hold), Some(held)) => hold.state == held && hold.until == until,
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use simfleet_provider_api::Value;

    use super::*;

    #[test]
    fn what_each_order_means_in_each_state() {
        let address: Address = "simulator.exec.a".parse().expect("an address");
        let orders = [
            Control::Start,
            Control::Stop { length: None },
            Control::Pause { length: None },
            Control::Resume,
            Control::Act(Act::Reset),
        ];
        for (state, status, expected) in [
            ("running", "running", ["", "stopped", "paused", "", ""]),
            ("paused", "paused", ["running", "stopped", "", "running", ""]),
            ("stopped", "stopped", ["running", "", "refused", "refused", "refused"]),
            ("exited", "exited", ["running", "stopped", "refused", "refused", ""]),
            // It did its work: it is as it should be.
            ("running", "exited", ["refused", "stopped", "refused", "", ""]),
        ] {
            let seen = Attributes::from_iter([("state", Value::from(state)), ("status", Value::from(status))]);
            let found = orders.clone().map(|order| match order.change(&address, &seen) {
                Ok(change) => change.state.unwrap_or_default(),
                Err(_) => "refused",
            });
            assert_eq!(found, expected, "{state}, {status}");
        }
        let asleep = Attributes::from_iter([
            ("state", Value::from("running")),
            ("status", Value::from("stopped")),
            ("stopped_because", Value::from("idle for 30m")),
        ]);
        let found = orders.map(|order| order.change(&address, &asleep).expect("it can be done").state);
        let running = Some("running");
        assert_eq!(found, [running, Some("stopped"), Some("paused"), running, None]);
    }
}
