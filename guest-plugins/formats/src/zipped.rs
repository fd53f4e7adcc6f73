//! The files in a ZIP archive, each read as a stream of its own.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::Crc;
use sdk::{Fault, Result};
use zip::{CompressionMethod, ZipArchive};

use crate::storage::{Input, Range, carried};

/// Bytes read at once.
const BLOCK_BYTES: usize = 64 << 10;

/// A file in an archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Bytes, unpacked.
    pub(crate) bytes: u64,
    start: u64,
    packed_bytes: u64,
    method: CompressionMethod,
    crc: u32,
}

fn unreadable(label: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    carried(error).unwrap_or_else(|| {
        let message = format!("\"{label}\" is no readable ZIP archive: {error}");
        Fault::data("format.corrupt", message).hint(
            "its list of files stands at its end, so that it may be cut off: copy the file again",
        )
    })
}

/// The files of an archive, without its folders.
///
/// # Errors
/// `format.corrupt`; `format.encrypted`; `format.unsupported`, for a compression other than deflate.
pub(crate) fn entries(input: &Arc<dyn Input>) -> Result<Vec<Entry>> {
    let label = input.label().to_owned();
    let reader = BufReader::with_capacity(BLOCK_BYTES, Range::all(input.clone()));
    let mut archive = ZipArchive::new(reader).map_err(|error| unreadable(&label, &error))?;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|error| unreadable(&label, &error))?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_err(|error| unreadable(&label, &error))?.into_owned();
        if file.encrypted() {
            let message = format!("\"{name}\" in \"{label}\" is encrypted");
            return Err(Fault::data("format.encrypted", message).hint("unpack it before the job"));
        }
        let method = file.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            let message = format!("\"{name}\" in \"{label}\" is compressed by {method}");
            return Err(Fault::data("format.unsupported", message)
                .hint("pack it by deflate, which all programs write"));
        }
        let start = file.data_start().ok_or_else(|| {
            unreadable(&label, &io::Error::other(format!("\"{name}\" has no place in it")))
        })?;
        entries.push(Entry {
            name,
            bytes: file.size(),
            start,
            packed_bytes: file.compressed_size(),
            method,
            crc: file.crc32(),
        });
    }
    Ok(entries)
}

impl Entry {
    pub(crate) fn open(&self, input: &Arc<dyn Input>) -> Box<dyn Read> {
        let stop = self.start.saturating_add(self.packed_bytes).min(input.len());
        let range = Range { input: input.clone(), at: self.start, stop };
        let packed = BufReader::with_capacity(BLOCK_BYTES, range);
        let unpacked: Box<dyn Read> = match self.method {
            CompressionMethod::Deflated => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
            _ => Box::new(packed),
        };
        Box::new(Checked { unpacked, sum: Crc::new(), crc: self.crc, bytes: self.bytes })
    }
}

/// Fails at the end where the bytes are not those that were packed.
struct Checked {
    unpacked: Box<dyn Read>,
    sum: Crc,
    crc: u32,
    bytes: u64,
}

impl Read for Checked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(out)?;
        self.sum.update(&out[..count]);
        let whole =
            self.sum.sum() == self.crc && u64::from(self.sum.amount()) == self.bytes & 0xffff_ffff;
        if count == 0 && !out.is_empty() && !whole {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum does not fit"));
        }
        Ok(count)
    }
}
