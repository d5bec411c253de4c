//! What cannot be done is told in the words of nginx, and leaves what was there.

use std::fs;

use simfleet_provider_api::{ProviderError, Step, Value};
use simfleet_provider_nginx::schema::{SERVER, UPSTREAM};

use crate::rig::{Nginx, answering, configured, create, free_port, get, of_lineage, server, settings, token, upstream};

fn words(words: &[String]) -> Value {
    Value::list(words.iter().map(|word| Value::from(word.as_str())))
}

fn refused<T: std::fmt::Debug>(result: Result<T, ProviderError>) -> String {
    match result {
        Err(ProviderError::Rejected { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn what_does_not_pass_the_test_is_put_back() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    fs::write(nginx.conf().join("other.conf"), "upstrem x;\n").expect("written");
    let error = refused(create(&*provider, &UPSTREAM, &upstream(port)).await);
    assert!(error.contains("does not pass its test, and is as it was"), "{error}");
    assert!(
        error.contains("unknown directive \"upstrem\""),
        "in the words of nginx: {error}"
    );
    assert_eq!(nginx.files(), ["other.conf"]);

    fs::remove_file(nginx.conf().join("other.conf")).expect("removed");
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let one = create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    let before = nginx.text();
    // Something else of nginx uses the upstream, so it cannot go.
    let user = "server { listen 127.0.0.1:1; location / { proxy_pass http://web; } }\n";
    fs::write(
        nginx.conf().join("user.conf"),
        user.replace(":1", &format!(":{}", free_port())),
    )
    .expect("written");
    fs::write(nginx.conf().join("zz.conf"), "server { listen 127.0.0.1:99999; }\n").expect("written");
    let error = refused(provider.delete(&SERVER, &one, &token()).await);
    assert!(error.contains("invalid port"), "{error}");
    assert_eq!(nginx.text(), before);
    assert_eq!(
        nginx.files(),
        ["up.conf", "user.conf", "zz.conf"],
        "nothing is left beside it"
    );
    assert_eq!(get(port, "/"), (200, "one".to_owned()), "and it goes on");
    assert!(
        provider
            .update(&UPSTREAM, &up, &upstream(free_port()), &token())
            .await
            .is_err()
    );
    assert_eq!(nginx.text(), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_reload_that_nginx_refuses_is_seen() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    let before = nginx.text();
    // The test passes, as it does not listen: only the reload finds that somebody has the port.
    let taken = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let other = taken.local_addr().expect("an address").port();
    let error = refused(provider.update(&UPSTREAM, &up, &upstream(other), &token()).await);
    assert!(error.contains(&format!("or does not listen at {other}")), "{error}");
    assert_eq!(nginx.text(), before);
    assert_eq!(nginx.files(), ["up.conf"]);
    assert_eq!(get(port, "/"), (200, "one".to_owned()), "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_reload_that_fails_is_told() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    let reload = ["sh", "-c", "echo no such unit >&2; exit 5"].map(str::to_owned);
    settings.set("reload", words(&reload));
    let provider = configured(&settings).await;
    let error = refused(create(&*provider, &UPSTREAM, &upstream(port)).await);
    assert!(
        error.contains("was not reloaded") && error.ends_with("no such unit"),
        "{error}"
    );
    assert_eq!(nginx.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_file_that_nginx_does_not_read_is_no_success() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    let elsewhere = nginx.beside("up.conf");
    settings.set("file", elsewhere.display().to_string());
    let provider = configured(&settings).await;
    let error = refused(create(&*provider, &UPSTREAM, &upstream(port)).await);
    assert!(error.contains("unless its configuration does not include"), "{error}");
    assert!(!elsewhere.exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn an_nginx_that_does_not_run_is_told_and_left() {
    let (mut nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let one = create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    nginx.stop();
    let error = refused(create(&*provider, &SERVER, &server("web-m2", answering("two"))).await);
    assert!(
        error.contains("was not reloaded") && error.contains("nginx.pid"),
        "{error}"
    );
    assert_eq!(
        provider.delete(&SERVER, &one, &token()).await,
        Ok(Step::Gone),
        "nobody is sent to it"
    );
    assert_eq!(provider.delete(&UPSTREAM, &up, &token()).await, Ok(Step::Gone));
    assert_eq!(nginx.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn the_file_of_somebody_else_is_not_touched() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    let theirs = "# mine\nupstream x { server 127.0.0.1:1; }\n";
    fs::write(nginx.file(), theirs).expect("written");
    let error = refused(create(&*provider, &UPSTREAM, &upstream(port)).await);
    assert!(
        error.ends_with("it is there already, and simfleet did not write it"),
        "{error}"
    );
    assert_eq!(nginx.text(), theirs);

    fs::remove_file(nginx.file()).expect("removed");
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let error = refused(create(&*provider, &UPSTREAM, &upstream(port)).await);
    assert!(
        error.ends_with("it is the file of another upstream of this fleet"),
        "{error}"
    );
    let other = of_lineage(&settings(&nginx), "other").await;
    let error = refused(create(&*other, &UPSTREAM, &upstream(port)).await);
    assert!(error.ends_with("it is the file of another fleet"), "{error}");
    let error = refused(create(&*other, &SERVER, &server("web-m1", answering("one"))).await);
    assert!(error.ends_with("it is not the file of this fleet any more"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_folder_that_is_not_there_is_told() {
    let nginx = Nginx::start();
    let mut settings = settings(&nginx);
    settings.set("file", nginx.beside("nowhere/up.conf").display().to_string());
    let error = refused(create(&*configured(&settings).await, &UPSTREAM, &upstream(1)).await);
    assert!(
        error.contains("cannot be written") && error.contains("nowhere"),
        "{error}"
    );
}
