//! What the tests share: how the provider is asked, and servers behind nginx.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use simfleet_provider_api::{
    Attributes, Context, Kind, Object, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_nginx::NginxType;

pub use crate::nginx::{Nginx, free_port, until};

pub fn settings(nginx: &Nginx) -> Attributes {
    let words = |words: Vec<String>| Value::list(words.iter().map(|word| Value::from(word.as_str())));
    Attributes::from_iter([
        ("file", Value::from(nginx.file().display().to_string())),
        ("test", words(nginx.test())),
        ("reload", words(nginx.reload())),
    ])
}

pub const LINEAGE: &str = "lineage";

pub async fn configured(settings: &Attributes) -> Arc<dyn Provider> {
    of_lineage(settings, LINEAGE).await
}

pub async fn of_lineage(settings: &Attributes, lineage: &str) -> Arc<dyn Provider> {
    let context = Context {
        lineage: lineage.into(),
        root: "/".into(),
        folder: "/nonexistent".into(),
        program: "simfleet".into(),
    };
    let configured = NginxType.configure(settings, &context).await;
    configured.expect("the settings are sound")
}

pub fn token() -> Token {
    Token(uuid::Uuid::new_v4().simple().to_string().into())
}

pub fn upstream(port: u16) -> Attributes {
    Attributes::from_iter([
        ("name", Value::from("web")),
        ("algorithm", Value::from("least_conn")),
        ("listen", Value::from(u64::from(port))),
    ])
}

pub fn server(name: &str, address: SocketAddr) -> Attributes {
    Attributes::from_iter([
        ("name", Value::from(name)),
        ("member", Value::from(format!("pool.web/{name}@1"))),
        ("address", Value::from(address.to_string())),
        ("max_fails", Value::from(3u64)),
        ("fail_timeout", Value::from(10u64)),
    ])
}

pub async fn create(provider: &dyn Provider, kind: &Kind, planned: &Attributes) -> Result<Object, ProviderError> {
    match provider.create(kind, &token(), planned).await? {
        Step::Done(object) => Ok(object),
        other => panic!("{other:?}"),
    }
}

pub async fn seen(provider: &dyn Provider, kind: &Kind, object: &Object) -> Attributes {
    match provider.read(kind, &object.id).await {
        Ok(Observed::Present(object)) => object.attributes,
        other => panic!("{other:?}"),
    }
}

/// A server that answers each request with its name, over connections that stay, until the test ends.
pub fn answering(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || serve(listener, name));
    address
}

/// Answers whoever connects.
pub fn serve(listener: TcpListener, name: &'static str) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream, name));
    }
}

fn answer(stream: TcpStream, name: &str) {
    let Ok(mut output) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        // The rest of the head.
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        if request.contains("/slow") {
            std::thread::sleep(Duration::from_secs(2));
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", name.len());
        if output.write_all(format!("{head}{name}").as_bytes()).is_err() {
            return;
        }
    }
}

/// Asks for a page; returns the status and what it says.
pub fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status"), body.to_owned())
}
