//! Bytes that are ready, in parts: a row group is not copied whole when it is handed on.

use std::collections::VecDeque;
use std::io::{self, Write};

/// Bytes of a part.
pub(crate) const PART_BYTES: usize = 1 << 20;

/// What was written and not taken yet.
#[derive(Default)]
pub(crate) struct Parts {
    parts: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Parts {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends whole parts to `out`, until they are at least `wanted` bytes or there are none.
    pub(crate) fn take(&mut self, wanted: usize, out: &mut Vec<u8>) {
        let mut taken = 0;
        while taken < wanted
            && let Some(mut part) = self.parts.pop_front()
        {
            taken += part.len();
            match out.is_empty() {
                true => *out = part,
                false => out.append(&mut part),
            }
        }
        self.bytes -= taken;
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = |part: &Vec<u8>| PART_BYTES - part.len();
        if self.parts.back().map_or(0, room) == 0 {
            self.parts.push_back(Vec::with_capacity(PART_BYTES));
        }
        let Some(last) = self.parts.back_mut() else { return Ok(0) };
        let taken = bytes.len().min(room(last));
        last.extend_from_slice(&bytes[..taken]);
        self.bytes += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_in_order_in_parts() {
        let bytes: Vec<u8> = (0..3 * PART_BYTES + 5).map(|at| (at * 7 + at / 256) as u8).collect();
        let mut parts = Parts::default();
        bytes.chunks(999_983).for_each(|chunk| parts.write_all(chunk).unwrap());
        assert_eq!(parts.bytes(), bytes.len());
        let mut out = Vec::new();
        parts.take(1, &mut out);
        assert_eq!((out.len(), parts.bytes()), (PART_BYTES, bytes.len() - PART_BYTES));
        parts.take(PART_BYTES + 1, &mut out);
        assert_eq!(out.len(), 3 * PART_BYTES);
        parts.write_all(b"end").unwrap();
        parts.take(usize::MAX, &mut out);
        assert!(out == [&bytes[..], b"end"].concat());
        assert_eq!(parts.bytes(), 0);
    }
}
