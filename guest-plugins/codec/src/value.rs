//! Single values as text: why one does not fit its type, and numbers from and to digits.

use arrow_buffer::i256;

/// Why a text is not a value of its column's type. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Not written like a value of the type.
    Form,
    /// Beyond the largest or smallest value.
    Range,
    /// Digits would be lost.
    Precision,
    /// A zone is missing, or there is one too many.
    Zone,
    /// Not UTF-8.
    Text,
}

impl Misfit {
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "format.value",
            Self::Range => "format.range",
            Self::Precision => "format.precision",
            Self::Zone => "format.zone",
            Self::Text => "format.utf8",
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Self::Form => "the text is not written like one",
            Self::Range => "the value is out of its range",
            Self::Precision => "digits would be lost",
            Self::Zone => {
                "a timestamp has no zone and a timestamptz has one, and the text is the other"
            }
            Self::Text => "the bytes are not UTF-8",
        }
    }
}

/// Digits that always fit a 64-bit integer.
const SAFE_DIGITS: usize = 18;

/// Sign and digits apart; `None` without digits.
fn signed(text: &[u8]) -> Option<(bool, &[u8])> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    (!digits.is_empty()).then_some((negative, digits))
}

/// The number that up to 18 digits write; `None` where there are none, or other bytes. Without a loop: in
/// a guest each turn of one asks whether the guest has to stop.
fn fold(digits: &[u8]) -> Option<i64> {
    const UNIT: i64 = 100_000_000;
    let Some((front, last)) = digits.split_last_chunk::<8>() else {
        return eight(word(digits)?, digits.len());
    };
    let last = eight(u64::from_le_bytes(*last), 8)?;
    let Some((first, middle)) = front.split_last_chunk::<8>() else {
        return match front.is_empty() {
            true => Some(last),
            false => Some(eight(word(front)?, front.len())? * UNIT + last),
        };
    };
    let middle = eight(u64::from_le_bytes(*middle), 8)?;
    let first = if first.is_empty() { 0 } else { eight(word(first)?, first.len())? };
    Some((first * UNIT + middle) * UNIT + last)
}

/// Up to eight bytes as a word, the first the lowest; `None` for none and for more.
pub fn word(bytes: &[u8]) -> Option<u64> {
    let length = bytes.len();
    match length {
        8 => bytes.try_into().ok().map(u64::from_le_bytes),
        // Both halves, where they overlap, have the same bytes.
        4..8 => {
            let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
            let last = u64::from(u32::from_le_bytes(*last)) << ((length - 4) * 8);
            Some(u64::from(u32::from_le_bytes(*first)) | last)
        }
        2..4 => {
            let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
            let last = u64::from(u16::from_le_bytes(*last)) << ((length - 2) * 8);
            Some(u64::from(u16::from_le_bytes(*first)) | last)
        }
        1 => Some(u64::from(bytes[0])),
        _ => None,
    }
}

/// The number that the first `count` bytes of a word write, one to eight digits.
fn eight(word: u64, count: usize) -> Option<i64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let missing = (8 - count) * 8;
    // Zeros in front, up to eight digits.
    let zeros = (EACH * u64::from(b'0')) & ((1_u64 << missing) - 1);
    let word = word << missing | zeros;
    let high = |word: u64| word & (EACH * 0xf0);
    // A digit's upper half is 3, also when 6 is added: that carries for all above 9.
    let digits = EACH * 0x30;
    if high(word) != digits || high(word.wrapping_add(EACH * 6)) != digits {
        return None;
    }
    let pairs = (word - digits).wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as i64)
}

pub fn parse_i64(text: &[u8]) -> Result<i64, Misfit> {
    let (negative, digits) = signed(text).ok_or(Misfit::Form)?;
    if digits.len() <= SAFE_DIGITS {
        let number = fold(digits).ok_or(Misfit::Form)?;
        return Ok(if negative { -number } else { number });
    }
    i64::try_from(wide(negative, digits.iter().copied())?).map_err(|_| Misfit::Range)
}

fn wide(negative: bool, digits: impl Iterator<Item = u8>) -> Result<i128, Misfit> {
    let mut number = 0_i128;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Misfit::Form);
        }
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(i128::from(digit - b'0')))
            .ok_or(Misfit::Range)?;
    }
    Ok(if negative { -number } else { number })
}

/// Digits that a double gives back, whatever they are.
const DOUBLE_DIGITS: usize = 15;
/// Beyond this power of ten doubles become less exact, down to none.
const DOUBLE_POWER_MAX: usize = 290;

pub fn parse_f64(text: &[u8]) -> Result<f64, Misfit> {
    let number: f64 = parse_float(text)?;
    if number.is_infinite() { endless(text, number) } else { Ok(number) }
}

pub fn parse_f32(text: &[u8]) -> Result<f32, Misfit> {
    let number: f32 = parse_float(text)?;
    if number.is_infinite() { endless(text, number) } else { Ok(number) }
}

fn parse_float<T: std::str::FromStr>(text: &[u8]) -> Result<T, Misfit> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Misfit::Form)
}

/// Digits that made something infinite are too large a number; the word is not.
fn endless<T>(text: &[u8], number: T) -> Result<T, Misfit> {
    if text.iter().any(u8::is_ascii_digit) { Err(Misfit::Range) } else { Ok(number) }
}

/// A double that gives its digits back as they were.
pub fn parse_exact_f64(text: &[u8]) -> Result<f64, Misfit> {
    let number = parse_f64(text)?;
    if is_exact(text, number) { Ok(number) } else { Err(Misfit::Precision) }
}

/// Whether `number`, read from `text`, is written with the same digits again.
pub fn is_exact(text: &[u8], number: f64) -> bool {
    let Some(parts) = Number::parse(text) else { return !number.is_finite() };
    let digits = parts.whole.len() + parts.fraction.len();
    let power = parts.exponent.unsigned_abs() as usize + digits;
    if digits <= DOUBLE_DIGITS && power <= DOUBLE_POWER_MAX {
        return true;
    }
    let shortest = format!("{number:e}");
    Number::parse(shortest.as_bytes()).is_some_and(|same| same.shortened() == parts.shortened())
}

pub fn parse_bool(text: &[u8]) -> Result<bool, Misfit> {
    if text.eq_ignore_ascii_case(b"true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Ok(false)
    } else {
        Err(Misfit::Form)
    }
}

/// A decimal number with `scale` decimals, exactly.
pub fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Misfit> {
    if let Some(number) = short_decimal(text, scale) {
        let fits = precision as usize >= SAFE_DIGITS
            || number.unsigned_abs() < 10_u64.pow(u32::from(precision));
        return if fits { Ok(i128::from(number)) } else { Err(Misfit::Range) };
    }
    let (negative, digits) = scaled_digits(text, scale)?;
    if digits.clone().count() > usize::from(precision) {
        return Err(Misfit::Range);
    }
    wide(negative, digits)
}

/// The common case: digits, perhaps a point and at most `scale` digits, all of it in 64 bits.
fn short_decimal(text: &[u8], scale: i8) -> Option<i64> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, digits) = signed(text)?;
    if digits.len() + scale > SAFE_DIGITS {
        return None;
    }
    let full = digits.len().checked_sub(scale + 1).filter(|point| digits[*point] == b'.');
    let number = match full.or_else(|| memchr::memchr(b'.', digits)) {
        None => fold(digits)? * power_of_ten(scale),
        Some(point) => {
            let fraction = &digits[point + 1..];
            let missing = scale.checked_sub(fraction.len())?;
            let whole = fold(&digits[..point])? * power_of_ten(scale);
            whole + fold(fraction)? * power_of_ten(missing)
        }
    };
    Some(if negative { -number } else { number })
}

/// For an exponent up to 18.
fn power_of_ten(exponent: usize) -> i64 {
    const POWERS: [i64; SAFE_DIGITS + 1] = {
        let mut powers = [1; SAFE_DIGITS + 1];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    POWERS[exponent]
}

/// As [`parse_decimal`], for more than 38 digits.
pub fn parse_decimal256(text: &[u8], precision: u8, scale: i8) -> Result<i256, Misfit> {
    let (negative, digits) = scaled_digits(text, scale)?;
    if digits.clone().count() > usize::from(precision) {
        return Err(Misfit::Range);
    }
    let ten = i256::from_i128(10);
    let mut digits = digits;
    let number = digits.try_fold(i256::ZERO, |number, digit| {
        number.checked_mul(ten)?.checked_add(i256::from_i128(i128::from(digit - b'0')))
    });
    let number = number.ok_or(Misfit::Range)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// An exponent that no number needs; above it lies only nonsense.
const EXPONENT_MAX: i32 = 400;

/// Sign, and the digits of the value times 10^scale without leading zeros.
fn scaled_digits(
    text: &[u8],
    scale: i8,
) -> Result<(bool, impl Iterator<Item = u8> + Clone), Misfit> {
    let number = Number::parse(text).ok_or(Misfit::Form)?;
    let written = number.whole.iter().chain(number.fraction).copied();
    let count = number.whole.len() + number.fraction.len();
    let shift = i32::from(scale) - number.fraction.len() as i32 + number.exponent;
    let (kept, zeros) = match usize::try_from(shift) {
        Ok(zeros) => (count, zeros),
        Err(_) => (count.saturating_sub(shift.unsigned_abs() as usize), 0),
    };
    let is_zero = |digit: &u8| *digit == b'0';
    if !written.clone().skip(kept).all(|digit| is_zero(&digit)) {
        return Err(Misfit::Precision);
    }
    let digits = written.take(kept).chain(std::iter::repeat_n(b'0', zeros)).skip_while(is_zero);
    Ok((number.negative, digits))
}

impl Number<'_> {
    /// The digits without zeros at both ends, and the power of ten of the last one.
    fn shortened(&self) -> (Vec<u8>, i32) {
        let digits = [self.whole, self.fraction].concat();
        let Some(first) = digits.iter().position(|digit| *digit != b'0') else {
            return (Vec::new(), 0);
        };
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        let power = self.exponent - self.fraction.len() as i32 + zeros as i32;
        (digits[first..digits.len() - zeros].to_vec(), power)
    }
}

/// A number taken apart: `-12.50e3`.
pub struct Number<'a> {
    pub negative: bool,
    pub whole: &'a [u8],
    pub fraction: &'a [u8],
    pub exponent: i32,
    pub has_point: bool,
    pub has_exponent: bool,
}

impl<'a> Number<'a> {
    /// `None` for what is no decimal number.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, rest) = signed(text)?;
        let (whole, rest) = digits(rest);
        let (has_point, fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = digits(rest);
                (true, fraction, rest)
            }
            rest => (false, &rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (has_exponent, exponent) = match rest {
            [] => (false, 0),
            [b'e' | b'E', rest @ ..] => (true, parse_i64(rest).ok()?),
            _ => return None,
        };
        let exponent = i32::try_from(exponent).ok().filter(|e| e.abs() <= EXPONENT_MAX)?;
        Some(Self { negative, whole, fraction, exponent, has_point, has_exponent })
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

pub fn push_u64(number: u64, out: &mut Vec<u8>) {
    push_padded(number, 1, out);
}

/// With zeros in front up to `width` digits, 20 at most.
pub fn push_padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number >= 100 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if number >= 10 {
        at -= 2;
        let pair = number as usize * 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else if number > 0 {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    at = at.min(digits.len().saturating_sub(width));
    out.extend_from_slice(&digits[at..]);
}

pub fn push_i64(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    push_u64(number.unsigned_abs(), out);
}

/// A decimal with all its digits: `-0.50`.
pub fn push_decimal(number: i128, scale: i8, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    let digits = usize::try_from(scale).ok().filter(|scale| *scale <= SAFE_DIGITS);
    if let (Ok(short), Some(digits)) = (u64::try_from(number.unsigned_abs()), digits) {
        let unit = 10_u64.pow(digits as u32);
        push_u64(short / unit, out);
        if digits > 0 {
            out.push(b'.');
            push_padded(short % unit, digits, out);
        }
        return;
    }
    let from = out.len();
    out.extend_from_slice(number.unsigned_abs().to_string().as_bytes());
    set_point(from, scale, out);
}

pub fn push_decimal256(number: i256, scale: i8, out: &mut Vec<u8>) {
    let text = number.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.len() < text.len() {
        out.push(b'-');
    }
    let from = out.len();
    out.extend_from_slice(digits.as_bytes());
    set_point(from, scale, out);
}

/// Makes a decimal of the digits from `from` on.
fn set_point(from: usize, scale: i8, out: &mut Vec<u8>) {
    let Ok(scale) = usize::try_from(scale) else {
        if &out[from..] != b"0" {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    if scale == 0 {
        return;
    }
    let missing = (scale + 1).saturating_sub(out.len() - from);
    out.splice(from..from, std::iter::repeat_n(b'0', missing));
    out.insert(out.len() - scale, b'.');
}

/// The shortest text that reads back as the same number.
pub fn push_float(number: impl std::fmt::Debug, out: &mut Vec<u8>) {
    use std::io::Write;
    let from = out.len();
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number:?}");
    match &out[from..] {
        b"inf" => out.splice(from.., *b"Infinity").for_each(drop),
        b"-inf" => out.splice(from.., *b"-Infinity").for_each(drop),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_read_and_nothing_else() {
        let mut number = 1_u64;
        for length in 1..=18 {
            let text = format!("{:0length$}", number % 10_u64.pow(length as u32));
            assert_eq!(fold(text.as_bytes()), text.parse().ok(), "{text}");
            for at in 0..length {
                for wrong in [b'/', b':', b'.', b' ', b'0' - 16, b'9' + 16, b'0' | 0x80, 0, 0xff] {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] = wrong;
                    assert_eq!(fold(&bytes), None, "{wrong} at {at} of {text}");
                }
            }
            number = number * 10 + 7 * (length as u64 % 10) % 10;
        }
        assert_eq!(fold(b""), None);
        assert_eq!(fold(b"999999999999999999"), Some(999_999_999_999_999_999));
    }

    #[test]
    fn decimals_have_as_many_digits_as_their_text() {
        for (text, scale, number) in [
            ("17", 2, Some(1700)),
            ("-17.5", 2, Some(-1750)),
            ("+0.04", 2, Some(4)),
            ("12345", 0, Some(12_345)),
            ("1234567890123456.78", 2, None),
            ("123456789012345.67", 2, None),
            ("12345678901234.56", 2, None),
            ("1234567890123.45", 2, Some(123_456_789_012_345)),
            ("1.234", 2, None),
            ("1.", 2, None),
            (".5", 2, None),
            ("1.2.3", 3, None),
            ("1e2", 2, None),
            ("", 2, None),
            ("7", -1, None),
        ] {
            assert_eq!(short_decimal(text.as_bytes(), scale), number, "{text}");
            if let Some(number) = number {
                assert_eq!(parse_decimal(text.as_bytes(), 38, scale), Ok(number.into()));
            }
        }
        assert_eq!(parse_decimal(b"123456789012345.67", 38, 2), Ok(12_345_678_901_234_567));
    }
}
