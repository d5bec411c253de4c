//! Flags as Terraform users type them: `-auto-approve`, `-out=x`, `-var k=v`.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::Command;

/// Returns the arguments with a second dash before every long flag that was typed with one.
///
/// Names that no verb knows get it too, so that an error names all of them and not their first letter; `-o json` and
/// values stay what they are, and anything after `--`.
pub(super) fn normalize(arguments: impl IntoIterator<Item = OsString>, command: &Command) -> Vec<OsString> {
    let mut known = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    collect(command, &mut known);
    let mut verbatim = false;
    arguments
        .into_iter()
        .map(|argument| {
            verbatim |= argument == "--";
            match argument.to_str() {
                Some(text) if !verbatim && is_long(text, &known) => format!("-{text}").into(),
                _ => argument,
            }
        })
        .collect()
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let flags = command.get_arguments().filter_map(|flag| flag.get_long());
    known.extend(flags.map(str::to_owned));
    for verb in command.get_subcommands() {
        collect(verb, known);
    }
}

fn is_long(argument: &str, known: &BTreeSet<String>) -> bool {
    let Some(flag) = argument.strip_prefix('-').filter(|flag| flag.len() > 1) else {
        return false;
    };
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    known.contains(name) || is_unknown_name(name)
}

/// Whether this can only be meant as the name of a long flag: `-h`, `-o` and `-V` are the ones that are short, and
/// `-ojson` holds a value.
fn is_unknown_name(name: &str) -> bool {
    let of_names = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    name.len() > 1 && name.chars().all(of_names) && !name.starts_with(['-', 'h', 'o'])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::program::Arguments;

    #[test]
    fn what_terraform_users_type() {
        for (typed, meant) in [
            ("apply -auto-approve", "apply --auto-approve"),
            ("plan -out=x", "plan --out=x"),
            ("plan -out x", "plan --out x"),
            ("plan -var k=v -var=l=w", "plan --var k=v --var=l=w"),
            ("plan -var-file=prod.vars.hcl", "plan --var-file=prod.vars.hcl"),
            ("plan -detailed-exitcode", "plan --detailed-exitcode"),
            ("plan -destroy -replace=node.a[0]", "plan --destroy --replace=node.a[0]"),
            ("plan -refresh=false", "plan --refresh=false"),
            ("-chdir=lab plan", "--chdir=lab plan"),
            ("output -json", "output --json"),
            ("output -raw size", "output --raw size"),
            (
                "apply -parallelism=2 -lock-timeout=5s",
                "apply --parallelism=2 --lock-timeout=5s",
            ),
            ("plan -no-color", "plan --no-color"),
            ("-help", "--help"),
            ("-version", "--version"),
            // Not known, and told as typed.
            ("plan -target=pool.a", "plan --target=pool.a"),
            ("plan -refresh-only", "plan --refresh-only"),
            // Not flags that are long, or not flags at all.
            ("nodes -o json", "nodes -o json"),
            ("nodes -ojson", "nodes -ojson"),
            ("plan -h", "plan -h"),
            ("plan --out x", "plan --out x"),
            ("vehicle --latitude -33.9", "vehicle --latitude -33.9"),
            ("console -", "console -"),
            ("plan -- -json", "plan -- -json"),
        ] {
            let arguments = typed.split(' ').map(OsString::from);
            let normalized = normalize(arguments, &Arguments::command());
            let normalized: Vec<_> = normalized.iter().map(|argument| argument.to_string_lossy()).collect();
            assert_eq!(normalized.join(" "), meant, "{typed}");
        }
    }
}
