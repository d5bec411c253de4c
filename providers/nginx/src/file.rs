//! The file: its text, and what that says. Pure.
//!
//! It is written whole. Who reads it finds what simfleet wrote and what somebody changed since: an `upstream` in other words
//! than simfleet's is told apart from the values in it, so that a plan can show the difference and put it back.

/// How the first line begins; the lineage and the token of the upstream follow.
const HEADER: &str = "# simfleet";
/// What stands for the servers where there is none: nginx refuses an upstream without.
const NOBODY: &str = "server 127.0.0.1:1 down; # nobody is in service";
/// How many idle connections to its servers each process of nginx keeps.
const KEEPALIVE: &str = "keepalive 16;";

/// Which server gets a request, where it is not the next one.
pub(crate) const ALGORITHMS: [&str; 2] = ["least_conn", "ip_hash"];
/// The one that nginx has without a word.
pub(crate) const ROUND_ROBIN: &str = "round_robin";

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Whose it is: the lineage and the token of the upstream. `None` where somebody took that out.
    pub(crate) owner: Option<Owner>,
    pub(crate) upstream: Upstream,
    pub(crate) servers: Vec<Server>,
    /// The lines that simfleet did not write (`+`), and those that it did and that are missing (`-`).
    pub(crate) by_hand: Option<String>,
}

/// Whose a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) lineage: String,
    pub(crate) token: String,
}

/// What of the file does not depend on its servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) algorithm: String,
    pub(crate) listen: Option<u16>,
}

/// A line that names a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) member: String,
    pub(crate) line: Line,
}

/// What nginx reads of such a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `address:port`. This and the others are `None` where somebody took them out.
    pub(crate) address: Option<String>,
    pub(crate) max_fails: Option<u64>,
    /// In seconds.
    pub(crate) fail_timeout: Option<u64>,
    /// All of it, where it is not as simfleet writes it.
    pub(crate) by_hand: Option<String>,
}

impl File {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Self {
        let owner = text.lines().next().and_then(Owner::parse);
        let (mut servers, mut others) = (Vec::new(), Vec::new());
        let mut upstream = Upstream {
            algorithm: ROUND_ROBIN.to_owned(),
            ..Upstream::default()
        };
        for line in text.lines() {
            if let Some(server) = Server::parse(line) {
                servers.push(server);
                continue;
            }
            others.push(line);
            let words = line.trim();
            if let Some(name) = words.strip_prefix("upstream ").and_then(|rest| rest.strip_suffix(" {")) {
                upstream.name = name.to_owned();
            } else if let Some(algorithm) = words.strip_suffix(';').filter(|word| ALGORITHMS.contains(word)) {
                upstream.algorithm = algorithm.to_owned();
            } else if let Some(port) = words.strip_prefix("listen ").and_then(|rest| rest.strip_suffix(';')) {
                upstream.listen = port.parse().ok();
            }
        }
        let mut file = File {
            owner,
            upstream,
            servers,
            by_hand: None,
        };
        let wanted = file.text();
        let wanted = wanted.lines().filter(|line| Server::parse(line).is_none());
        file.by_hand = difference(&wanted.collect::<Vec<_>>(), &others);
        file
    }

    /// Returns the text of the file, as simfleet writes it.
    pub(crate) fn text(&self) -> String {
        let Upstream {
            name,
            algorithm,
            listen,
        } = &self.upstream;
        let mut text = match &self.owner {
            Some(Owner { lineage, token }) => format!("{HEADER} {lineage} {token}\n"),
            None => format!("{HEADER}\n"),
        };
        text.push_str("# What is changed by hand is put back by the next apply.\n");
        text.push_str(&format!("upstream {name} {{\n"));
        if algorithm != ROUND_ROBIN {
            text.push_str(&format!("    {algorithm};\n"));
        }
        for server in &self.servers {
            text.push_str(&format!("    {}\n", server.text()));
        }
        if self.is_empty() {
            text.push_str(&format!("    {NOBODY}\n"));
        }
        text.push_str(&format!("    {KEEPALIVE}\n}}\n"));
        if let Some(port) = listen {
            text.push_str(&format!("\nserver {{\n    listen {port};\n\n    location / {{\n"));
            let lines = match self.is_empty() {
                true => vec!["return 503;".to_owned()],
                false => forwarding(name),
            };
            for line in lines {
                text.push_str(&format!("        {line}\n"));
            }
            text.push_str("    }\n}\n");
        }
        text
    }

    /// Returns the server that was made with a token.
    pub(crate) fn server(&self, token: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.token == token)
    }

    /// Whether nginx would find no server.
    fn is_empty(&self) -> bool {
        !self.servers.iter().any(|server| server.text().starts_with("server "))
    }
}

/// Returns how requests go on: over connections that are kept, and to another server where one fails that may be asked
/// again.
fn forwarding(upstream: &str) -> Vec<String> {
    let lines = [
        &format!("proxy_pass http://{upstream};"),
        "proxy_http_version 1.1;",
        "proxy_set_header Connection \"\";",
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_connect_timeout 5s;",
        "proxy_next_upstream error timeout;",
    ];
    lines.map(str::to_owned).into()
}

impl Owner {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(HEADER)?.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(lineage), Some(token), None) => Some(Owner {
                lineage: lineage.to_owned(),
                token: token.to_owned(),
            }),
            _ => None,
        }
    }
}

impl Server {
    /// Reads a line: what tells that it is simfleet's is behind it.
    fn parse(line: &str) -> Option<Self> {
        let (words, comment) = line.trim().rsplit_once(" # ")?;
        let comment: Vec<&str> = comment.split(' ').collect();
        let [name, token, member] = comment[..] else {
            return None;
        };
        if token.len() != 32 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Server {
            name: name.to_owned(),
            token: token.to_owned(),
            member: unescape(member),
            line: Line::parse(words),
        })
    }

    fn text(&self) -> String {
        let (line, name, token, member) = (self.line.text(), &self.name, &self.token, escape(&self.member));
        format!("{line} # {name} {token} {member}")
    }

    /// Where it comes in the file: m2 before m10.
    pub(crate) fn place(&self) -> (usize, &str) {
        (self.name.len(), &self.name)
    }
}

impl Line {
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.trim_end_matches(';').split(' ').collect();
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let address = words.get(1).filter(|_| words.first() == Some(&"server"));
        let seconds = value("fail_timeout").and_then(|text| text.strip_suffix('s')?.parse().ok());
        let mut line = Line {
            address: address.map(|address| (*address).to_owned()),
            max_fails: value("max_fails").and_then(|text| text.parse().ok()),
            fail_timeout: seconds,
            by_hand: None,
        };
        line.by_hand = (line.text() != text).then(|| text.to_owned());
        line
    }

    fn text(&self) -> String {
        if let Some(by_hand) = &self.by_hand {
            return by_hand.clone();
        }
        let mut text = format!("server {}", self.address.as_deref().unwrap_or_default());
        if let Some(max_fails) = self.max_fails {
            text.push_str(&format!(" max_fails={max_fails}"));
        }
        if let Some(seconds) = self.fail_timeout {
            text.push_str(&format!(" fail_timeout={seconds}s"));
        }
        text + ";"
    }
}

/// Returns a word without blanks for an id that may have some.
fn escape(id: &str) -> String {
    let mut word = String::new();
    for char in id.chars() {
        match char {
            '%' | '#' => word.push_str(&format!("%{:02x}", char as u32)),
            _ if char.is_whitespace() || char.is_control() => {
                let mut bytes = [0; 4];
                let bytes = char.encode_utf8(&mut bytes).bytes();
                bytes.for_each(|byte| word.push_str(&format!("%{byte:02x}")));
            }
            _ => word.push(char),
        }
    }
    word
}

fn unescape(word: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns how lines differ from those that are wanted; `None` where they do not.
fn difference(wanted: &[&str], found: &[&str]) -> Option<String> {
    if wanted == found {
        return None;
    }
    let without = |lines: &[&str], others: &[&str], sign: char| {
        let mut others = others.to_vec();
        let mut left = Vec::new();
        for line in lines {
            match others.iter().position(|other| other == line) {
                Some(place) => drop(others.swap_remove(place)),
                None => left.push(format!("{sign}{line}")),
            }
        }
        left
    };
    let mut lines = without(wanted, found, '-');
    lines.extend(without(found, wanted, '+'));
    Some(match lines.is_empty() {
        true => "the order of its lines".to_owned(),
        false => lines.join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn file(servers: &[&str]) -> File {
        File {
            owner: Some(Owner {
                lineage: "lineage".to_owned(),
                token: TOKEN.to_owned(),
            }),
            upstream: Upstream {
                name: "web".to_owned(),
                algorithm: "least_conn".to_owned(),
                listen: Some(8080),
            },
            servers: servers.iter().map(|name| server(name)).collect(),
            by_hand: None,
        }
    }

    fn server(name: &str) -> Server {
        Server {
            name: name.to_owned(),
            token: TOKEN.to_owned(),
            member: format!("pool.web/{name}@x"),
            line: Line {
                address: Some("127.0.0.2:5000".to_owned()),
                max_fails: Some(3),
                fail_timeout: Some(10),
                by_hand: None,
            },
        }
    }

    #[test]
    fn the_text() {
        insta::assert_snapshot!("with_servers", file(&["web-m1", "web-m2"]).text());
        insta::assert_snapshot!("without_servers", file(&[]).text());
        let mut plain = file(&["web-m1"]);
        plain.upstream.algorithm = ROUND_ROBIN.to_owned();
        plain.upstream.listen = None;
        insta::assert_snapshot!("without_a_port", plain.text());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut strange = file(&["web-m1"]);
        strange.servers[0].member = "a b%20#c\u{e9}\u{a0}".to_owned();
        let mut plain = file(&["web-m1"]);
        plain.upstream.algorithm = ROUND_ROBIN.to_owned();
        plain.upstream.listen = None;
        for file in [file(&["web-m1", "web-m2"]), file(&[]), strange, plain] {
            assert_eq!(File::parse(&file.text()), file);
        }
    }

    #[test]
    fn what_is_changed_by_hand_is_told() {
        let text = file(&["web-m1"]).text();
        let changed = File::parse(
            &text
                .replace("listen 8080", "listen 8081")
                .replace("least_conn", "ip_hash"),
        );
        assert_eq!(
            (changed.upstream.listen, &*changed.upstream.algorithm),
            (Some(8081), "ip_hash")
        );
        assert_eq!(changed.by_hand, None, "a plan shows the values");
        for (from, to, told) in [
            (
                "proxy_http_version 1.1;",
                "proxy_http_version 1.0;",
                "-        proxy_http_version 1.1;\n+        proxy_http_version 1.0;",
            ),
            (
                "    keepalive 16;\n",
                "    keepalive 16;\n    server 10.0.0.1:80;\n",
                "+    server 10.0.0.1:80;",
            ),
            ("    keepalive 16;\n", "", "-    keepalive 16;"),
            ("    least_conn;\n", "    random;\n    least_conn;\n", "+    random;"),
        ] {
            let changed = File::parse(&text.replace(from, to));
            assert_eq!(changed.by_hand.as_deref(), Some(told), "{to}");
            assert_eq!(changed.servers, [server("web-m1")], "{to}");
        }
        for (from, to, fails) in [
            ("max_fails=3", "max_fails=3 down", Some(3)),
            ("server 127", "#server 127", Some(3)),
            ("max_fails=3 fail_timeout=10s", "weight=5", None),
        ] {
            let changed = File::parse(&text.replace(from, to));
            let line = &changed.servers[0].line;
            assert!(
                line.by_hand.as_ref().is_some_and(|it| it.contains(to)),
                "{to}: {line:?}"
            );
            assert_eq!(line.max_fails, fails, "{to}");
            assert_eq!(changed.servers[0].token, TOKEN);
        }
        let fewer = File::parse(&text.replace("max_fails=3", "max_fails=1"));
        assert_eq!(
            (fewer.servers[0].line.max_fails, &fewer.servers[0].line.by_hand),
            (Some(1), &None)
        );
        let anew = File::parse("server { listen 80; }\n");
        assert_eq!((anew.owner, anew.servers), (None, Vec::new()));
        assert!(anew.by_hand.is_some());
    }
}
