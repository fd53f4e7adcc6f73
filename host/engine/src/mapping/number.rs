//! Numbers as they are written: the digits and the place of the point, before any type rounds them.

use std::fmt::Write;

use arrow_buffer::i256;

use super::column::Misfit;

/// Digits that fit into an `u128`.
const CHUNK: usize = 38;
/// An exponent beyond this is as good as any other.
const EXPONENT_MAX: i64 = 1_000_000;

/// `0.d1d2…dn × 10^point`, without zeros at either end; zero has no digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    point: i64,
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        let sign = self.negative == other.negative && self.point == other.point;
        self.is_zero() && other.is_zero()
            || sign && self.len() == other.len() && self.digits().eq(other.digits())
    }
}

impl<'a> Number<'a> {
    /// Reads `-12.5e3`, with digits on at least one side of the point. Words are no numbers here.
    pub(super) fn scan(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = sign(text);
        let (whole, rest) = digits(unsigned);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut whole = without_leading(whole);
        let mut point = whole.len() as i64;
        let mut fraction = without_trailing(fraction);
        if whole.is_empty() {
            let before = fraction.len();
            fraction = without_leading(fraction);
            point = -((before - fraction.len()) as i64);
        }
        if fraction.is_empty() {
            whole = without_trailing(whole);
        }
        Some(Self { negative, whole, fraction, point: point + exponent })
    }

    fn is_zero(&self) -> bool {
        self.len() == 0
    }

    /// Significant digits.
    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn digits(&self) -> impl Iterator<Item = u128> + use<'a> {
        self.whole.iter().chain(self.fraction).map(|digit| u128::from(digit - b'0'))
    }

    /// The number in units of `10^-scale`, if it is one of them and has at most `precision` digits there.
    ///
    /// # Errors
    /// It is too large; or it has decimals that have no place, unless it may be `rounded` half away from 0.
    pub(super) fn unscaled<T: Unscaled>(
        &self,
        precision: u8,
        scale: i8,
        rounded: bool,
    ) -> Result<T, Misfit> {
        if self.is_zero() {
            return Ok(T::from_chunk(0));
        }
        let (precision, scale) = (i64::from(precision), i64::from(scale));
        // How many digits stand before the end of the last decimal kept.
        let kept = self.point + scale;
        if kept > precision {
            return Err(Misfit::Value);
        }
        let len = self.len() as i64;
        if len > kept && !rounded {
            return Err(Misfit::Changed);
        }
        let taken = kept.clamp(0, len);
        let mut value = T::from_chunk(0);
        let mut digits = self.digits();
        let mut left = taken as usize;
        while left > 0 {
            let count = left.min(CHUNK - 1);
            let chunk = digits.by_ref().take(count).fold(0, |all, digit| all * 10 + digit);
            value = value.shifted(count).plus(T::from_chunk(chunk));
            left -= count;
        }
        value = value.shifted((kept - taken).max(0) as usize);
        if len > kept && kept >= 0 && digits.next().is_some_and(|digit| digit >= 5) {
            value = value.plus(T::from_chunk(1));
            if value == T::from_chunk(1).shifted(precision as usize) {
                return Err(Misfit::Value);
            }
        }
        Ok(if self.negative { value.negated() } else { value })
    }

    /// The whole part.
    ///
    /// # Errors
    /// It has more than 38 digits.
    pub(super) fn truncated(&self) -> Result<i128, Misfit> {
        if self.point <= 0 || self.is_zero() {
            return Ok(0);
        }
        let point = usize::try_from(self.point).map_err(|_| Misfit::Value)?;
        if point > CHUNK {
            return Err(Misfit::Value);
        }
        let zeros = std::iter::repeat(0);
        let value = self.digits().chain(zeros).take(point).fold(0, |all, digit| all * 10 + digit);
        let value = i128::try_from(value).map_err(|_| Misfit::Value)?;
        Ok(if self.negative { -value } else { value })
    }
}

/// The integers of decimals, from digits; none overflows as long as the digits fit the type's precision.
pub(super) trait Unscaled: Copy + PartialEq {
    /// What stands for NaN where a field says so.
    const NAN: Self;

    fn from_chunk(digits: u128) -> Self;
    fn shifted(self, digits: usize) -> Self;
    fn plus(self, other: Self) -> Self;
    fn negated(self) -> Self;
}

impl Unscaled for i128 {
    const NAN: Self = Self::MIN;

    fn from_chunk(digits: u128) -> Self {
        digits as Self
    }

    fn shifted(self, digits: usize) -> Self {
        self.wrapping_mul(10_i128.wrapping_pow(digits as u32))
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn negated(self) -> Self {
        -self
    }
}

impl Unscaled for i256 {
    const NAN: Self = Self::MIN;

    fn from_chunk(digits: u128) -> Self {
        Self::from_parts(digits, 0)
    }

    fn shifted(self, digits: usize) -> Self {
        self.wrapping_mul(Self::from_i128(10).wrapping_pow(digits as u32))
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn negated(self) -> Self {
        self.wrapping_neg()
    }
}

/// Reads floating point numbers; what is printed to compare them goes to one buffer.
#[derive(Default)]
pub(super) struct Floats {
    shown: String,
}

impl Floats {
    /// The double that shows as this text; one near it where `near` is enough.
    ///
    /// # Errors
    /// The text is no number, too large, or another number than its nearest double.
    pub(super) fn double(&mut self, text: &str, near: bool) -> Result<f64, Misfit> {
        let value: f64 = text.parse().map_err(|_| Misfit::Value)?;
        // Without digits it is one of the words.
        let Some(number) = Number::scan(text.as_bytes()) else { return Ok(value) };
        if value.is_infinite() {
            return Err(Misfit::Value);
        }
        // Up to 15 digits always come back, where the numbers are dense.
        let safe = number.len() <= 15 && number.point.abs() <= 290;
        self.compared(number, safe || near, 17, value, value)
    }

    /// The same with single precision.
    pub(super) fn single(&mut self, text: &str, near: bool) -> Result<f32, Misfit> {
        let value: f32 = text.parse().map_err(|_| Misfit::Value)?;
        let Some(number) = Number::scan(text.as_bytes()) else { return Ok(value) };
        if value.is_infinite() {
            return Err(Misfit::Value);
        }
        let safe = number.len() <= 6 && number.point.abs() <= 30;
        self.compared(number, safe || near, 9, value, value)
    }

    /// `digits`: as many tell every value of the type from every other.
    fn compared<T>(
        &mut self,
        number: Number<'_>,
        safe: bool,
        digits: usize,
        value: T,
        shown: impl std::fmt::LowerExp,
    ) -> Result<T, Misfit> {
        if safe || number.is_zero() {
            return Ok(value);
        }
        // The shortest text that reads as this value, or what a program prints that prints all digits.
        let is_shortest = self.shows(number, format_args!("{shown:e}"))?;
        let same = is_shortest
            || number.len() <= digits
                && self.shows(number, format_args!("{shown:.0$e}", number.len() - 1))?;
        if same { Ok(value) } else { Err(Misfit::Changed) }
    }

    fn shows(
        &mut self,
        number: Number<'_>,
        shown: std::fmt::Arguments<'_>,
    ) -> Result<bool, Misfit> {
        self.shown.clear();
        self.shown.write_fmt(shown).map_err(|_| Misfit::Value)?;
        Ok(Number::scan(self.shown.as_bytes()).is_some_and(|shown| shown == number))
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, unsigned) = sign(text);
    let (number, rest) = digits(unsigned);
    if number.is_empty() || !rest.is_empty() {
        return None;
    }
    let value = number
        .iter()
        .fold(0_i64, |all, digit| (all * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if negative { -value } else { value })
}

fn without_leading(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

fn without_trailing(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    &digits[..digits.len() - zeros]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        let number = |text: &'static str| Number::scan(text.as_bytes()).unwrap();
        for (left, right) in
            [("1", "1.000"), ("0.05", "5e-2"), ("1200", "1.2E+3"), ("-0", "0.0"), ("+.5", "0.5")]
        {
            assert!(number(left) == number(right), "{left} and {right}");
        }
        for (left, right) in [("1", "-1"), ("1", "10"), ("1.05", "1.5")] {
            assert!(number(left) != number(right), "{left} and {right}");
        }
        for text in ["", "-", ".", "1e", "1 ", " 1", "1,5", "e5", "0x1", "NaN", "1.2.3"] {
            assert!(Number::scan(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn decimals_are_taken_digit_by_digit() {
        let read = |text: &str, precision, scale, rounded| {
            Number::scan(text.as_bytes()).unwrap().unscaled::<i128>(precision, scale, rounded)
        };
        let table = [
            ("1.25", 5, 2, Ok(125)),
            ("-0.10", 5, 2, Ok(-10)),
            ("1.255", 5, 2, Err(Misfit::Changed)),
            ("999.990", 5, 2, Ok(99_999)),
            ("1000", 5, 2, Err(Misfit::Value)),
            ("1e2", 5, 2, Ok(10_000)),
            ("1.2e-1", 5, 2, Ok(12)),
            ("1200", 3, -2, Ok(12)),
            ("1210", 3, -2, Err(Misfit::Changed)),
            ("0e999999999999", 3, 0, Ok(0)),
            ("1e999999999999", 38, 0, Err(Misfit::Value)),
            ("0.001", 3, 5, Ok(100)),
            ("0.01", 3, 5, Err(Misfit::Value)),
        ];
        for (text, precision, scale, expected) in table {
            assert_eq!(read(text, precision, scale, false), expected, "{text}");
        }
        let largest = "9".repeat(38);
        assert_eq!(read(&largest, 38, 0, false), Ok(10_i128.pow(38) - 1));
        for (text, expected) in [
            ("1.255", Ok(126)),
            ("-1.255", Ok(-126)),
            ("1.2549", Ok(125)),
            ("0.005", Ok(1)),
            ("0.0049", Ok(0)),
            ("0.0005", Ok(0)),
            ("999.995", Err(Misfit::Value)),
        ] {
            assert_eq!(read(text, 5, 2, true), expected, "{text}");
        }
    }

    #[test]
    fn whole_parts() {
        let whole = |text: &str| Number::scan(text.as_bytes()).unwrap().truncated();
        assert_eq!(whole("1.9"), Ok(1));
        assert_eq!(whole("-1.9"), Ok(-1));
        assert_eq!(whole("0.9"), Ok(0));
        assert_eq!(whole("12e3"), Ok(12_000));
        assert_eq!(whole("0e99"), Ok(0));
        assert_eq!(whole("1e99"), Err(Misfit::Value));
    }

    #[test]
    fn doubles_show_as_their_text_or_are_others() {
        let table = [
            ("0.1", Ok(0.1)),
            ("-1.50", Ok(-1.5)),
            ("123456789012345", Ok(123_456_789_012_345.0)),
            ("0.30000000000000004", Ok(0.300_000_000_000_000_04)),
            ("0.10000000000000001", Ok(0.1)),
            ("0.10000000000000002", Ok(0.100_000_000_000_000_02)),
            ("0.100000000000000005", Err(Misfit::Changed)),
            ("1e400", Err(Misfit::Value)),
            ("1e-400", Err(Misfit::Changed)),
            ("0e-400", Ok(0.0)),
            ("123456789012345678", Err(Misfit::Changed)),
            ("9007199254740993", Err(Misfit::Changed)),
            ("9007199254740992", Ok(9_007_199_254_740_992.0)),
            ("5e-324", Ok(5e-324)),
            ("1.23456789e-320", Err(Misfit::Changed)),
            ("Infinity", Ok(f64::INFINITY)),
            ("1x", Err(Misfit::Value)),
            (" 1", Err(Misfit::Value)),
        ];
        for (text, expected) in table {
            assert_eq!(Floats::default().double(text, false), expected, "{text}");
        }
        assert!(Floats::default().double("NaN", false).is_ok_and(f64::is_nan));
        let table = [
            ("16777216", Ok(16_777_216.0)),
            ("16777217", Err(Misfit::Changed)),
            ("0.1", Ok(0.1)),
            ("1e39", Err(Misfit::Value)),
            ("3.4028235e38", Ok(f32::MAX)),
        ];
        for (text, expected) in table {
            assert_eq!(Floats::default().single(text, false), expected, "{text}");
        }
        assert_eq!(Floats::default().single("16777217", true), Ok(16_777_216.0));
    }
}
