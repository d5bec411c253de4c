//! An nginx of a test's own, and servers behind it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use simfleet_provider_api::{
    Attributes, Context, Kind, Object, Observed, Provider, ProviderError, ProviderType, Step, Token, Value,
};
use simfleet_provider_nginx::NginxType;

/// An nginx with a configuration that includes what is in a folder. It ends with the test.
pub struct Nginx {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Nginx {
    /// Starts one.
    pub fn start() -> Self {
        let mut nginx = Nginx::stopped();
        let child = nginx
            .command()
            .args(["-g", "daemon off;"])
            .stderr(Stdio::null())
            .spawn();
        nginx.child = Some(child.expect("nginx runs"));
        until("nginx is up", || nginx.folder.path().join("nginx.pid").exists());
        nginx
    }

    /// Has all that one needs, and none that runs.
    pub fn stopped() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("conf.d")).expect("a folder");
        let text = "worker_processes 2;\nerror_log error.log;\npid nginx.pid;\nevents {}\nhttp {\n  access_log off;\n  \
                    client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  \
                    uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n  include conf.d/*;\n}\n";
        fs::write(folder.path().join("nginx.conf"), text).expect("it is written");
        Nginx { folder, child: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.args(self.arguments());
        command
    }

    fn arguments(&self) -> [String; 4] {
        let path = |path: PathBuf| path.display().to_string();
        let folder = self.folder.path();
        [
            "-p".to_owned(),
            path(folder.into()),
            "-c".to_owned(),
            path(folder.join("nginx.conf")),
        ]
    }

    /// The folder of the configuration, in which the file of the upstream is `up.conf`.
    pub fn conf(&self) -> PathBuf {
        self.folder.path().join("conf.d")
    }

    pub fn file(&self) -> PathBuf {
        self.conf().join("up.conf")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("the file is there")
    }

    /// What is in the folder of the configuration.
    pub fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.conf()).expect("a folder");
        let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    pub fn test(&self) -> Vec<String> {
        self.told(&["-t"])
    }

    pub fn reload(&self) -> Vec<String> {
        self.told(&["-s", "reload"])
    }

    fn told(&self, what: &[&str]) -> Vec<String> {
        let words = [program().to_owned()].into_iter().chain(self.arguments());
        words.chain(what.iter().map(|word| (*word).to_owned())).collect()
    }

    /// Writes a script that does something and then a command; returns it as a command.
    pub fn wrapped(&self, name: &str, first: &str, command: &[String]) -> Vec<String> {
        let script = self.folder.path().join(name);
        let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
        fs::write(&script, format!("{first}\nexec {}\n", words.join(" "))).expect("it is written");
        // What the test command says of its nginx is how that is known.
        let words = ["sh".to_owned(), script.display().to_string()];
        words.into_iter().chain(self.arguments()).collect()
    }

    /// A file beside the configuration.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn settings(&self) -> Attributes {
        let words = |words: Vec<String>| Value::list(words.iter().map(|word| Value::from(word.as_str())));
        Attributes::from_iter([
            ("file", Value::from(self.file().display().to_string())),
            ("test", words(self.test())),
            ("reload", words(self.reload())),
        ])
    }

    /// Has what runs end, as a whole.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = child.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}

/// It is beside what only root uses, as Debian has it.
pub fn program() -> &'static str {
    match Path::new("/usr/sbin/nginx").exists() {
        true => "/usr/sbin/nginx",
        false => "nginx",
    }
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

/// Returns a port that nothing listens at now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
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

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
