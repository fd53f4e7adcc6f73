//! Streams on their way out: bytes in blocks, bytes and bits as runs.

use crate::codec::Codec;
use crate::error::Result;

/// Bytes of a block before it is packed. Each stream holds one while a stripe is written.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// A stream of a stripe that is being written: full blocks are packed at once.
pub(crate) struct Out {
    codec: Codec,
    block: Vec<u8>,
    packed: Vec<Vec<u8>>,
    /// Of all packed blocks.
    bytes: usize,
}

impl Out {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec, block: Vec::new(), packed: Vec::new(), bytes: 0 }
    }

    pub(crate) fn push(&mut self, byte: u8) -> Result<()> {
        self.block.push(byte);
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = bytes.len().min(BLOCK_BYTES - self.block.len());
            self.block.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.block.len() >= BLOCK_BYTES {
                self.end_block()?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if !self.block.is_empty() {
            let packed = self.codec.pack(&self.block)?;
            self.bytes += packed.len();
            self.packed.push(packed);
            self.block.clear();
        }
        Ok(())
    }

    /// What it takes in memory, and will take at most in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.block.len()
    }

    /// The packed blocks; the stream is empty again.
    pub(crate) fn finish(&mut self) -> Result<Vec<Vec<u8>>> {
        self.end_block()?;
        self.bytes = 0;
        Ok(std::mem::take(&mut self.packed))
    }
}

/// Fewer equal bytes are no run.
const RUN_MIN: usize = 3;
const RUN_MAX: usize = 127 + RUN_MIN;
const LITERALS_MAX: usize = 128;

/// Writes bytes as runs.
pub(crate) struct BytesOut {
    pub(crate) out: Out,
    /// Bytes that no run was made of yet: all different, or all equal where `is_run`.
    held: Vec<u8>,
    is_run: bool,
}

impl BytesOut {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { out: Out::new(codec), held: Vec::new(), is_run: false }
    }

    pub(crate) fn push(&mut self, byte: u8) -> Result<()> {
        if self.is_run {
            if self.held[0] == byte && self.held.len() < RUN_MAX {
                self.held.push(byte);
                return Ok(());
            }
            self.flush()?;
        }
        self.held.push(byte);
        let length = self.held.len();
        if length >= RUN_MIN && self.held[length - RUN_MIN..].iter().all(|it| *it == byte) {
            self.held.truncate(length - RUN_MIN);
            self.flush()?;
            self.held.resize(RUN_MIN, byte);
            self.is_run = true;
        } else if length == LITERALS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let length = self.held.len();
        if self.is_run {
            self.out.push((length - RUN_MIN) as u8)?;
            self.out.push(self.held[0])?;
        } else if length > 0 {
            self.out.push((256 - length) as u8)?;
            self.out.write(&self.held)?;
        }
        self.held.clear();
        self.is_run = false;
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<Vec<u8>>> {
        self.flush()?;
        self.out.finish()
    }
}

/// Writes bits, the highest of a byte first.
pub(crate) struct BooleansOut {
    bytes: BytesOut,
    held: u8,
    bits: u8,
}

impl BooleansOut {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { bytes: BytesOut::new(codec), held: 0, bits: 0 }
    }

    pub(crate) fn push(&mut self, bit: bool) -> Result<()> {
        self.held = self.held << 1 | u8::from(bit);
        self.bits += 1;
        if self.bits == 8 {
            self.bytes.push(self.held)?;
            (self.held, self.bits) = (0, 0);
        }
        Ok(())
    }

    pub(crate) fn push_true(&mut self, mut count: usize) -> Result<()> {
        while count > 0 && (self.bits > 0 || count < 8) {
            self.push(true)?;
            count -= 1;
        }
        (0..count / 8).try_for_each(|_| self.bytes.push(0xff))?;
        (0..count % 8).try_for_each(|_| self.push(true))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.out.bytes()
    }

    pub(crate) fn finish(&mut self) -> Result<Vec<Vec<u8>>> {
        if self.bits > 0 {
            self.bytes.push(self.held << (8 - self.bits))?;
            (self.held, self.bits) = (0, 0);
        }
        self.bytes.finish()
    }
}
