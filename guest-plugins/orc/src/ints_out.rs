//! Integers as runs of the second form: repeated, direct, and by their differences.

use crate::codec::Codec;
use crate::error::Result;
use crate::ints::{RUN_MAX, next_width, width_of};
use crate::out::Out;
use crate::proto::{push_varint, zigzag};

/// Shorter runs of values with one difference take no less room by it.
const STEADY_MIN: usize = 10;
/// Runs of equal values from here to [`STEADY_MIN`] are short repeats.
const REPEAT_MIN: usize = 3;

/// Writes integers.
pub(crate) struct IntsOut {
    out: Out,
    is_signed: bool,
    held: Vec<i64>,
    /// Where a run is put together.
    bytes: Vec<u8>,
}

impl IntsOut {
    pub(crate) fn new(codec: Codec, is_signed: bool) -> Self {
        let (held, bytes) = (Vec::with_capacity(RUN_MAX), Vec::new());
        Self { out: Out::new(codec), is_signed, held, bytes }
    }

    pub(crate) fn push(&mut self, value: i64) -> Result<()> {
        self.held.push(value);
        if self.held.len() == RUN_MAX { self.flush() } else { Ok(()) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.out.bytes() + size_of_val(self.held.as_slice())
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<Vec<u8>>> {
        self.flush()?;
        self.out.finish()
    }

    fn flush(&mut self) -> Result<()> {
        let values = std::mem::take(&mut self.held);
        let mut at = 0;
        while at < values.len() {
            let rest = &values[at..];
            let steady = steady(rest);
            let is_flat = steady >= REPEAT_MIN && rest[0] == rest[1];
            self.bytes.clear();
            at += match steady {
                STEADY_MIN.. => self.steady(rest, steady),
                _ if is_flat => self.repeat(rest[0], steady),
                _ => {
                    let count = until_steady(rest);
                    self.varied(&rest[..count])
                }
            };
            self.out.write(&self.bytes)?;
        }
        self.held = values;
        self.held.clear();
        Ok(())
    }

    fn stored(&self, value: i64) -> u64 {
        if self.is_signed { zigzag(value) } else { value as u64 }
    }

    fn head(&mut self, kind: u8, code: u8, count: usize) {
        let count = count - 1;
        self.bytes.push(kind << 6 | code << 1 | (count >> 8) as u8);
        self.bytes.push(count as u8);
    }

    fn repeat(&mut self, value: i64, count: usize) -> usize {
        let value = self.stored(value);
        let width = bits(value).div_ceil(8).max(1);
        self.bytes.push(((width - 1) << 3 | (count - REPEAT_MIN)) as u8);
        self.bytes.extend_from_slice(&value.to_be_bytes()[8 - width..]);
        count
    }

    /// Values with one difference between each two.
    fn steady(&mut self, values: &[i64], count: usize) -> usize {
        self.head(3, 0, count);
        let first = self.stored(values[0]);
        push_varint(&mut self.bytes, first);
        push_varint(&mut self.bytes, zigzag(values[1].wrapping_sub(values[0])));
        count
    }

    /// Values by their differences, where all go one way and that takes less room; else as they are.
    fn varied(&mut self, values: &[i64]) -> usize {
        let stored = values.iter().fold(0, |all, value| all | self.stored(*value));
        let width = next_width(bits(stored).max(1));
        match differences(values) {
            Some(most) if most < width => self.delta(values, most),
            _ => {
                self.head(1, code_of(width), values.len());
                let values = values.iter().map(|value| match self.is_signed {
                    true => zigzag(*value),
                    false => *value as u64,
                });
                pack(values, width, &mut self.bytes);
            }
        }
        values.len()
    }

    fn delta(&mut self, values: &[i64], width: usize) {
        self.head(3, code_of(width), values.len());
        let first = self.stored(values[0]);
        push_varint(&mut self.bytes, first);
        push_varint(&mut self.bytes, zigzag(values[1] - values[0]));
        let rest = values[1..].windows(2).map(|pair| pair[0].abs_diff(pair[1]));
        pack(rest, width, &mut self.bytes);
    }
}

fn bits(value: u64) -> usize {
    64 - value.leading_zeros() as usize
}

fn code_of(width: usize) -> u8 {
    (0..32).find(|code| width_of(*code) == width).unwrap_or(31)
}

/// How many of the first values have one difference between each two.
fn steady(values: &[i64]) -> usize {
    let [first, second, ..] = values else { return values.len() };
    let Some(step) = second.checked_sub(*first) else { return 1 };
    let is_step = |pair: &[i64]| pair[1].checked_sub(pair[0]) == Some(step);
    1 + values.windows(2).take_while(|pair| is_step(pair)).count()
}

/// How many of the first values come before some that have one difference.
fn until_steady(values: &[i64]) -> usize {
    let (mut begin, mut last) = (0, None);
    for at in 1..values.len() {
        let step = values[at].checked_sub(values[at - 1]);
        if step.is_none() || step != last {
            (begin, last) = (at - 1, step);
        } else if at - begin + 1 >= STEADY_MIN && begin > 0 {
            return begin;
        }
    }
    values.len()
}

/// The width of the differences behind the first, where all have its sign.
fn differences(values: &[i64]) -> Option<usize> {
    let [first, second, _, ..] = values else { return None };
    let is_down = second.checked_sub(*first)? < 0;
    let mut all = 0;
    for pair in values[1..].windows(2) {
        let step = pair[1].checked_sub(pair[0])?;
        if step != 0 && (step < 0) != is_down {
            return None;
        }
        all |= step.unsigned_abs();
    }
    // The code of one bit means none here.
    Some(next_width(bits(all).max(2)))
}

/// Appends numbers of `width` bits each, the highest bit first.
fn pack(values: impl Iterator<Item = u64>, width: usize, out: &mut Vec<u8>) {
    let (mut held, mut have) = (0_u128, 0);
    for value in values {
        held = held << width | u128::from(value);
        have += width;
        while have >= 8 {
            have -= 8;
            out.push((held >> have) as u8);
        }
        held &= (1 << have) - 1;
    }
    if have > 0 {
        out.push((held << (8 - have)) as u8);
    }
}
