//! Servers enter and leave, and what is changed by hand is seen and put back.

use std::fs;
use std::time::Duration;

use simfleet_provider_api::{Observed, Step, Value};
use simfleet_provider_nginx::schema::{SERVER, UPSTREAM};

use crate::rig::{
    Nginx, answering, configured, create, free_port, get, seen, server, settings, token, until, upstream,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn servers_enter_and_leave() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    assert_eq!(get(port, "/").0, 503, "nobody is there");

    let one = create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");
    assert_eq!(get(port, "/"), (200, "one".to_owned()));
    let two = create(&*provider, &SERVER, &server("web-m2", answering("two")))
        .await
        .expect("it enters");
    until("both answer", || get(port, "/").1 == "two");
    until("both answer", || get(port, "/").1 == "one");

    let left = provider.delete(&SERVER, &one, &token()).await;
    assert_eq!(left, Ok(Step::Gone));
    for _ in 0..20 {
        assert_eq!(
            get(port, "/"),
            (200, "two".to_owned()),
            "the first one is asked no more"
        );
    }
    assert_eq!(provider.read(&SERVER, &one.id).await, Ok(Observed::Absent));

    assert_eq!(provider.delete(&SERVER, &two, &token()).await, Ok(Step::Gone));
    assert_eq!(get(port, "/").0, 503);
    assert_eq!(provider.delete(&UPSTREAM, &up, &token()).await, Ok(Step::Gone));
    assert_eq!(nginx.files(), [""; 0], "nothing is left");
    assert_eq!(provider.read(&UPSTREAM, &up.id).await, Ok(Observed::Absent));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_server_that_left_has_time_for_its_connections() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    settings.set("drain", 60u64);
    let provider = configured(&settings).await;
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let one = create(&*provider, &SERVER, &server("web-m1", answering("one")))
        .await
        .expect("it enters");

    let slow = std::thread::spawn(move || get(port, "/slow"));
    let table = || fs::read_to_string("/proc/net/tcp").expect("there are connections");
    let at: std::net::SocketAddr = one
        .attributes
        .str("address")
        .and_then(|at| at.parse().ok())
        .expect("an address");
    let to = format!("0100007F:{:04X} 01", at.port());
    until("it is asked", || table().contains(&to));
    let mut step = provider.delete(&SERVER, &one, &token()).await.expect("it leaves");
    assert_eq!(get(port, "/").0, 503, "nothing new goes to it");
    let mut looks = 0;
    while let Step::Running { handle, poll_after } = step {
        looks += 1;
        tokio::time::sleep(poll_after).await;
        step = configured(&settings)
            .await
            .poll(&SERVER, &handle)
            .await
            .expect("it is asked after");
    }
    assert!(looks > 0, "it was waited for");
    assert!(!table().contains(&to), "nothing is connected any more");
    assert_eq!(slow.join().expect("an answer"), (200, "one".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn the_wait_for_connections_has_an_end() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    settings.set("drain", Value::from(1u64));
    let provider = configured(&settings).await;
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let address = answering("one");
    let one = create(&*provider, &SERVER, &server("web-m1", address))
        .await
        .expect("it enters");
    let kept = std::net::TcpStream::connect(address).expect("somebody listens");
    let mut step = provider.delete(&SERVER, &one, &token()).await.expect("it leaves");
    assert!(matches!(step, Step::Running { .. }), "{step:?}");
    while let Step::Running { handle, .. } = step {
        tokio::time::sleep(Duration::from_millis(50)).await;
        step = provider.poll(&SERVER, &handle).await.expect("it is asked after");
    }
    assert_eq!(step, Step::Gone);
    drop(kept);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn what_is_changed_by_hand_is_seen_and_put_back() {
    let (nginx, port) = (Nginx::start(), free_port());
    let provider = configured(&settings(&nginx)).await;
    let up = create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let planned = server("web-m1", answering("one"));
    let one = create(&*provider, &SERVER, &planned).await.expect("it enters");
    let right = nginx.text();

    fs::write(
        nginx.file(),
        right.replace("proxy_connect_timeout 5s", "proxy_connect_timeout 60s"),
    )
    .expect("written");
    let told = seen(&*provider, &UPSTREAM, &up).await;
    let told = told.str("by_hand").expect("it is told");
    assert!(told.contains("+        proxy_connect_timeout 60s;"), "{told}");
    provider
        .update(&UPSTREAM, &up, &upstream(port), &token())
        .await
        .expect("it is put back");
    assert_eq!(nginx.text(), right);

    fs::write(nginx.file(), right.replace("max_fails=3", "max_fails=3 down")).expect("written");
    let told = seen(&*provider, &SERVER, &one).await;
    assert!(
        told.str("by_hand").is_some_and(|line| line.contains("down")),
        "{told:?}"
    );
    provider
        .update(&SERVER, &one, &planned, &token())
        .await
        .expect("it is put back");
    assert_eq!(nginx.text(), right);

    // Somebody wrote all of it anew.
    fs::write(nginx.file(), "server { listen 127.0.0.1:1; }\n").expect("written");
    let told = seen(&*provider, &UPSTREAM, &up).await;
    assert!(
        told.str("by_hand").is_some_and(|told| told.contains("+server {")),
        "{told:?}"
    );
    assert_eq!(provider.read(&SERVER, &one.id).await, Ok(Observed::Absent));
    provider
        .update(&UPSTREAM, &up, &upstream(port), &token())
        .await
        .expect("it is put back");
    assert_eq!(provider.list(&SERVER).await, Ok(Some(Vec::new())));
    create(&*provider, &SERVER, &planned).await.expect("it enters");
    assert_eq!(get(port, "/"), (200, "one".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn what_comes_at_the_same_time_is_one_reload() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    let log = nginx.beside("reloads");
    let note = format!("echo >>'{}'", log.display());
    let reload = nginx.wrapped("reload", &note, &nginx.reload());
    settings.set(
        "reload",
        Value::list(reload.iter().map(|word| Value::from(word.as_str()))),
    );
    let provider = configured(&settings).await;
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let address = answering("one");
    let planned: Vec<_> = (0..20)
        .map(|number| server(&format!("web-m{number}"), address))
        .collect();
    let made = planned
        .iter()
        .map(async |planned| create(&*provider, &SERVER, planned).await);
    for made in futures::future::join_all(made).await {
        made.expect("it enters");
    }
    assert_eq!(
        provider.list(&SERVER).await.map(|all| all.map(|all| all.len())),
        Ok(Some(20))
    );
    let reloads = fs::read_to_string(log).expect("there were some").lines().count();
    assert!(
        reloads <= 4,
        "one for the upstream, and few for twenty servers: {reloads}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nginx"]
async fn a_server_enters_when_it_is_healthy() {
    let (nginx, port) = (Nginx::start(), free_port());
    let mut settings = settings(&nginx);
    let check = |url: &str, seconds: u64| {
        Value::object([
            ("type", Value::from("http")),
            ("url", Value::from(url)),
            ("interval", Value::from(seconds)),
            ("timeout", Value::from(5u64)),
            ("unhealthy_threshold", Value::from(1u64)),
        ])
    };
    settings.set("health_check", check("/health", 60));
    let provider = configured(&settings).await;
    create(&*provider, &UPSTREAM, &upstream(port))
        .await
        .expect("it is made");
    let later = free_port();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        let listener = std::net::TcpListener::bind(("127.0.0.1", later)).expect("the port is free");
        crate::rig::serve(listener, "late");
    });
    create(&*provider, &SERVER, &server("web-m1", ([127, 0, 0, 1], later).into()))
        .await
        .expect("it enters");
    assert_eq!(get(port, "/"), (200, "late".to_owned()), "not before it answered");

    settings.set("health_check", check("/health", 1));
    let provider = configured(&settings).await;
    let never = create(&*provider, &SERVER, &server("web-m2", ([127, 0, 0, 1], 1).into())).await;
    let error = never.expect_err("nobody is there").to_string();
    assert!(
        error.starts_with("it is not healthy, so it does not enter: "),
        "{error}"
    );
    assert!(!nginx.text().contains("web-m2"));
}
