//! A plan for people.

use simfleet_provider_api::{Address, Path, Value};

use super::changes::{self, look, secrets};
use super::costs;
use crate::apply::Estimate;
use crate::diagnostic::Diagnostic;
use crate::plan::{
    Action, Change, DriftKind, Interrupt, Mode, Move, OutputChange, Plan, Summary, allocated, described,
};
use crate::view::difference::differences;
use crate::view::document::{Document, Line, Theme, Tone};
use crate::view::fold;
use crate::view::progress::{WORTH_TELLING, duration};

/// Whether instances that change alike are shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// They are: one block for all.
    Folded,
    /// Each has a block of its own.
    Expanded,
}

/// What a plan leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To the fleet as declared.
    Apply,
    /// To nothing.
    Destroy,
    /// To a state that is as the fleet is.
    Refresh,
}

impl Purpose {
    /// Returns what a plan leads to.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Apply => Purpose::Apply,
            Mode::Destroy => Purpose::Destroy,
            Mode::Refresh => Purpose::Refresh,
        }
    }
}

/// A plan, and how it is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Folded or not.
    pub detail: Detail,
    /// What it leads to.
    pub purpose: Purpose,
    /// How long it is expected to take to carry it out.
    pub estimate: Option<Estimate>,
}

/// Returns a warning where a plan could not look at all that there is.
pub fn unseen(plan: &Plan) -> Option<Diagnostic> {
    let count = plan.unseen().count();
    let (verb, pronoun) = if count == 1 {
        ("is", "it is")
    } else {
        ("are", "they are")
    };
    let detail = format!(
        "{} cannot be reached, so whether {pronoun} as declared is not known; {pronoun} left alone.",
        of(count, "resource")
    );
    let warning = Diagnostic::warning("Not all could be looked at", detail);
    let hint = format!("`simfleet status` says why; --detailed-exitcode counts what {verb} out of reach as no change");
    (count > 0).then(|| warning.hint(hint))
}

impl View<'_> {
    /// Returns the plan as text. Its last line is the summary.
    pub fn render(&self, theme: Theme) -> String {
        let mut document = Document::new();
        self.unfinished(&mut document);
        self.drift(&mut document);
        let changing = self.plan.changes.iter().filter(|change| change.action != Action::NoOp);
        if changing.clone().next().is_some() {
            let title = match self.purpose {
                Purpose::Apply | Purpose::Refresh => "What apply will do:",
                Purpose::Destroy => "What destroy will do:",
            };
            heading(title, &mut document);
            changes::show(changing, self.detail, &mut document);
        }
        self.moves(&mut document);
        self.imports(&mut document);
        self.pools(&mut document);
        if !self.plan.is_empty() {
            costs::show(&self.plan.costs, &mut document);
        }
        self.outputs(&mut document);
        self.unplaced(&mut document);
        self.holds(&mut document);
        self.interrupts(&mut document);
        self.irreversible(&mut document);
        self.care(&mut document);
        document.blank();
        document.line(self.summary_line());
        document.render(theme)
    }

    fn unfinished(&self, document: &mut Document) {
        for unfinished in &self.plan.unfinished {
            let address = &unfinished.address;
            let (action, by) = (unfinished.action, &unfinished.by);
            let text = match unfinished.live {
                true => format!("another run ({by}) is at work on its {action}; apply will wait for it"),
                false => format!("an earlier run ({by}) began its {action}; apply will finish it"),
            };
            document.line(
                Line::new()
                    .tone(Tone::Change, "  ! ")
                    .tone(Tone::Strong, address.to_string())
                    .text(format!(": {text}")),
            );
        }
        document.blank();
    }

    fn drift(&self, document: &mut Document) {
        if self.plan.drift.is_empty() {
            return;
        }
        heading("What is not as it was recorded:", document);
        for drift in &self.plan.drift {
            let head = |sign: &str, tone, text: &str| {
                Line::new()
                    .tone(tone, format!("{sign:>3} "))
                    .tone(Tone::Strong, drift.address.to_string())
                    .text(text)
            };
            match &drift.what {
                DriftKind::Gone => document.line(head("-", Tone::Bad, " is gone")),
                DriftKind::Unreachable { reason } => {
                    document.line(head("?", Tone::Change, &format!(" cannot be reached: {reason}")));
                }
                DriftKind::Changed(attributes) => {
                    document.line(head("~", Tone::Change, " was changed outside of simfleet"));
                    let secrets = secrets(self.plan, &drift.address);
                    document.nest(6, |document| {
                        for attribute in attributes {
                            let secret = secrets.iter().any(|name| Some(&**name) == attribute.path.root());
                            let marked = |value: &Option<Value>| value.clone().map(|value| value.mark(secret));
                            let (recorded, seen) = (marked(&attribute.recorded), marked(&attribute.seen));
                            for difference in differences(attribute.path.clone(), recorded.as_ref(), seen.as_ref()) {
                                difference.show(None, document);
                            }
                        }
                    });
                }
            }
        }
        document.blank();
    }

    fn moves(&self, document: &mut Document) {
        if self.plan.moves.is_empty() {
            return;
        }
        heading("What has another address from now on:", document);
        for Move { from, to } in &self.plan.moves {
            document.line(
                Line::new()
                    .tone(Tone::Change, " -> ")
                    .tone(Tone::Strong, to.to_string())
                    .text(format!(" (was {from})")),
            );
        }
        document.blank();
    }

    fn imports(&self, document: &mut Document) {
        if self.plan.imports.is_empty() {
            return;
        }
        heading("What exists and is managed from now on:", document);
        for (address, id) in &self.plan.imports {
            document.line(
                Line::new()
                    .tone(Tone::Good, " <- ")
                    .tone(Tone::Strong, address.to_string())
                    .text(format!(" is the object {id}")),
            );
        }
        document.blank();
    }

    fn pools(&self, document: &mut Document) {
        if self.plan.pools.is_empty() {
            return;
        }
        heading("Sizes of pools:", document);
        for pool in &self.plan.pools {
            let (sign, tone, size) = match pool.before {
                None => ("+", Tone::Good, members(pool.after)),
                Some(before) => ("~", Tone::Change, format!("{before} -> {}", members(pool.after))),
            };
            document.line(
                Line::new()
                    .tone(tone, format!("{sign:>3} "))
                    .tone(Tone::Strong, pool.address.to_string())
                    .text(format!(": {size} ({})", pool.because)),
            );
        }
        document.blank();
    }

    fn outputs(&self, document: &mut Document) {
        let changing = || self.plan.outputs.iter().filter(|(_, output)| output.is_change());
        if changing().next().is_none() {
            return;
        }
        heading("Outputs:", document);
        document.nest(2, |document| {
            for (name, output) in changing() {
                let OutputChange {
                    before,
                    after,
                    sensitive,
                } = output;
                let marked = |value: &Option<Value>| value.clone().map(|value| value.mark(*sensitive));
                let path = Path::attribute(name.as_str());
                let found = differences(path, marked(before).as_ref(), marked(after).as_ref());
                if found.is_empty() {
                    document.line(
                        Line::new()
                            .tone(Tone::Change, "~")
                            .text(format!(" {name}: of another type")),
                    );
                }
                for difference in found {
                    difference.show(None, document);
                }
            }
        });
        document.blank();
    }

    fn unplaced(&self, document: &mut Document) {
        if self.plan.unplaced.is_empty() {
            return;
        }
        heading("Without a place:", document);
        for unplaced in &self.plan.unplaced {
            document.line(
                Line::new()
                    .tone(Tone::Bad, "  ! ")
                    .tone(Tone::Strong, unplaced.address.to_string())
                    .text(format!(": {}", unplaced.reason)),
            );
        }
        document.blank();
    }

    /// Says what is stopped or paused, and left so, and whose hold ends.
    fn holds(&self, document: &mut Document) {
        let told = |sign: &str, address: &Address, text: String| {
            let line = Line::new().tone(Tone::Change, format!("{sign:>3} "));
            line.tone(Tone::Strong, address.to_string()).text(format!(": {text}"))
        };
        let held: Vec<Line> = self
            .plan
            .changes
            .iter()
            .filter_map(|change| Some(told("=", &change.address, described(change.held.as_ref()?))))
            .collect();
        let ended = self.plan.unheld.iter().map(|ended| {
            let text = format!("{}: {}", described(&ended.hold), ended.why);
            told("-", &ended.address, text)
        });
        let ended: Vec<Line> = ended.collect();
        let asleep = self.plan.changes.iter();
        let asleep = asleep.filter_map(|change| Some(told("=", &change.address, change.asleep()?.to_owned())));
        let asleep: Vec<Line> = asleep.collect();
        for (title, lines) in [
            ("Held by hand, and left so:", held),
            ("Stopped by themselves, until somebody starts them:", asleep),
            ("Holds that end:", ended),
        ] {
            if lines.is_empty() {
                continue;
            }
            heading(title, document);
            lines.into_iter().for_each(|line| document.line(line));
            document.blank();
        }
    }

    fn interrupts(&self, document: &mut Document) {
        let mut groups: Vec<(Action, Vec<&Address>)> = Vec::new();
        for interrupt in &self.plan.interrupts {
            match groups.last_mut() {
                Some((action, addresses))
                    if *action == interrupt.action
                        && fold::family(addresses[0]) == fold::family(&interrupt.address) =>
                {
                    addresses.push(&interrupt.address);
                }
                _ => groups.push((interrupt.action, vec![&interrupt.address])),
            }
        }
        if groups.is_empty() {
            return;
        }
        let count = self.plan.interrupts.len();
        heading(
            &format!("This interrupts {}:", of(count, "running simulator")),
            document,
        );
        for (action, addresses) in groups {
            let look = look(action);
            document.line(
                Line::new()
                    .tone(look.tone, format!("{:>3} ", look.sign))
                    .tone(Tone::Strong, fold::name(&addresses))
                    .text(format!(" {}", look.words)),
            );
        }
        for Interrupt {
            address, allocation, ..
        } in &self.plan.interrupts
        {
            if let Some(allocation) = allocation {
                let line = Line::new().tone(Tone::Bad, format!("    {address}"));
                document.line(line.text(format!(" is {}", allocated(allocation))));
            }
        }
        document.blank();
    }

    /// Says whose data is lost.
    fn irreversible(&self, document: &mut Document) {
        let lost: Vec<&Change> = self.plan.irreversible().collect();
        if lost.is_empty() {
            return;
        }
        heading(
            &format!("This loses what is in {}, for good:", of(lost.len(), "volume")),
            document,
        );
        for change in lost {
            let look = look(change.action);
            let line = Line::new().tone(Tone::Bad, format!("{:>3} ", look.sign));
            let line = line.tone(Tone::Strong, change.address.to_string());
            document.line(line.text(format!(" {}", look.words)));
        }
        document.blank();
    }

    /// Says with what care members of pools go.
    fn care(&self, document: &mut Document) {
        let emptied = self.plan.emptied();
        if self.plan.rolls.is_empty() && emptied.is_empty() {
            return;
        }
        heading("With care:", document);
        let mut told = |name: String, text: String| {
            let line = Line::new().text("  ").tone(Tone::Strong, name);
            document.line(line.text(format!(": {text}")));
        };
        for roll in &self.plan.rolls {
            let members: Vec<&Address> = roll.members.iter().collect();
            let after: Vec<&Address> = roll.after.iter().collect();
            let mut text = match members.len() > roll.at_once {
                true => format!("rolls {} at a time, each once the one before is back", roll.at_once),
                false => "goes".to_owned(),
            };
            if !after.is_empty() {
                let first = if members.len() > roll.at_once {
                    ", the first"
                } else {
                    ""
                };
                let verb = if after.len() == 1 { "is" } else { "are" };
                text.push_str(&format!("{first} once {} {verb} there", fold::names(&after)));
            }
            told(fold::names(&members), text);
        }
        for emptied in &emptied {
            let waits_for = fold::names(&emptied.waits_for);
            let (longest, verb) = (
                duration(emptied.timeout),
                if emptied.waits_for.len() == 1 { "ends" } else { "end" },
            );
            told(
                emptied.address.to_string(),
                format!("takes nothing new, and goes once {waits_for} {verb}, after {longest} at the latest"),
            );
        }
        document.blank();
    }

    /// Returns the last line alone: how many changes there are.
    pub fn summary(&self) -> String {
        let mut document = Document::new();
        document.line(self.summary_line());
        document.render(Theme::Plain).trim_end().to_owned()
    }

    fn summary_line(&self) -> Line {
        let Summary {
            create,
            update,
            check,
            replace,
            delete,
            forget,
            ..
        } = self.plan.summary();
        if self.plan.is_empty() {
            return Line::new()
                .tone(Tone::Strong, "No changes.")
                .text(self.state_of_affairs());
        }
        if self.purpose == Purpose::Refresh {
            let drifted = of(self.plan.drift.len(), "resource");
            let text = format!(" {drifted} to record as found; nothing is changed.");
            return Line::new().tone(Tone::Strong, "Plan:").text(text);
        }
        let mut text = format!(" {create} to create, {update} to update, {replace} to replace, {delete} to delete");
        let outputs = self.plan.outputs.values().filter(|output| output.is_change()).count();
        let resources = create + update + check + replace + delete + forget;
        for (count, words) in [
            (check, "to look at"),
            (forget, "to forget"),
            (self.plan.moves.len(), "to move"),
            (self.plan.imports.len(), "to import"),
            (self.plan.unfinished.len(), "to finish"),
            (self.plan.unplaced.len(), "without a place"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        if resources == 0 && outputs > 0 {
            text.push_str(&format!("; {} to change", of(outputs, "output")));
        }
        if resources == 0 && !self.plan.pools.is_empty() {
            text.push_str(&format!("; {} to resize", of(self.plan.pools.len(), "pool")));
        }
        let part = if self.plan.is_partial {
            " This is a part of the fleet only."
        } else {
            ""
        };
        Line::new()
            .tone(Tone::Strong, "Plan:")
            .text(format!("{text}.{part}{}", self.length()))
    }

    /// Says how long it takes.
    fn length(&self) -> String {
        match self.estimate {
            Some(Estimate::About(length)) if length >= WORTH_TELLING => {
                format!(" It takes about {}.", duration(length))
            }
            Some(Estimate::AtLeast(length)) if length >= WORTH_TELLING => {
                format!(" It takes at least {}.", duration(length))
            }
            _ => String::new(),
        }
    }

    /// Says how the fleet is when nothing changes.
    fn state_of_affairs(&self) -> String {
        let unreachable = |drift: &&crate::plan::Drift| matches!(drift.what, DriftKind::Unreachable { .. });
        let unreachable = self.plan.drift.iter().filter(unreachable).count();
        let unplaced = self.plan.unplaced.len();
        match (unreachable, unplaced, self.purpose) {
            (0, 0, Purpose::Refresh) => " Everything is as it was recorded.".to_owned(),
            (0, 0, _) if self.plan.is_partial => " What was selected is as declared.".to_owned(),
            (0, 0, Purpose::Apply) if self.plan.changes.iter().any(|change| change.held.is_some()) => {
                " The fleet is as declared, but for what is held.".to_owned()
            }
            (0, 0, Purpose::Apply) => " The fleet is as declared.".to_owned(),
            (0, 0, Purpose::Destroy) => " There is nothing to destroy.".to_owned(),
            (0, unplaced, _) => format!(" {} without a place.", of(unplaced, "simulator")),
            (unreachable, 0, _) => format!(" {} cannot be reached.", of(unreachable, "resource")),
            (unreachable, unplaced, _) => format!(
                " {} cannot be reached, {} without a place.",
                of(unreachable, "resource"),
                of(unplaced, "simulator")
            ),
        }
    }
}

pub(super) fn heading(text: &str, document: &mut Document) {
    document.blank();
    document.line(Line::new().tone(Tone::Strong, text));
    document.blank();
}

pub(in crate::view) fn members(count: u64) -> String {
    of(usize::try_from(count).unwrap_or(usize::MAX), "member")
}

/// Returns a count with its noun: `1 member`, `2 members`.
pub(super) fn of(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
