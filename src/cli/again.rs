//! The command line as others are told it, and as it is typed again.

use std::ffi::OsString;

use crate::config::Config;

/// The command line, for those who wait for this run and for whoever continues it.
#[derive(Debug, Clone)]
pub(super) struct Again(Vec<String>);

impl Again {
    /// Takes the arguments as they were typed, the program first.
    pub(super) fn new(arguments: Vec<OsString>) -> Self {
        let mut words: Vec<String> = arguments
            .into_iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        if let Some(program) = words.first_mut() {
            *program = "simfleet".to_owned();
        }
        Again(words)
    }

    /// Returns it without the values of variables, which can be secrets: this is recorded, and shown to others.
    pub(super) fn told(&self) -> String {
        self.without(|_| true)
    }

    /// Returns it as it can be typed again, but for the values of the variables that are sensitive.
    pub(super) fn typed(&self, config: &Config) -> String {
        self.without(|name| config.variables.get(name).is_some_and(|variable| variable.sensitive))
    }

    fn without(&self, is_secret: impl Fn(&str) -> bool) -> String {
        let mut words = Vec::with_capacity(self.0.len());
        let mut value_follows = false;
        for word in &self.0 {
            let (flag, value) = match word.strip_prefix("--var=") {
                Some(value) => ("--var=", Some(value)),
                None => ("", Some(word.as_str()).filter(|_| value_follows)),
            };
            value_follows = word == "--var";
            let name = value.map(|value| value.split_once('=').map_or(value, |(name, _)| name));
            words.push(match name {
                Some(name) if is_secret(name) => format!("{flag}{}=…", quoted(name)),
                _ => quoted(word),
            });
        }
        words.join(" ")
    }
}

/// Returns a word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_as_it_is_told() {
        for (words, told, typed) in [
            (vec!["/usr/bin/simfleet", "plan"], "simfleet plan", "simfleet plan"),
            (
                vec!["x", "plan", "--var", "key=a b", "--var=n=1", "--var-file", "it's"],
                r"simfleet plan --var key=… --var=n=… --var-file 'it'\''s'",
                r"simfleet plan --var 'key=a b' --var=n=1 --var-file 'it'\''s'",
            ),
            (
                vec!["x", "plan", "--var", "bare"],
                "simfleet plan --var bare=…",
                "simfleet plan --var bare",
            ),
        ] {
            let again = Again::new(words.into_iter().map(OsString::from).collect());
            assert_eq!(again.told(), told);
            assert_eq!(again.without(|_| false), typed);
        }
    }
}
