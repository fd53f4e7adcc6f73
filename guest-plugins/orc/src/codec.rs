//! Compression: each block stands behind three bytes with its length, and whether it is stored as it was.

use std::io::Read;

use crate::error::{Error, Result};

/// How the blocks of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None,
    Zlib,
    Snappy,
    Lz4,
    Zstd,
}

/// Bytes in front of a block.
pub(crate) const HEAD_BYTES: usize = 3;
/// Larger blocks are none that a writer makes: their length does not fit in front of them.
pub(crate) const BLOCK_BYTES_MAX: usize = 1 << 23;
/// The usual middle between speed and size.
const ZSTD_LEVEL: i32 = 3;

impl Codec {
    pub(crate) fn parse(number: u64) -> Result<Self> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Zlib,
            2 => Self::Snappy,
            3 => return Err(Error::Unsupported("it is compressed with LZO".into())),
            4 => Self::Lz4,
            5 => Self::Zstd,
            6 => return Err(Error::Unsupported("it is compressed with Brotli".into())),
            other => {
                return Err(Error::Unsupported(format!(
                    "it is compressed in a way of the number {other}"
                )));
            }
        })
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Zlib => 1,
            Self::Snappy => 2,
            Self::Lz4 => 4,
            Self::Zstd => 5,
        }
    }

    /// Appends what is in a block, which is no longer than `most`.
    pub(crate) fn unpack(self, packed: &[u8], most: usize, out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        let broken = |error: &dyn std::fmt::Display| {
            Error::corrupt(format!("a compressed block is broken: {error}"))
        };
        let too_long = || Error::corrupt("a compressed block is longer than the file says");
        match self {
            Self::None => out.extend_from_slice(packed),
            Self::Zlib => {
                let limit = most as u64 + 1;
                flate2::read::DeflateDecoder::new(packed)
                    .take(limit)
                    .read_to_end(out)
                    .map_err(|error| broken(&error))?;
            }
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                decoder
                    .and_then(|decoder| decoder.take(most as u64 + 1).read_to_end(out))
                    .map_err(|error| broken(&error))?;
            }
            Self::Snappy => {
                let length = snap::raw::decompress_len(packed).map_err(|error| broken(&error))?;
                if length > most {
                    return Err(too_long());
                }
                out.resize(begin + length, 0);
                let count = snap::raw::Decoder::new().decompress(packed, &mut out[begin..]);
                count.map_err(|error| broken(&error))?;
            }
            Self::Lz4 => {
                // A byte of LZ4 makes no more than 255.
                let most = most.min(packed.len().saturating_mul(255));
                out.resize(begin + most, 0);
                let count = lz4_flex::block::decompress_into(packed, &mut out[begin..]);
                out.truncate(begin + count.map_err(|error| broken(&error))?);
            }
        }
        if out.len() - begin > most { Err(too_long()) } else { Ok(()) }
    }

    /// A block with its head, compressed where that makes it shorter.
    pub(crate) fn pack(self, block: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Io(std::io::Error::other(format!("a block can't be compressed: {error}")))
        };
        let packed = match self {
            Self::None => return Ok(block.to_vec()),
            Self::Zlib => {
                let mut packed = Vec::new();
                flate2::read::DeflateEncoder::new(block, flate2::Compression::default())
                    .read_to_end(&mut packed)
                    .map_err(|error| failed(&error))?;
                packed
            }
            Self::Snappy => {
                snap::raw::Encoder::new().compress_vec(block).map_err(|error| failed(&error))?
            }
            Self::Lz4 => lz4_flex::block::compress(block),
            Self::Zstd => {
                zstd::bulk::compress(block, ZSTD_LEVEL).map_err(|error| failed(&error))?
            }
        };
        let (body, is_original) = match packed.len() < block.len() {
            true => (packed.as_slice(), 0),
            false => (block, 1),
        };
        let head = (body.len() as u32) << 1 | is_original;
        let mut out = Vec::with_capacity(HEAD_BYTES + body.len());
        out.extend_from_slice(&head.to_le_bytes()[..HEAD_BYTES]);
        out.extend_from_slice(body);
        Ok(out)
    }
}

/// What a block's head says: its length, and whether it is stored as it was.
pub(crate) fn head(bytes: [u8; HEAD_BYTES]) -> (usize, bool) {
    let head = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    ((head >> 1) as usize, head & 1 == 1)
}
