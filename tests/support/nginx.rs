//! An nginx of a test's own.
#![allow(dead_code, reason = "each test program takes what it needs of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a port that nothing listens at now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
