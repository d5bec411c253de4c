//! Standard input, output and error: results go to the one, everything else to the other.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use rustix::termios::{self, OptionalActions, Termios};

use super::exit::Failure;
use crate::view::Theme;

/// A terminal that passes on each key as it is pressed, Ctrl-C too, until this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Has the terminal at standard input pass on keys; `None` where there is none.
    pub(super) fn of_input() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // What is shown still begins each line at the left, whether or not who writes it sends carriage returns.
        raw.output_modes = before.output_modes;
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Where a run reads from and writes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// How results are coloured.
    pub(super) out: Theme,
    /// How everything else is.
    pub(super) err: Theme,
}

impl Terminal {
    /// Looks at the streams, at `NO_COLOR` and what else says whether colours are wanted.
    pub(super) fn detect(no_color: bool) -> Self {
        let theme = |choice| match choice {
            ColorChoice::Always | ColorChoice::AlwaysAnsi if !no_color => Theme::Colored,
            _ => Theme::Plain,
        };
        Terminal {
            out: theme(AutoStream::choice(&io::stdout())),
            err: theme(AutoStream::choice(&io::stderr())),
        }
    }

    /// Writes a result.
    ///
    /// # Errors
    /// `Closed` where nobody reads it; why it could not be written otherwise.
    pub(super) fn print(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Closed),
            Err(error) => Err(Failure::io(
                "The result cannot be written",
                "Standard output".to_owned(),
                &error,
            )),
        }
    }

    /// Writes a JSON document over several lines.
    ///
    /// # Errors
    /// As [`print`](Terminal::print).
    pub(super) fn print_json(self, document: &serde_json::Value) -> Result<(), Failure> {
        self.print(&format!("{document:#}\n"))
    }

    /// Writes anything that is not the result. If that fails there is nobody left to tell.
    pub(super) fn tell(self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Whether a person sits at the keyboard.
    pub(super) fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks, and returns the answer without white space around it; nothing where the input ended.
    pub(super) async fn ask(self, question: &str) -> String {
        self.tell(question);
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line)
        });
        let line = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        line.trim().to_owned()
    }
}
