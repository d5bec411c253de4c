//! What the tests of this crate start: `agent` and `shim` as `simfleet` has them, and `create FOLDER NAME TOKEN`, which
//! makes a node as a run of its own would.

use std::ffi::OsString;
use std::process::ExitCode;

use simfleet_provider_agent::{AgentOptions, serve, shim};
use simfleet_provider_api::{Attributes, Context, ProviderType, Token};
use simfleet_provider_local::LocalType;
use simfleet_provider_local::schema::NODE;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let result = match verb.to_str() {
        Some("shim") => return shim::run(arguments),
        Some("agent") => agent(&arguments),
        Some("create") => create(&arguments),
        _ => Err("usage: agent | shim | create".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn agent(arguments: &[OsString]) -> Result<()> {
    let [data_flag, data, listen_flag, listen] = arguments else {
        return Err("usage: agent --data DIR --listen ADDRESS".into());
    };
    if data_flag != "--data" || listen_flag != "--listen" {
        return Err("usage: agent --data DIR --listen ADDRESS".into());
    }
    let options = AgentOptions {
        data: data.into(),
        listen: listen.to_string_lossy().parse()?,
        address: None,
        program: std::env::current_exe()?,
    };
    tokio::runtime::Runtime::new()?.block_on(serve(options))?;
    Ok(())
}

fn create(arguments: &[OsString]) -> Result<()> {
    let [folder, name, token] = arguments else {
        return Err("usage: create FOLDER NAME TOKEN".into());
    };
    let context = Context {
        // As the test that starts this has it.
        lineage: std::path::Path::new(folder)
            .parent()
            .unwrap_or("".as_ref())
            .to_string_lossy()
            .into(),
        folder: folder.into(),
        root: folder.into(),
        program: std::env::current_exe()?,
    };
    let planned = Attributes::from_iter([("name", name.to_string_lossy().as_ref())]);
    let token = Token(token.to_string_lossy().into());
    tokio::runtime::Runtime::new()?.block_on(async {
        let provider = LocalType.configure(&Attributes::new(), &context).await?;
        // The test says when to go on.
        println!("configured");
        let mut go = String::new();
        std::io::stdin().read_line(&mut go)?;
        provider.create(&NODE, &token, &planned).await?;
        Ok(())
    })
}
