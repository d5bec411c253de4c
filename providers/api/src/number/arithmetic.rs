//! Arithmetic.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bigdecimal::rounding::RoundingMode;

use super::{GUARD, Number, NumberError, PRECISION, Repr};

impl Number {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
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
