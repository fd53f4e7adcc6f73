//! Writing a file of any format from batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_ipc::CompressionType;
use arrow_schema::{Field, SchemaRef};
use sdk::Result;

use crate::avro::AvroEncoder;
use crate::charset::Charset;
use crate::fixed;
use crate::ipc::IpcEncoder;
use crate::orc_write::OrcEncoder;
use crate::pack::{Packer, Packing, Wrapping};
use crate::parquet_write::{ParquetEncoder, ParquetStyle};
use crate::print::{Printer, Shape, Style, json_name};
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

/// How delimited text is written.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvStyle {
    pub delimiter: u8,
    /// `None`: a value that would need quotes is refused.
    pub quote: Option<u8>,
    /// Stands before a quote in quotes; else a quote is doubled.
    pub escape: Option<u8>,
    pub line_end: Vec<u8>,
    /// Written for NULL, unquoted.
    pub null: Vec<u8>,
    /// Names of the columns in the first record.
    pub header: Option<Vec<String>>,
    pub style: Style,
    /// Characters of each column, with blanks around its values and no delimiters.
    pub widths: Option<Vec<usize>>,
}

/// A row that was not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub row: u32,
    pub column: u32,
    pub code: &'static str,
    pub message: String,
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
                TextEncoder::csv(packer, wrapping.charset, style.clone(), schema)
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
    charset: Charset,
    buffer: Vec<u8>,
    schema: SchemaRef,
    frame: Frame,
}

enum Frame {
    Csv(CsvStyle),
    /// The text before each member's value.
    Json {
        names: Vec<Vec<u8>>,
        style: Style,
    },
}

impl TextEncoder {
    fn csv(packer: Packer, charset: Charset, style: CsvStyle, schema: &SchemaRef) -> Result<Self> {
        let mut header = Vec::new();
        for (at, name) in style.header.iter().flatten().enumerate() {
            if at > 0 {
                header.push(style.delimiter);
            }
            let from = header.len();
            header.extend_from_slice(name.as_bytes());
            let framed = style.frame(from, &mut header);
            framed.and_then(|()| charset.encode(name.as_bytes(), &mut Vec::new())).map_err(
                |reason| sdk::Fault::user("format.header", format!("the name \"{name}\" {reason}")),
            )?;
        }
        if style.header.is_some() {
            header.extend_from_slice(&style.line_end);
        }
        let mut buffer = charset.mark();
        charset
            .encode(&header, &mut buffer)
            .map_err(|reason| sdk::Fault::user("format.header", format!("the header {reason}")))?;
        let frame = Frame::Csv(style);
        let encoder = Self { packer, charset, buffer, schema: schema.clone(), frame };
        encoder.check()?;
        Ok(encoder)
    }

    fn json(packer: Packer, charset: Charset, schema: &SchemaRef) -> Result<Self> {
        let name = |(at, field): (usize, &Arc<Field>)| {
            let mut name = vec![if at == 0 { b'{' } else { b',' }];
            name.extend(json_name(field.name()));
            name.push(b':');
            name
        };
        let names = schema.fields().iter().enumerate().map(name).collect();
        let style = Style { separator: b'T', date: None };
        let frame = Frame::Json { names, style };
        let schema = schema.clone();
        let encoder = Self { packer, charset, buffer: charset.mark(), schema, frame };
        encoder.check()?;
        Ok(encoder)
    }

    /// Each column has a text.
    fn check(&self) -> Result<()> {
        let empty = RecordBatch::new_empty(self.schema.clone());
        self.printers(&empty).map(drop)
    }

    fn printers<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Printer<'a>>> {
        let style = match &self.frame {
            Frame::Csv(csv) => &csv.style,
            Frame::Json { style, .. } => style,
        };
        let columns = self.schema.fields().iter().zip(batch.columns());
        columns.map(|(field, column)| Printer::new(field, column, style)).collect()
    }

    /// As [`Encoder::write`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Vec<Refused>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let printers = self.printers(batch)?;
        let safe: Vec<_> = match &self.frame {
            Frame::Csv(style) => printers.iter().map(|it| style.is_safe(it.shape)).collect(),
            Frame::Json { .. } => Vec::new(),
        };
        let mut refused = Vec::new();
        for row in 0..batch.num_rows() {
            let from = buffer.len();
            let record = self.frame.record(&printers, &safe, row, &mut buffer);
            let record = record.and_then(|()| self.encode(&printers, row, from, &mut buffer));
            if let Err((column, reason)) = record {
                buffer.truncate(from);
                refused.push(Refused {
                    row: row as u32,
                    column: column as u32,
                    code: "format.unwritable",
                    message: format!("the value {reason}"),
                });
            }
        }
        drop(printers);
        self.buffer = buffer;
        if self.buffer.len() >= TEXT_BLOCK_BYTES {
            self.flush()?;
        }
        Ok(refused)
    }

    /// Puts the record from `from` on into the file's encoding, or answers the column that it lacks.
    fn encode(
        &self,
        printers: &[Printer<'_>],
        row: usize,
        from: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, &'static str)> {
        if self.charset == Charset::Utf8 {
            return Ok(());
        }
        let record = out.split_off(from);
        let lacks = |printer: &Printer<'_>| {
            let mut text = Vec::new();
            printer.push(row, &mut text);
            self.charset.encode(&text, &mut Vec::new()).is_err()
        };
        self.charset
            .encode(&record, out)
            .map_err(|reason| (printers.iter().position(lacks).unwrap_or(0), reason))
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

impl Frame {
    /// Appends one record, or answers the column that can't be written.
    fn record(
        &self,
        printers: &[Printer<'_>],
        safe: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, &'static str)> {
        let names = match self {
            Self::Csv(style) => return style.record(printers, safe, row, out),
            Self::Json { names, .. } => names,
        };
        for (name, printer) in names.iter().zip(printers) {
            out.extend_from_slice(name);
            printer.push_json(row, out);
        }
        out.extend_from_slice(if names.is_empty() { b"{}\n" } else { b"}\n" });
        Ok(())
    }
}

impl CsvStyle {
    /// Appends one record, or answers the column that can't be written.
    fn record(
        &self,
        printers: &[Printer<'_>],
        safe: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, &'static str)> {
        if let Some(widths) = &self.widths {
            return self.fixed(widths, printers, row, out);
        }
        for (column, printer) in printers.iter().enumerate() {
            if column > 0 {
                out.push(self.delimiter);
            }
            if printer.is_null(row) {
                out.extend_from_slice(&self.null);
                continue;
            }
            let from = out.len();
            printer.push(row, out);
            if !safe[column] || out[from..] == self.null[..] {
                self.frame(from, out).map_err(|reason| (column, reason))?;
            }
        }
        out.extend_from_slice(&self.line_end);
        Ok(())
    }

    fn fixed(
        &self,
        widths: &[usize],
        printers: &[Printer<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, &'static str)> {
        let mut text = Vec::new();
        for (column, (printer, width)) in printers.iter().zip(widths).enumerate() {
            text.clear();
            if printer.is_null(row) {
                out.extend_from_slice(&self.null);
                out.extend(std::iter::repeat_n(b' ', width.saturating_sub(self.null.len())));
                continue;
            }
            printer.push(row, &mut text);
            if text == self.null {
                return Err((column, "reads like NULL"));
            }
            let right = matches!(printer.shape, Shape::Number | Shape::Float);
            fixed::push(&text, *width, right, out).map_err(|reason| (column, reason))?;
        }
        out.extend_from_slice(&self.line_end);
        Ok(())
    }

    /// Whether texts of this shape never hold a character that has a meaning. A pattern for dates may
    /// hold any.
    fn is_safe(&self, shape: Shape) -> bool {
        let used = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-/=:. ".contains(byte);
        let marks = [Some(self.delimiter), self.quote, self.escape];
        let usual = !marks.iter().flatten().chain(&self.line_end).any(used);
        match shape {
            Shape::Text | Shape::Json | Shape::Nested => false,
            Shape::Plain => usual && self.style.date.is_none(),
            Shape::Number | Shape::Float | Shape::Boolean => usual,
        }
    }

    /// Quotes the text from `from` on, where it needs that.
    fn frame(&self, from: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let text = &out[from..];
        let is_null = text == self.null;
        let special = |byte: &u8| {
            *byte == self.delimiter
                || matches!(byte, b'\n' | b'\r')
                || Some(*byte) == self.quote
                || Some(*byte) == self.escape
                || self.line_end.contains(byte)
        };
        // The mark of UTF-8 at the beginning of a file would be taken away.
        let marked = text.starts_with(b"\xef\xbb\xbf");
        if !is_null && !marked && !text.iter().any(special) {
            return Ok(());
        }
        let Some(quote) = self.quote else {
            return Err(match is_null {
                true => {
                    "reads like NULL, and the text has no quotes; set \"nullFormat\" or write csv"
                }
                false => "holds a delimiter or a line end, and the text has no quotes; write csv",
            });
        };
        let escape = self.escape.unwrap_or(quote);
        let marked = |byte: u8| byte == quote || Some(byte) == self.escape;
        let end = out.len();
        let escapes = out[from..].iter().filter(|byte| marked(**byte)).count();
        out.resize(end + escapes + 2, quote);
        // From the end, so that each byte is moved before its place is taken.
        let mut to = out.len() - 1;
        for at in (from..end).rev() {
            let byte = out[at];
            to -= 1;
            out[to] = byte;
            if marked(byte) {
                to -= 1;
                out[to] = escape;
            }
        }
        out[from] = quote;
        Ok(())
    }
}
