//! A write that is killed at any step is finished, or taken back, by the next one.

use std::fs;

use simfleet_provider_api::{Found, Step, Value};
use simfleet_provider_nginx::schema::{SERVER, UPSTREAM};

use crate::rig::{Nginx, answering, configured, create, free_port, get, server, settings, token, upstream};

/// Kills what runs the script, and all that is left of its work is in the folder.
const KILL: &str = "kill -9 $PPID";

fn words(words: &[String]) -> Value {
    Value::list(words.iter().map(|word| Value::from(word.as_str())))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_write_that_is_killed_is_done_again_with_its_token() {
    for step in ["test", "reload", "after the reload"] {
        let (nginx, port) = (Nginx::start(), free_port());
        let right = configured(&settings(&nginx)).await;
        create(&*right, &UPSTREAM, &upstream(port)).await.expect("it is made");
        create(&*right, &SERVER, &server("web-m1", answering("one")))
            .await
            .expect("it enters");
        let before = nginx.text();

        let mut settings = settings(&nginx);
        match step {
            "test" => settings.set("test", words(&nginx.wrapped("kill", KILL, &nginx.test()))),
            "reload" => settings.set("reload", words(&nginx.wrapped("kill", KILL, &nginx.reload()))),
            _ => {
                let reload: Vec<String> = nginx.reload().iter().map(|word| format!("'{word}'")).collect();
                let first = format!("{}\n{KILL}", reload.join(" "));
                settings.set("reload", words(&nginx.wrapped("kill", &first, &["true".to_owned()])));
            }
        }
        let (killed, token) = (configured(&settings).await, token());
        let planned = server("web-m2", answering("two"));
        let error = killed
            .create(&SERVER, &token, &planned)
            .await
            .expect_err("it was killed");
        assert!(
            matches!(error, simfleet_provider_api::ProviderError::Ambiguous { .. }),
            "{step}: {error:?}"
        );
        assert_eq!(
            nginx.files().len(),
            2,
            "{step}: the old file is there: {:?}",
            nginx.files()
        );
        assert_eq!(
            fs::read_to_string(nginx.conf().join(".up.conf.simfleet-old")).expect("it is"),
            before,
            "{step}"
        );

        let found = right.find(&SERVER, &token, &planned).await;
        assert_eq!(
            found,
            Ok(Found::Nothing),
            "{step}: what is not known to be live is not done"
        );
        let made = right.create(&SERVER, &token, &planned).await;
        assert!(matches!(made, Ok(Step::Done(_))), "{step}: {made:?}");
        assert_eq!(nginx.files(), ["up.conf"], "{step}");
        assert_eq!(nginx.text().matches(&*token.0).count(), 1, "{step}: it is there once");
        crate::rig::until("both answer", || get(port, "/").1 == "two");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn what_a_killed_write_left_is_taken_back_where_it_is_wrong() {
    let (nginx, port) = (Nginx::start(), free_port());
    let right = configured(&settings(&nginx)).await;
    let up = create(&*right, &UPSTREAM, &upstream(port)).await.expect("it is made");
    let before = nginx.text();
    let mut settings = settings(&nginx);
    settings.set("test", words(&nginx.wrapped("kill", KILL, &nginx.test())));
    let killed = configured(&settings).await;
    killed
        .create(&SERVER, &token(), &server("web-m1", answering("one")))
        .await
        .expect_err("it was killed");

    fs::write(nginx.conf().join("other.conf"), "wrong;\n").expect("written");
    let error = right
        .update(&UPSTREAM, &up, &upstream(port), &token())
        .await
        .expect_err("nginx refuses it");
    assert!(error.to_string().contains("unknown directive"), "{error}");
    assert_eq!(nginx.text(), before, "the last file that was right is back");
    assert_eq!(nginx.files(), ["other.conf", "up.conf"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn the_first_write_and_the_last_one_can_be_killed() {
    let (nginx, port) = (Nginx::start(), free_port());
    let right = configured(&settings(&nginx)).await;
    let mut settings = settings(&nginx);
    settings.set("test", words(&nginx.wrapped("kill", KILL, &nginx.test())));
    let killed = configured(&settings).await;
    let token = token();
    killed
        .create(&UPSTREAM, &token, &upstream(port))
        .await
        .expect_err("it was killed");
    assert_eq!(right.find(&UPSTREAM, &token, &upstream(port)).await, Ok(Found::Nothing));
    let Ok(Step::Done(up)) = right.create(&UPSTREAM, &token, &upstream(port)).await else {
        panic!("it is not made");
    };
    assert_eq!(get(port, "/").0, 503);
    assert_eq!(nginx.files(), ["up.conf"]);

    killed.delete(&UPSTREAM, &up, &token).await.expect_err("it was killed");
    assert_eq!(nginx.files(), [".up.conf.simfleet-old"]);
    assert_eq!(right.delete(&UPSTREAM, &up, &token).await, Ok(Step::Gone));
    assert_eq!(nginx.files(), [""; 0]);
    crate::rig::until("nobody listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn half_a_text_is_never_used() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    // Killed while it wrote: what is beside the file is written over.
    fs::write(nginx.conf().join(".up.conf.simfleet-new"), "upstream we").expect("written");
    create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    assert_eq!(get(port, "/"), (200, "one".to_owned()));
    assert_eq!(nginx.files(), ["up.conf"]);
    // Killed once the old file was kept: it is the file itself.
    fs::hard_link(nginx.file(), nginx.conf().join(".up.conf.simfleet-old")).expect("linked");
    create(&*provider, &SERVER, &server("web-m2", answering("one")))
        .await
        .expect("it enters");
    assert_eq!(nginx.files(), ["up.conf"]);
}
