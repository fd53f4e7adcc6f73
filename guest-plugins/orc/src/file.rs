//! A file: what its end says, and the rows of its stripes.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

use crate::codec::Codec;
use crate::column::Column;
use crate::error::{Error, Result};
use crate::meta::{Encoding, Footer, MAGIC, PostScript, Stripe, StripeFooter};
use crate::stream::{Packed, Source, Stream};
use crate::types::{self, Node};

/// The last byte of a file says how long its last message is.
const END_BYTES_MAX: u64 = 256;
/// What describes a file or stripe is no longer when it is unpacked.
const FOOTER_BYTES_MAX: usize = 64 << 20;

/// What the end of a file says about the rest.
pub struct File {
    source: Arc<dyn Source>,
    packed: Packed,
    columns: Vec<Node>,
    schema: SchemaRef,
    stripes: Vec<Stripe>,
    /// Types, and so columns in a stripe's list of encodings.
    types: usize,
}

fn read_exact(source: &dyn Source, mut at: u64, mut buffer: &mut [u8]) -> Result<()> {
    while !buffer.is_empty() {
        let count = source.read_at(at, buffer)?;
        if count == 0 {
            return Err(Error::corrupt("it is cut off"));
        }
        at += count as u64;
        buffer = &mut buffer[count..];
    }
    Ok(())
}

impl File {
    pub fn open(source: Arc<dyn Source>) -> Result<Self> {
        let length = source.len();
        let count = length.min(END_BYTES_MAX);
        let mut end = vec![0; count as usize];
        read_exact(source.as_ref(), length - count, &mut end)?;
        let short = || Error::corrupt("it is too short");
        let size = end.pop().map(usize::from).ok_or_else(short)?;
        let begin = end.len().checked_sub(size).ok_or_else(short)?;
        let script = PostScript::parse(&end[begin..])?;
        let mut first = [0; MAGIC.len()];
        read_exact(source.as_ref(), 0, &mut first)?;
        if first != MAGIC {
            return Err(Error::corrupt("it does not begin as an ORC file does"));
        }
        let packed = Packed::new(Codec::parse(script.compression)?, script.block_size)?;
        let stop = length - 1 - size as u64;
        let begin = stop.checked_sub(script.footer_length).ok_or_else(short)?;
        let footer = Stream::new(source.clone(), packed, begin, stop).rest(FOOTER_BYTES_MAX)?;
        let footer = Footer::parse(&footer)?;
        if footer.is_encrypted {
            return Err(Error::Unsupported("some of its columns are encrypted".into()));
        }
        for (at, stripe) in footer.stripes.iter().enumerate() {
            if stripe.footer_range().is_none_or(|(_, end)| end > begin) {
                return Err(Error::corrupt(format!("stripe {at} ends behind the file")));
            }
        }
        let rows = footer.stripes.iter().try_fold(0_u64, |all, it| all.checked_add(it.rows));
        if rows != Some(footer.rows) {
            return Err(Error::corrupt("its stripes have other rows than it says"));
        }
        let columns = types::columns(&footer.types)?;
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        let (stripes, types) = (footer.stripes, footer.types.len());
        Ok(Self { source, packed, columns, schema, stripes, types })
    }

    /// All columns. Those of a type that is not read here are unions without fields or with them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Of each stripe, the rows and bytes.
    pub fn stripes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.stripes
            .iter()
            .map(|stripe| (stripe.rows, stripe.index_length.saturating_add(stripe.data_length)))
    }

    /// Opens a stripe, to read the columns at these places, which are sorted.
    pub fn stripe(&self, index: usize, columns: &[usize]) -> Result<StripeReader> {
        self.open_stripe(index, columns).map_err(|error| error.at(format_args!("stripe {index}")))
    }

    fn open_stripe(&self, index: usize, columns: &[usize]) -> Result<StripeReader> {
        let stripe = self.stripes.get(index).ok_or_else(|| Error::corrupt("it is not there"))?;
        let (begin, end) = stripe.footer_range().unwrap_or_default();
        let footer = Stream::new(self.source.clone(), self.packed, begin, end);
        let footer = StripeFooter::parse(&footer.rest(FOOTER_BYTES_MAX)?)?;
        if footer.encodings.len() != self.types {
            return Err(Error::corrupt("it has encodings of other columns"));
        }
        let streams = Streams::new(self, stripe, &footer)?;
        let nodes = columns.iter().filter_map(|at| self.columns.get(*at));
        let readers = nodes.map(|node| Column::open(node, &streams)).collect::<Result<_>>()?;
        let schema = self.schema.project(columns);
        let schema = schema.map_err(|error| Error::corrupt(error.to_string()))?;
        Ok(StripeReader { index, columns: readers, schema: Arc::new(schema), left: stripe.rows })
    }
}

/// Where the streams of a stripe are.
pub(crate) struct Streams<'a> {
    file: &'a File,
    footer: &'a StripeFooter,
    /// Column, kind, first byte and end.
    places: Vec<(u64, u64, u64, u64)>,
    rows: u64,
}

impl<'a> Streams<'a> {
    fn new(file: &'a File, stripe: &Stripe, footer: &'a StripeFooter) -> Result<Self> {
        let (end, _) = stripe.footer_range().unwrap_or_default();
        let mut begin = stripe.offset;
        let mut places = Vec::with_capacity(footer.streams.len());
        for stream in &footer.streams {
            let next = begin.checked_add(stream.length).filter(|next| *next <= end);
            let next = next.ok_or_else(|| Error::corrupt("its streams end behind it"))?;
            places.push((stream.column, stream.kind, begin, next));
            begin = next;
        }
        Ok(Self { file, footer, places, rows: stripe.rows })
    }

    pub(crate) fn encoding(&self, column: usize) -> Result<Encoding> {
        let encoding = self.footer.encodings.get(column).copied();
        let encoding = encoding.ok_or_else(|| Error::corrupt("a column has no encoding"))?;
        if encoding.kind > 3 || encoding.dictionary_size > self.rows_below(column) {
            return Err(Error::corrupt("a column has an encoding that is none"));
        }
        Ok(encoding)
    }

    /// The most values that a column can have: rows, where it is in no list.
    fn rows_below(&self, column: usize) -> u64 {
        let is_top = self.file.columns.iter().any(|node| node.column == column);
        if is_top { self.rows } else { u64::from(u32::MAX) }
    }

    pub(crate) fn zone(&self) -> &str {
        &self.footer.zone
    }

    pub(crate) fn find(&self, column: usize, kind: u64) -> Option<Stream> {
        let is_it = |place: &&(u64, u64, u64, u64)| place.0 == column as u64 && place.1 == kind;
        let (_, _, begin, end) = self.places.iter().find(is_it)?;
        Some(Stream::new(self.file.source.clone(), self.file.packed, *begin, *end))
    }

    /// An empty one where there is none, as where all values are NULL.
    pub(crate) fn get(&self, column: usize, kind: u64) -> Stream {
        let end = self.places.last().map_or(0, |(.., end)| *end);
        let none = || Stream::none(self.file.source.clone(), self.file.packed, end);
        self.find(column, kind).unwrap_or_else(none)
    }
}

/// Reads the rows of a stripe, one after another.
pub struct StripeReader {
    index: usize,
    columns: Vec<Column>,
    schema: SchemaRef,
    left: u64,
}

impl StripeReader {
    /// The next rows, `most` or fewer; `None` at the end of the stripe.
    pub fn next(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(most.max(1));
        if rows == 0 {
            return Ok(None);
        }
        let at = |error: Error| error.at(format_args!("stripe {}", self.index));
        let arrays = self.columns.iter_mut().map(|column| column.read(rows, None));
        let arrays = arrays.collect::<Result<Vec<_>>>().map_err(at)?;
        self.left -= rows as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        batch.map(Some).map_err(|error| at(Error::corrupt(error.to_string())))
    }

    /// Passes over rows that were read before.
    pub fn skip(&mut self, mut rows: u64, at_once: usize) -> Result<()> {
        while rows > 0 {
            let most = usize::try_from(rows).unwrap_or(usize::MAX).min(at_once.max(1));
            let Some(batch) = self.next(most)? else {
                return Err(Error::corrupt(format!("stripe {} has fewer rows", self.index)));
            };
            rows -= batch.num_rows() as u64;
        }
        Ok(())
    }
}
