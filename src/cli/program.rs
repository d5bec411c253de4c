//! The program: its arguments, its verbs, and how one of them is carried out.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::Timestamp;
use simfleet_provider_agent::shim;

use super::again::Again;
use super::exit::{Exit, Failure, USAGE};
use super::run::{Global, Run};
use super::signals::Signals;
use super::terminal::Terminal;
use super::{
    agent, apply, completions, console, debug, events, fmt, graph, import, init, output, plan, pool, rehearse, schema,
    show, simulator, spelling, state, status, token, top, undo, unlock, validate, vehicle, version, watch, why,
};
use crate::diagnostic::Diagnostics;
use crate::view;

const EXAMPLES: &str = "\
Examples:
  simfleet init                        write a first fleet file
  simfleet plan                        show what would change, and why
  simfleet apply                       change it
  simfleet status                      show what runs
  simfleet destroy                     remove it all

Flags can be typed as Terraform's are: -auto-approve, -out=FILE, -var name=value.
Exit codes: 0 success, 1 error, or apply left something out, 2 the plan has changes
(--detailed-exitcode), 3 locked by another run, 4 an operation ran into its time-out,
5 refused by --fail-on, 64 wrong usage, 130 interrupted.";

/// Keeps fleets of simulators and robots as you declare them.
#[derive(Debug, Parser)]
#[command(name = "simfleet", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Init),
    Validate(validate::Validate),
    Fmt(fmt::Fmt),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Destroy(apply::Destroy),
    Show(show::Show),
    Output(output::Output),
    Watch(watch::Watch),
    Status(status::Status),
    Simulators(status::Simulators),
    Nodes(status::Nodes),
    Top(top::Top),
    Pool(pool::Pool),
    Events(events::Events),
    Audit(events::Audit),
    Simulator(simulator::Simulator),
    Token(token::Token),
    Why(why::Why),
    Console(console::Console),
    Graph(graph::GraphOf),
    Schema(schema::Schema),
    Rehearse(rehearse::Rehearse),
    State(state::State),
    Import(import::Import),
    Undo(undo::Undo),
    Unlock(unlock::Unlock),
    Agent(agent::Agent),
    Vehicle(vehicle::Vehicle),
    Debug(debug::Debug),
    Completions(completions::Completions),
    Version(version::Version),
}

/// Carries out a command line, the name of the program first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // A shim starts from the main thread, without a runtime: there is one a simulator.
    if arguments.get(1).is_some_and(|verb| verb == "shim") {
        return shim::run(arguments.into_iter().skip(2));
    }
    let command = Arguments::command();
    let arguments = spelling::normalize(arguments, &command);
    let parsed = command
        .try_get_matches_from(&arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let Arguments { global, verb } = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal::detect(global.no_color);
    let again = Again::new(arguments);
    let told = verb.told();
    match start(global, terminal, again, verb) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let code = failure.code();
            if let Some(diagnostics) = failure.diagnostics() {
                tell(&diagnostics, told, terminal);
            }
            ExitCode::from(code)
        }
    }
}

/// Tells why a verb failed: people on standard error, a program that asked for JSON on standard output too.
fn tell(diagnostics: &Diagnostics, told: Told, terminal: Terminal) {
    terminal.tell(&view::diagnostics::render(diagnostics, terminal.err));
    // Whoever stopped reading has had enough.
    let _ = match told {
        Told::Text => Ok(()),
        Told::Document => terminal.print_json(&view::failure::document(diagnostics)),
        Told::Events => {
            let events = view::failure::events(diagnostics, Timestamp::now());
            terminal.print(&events.iter().map(|event| format!("{event}\n")).collect::<String>())
        }
    };
}

/// The form of a verb's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Text, or a document that says itself what failed.
    Text,
    /// One JSON document.
    Document,
    /// One JSON event a line.
    Events,
}

impl Verb {
    fn told(&self) -> Told {
        let (json, events) = match self {
            Verb::Plan(verb) => (verb.is_json(), false),
            Verb::Apply(verb) => (verb.is_json(), true),
            Verb::Destroy(verb) => (verb.is_json(), true),
            Verb::Show(verb) => (verb.is_json(), false),
            Verb::State(verb) => (verb.is_json(), false),
            Verb::Undo(verb) => (verb.is_json(), true),
            Verb::Watch(verb) => (verb.is_json(), true),
            Verb::Events(verb) => (verb.is_json(), true),
            Verb::Audit(verb) => (verb.is_json(), true),
            Verb::Output(verb) => (verb.is_json(), false),
            Verb::Status(verb) => (verb.is_json(), false),
            Verb::Simulators(verb) => (verb.is_json(), false),
            Verb::Nodes(verb) => (verb.is_json(), false),
            Verb::Top(verb) => (verb.is_json(), true),
            Verb::Pool(verb) => (verb.is_json(), false),
            Verb::Simulator(verb) => (verb.is_json(), false),
            Verb::Token(verb) => (verb.is_json(), false),
            Verb::Validate(verb) => (verb.is_json(), false),
            Verb::Why(verb) => (verb.is_json(), false),
            Verb::Graph(verb) => (verb.is_json(), false),
            Verb::Rehearse(verb) => (verb.is_json(), false),
            Verb::Schema(verb) => (verb.is_json(), false),
            _ => (false, false),
        };
        match (json, events) {
            (false, _) => Told::Text,
            (true, false) => Told::Document,
            (true, true) => Told::Events,
        }
    }
}

/// Shows help, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody reading is no error.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

fn start(global: Global, terminal: Terminal, again: Again, verb: Verb) -> Result<Exit, Failure> {
    let level = if matches!(verb, Verb::Agent(_)) { "info" } else { "warn" };
    let colors = terminal.err == view::Theme::Colored;
    let log = super::logging::start(global.log_format, level, colors)
        .map_err(|problem| Failure::usage(problem, "set it to `off`, `warn`, `info`, `debug`, or TARGET=LEVEL"))?;
    if let Some(folder) = &global.chdir {
        std::env::set_current_dir(folder).map_err(|error| {
            Failure::io(
                "The folder cannot be entered",
                format!("`--chdir {}`", folder.display()),
                &error,
            )
        })?;
    }
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("The program cannot start", "Starting threads failed".to_owned(), &error))?;
    let result = runtime.block_on(async {
        let signals = match &verb {
            // These have their own ways to end.
            Verb::Agent(verb) => return verb.run().await,
            Verb::Vehicle(verb) => return verb.run(terminal).await,
            _ => Signals::listen()?,
        };
        let run = Run {
            global,
            terminal,
            signals,
            again,
            log,
        };
        carry_out(verb, &run).await
    });
    // A thread that waits for a line of input must not keep the program.
    runtime.shutdown_background();
    result
}

async fn carry_out(verb: Verb, run: &Run) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(verb) => verb.run(run),
        Verb::Validate(verb) => verb.run(run),
        Verb::Fmt(verb) => verb.run(run),
        Verb::Why(verb) => verb.run(run).await,
        Verb::Graph(verb) => verb.run(run),
        Verb::Schema(verb) => verb.run(run),
        Verb::Rehearse(verb) => verb.run(run),
        Verb::Plan(verb) => verb.run(run).await,
        Verb::Apply(verb) => verb.run(run).await,
        Verb::Destroy(verb) => verb.run(run).await,
        Verb::Show(verb) => verb.run(run).await,
        Verb::Output(verb) => verb.run(run).await,
        Verb::Watch(verb) => verb.run(run).await,
        Verb::Status(verb) => verb.run(run).await,
        Verb::Simulators(verb) => verb.run(run).await,
        Verb::Nodes(verb) => verb.run(run).await,
        Verb::Top(verb) => verb.run(run).await,
        Verb::Pool(verb) => verb.run(run).await,
        Verb::Events(verb) => verb.run(run).await,
        Verb::Audit(verb) => verb.run(run),
        Verb::Simulator(verb) => verb.run(run).await,
        Verb::Token(verb) => verb.run(run).await,
        Verb::Console(verb) => verb.run(run),
        Verb::State(verb) => verb.run(run).await,
        Verb::Import(verb) => verb.run(run).await,
        Verb::Undo(verb) => verb.run(run).await,
        Verb::Unlock(verb) => verb.run(run).await,
        Verb::Debug(verb) => verb.run(run),
        Verb::Completions(verb) => verb.run(run, Arguments::command()),
        Verb::Version(verb) => verb.run(run),
        Verb::Agent(verb) => verb.run().await,
        Verb::Vehicle(verb) => verb.run(run.terminal).await,
    }
}
