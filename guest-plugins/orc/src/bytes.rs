//! Bytes as runs, and the bits in them.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use crate::error::Result;
use crate::stream::Stream;

/// Reads a stream of bytes.
pub(crate) struct Bytes {
    stream: Stream,
    /// Bytes of the run that are left.
    left: usize,
    /// The byte that is repeated; `None`: each stands for itself.
    repeated: Option<u8>,
}

impl Bytes {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, left: 0, repeated: None }
    }

    pub(crate) fn read(&mut self, mut count: usize, out: &mut Vec<u8>) -> Result<()> {
        while count > 0 {
            if self.left == 0 {
                let control = self.stream.byte()?;
                (self.left, self.repeated) = match control {
                    0..0x80 => (usize::from(control) + 3, Some(self.stream.byte()?)),
                    _ => (256 - usize::from(control), None),
                };
            }
            let taken = count.min(self.left);
            match self.repeated {
                Some(byte) => out.resize(out.len() + taken, byte),
                None => self.stream.append(taken, out)?,
            }
            self.left -= taken;
            count -= taken;
        }
        Ok(())
    }
}

/// Reads a stream of bits, the highest of a byte first.
pub(crate) struct Booleans {
    bytes: Bytes,
    /// The byte whose lowest bits are left.
    held: u8,
    bits: usize,
}

impl Booleans {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { bytes: Bytes::new(stream), held: 0, bits: 0 }
    }

    pub(crate) fn read(&mut self, count: usize) -> Result<BooleanBuffer> {
        let mut out = BooleanBufferBuilder::new(count);
        let first = count.min(self.bits);
        self.push(first, &mut out);
        let left = count - first;
        let mut bytes = Vec::new();
        self.bytes.read(left.div_ceil(8), &mut bytes)?;
        for byte in &mut bytes {
            *byte = byte.reverse_bits();
        }
        out.append_packed_range(0..left, &bytes);
        if let Some(last) = bytes.last() {
            self.held = last.reverse_bits();
            self.bits = bytes.len() * 8 - left;
        }
        Ok(out.finish())
    }

    /// Moves bits that are held.
    fn push(&mut self, count: usize, out: &mut BooleanBufferBuilder) {
        for _ in 0..count {
            self.bits -= 1;
            out.append(self.held >> self.bits & 1 == 1);
        }
    }
}
