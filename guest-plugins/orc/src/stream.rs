//! One stream of a stripe, a block at a time.

use std::io;
use std::sync::Arc;

use crate::codec::{self, BLOCK_BYTES_MAX, Codec, HEAD_BYTES};
use crate::error::{Error, Result};

/// The bytes of a file.
pub trait Source: Send + Sync {
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills the front of `buffer` with what stands at `offset` and answers how much; 0 at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// How all parts of a file are packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    pub(crate) codec: Codec,
    /// No block is longer when it is unpacked.
    pub(crate) block_bytes: usize,
}

impl Packed {
    pub(crate) fn new(codec: Codec, block_size: u64) -> Result<Self> {
        let block_bytes = usize::try_from(block_size).unwrap_or(usize::MAX);
        if codec != Codec::None && block_bytes > BLOCK_BYTES_MAX {
            return Err(Error::corrupt(format!("its blocks are of {block_size} bytes")));
        }
        Ok(Self { codec, block_bytes })
    }
}

/// A part of a file, unpacked.
pub(crate) struct Stream {
    source: Arc<dyn Source>,
    packed: Packed,
    /// Of the whole stream, for messages.
    begin: u64,
    /// Of the next byte that was not read from the source.
    next: u64,
    end: u64,
    /// As in the file; what was unpacked is gone.
    raw: Vec<u8>,
    /// Unpacked bytes, of which those before `at` were taken.
    ready: Vec<u8>,
    at: usize,
}

impl Stream {
    pub(crate) fn new(source: Arc<dyn Source>, packed: Packed, begin: u64, end: u64) -> Self {
        let (raw, ready) = (Vec::new(), Vec::new());
        Self { source, packed, begin, next: begin, end, raw, ready, at: 0 }
    }

    /// One that a stripe lacks.
    pub(crate) fn none(source: Arc<dyn Source>, packed: Packed, at: u64) -> Self {
        Self::new(source, packed, at, at)
    }

    fn broken(&self, what: &str) -> Error {
        Error::corrupt(format!("the stream at byte {} {what}", self.begin))
    }

    /// Reads on until `count` raw bytes are there, or the end.
    fn fill_raw(&mut self, count: usize) -> Result<()> {
        while self.raw.len() < count {
            let left = self.end - self.next;
            let missing = (count - self.raw.len()).max(READ_BYTES);
            // A claimed length takes memory only as far as bytes are there.
            let wanted = (left.min(missing as u64) as usize).min(1 << 20);
            if wanted == 0 {
                return Ok(());
            }
            let have = self.raw.len();
            self.raw.resize(have + wanted, 0);
            let read = self.source.read_at(self.next, &mut self.raw[have..]);
            let read = read.inspect_err(|_| self.raw.truncate(have))?;
            self.raw.truncate(have + read);
            self.next += read as u64;
            if read == 0 {
                return Err(self.broken("ends behind the file"));
            }
        }
        Ok(())
    }

    /// Unpacks the next block; `false` at the end.
    fn fill(&mut self) -> Result<bool> {
        if self.at > 0 {
            self.ready.drain(..self.at);
            self.at = 0;
        }
        if self.packed.codec == Codec::None {
            self.fill_raw(1)?;
            self.ready.append(&mut self.raw);
            return Ok(!self.ready.is_empty());
        }
        self.fill_raw(HEAD_BYTES)?;
        let Some(head) = self.raw.first_chunk::<HEAD_BYTES>() else {
            return match self.raw.is_empty() {
                true => Ok(false),
                false => Err(self.broken("is cut off")),
            };
        };
        let (length, is_original) = codec::head(*head);
        let whole = HEAD_BYTES + length;
        self.fill_raw(whole)?;
        let Some(block) = self.raw.get(HEAD_BYTES..whole) else {
            return Err(self.broken("is cut off"));
        };
        let codec = if is_original { Codec::None } else { self.packed.codec };
        let unpacked = codec.unpack(block, self.packed.block_bytes, &mut self.ready);
        unpacked.map_err(|error| error.at(format_args!("the stream at byte {}", self.begin)))?;
        self.raw.drain(..whole);
        Ok(true)
    }

    /// Unpacks until `count` bytes are ready; `false` where the stream ends before.
    fn has(&mut self, count: usize) -> Result<bool> {
        while self.ready.len() - self.at < count {
            let before = self.ready.len() - self.at;
            if !self.fill()? || (self.ready.len() == before && self.is_over()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        self.next == self.end && self.raw.is_empty()
    }

    fn need(&mut self, count: usize) -> Result<()> {
        match self.has(count)? {
            true => Ok(()),
            false => Err(self.broken("has fewer values than rows")),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        if self.at == self.ready.len() {
            self.need(1)?;
        }
        let byte = self.ready[self.at];
        self.at += 1;
        Ok(byte)
    }

    /// The next bytes, a few.
    pub(crate) fn take(&mut self, count: usize) -> Result<&[u8]> {
        self.need(count)?;
        let at = self.at;
        self.at += count;
        Ok(&self.ready[at..self.at])
    }

    /// Appends the next bytes, any number.
    pub(crate) fn append(&mut self, mut count: usize, out: &mut Vec<u8>) -> Result<()> {
        while count > 0 {
            self.need(1)?;
            let taken = count.min(self.ready.len() - self.at);
            out.extend_from_slice(&self.ready[self.at..self.at + taken]);
            self.at += taken;
            count -= taken;
        }
        Ok(())
    }

    /// Everything that is left, where it is no more than `most`.
    pub(crate) fn rest(mut self, most: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.has(1)? {
            out.extend_from_slice(&self.ready[self.at..]);
            self.at = self.ready.len();
            if out.len() > most {
                return Err(self.broken("is longer than any that describes a file"));
            }
        }
        Ok(out)
    }

    /// A number of seven bits a byte, as far as 64 bits hold it.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.broken("holds a number that is too long"))
    }

    /// The same, as far as 128 bits hold it.
    pub(crate) fn wide_varint(&mut self) -> Result<u128> {
        let mut value = 0;
        for shift in (0..133).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if shift == 126 && bits > 3 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.broken("holds a number that is too long"))
    }

    pub(crate) fn wrong(&self, what: &str) -> Error {
        self.broken(what)
    }
}
