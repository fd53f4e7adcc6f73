//! Writes a file.

use std::io::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::codec::Codec;
use crate::encode::{Encoder, instants, unit_nanos};
use crate::error::{Error, Result};
use crate::meta::{Footer, MAGIC, PostScript, Stream, Stripe, StripeFooter};
use crate::out::{BLOCK_BYTES, Out};
use crate::proto::Message;
use crate::stats::Stats;
use crate::types;

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub codec: Codec,
    /// A stripe ends when it takes about so many bytes as it is encoded.
    pub stripe_bytes: usize,
    /// A stripe has no more rows.
    pub stripe_rows: usize,
    /// Whether texts that come often are written once a stripe.
    pub dictionary: bool,
}

/// Writes batches of one schema.
pub struct Writer<W: Write> {
    out: W,
    /// Bytes that were written.
    at: u64,
    options: Options,
    schema: SchemaRef,
    root: Encoder,
    /// Rows of the stripe that is gathered.
    rows: usize,
    footer: Footer,
    /// Of each stripe.
    stats: Vec<Vec<Stats>>,
}

/// Rows that are encoded before a stripe's size is looked at.
const ROWS_AT_ONCE: usize = 1024;

impl<W: Write> Writer<W> {
    /// # Errors
    /// [`Error::Unsupported`], for a column of a type that ORC does not have.
    pub fn new(out: W, schema: &Schema, options: Options) -> Result<Self> {
        let fields = schema.fields();
        let types = types::types(fields)?;
        let root = Field::new("", DataType::Struct(fields.clone()), false);
        let root = Encoder::new(&root, options.codec, options.dictionary)?;
        let footer = Footer { types, ..Footer::default() };
        let (schema, stats) = (Arc::new(schema.clone()), Vec::new());
        let mut writer = Self { out, at: 0, options, schema, root, rows: 0, footer, stats };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Takes the rows of these columns, which are those of the schema.
    pub fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let fields = self.schema.fields().clone();
        let rows = StructArray::try_new_with_length(fields, columns.to_vec(), None, rows);
        let rows = rows.map_err(|error| Error::Unsupported(error.to_string()))?;
        let mut at = 0;
        while at < rows.len() {
            let room = self.options.stripe_rows.saturating_sub(self.rows).max(1);
            let count = (rows.len() - at).min(room).min(ROWS_AT_ONCE);
            let part: ArrayRef = Arc::new(rows.slice(at, count));
            self.root.write(&part, None)?;
            self.rows += count;
            at += count;
            let is_full = self.root.bytes() >= self.options.stripe_bytes;
            if is_full || self.rows >= self.options.stripe_rows {
                self.end_stripe()?;
            }
        }
        Ok(())
    }

    /// About the bytes that the stripe which is gathered will take.
    pub fn in_progress(&self) -> usize {
        self.root.bytes()
    }

    fn end_stripe(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let (mut streams, mut encodings, mut stats) = (Vec::new(), Vec::new(), Vec::new());
        self.root.finish(&mut streams, &mut encodings, &mut stats)?;
        let offset = self.at;
        let mut listed = Vec::with_capacity(streams.len());
        for stream in streams {
            let begin = self.at;
            stream.blocks.iter().try_for_each(|block| self.put(block))?;
            let (kind, column) = (stream.kind, stream.column);
            listed.push(Stream { kind, column, length: self.at - begin });
        }
        let data_length = self.at - offset;
        let footer = StripeFooter { streams: listed, encodings, zone: "UTC".to_owned() };
        let footer_length = self.message(&footer.message())?;
        let rows = std::mem::take(&mut self.rows) as u64;
        self.footer.rows += rows;
        self.footer.stripes.push(Stripe {
            offset,
            index_length: 0,
            data_length,
            footer_length,
            rows,
        });
        self.stats.push(stats);
        Ok(())
    }

    /// Writes a message, packed, and answers its length.
    fn message(&mut self, message: &Message) -> Result<u64> {
        let mut out = Out::new(self.options.codec);
        out.write(&message.0)?;
        let begin = self.at;
        out.finish()?.iter().try_for_each(|block| self.put(block))?;
        Ok(self.at - begin)
    }

    /// Ends the file, and gives back what it was written to.
    pub fn finish(mut self) -> Result<W> {
        self.end_stripe()?;
        let content_length = self.at;
        let stripes = std::mem::take(&mut self.stats);
        let listed = stripes
            .iter()
            .map(|stats| Message::default().messages(1, stats.iter().map(Stats::message)));
        let metadata = Message::default().messages(1, listed);
        let metadata_length = self.message(&metadata)?;
        let mut all = vec![Stats::default(); self.footer.types.len()];
        for stats in stripes {
            all.iter_mut().zip(stats).for_each(|(all, one)| all.join(one));
        }
        let footer = self.footer.message(content_length, all.iter().map(Stats::message).collect());
        let script = PostScript {
            footer_length: self.message(&footer)?,
            compression: self.options.codec.number(),
            block_size: BLOCK_BYTES as u64,
            metadata_length,
        };
        let script = script.message().0;
        self.put(&script)?;
        self.put(&[script.len() as u8])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The rows with a timestamp that the format cannot tell from another: those of the last second before 1970
/// with a fraction of a millisecond or more are stored as those of the first one after.
pub fn unwritable_rows(array: &dyn Array) -> Vec<usize> {
    let rows_of = |offsets: &[i32], items: Vec<usize>| {
        let row = |item: usize| offsets.partition_point(|offset| offset.as_usize() <= item);
        let rows = items.into_iter().map(row).filter_map(|behind| behind.checked_sub(1));
        let mut rows: Vec<_> =
            rows.filter(|row| *row < array.len() && array.is_valid(*row)).collect();
        rows.dedup();
        rows
    };
    match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let each_second = 1_000_000_000 / unit_nanos(*unit);
            let is_lost = |value: i64| {
                value < 0
                    && value > -each_second
                    && (value + each_second) * unit_nanos(*unit) > 999_999
            };
            let values = instants(array).iter().enumerate();
            let lost = values.filter(|(row, value)| is_lost(**value) && array.is_valid(*row));
            lost.map(|(row, _)| row).collect()
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            rows_of(list.value_offsets(), unwritable_rows(list.values().as_ref()))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            rows_of(map.value_offsets(), unwritable_rows(map.entries()))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            let rows = columns.flat_map(|column| unwritable_rows(column.as_ref()));
            let mut rows: Vec<_> = rows.filter(|row| array.is_valid(*row)).collect();
            rows.sort_unstable();
            rows.dedup();
            rows
        }
        _ => Vec::new(),
    }
}
