//! Compression of whole text files: gzip and zstd, as streams.

use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use sdk::{Fault, Result};

use crate::storage::{Input, Output, Range, carried, io_error};

/// How the bytes of a text file are packed. Parquet packs by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// Compressed bytes read at once.
const PACKED_BLOCK_BYTES: usize = 128 << 10;
/// The usual middle between speed and size.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

impl Packing {
    /// By the name's ending, else by the first bytes: neither magic begins a text in UTF-8.
    pub fn detect(input: &dyn Input) -> Result<Self> {
        if let Some(packing) = Self::by_name(input.label()) {
            return Ok(packing);
        }
        let mut magic = [0; 4];
        let count = input.read_at(0, &mut magic)?;
        Ok(match &magic[..count] {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            _ => Self::None,
        })
    }

    fn by_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What a written file's name ends with, after its format.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// The unpacked bytes of an input, from their beginning.
pub(crate) struct Unpacked {
    reader: Box<dyn Read>,
    label: String,
}

impl Unpacked {
    /// `None` where nothing is packed.
    pub(crate) fn open(input: &Arc<dyn Input>, packing: Packing) -> Result<Option<Self>> {
        let label = input.label().to_owned();
        let range = Range::all(input.clone());
        let reader: Box<dyn Read> = match packing {
            Packing::None => return Ok(None),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
                BufReader::with_capacity(PACKED_BLOCK_BYTES, range),
            )),
            Packing::Zstd => {
                let packed = BufReader::with_capacity(PACKED_BLOCK_BYTES, range);
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                Box::new(decoder.map_err(|error| corrupt(&label, &error))?)
            }
        };
        Ok(Some(Self { reader, label }))
    }

    /// Reads once; 0 at the end.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(corrupt(&self.label, &error)),
            }
        }
    }
}

fn corrupt(label: &str, error: &io::Error) -> Fault {
    carried(error).unwrap_or_else(|| {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends in the middle of its compressed data".to_owned(),
            _ => format!("holds broken compressed data: {error}"),
        };
        Fault::data("format.corrupt", format!("\"{label}\" {what}"))
            .hint("copy the file again, or set \"compress\" to what it really is")
    })
}

/// An output that packs what is written to it.
pub(crate) enum Packer {
    None(Box<dyn Output>),
    Gzip(Box<flate2::write::GzEncoder<Sink>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Sink>>),
}

/// An [`Output`] as `std::io` sees it.
pub(crate) struct Sink(pub(crate) Box<dyn Output>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io_error)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unwritable(error: io::Error) -> Fault {
    carried(&error)
        .unwrap_or_else(|| Fault::plugin("format.pack", format!("compression failed: {error}")))
}

impl Packer {
    pub(crate) fn new(output: Box<dyn Output>, packing: Packing) -> Result<Self> {
        Ok(match packing {
            Packing::None => Self::None(output),
            Packing::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(Sink(output), level)))
            }
            Packing::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Sink(output), ZSTD_LEVEL);
                let mut encoder = encoder.map_err(unwritable)?;
                // As gzip has one: a flipped bit must not pass for data.
                encoder.include_checksum(true).map_err(unwritable)?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::None(output) => output.write(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes).map_err(unwritable),
            Self::Zstd(encoder) => encoder.write_all(bytes).map_err(unwritable),
        }
    }

    /// What was written is durable on return; only for bytes that are not packed.
    pub(crate) fn sync(&mut self) -> Result<()> {
        match self {
            Self::None(output) => output.sync(),
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }

    /// Writes the end of the packed data; durable on return.
    pub(crate) fn finish(self) -> Result<()> {
        let mut output = match self {
            Self::None(output) => output,
            Self::Gzip(encoder) => encoder.finish().map_err(unwritable)?.0,
            Self::Zstd(encoder) => encoder.finish().map_err(unwritable)?.0,
        };
        output.sync()
    }
}
