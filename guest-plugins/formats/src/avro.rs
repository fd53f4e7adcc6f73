//! Avro object container files. Their blocks stand for themselves between marks of 16 bytes, which are
//! where a large file is cut.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_avro::codec::Tz;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::errors::AvroError;
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use memchr::memmem;
use sdk::{Fault, Result};

use crate::blocks::Block;
use crate::own::{Own, plain_schema};
use crate::pack::Sink;
use crate::plain::plain_batch;
use crate::read::Share;
use crate::storage::{Input, Output, Range, carried, changed};

/// Blocks that are read at once make about this many bytes.
const READ_BYTES: usize = 256 << 10;
/// A longer block is none: its length would be taken from broken bytes, and a guest has little memory.
const BLOCK_BYTES_MAX: u64 = 64 << 20;
const MARK_BYTES: usize = 16;
const BATCH_ROWS: usize = 8 << 10;

fn unreadable(label: &str, why: &str) -> Fault {
    let message = format!("\"{label}\" is no readable Avro file: {why}");
    Fault::data("format.corrupt", message)
        .hint("the file may be cut off, or of another format: copy it again, or set \"fileFormat\"")
}

/// Instants are in UTC, by the name that all of the host has for it.
fn reading() -> ReaderBuilder {
    ReaderBuilder::new().with_tz(Tz::Utc)
}

/// What stands before the blocks.
pub(crate) struct Head {
    pub(crate) own: Own,
    /// As the file has it, for the library to read in front of some blocks.
    bytes: Vec<u8>,
    mark: [u8; MARK_BYTES],
}

impl Head {
    pub(crate) fn read(input: &Arc<dyn Input>) -> Result<Self> {
        let label = input.label().to_owned();
        let wrong = |error: &(dyn std::error::Error + 'static)| {
            carried(error).unwrap_or_else(|| unreadable(&label, &error.to_string()))
        };
        let range = BufReader::new(Range::all(input.clone()));
        let info = read_header_info(range).map_err(|error| wrong(&error))?;
        let mut bytes = Vec::new();
        let range = Range { input: input.clone(), at: 0, stop: info.header_len() };
        BufReader::new(range).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
        let reader = reading().build(Cursor::new(&bytes));
        let schema = reader.map_err(|error| wrong(&error))?.schema();
        Ok(Self { own: Own { label, schema: plain_schema(&schema) }, bytes, mark: info.sync() })
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Blocks that make about `split_bytes`.
    pub(crate) fn next_share(
        &self,
        input: &Arc<dyn Input>,
        after: Option<&Share>,
        split_bytes: u64,
    ) -> Result<Option<Share>> {
        let start = match after {
            None => self.len(),
            Some(Share::Bytes { end, .. }) => *end,
            Some(_) => return Err(changed(&self.own.label)),
        };
        if start >= input.len() {
            return Ok(None);
        }
        let target = start.saturating_add(split_bytes.max(1));
        // A rest of less than half a share is no share of its own.
        let end = match target.saturating_add(split_bytes / 2) >= input.len() {
            true => input.len(),
            false => self.block_start(input, target)?,
        };
        Ok(Some(Share::Bytes { start, end, line: None, end_line: None }))
    }

    /// Behind the first mark that ends at `target` or later.
    fn block_start(&self, input: &Arc<dyn Input>, target: u64) -> Result<u64> {
        let at = target.saturating_sub(MARK_BYTES as u64);
        let mut range = Range { input: input.clone(), at, stop: input.len() };
        let mut window = Vec::new();
        let mut block = vec![0; READ_BYTES];
        loop {
            let count = range.fill(&mut block)?;
            if count == 0 {
                return Ok(input.len());
            }
            window.extend_from_slice(&block[..count]);
            let begin = range.at - window.len() as u64;
            if let Some(found) = memmem::find(&window, &self.mark) {
                return Ok(begin + (found + MARK_BYTES) as u64);
            }
            window.drain(..window.len().saturating_sub(MARK_BYTES - 1));
        }
    }

    pub(crate) fn open(self, input: &Arc<dyn Input>, share: &Share) -> Result<(Own, AvroBlocks)> {
        let Share::Bytes { start, end, .. } = share else { return Err(changed(&self.own.label)) };
        let Self { own, bytes, mark } = self;
        let (label, schema) = (own.label.clone(), own.schema.clone());
        let (input, next, stop) = (input.clone(), *start, *end);
        Ok((own, AvroBlocks { input, label, schema, head: bytes, mark, next, stop }))
    }
}

/// The blocks between two marks.
pub(crate) struct AvroBlocks {
    input: Arc<dyn Input>,
    label: String,
    /// With plain types.
    schema: SchemaRef,
    head: Vec<u8>,
    mark: [u8; MARK_BYTES],
    /// Where the next block begins.
    next: u64,
    stop: u64,
}

impl AvroBlocks {
    pub(crate) fn seek(&mut self, block: u64) -> Result<()> {
        self.next = block;
        Ok(())
    }

    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        let at = self.next;
        let mut bytes = self.head.clone();
        while self.next < self.stop && bytes.len() - self.head.len() < READ_BYTES {
            self.append(&mut bytes)?;
        }
        if self.next == at {
            return Ok(None);
        }
        let wrong = |error: &dyn std::fmt::Display| {
            unreadable(&self.label, &format!("blocks from byte {at} on: {error}"))
        };
        let reader = reading()
            .with_batch_size(BATCH_ROWS)
            .build(Cursor::new(&bytes))
            .map_err(|error| wrong(&error))?;
        let plain = |batch: Result<RecordBatch, _>| plain_batch(&batch?, &self.schema);
        let batches = reader.map(plain).collect::<Result<Vec<_>, _>>();
        Ok(Some(Block { at, row: 0, batches: batches.map_err(|error| wrong(&error))? }))
    }

    /// Appends the next block to `bytes`.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let at = self.next;
        let broken = |why: &str| unreadable(&self.label, &format!("the block at byte {at} {why}"));
        const CUT: &str = "is cut off";
        let mut range = Range { input: self.input.clone(), at, stop: self.input.len() };
        // Two numbers of at most ten bytes each.
        let mut first = [0; 20];
        let mut have = 0;
        while have < first.len() {
            match range.fill(&mut first[have..])? {
                0 => break,
                count => have += count,
            }
        }
        let (_, rest) = number(&first[..have]).ok_or_else(|| broken(CUT))?;
        let (length, rest) = number(rest).ok_or_else(|| broken(CUT))?;
        let length = u64::try_from(length).ok().filter(|length| *length <= BLOCK_BYTES_MAX);
        let length = length.ok_or_else(|| broken("has no length that can be"))?;
        let whole = (have - rest.len()) as u64 + length + MARK_BYTES as u64;
        let stop = at + whole;
        if stop > self.input.len() {
            return Err(broken(CUT));
        }
        let mut range = Range { input: self.input.clone(), at, stop };
        let begin = bytes.len();
        range
            .read_to_end(bytes)
            .map_err(|error| carried(&error).unwrap_or_else(|| broken(&error.to_string())))?;
        if bytes[begin..].len() as u64 != whole || !bytes.ends_with(&self.mark) {
            return Err(broken("does not end with the file's mark"));
        }
        self.next = stop;
        Ok(())
    }
}

/// A number as Avro writes it, and what stands behind it.
fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(((value >> 1) as i64 ^ -((value & 1) as i64), &bytes[at + 1..]));
        }
    }
    None
}

/// Writes a file; each batch is a block.
pub(crate) struct AvroEncoder {
    writer: Writer<Sink, AvroOcfFormat>,
    schema: SchemaRef,
}

fn unwritable(error: AvroError) -> Fault {
    carried(&error).unwrap_or_else(|| match error {
        AvroError::IoError(..) => {
            Fault::plugin("format.avro", format!("the Avro file can't be written: {error}"))
        }
        other => Fault::user("format.type", format!("Avro can't hold these columns: {other}")),
    })
}

impl AvroEncoder {
    pub(crate) fn new(
        output: Box<dyn Output>,
        schema: &SchemaRef,
        codec: Option<CompressionCodec>,
    ) -> Result<Self> {
        for field in schema.fields() {
            check_name(field)?;
        }
        let builder = WriterBuilder::new(Schema::new(schema.fields().clone()));
        let writer = builder.with_compression(codec).build(Sink(output)).map_err(unwritable)?;
        check_types(schema)?;
        Ok(Self { writer, schema: schema.clone() })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec());
        let batch = batch.map_err(|error| Fault::plugin("format.avro", error.to_string()))?;
        self.writer.write(&batch).map_err(unwritable)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(unwritable)?;
        self.writer.into_inner().0.sync()
    }
}

/// Avro has few types, and the library writes some as others unseen.
fn check_types(schema: &SchemaRef) -> Result<()> {
    let builder = WriterBuilder::new(Schema::new(schema.fields().clone()));
    let mut empty: Writer<_, AvroOcfFormat> = builder.build(Vec::new()).map_err(unwritable)?;
    empty.finish().map_err(unwritable)?;
    let reader = reading().build(Cursor::new(empty.into_inner()));
    let wrong = |error: &dyn std::fmt::Display| {
        Fault::user("format.type", format!("Avro can't hold these columns: {error}"))
    };
    let read = plain_schema(&reader.map_err(|error| wrong(&error))?.schema());
    for (field, read) in schema.fields().iter().zip(read.fields()) {
        let (own, other) = (field.data_type(), read.data_type());
        if !own.equals_datatype(other) {
            let message =
                format!("column \"{}\" is {own}, which Avro holds as {other}", field.name());
            return Err(Fault::user("format.type", message)
                .hint("let a step between Reader and Writer cast it, or write another format"));
        }
    }
    Ok(())
}

/// Avro knows few names, and the library would change others unseen.
fn check_name(field: &Field) -> Result<()> {
    let name = field.name();
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let fits = name.bytes().next().is_some_and(is_letter)
        && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
    if !fits {
        let message = format!("Avro has no column \"{name}\"");
        return Err(Fault::user("format.name", message)
            .hint("its names are of letters A to Z, digits and _; give others in \"column\"")
            .at("/parameter/column"));
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_name(field)),
        DataType::List(field) => check_items(field),
        DataType::Map(field, _) => check_items(field),
        _ => Ok(()),
    }
}

/// The name of a list's items is not written, but those of what is in them are.
fn check_items(field: &Field) -> Result<()> {
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_name(field)),
        DataType::List(field) => check_items(field),
        _ => Ok(()),
    }
}
