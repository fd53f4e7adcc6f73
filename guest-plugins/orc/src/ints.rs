//! Integers as runs, in both forms that the format has had.

use crate::error::Result;
use crate::proto::unzigzag;
use crate::stream::Stream;

/// The longest run of the second form.
pub(crate) const RUN_MAX: usize = 512;

/// Bits of the numbers that a code of five bits means.
pub(crate) fn width_of(code: u8) -> usize {
    match code {
        0..=23 => code as usize + 1,
        24..=27 => [26, 28, 30, 32][code as usize - 24],
        _ => [40, 48, 56, 64][code as usize & 3],
    }
}

/// The smallest width that has a code and holds as many bits.
pub(crate) fn next_width(bits: usize) -> usize {
    (0..32).map(width_of).find(|width| *width >= bits).unwrap_or(64)
}

/// Reads a stream of integers.
pub(crate) struct Ints {
    stream: Stream,
    is_signed: bool,
    is_second: bool,
    /// The values of a run, of which those before `at` were taken.
    run: Vec<i64>,
    at: usize,
}

impl Ints {
    pub(crate) fn new(stream: Stream, is_signed: bool, is_second: bool) -> Self {
        Self { stream, is_signed, is_second, run: Vec::with_capacity(RUN_MAX), at: 0 }
    }

    /// Appends the next values.
    pub(crate) fn read(&mut self, mut count: usize, out: &mut Vec<i64>) -> Result<()> {
        while count > 0 {
            if self.at == self.run.len() {
                (self.at, _) = (0, self.run.clear());
                match self.is_second {
                    true => self.second()?,
                    false => self.first()?,
                }
            }
            let taken = count.min(self.run.len() - self.at);
            out.extend_from_slice(&self.run[self.at..self.at + taken]);
            self.at += taken;
            count -= taken;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<i64> {
        let value = self.stream.varint()?;
        Ok(if self.is_signed { unzigzag(value) } else { value as i64 })
    }

    fn first(&mut self) -> Result<()> {
        let control = self.stream.byte()?;
        if control >= 0x80 {
            for _ in 0..256 - usize::from(control) {
                let value = self.number()?;
                self.run.push(value);
            }
            return Ok(());
        }
        let delta = i64::from(self.stream.byte()? as i8);
        let mut value = self.number()?;
        for _ in 0..usize::from(control) + 3 {
            self.run.push(value);
            value = value.wrapping_add(delta);
        }
        Ok(())
    }

    fn second(&mut self) -> Result<()> {
        let first = self.stream.byte()?;
        match first >> 6 {
            0 => self.short_repeat(first),
            1 => self.direct(first),
            2 => self.patched(first),
            _ => self.delta(first),
        }
    }

    fn short_repeat(&mut self, first: u8) -> Result<()> {
        let width = usize::from(first >> 3 & 7) + 1;
        let value = big_endian(self.stream.take(width)?);
        let value = if self.is_signed { unzigzag(value) } else { value as i64 };
        self.run.resize(usize::from(first & 7) + 3, value);
        Ok(())
    }

    /// Bits of a value, and how many there are.
    fn head(&mut self, first: u8) -> Result<(usize, usize)> {
        let second = self.stream.byte()?;
        let count = (usize::from(first & 1) << 8 | usize::from(second)) + 1;
        Ok((width_of(first >> 1 & 0x1f), count))
    }

    fn direct(&mut self, first: u8) -> Result<()> {
        let (width, count) = self.head(first)?;
        unpack(self.stream.take((width * count).div_ceil(8))?, width, count, &mut self.run);
        if self.is_signed {
            self.run.iter_mut().for_each(|value| *value = unzigzag(*value as u64));
        }
        Ok(())
    }

    fn delta(&mut self, first: u8) -> Result<()> {
        let (width, count) = self.head(first)?;
        let mut value = self.number()?;
        self.run.push(value);
        let step = unzigzag(self.stream.varint()?);
        if first >> 1 & 0x1f == 0 {
            for _ in 1..count {
                value = value.wrapping_add(step);
                self.run.push(value);
            }
            return Ok(());
        }
        if count == 1 {
            return Ok(());
        }
        value = value.wrapping_add(step);
        self.run.push(value);
        let more = count.saturating_sub(2);
        unpack(self.stream.take((width * more).div_ceil(8))?, width, more, &mut self.run);
        for next in &mut self.run[2..] {
            value = match step < 0 {
                true => value.wrapping_sub(*next),
                false => value.wrapping_add(*next),
            };
            *next = value;
        }
        Ok(())
    }

    /// Small numbers above a base, and a list of the higher bits of those that are not small.
    fn patched(&mut self, first: u8) -> Result<()> {
        let (width, count) = self.head(first)?;
        let [third, fourth] = [self.stream.byte()?, self.stream.byte()?];
        let base_bytes = usize::from(third >> 5) + 1;
        let patch_width = width_of(third & 0x1f);
        let gap_width = usize::from(fourth >> 5) + 1;
        let patches = usize::from(fourth & 0x1f);
        let base = big_endian(self.stream.take(base_bytes)?);
        // Its highest bit is the sign.
        let sign = 1 << (base_bytes * 8 - 1);
        let base =
            if base & sign == 0 { base as i64 } else { ((base & !sign) as i64).wrapping_neg() };
        unpack(self.stream.take((width * count).div_ceil(8))?, width, count, &mut self.run);
        if gap_width + patch_width > 64 || patch_width + width > 64 {
            return Err(self.stream.wrong("holds a patch that is too wide"));
        }
        let entry = next_width(gap_width + patch_width);
        let mut list = Vec::with_capacity(patches);
        unpack(self.stream.take((entry * patches).div_ceil(8))?, entry, patches, &mut list);
        let mut at = 0_usize;
        for patch in list {
            let patch = patch as u64;
            let gap = usize::try_from(patch >> patch_width).unwrap_or(usize::MAX);
            at = at.saturating_add(gap);
            let bits = if patch_width == 64 { patch } else { patch & ((1 << patch_width) - 1) };
            let Some(value) = self.run.get_mut(at) else {
                return Err(self.stream.wrong("holds a patch for no value"));
            };
            *value |= (bits as i64).wrapping_shl(width as u32);
        }
        self.run.iter_mut().for_each(|value| *value = value.wrapping_add(base));
        Ok(())
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Appends numbers of `width` bits each, the highest bit first.
fn unpack(bytes: &[u8], width: usize, count: usize, out: &mut Vec<i64>) {
    match width {
        8 => out.extend(bytes.iter().take(count).map(|byte| i64::from(*byte))),
        16 | 24 | 32 | 40 | 48 | 56 | 64 => {
            out.extend(bytes.chunks_exact(width / 8).take(count).map(|it| big_endian(it) as i64));
        }
        // No other width is above 30 bits, so that 64 hold a byte more.
        _ => {
            let (mut held, mut have, mut bytes) = (0_u64, 0, bytes.iter());
            let mask = (1_u64 << width) - 1;
            out.extend((0..count).map(|_| {
                while have < width {
                    held = held << 8 | u64::from(bytes.next().copied().unwrap_or_default());
                    have += 8;
                }
                have -= width;
                (held >> have & mask) as i64
            }));
        }
    }
}
