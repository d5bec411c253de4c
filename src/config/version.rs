//! Version constraints: `>= 0.1, < 2.0`, `~> 1.2`.

use std::cmp::Ordering;

/// The version of this program.
pub(super) const CURRENT: &str = env!("CARGO_PKG_VERSION");

/// Returns whether a version fits all parts of a constraint.
///
/// # Errors
/// It is no constraint; in words.
pub(super) fn allows(constraint: &str, version: &str) -> Result<bool, String> {
    let version = numbers(version)?;
    let mut fits = true;
    for part in constraint.split(',') {
        let part = part.trim();
        let at = part.find(|c: char| !"<>=!~".contains(c)).unwrap_or(part.len());
        let (operator, wanted) = part.split_at(at);
        let wanted = numbers(wanted.trim())?;
        let order = compare(&version, &wanted);
        fits &= match operator {
            "" | "=" => order == Ordering::Equal,
            "!=" => order != Ordering::Equal,
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            "~>" => {
                // The last number may rise, those before it not.
                let fixed = wanted.len().saturating_sub(1).max(1);
                order != Ordering::Less && version.iter().take(fixed).eq(wanted.iter().take(fixed))
            }
            other => return Err(format!("has the unknown operator `{other}`")),
        };
    }
    Ok(fits)
}

fn numbers(text: &str) -> Result<Vec<u64>, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if text.is_empty() {
        return Err("lacks a version".to_owned());
    }
    let number = |part: &str| part.parse().map_err(|_| format!("has `{text}`, which is no version"));
    text.split('.').map(number).collect()
}

fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let length = a.len().max(b.len());
    let padded = |numbers: &[u64]| {
        (0..length)
            .map(|i| numbers.get(i).copied().unwrap_or(0))
            .collect::<Vec<_>>()
    };
    padded(a).cmp(&padded(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_read_as_terraform_reads_them() {
        for (constraint, version, expected) in [
            (">= 0.1", "0.1.0", Ok(true)),
            (">= 0.2", "0.1.9", Ok(false)),
            (">= 0.1, < 0.2", "0.1.5", Ok(true)),
            ("~> 0.1.2", "0.1.9", Ok(true)),
            ("~> 0.1.2", "0.2.0", Ok(false)),
            ("~> 1.2", "1.9.0", Ok(true)),
            ("~> 1", "2.0.0", Ok(false)),
            ("0.1", "0.1.0", Ok(true)),
            ("!= 0.1.0", "0.1.0", Ok(false)),
            ("=> 1", "1.0.0", Err("has the unknown operator `=>`")),
            ("", "1.0.0", Err("lacks a version")),
            (">= one", "1.0.0", Err("has `one`, which is no version")),
        ] {
            let got = allows(constraint, version);
            assert_eq!(got, expected.map_err(str::to_owned), "{constraint:?} {version}");
        }
    }
}
