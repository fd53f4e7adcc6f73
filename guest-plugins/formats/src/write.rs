//! Writing a file of any format from batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_ipc::CompressionType;
use arrow_schema::SchemaRef;
use codec::ParquetStyle;
use codec::print::Printer;
use codec::rows::{CsvStyle, TextRows};
use sdk::codec::{self as codecs, Refused};
use sdk::{Fault, Result};

use crate::avro::AvroEncoder;
use crate::charset::Charset;
use crate::ipc::IpcEncoder;
use crate::orc_write::OrcEncoder;
use crate::pack::{Packer, Packing, Wrapping};
use crate::parquet_write::ParquetEncoder;
use crate::storage::Output;
use crate::text::not_text;
use crate::workbook::WorkbookEncoder;

/// How files are written.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteFormat {
    /// Delimited text.
    Csv(CsvStyle, Wrapping),
    /// JSON lines.
    Json(Wrapping),
    Parquet(ParquetStyle),
    Avro(Option<CompressionCodec>),
    Orc(orc::Options),
    /// Arrow IPC, a file or a stream.
    Arrow {
        is_stream: bool,
        compression: Option<CompressionType>,
    },
    /// A workbook with one sheet; the names of the columns in its first row.
    Excel(Option<Vec<String>>),
}

/// Text is handed on in pieces of this size.
const TEXT_BLOCK_BYTES: usize = 256 << 10;

/// Writes one file.
pub struct Encoder {
    inner: Inner,
    bytes: Arc<AtomicU64>,
}

enum Inner {
    Text(Box<TextEncoder>),
    Parquet(Box<ParquetEncoder>),
    Avro(Box<AvroEncoder>),
    Arrow(Box<IpcEncoder>),
    Orc(Box<OrcEncoder>),
    Excel(Box<WorkbookEncoder>),
}

impl WriteFormat {
    /// Whether what is written so far can be made durable while the file goes on.
    pub fn grows(&self) -> bool {
        match self {
            Self::Csv(_, wrapping) | Self::Json(wrapping) => wrapping.packing == Packing::None,
            Self::Arrow { is_stream, .. } => *is_stream,
            Self::Parquet(_) | Self::Avro(_) | Self::Orc(_) | Self::Excel(_) => false,
        }
    }

    /// What a file's name ends with, without the first point, where the job does not say.
    pub fn suffix(&self) -> String {
        match self {
            Self::Csv(_, wrapping) | Self::Json(wrapping) => {
                format!("{}{}", self.ending(), wrapping.packing.suffix())
            }
            _ => self.ending().to_owned(),
        }
    }

    /// The ending of the format alone.
    fn ending(&self) -> &'static str {
        match self {
            Self::Csv(style, _) if style.quote.is_none() => "txt",
            Self::Csv(..) => "csv",
            Self::Json(_) => "jsonl",
            Self::Parquet(_) => "parquet",
            Self::Avro(_) => "avro",
            Self::Orc(_) => "orc",
            Self::Arrow { is_stream: false, .. } => "arrow",
            Self::Arrow { is_stream: true, .. } => "arrows",
            Self::Excel(_) => "xlsx",
        }
    }

    /// Begins a file with rows of `schema`.
    ///
    /// # Errors
    /// `format.type`, for a type that the format can't hold; faults of the output.
    pub fn encoder(&self, output: Box<dyn Output>, schema: &SchemaRef) -> Result<Encoder> {
        let bytes = Arc::new(AtomicU64::new(0));
        let output = Box::new(Counted { output, bytes: bytes.clone() });
        let inner = match self {
            Self::Csv(..) | Self::Json(_) => {
                Inner::Text(Box::new(self.text_encoder(output, schema)?))
            }
            Self::Parquet(style) => {
                Inner::Parquet(Box::new(ParquetEncoder::new(output, schema, *style)?))
            }
            Self::Avro(codec) => Inner::Avro(Box::new(AvroEncoder::new(output, schema, *codec)?)),
            Self::Orc(options) => Inner::Orc(Box::new(OrcEncoder::new(output, schema, *options)?)),
            Self::Arrow { is_stream, compression } => {
                let encoder = IpcEncoder::new(output, schema, *is_stream, *compression)?;
                Inner::Arrow(Box::new(encoder))
            }
            Self::Excel(header) => {
                let encoder = WorkbookEncoder::new(output, schema, header.as_deref())?;
                Inner::Excel(Box::new(encoder))
            }
        };
        Ok(Encoder { inner, bytes })
    }

    /// As [`Self::encoder`], for a plug-in that writes text alone and is spared the code of all else.
    ///
    /// # Errors
    /// As [`Self::encoder`]; `format.not_text`.
    pub fn text_encoder(&self, output: Box<dyn Output>, schema: &SchemaRef) -> Result<TextEncoder> {
        match self {
            Self::Csv(style, wrapping) => {
                let packer = self.packer(output, wrapping)?;
                TextEncoder::csv(packer, wrapping.charset, style, schema)
            }
            Self::Json(wrapping) => {
                let packer = self.packer(output, wrapping)?;
                TextEncoder::json(packer, wrapping.charset, schema)
            }
            _ => Err(not_text()),
        }
    }

    fn packer(&self, output: Box<dyn Output>, wrapping: &Wrapping) -> Result<Packer> {
        Packer::new(output, wrapping.packing, &format!("rows.{}", self.ending()))
    }
}

impl Encoder {
    /// Rows that the file still takes.
    pub fn room(&self) -> usize {
        match &self.inner {
            Inner::Excel(excel) => excel.room(),
            _ => usize::MAX,
        }
    }

    /// Takes the rows of a batch, but for those it answers. There are no more than it has room for.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Refused>> {
        match &mut self.inner {
            Inner::Text(text) => text.write(batch),
            Inner::Parquet(parquet) => parquet.write(batch).map(|()| Vec::new()),
            Inner::Avro(avro) => avro.write(batch).map(|()| Vec::new()),
            Inner::Arrow(arrow) => arrow.write(batch).map(|()| Vec::new()),
            Inner::Orc(orc) => orc.write(batch),
            Inner::Excel(excel) => excel.write(batch),
        }
    }

    /// Everything taken so far is durable on return, and [`Self::bytes`] is its length; only where the
    /// format [`WriteFormat::grows`].
    pub fn sync(&mut self) -> Result<()> {
        match &mut self.inner {
            Inner::Text(text) => {
                text.flush()?;
                text.packer.sync()
            }
            Inner::Arrow(arrow) => arrow.sync(),
            Inner::Parquet(_) | Inner::Avro(_) | Inner::Orc(_) | Inner::Excel(_) => Ok(()),
        }
    }

    /// Bytes handed to the output so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// About how long the file would be if it ended now.
    pub fn bytes_estimate(&self) -> u64 {
        self.bytes()
            + match &self.inner {
                Inner::Text(text) => text.buffer.len() as u64,
                Inner::Parquet(parquet) => parquet.in_progress(),
                Inner::Orc(orc) => orc.in_progress(),
                Inner::Excel(excel) => excel.bytes(),
                Inner::Avro(_) | Inner::Arrow(_) => 0,
            }
    }

    /// Ends the file; durable on return. Answers its length in bytes.
    pub fn finish(self) -> Result<u64> {
        match self.inner {
            Inner::Text(text) => text.finish()?,
            Inner::Parquet(parquet) => parquet.finish()?,
            Inner::Avro(avro) => avro.finish()?,
            Inner::Arrow(arrow) => arrow.finish()?,
            Inner::Orc(orc) => orc.finish()?,
            Inner::Excel(excel) => excel.finish()?,
        }
        Ok(self.bytes.load(Ordering::Relaxed))
    }
}

/// Counts what passes.
struct Counted {
    output: Box<dyn Output>,
    bytes: Arc<AtomicU64>,
}

impl Output for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write(bytes)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.output.sync()
    }
}

/// Writes a file of text.
pub struct TextEncoder {
    packer: Packer,
    buffer: Vec<u8>,
    rows: Rows,
}

/// Who makes records of rows.
enum Rows {
    /// A codec, in UTF-8.
    Codec(codecs::Encoder),
    /// Here, where each record is put into another encoding at once.
    Encoded(TextRows, Charset),
}

impl TextEncoder {
    fn csv(packer: Packer, charset: Charset, style: &CsvStyle, schema: &SchemaRef) -> Result<Self> {
        let buffer = header(charset, style)?;
        let rows = match charset {
            Charset::Utf8 => Rows::Codec(codecs::Encoder::open("csv", style, schema)?),
            _ => Rows::Encoded(TextRows::csv(style.clone(), schema)?, charset),
        };
        Ok(Self { packer, buffer, rows })
    }

    fn json(packer: Packer, charset: Charset, schema: &SchemaRef) -> Result<Self> {
        let rows = match charset {
            Charset::Utf8 => Rows::Codec(codecs::Encoder::open("jsonl", &(), schema)?),
            _ => Rows::Encoded(TextRows::json(schema)?, charset),
        };
        Ok(Self { packer, buffer: charset.mark(), rows })
    }

    /// As [`Encoder::write`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Refused>> {
        let refused = match &mut self.rows {
            Rows::Codec(encoder) => {
                let encoded = encoder.encode(batch)?;
                self.buffer.extend_from_slice(&encoded.bytes);
                encoded.refused
            }
            Rows::Encoded(rows, charset) => encoded(rows, *charset, batch, &mut self.buffer)?,
        };
        if self.buffer.len() >= TEXT_BLOCK_BYTES {
            self.flush()?;
        }
        Ok(refused)
    }

    /// Ends the file; durable on return.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.packer.finish()
    }

    fn flush(&mut self) -> Result<()> {
        self.packer.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// What stands before the records: a mark of the encoding, the names of the columns.
fn header(charset: Charset, style: &CsvStyle) -> Result<Vec<u8>> {
    let mut header = Vec::new();
    for (at, name) in style.header.iter().flatten().enumerate() {
        if at > 0 {
            header.push(style.delimiter);
        }
        let from = header.len();
        header.extend_from_slice(name.as_bytes());
        let framed = style.frame(from, &mut header);
        framed.and_then(|()| charset.encode(name.as_bytes(), &mut Vec::new())).map_err(
            |reason| Fault::user("format.header", format!("the name \"{name}\" {reason}")),
        )?;
    }
    if style.header.is_some() {
        header.extend_from_slice(&style.line_end);
    }
    let mut buffer = charset.mark();
    charset
        .encode(&header, &mut buffer)
        .map_err(|reason| Fault::user("format.header", format!("the header {reason}")))?;
    Ok(buffer)
}

/// Appends records in another encoding than UTF-8, but for those that it lacks a character for.
fn encoded(
    rows: &TextRows,
    charset: Charset,
    batch: &RecordBatch,
    out: &mut Vec<u8>,
) -> Result<Vec<Refused>> {
    Ok(rows.write(batch, out, |printers, row, from, out| {
        let record = out.split_off(from);
        let lacks = |printer: &Printer<'_>| {
            let mut text = Vec::new();
            printer.push(row, &mut text);
            charset.encode(&text, &mut Vec::new()).is_err()
        };
        charset
            .encode(&record, out)
            .map_err(|reason| (printers.iter().position(lacks).unwrap_or(0), reason))
    })?)
}
