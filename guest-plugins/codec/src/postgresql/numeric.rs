//! The binary form of `numeric`: digits to the base of 10,000, with the weight of the first.
//!
//! A decimal of Arrow is one integer and a scale; "unscaled" is that integer. The smallest there is
//! stands for NaN, in fields that say so.

use arrow_buffer::i256;

/// What stands for NaN among unscaled values.
pub(crate) const NAN_NARROW: i128 = i128::MIN;
pub(crate) const NAN_WIDE: i256 = i256::MIN;
const NAN: u16 = 0xc000;
const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0x0000;
/// Decimal digits in one digit of the server.
const GROUP: i32 = 4;
/// Decimal digits of the largest unscaled value here, 76, and a sign.
const DIGITS_MAX: usize = 80;

/// A `numeric` taken apart; the digits are still in wire form.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    weight: i32,
    sign: u16,
    digits: &'a [u8],
}

/// Why a value does not become a decimal of its column's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The bytes are no `numeric`.
    Malformed,
    /// More decimals, or more digits, than the column's type has.
    OutOfRange,
}

impl<'a> Parts<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, digits) = bytes.split_first_chunk::<8>()?;
        let [n0, n1, w0, w1, s0, s1, _, _] = *head;
        let count = usize::from(u16::from_be_bytes([n0, n1]));
        let parts = Self {
            weight: i32::from(i16::from_be_bytes([w0, w1])),
            sign: u16::from_be_bytes([s0, s1]),
            digits,
        };
        (digits.len() == count * 2).then_some(parts)
    }

    pub(crate) fn is_nan(&self) -> bool {
        self.sign == NAN
    }

    fn groups(&self) -> impl Iterator<Item = u16> + 'a {
        self.digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The unscaled value at `scale`, exactly.
    pub(crate) fn unscaled(&self, scale: i8) -> Result<i128, Unfit> {
        if let Some(short) = self.short(scale) {
            return self.signed(short.into());
        }
        let mut value: i128 = 0;
        // Power of ten of the last decimal digit of the group that was taken last.
        let mut power = (self.weight + 1) * GROUP + i32::from(scale);
        for group in self.groups() {
            power -= GROUP;
            let group = i128::from(group);
            if power >= 0 {
                value = value
                    .checked_mul(10_000)
                    .and_then(|v| v.checked_add(group))
                    .ok_or(Unfit::OutOfRange)?;
                continue;
            }
            // The group reaches behind the scale: only its first decimal digits belong to the value.
            let cut = 10_i128.pow(power.unsigned_abs().min(GROUP as u32));
            if group % cut != 0 {
                return Err(Unfit::OutOfRange);
            }
            let kept = 10_i128.pow(u32::try_from(GROUP + power).unwrap_or(0));
            value = value
                .checked_mul(kept)
                .and_then(|v| v.checked_add(group / cut))
                .ok_or(Unfit::OutOfRange)?;
        }
        if power > 0 && value != 0 {
            let factor = 10_i128.checked_pow(power as u32).ok_or(Unfit::OutOfRange)?;
            value = value.checked_mul(factor).ok_or(Unfit::OutOfRange)?;
        }
        self.signed(value)
    }

    /// The common case: up to four groups, all of it in 64 bits.
    fn short(&self, scale: i8) -> Option<u64> {
        const GROUPS_MAX: usize = 4;
        let count = self.digits.len() / 2;
        if count > GROUPS_MAX {
            return None;
        }
        let value = self.groups().fold(0, |value, group| value * 10_000 + u64::from(group));
        match (self.weight + 1 - count as i32) * GROUP + i32::from(scale) {
            power @ 0..=2 => Some(value * 10_u64.pow(power as u32)),
            power @ -3..0 => {
                let cut = 10_u64.pow(power.unsigned_abs());
                value.is_multiple_of(cut).then(|| value / cut)
            }
            _ => None,
        }
    }

    fn signed(&self, value: i128) -> Result<i128, Unfit> {
        match self.sign {
            POSITIVE => Ok(value),
            NEGATIVE => Ok(-value),
            _ => Err(Unfit::Malformed),
        }
    }

    /// The unscaled value at `scale` for decimals that need more than 128 bits.
    pub(crate) fn unscaled_wide(&self, scale: i8) -> Result<i256, Unfit> {
        let mut text = String::with_capacity(DIGITS_MAX);
        if self.sign == NEGATIVE {
            text.push('-');
        } else if self.sign != POSITIVE {
            return Err(Unfit::Malformed);
        }
        let mut power = (self.weight + 1) * GROUP + i32::from(scale);
        for group in self.groups() {
            for place in [1000, 100, 10, 1] {
                power -= 1;
                let digit = group / place % 10;
                match power {
                    0.. => text.push(char::from(b'0' + digit as u8)),
                    _ if digit != 0 => return Err(Unfit::OutOfRange),
                    _ => {}
                }
            }
        }
        if !self.digits.is_empty() && power > 0 {
            let zeros = usize::try_from(power).ok().filter(|zeros| *zeros <= DIGITS_MAX);
            text.push_str(&"0".repeat(zeros.ok_or(Unfit::OutOfRange)?));
        }
        if text.is_empty() || text == "-" {
            return Ok(i256::ZERO);
        }
        i256::from_string(&text).ok_or(Unfit::OutOfRange)
    }
}

/// Appends `numeric`'s binary form of an unscaled value; `scale` is not negative.
pub(crate) fn write(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    if unscaled == NAN_NARROW {
        return write_nan(out);
    }
    let scale = scale.unsigned_abs();
    /// Up to this scale the decimals, filled up to whole groups, fit into 64 bits.
    const FAST_SCALE_MAX: u8 = 15;
    if scale > FAST_SCALE_MAX || unscaled.unsigned_abs() > u128::from(u64::MAX) {
        return write_digits(&unscaled.to_string(), scale, out);
    }
    let magnitude = unscaled.unsigned_abs() as u64;
    let unit = 10_u64.pow(u32::from(scale));
    let (mut whole, fraction) = (magnitude / unit, magnitude % unit);
    let fraction_groups = usize::from(scale.div_ceil(4));
    let mut fraction = fraction * 10_u64.pow(fraction_groups as u32 * 4 - u32::from(scale));
    // Five groups of 64 bits before the point, four behind it.
    let mut groups = [0_u16; 9];
    for slot in groups[5..5 + fraction_groups].iter_mut().rev() {
        *slot = (fraction % 10_000) as u16;
        fraction /= 10_000;
    }
    let mut first = 5;
    while whole > 0 {
        first -= 1;
        groups[first] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    write_groups(&groups[first..5 + fraction_groups], 5 - first, unscaled < 0, scale, out);
}

/// The same for decimals that need more than 128 bits.
pub(crate) fn write_wide(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    if unscaled == NAN_WIDE {
        return write_nan(out);
    }
    write_digits(&unscaled.to_string(), scale.unsigned_abs(), out);
}

fn write_nan(out: &mut Vec<u8>) {
    out.extend_from_slice(&8_u32.to_be_bytes());
    for part in [0, 0, NAN, 0] {
        out.extend_from_slice(&part.to_be_bytes());
    }
}

fn write_digits(text: &str, scale: u8, out: &mut Vec<u8>) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let scale_len = usize::from(scale);
    // Zeros so that there is a digit for each decimal, and whole groups on both sides of the point.
    let whole_len = digits.len().saturating_sub(scale_len);
    let whole_groups = whole_len.div_ceil(4);
    let lead = whole_groups * 4 - whole_len + scale_len.saturating_sub(digits.len());
    let tail = scale_len.div_ceil(4) * 4 - scale_len;
    let padded = format!("{}{digits}{}", "0".repeat(lead), "0".repeat(tail));
    let groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|chunk| chunk.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0')))
        .collect();
    write_groups(&groups, whole_groups, negative, scale, out);
}

/// `groups`, of which `whole` stand before the point, without the zeros around them.
fn write_groups(groups: &[u16], whole: usize, negative: bool, scale: u8, out: &mut Vec<u8>) {
    let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    let end = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let kept = &groups[first..end];
    let weight = if kept.is_empty() { 0 } else { whole as i16 - 1 - first as i16 };
    let sign = if negative && !kept.is_empty() { NEGATIVE } else { POSITIVE };
    let [l0, l1, l2, l3] = (8 + kept.len() as u32 * 2).to_be_bytes();
    let [n0, n1] = (kept.len() as u16).to_be_bytes();
    let ([w0, w1], [s0, s1]) = (weight.to_be_bytes(), sign.to_be_bytes());
    out.extend_from_slice(&[l0, l1, l2, l3, n0, n1, w0, w1, s0, s1, 0, scale]);
    for group in kept {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// The decimal as text: `-12.30`.
pub(crate) fn text(unscaled: i128, scale: i8, out: &mut String) {
    match unscaled {
        NAN_NARROW => out.push_str("NaN"),
        _ => place_point(&unscaled.to_string(), scale, out),
    }
}

/// The same for decimals that need more than 128 bits.
pub(crate) fn text_wide(unscaled: i256, scale: i8, out: &mut String) {
    match unscaled {
        NAN_WIDE => out.push_str("NaN"),
        _ => place_point(&unscaled.to_string(), scale, out),
    }
}

fn place_point(unscaled: &str, scale: i8, out: &mut String) {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let scale = usize::from(scale.unsigned_abs());
    out.push_str(sign);
    if digits.len() <= scale {
        out.push('0');
    } else {
        out.push_str(&digits[..digits.len() - scale]);
    }
    if scale > 0 {
        out.push('.');
        out.push_str(&"0".repeat(scale.saturating_sub(digits.len())));
        out.push_str(&digits[digits.len().saturating_sub(scale)..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((groups.len() as u16).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
        bytes
    }

    #[test]
    fn known_values_are_read_and_written() {
        let cases: &[(i128, i8, Vec<u8>)] = &[
            (0, 2, wire(0, POSITIVE, 2, &[])),
            (1, 0, wire(0, POSITIVE, 0, &[1])),
            (12345, 2, wire(0, POSITIVE, 2, &[123, 4500])),
            (-12345, 2, wire(0, NEGATIVE, 2, &[123, 4500])),
            (100_000_000, 0, wire(2, POSITIVE, 0, &[1])),
            (1, 5, wire(-2, POSITIVE, 5, &[1000])),
            (10_000, 4, wire(0, POSITIVE, 4, &[1])),
            (5, 20, wire(-5, POSITIVE, 20, &[5])),
        ];
        for (value, scale, bytes) in cases {
            assert_eq!(Parts::parse(bytes).unwrap().unscaled(*scale), Ok(*value));
            assert_eq!(
                Parts::parse(bytes).unwrap().unscaled_wide(*scale),
                Ok(i256::from_i128(*value))
            );
            let mut out = Vec::new();
            write(*value, *scale, &mut out);
            assert_eq!(&out[4..], bytes, "{value} {scale}");
            assert_eq!(out[..4], (bytes.len() as u32).to_be_bytes());
        }
    }

    #[test]
    fn every_size_and_scale_comes_back() {
        let mut values = vec![0, i128::from(u64::MAX), i128::from(u64::MAX) + 1];
        for power in 0..38 {
            let ten = 10_i128.pow(power);
            values.extend([ten, ten - 1, ten + 1, 7 * ten / 3]);
        }
        values.push(10_i128.pow(38) - 1);
        for scale in 0..=38 {
            for value in values.iter().flat_map(|value| [*value, -*value]) {
                let (mut out, mut wide) = (Vec::new(), Vec::new());
                write(value, scale, &mut out);
                write_wide(i256::from_i128(value), scale, &mut wide);
                assert_eq!(out, wide, "{value} {scale}");
                assert_eq!(
                    Parts::parse(&out[4..]).unwrap().unscaled(scale),
                    Ok(value),
                    "{value} {scale}"
                );
            }
        }
        let value = i256::from_string(&"9".repeat(76)).unwrap();
        for scale in [0, 1, 38, 75, 76] {
            let mut out = Vec::new();
            write_wide(value, scale, &mut out);
            assert_eq!(Parts::parse(&out[4..]).unwrap().unscaled_wide(scale), Ok(value));
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let tenth = wire(-1, POSITIVE, 1, &[1000]);
        assert_eq!(Parts::parse(&tenth).unwrap().unscaled(0), Err(Unfit::OutOfRange));
        assert_eq!(Parts::parse(&tenth).unwrap().unscaled_wide(0), Err(Unfit::OutOfRange));
        let huge = wire(300, POSITIVE, 0, &[1]);
        assert_eq!(Parts::parse(&huge).unwrap().unscaled(0), Err(Unfit::OutOfRange));
        assert_eq!(Parts::parse(&huge).unwrap().unscaled_wide(0), Err(Unfit::OutOfRange));
        let nan = wire(0, NAN, 0, &[]);
        assert!(Parts::parse(&nan).unwrap().is_nan());
        assert!(Parts::parse(&[0; 7]).is_none());
        assert!(Parts::parse(&wire(0, POSITIVE, 0, &[1])[..8]).is_none());
    }

    #[test]
    fn nan_is_the_smallest_value() {
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        write(NAN_NARROW, 2, &mut narrow);
        write_wide(NAN_WIDE, 2, &mut wide);
        assert_eq!(narrow, wide);
        assert!(Parts::parse(&narrow[4..]).unwrap().is_nan());
        let mut out = String::new();
        text(NAN_NARROW, 2, &mut out);
        text_wide(NAN_WIDE, 2, &mut out);
        assert_eq!(out, "NaNNaN");
    }

    #[test]
    fn texts_have_their_point() {
        let cases = [
            ("12345", 2, "123.45"),
            ("-5", 2, "-0.05"),
            ("0", 2, "0.00"),
            ("7", 0, "7"),
            ("10", 2, "0.10"),
        ];
        for (unscaled, scale, expected) in cases {
            let mut out = String::new();
            place_point(unscaled, scale, &mut out);
            assert_eq!(out, expected);
        }
    }
}
