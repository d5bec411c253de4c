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

    /// Returns the sum.
    pub fn add(&self, other: &Number) -> Result<Number, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(sum) = a.checked_add(*b)
        {
            return Ok(sum.into());
        }
        Self::rounded(self.decimal() + other.decimal(), PRECISION)
    }

    /// Returns the difference.
    pub fn sub(&self, other: &Number) -> Result<Number, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(difference) = a.checked_sub(*b)
        {
            return Ok(difference.into());
        }
        Self::rounded(self.decimal() - other.decimal(), PRECISION)
    }

    /// Returns the product.
    pub fn mul(&self, other: &Number) -> Result<Number, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
        {
            return Ok(product.into());
        }
        Self::rounded(self.decimal() * other.decimal(), PRECISION)
    }

    /// Returns the quotient, with [10 more digits](Number) than other results.
    pub fn div(&self, other: &Number) -> Result<Number, NumberError> {
        if other.is_zero() {
            return Err(NumberError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && a.checked_rem(*b) == Some(0)
            && let Some(quotient) = a.checked_div(*b)
        {
            return Ok(quotient.into());
        }
        // In integers, since the division of the decimal crate stops at 100 digits.
        let (dividend, dividend_scale) = self.decimal().into_bigint_and_scale();
        let (divisor, divisor_scale) = other.decimal().into_bigint_and_scale();
        let missing = (divisor.bits() + (PRECISION + GUARD + 2) * 4).saturating_sub(dividend.bits()) / 3 + 1;
        let shift = u32::try_from(missing).map_err(|_| NumberError::OutOfRange)?;
        let quotient = dividend * BigInt::from(10).pow(shift) / divisor;
        let scale = dividend_scale + i64::from(shift) - divisor_scale;
        Self::rounded(BigDecimal::from_bigint(quotient, scale), PRECISION + GUARD)
    }

    /// Returns the remainder of a division that rounds to zero: it has the sign of the dividend.
    pub fn rem(&self, other: &Number) -> Result<Number, NumberError> {
        if other.is_zero() {
            return Err(NumberError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0) {
            return Ok(a.checked_rem(*b).unwrap_or(0).into());
        }
        Self::rounded(self.decimal() % other.decimal(), PRECISION)
    }

    /// Returns the number with the opposite sign.
    pub fn neg(&self) -> Number {
        match &self.0 {
            Repr::Int(value) if *value != i64::MIN => value.wrapping_neg().into(),
            // Of the same magnitude, so within the range.
            _ => Self::from_decimal(-self.decimal()).unwrap_or_else(|_| self.clone()),
        }
    }

    /// Returns the number without its sign.
    pub fn abs(&self) -> Number {
        if self.is_negative() { self.neg() } else { self.clone() }
    }

    /// Returns the largest integer that is not above the number.
    pub fn floor(&self) -> Number {
        self.to_integer(RoundingMode::Floor)
    }

    /// Returns the smallest integer that is not below the number.
    pub fn ceil(&self) -> Number {
        self.to_integer(RoundingMode::Ceiling)
    }

    /// Returns the number without its fraction.
    pub fn trunc(&self) -> Number {
        self.to_integer(RoundingMode::Down)
    }

    fn to_integer(&self, mode: RoundingMode) -> Number {
        match &self.0 {
            Repr::Big(value) if !value.is_integer() => {
                // An integer next to a number that is within the range is within it too.
                Self::from_decimal(value.with_scale_round(0, mode)).unwrap_or_else(|_| self.clone())
            }
            _ => self.clone(),
        }
    }

    /// Returns the power. Exact for an integer base and a non-negative integer exponent as far as the digits reach;
    /// otherwise that of floating point numbers.
    pub fn pow(&self, exponent: &Number) -> Result<Number, NumberError> {
        if let (Repr::Int(base), Some(exponent)) = (&self.0, exponent.as_u64())
            && let Ok(exponent) = u32::try_from(exponent)
            // The number of bits of the result, before it is computed.
            && u64::from(64 - base.unsigned_abs().leading_zeros()) * u64::from(exponent) <= 512
        {
            return Self::from_decimal(BigDecimal::from_bigint(BigInt::from(*base).pow(exponent), 0));
        }
        let result = self.as_f64().powf(exponent.as_f64());
        if result.is_nan() {
            return Err(NumberError::Undefined);
        }
        Self::from_f64(result).ok_or(NumberError::OutOfRange)
    }

    /// Returns the logarithm to a base.
    pub fn log(&self, base: &Number) -> Result<Number, NumberError> {
        let result = self.as_f64().ln() / base.as_f64().ln();
        Self::from_f64(result).ok_or(NumberError::Undefined)
    }

    /// Returns -1, 0 or 1.
    pub fn signum(&self) -> Number {
        let sign = match (self.is_negative(), self.is_zero()) {
            (true, _) => -1,
            (_, true) => 0,
            _ => 1,
        };
        Number(Repr::Int(sign))
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

    #[test]
    fn arithmetic() {
        assert_eq!(n("0.1").add(&n("0.2")), Ok(n("0.3")));
        assert_eq!(n("10").div(&n("4")), Ok(n("2.5")));
        assert_eq!(n("1").div(&n("3")).and_then(|third| third.mul(&n("3"))), Ok(n("1")));
        let third = n("1").div(&n("3")).map(|third| third.to_string()).unwrap_or_default();
        assert!(third.starts_with("0.333") && third.len() > 150, "{third}");
        assert_eq!(n("-7").rem(&n("3")), Ok(n("-1")));
        assert_eq!(n("7").rem(&n("2.5")), Ok(n("2")));
        assert_eq!(n("-9223372036854775808").rem(&n("-1")), Ok(n("0")));
        assert_eq!(n("-9223372036854775808").div(&n("-1")), Ok(n("9223372036854775808")));
        assert_eq!(n("-9223372036854775808").neg(), n("9223372036854775808"));
        assert_eq!(n("1").div(&n("0")), Err(NumberError::DivisionByZero));
        assert_eq!(n("1").rem(&n("0.0")), Err(NumberError::DivisionByZero));
        assert_eq!(n("1e4000").mul(&n("1e4000")), Err(NumberError::OutOfRange));
        assert_eq!(n("1e4000").div(&n("1e-4000")), Err(NumberError::OutOfRange));
        assert_eq!(n("1e-4000").div(&n("7")).map(|number| number.is_zero()), Ok(false));
    }

    #[test]
    fn functions() {
        for (given, floor, ceil, trunc) in [
            ("4.9", "4", "5", "4"),
            ("-4.9", "-5", "-4", "-4"),
            ("5", "5", "5", "5"),
            ("0.0001", "0", "1", "0"),
        ] {
            let number = n(given);
            assert_eq!(
                (number.floor(), number.ceil(), number.trunc()),
                (n(floor), n(ceil), n(trunc)),
                "{given}"
            );
        }
        assert_eq!(n("2").pow(&n("10")), Ok(n("1024")));
        assert_eq!(n("4").pow(&n("0.5")), Ok(n("2")));
        assert_eq!(n("2").pow(&n("-1")), Ok(n("0.5")));
        assert_eq!(n("10").pow(&n("1e9")), Err(NumberError::OutOfRange));
        assert_eq!(n("-8").pow(&n("0.5")), Err(NumberError::Undefined));
        assert_eq!(n("8").log(&n("2")), Ok(n("3")));
        assert_eq!(n("0").log(&n("2")), Err(NumberError::Undefined));
        assert_eq!(Number::from_str_radix("ff", 16), Ok(n("255")));
        assert_eq!(Number::from_str_radix("-FF", 16), Ok(n("-255")));
        assert_eq!(Number::from_str_radix("aA", 62), Ok(n("656")));
        assert_eq!(Number::from_str_radix("9", 8), Err(NumberError::Syntax));
        assert_eq!(
            (n("255").to_str_radix(16), n("-5.9").to_str_radix(2)),
            ("ff".into(), "-101".into())
        );
        assert_eq!(
            (n("2.25").to_fixed(1), n("3").to_fixed(2), n("-0.5").to_fixed(0)),
            ("2.2".into(), "3.00".into(), "0".into())
        );
        assert_eq!(Number::from_f64(0.1), Some(n("0.1")));
        assert_eq!(Number::from_f64(f64::NAN), None);
        assert_eq!(n("0.1").as_f64().to_bits(), 0.1f64.to_bits());
    }
}
