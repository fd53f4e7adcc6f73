//! Snappy as Hadoop's codec lays it out: blocks of chunks, each with its length in front; and as one block
//! without anything around it.

use std::io::{self, Cursor, Read, Write};

/// Bytes of a block before it is packed, as Hadoop writes them.
const BLOCK_BYTES: usize = 256 << 10;
/// A longer chunk is none: no writer makes such, and its length would be taken from broken bytes.
const CHUNK_BYTES_MAX: usize = 64 << 20;

/// A file that is one block is held whole, packed and unpacked.
const ONE_BLOCK_BYTES_MAX: usize = 64 << 20;

/// Whether a file is one block without frames, by its first bytes: the first is the length of what is packed,
/// or its last seven bits and 128, while Hadoop writes 0 to 3 there. A shorter length than 4 makes a shorter
/// file than Hadoop's, whose shortest is a length of 0.
pub(crate) fn is_one_block(first: &[u8]) -> bool {
    match first {
        [] | [0, 0, 0, 0] => false,
        [byte, ..] => first.len() < 8 || *byte >= (CHUNK_BYTES_MAX >> 24) as u8,
    }
}

/// What is in a file that is one block.
pub(crate) fn unpack_one_block(packed: impl Read) -> io::Result<Cursor<Vec<u8>>> {
    let mut bytes = Vec::new();
    packed.take(ONE_BLOCK_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let unpacked = snap::raw::decompress_len(&bytes)?;
    if bytes.len() > ONE_BLOCK_BYTES_MAX || unpacked > ONE_BLOCK_BYTES_MAX {
        return Err(broken(
            "one block of snappy is more than 64 MiB: unpack the file, or pack it in frames",
        ));
    }
    Ok(Cursor::new(snap::raw::Decoder::new().decompress_vec(&bytes)?))
}

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
