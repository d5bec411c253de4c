//! Numbers of the fleet language.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::rounding::RoundingMode;
use bigdecimal::{BigDecimal, ToPrimitive, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod arithmetic;

/// Significant digits of an arithmetic result: as many as the 512 bits hold that Terraform computes with.
const PRECISION: u64 = 154;

/// Digits that a quotient has beyond [`PRECISION`], so that what is computed with it rounds to what it should be:
/// `1/3*3` is 1.
const GUARD: u64 = 10;

/// The largest power of ten, up and down. It bounds the text of a number, and so what a hostile `1e999999999` costs.
const MAX_EXPONENT: i64 = 4096;

/// A number of the fleet language: decimal, so that no digit is lost between a file and a provider.
///
/// Results of arithmetic have 154 significant digits. Integers of 64 bits, which nearly all numbers are, are held
/// without allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// Always normalised, so that equality, order and hash are those of the representation: `Int` wherever the number fits,
/// and no trailing zeros in `Big`.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Int(i64),
    Big(Arc<BigDecimal>),
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not a decimal number.
    #[error("not a number")]
    Syntax,
    /// Beyond 10^4096, or closer to zero than 10^-4096.
    #[error("the number is too large or too small: its exponent must be within ±{MAX_EXPONENT}")]
    OutOfRange,
    /// Division by zero, or the remainder of one.
    #[error("division by zero")]
    DivisionByZero,
    /// The mathematical function has no real result.
    #[error("the result is not a real number")]
    Undefined,
}

impl Number {
    /// Returns the number as a signed integer, or `None` where it has a fraction or does not fit.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Int(value) => Some(value),
            Repr::Big(_) => None,
        }
    }

    /// Returns the number as an unsigned integer, or `None` where it is negative, has a fraction or does not fit.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(value) => u64::try_from(*value).ok(),
            Repr::Big(value) => value.is_integer().then(|| value.to_u64()).flatten(),
        }
    }

    /// Returns the nearest floating point number; an infinity where it is beyond all of them.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "the nearest one is asked for")]
            Repr::Int(value) => *value as f64,
            // By its text: the conversion of the decimal crate is not exact to the last bit.
            Repr::Big(value) => value.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// Returns whether the number has no fraction.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(value) => value.is_integer(),
        }
    }

    /// Returns whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == Repr::Int(0)
    }

    /// Returns whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Int(value) => *value < 0,
            Repr::Big(value) => value.sign() == Sign::Minus,
        }
    }

    /// Makes a number of a floating point number; `None` for NaN and the infinities.
    pub fn from_f64(value: f64) -> Option<Self> {
        // By its shortest text, so that 0.1 stays 0.1.
        value.is_finite().then(|| value.to_string().parse().ok()).flatten()
    }

    /// Reads an integer of a base from 2 to 62, as `parseint` does: digits, then letters; up to base 36 their case does
    /// not matter, above it lower case letters come first.
    pub fn from_str_radix(text: &str, base: u32) -> Result<Self, NumberError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !(2..=62).contains(&base) {
            return Err(NumberError::Syntax);
        }
        if digits.len() > MAX_EXPONENT as usize {
            return Err(NumberError::OutOfRange);
        }
        let mut value = BigInt::zero();
        for char in digits.chars() {
            let digit = match char {
                '0'..='9' => char as u32 - '0' as u32,
                'a'..='z' => char as u32 - 'a' as u32 + 10,
                'A'..='Z' if base <= 36 => char as u32 - 'A' as u32 + 10,
                'A'..='Z' => char as u32 - 'A' as u32 + 36,
                _ => return Err(NumberError::Syntax),
            };
            if digit >= base {
                return Err(NumberError::Syntax);
            }
            value = value * base + digit;
        }
        let value = BigDecimal::from_bigint(if negative { -value } else { value }, 0);
        Self::from_decimal(value)
    }

    /// Returns the number in a base from 2 to 36, in lower case; the fraction is left out.
    pub fn to_str_radix(&self, base: u32) -> String {
        let (digits, _) = self.trunc().decimal().with_scale(0).into_bigint_and_scale();
        digits.to_str_radix(base.clamp(2, 36))
    }

    /// Returns the number with so many decimals, rounded to the nearest, and to the even one of two.
    pub fn to_fixed(&self, decimals: u16) -> String {
        let rounded = self
            .decimal()
            .with_scale_round(i64::from(decimals), RoundingMode::HalfEven);
        rounded.to_plain_string()
    }

    fn from_decimal(value: BigDecimal) -> Result<Self, NumberError> {
        if value.is_zero() {
            return Ok(Number(Repr::Int(0)));
        }
        if value.order_of_magnitude().abs() > MAX_EXPONENT || value.fractional_digit_count().abs() > 2 * MAX_EXPONENT {
            return Err(NumberError::OutOfRange);
        }
        if value.is_integer()
            && let Some(int) = value.to_i64()
        {
            return Ok(Number(Repr::Int(int)));
        }
        Ok(Number(Repr::Big(Arc::new(value.normalized()))))
    }

    fn rounded(value: BigDecimal, digits: u64) -> Result<Self, NumberError> {
        let value = match NonZeroU64::new(digits) {
            Some(precision) if value.digits() > digits => value.with_precision_round(precision, RoundingMode::HalfEven),
            _ => value,
        };
        Self::from_decimal(value)
    }

    fn decimal(&self) -> BigDecimal {
        match &self.0 {
            Repr::Int(value) => BigDecimal::from(*value),
            Repr::Big(value) => BigDecimal::clone(value),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number(Repr::Int(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(int) => Number(Repr::Int(int)),
            Err(_) => Number(Repr::Big(Arc::new(BigDecimal::from(value).normalized()))),
        }
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(int) = text.parse::<i64>() {
            return Ok(int.into());
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(NumberError::Syntax);
                }
                (mantissa, exponent.parse().map_err(|_| NumberError::OutOfRange)?)
            }
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut digits = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError::Syntax);
        }
        if unsigned.len() > MAX_EXPONENT as usize || i64::abs(exponent) > 2 * MAX_EXPONENT {
            return Err(NumberError::OutOfRange);
        }
        let sign = if mantissa.starts_with('-') { "-" } else { "" };
        let digits: BigInt = format!("{sign}{whole}{fraction}")
            .parse()
            .map_err(|_| NumberError::Syntax)?;
        Self::from_decimal(BigDecimal::from_bigint(digits, fraction.len() as i64 - exponent))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(value) => write!(f, "{value}"),
            Repr::Big(value) => f.write_str(&value.to_plain_string()),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            (Repr::Big(a), Repr::Big(b)) => a.cmp(b),
            _ => self.decimal().cmp(&other.decimal()),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::Int(value) => serializer.serialize_i64(*value),
            Repr::Big(_) => serde_json::Number::from_str(&self.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Number::deserialize(deserializer)?
            .as_str()
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn text() {
        for (given, shown) in [
            ("1", "1"),
            ("-1", "-1"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1E-3", "0.001"),
            ("10.0", "10"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("-9223372036854775809", "-9223372036854775809"),
            ("12345678901234567890.123456789", "12345678901234567890.123456789"),
            ("0e4000", "0"),
            ("-0", "0"),
        ] {
            assert_eq!(n(given).to_string(), shown, "{given}");
        }
        for bad in ["", "-", "1e", "e5", "1.2.3", "0x10", "1_000", " 1", "NaN", "Inf", "."] {
            assert_eq!(bad.parse::<Number>(), Err(NumberError::Syntax), "{bad:?}");
        }
        for large in ["1e5000", "1e-5000", "1e99999999999999999999", "1e2147483647"] {
            assert_eq!(large.parse::<Number>(), Err(NumberError::OutOfRange), "{large:?}");
        }
    }

    #[test]
    fn equal_numbers_have_one_representation() {
        let hasher = RandomState::new();
        for (a, b) in [
            ("1", "1.0"),
            ("10", "1e1"),
            ("0.5", "5e-1"),
            ("1e30", "1000000000000000000000000000000"),
        ] {
            assert_eq!(n(a), n(b), "{a} {b}");
            assert_eq!(hasher.hash_one(n(a)), hasher.hash_one(n(b)), "{a} {b}");
            assert_eq!(n(a).cmp(&n(b)), Ordering::Equal, "{a} {b}");
        }
        let product = n("9223372036854775807").add(&n("1")).and_then(|sum| sum.sub(&n("1")));
        assert_eq!(product, Ok(n("9223372036854775807")));
        assert_eq!(n("18446744073709551615"), Number::from(u64::MAX));
    }
}
