//! The agent and its shim alone: `simfleet-agent agent --data DIR --listen ADDRESS`, `simfleet-agent agent dial
//! --data DIR`, `simfleet-agent shim …`.

use std::ffi::OsString;
use std::process::ExitCode;

use simfleet_provider_agent::layout::DataFolder;
use simfleet_provider_agent::{AgentOptions, dial, serve, shim};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_ref().and_then(|verb| verb.to_str()) {
        Some("shim") => shim::run(arguments),
        Some("agent") => match agent(arguments.collect()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: simfleet-agent agent [dial] --data DIR --listen ADDRESS");
            ExitCode::from(64)
        }
    }
}

fn agent(arguments: Vec<OsString>) -> Result<(), Box<dyn std::error::Error>> {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let data = value("--data").ok_or("--data is missing")?;
    if arguments.first().is_some_and(|verb| verb == "dial") {
        return Ok(dial(&DataFolder::new(data))?);
    }
    let listen = value("--listen")
        .and_then(|listen| listen.to_str())
        .ok_or("--listen is missing")?;
    let options = AgentOptions {
        data: data.into(),
        listen: listen.parse()?,
        address: None,
        program: std::env::current_exe()?,
    };
    tokio::runtime::Runtime::new()?.block_on(serve(options))?;
    Ok(())
}
