//! Compression of whole text files, as streams.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

use sdk::{Fault, Result};
use zip::write::{SimpleFileOptions, StreamWriter};

use crate::charset::Charset;
use crate::hadoop::{self, HadoopReader, HadoopWriter};
use crate::storage::{Input, Output, Range, carried, io_error};
use crate::workbook::SheetText;
use crate::xml;
use crate::zipped;

/// How the bytes of a text file are packed. Formats of blocks, such as Parquet, pack by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    #[default]
    None,
    Gzip,
    Zstd,
    /// In Snappy's own frames; read, also as Hadoop writes it, or as one block without frames.
    Snappy,
    /// In the blocks of Hadoop's codec; read, as [`Self::Snappy`].
    HadoopSnappy,
    /// In frames.
    Lz4,
    Xz,
    Bzip2,
    /// An archive: each file in it is read, one is written.
    Zip,
    /// A workbook, whose sheets are read as text; see `workbook`.
    Workbook,
}

/// Compressed bytes read at once.
const PACKED_BLOCK_BYTES: usize = 128 << 10;
/// The usual middle between speed and size.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// Each level above takes twice the memory, and a guest has little.
const XZ_LEVEL: u32 = 3;
/// What the dictionary of a packed file may take; the highest level of `xz` needs half of it.
const XZ_MEMORY_KIB: u32 = 128 << 10;

const SNAPPY_MAGIC: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// The words of documents, and the endings of names; those that are written come first.
const WORDS: [(Packing, &[&str], &[&str]); 9] = [
    (Packing::None, &["none", "uncompressed"], &[]),
    (Packing::Gzip, &["gzip", "gz"], &["gz", "gzip"]),
    (Packing::Zstd, &["zstd", "zst"], &["zst", "zstd"]),
    (Packing::Snappy, &["snappy", "framing-snappy"], &["sz"]),
    (Packing::HadoopSnappy, &["hadoop-snappy"], &["snappy"]),
    (Packing::Lz4, &["lz4"], &["lz4"]),
    (Packing::Xz, &["xz"], &["xz"]),
    (Packing::Bzip2, &["bzip2", "bz2"], &["bz2", "bzip2"]),
    (Packing::Zip, &["zip"], &["zip"]),
];

impl Packing {
    /// By the word in a document, in small letters.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, words, _)| words.contains(&word)).map(|(packing, ..)| *packing)
    }

    fn row(self) -> (&'static [&'static str], &'static [&'static str]) {
        let row = WORDS.iter().find(|(packing, ..)| *packing == self);
        row.map_or((&[], &[]), |(_, words, endings)| (words, endings))
    }

    /// The word that [`Self::parse`] reads.
    pub(crate) fn word(self) -> &'static str {
        self.row().0.first().copied().unwrap_or_default()
    }

    /// What a written file's name ends with, after its format.
    pub fn suffix(self) -> String {
        self.row().1.first().map(|ending| format!(".{ending}")).unwrap_or_default()
    }

    /// By the name's ending, else by the first bytes: none of these begins a text in UTF-8.
    pub fn detect(input: &dyn Input) -> Result<Self> {
        if let Some((packing, _)) = Self::by_name(input.label()) {
            return Ok(packing);
        }
        let mut magic = [0; 10];
        let count = input.read_at(0, &mut magic)?;
        Ok(match &magic[..count] {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y'] => Self::Bzip2,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            magic if magic == SNAPPY_MAGIC => Self::Snappy,
            _ => Self::None,
        })
    }

    /// By the name's ending, whatever its case; with the name before it.
    pub fn by_name(name: &str) -> Option<(Self, &str)> {
        let (rest, ending) = name.rsplit_once('.')?;
        let is = |known: &&str| ending.eq_ignore_ascii_case(known);
        let row = WORDS.iter().find(|(_, _, endings)| endings.iter().any(is));
        row.map(|(packing, ..)| (*packing, rest))
    }
}

/// What lies around the text of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wrapping {
    pub packing: Packing,
    /// Which file of an archive, or sheet of a workbook.
    pub entry: usize,
    pub charset: Charset,
    /// Of XML: the path to the elements that are rows.
    pub rows: Option<Arc<str>>,
}

impl Wrapping {
    /// Whether the bytes of the file are those of its text, so that it can be read at any place.
    pub(crate) fn is_plain(&self) -> bool {
        self.packing == Packing::None && self.charset == Charset::Utf8 && self.rows.is_none()
    }
}

/// The text in an input, from its beginning.
pub(crate) struct Unwrapped {
    text: Box<dyn Read>,
    label: String,
}

impl Unwrapped {
    /// `None` where nothing is around the text.
    pub(crate) fn open(input: &Arc<dyn Input>, wrapping: &Wrapping) -> Result<Option<Self>> {
        if wrapping.is_plain() {
            return Ok(None);
        }
        let label = input.label().to_owned();
        let unpacked = unpacked(input, wrapping)?;
        let unpacked = Box::new(Told { unpacked, label: label.clone(), bytes: 0 });
        let text = wrapping.charset.decoded(unpacked);
        let text: Box<dyn Read> = match &wrapping.rows {
            Some(path) => Box::new(xml::Rows::new(BufReader::new(text), path, &label)),
            None => text,
        };
        Ok(Some(Self { text, label }))
    }

    /// Reads once; 0 at the end.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.text.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(corrupt(&self.label, 0, &error)),
            }
        }
    }
}

fn unpacked(input: &Arc<dyn Input>, wrapping: &Wrapping) -> Result<Box<dyn Read>> {
    let mut packed = BufReader::with_capacity(PACKED_BLOCK_BYTES, Range::all(input.clone()));
    let label = input.label();
    Ok(match wrapping.packing {
        Packing::None => Box::new(packed),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed);
            Box::new(decoder.map_err(|error| corrupt(label, 0, &error))?)
        }
        Packing::Snappy | Packing::HadoopSnappy => {
            let first = packed.fill_buf().map_err(|error| corrupt(label, 0, &error))?;
            match first {
                _ if first.starts_with(SNAPPY_MAGIC) => {
                    Box::new(snap::read::FrameDecoder::new(packed))
                }
                _ if hadoop::is_one_block(first) => {
                    let text = hadoop::unpack_one_block(packed);
                    Box::new(text.map_err(|error| corrupt(label, 0, &error))?)
                }
                _ => Box::new(HadoopReader::new(packed)),
            }
        }
        Packing::Lz4 => Box::new(Frames(lz4_flex::frame::FrameDecoder::new(packed))),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Packing::Zip => match zipped::entries(input)?.get(wrapping.entry) {
            Some(entry) => entry.open(input),
            None => Box::new(io::empty()),
        },
        Packing::Workbook => Box::new(SheetText::open(input, wrapping.entry)?),
    })
}

/// One frame of LZ4 after the other: the library ends behind each.
struct Frames<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(out)?;
            if count > 0 || self.0.get_mut().fill_buf()?.is_empty() {
                return Ok(count);
            }
        }
    }
}

/// Says where data is broken.
struct Told {
    unpacked: Box<dyn Read>,
    label: String,
    bytes: u64,
}

impl Read for Told {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.unpacked.read(out) {
            Ok(count) => {
                self.bytes += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(io_error(corrupt(&self.label, self.bytes, &error))),
        }
    }
}

fn corrupt(label: &str, behind: u64, error: &io::Error) -> Fault {
    carried(error).unwrap_or_else(|| {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends in the middle of its compressed data".to_owned(),
            _ => format!("holds broken compressed data: {error}"),
        };
        let message = format!("\"{label}\" {what}; {behind} bytes could be unpacked");
        Fault::data("format.corrupt", message)
            .hint("copy the file again, or set \"compress\" to what it really is")
    })
}

/// An output that packs what is written to it.
pub(crate) enum Packer {
    None(Box<dyn Output>),
    Gzip(Box<flate2::write::GzEncoder<Sink>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Sink>>),
    Snappy(Box<snap::write::FrameEncoder<Sink>>),
    HadoopSnappy(HadoopWriter<Sink>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Sink>>),
    Xz(Box<lzma_rust2::XzWriter<Sink>>),
    Bzip2(Box<bzip2::write::BzEncoder<Sink>>),
    Zip(Box<zip::ZipWriter<StreamWriter<Sink>>>),
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
    /// `name` is that of the file in an archive.
    pub(crate) fn new(output: Box<dyn Output>, packing: Packing, name: &str) -> Result<Self> {
        let sink = Sink(output);
        Ok(match packing {
            Packing::None => Self::None(sink.0),
            Packing::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(sink, level)))
            }
            Packing::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL);
                let mut encoder = encoder.map_err(unwritable)?;
                // As gzip has one: a flipped bit must not pass for data.
                encoder.include_checksum(true).map_err(unwritable)?;
                Self::Zstd(Box::new(encoder))
            }
            Packing::Snappy => Self::Snappy(Box::new(snap::write::FrameEncoder::new(sink))),
            Packing::HadoopSnappy => Self::HadoopSnappy(HadoopWriter::new(sink)),
            Packing::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max256KB)
                    .content_checksum(true);
                Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::with_frame_info(info, sink)))
            }
            Packing::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(XZ_LEVEL);
                let writer = lzma_rust2::XzWriter::new(sink, options).map_err(unwritable)?;
                Self::Xz(Box::new(writer))
            }
            Packing::Bzip2 => {
                // As the program of that name does.
                let level = bzip2::Compression::best();
                Self::Bzip2(Box::new(bzip2::write::BzEncoder::new(sink, level)))
            }
            Packing::Workbook => return Err(unwritable(io::ErrorKind::Unsupported.into())),
            Packing::Zip => {
                let mut writer = zip::ZipWriter::new_stream(sink);
                // How long the file becomes is not known before.
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated)
                    .large_file(true);
                writer.start_file(name, options).map_err(|error| unwritable(error.into()))?;
                Self::Zip(Box::new(writer))
            }
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::None(output) => return output.write(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Snappy(encoder) => encoder.write_all(bytes),
            Self::HadoopSnappy(writer) => writer.write_all(bytes),
            Self::Lz4(encoder) => encoder.write_all(bytes),
            Self::Xz(writer) => writer.write_all(bytes),
            Self::Bzip2(encoder) => encoder.write_all(bytes),
            Self::Zip(writer) => writer.write_all(bytes),
        }
        .map_err(unwritable)
    }

    /// What was written is durable on return; only where nothing is packed.
    pub(crate) fn sync(&mut self) -> Result<()> {
        match self {
            Self::None(output) => output.sync(),
            _ => Ok(()),
        }
    }

    /// Writes the end of the packed data; durable on return.
    pub(crate) fn finish(self) -> Result<()> {
        let sink = match self {
            Self::None(output) => Ok(Sink(output)),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Snappy(encoder) => encoder.into_inner().map_err(|error| error.into_error()),
            Self::HadoopSnappy(writer) => writer.finish(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::from),
            Self::Xz(writer) => writer.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Zip(writer) => {
                writer.finish().map(StreamWriter::into_inner).map_err(io::Error::from)
            }
        };
        sink.map_err(unwritable)?.0.sync()
    }
}
