//! A login on the machine of an agent.
//!
//! An agent on another machine listens to that machine only. Whoever can log in there as the user of the agent runs
//! `simfleet agent dial`, which says the token on a line of its own and from then on passes on what is sent: so no port of the
//! machine is open to others, and no secret has to be brought there or kept here.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use simfleet_provider_api::ssh::Ssh;
use tokio::io::{self, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, Join, join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::durable;
use crate::layout::{AgentRecord, DataFolder};

/// What the line with the token begins with.
const GREETING: &str = "simfleet-agent ";
/// How much a login may say before that, in bytes: some shells greet everybody.
const MOST_BEFORE: u64 = 64 << 10;
/// How much of what it says on standard error is kept, in bytes.
const LAST_WORDS: usize = 4096;
/// How long it may take to say that after it has ended. A connection that `ssh` shares with later logins keeps standard error open.
const PARTING: Duration = Duration::from_secs(1);

/// A login that leads to an agent. It ends with this.
#[derive(Debug)]
pub(crate) struct Login {
    pub stream: Join<BufReader<ChildStdout>, ChildStdin>,
    #[expect(dead_code, reason = "it is kept")]
    child: Child,
    /// What takes in the rest of what it says.
    #[expect(dead_code, reason = "it is kept")]
    errors: JoinSet<()>,
}

/// Logs in, and waits for the agent there to be reached. Returns its token too. Nothing is sent to the agent meanwhile.
pub(crate) async fn log_in(ssh: &Ssh) -> io::Result<(String, Login)> {
    through(&mut ssh.command(["simfleet", "agent", "dial"])).await
}

async fn through(command: &mut Command) -> io::Result<(String, Login)> {
    let mut child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("`ssh` cannot be run: {error}")))?;
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = (input, output, errors) else {
        return Err(io::Error::other("`ssh` has no input and output"));
    };
    // It would wait for ever for somebody to read what it says.
    let last_words = Arc::default();
    let mut reading = JoinSet::new();
    reading.spawn(listen(errors, Arc::clone(&last_words)));
    let mut output = BufReader::new(output);
    let Some(token) = greeting(&mut output).await? else {
        // Whoever is greeted without end is not waited for.
        let _ = timeout(PARTING, reading.join_next()).await;
        return Err(why(&last_words.lock().unwrap_or_else(PoisonError::into_inner)));
    };
    let stream = join(output, input);
    let errors = reading;
    Ok((token, Login { stream, child, errors }))
}

/// Reads until an agent has said its token; `None` where nobody says any. What else is said can be anything.
async fn greeting(output: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<String>> {
    let mut output = output.take(MOST_BEFORE);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).await? > 0 {
        // A line without an end was cut off.
        let token = line.strip_prefix(GREETING.as_bytes()).filter(|it| it.ends_with(b"\n"));
        if let Some(token) = token.and_then(|it| str::from_utf8(it).ok()) {
            return Ok(Some(token.trim().to_owned()));
        }
        line.clear();
    }
    Ok(None)
}

/// Takes in what is said, and keeps the last of it.
async fn listen(mut errors: impl AsyncRead + Unpin, last_words: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = vec![0; LAST_WORDS];
    while let Ok(length @ 1..) = errors.read(&mut bytes).await {
        let mut said = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(bytes.get(..length).unwrap_or_default());
        let excess = said.len().saturating_sub(LAST_WORDS);
        said.drain(..excess);
    }
}

/// Returns why a login did not lead to an agent, in the words of `ssh` or of the machine.
fn why(said: &[u8]) -> io::Error {
    let said = String::from_utf8_lossy(said);
    let last = said.trim().lines().next_back().unwrap_or_default().trim();
    let verb = said.lines().find(|line| line.starts_with("error: unrecognized"));
    let message = match (verb, last) {
        (Some(verb), _) => format!("the simfleet there is another version, and cannot be reached so: {verb}"),
        (None, "") => "nothing there says that it is an agent".to_owned(),
        (None, last) if last.contains("not found") => format!("no simfleet is installed there, or not yet: {last}"),
        (None, last) => last.to_owned(),
    };
    io::Error::other(message)
}

/// Connects standard input and output to the agent with this data folder: the far end of a login. Returns when the agent has
/// ended the connection, which it does soon after nothing more comes in.
///
/// # Errors
/// No agent has the folder, or it does not answer, or nobody is there any more to pass its answers to.
pub fn dial(data: &DataFolder) -> io::Result<()> {
    let (token, mut agent) = reach(data).map_err(|error| {
        let message = format!("no agent is there by `{}`: {error}", data.path().display());
        io::Error::new(error.kind(), message)
    })?;
    let mut sent = agent.try_clone()?;
    let mut output = std::io::stdout();
    // Who greets may have left a line without an end.
    output.write_all(format!("\n{GREETING}{token}\n").as_bytes())?;
    output.flush()?;
    // It ends with the process at the latest.
    std::thread::spawn(move || {
        // What cannot be sent is told by the answer that does not come.
        let _ = std::io::copy(&mut std::io::stdin(), &mut sent);
        let _ = sent.shutdown(Shutdown::Write);
    });
    let mut bytes = vec![0; 64 << 10];
    loop {
        match agent.read(&mut bytes)? {
            0 => return Ok(()),
            length => {
                output.write_all(bytes.get(..length).unwrap_or_default())?;
                output.flush()?;
            }
        }
    }
}

/// Connects to the agent with this data folder, and reads its token.
fn reach(data: &DataFolder) -> io::Result<(String, std::net::TcpStream)> {
    let token = std::fs::read_to_string(data.token())?;
    let record: Option<AgentRecord> = durable::read_json(&data.agent())?;
    let record = record.ok_or_else(|| io::Error::other("it has not begun to listen"))?;
    let listens = record
        .listens
        .ok_or_else(|| io::Error::other("it has not begun to listen"))?;
    let agent = std::net::TcpStream::connect(listens)?;
    // Anybody on the machine can listen where an agent has listened that is gone, and would be told the token by whoever asks. While it
    // lives, nobody else can: so it is looked for only now.
    if !record.identity.is_alive() {
        return Err(io::Error::other("it has ended, and something else listens there"));
    }
    Ok((token.trim().to_owned(), agent))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::identity::ProcessIdentity;

    /// Logs in by a script that stands for `ssh`.
    async fn by(script: &str) -> io::Result<(String, Login)> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).kill_on_drop(true);
        through(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
        .await
    }

    async fn refused(script: &str) -> String {
        let login = timeout(Duration::from_secs(30), by(script)).await;
        let login = login.unwrap_or_else(|_| panic!("it ends soon: {script}"));
        login.expect_err("is no agent").to_string()
    }

    #[tokio::test]
    async fn whatever_is_said_before_the_token_is_passed_over() {
        for before in [
            "",
            "echo welcome",
            r"printf 'gr\374\337 Gott\n\000\377\n'",
            "printf 'no end of line'",
            "yes banner | head -c 60000",
            // More than a pipe holds.
            "yes warning | head -c 1000000 >&2",
        ] {
            let script = format!("{before}\nprintf '\\nsimfleet-agent abc\\n'; exec cat");
            let (token, mut login) = timeout(Duration::from_secs(30), by(&script))
                .await
                .unwrap_or_else(|_| panic!("it is greeted: {before}"))
                .unwrap_or_else(|error| panic!("{before}: {error}"));
            assert_eq!(token, "abc", "{before}");
            login.stream.write_all(b"sent").await.expect("it is written");
            let mut bytes = [0; 4];
            login.stream.read_exact(&mut bytes).await.expect("it comes back");
            assert_eq!(&bytes, b"sent", "{before}");
        }
    }

    #[tokio::test]
    async fn what_is_said_later_does_not_stop_it() {
        let script = "printf '\\nsimfleet-agent abc\\n'; yes warning | head -c 1000000 >&2; echo done";
        let (_, mut login) = by(script).await.expect("it is greeted");
        let mut said = String::new();
        let read = timeout(Duration::from_secs(30), login.stream.read_to_string(&mut said)).await;
        read.expect("it goes on").expect("it is text");
        assert_eq!(said, "done\n");
    }

    #[tokio::test]
    async fn why_there_is_no_agent_is_said_in_few_words() {
        for (script, expected) in [
            ("true", "nothing there says that it is an agent"),
            // It was cut off: what there is of the token is none.
            ("printf 'simfleet-agent abc'", "nothing there says that it is an agent"),
            (
                "echo hello; yes | head -c 200000",
                "nothing there says that it is an agent",
            ),
            ("yes; echo never", "nothing there says that it is an agent"),
            (
                "exec simfleet-is-not-there",
                "no simfleet is installed there, or not yet: sh: 1: exec: simfleet-is-not-there: not found",
            ),
            (
                "yes banner | head -n 10000 >&2; echo Permission denied. >&2",
                "Permission denied.",
            ),
            // Who shares its connection holds standard error.
            ("sleep 5 >/dev/null & echo Permission denied. >&2", "Permission denied."),
            (
                "printf \"error: unrecognized subcommand 'dial'\\n\\nFor more information, try '--help'.\\n\" >&2; exit 2",
                "the simfleet there is another version, and cannot be reached so: error: unrecognized subcommand 'dial'",
            ),
        ] {
            assert_eq!(refused(script).await, expected, "{script}");
        }
    }

    #[test]
    fn the_token_is_said_to_nobody_who_has_taken_the_port() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::new(folder.path());
        let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        std::fs::write(data.token(), "abc\n").expect("a file");
        let mut record = AgentRecord {
            identity: ProcessIdentity::of_self(),
            listens: stranger.local_addr().ok(),
        };
        durable::write_json(&data.agent(), &record).expect("a file");
        reach(&data).expect("it is this process");
        // Another process had the id.
        record.identity.started += 1;
        durable::write_json(&data.agent(), &record).expect("a file");
        let error = reach(&data).expect_err("it is gone");
        assert_eq!(error.to_string(), "it has ended, and something else listens there");
    }
}
