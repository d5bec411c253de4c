//! Flags that several verbs share.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use jiff::{SignedDuration, Timestamp};
use simfleet_provider_api::Address;

use super::exit::Failure;
use super::run::Run;
use crate::config::{self, Config, Inputs, Setting, Unset};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fleet::{Fleet, FleetError, Options, Refresh, with_providers};
use crate::plan::{Holds, Mode, Pattern, Plan, PlanFile, Selection};
use crate::view;
use crate::view::plan::unseen;

/// What sets variables, in the order in which it was typed: what comes later wins, as in Terraform.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(Vec<Setting>);

/// The flags that set variables, each kind by itself.
#[derive(Debug, Args)]
struct VariableFlags {
    /// Set a variable; can be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// Read variables from a file; can be given several times
    #[arg(long = "var-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args for Variables {
    fn augment_args(command: Command) -> Command {
        VariableFlags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        VariableFlags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Variables {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = VariableFlags::from_arg_matches(matches)?;
        let places = |flag| matches.indices_of(flag).into_iter().flatten();
        let vars = flags.vars.into_iter().map(|(name, text)| Setting::Text(name, text));
        let files = flags.files.into_iter().map(Setting::File);
        let mut settings: Vec<_> = places("vars").zip(vars).chain(places("files").zip(files)).collect();
        settings.sort_by_key(|(place, _)| *place);
        Ok(Variables(settings.into_iter().map(|(_, setting)| setting).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// How a plan is made and carried out.
#[derive(Debug, Clone, Args)]
pub(super) struct Planning {
    #[command(flatten)]
    variables: Variables,
    /// Look at what is there before planning; --refresh=false takes it to be as recorded
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = clap::ArgAction::Set, hide_default_value = true)]
    refresh: bool,
    /// Make this resource anew; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    replace: Vec<Address>,
    /// Only this and what it needs: an address, a block, a module, or with `*`; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<Pattern>,
    /// Not this and what needs it: an address, a block, a module, or with `*`; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    exclude: Vec<Pattern>,
    /// End what was stopped or paused by hand: everything becomes what is declared
    #[arg(long)]
    release_holds: bool,
    /// How many calls to providers run at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    parallelism: u16,
    /// How long to wait for another run that works on the same resources
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lock_timeout: Duration,
}

/// Reads `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("the form is NAME=VALUE".to_owned()),
    }
}

/// Reads `30s`, `5m`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "it is not a duration such as 30s or 5m".to_owned())?;
    parsed.try_into().map_err(|_| "it is negative".to_owned())
}

impl Planning {
    /// Reads the fleet, and tells what is suspicious about it.
    pub(super) fn open(&self, run: &Run, path: PathBuf, mode: Mode) -> Result<Fleet, Failure> {
        open(run, self.options(run, path, mode)?)
    }

    /// Reads the fleet as it was when a plan was saved.
    pub(super) fn open_saved(&self, run: &Run, plan: &PlanFile) -> Result<Fleet, Failure> {
        if !self.replace.is_empty() || !self.refresh || self.release_holds || !self.selection().is_all() {
            let hint =
                "give --replace, --target, --exclude, --refresh and --release-holds to `simfleet plan --out FILE`";
            return Err(Failure::usage("A saved plan says already what is to be done.", hint));
        }
        let fleet = Fleet::of_plan(plan, self.options(run, plan.path.clone(), plan.mode)?)?;
        warn(run, fleet.warnings());
        Ok(fleet)
    }

    fn selection(&self) -> Selection {
        Selection {
            targets: self.target.clone(),
            excludes: self.exclude.clone(),
            is_of_plan: false,
        }
    }

    fn options(&self, run: &Run, path: PathBuf, mode: Mode) -> Result<Options, Failure> {
        let mut options = options(run, path, &self.variables)?;
        // What is recorded is removed or looked at as it is recorded, whatever the variables were.
        if mode != Mode::Apply {
            options.inputs.unset = Unset::Unknown;
        }
        Ok(Options {
            refresh: if self.refresh { Refresh::Look } else { Refresh::Trust },
            replace: self.replace.iter().cloned().collect(),
            selection: self.selection(),
            holds: if self.release_holds {
                Holds::Release
            } else {
                Holds::Keep
            },
            parallelism: usize::from(self.parallelism),
            lock_timeout: self.lock_timeout,
            mode,
            ..options
        })
    }
}

/// A fleet that is looked at.
#[derive(Debug, Clone, Args)]
pub(super) struct Looking {
    #[command(flatten)]
    variables: Variables,
}

impl Looking {
    /// Reads the fleet, and tells what is suspicious about it.
    pub(super) fn open(&self, run: &Run, path: PathBuf) -> Result<Fleet, Failure> {
        open(run, self.options(run, path)?)
    }

    /// Reads the fleet to change its state by hand, waiting for those who hold the addresses.
    pub(super) fn open_to_change(&self, run: &Run, path: PathBuf, lock_timeout: Duration) -> Result<Fleet, Failure> {
        open(
            run,
            Options {
                lock_timeout,
                ..self.options(run, path)?
            },
        )
    }

    /// What is recorded does not depend on variables, so that none has to be set.
    fn options(&self, run: &Run, path: PathBuf) -> Result<Options, Failure> {
        let mut options = options(run, path, &self.variables)?;
        options.inputs.unset = Unset::Unknown;
        Ok(options)
    }

    /// Reads what is declared, without a place for its state; tells what is suspicious about it.
    pub(super) fn load(&self, run: &Run, path: PathBuf) -> Result<Config, Failure> {
        let options = self.options(run, path)?;
        let (config, warnings) =
            config::load(&options.path, &with_providers(&options.inputs)).map_err(FleetError::from)?;
        warn(run, &warnings);
        Ok(config)
    }

    /// Reads the fleet as it was when a plan was saved.
    pub(super) fn open_saved(&self, run: &Run, plan: &PlanFile) -> Result<Fleet, Failure> {
        Ok(Fleet::of_plan(plan, options(run, plan.path.clone(), &self.variables)?)?)
    }
}

impl Looking {
    /// Returns the mistakes of a fleet and what is suspicious about it, as far as that can be told without its state; and
    /// what of it is not available yet.
    pub(super) fn validate(&self, run: &Run, path: PathBuf) -> Result<(Diagnostics, Diagnostics), Failure> {
        let options = self.options(run, path)?;
        let loaded = config::load(&options.path, &with_providers(&options.inputs));
        let (config, warnings) = loaded.map_err(FleetError::from)?;
        let unavailable = config.unavailable.clone();
        if !unavailable.0.is_empty() {
            return Ok((warnings, unavailable));
        }
        // Without a usable place for its state there are still its files to check.
        let found = match Fleet::with_config(options, config, warnings.clone()) {
            Ok(fleet) => fleet.mistakes(),
            Err(_) => warnings,
        };
        Ok((found, unavailable))
    }
}

impl Variables {
    /// Reads the fleet to plan of it what a verb needs, waiting for those who hold the addresses.
    pub(super) fn open(&self, run: &Run, path: PathBuf, lock_timeout: Duration) -> Result<Fleet, Failure> {
        let options = options(run, path, self)?;
        open(
            run,
            Options {
                lock_timeout,
                ..options
            },
        )
    }
}

fn open(run: &Run, options: Options) -> Result<Fleet, Failure> {
    let fleet = Fleet::open(options)?;
    warn(run, fleet.warnings());
    Ok(fleet)
}

/// Tells what is suspicious.
pub(super) fn warn(run: &Run, warnings: &Diagnostics) {
    if !warnings.0.is_empty() {
        run.terminal
            .tell(&view::diagnostics::render(warnings, run.terminal.err));
    }
}

/// Tells that a plan could not look at all that there is.
pub(super) fn warn_unseen(run: &Run, plan: &Plan) {
    if let Some(warning) = unseen(plan) {
        run.terminal.tell("\n");
        warn(run, &warning.into());
    }
}

fn options(run: &Run, path: PathBuf, variables: &Variables) -> Result<Options, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::io(
            "The program cannot start",
            "Finding its own path failed".to_owned(),
            &error,
        )
    })?;
    Ok(Options {
        path,
        state: run.global.state.clone(),
        inputs: Inputs {
            settings: variables.0.clone(),
            environment: environment(),
            cwd: std::env::current_dir().unwrap_or_default(),
            ..Inputs::default()
        },
        refresh: Refresh::Look,
        mode: Mode::Apply,
        replace: BTreeSet::new(),
        selection: Selection::default(),
        holds: Holds::Keep,
        at: Timestamp::now(),
        parallelism: 10,
        lock_timeout: Duration::ZERO,
        command: run.again.told(),
        program,
    })
}

/// Returns the environment, as far as it is text.
fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Reads a saved plan; `None` where the path is that of a fleet.
pub(super) fn saved_plan(path: &Path) -> Result<Option<PlanFile>, Failure> {
    if PlanFile::is_one(path) {
        return Ok(Some(PlanFile::read(path).map_err(FleetError::from)?));
    }
    if path.is_file() && path.extension().is_none_or(|extension| extension != "hcl") {
        let detail = format!(
            "`{}` is no plan that was kept with `plan --out`, and no fleet file, whose name would end in .hcl.",
            path.display()
        );
        return Err(Diagnostic::error("Not a plan file", detail)
            .hint("make one with `simfleet plan --out FILE`")
            .into());
    }
    Ok(None)
}

/// Splits `[PATH] [NAME]`: a single word is a name where it looks like one and no such file is there.
pub(super) fn named(words: &[String], is_name: impl Fn(&str) -> bool) -> (PathBuf, Option<String>) {
    match words {
        [] => (".".into(), None),
        [word] if is_name(word) && !Path::new(word).exists() => (".".into(), Some(word.clone())),
        [path] => (path.into(), None),
        [path, name, ..] => (path.into(), Some(name.clone())),
    }
}

/// Says that there is no address among the words of [`named`].
pub(super) fn no_address(words: &[String]) -> String {
    match words {
        [word] if !Path::new(word).exists() => match word.parse::<Address>() {
            Err(error) => format!("{error}, and there is no such file or folder."),
            Ok(_) => "An address is missing.".to_owned(),
        },
        _ => "An address is missing.".to_owned(),
    }
}

/// Reads `[PATH] ADDRESS…`: the first word is the fleet where such a file is there, or where it is no address.
pub(super) fn addresses<T: FromStr<Err: Display>>(words: &[String]) -> Result<(PathBuf, Vec<T>), Failure> {
    let is_path = |word: &&String| Path::new(word).exists() || word.parse::<T>().is_err();
    let (path, words) = match words.split_first() {
        Some((path, rest)) if !rest.is_empty() && is_path(&path) => (path.into(), rest),
        _ => (".".into(), words),
    };
    let read = |word: &String| word.parse::<T>().map_err(|error| not_an_address(&error));
    Ok((path, words.iter().map(read).collect::<Result<_, _>>()?))
}

pub(super) fn not_an_address(problem: &dyn Display) -> Failure {
    Failure::usage(format!("{problem}."), "`simfleet state list` prints the addresses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names() {
        let name = |text: &str| !text.contains('.');
        for (words, path, found) in [
            (vec![], ".", None),
            (vec!["size"], ".", Some("size")),
            (vec!["lab.hcl"], "lab.hcl", None),
            // A folder that is there: tests run in the folder of the package.
            (vec!["src"], "src", None),
            (vec!["lab.hcl", "size"], "lab.hcl", Some("size")),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            assert_eq!(
                named(&words, name),
                (path.into(), found.map(str::to_owned)),
                "{words:?}"
            );
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("0s", Some(Duration::ZERO)),
            ("1m30s", Some(Duration::from_secs(90))),
            ("250ms", Some(Duration::from_millis(250))),
            ("-1s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }
}
