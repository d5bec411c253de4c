//! The status page, in a real browser.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::api::token;
use crate::load::Load;
use crate::served::Served;
use crate::sizes::local;
use crate::support::Fleet;

#[test]
#[ignore = "needs a browser; scripts/test installs one"]
fn the_page_asks_for_a_token_and_keeps_it_for_its_tab() {
    let python = std::env::var_os("SIMFLEET_TEST_PYTHON").expect("scripts/test names a Python");
    let browser = std::env::var_os("SIMFLEET_TEST_BROWSER").expect("scripts/test names a browser");
    let load = Load::of(50.0);
    let fleet = Fleet::new(&local(&load.url()));
    fleet.applied();
    let viewer = token(&fleet, "reader", "viewer");
    let served = Served::start(&fleet);
    served.wait_for("/readyz", |got| got.status == 200);
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/watch/page.py"))
        .arg(format!("http://{}/", served.address))
        .arg(&viewer)
        .arg(browser)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut said = Vec::new();
    for line in out.lines().map_while(Result::ok) {
        if line == "shown" {
            fleet.ok(&["token revoke", "reader"]);
        }
        said.push(line);
    }
    let mut wrong = String::new();
    let mut errors = child.stderr.take().expect("it is piped");
    errors.read_to_string(&mut wrong).expect("text");
    assert!(child.wait().expect("it ends").success(), "{said:?}\n{wrong}");
    assert_eq!(said, ["asked", "shown", "asked again"]);
    assert_eq!(served.watcher.end().code, Some(0));
    fleet.ok(&["destroy", "--auto-approve"]);
}
