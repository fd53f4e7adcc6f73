//! Snappy as Hadoop's codec lays it out: blocks of chunks, each with its length in front.

use std::io::{self, Read, Write};

/// Bytes of a block before it is packed, as Hadoop writes them.
const BLOCK_BYTES: usize = 256 << 10;
/// A longer chunk is none: no writer makes such, and its length would be taken from broken bytes.
const CHUNK_BYTES_MAX: usize = 64 << 20;

/// Unpacks.
pub(crate) struct HadoopReader<R> {
    packed: R,
    /// Unpacked bytes that the block still has behind the chunk.
    left: usize,
    chunk: Vec<u8>,
    at: usize,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> HadoopReader<R> {
    pub(crate) fn new(packed: R) -> Self {
        Self { packed, left: 0, chunk: Vec::new(), at: 0 }
    }

    /// A length; `None` where the data ends in front of it.
    fn length(&mut self) -> io::Result<Option<usize>> {
        let mut bytes = [0; 4];
        let mut have = 0;
        while have < bytes.len() {
            match self.packed.read(&mut bytes[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match u32::from_be_bytes(bytes) as usize {
            length if length <= CHUNK_BYTES_MAX => Ok(Some(length)),
            _ => Err(broken("a block is longer than any that Hadoop writes")),
        }
    }

    /// Unpacks the next chunk; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            match self.length()? {
                None => return Ok(false),
                Some(length) => self.left = length,
            }
        }
        let length = self.length()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut packed = Vec::new();
        if (&mut self.packed).take(length as u64).read_to_end(&mut packed)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let unpacked = snap::raw::decompress_len(&packed)?;
        if unpacked == 0 || unpacked > self.left {
            return Err(broken("a chunk is longer than its block"));
        }
        self.chunk = snap::raw::Decoder::new().decompress_vec(&packed)?;
        self.left -= unpacked;
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for HadoopReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.next()? {
            return Ok(0);
        }
        let rest = &self.chunk[self.at..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Packs.
pub(crate) struct HadoopWriter<W> {
    packed: W,
    block: Vec<u8>,
}

impl<W: Write> HadoopWriter<W> {
    pub(crate) fn new(packed: W) -> Self {
        Self { packed, block: Vec::new() }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let chunk = snap::raw::Encoder::new().compress_vec(&self.block)?;
        for length in [self.block.len(), chunk.len()] {
            self.packed.write_all(&(length as u32).to_be_bytes())?;
        }
        self.block.clear();
        self.packed.write_all(&chunk)
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        Ok(self.packed)
    }
}

impl<W: Write> Write for HadoopWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
