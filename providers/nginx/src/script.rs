//! What is run where nginx is: short scripts for any POSIX shell, so that this machine, a host behind `ssh` and a container
//! are treated alike, and each costs one command.
//!
//! # How a file is put in the place of another
//!
//! `nginx -t` tests what nginx would read, so the new file has to be in its place to be tested. Under a lock on the folder:
//!
//! 1. the new text is written beside the file, and compared with its digest: half of it is never used
//! 2. the old file is kept beside it (an empty one where there was none)
//! 3. the new file takes its place
//! 4. the test; the reload; then it is waited until each process of nginx that takes connections is one that the reload
//!    started, and listens at the port: a reload that nginx refuses shows only there
//! 5. the old file is removed; where anything failed it is put back instead, and nginx reads it again
//!
//! A kill at any instant leaves either nothing but the text of 1, or the old file of 2. Where that is found, it is still the
//! last that is known to be good: it is kept, and the next write goes on from 3. What it began is not known to be done, so
//! nobody calls it done: it is asked for again.
//!
//! Both files beside it begin with a dot: no `include` with a `*` in it reads them.

use std::path::Path;

use sha2::{Digest, Sha256};

/// How a write ended that was not done: the exit codes of [`write`], beside 75 for what cannot be written.
pub(crate) const MOVED: i32 = 70;
pub(crate) const CUT_OFF: i32 = 71;
pub(crate) const UNTESTED: i32 = 72;
pub(crate) const NOT_RELOADED: i32 = 73;
pub(crate) const NOT_LIVE: i32 = 74;

/// What [`read`] says before the text where a write was cut off, and where none was.
pub(crate) const UNFINISHED: &str = "unfinished";
pub(crate) const SETTLED: &str = "settled";

/// What is to be written, and with what.
pub(crate) struct Write<'a> {
    pub(crate) file: &'a Path,
    /// The text of the file that is changed; `None` where there is none.
    pub(crate) before: Option<&'a str>,
    /// The new one; `None` removes the file.
    pub(crate) after: Option<&'a str>,
    pub(crate) test: Option<&'a [String]>,
    pub(crate) reload: Option<&'a [String]>,
    /// The port that nginx listens at then.
    pub(crate) listen: Option<u16>,
    /// Whether it only takes something out.
    pub(crate) removes: bool,
}

/// Returns the script that prints a file, and before it whether a write was cut off.
pub(crate) fn read(file: &Path) -> String {
    let (old, _) = beside(file);
    format!(
        "export LC_ALL=C\nif [ -e {old} ]; then echo {UNFINISHED}; else echo {SETTLED}; fi\nexec cat {file}\n",
        old = quote(&old),
        file = quote(&file.display().to_string())
    )
}

/// The script that prints the connections of the machine, as [`crate::connections`] reads them.
pub(crate) const CONNECTIONS: &str = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null || :\n";

/// Returns the script that puts a new file in the place of the old one. Its input is the new text.
pub(crate) fn write(write: &Write<'_>) -> String {
    let (old, new) = beside(write.file);
    let folder = write.file.parent().unwrap_or(Path::new("/")).display().to_string();
    let command = |command: Option<&[String]>| {
        let words = command.unwrap_or_default().iter().map(|word| quote(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let marks: Vec<String> = marks(write.test.or(write.reload).unwrap_or_default())
        .iter()
        .map(|mark| quote(mark))
        .collect();
    let values = [
        ("folder", quote(&folder)),
        ("file", quote(&write.file.display().to_string())),
        ("old", quote(&old)),
        ("new", quote(&new)),
        ("before", write.before.map_or("none".to_owned(), digest)),
        ("after", write.after.map_or("none".to_owned(), digest)),
        (
            "listen",
            write.listen.map_or_else(String::new, |port| format!("{port:04X}")),
        ),
        ("removes", if write.removes { "yes" } else { "''" }.to_owned()),
        ("reloads", if write.reload.is_some() { "yes" } else { "''" }.to_owned()),
    ];
    let mut script = String::new();
    for (name, value) in values {
        script.push_str(&format!("{name}={value}\n"));
    }
    for (name, command) in [("test", command(write.test)), ("reload", command(write.reload))] {
        let command = match command.is_empty() {
            true => ":".to_owned(),
            // It must not read the new text, nor keep the lock with something that it starts.
            false => format!("{command} </dev/null 9<&- 1>&2"),
        };
        script.push_str(&format!("run_{name}() {{ {command}; }}\n"));
    }
    script.push_str(&format!("masters() {{ masters_with {}; }}\n", marks.join(" ")));
    script.push_str(WRITE);
    script
}

const WRITE: &str = r#"umask 022
set -u

# The masters of nginx whose command line has all the words.
masters_with() {
  for at in $(grep -ls '^nginx: master process' /proc/[0-9]*/cmdline); do
    title=" $(tr '\0' ' ' 2>/dev/null <"$at") "
    for words in "$@"; do
      case $title in *" $words "*) ;; *) continue 2 ;; esac
    done
    at=${at#/proc/}
    echo "${at%%/*}"
  done
}
# That of the commands; where none looks like it, any.
ours() {
  found=$(masters)
  echo ${found:-$(masters_with)}
}
# The processes of a master that take connections.
workers() {
  for at in $(grep -ls '^nginx: worker process' /proc/[0-9]*/cmdline); do
    if grep -qs 'shutting down' "$at"; then continue; fi
    { read -r pid name state parent rest <"${at%cmdline}stat"; } 2>/dev/null || continue
    if [ "$parent" = "$1" ]; then echo "$pid"; fi
  done
}
all_workers() { for master in $(ours); do workers "$master"; done; }
# Whether a master has none but processes that were not there before, and listens.
is_live() {
  for master in $(ours); do
    now=$(workers "$master")
    [ -n "$now" ] || continue
    for pid in $now; do
      case " $earlier " in *" $pid "*) continue 2 ;; esac
    done
    [ -z "$listen" ] || grep -qs ":$listen [0-9A-F]*:0000 0A" "/proc/$master/net/tcp" "/proc/$master/net/tcp6" || continue
    return 0
  done
  return 1
}
make_live() {
  [ -n "$reloads" ] || return 0
  earlier=$(echo $(all_workers))
  run_reload || return 73
  looks=0
  until is_live; do
    looks=$((looks + 1))
    [ $looks -lt 100 ] || return 74
    sleep 0.1
  done
}
put_back() {
  if [ -s "$old" ]; then mv -f "$old" "$file"; else rm -f "$file" && rm -f "$old"; fi
}
digest() { if [ -e "$1" ]; then sha256sum <"$1" | cut -d ' ' -f 1; else echo none; fi; }

command -v flock >/dev/null && command -v sha256sum >/dev/null ||
  { echo 'flock and sha256sum are needed there' >&2; exit 75; }
{ exec 9<"$folder"; } || exit 75
flock 9 || exit 75
[ "$(digest "$file")" = "$before" ] || exit 70
if [ "$after" != none ]; then
  cat >"$new" || exit 75
  [ "$(digest "$new")" = "$after" ] || { rm -f "$new"; exit 71; }
  sync "$new" 2>/dev/null || :
fi
if [ ! -e "$old" ]; then
  if [ -e "$file" ]; then ln "$file" "$old" || exit 75; else : >"$old" || exit 75; fi
fi
if [ "$after" = none ]; then rm -f "$file"; else mv -f "$new" "$file"; fi || { put_back; exit 75; }
failed=0
run_test || failed=72
[ $failed != 0 ] || make_live || failed=$?
# What does not run has forgotten the server already.
if [ $failed != 0 ] && [ -n "$removes" ] && [ -z "$(masters)" ]; then failed=0; fi
if [ $failed = 0 ]; then
  rm -f "$old"
  exit 0
fi
put_back || exit 1
if [ $failed != 72 ]; then run_reload >/dev/null 2>&1 || :; fi
exit $failed
"#;

/// Returns the names of the files beside a file: the old one, and the text of the new one.
fn beside(file: &Path) -> (String, String) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let at = |end: &str| {
        let file = file.with_file_name(format!(".{name}.simfleet-{end}"));
        file.display().to_string()
    };
    (at("old"), at("new"))
}

/// Returns what tells the nginx of a command from others on its machine: its configuration and its prefix.
fn marks(command: &[String]) -> Vec<String> {
    let pairs = command.windows(2).filter(|pair| matches!(&*pair[0], "-c" | "-p"));
    pairs.map(|pair| pair.join(" ")).collect()
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a word as a shell takes it literally.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        for word in ["a b", "it's", "$(x)", "", "-", "'", "\\"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .expect("there is a shell");
            assert_eq!(String::from_utf8_lossy(&echoed.stdout), word);
        }
    }

    #[test]
    fn an_nginx_is_known_by_its_command() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(marks(&words("sudo nginx -t")), Vec::<String>::new());
        assert_eq!(
            marks(&words("nginx -p /srv/a -c nginx.conf -t")),
            ["-p /srv/a", "-c nginx.conf"]
        );
    }
}
