//! What Azure lets names be, checked before any call.
//!
//! See <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>.

use simfleet_provider_api::{Path, Problem};

use crate::tags::SUFFIX;

/// The rule for the names of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// How many characters Azure takes.
    pub(crate) longest: usize,
    /// Which characters a name has besides letters and digits.
    pub(crate) others: &'static str,
    /// Whether the name is used as it is, and not with a part of a token at its end.
    pub(crate) is_whole: bool,
}

impl Rule {
    /// Most kinds: letters, digits, `_`, `.` and `-`.
    pub(crate) const fn usual(longest: usize) -> Self {
        Rule {
            longest,
            others: "_.-",
            is_whole: false,
        }
    }

    /// Returns what is wrong with a name.
    pub(crate) fn check(&self, name: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |message: String, hint: Option<String>| {
            problems.push(Problem {
                path: Path::attribute("name"),
                message,
                hint,
            });
        };
        let longest = if self.is_whole {
            self.longest
        } else {
            self.longest - SUFFIX
        };
        let length = name.chars().count();
        if length == 0 {
            problem("must not be empty".to_owned(), None);
            return problems;
        }
        if length > longest {
            let hint = (!self.is_whole).then(|| {
                format!(
                    "Azure takes {} characters, of which {SUFFIX} are simfleet's own",
                    self.longest
                )
            });
            problem(
                format!("has {length} characters, but must have at most {longest}"),
                hint,
            );
        }
        let is_other = |c: &char| !c.is_ascii_alphanumeric() && !self.others.contains(*c);
        if let Some(other) = name.chars().find(is_other) {
            let others: Vec<String> = self.others.chars().map(|c| format!("`{c}`")).collect();
            problem(
                format!("has {other:?}: Azure takes letters, digits, {}", others.join(", ")),
                None,
            );
        }
        if !self.is_whole && !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            problem("must begin with a letter or digit".to_owned(), None);
        }
        if self.is_whole && name.ends_with('.') {
            problem("must not end with a period".to_owned(), None);
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_the_rules_of_azure() {
        let group = Rule {
            longest: 90,
            others: "_.-()",
            is_whole: true,
        };
        let machine = Rule {
            longest: 64,
            others: "-",
            is_whole: false,
        };
        let long = "a".repeat(52);
        for (rule, name, expected) in [
            (group, "px4-cloud-sim", ""),
            (group, "_a(b)", ""),
            (group, "a.", "must not end with a period"),
            (
                group,
                "a b",
                "has ' ': Azure takes letters, digits, `_`, `.`, `-`, `(`, `)`",
            ),
            (machine, "agents-m1", ""),
            (machine, "", "must not be empty"),
            (machine, "a_b", "has '_': Azure takes letters, digits, `-`"),
            (machine, "-a", "must begin with a letter or digit"),
            (machine, &long[1..], ""),
            (machine, &long, "has 52 characters, but must have at most 51"),
        ] {
            let problems: Vec<String> = rule.check(name).into_iter().map(|problem| problem.message).collect();
            assert_eq!(problems.join("; "), expected, "{name}");
        }
    }
}
