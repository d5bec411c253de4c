//! What was done with simulators by hand.

use simfleet_provider_api::{Act, Address};

use super::document::{Document, Line, Theme, Tone};
use crate::control::{Control, Done, Now};
use crate::diagnostic::Diagnostics;

/// Splits what was done from why something was not.
pub fn split(all: &[Done]) -> (Vec<(&Address, &Now)>, Diagnostics) {
    let mut failed = Diagnostics::new();
    let mut done = Vec::new();
    for one in all {
        match &one.result {
            Ok(now) => done.push((&one.address, now)),
            Err(why) => failed.push(why.clone()),
        }
    }
    (done, failed)
}

/// Returns what was done, a line each.
pub fn render(control: &Control, done: &[(&Address, &Now)], theme: Theme) -> String {
    let mut document = Document::new();
    for (address, now) in done {
        let line = Line::new().tone(Tone::Strong, address.to_string());
        document.line(line.text(format!(" {}{}{}", what(control, now), held(control, now), remark(now))));
    }
    document.render(theme)
}

/// Returns whose simulators are now, a line each.
pub fn allocated(done: &[(&Address, &Now)], theme: Theme) -> String {
    let mut document = Document::new();
    for (address, now) in done {
        let until = now.until.map(|until| format!("{until:.0}, or "));
        let line = Line::new().tone(Tone::Strong, address.to_string());
        let until = until.unwrap_or_default();
        document.line(line.text(format!(" is yours until {until}`simfleet simulator release`")));
    }
    document.render(theme)
}

/// Returns what was given back, a line each.
pub fn released(done: &[(&Address, &Now)], theme: Theme) -> String {
    let mut document = Document::new();
    for (address, now) in done {
        let what = if now.is_news { " is released" } else { " was nobody's" };
        document.line(Line::new().tone(Tone::Strong, address.to_string()).text(what));
    }
    document.render(theme)
}

fn what(control: &Control, now: &Now) -> String {
    let (done, already) = match control {
        Control::Start => ("started", "runs already"),
        Control::Stop { .. } => ("stopped", "is stopped already"),
        Control::Pause { .. } => ("paused", "is paused already"),
        Control::Resume => ("goes on", "runs already"),
        Control::Act(Act::Reset) => ("reset", ""),
        Control::Act(Act::Load { program, .. }) => return format!("has loaded {}", program.display()),
        Control::Act(Act::Snapshot { name }) => return format!("is kept as {name}"),
        Control::Act(Act::Restore { name }) => return format!("is what it was as {name}"),
    };
    if now.is_news { done } else { already }.to_owned()
}

fn remark(now: &Now) -> String {
    now.remark
        .as_ref()
        .map(|remark| format!(", {remark}"))
        .unwrap_or_default()
}

fn held(control: &Control, now: &Now) -> String {
    let verb = match control {
        Control::Stop { .. } => "start",
        Control::Pause { .. } => "resume",
        Control::Start | Control::Resume | Control::Act(_) => return String::new(),
    };
    let until = now.until.map(|until| format!("{until:.0}, or "));
    format!(", held until {}`simfleet simulator {verb}`", until.unwrap_or_default())
}
