//! An apply while it runs: live lines on a terminal, plain lines elsewhere, or one JSON event a line.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use simfleet_provider_api::Address;

use super::document::{Document, Line, Theme, Tone, visible};
use crate::apply::{Progress, Verb};

/// Shows what happens during an apply, as it happens.
pub struct Reporter<'a> {
    sink: Sink<'a>,
    /// When something was last told of what runs, where each telling is a line of its own.
    told: BTreeMap<(Address, Verb), Timestamp>,
}

/// How many seconds are between two lines that tell how far the same thing is.
const BETWEEN: i64 = 5;

enum Sink<'a> {
    Live {
        bars: MultiProgress,
        running: BTreeMap<(Address, Verb), ProgressBar>,
        theme: Theme,
    },
    Plain {
        out: &'a mut (dyn Write + Send),
        theme: Theme,
    },
    Json {
        out: &'a mut (dyn Write + Send),
    },
}

impl<'a> Reporter<'a> {
    /// Shows a line for each running change, with its elapsed time, on the terminal that standard error is.
    pub fn live(theme: Theme) -> Self {
        Reporter::to(Sink::Live {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            running: BTreeMap::new(),
            theme,
        })
    }

    /// Writes a line for each thing that happens.
    pub fn plain(out: &'a mut (dyn Write + Send), theme: Theme) -> Self {
        Reporter::to(Sink::Plain { out, theme })
    }

    /// Writes a JSON event for each thing that happens.
    pub fn json(out: &'a mut (dyn Write + Send)) -> Self {
        Reporter::to(Sink::Json { out })
    }

    fn to(sink: Sink<'a>) -> Self {
        let told = BTreeMap::new();
        Reporter { sink, told }
    }

    /// Shows one thing that happened.
    ///
    /// # Errors
    /// Why it could not be written. The apply goes on regardless: nobody may be reading any more.
    pub fn show(&mut self, progress: &Progress, at: Timestamp) -> io::Result<()> {
        let is_due = self.is_due(progress, at);
        match &mut self.sink {
            Sink::Plain { .. } | Sink::Json { .. } if !is_due => Ok(()),
            Sink::Plain { out, theme } => {
                out.write_all(line(progress).render(*theme).as_bytes())?;
                out.flush()
            }
            Sink::Json { out } => {
                writeln!(out, "{}", event(progress, at))?;
                out.flush()
            }
            Sink::Live { bars, running, theme } => show_live(bars, running, *theme, progress),
        }
    }

    /// Whether it is time for a line about something: how far a call is, is told now and then only.
    fn is_due(&mut self, progress: &Progress, at: Timestamp) -> bool {
        match progress {
            Progress::Started { address, verb, .. } => {
                self.told.insert((address.clone(), *verb), at);
                true
            }
            Progress::Underway { address, verb, .. } => {
                let last = self.told.entry((address.clone(), *verb)).or_insert(at);
                let is_due = at.as_second().saturating_sub(last.as_second()) >= BETWEEN;
                if is_due {
                    *last = at;
                }
                is_due
            }
            _ => true,
        }
    }
}

fn show_live(
    bars: &MultiProgress,
    running: &mut BTreeMap<(Address, Verb), ProgressBar>,
    theme: Theme,
    progress: &Progress,
) -> io::Result<()> {
    match progress {
        Progress::Started {
            address,
            verb,
            expected,
        } => {
            let bar = ProgressBar::new_spinner()
                .with_style(spinner())
                .with_prefix(visible(&address.to_string()))
                .with_message(format!("{}{}", doing(*verb), about(*expected)));
            let bar = bars.add(bar);
            bar.enable_steady_tick(Duration::from_millis(200));
            running.insert((address.clone(), *verb), bar);
            return Ok(());
        }
        Progress::Underway { address, verb, message } => {
            if let Some(bar) = running.get(&(address.clone(), *verb)) {
                bar.set_message(format!("{}, {}", doing(*verb), visible(message)));
            }
            return Ok(());
        }
        Progress::Accepted { address, verb, .. } => {
            if let Some(bar) = running.get(&(address.clone(), *verb)) {
                bar.set_message(format!("{}, accepted", doing(*verb)));
            }
            return Ok(());
        }
        Progress::Finished { address, verb, .. } | Progress::Failed { address, verb, .. } => {
            if let Some(bar) = running.remove(&(address.clone(), *verb)) {
                bar.finish_and_clear();
            }
        }
        Progress::Waiting { .. }
        | Progress::Resumed { .. }
        | Progress::Retrying { .. }
        | Progress::Overdue { .. }
        | Progress::Skipped { .. }
        | Progress::Stopping { .. } => {}
    }
    bars.println(line(progress).render(theme).trim_end())
}

fn spinner() -> ProgressStyle {
    // The template is fixed, so that it can only be wrong in every run; a plain spinner is the way out then.
    ProgressStyle::with_template("  {spinner} {prefix}: {msg}… {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn doing(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "creating",
        Verb::Update => "updating",
        Verb::Delete => "deleting",
        Verb::Forget => "forgetting",
        Verb::Check => "looking at it",
        Verb::Drain => "draining",
        Verb::Prove => "waiting for its health",
    }
}

/// Returns the participle of a step: `created`.
pub(super) fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "created",
        Verb::Update => "updated",
        Verb::Delete => "deleted",
        Verb::Forget => "forgotten",
        Verb::Check => "looked at",
        Verb::Drain => "drained",
        Verb::Prove => "healthy",
    }
}

/// Returns one thing that happened as text without colours.
pub(super) fn text(progress: &Progress) -> String {
    line(progress).render(Theme::Plain).trim_end().to_owned()
}

/// Returns the line for one thing that happened; what a long message has besides its first line is indented.
fn line(progress: &Progress) -> Document {
    let (address, tone) = match progress {
        Progress::Started { address, .. }
        | Progress::Accepted { address, .. }
        | Progress::Underway { address, .. }
        | Progress::Resumed { address, .. }
        | Progress::Retrying { address, .. } => (Some(address), Tone::Plain),
        Progress::Finished { address, .. } => (Some(address), Tone::Good),
        Progress::Failed { address, .. } => (Some(address), Tone::Bad),
        Progress::Skipped { address, .. } | Progress::Overdue { address, .. } => (Some(address), Tone::Change),
        Progress::Waiting { .. } | Progress::Stopping { .. } => (None, Tone::Change),
    };
    let message = message(progress);
    let mut lines = message.trim_end().split('\n');
    let mut first = Line::new();
    if let Some(address) = address {
        first = first.tone(Tone::Strong, address.to_string()).text(": ");
    }
    let mut document = Document::new();
    document.line(first.tone(tone, lines.next().unwrap_or_default()));
    document.nest(4, |document| lines.for_each(|line| document.line(line)));
    document
}

/// Says what happened, without the address.
fn message(progress: &Progress) -> String {
    match progress {
        Progress::Waiting { message } => format!("waiting: {message}"),
        Progress::Resumed { verb, message, .. } => {
            format!("the {} of an earlier run: {message}", verb.as_str())
        }
        Progress::Started { verb, expected, .. } => format!("{}…{}", doing(*verb), about(*expected)),
        Progress::Accepted { verb, elapsed, .. } => {
            format!("{}… accepted after {}", doing(*verb), duration(*elapsed))
        }
        Progress::Underway { verb, message, .. } => format!("{}… {message}", doing(*verb)),
        Progress::Retrying {
            verb,
            attempt,
            after,
            because,
            ..
        } => format!("{}… attempt {attempt} in {}: {because}", doing(*verb), duration(*after)),
        Progress::Overdue { elapsed, left, .. } => {
            let left: Vec<&Address> = left.iter().collect();
            let (name, runs) = (super::fold::names(&left), if left.len() == 1 { "runs" } else { "run" });
            format!("not drained after {}: {name} still {runs}", duration(*elapsed))
        }
        Progress::Finished { verb, elapsed, .. } => format!("{} after {}", done(*verb), duration(*elapsed)),
        Progress::Failed {
            verb, elapsed, error, ..
        } => format!("{} failed after {}: {error}", verb.as_str(), duration(*elapsed)),
        Progress::Skipped { verb, because, .. } => format!("{} skipped: {because}", verb.as_str()),
        Progress::Stopping { in_flight: 0 } => "stopping: nothing is in flight".to_owned(),
        Progress::Stopping { in_flight } => {
            format!("stopping: nothing new is begun, {in_flight} in flight; once more to leave at once")
        }
    }
}

/// Returns the JSON event for one thing that happened.
pub fn event(progress: &Progress, at: Timestamp) -> Json {
    let (kind, address, verb, elapsed) = match progress {
        Progress::Resumed { address, verb, .. } => ("resumed", Some(address), Some(verb), None),
        Progress::Started { address, verb, .. } => ("started", Some(address), Some(verb), None),
        Progress::Accepted { address, verb, elapsed } => ("accepted", Some(address), Some(verb), Some(elapsed)),
        Progress::Underway { address, verb, .. } => ("underway", Some(address), Some(verb), None),
        Progress::Retrying { address, verb, .. } => ("retrying", Some(address), Some(verb), None),
        Progress::Finished { address, verb, elapsed } => ("finished", Some(address), Some(verb), Some(elapsed)),
        Progress::Failed {
            address, verb, elapsed, ..
        } => ("failed", Some(address), Some(verb), Some(elapsed)),
        Progress::Skipped { address, verb, .. } => ("skipped", Some(address), Some(verb), None),
        Progress::Overdue { address, elapsed, .. } => ("overdue", Some(address), Some(&Verb::Drain), Some(elapsed)),
        Progress::Waiting { .. } => ("waiting", None, None, None),
        Progress::Stopping { .. } => ("stopping", None, None, None),
    };
    let mut event = Map::new();
    event.insert("type".to_owned(), json!(kind));
    event.insert("at".to_owned(), json!(at.to_string()));
    event.insert("address".to_owned(), json!(address));
    event.insert("action".to_owned(), json!(verb.map(|verb| verb.as_str())));
    event.insert("message".to_owned(), json!(message(progress)));
    event.insert(
        "elapsed_ms".to_owned(),
        json!(elapsed.map(|elapsed| milliseconds(*elapsed))),
    );
    match progress {
        Progress::Started { expected, .. } => {
            event.insert("expected_ms".to_owned(), json!(expected.map(milliseconds)));
        }
        Progress::Retrying { attempt, after, .. } => {
            event.insert("attempt".to_owned(), json!(attempt));
            event.insert("after_ms".to_owned(), json!(milliseconds(*after)));
        }
        Progress::Failed { error, .. } => {
            event.insert("error".to_owned(), json!(error));
        }
        Progress::Skipped { because, .. } => {
            event.insert("because".to_owned(), json!(because));
        }
        Progress::Overdue { left, .. } => {
            event.insert("left".to_owned(), json!(left));
        }
        Progress::Stopping { in_flight } => {
            event.insert("in_flight".to_owned(), json!(in_flight));
        }
        _ => {}
    }
    Json::Object(event)
}

/// How long something must be expected to take, so that it is worth a word.
pub(super) const WORTH_TELLING: Duration = Duration::from_secs(5);

fn about(expected: Option<Duration>) -> String {
    let expected = expected.filter(|expected| *expected >= WORTH_TELLING);
    expected.map_or_else(String::new, |expected| format!(" (about {})", duration(expected)))
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Returns a duration in the unit that suits it: `0.4 s`, `12 s`, `2 min 5 s`, `1 h 2 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Progress> {
        let address: Address = "pool.field/m1".parse().unwrap();
        let elapsed = Duration::from_millis(1234);
        vec![
            Progress::Waiting {
                message: "addresses are locked: pool.field/m1 by ann@lab".into(),
            },
            Progress::Resumed {
                address: address.clone(),
                verb: Verb::Create,
                message: "it was made, and is recorded now".into(),
            },
            Progress::Started {
                address: address.clone(),
                verb: Verb::Create,
                expected: Some(Duration::from_secs(95)),
            },
            Progress::Retrying {
                address: address.clone(),
                verb: Verb::Create,
                attempt: 2,
                after: Duration::from_millis(250),
                because: "connection refused".into(),
            },
            Progress::Accepted {
                address: address.clone(),
                verb: Verb::Create,
                elapsed,
            },
            Progress::Finished {
                address: address.clone(),
                verb: Verb::Create,
                elapsed,
            },
            Progress::Failed {
                address: address.clone(),
                verb: Verb::Delete,
                elapsed: Duration::from_secs(75),
                error: "the agent does not answer\nits log has more".into(),
            },
            Progress::Skipped {
                address: address.clone(),
                verb: Verb::Update,
                because: "node.a failed".into(),
            },
            Progress::Started {
                address: address.clone(),
                verb: Verb::Drain,
                expected: None,
            },
            Progress::Overdue {
                address,
                elapsed: Duration::from_secs(30),
                left: vec![
                    "simulator.exec.job[0]".parse().unwrap(),
                    "simulator.exec.job[1]".parse().unwrap(),
                ],
            },
            Progress::Stopping { in_flight: 2 },
        ]
    }

    #[test]
    fn plain_lines() {
        let mut out = Vec::new();
        let mut reporter = Reporter::plain(&mut out, Theme::Plain);
        for progress in events() {
            reporter.show(&progress, Timestamp::UNIX_EPOCH).unwrap();
        }
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn how_far_something_is_is_told_now_and_then() {
        let (mut plain, mut json) = (Vec::new(), Vec::new());
        let address: Address = "service.web".parse().unwrap();
        let mut reporters = [Reporter::plain(&mut plain, Theme::Plain), Reporter::json(&mut json)];
        for reporter in &mut reporters {
            let mut show = |second: i64, progress: Progress| {
                let at = Timestamp::from_second(second).unwrap();
                reporter.show(&progress, at).unwrap();
            };
            let started = Progress::Started {
                address: address.clone(),
                verb: Verb::Create,
                expected: None,
            };
            show(100, started);
            for second in [101, 104, 105, 106, 109, 111, 130] {
                let underway = Progress::Underway {
                    address: address.clone(),
                    verb: Verb::Create,
                    message: format!("pulls nginx:1.27: {second} of 200 layers"),
                };
                show(second, underway);
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        insta::assert_snapshot!(format!("{}{}", text(plain), text(json)));
    }

    #[test]
    fn json_events() {
        let mut out = Vec::new();
        let mut reporter = Reporter::json(&mut out);
        for progress in events() {
            reporter.show(&progress, Timestamp::UNIX_EPOCH).unwrap();
        }
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn durations() {
        for (seconds, shown) in [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (10.9, "10 s"),
            (125.0, "2 min 5 s"),
            (3720.0, "1 h 2 min"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), shown);
        }
    }
}
