//! `simfleet completions SHELL`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::exit::{Exit, Failure};
use super::run::Run;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  simfleet completions bash > ~/.local/share/bash-completion/completions/simfleet
  simfleet completions zsh > ~/.zfunc/_simfleet
  simfleet completions fish > ~/.config/fish/completions/simfleet.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, run: &Run, mut command: Command) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "simfleet", &mut script);
        run.terminal.print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}
