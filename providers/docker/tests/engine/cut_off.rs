//! An engine that goes away after any call of a create: what is said of it is true.

use std::path::{Path, PathBuf};

use simfleet_provider_api::{Attributes, Kind, Provider, ProviderError, ProviderType, Step, Token};
use simfleet_provider_docker::DockerType;
use simfleet_provider_docker::schema::{CONTAINER, IMAGE, NETWORK, VOLUME};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::harness::{Fleet, container, context, docker, host, image, texts, with};

/// A way to the engine that ends after so many calls. Each has a connection of its own, so that the next one finds none.
struct Way {
    folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Way {
    fn of(calls: usize, engine: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let task = tokio::spawn(async move {
            for call in 1..=calls {
                let (client, _) = listener.accept().await.expect("a connection");
                if call == calls {
                    std::fs::remove_file(&socket).expect("it is there");
                }
                tokio::spawn(pass(client, engine.clone()));
            }
        });
        Way { folder, task }
    }

    fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// Whether no call finds a way any more.
    fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

/// Passes one call on, and has the engine end the connection after it.
async fn pass(client: UnixStream, engine: PathBuf) {
    let mut engine = UnixStream::connect(engine).await.expect("the engine is there");
    let mut client = BufReader::new(client);
    let mut first = String::new();
    client.read_line(&mut first).await.expect("a call");
    first.push_str("Connection: close\r\n");
    // A client that went away needs no answer.
    let _ = engine.write_all(first.as_bytes()).await;
    let _ = copy_bidirectional(&mut client, &mut engine).await;
}

/// Creates as an apply does: until it is done, or fails.
async fn create(
    provider: &dyn Provider,
    kind: &Kind,
    token: &Token,
    planned: &Attributes,
) -> Result<(), ProviderError> {
    let mut step = provider.create(kind, token, planned).await?;
    while let Step::Running { handle, poll_after } = step {
        tokio::time::sleep(poll_after).await;
        step = provider.poll(kind, &handle).await?;
    }
    Ok(())
}

/// Whether an error says that nothing was made.
fn says_nothing_was_made(error: &ProviderError) -> bool {
    !matches!(error, ProviderError::Ambiguous { .. } | ProviderError::Broken { .. })
}

#[tokio::test]
#[ignore = "needs a Docker engine"]
async fn what_may_have_been_made_is_never_said_not_to_be_there() {
    let Some(engine) = host().strip_prefix("unix://").map(|path| Path::new(path).to_owned()) else {
        println!("skipped: the engine at {} is not reached by a socket", host());
        return;
    };
    let fleet = Fleet::new().await;
    let network = Attributes::from_iter([("name", "network")]);
    let lab = fleet.create(&NETWORK, &network).await.expect("it can be made");
    let joined = with(&container("container"), "networks", texts([&lab.id.0]));
    let volume = Attributes::from_iter([("name", "volume")]);
    for (kind, planned, list, label, has_steps) in [
        (CONTAINER, joined, &["ps", "-aq"][..], "simfleet.token", true),
        (NETWORK, network, &["network", "ls", "-q"], "simfleet.token", true),
        (VOLUME, volume, &["volume", "ls", "-q"], "simfleet.token", false),
        (IMAGE, image("image"), &["images", "-q"], "simfleet.image.token", true),
    ] {
        let listed = |token: &Token| {
            let of_it = format!("label={label}={}", token.0);
            docker(&[list, &["--filter", &of_it]].concat()).lines().count()
        };
        let mut cut_off = 0;
        for calls in 1.. {
            assert!(calls < 50, "{kind}: it does not come to its end");
            let way = Way::of(calls, engine.clone());
            let settings = Attributes::from_iter([("host", &*way.host())]);
            let provider = DockerType.configure(&settings, &context(fleet.lineage())).await;
            let provider = provider.expect("the settings are sound");
            let token = fleet.token();
            let ended = create(&*provider, &kind, &token, &planned).await;
            let there = listed(&token);
            match ended {
                Ok(()) => assert_eq!(there, 1, "{kind} after {calls} calls"),
                Err(error) => {
                    assert!(way.has_ended(), "{kind} after {calls} calls: {error:?}");
                    assert!(
                        there == 0 || !says_nothing_was_made(&error),
                        "{kind} after {calls} calls: there are {there}, and it says {error:?}"
                    );
                    cut_off += there;
                }
            }
            let made = fleet.create_with(&kind, &token, &planned).await.expect("it goes on");
            assert_eq!(listed(&token), 1, "{kind} after {calls} calls, and again");
            let gone = fleet.provider.delete(&kind, &made, &token).await;
            assert!(matches!(gone, Ok(Step::Gone)), "{gone:?}");
            if !way.has_ended() {
                break;
            }
        }
        assert!(
            !has_steps || cut_off > 0,
            "{kind}: no create was cut off between its calls"
        );
    }
}
