//! `serve` and `access`: what only a watch reads.

use simfleet_state::Role;

use super::{inputs, load_text, snapshot};
use crate::config::blocks::{Rates, Serve, access};
use crate::diagnostic::Diagnostics;
use crate::view::{Theme, diagnostics};

/// Returns what a watch finds wrong with a fleet.
fn wrong(text: &str) -> String {
    let found = match load_text(text) {
        Err(found) => found,
        Ok((config, warnings)) => match (Serve::of(&config), access::credentials(&config)) {
            (Err(found), _) | (_, Err(found)) => found,
            _ => warnings,
        },
    };
    diagnostics::render(&found, Theme::Plain)
}

#[test]
fn where_it_listens_and_how() {
    let (config, _) = load_text("node \"a\" {}\nserve {}").expect("it is valid");
    let serve = Serve::of(&config).expect("it is valid").expect("it is there");
    assert_eq!(
        (serve.listen.to_string().as_str(), &*serve.base_path),
        ("127.0.0.1:8000", "")
    );
    assert_eq!((serve.rates, serve.tls.is_none()), (None, true));
    let text = r#"
node "a" {}
locals { name = "fleet" }
serve {
  listen          = ":8443"
  base_path       = "/${local.name}/"
  trusted_proxies = ["10.0.0.0/8"]
  tls             = { cert = "tls/cert.pem", key = "/etc/key.pem" }
  cors            = { origins = ["https://fleet.example.net"] }
  rate_limit      = { per_minute = 7 }
}
"#;
    let (config, _) = load_text(text).expect("it is valid");
    let serve = Serve::of(&config).expect("it is valid").expect("it is there");
    assert_eq!(
        (serve.listen.to_string().as_str(), &*serve.base_path),
        ("[::]:8443", "/fleet")
    );
    let tls = serve.tls.as_ref().expect("a certificate");
    assert_eq!(
        (tls.cert.to_str(), tls.key.to_str()),
        (Some("./tls/cert.pem"), Some("/etc/key.pem"))
    );
    let rates = Rates {
        per_minute: 7,
        auth_per_minute: 5,
    };
    assert_eq!(serve.rates, Some(rates));
    let (moved, _) = load_text(&format!("# moved\n{text}")).expect("it is valid");
    let moved = Serve::of(&moved).expect("it is valid").expect("it is there");
    assert!(serve != moved && serve.is_same(&moved));
}

#[test]
fn who_is_known_is_read_by_a_watch_only() {
    let text =
        "node \"a\" {}\naccess {\n  token \"ops\" {\n    role   = \"operator\"\n    secret = env(\"OPS\")\n  }\n}";
    // Whoever plans need not know the secret.
    let (config, _) = load_text(text).expect("the environment is that of the watch");
    assert_eq!(config.unavailable, Diagnostics::new());
    assert!(access::credentials(&config).is_err());
    let mut inputs = inputs();
    inputs
        .environment
        .insert("OPS".to_owned(), "a-secret-of-the-test".to_owned());
    let (config, _) = super::load_texts(&[("fleet.hcl", text)], &inputs).expect("it is valid");
    let known = access::credentials(&config).expect("it is set");
    let digest = crate::access::digest("a-secret-of-the-test");
    assert_eq!(
        (&*known[0].name, known[0].role, known[0].sha256),
        ("ops", Role::Operator, digest)
    );
}

#[test]
fn mistakes() {
    let mut report = String::new();
    for text in [
        "serve { listen = \"localhost\" }",
        "serve { base_path = \"fleet\" }",
        "serve { trusted_proxies = [\"10.0.0.1\"] }",
        "serve { cors = { origins = [\"https://fleet.example.net/page\"] } }",
        "serve { tls = { cert = \"cert.pem\" } }",
        "serve {}\nserve {}",
        "access {\n  token \"a\" {\n    role   = \"root\"\n    secret = env(\"HOME\")\n  }\n}",
        "access {\n  token \"a\" {\n    role   = \"viewer\"\n    secret = \"written-in-the-file\"\n  }\n}",
        "access {\n  token \"a\" {\n    role   = \"viewer\"\n    secret = env(\"HOME\")\n  }\n}",
        "access {\n  api_key \"a\" {\n    role   = \"viewer\"\n    sha256 = \"abc\"\n  }\n}",
        "access {\n  api_key \"a\" {\n    role   = \"viewer\"\n    sha256 = env(\"X\", \"\")\n  }\n}",
        "variable \"s\" { sensitive = true }\naccess {\n  token \"a\" {\n    role   = \"viewer\"\n    secret = env(\"OPS\")\n  }\n}",
    ] {
        let found = wrong(&format!("node \"n\" {{}}\n{text}\n"));
        assert!(!found.is_empty(), "{text}");
        report.push_str(&format!("{found}\n"));
    }
    snapshot!(report);
}
