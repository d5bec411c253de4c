//! How a watch is reached: the blocks `serve` and `access`, TLS, proxies, pages from elsewhere, and how much is asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::api::refused;
use crate::served::{Got, Served};
use crate::support::{Ended, Fleet};

const SECRET: &str = "a-secret-of-the-block";

fn fleet(more: &str) -> Fleet {
    Fleet::new(&format!("provider \"local\" {{}}\nnode \"a\" {{}}\n{more}"))
}

fn applied(more: &str) -> Fleet {
    let fleet = fleet(more);
    fleet.applied();
    fleet
}

/// Makes a certificate of this machine, and its key, in the folder of a fleet. Returns what trusts it.
pub fn certificate(fleet: &Fleet) -> RootCertStore {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(fleet.path().join("cert.pem"), made.cert.pem()).expect("it is written");
    std::fs::write(fleet.path().join("key.pem"), made.signing_key.serialize_pem()).expect("it is written");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    roots
}

/// Asks `GET /path` over TLS, trusting some certificates.
pub fn over_tls(address: &str, roots: RootCertStore, asked: &str, token: &str) -> std::io::Result<Got> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let port = address.rsplit_once(':').expect("a port").1;
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream = StreamOwned::new(connection, stream);
    let request = format!(
        "{asked} HTTP/1.1\r\nhost: fleet.example.net\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut first = [0; 1];
    stream.read_exact(&mut first)?;
    Ok(Got::read((&first[..]).chain(stream)))
}

#[test]
fn s1_12_s1_24_beyond_this_machine_it_speaks_tls_only_and_to_those_who_are_known() {
    let serve = "serve {\n  listen = \"0.0.0.0:18443\"\n}\n";
    let beyond = applied(serve);
    let watch = |more: &[&str]| -> Ended { beyond.run(&[&["watch"], more].concat()) };
    let without_tls = watch(&[]);
    assert_eq!(without_tls.code, Some(1));
    insta::assert_snapshot!("beyond_without_tls", without_tls.err);
    let serve = "serve {\n  listen = \"0.0.0.0:18443\"\n  tls    = { cert = \"cert.pem\", key = \"key.pem\" }\n}\n";
    let with_tls = |more: &str| format!("provider \"local\" {{}}\nnode \"a\" {{}}\n{serve}{more}");
    beyond.write(&with_tls(""));
    insta::assert_snapshot!("beyond_without_a_token", watch(&[]).err);
    beyond.ok(&["token create", "old", "--role", "viewer", "--expires", "1ms"]);
    assert!(watch(&[]).err.contains("nobody has a token that is valid"));
    let token = beyond.ok(&["token create", "reader", "--role", "viewer"]).out;
    let without_files = watch(&[]);
    assert_eq!(without_files.code, Some(1));
    assert!(
        without_files.err.contains("cert.pem`: No such file"),
        "{}",
        without_files.err
    );
    std::fs::write(beyond.path().join("cert.pem"), "nonsense").expect("it is written");
    std::fs::write(beyond.path().join("key.pem"), "nonsense").expect("it is written");
    assert!(watch(&[]).err.contains("there is no certificate in it"));
    let other = certificate(&beyond);
    let key = std::fs::read(beyond.path().join("key.pem")).expect("a key");
    let roots = certificate(&beyond);
    let own = std::fs::read(beyond.path().join("key.pem")).expect("a key");
    std::fs::write(beyond.path().join("key.pem"), key).expect("it is written");
    assert!(
        watch(&[]).err.contains("The certificate and its key"),
        "the key of another"
    );
    std::fs::write(beyond.path().join("key.pem"), own).expect("it is written");

    let served = Served::with(&beyond, &["--listen", "0.0.0.0:0"]);
    let told = served.watcher.told.last().expect("it listens")["url"].clone();
    assert!(
        told.as_str().is_some_and(|url| url.starts_with("https://0.0.0.0:")),
        "{told}"
    );
    let ask = |roots: &RootCertStore, path: &str, token: &str| {
        over_tls(&served.address, roots.clone(), &format!("GET {path}"), token)
    };
    let got = ask(&roots, "/v1/whoami", token.trim()).expect("it is trusted");
    assert_eq!(
        (got.status, &got.json()["name"]),
        (200, &json!("reader")),
        "{}",
        got.body
    );
    refused(
        &ask(&roots, "/v1/state", "sf_wrong").expect("trusted"),
        401,
        "the token is not known",
    );
    assert_eq!(ask(&roots, "/", "").expect("trusted").status, 200);
    assert!(ask(&other, "/", "").is_err(), "another certificate is not trusted");
    let port = served.address.rsplit_once(':').expect("a port").1;
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it reads");
    refused(&Got::read(plain), 400, "this port speaks HTTPS");
    // Who says nothing, or nonsense, keeps nobody else waiting.
    let _silent = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    let mut nonsense = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    nonsense.write_all(&[22, 1, 2, 3, 4, 5, 6, 7, 8, 9]).expect("it reads");
    assert_eq!(ask(&roots, "/", "").expect("trusted").status, 200);
    assert_eq!(served.watcher.end().code, Some(0));
    beyond.ok(&["destroy", "--auto-approve"]);
}

/// A fleet that says where it is reached, with a token and a key of its block.
fn declared(serve: &str) -> String {
    format!(
        r#"
variable "secret" {{ sensitive = true }}
serve {{
  {serve}
}}
access {{
  token "ops" {{
    role   = "operator"
    secret = var.secret
  }}
  api_key "ci" {{
    role   = "viewer"
    sha256 = "{}"
  }}
}}
"#,
        // Of KEY.
        "fe88b3cdec71912db6324c992ac10996bcbbae208c9e9953b2689ed78b522951"
    )
}

const KEY: &str = "a-key-of-the-block";

fn apply(fleet: &Fleet) {
    fleet.ok(&["apply", "--auto-approve", "--var", &format!("secret={SECRET}")]);
}

fn serve(fleet: &Fleet) -> Served {
    Served::with(
        fleet,
        &["--listen", "127.0.0.1:0", "--var", &format!("secret={SECRET}")],
    )
}

#[test]
fn s3_11_who_is_declared_is_known_and_who_is_taken_out_is_not_any_more() {
    let text = declared("base_path = \"/\"");
    let fleet = fleet(&text);
    apply(&fleet);
    // The secret has to be there; nothing else needs it.
    let unset = fleet.run(&["watch", "--listen", "127.0.0.1:0"]);
    assert_eq!(unset.code, Some(1));
    insta::assert_snapshot!("a_secret_that_is_not_set", unset.err);
    fleet.ok(&["nodes"]);
    let mut served = serve(&fleet);
    let name = |token: &str| served.call("GET", "/v1/whoami", token, "").json()["name"].clone();
    assert_eq!((name(SECRET), name(KEY)), (json!("ops"), json!("ci")));
    refused(
        &served.call("GET", "/v1/whoami", "nobody", ""),
        401,
        "the token is not known",
    );
    assert_eq!(served.call("GET", "/v1/whoami", KEY, "").json()["source"], "api_key");
    refused(
        &served.call("DELETE", "/v1/locks/x", SECRET, ""),
        403,
        "`ops` is operator, and this needs admin",
    );
    let taken = fleet.run(&["token create", "ops", "--role", "admin"]);
    assert!(
        taken.code == Some(1) && taken.err.contains("The `access` block has a token or a key `ops`"),
        "{}",
        taken.err
    );
    let declared = fleet.run(&["token revoke", "ops"]);
    assert!(
        declared.code == Some(1) && declared.err.contains("declared by the `access` block"),
        "{}",
        declared.err
    );

    // Who is taken out of the file is not known any more, without an apply; a block with mistakes changes nothing.
    let without = |text: &str, from: &str| {
        format!(
            "provider \"local\" {{}}\nnode \"a\" {{}}\n{}",
            text.replacen(from, "", 1)
        )
    };
    fleet.write(&without(&text, "    role   = \"viewer\"\n"));
    served.watcher.wait_for_type("failed");
    assert_eq!(served.call("GET", "/v1/whoami", KEY, "").status, 200);
    let key = text
        .split("  api_key")
        .nth(1)
        .expect("a key")
        .split("  }\n")
        .next()
        .expect("its end")
        .to_owned();
    fleet.write(&without(&text, &format!("  api_key{key}  }}\n")));
    served.wait_as(KEY, "/v1/whoami", |got| got.status == 401);
    assert_eq!(served.call("GET", "/v1/whoami", SECRET, "").status, 200);
    // How it is reached is for the next start.
    fleet.write(&without(&text, "base_path = \"/\"").replace("serve {", "serve {\n  base_path = \"/fleet\""));
    let told = served.watcher.wait_for("what changed", |event| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.contains("`serve` has changed"))
    });
    assert_eq!(told["type"], "failed", "{told}");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s4_19_s2_19_behind_a_proxy_paths_have_a_beginning_and_pages_of_some_origins_may_ask() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a port")
        .port();
    let fleet = fleet(&declared(&format!(
        "listen = \"127.0.0.1:{port}\"\n  base_path = \"/fleet\"\n  trusted_proxies = [\"127.0.0.0/8\"]\n  \
         cors = {{ origins = [\"https://page.example\"] }}"
    )));
    apply(&fleet);
    // Where the block says, without a flag.
    let served = Served::with(&fleet, &["--var", &format!("secret={SECRET}")]);
    assert_eq!(served.address, format!("127.0.0.1:{port}"));
    let call = |path: &str, more: &str| served.call_with("GET", path, SECRET, more, "");
    assert_eq!(call("/fleet/v1/whoami", "").status, 200);
    served.wait_for("/fleet/healthz", |got| got.status == 200);
    refused(&call("/v1/whoami", ""), 404, "every path starts with `/fleet/`");
    let slash = served.get("/fleet");
    assert_eq!((slash.status, slash.header("location")), (308, Some("/fleet/")));
    assert!(served.get("/fleet/").body.contains("<title>simfleet"));
    // Another name leads here, by way of the proxy, which says who asks.
    let got = Got::read(served.asked(
        "GET",
        "/fleet/v1/whoami",
        "fleet.example.net",
        &format!("authorization: Bearer {SECRET}\r\nx-forwarded-for: 198.51.100.7, 203.0.113.9\r\n"),
    ));
    assert_eq!(
        (got.status, &got.json()["from"]),
        (200, &json!("203.0.113.9")),
        "{}",
        got.body
    );

    // A browser asks for a page of that origin, and may then be answered; of another it hears nothing of that.
    let preflight = |origin: &str| {
        let more = format!(
            "origin: {origin}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n"
        );
        Got::read(served.asked("OPTIONS", "/fleet/v1/simulators/a/stop", &served.address, &more))
    };
    let allowed = preflight("https://page.example");
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (204, Some("https://page.example"))
    );
    assert!(
        allowed
            .header("access-control-allow-headers")
            .is_some_and(|headers| headers.contains("authorization"))
    );
    assert_eq!(
        preflight("https://evil.example").header("access-control-allow-origin"),
        None
    );
    let got = call("/fleet/v1/whoami", "origin: https://page.example\r\n");
    assert_eq!(got.header("access-control-allow-origin"), Some("https://page.example"));
    assert_eq!(
        call("/fleet/v1/whoami", "origin: null\r\n").header("access-control-allow-origin"),
        None
    );
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}

#[test]
fn s1_13_a_client_that_asks_too_much_is_told_when_to_ask_again() {
    let fleet = fleet(&declared(
        "trusted_proxies = [\"127.0.0.1/32\"]\n  rate_limit = { per_minute = 30, auth_per_minute = 3 }",
    ));
    apply(&fleet);
    let served = serve(&fleet);
    let call = |client: &str, token: &str| {
        let more = format!("x-forwarded-for: {client}\r\n");
        served.call_with("GET", "/v1/whoami", token, &more, "")
    };
    // Attempts to guess: the fourth is not looked at, though it would be right; that of another client is.
    for _ in 0..3 {
        refused(&call("203.0.113.1", "a-guess"), 401, "the token is not known");
    }
    let late = call("203.0.113.1", SECRET);
    refused(&late, 429, "failed attempts to log in");
    let after: u64 = late
        .header("retry-after")
        .and_then(|after| after.parse().ok())
        .expect("a time");
    assert!((1..=20).contains(&after), "{after}");
    assert_eq!(call("203.0.113.2", SECRET).status, 200);
    // Whoever works behind an address goes on while another one guesses behind it.
    for _ in 0..3 {
        refused(&call("203.0.113.2", "a-guess"), 401, "the token is not known");
    }
    refused(&call("203.0.113.2", "a-guess"), 429, "failed attempts to log in");
    assert_eq!(call("203.0.113.2", SECRET).status, 200);
    // Requests without any token are no attempts.
    for _ in 0..5 {
        refused(&call("203.0.113.3", ""), 401, "a token is needed");
    }
    assert_eq!(call("203.0.113.3", SECRET).status, 200);
    // Requests, whoever asks; what is asked of health counts, too.
    let found: Vec<u16> = (0..40).map(|_| call("203.0.113.4", SECRET).status).collect();
    let allowed = found.iter().filter(|status| **status == 200).count();
    assert!((30..=32).contains(&allowed) && found.contains(&429), "{found:?}");
    refused(&call("203.0.113.4", ""), 429, "more requests than a client has");
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
