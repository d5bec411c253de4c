//! Durations and sizes as people write them: `"1h30m"`, `"512MiB"`.

use std::fmt;
use std::time::Duration;

use simfleet_provider_api::Number;

/// Reads a duration: numbers with units, such as `90s`, `1.5h`, `1h30m`.
///
/// # Errors
/// Words for a message, such as `has no unit`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut nanos: u128 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("is empty".to_owned());
    }
    while !rest.is_empty() {
        let (amount, unit, after) = quantity(rest)?;
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" => return Err("has no unit".to_owned()),
            unit => return Err(format!("has the unknown unit `{unit}`")),
        };
        if amount.matches('.').count() > 1 {
            return Err(format!("has `{amount}`, which is no number"));
        }
        nanos = scaled(amount, scale)
            .and_then(|more| nanos.checked_add(more))
            .filter(|nanos| *nanos <= MAX_NANOS)
            .ok_or("is longer than 100 years")?;
        rest = after;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| "is longer than 100 years")?;
    // Below 10^9 by the remainder, so it fits.
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// A hundred years.
const MAX_NANOS: u128 = 36_525 * 86_400 * 1_000_000_000;

/// Reads a size in bytes: `512MiB`, `64GiB`, `1.5GB`.
///
/// # Errors
/// Words for a message.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let (amount, unit, rest) = quantity(text)?;
    if !rest.is_empty() {
        return Err(format!("has text after its unit: `{rest}`"));
    }
    let scale: u128 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "" => return Err("has no unit".to_owned()),
        unit => return Err(format!("has the unknown unit `{unit}`")),
    };
    if amount.matches('.').count() > 1 {
        return Err(format!("has `{amount}`, which is no number"));
    }
    let bytes = scaled(amount, scale).ok_or("is too large")?;
    u64::try_from(bytes).map_err(|_| "is too large".to_owned())
}

/// Splits `1.5h30m` into `1.5`, `h` and `30m`.
fn quantity(text: &str) -> Result<(&str, &str, &str), String> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let (amount, rest) = text.split_at(end);
    if amount.is_empty() {
        return Err(match text.starts_with('-') {
            true => "is negative".to_owned(),
            false => "does not start with a number".to_owned(),
        });
    }
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    if unit.is_empty() && !rest.is_empty() {
        return Err(format!("has `{rest}` where a unit belongs"));
    }
    Ok((amount, unit, rest.trim_start()))
}

/// Returns a decimal text times a scale, rounded down; `None` where it is no decimal or too large.
fn scaled(amount: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    if !fraction.is_empty() {
        // More digits than this are below one unit of any scale.
        let digits = &fraction[..fraction.len().min(18)];
        let part: u128 = digits.parse().ok()?;
        let ten = 10u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
        total = total.checked_add(part.checked_mul(scale)? / ten)?;
    }
    Some(total)
}

/// Returns a duration in seconds as a number, exactly.
pub fn seconds(duration: Duration) -> Number {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.parse().unwrap_or_else(|_| Number::from(duration.as_secs()))
}

/// A duration as it is written: `90s`, `1h30m`.
#[derive(Debug, Clone, Copy)]
pub struct Written(pub Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if nanos > 0 {
            return match seconds {
                0 if nanos % 1_000_000 == 0 => write!(f, "{}ms", nanos / 1_000_000),
                0 => write!(f, "{}us", nanos / 1_000),
                _ => write!(f, "{}s", self::seconds(self.0)),
            };
        }
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
            // 90s stays 90s: people write it so.
            if seconds > 0 && seconds % length == 0 {
                return write!(f, "{}{unit}", seconds / length);
            }
        }
        write!(f, "{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (text, expected) in [
            ("90s", Ok(90_000)),
            ("5m", Ok(300_000)),
            ("24h", Ok(86_400_000)),
            ("14d", Ok(1_209_600_000)),
            ("1h30m", Ok(5_400_000)),
            ("1.5s", Ok(1_500)),
            ("250ms", Ok(250)),
            ("0s", Ok(0)),
            ("", Err("is empty")),
            ("90", Err("has no unit")),
            ("1h30", Err("has no unit")),
            ("-5s", Err("is negative")),
            ("fast", Err("does not start with a number")),
            ("5 parsecs", Err("has the unknown unit `parsecs`")),
            ("1..2s", Err("has `1..2`, which is no number")),
            ("5,5s", Err("has `,5s` where a unit belongs")),
            (
                "99999999999999999999999999999999999999999d",
                Err("is longer than 100 years"),
            ),
        ] {
            let got = duration(text).map(|duration| duration.as_millis());
            assert_eq!(got, expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn sizes_read_as_they_are_written() {
        for (text, expected) in [
            ("512MiB", Ok(512 << 20)),
            ("1.5 GiB", Ok(3 << 29)),
            ("64KB", Ok(64_000)),
            ("0B", Ok(0)),
            ("16", Err("has no unit")),
            ("16Mib", Err("has the unknown unit `Mib`")),
            ("1GiB2", Err("has text after its unit: `2`")),
            ("99999999999999999TiB", Err("is too large")),
        ] {
            assert_eq!(size(text), expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn seconds_are_exact_and_written_back() {
        let hundred = duration("100ms").expect("valid");
        assert_eq!(seconds(hundred).to_string(), "0.1");
        for text in ["90s", "5m", "2h", "3d", "250ms", "0s", "1.5s"] {
            assert_eq!(Written(duration(text).expect("valid")).to_string(), text);
        }
    }
}
