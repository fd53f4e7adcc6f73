//! Reads Parquet files: row groups are the shares, only the wanted columns are read.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use sdk::{Budget, Fault, Result};
use serde::{Deserialize, Serialize};

use crate::columns::{self, Listed, Origin, Wanted};
use crate::kind::Kind;
use crate::read::{Chunk, Share};
use crate::storage::{Input, Range, carried};

/// A batch of this size keeps the costs of a call small and the batch in the cache.
const BATCH_BYTES: u64 = 384 << 10;
/// Rows that are decoded at once, at most and at least.
const BATCH_ROWS_MAX: u64 = 64 << 10;
const BATCH_ROWS_MIN: u64 = 256;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// An input as the Parquet library reads it.
struct Chunks(Arc<dyn Input>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Range>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let range = Range { input: self.0.clone(), at: start, stop: self.0.len() };
        Ok(BufReader::with_capacity(READ_BYTES, range))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let left = self.0.len().saturating_sub(start);
        if length as u64 > left {
            return Err(ParquetError::EOF(format!(
                "{length} bytes are wanted and {left} are there"
            )));
        }
        let mut bytes = Vec::with_capacity(length);
        let range = Range { input: self.0.clone(), at: start, stop: start + length as u64 };
        let read = range.take(length as u64).read_to_end(&mut bytes);
        match read {
            Ok(count) if count == length => Ok(bytes.into()),
            Ok(_) => Err(ParquetError::EOF("the file ends early".to_owned())),
            Err(error) => Err(ParquetError::External(Box::new(error))),
        }
    }
}

fn unreadable(label: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    carried(error).unwrap_or_else(|| {
        let message = format!("\"{label}\" is no readable Parquet file: {error}");
        Fault::data("format.corrupt", message).hint(
            "the file may be cut off, or of another format: copy it again, or set \"fileFormat\"",
        )
    })
}

/// Row group and row in it, both from 0, of the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GroupPosition {
    group: usize,
    row: u64,
}

/// What the end of a Parquet file says about the rest.
pub(crate) struct Footer {
    label: String,
    metadata: ArrowReaderMetadata,
}

impl Footer {
    pub(crate) fn read(input: &Arc<dyn Input>) -> Result<Self> {
        let label = input.label().to_owned();
        let wrong = |error: ParquetError| unreadable(&label, &error);
        let chunks = Chunks(input.clone());
        let metadata =
            ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new()).map_err(wrong)?;
        let schema = plain_schema(metadata.schema());
        let metadata = match schema == *metadata.schema() {
            true => metadata,
            false => {
                let options = ArrowReaderOptions::new().with_schema(schema);
                ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).map_err(wrong)?
            }
        };
        Ok(Self { label, metadata })
    }

    /// The wanted fields.
    pub(crate) fn schema(&self, wanted: &Wanted) -> Result<SchemaRef> {
        let own = self.metadata.schema();
        let Wanted::Listed(listed) = wanted else {
            return Ok(Arc::new(Schema::new(own.fields().clone())));
        };
        let fields = listed.iter().enumerate().map(|(at, column)| {
            let Origin::Constant(_) = column.origin else {
                let field = own.field(self.index(column)?);
                check_type(column, field)?;
                let name = column.name.clone().unwrap_or_else(|| field.name().clone());
                return Ok(field.clone().with_name(name));
            };
            let kind = column.kind.clone().unwrap_or(Kind::Text);
            let name = column.name.clone().unwrap_or_else(|| format!("value_{at}"));
            Ok(kind.field(name))
        });
        Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
    }

    fn index(&self, column: &Listed) -> Result<usize> {
        let fields = self.metadata.schema().fields();
        let found = match &column.origin {
            Origin::Index(index) => (*index < fields.len()).then_some(*index),
            Origin::Name(name) => fields.iter().position(|field| field.name() == name),
            Origin::Constant(_) => None,
        };
        found.ok_or_else(|| column.missing())
    }

    /// Row groups, as many as make about `split_bytes`.
    pub(crate) fn next_share(
        &self,
        after: Option<&Share>,
        split_bytes: u64,
    ) -> Result<Option<Share>> {
        let first = match after {
            None => 0,
            Some(Share::Groups { first, count, .. }) => first + count,
            Some(_) => return Err(self.changed()),
        };
        let groups = self.metadata.metadata().row_groups();
        let (mut count, mut rows, mut bytes) = (0, 0, 0);
        for group in groups.iter().skip(first) {
            let size = group.compressed_size().max(0) as u64;
            if count > 0 && bytes + size > split_bytes {
                break;
            }
            count += 1;
            rows += group.num_rows().max(0) as u64;
            bytes += size;
        }
        Ok((count > 0).then_some(Share::Groups { first, count, rows, bytes }))
    }

    fn changed(&self) -> Fault {
        let message = format!("\"{}\" is not the file that was planned", self.label);
        Fault::external("file.changed", message).hint("start a new run")
    }

    pub(crate) fn open(
        self,
        input: &Arc<dyn Input>,
        wanted: &Wanted,
        share: &Share,
        schema: &SchemaRef,
        position: Option<&[u8]>,
    ) -> Result<ParquetReader> {
        let Share::Groups { first, count, .. } = share else { return Err(self.changed()) };
        let groups = self.metadata.metadata().num_row_groups();
        if first + count > groups || !same_types(self.schema(wanted)?.as_ref(), schema) {
            return Err(self.columns_differ(wanted, schema));
        }
        let position = match position {
            None => GroupPosition { group: *first, row: 0 },
            Some(bytes) => serde_json::from_slice(bytes).map_err(|_| {
                Fault::plugin("format.position", "the position is not one of this plug-in")
            })?,
        };
        let sources = self.sources(wanted)?;
        Ok(ParquetReader {
            label: self.label,
            input: input.clone(),
            metadata: self.metadata,
            sources,
            schema: schema.clone(),
            next_group: position.group,
            stop: first + count,
            skip: position.row,
            current: None,
            at: position,
            pending: VecDeque::new(),
        })
    }

    fn columns_differ(&self, wanted: &Wanted, schema: &SchemaRef) -> Fault {
        let own = self.schema(wanted).unwrap_or_else(|_| Arc::new(Schema::empty()));
        let other = own.fields().iter().zip(schema.fields()).find(|(own, planned)| own != planned);
        let which = match other {
            Some((own, _)) => format!("column \"{}\" has another type", own.name()),
            None => "it has other columns".to_owned(),
        };
        let message = format!("\"{}\" differs from other files of the job: {which}", self.label);
        Fault::data("format.columns_differ", message).hint("read files of one schema in one job")
    }

    fn sources(&self, wanted: &Wanted) -> Result<Vec<Source>> {
        let all = self.metadata.schema().fields().len();
        let Wanted::Listed(listed) = wanted else {
            return Ok((0..all).map(Source::Column).collect());
        };
        let source = |column: &Listed| match &column.origin {
            Origin::Constant(text) => {
                let kind = column.kind.clone().unwrap_or(Kind::Text);
                columns::constant(text.as_deref(), &kind, &column.place).map(Source::Constant)
            }
            Origin::Index(_) | Origin::Name(_) => self.index(column).map(Source::Column),
        };
        listed.iter().map(source).collect()
    }
}

/// The declared type must be the file's; DataX's six stand for their families. Nothing is cast here, so
/// that nothing is lost here.
fn check_type(column: &Listed, field: &Field) -> Result<()> {
    let (Some(kind), Some(word)) = (&column.kind, &column.word) else { return Ok(()) };
    let own = field.data_type();
    let fits = match word.to_ascii_lowercase().as_str() {
        "long" => own.is_integer(),
        "double" => own.is_numeric() && !own.is_integer(),
        "string" => *own == DataType::Utf8,
        "date" => own.is_temporal(),
        "bytes" => matches!(own, DataType::Binary | DataType::FixedSizeBinary(_)),
        _ => {
            matches!((&kind.data_type(), own), (a, b) if a == b)
                || matches!((kind, own), (Kind::Instant(_), DataType::Timestamp(_, Some(_))))
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!("column \"{}\" is declared {word}, and the file has {own}", field.name());
    Err(Fault::user("format.type", message)
        .hint("leave \"type\" out: a Parquet file knows its types")
        .at(column.place.clone()))
}

fn same_types(a: &Schema, b: &Schema) -> bool {
    let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.data_type() == b.data_type();
    a.fields().len() == b.fields().len() && a.fields().iter().zip(b.fields()).all(same)
}

/// The same fields without the layouts that only save memory: dictionaries, views, 64-bit offsets.
fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

fn plain_type(data_type: &DataType) -> DataType {
    let inner = |field: &Field| Arc::new(plain_field(field));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::List(field) | DataType::LargeList(field) => DataType::List(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain_field(field)).collect())
        }
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        other => other.clone(),
    }
}

enum Source {
    Column(usize),
    Constant(ArrayRef),
}

/// Reads the rows of some row groups.
pub(crate) struct ParquetReader {
    label: String,
    input: Arc<dyn Input>,
    metadata: ArrowReaderMetadata,
    sources: Vec<Source>,
    schema: SchemaRef,
    next_group: usize,
    stop: usize,
    /// Rows of the next group that were read before.
    skip: u64,
    current: Option<ParquetRecordBatchReader>,
    /// Of the next row to hand out.
    at: GroupPosition,
    /// Decoded rows that did not fit the budget.
    pending: VecDeque<RecordBatch>,
}

impl ParquetReader {
    pub(crate) fn next(&mut self, budget: Budget) -> Result<Option<Chunk>> {
        let Some(batch) = self.decoded()? else { return Ok(None) };
        let rows = fitting(&batch, budget);
        if rows < batch.num_rows() {
            self.pending.push_front(batch.slice(rows, batch.num_rows() - rows));
        }
        self.at.row += rows as u64;
        let position = serde_json::to_vec(&self.at)
            .map_err(|error| Fault::plugin("format.position", error.to_string()))?;
        Ok(Some(Chunk { batch: Some(batch.slice(0, rows)), undecodable: Vec::new(), position }))
    }

    /// Decoded rows, left over or new.
    fn decoded(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.pending.pop_front() {
            return Ok(Some(batch));
        }
        loop {
            if let Some(reader) = &mut self.current {
                match reader.next() {
                    Some(Ok(batch)) if batch.num_rows() == 0 => continue,
                    Some(Ok(batch)) => return self.arranged(&batch).map(Some),
                    Some(Err(error)) => return Err(unreadable(&self.label, &error)),
                    None => self.current = None,
                }
            }
            if self.next_group >= self.stop {
                return Ok(None);
            }
            self.open_group()?;
        }
    }

    fn open_group(&mut self) -> Result<()> {
        let (group, skip) = (self.next_group, std::mem::take(&mut self.skip));
        self.next_group += 1;
        self.at = GroupPosition { group, row: skip };
        let metadata = self.metadata.metadata();
        let rows = metadata.row_group(group).num_rows().max(1) as u64;
        let bytes = metadata.row_group(group).total_byte_size().max(1) as u64;
        let batch_rows = (BATCH_BYTES * rows / bytes).clamp(BATCH_ROWS_MIN, BATCH_ROWS_MAX);
        let roots = self.sources.iter().filter_map(|source| match source {
            Source::Column(index) => Some(*index),
            Source::Constant(_) => None,
        });
        let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
            Chunks(self.input.clone()),
            self.metadata.clone(),
        )
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(batch_rows as usize)
        .with_offset(usize::try_from(skip).unwrap_or(usize::MAX))
        .build()
        .map_err(|error| unreadable(&self.label, &error))?;
        self.current = Some(reader);
        Ok(())
    }

    /// The columns in the job's order, which the library does not keep.
    fn arranged(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut read: Vec<usize> = self
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Column(index) => Some(*index),
                Source::Constant(_) => None,
            })
            .collect();
        read.sort_unstable();
        read.dedup();
        let rows = batch.num_rows();
        let arrays = self.sources.iter().map(|source| match source {
            Source::Constant(value) => columns::repeated(value, rows),
            Source::Column(index) => {
                let at = read.binary_search(index).unwrap_or(0);
                Ok(batch.column(at).clone())
            }
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| unreadable(&self.label, &error))
    }
}

/// How many of the first rows fit the budget; one at least.
fn fitting(batch: &RecordBatch, budget: Budget) -> usize {
    let mut rows = batch.num_rows().min(budget.rows.max(1) as usize);
    let bytes_max = budget.bytes.min(BATCH_BYTES * 2);
    while rows > 1 && bytes(&batch.slice(0, rows)) > bytes_max {
        rows /= 2;
    }
    rows
}

fn bytes(batch: &RecordBatch) -> u64 {
    let size = |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(0) as u64;
    batch.columns().iter().map(size).sum()
}
